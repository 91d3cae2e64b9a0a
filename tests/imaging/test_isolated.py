"""Decoders that die, hang or eat memory cost one picture; everybody else's go on."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from photio_prep.errors import PhotoRefused
from photio_prep.imaging import isolated
from photio_prep.imaging.decode import Limits, decode_picture
from photio_prep.intake.load import load
from photio_prep.system import processes
from tests.support import icc
from tests.support.commands import KEY
from tests.support.photos import cutout, encoded, photo
from tests.support.sampling import sampled

POSIX = pytest.mark.skipif(os.name != "posix", reason="limits as POSIX has them")
# What a decoder does on its bad day, in the child, in place of decoding a BMP.
BAD_DAYS = {
    "segfault": "import ctypes; ctypes.string_at(0)",
    "abort": "import os; os.abort()",
    "exit": "import os; os._exit(0)",
    "endless loop": "while True: pass",
    "sleeping": "import time; time.sleep(1000)",
    "all memory": "held = [bytearray(2**26) for _ in range(1000)]",
    "noise": "import os; os.write(1, b'x' * 10**6)",
    "file": "open('/etc/hostname')",
    "written": "open('owned', 'w')",
    "network": "import socket; socket.socket()",
    "child": "import os; os.system('touch owned')",
    "key": "import os; raise ValueError(repr(dict(os.environ)))",
}


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Nobody's child serves the next test."""
    isolated.close_workers()
    yield
    isolated.close_workers()


def bad_day(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """From now on a child that decodes a BMP has this bad day."""
    what = f"""
import photio_prep.imaging.decoders
def hurt(file):
    exec({BAD_DAYS[name]!r})
    return photio_prep.imaging.decoders.GifImagePlugin.GifImageFile(file)
photio_prep.imaging.decoders._DECODERS["BMP"] = hurt
getattr("""
    monkeypatch.setattr(processes, "_START", processes._START.replace("\ngetattr(", what))


BMP = encoded(photo(), "BMP")
GIF = encoded(photo().quantize(16), "GIF")


@pytest.mark.parametrize("name", ["segfault", "abort", "exit"])
def test_a_decoder_that_dies_costs_one_picture(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    bad_day(monkeypatch, name)
    assert decode_picture(GIF).image.size == (90, 70)
    with pytest.raises(PhotoRefused, match=r"the decoder of BMP crashed on it.*Export it again"):
        decode_picture(BMP)
    assert decode_picture(GIF).image.size == (90, 70)


@sampled("name", ["endless loop", "sleeping"], 1)
def test_a_decoder_that_does_not_end_is_stopped(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    bad_day(monkeypatch, name)
    start = time.monotonic()
    with pytest.raises(PhotoRefused, match="stopped after 1 s"):
        decode_picture(BMP, Limits(seconds=1))
    # Of the processor's time one second and up to one more; of the clock's three.
    assert time.monotonic() - start < 60  # it would go on for ever
    assert decode_picture(GIF).image.size == (90, 70)


@POSIX
def test_a_decoder_that_eats_memory_is_refused_it(monkeypatch: pytest.MonkeyPatch) -> None:
    bad_day(monkeypatch, "all memory")
    with pytest.raises(PhotoRefused, match="more memory than the limit"):
        decode_picture(BMP, Limits(memory=1024 * 2**20))
    assert decode_picture(GIF).image.size == (90, 70)


def test_what_a_decoder_prints_is_not_taken_for_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    bad_day(monkeypatch, "noise")
    with pytest.raises(PhotoRefused, match="damaged BMP"):
        decode_picture(BMP)
    assert decode_picture(GIF).image.size == (90, 70)


@POSIX
@pytest.mark.parametrize("name", ["file", "written", "network"])
def test_a_decoder_can_open_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    bad_day(monkeypatch, name)
    with pytest.raises(PhotoRefused, match="Too many open files"):
        decode_picture(BMP)
    assert not (tmp_path / "owned").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="programs need files to start")
def test_a_decoder_can_start_no_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    bad_day(monkeypatch, "child")
    with pytest.raises(PhotoRefused):
        decode_picture(BMP)
    assert not (tmp_path / "owned").exists()


def test_a_decoder_sees_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOTIO_API_KEY", KEY)
    bad_day(monkeypatch, "key")
    with pytest.raises(PhotoRefused) as caught:
        decode_picture(BMP)
    assert "OPENBLAS" in str(caught.value) or "environ" in str(caught.value) or "PATH" in str(caught.value)
    assert KEY not in str(caught.value)


def test_a_child_that_was_killed_while_it_waited_is_replaced() -> None:
    assert decode_picture(GIF).image.size == (90, 70)
    (child,) = isolated._IDLE._children
    child.process.kill()
    child.process.wait()
    assert decode_picture(GIF).image.size == (90, 70)


def test_one_child_serves_one_picture_after_the_other() -> None:
    for data in (GIF, BMP, GIF):
        decode_picture(data)
    (child,) = isolated._IDLE._children
    decode_picture(BMP)
    assert [child] == isolated._IDLE._children


def test_threads_have_children_of_their_own_and_get_their_own_pictures() -> None:
    shades = list(range(40, 240, 10))

    def decoded(shade: int) -> bool:
        image = photo(shade=shade)
        return np.array_equal(np.asarray(decode_picture(encoded(image, "BMP")).image), np.asarray(image))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(decoded, shades))
    assert 1 <= len(isolated._IDLE._children) <= 4


def test_a_child_that_cannot_be_started_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(PhotoRefused, match=r'cannot be started .* isolate = "none"'):
        decode_picture(GIF)
    assert decode_picture(GIF, Limits(isolate="none")).image.size == (90, 70)


class Started(Exception):
    """A process was started."""


def test_plain_photos_and_pictures_in_memory_start_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise Started

    monkeypatch.setattr(subprocess, "Popen", refuse)
    profile = icc.matrix_profile("Display P3", icc.P3, 2.2)
    for data in (encoded(photo(), "JPEG", icc_profile=profile), encoded(cutout(), "PNG", icc_profile=profile)):
        assert decode_picture(data).image.size == (90, 70)
    for image in (photo(), cutout(), photo().convert("CMYK"), photo().quantize(16)):
        assert load(image).size == (90, 70)
    with pytest.raises(Started):
        decode_picture(GIF)
    with pytest.raises(Started):
        decode_picture(encoded(photo(), "JPEG"), Limits(isolate="all"))
    with pytest.raises(Started):
        decode_picture(encoded(photo().convert("CMYK"), "JPEG", icc_profile=icc.press_profile()))


@pytest.mark.parametrize("kind", ["TIFF", "WEBP", "GIF", "BMP", "PNG", "JPEG"])
def test_here_and_apart_give_the_same_pixels(kind: str) -> None:
    image = photo().quantize(16) if kind == "GIF" else cutout() if kind in ("PNG", "WEBP", "TIFF") else photo()
    data = encoded(image, kind)
    here, apart = (decode_picture(data, Limits(isolate=where)) for where in ("none", "all"))
    assert (here.image.mode, here.format, here.notes) == (apart.image.mode, apart.format, apart.notes)
    assert here.image.tobytes() == apart.image.tobytes()


FORKED = """
import os, sys
sys.path.insert(0, sys.argv[1])
from photio_prep.imaging import isolated
from photio_prep.imaging.decode import decode_picture
from pathlib import Path
data = Path(sys.argv[2]).read_bytes()
first = decode_picture(data).image.tobytes()
mine = isolated._IDLE._children[0].process.pid
pid = os.fork()
if pid == 0:
    same = decode_picture(data).image.tobytes() == first
    other = isolated._IDLE._children[0].process.pid != mine
    isolated.close_workers()
    os._exit(0 if same and other else 1)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert decode_picture(data).image.tobytes() == first
assert isolated._IDLE._children[0].process.pid == mine
print("fine", mine)
"""


@POSIX
def test_a_fork_starts_a_child_of_its_own_and_nothing_is_left_behind(tmp_path: Path) -> None:
    (tmp_path / "a.gif").write_bytes(GIF)
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-W",
            "ignore::DeprecationWarning",
            "-c",
            FORKED,
            Path.cwd(),
            tmp_path / "a.gif",
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout.split()[1]), 0)


SCRIPT = """
from photio_prep.imaging.decode import decode_picture
import sys
from pathlib import Path
print(decode_picture(Path(sys.argv[1]).read_bytes()).image.size)
"""


def test_a_script_without_a_main_guard_runs_once(tmp_path: Path) -> None:
    (tmp_path / "a.gif").write_bytes(GIF)
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "-W", "error", tmp_path / "script.py", tmp_path / "a.gif"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("(90, 70)\n", "")


def test_no_warning_leaves_and_no_state_of_pillow_changes(tmp_path: Path) -> None:
    exif = b"Exif\0\0II*\0\x08\0\0\0\xff\xff"
    noisy = [
        encoded(photo(), "JPEG", exif=exif),
        encoded(Image.new("1", (9500, 9500)), "PNG"),
        encoded(photo(), "TIFF")[:-40],
        encoded(photo().quantize(16), "PNG", transparency=bytes(16)),
    ]
    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters), warnings.showwarning)
    heard: list[object] = []

    def decode(data: bytes) -> None:
        try:
            decode_picture(data)
        except PhotoRefused:
            return
        except Warning as error:  # filters say "error"
            heard.append(error)

    threads = [threading.Thread(target=decode, args=(data,)) for data in noisy * 5]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heard == []
    after = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters), warnings.showwarning)
    assert before == after
