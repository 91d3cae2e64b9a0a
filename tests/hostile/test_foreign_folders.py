"""Somebody else's output folder, under every verb, in real processes: nothing outside is touched, nothing hangs.

The peak of resident memory is what the kernel says of the process (VmHWM); the time-out is there for a hang only.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import pytest

from photio_prep.orders.folder import OrderFolder
from photio_prep.orders.marks import Marks
from photio_prep.orders.state import ANSWERED
from photio_prep.system import files
from tests.support.commands import KEY, Said, bare_surroundings
from tests.support.foreign import NAMES, Foreign
from tests.support.hostile import HostileServer
from tests.support.hostile_answers import ok
from tests.support.photos import SCENE, cutout, encoded, saved
from tests.support.sampling import sampled

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")

MEMORY = 300 * 2**20
# A process that grows all the same must not take the machine along.
_START = """
import re, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30, 4 * 2**30))
from photio_prep.cli import main
try:
    main()
finally:
    with open("/proc/self/status") as told, open("peak", "w") as kept:
        kept.write(str(int(re.search(r"VmHWM:\\s+(\\d+) kB", told.read())[1]) * 1024))
"""


def measured(*arguments: object) -> tuple[Said, int]:
    """What a command of its own process said, and the most memory that it had at once."""
    line = [sys.executable, "-c", _START, *map(str, arguments)]
    done = subprocess.run(line, capture_output=True, timeout=300, check=False, stdin=subprocess.DEVNULL)
    said = Said(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))
    return said, int(Path("peak").read_text())


def contents(folder: Path) -> dict[str, bytes]:
    return {str(each): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    bare_surroundings(monkeypatch, tmp_path / "home")
    monkeypatch.setenv("PHOTIO_API_KEY", KEY)
    monkeypatch.chdir(tmp_path / "work")


@pytest.mark.soak
@pytest.mark.parametrize(
    "sample", [(2, 3, 8, 12), pytest.param(range(13), marks=pytest.mark.soak)], ids=["some", "all"]
)
def test_every_verb_outlives_a_folder_of_traps(sample: Sequence[int], tmp_path: Path):
    out, outside = tmp_path / "out", tmp_path / "outside"
    saved(Path("new.png"), cutout((90, 71)))
    with HostileServer(ok()) as server:
        foreign = Foreign(out, outside, server.url)
        foreign.fill()
        good = foreign.order("good", answered=False)
        untouched = contents(outside)
        verbs: tuple[tuple[object, ...], ...] = (
            ("status", out, "--price", "1"),
            ("status", out, "--json"),
            ("review", out, "--sheet", out / "sheet-photio.png"),
            ("review", out, "--embed", "-o", "one.html"),
            ("finish", out, "--product", "generated"),
            ("finish", out, "--overwrite", "--preset", "ebay"),
            ("keep", "1.png", "1", "-o", out),
            ("resolve", *sorted((out / "orders").iterdir()), "--as", "lost"),
            ("generate", good, "--api-url", server.url),
            ("generate", out, "--print-curl", "--api-url", server.url),
            ("generate", out, "--api-url", server.url, "--yes"),
            ("prepare", "new.png", "-d", SCENE, "-o", out, "--api-url", server.url),
            ("run", "new.png", "-d", SCENE, "-o", out, "--api-url", server.url),
        )
        assert len(verbs) == 13
        for verb in (verbs[at] for at in sample):
            said, peak = measured(*verb)
            named = " ".join(map(str, verb[:2]))
            assert "Traceback" not in said.err, f"{named}: {said.err[-3000:]}"
            assert said.code in (0, 2, 3, 4, 7, 10), f"{named}: {said.code} {said.err[-2000:]}"
            assert peak <= MEMORY, f"{named}: {peak / 2**20:.0f} MiB"
            assert contents(outside) == untouched, named
            assert {each.name for each in tmp_path.iterdir()} <= {"home", "out", "outside", "work"}, named
            assert not Path("/tmp/photio-foreign-x-photio.png").exists()
        assert OrderFolder(good).state in ANSWERED
        assert max(server.charges_by_body.values()) == 1
    assert said.code == 0  # a photo of one's own in that folder: paid for once, and finished
    page = (out / "review.html").read_text() + Path("one.html").read_text()
    assert "secret" not in page.lower()


def swept(out: Path, output: str, final: Path, data: bytes) -> None:
    """An order whose record tells of variant number 1, finished as `final`."""
    foreign = Foreign(out, out.parent / "outside", "sandbox")
    folder = foreign.order(f"{output}-seeds/1")
    (record,) = folder.glob("photo-*.json")
    record.write_text(json.dumps(json.loads(record.read_text()) | {"variant": {"number": 1, "of": output}}))
    final.parent.mkdir(parents=True, exist_ok=True)
    final.write_bytes(data)
    Marks(folder, OrderFolder(folder).photos()[0]).mark_finished(final, data)


@sampled(
    ("output", "name", "data", "code"),
    [
        ("../outside/autostart", "x.desktop", b"[Desktop Entry]\nExec=evil\n", 2),
        ("../outside/x", "x.png", encoded(cutout()), 2),
        ("x", "x.desktop", b"[Desktop Entry]\nExec=evil\n", 2),
        ("x", "x.png", b"[Desktop Entry]\nExec=evil\n", 2),
        ("x", "x.png", b"\x89PNG\r\n\x1a\n" + b"#!/bin/sh\n" * 99, 2),
        ("x", "x.html", encoded(cutout(), "GIF"), 2),
        ("x", "x.desktop", encoded(cutout()), 0),  # a picture all the same: it gets the suffix of one
        ("linked/x", "x.png", encoded(cutout()), 2),
    ],
    3,
)
def test_keep_writes_a_picture_below_out_or_nothing(tmp_path: Path, output: str, name: str, data: bytes, code: int):
    out, outside = tmp_path / "out", tmp_path / "outside"
    swept(out, output, tmp_path / "elsewhere" / name, data)
    (out / "linked").symlink_to(outside)
    before, there = contents(outside), contents(out)
    said, _ = measured("keep", output, "1", "-o", out)
    assert said.code == code, said.err
    assert contents(outside) == before
    new = [Path(each) for each in contents(out).keys() - there.keys()]
    assert [each.name for each in new if each.parent == out] == (["x-photio.png"] if code == 0 else [])


def test_a_final_that_is_merely_named_is_neither_kept_nor_shown(tmp_path: Path):
    """The record tells of a file of the user's, and of another digest than it has."""
    out, mine = tmp_path / "out", tmp_path / "private.png"
    swept(out, "x", mine, encoded(cutout()))
    mine.write_bytes(encoded(cutout((70, 90), shade=90)))
    said, _ = measured("keep", "x", "1", "-o", out)
    assert said.code == 2
    assert "missing or changed" in said.err
    said, _ = measured("review", out)
    assert said.code == 0
    assert "private" not in (out / "review.html").read_text()


def test_small_pictures_are_not_made_where_a_link_leads(tmp_path: Path):
    out, outside = tmp_path / "out", tmp_path / "outside"
    Foreign(out, outside, "sandbox").order()
    (out / "review-files").symlink_to(outside)
    said, _ = measured("review", out)
    assert said.code == 2
    assert sorted(each.name for each in outside.iterdir()) == ["secret.png"]


@sampled("name", NAMES, 2)
def test_finish_names_what_it_does_not_write(tmp_path: Path, name: str):
    out, outside = tmp_path / "out", tmp_path / "outside"
    Foreign(out, outside, "sandbox").order(name)
    (out / "linked").symlink_to(outside)
    said, _ = measured("finish", out)
    assert said.code == (7 if "\0" in name else 2), said.err
    assert not list(out.rglob("*-photio.*"))


def test_the_reader_of_own_files_takes_regular_files_within_their_limit(tmp_path: Path):
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert files.read_nofollow(path, 5) == b"12345"
    assert files.own_digest(path) == sha256(b"12345").hexdigest()
    assert files.own_holds(path, b"34")
    for limit in (4, 0):
        with pytest.raises(OSError, match="longer"):
            files.read_nofollow(path, limit)
        assert files.own_bytes(path, limit) is None
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(OSError, match="symbolic links"):
        files.read_nofollow(tmp_path / "link", 5)
    with path.open("wb") as file:  # a mark across two pieces
        file.write(b"x" * (2**20 - 2) + b"mark")
    assert files.own_holds(path, b"mark")
    assert json.dumps(files.own_digest(tmp_path / "none")) != json.dumps(files.own_digest(tmp_path / "none"))
