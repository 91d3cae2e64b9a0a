"""--print-curl: the printed pipeline, run for real by a shell, sends what `generate` sends."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from photio_prep import states
from photio_prep.curl import curl
from photio_prep.errors import UsageError
from tests import photos
from tests.commands import KEY, Command, bare_surroundings, forget, here
from tests.hostile import HostileServer
from tests.hostile_answers import ok
from tests.hostile_exchange import Behaviour, Exchange

SHELLS = [each for each in ("sh", "bash", "dash", "zsh") if shutil.which(each)]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Command]:
    bare_surroundings(monkeypatch, tmp_path / "home")
    monkeypatch.chdir(tmp_path)
    yield here(capsys, monkeypatch)
    forget()


def command_lines() -> Iterator[bytes]:
    """What `ps` shows of every process of this machine."""
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield each.read_bytes()


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="no /proc here")
@pytest.mark.skipif(not shutil.which("curl"), reason="no curl here")
@pytest.mark.parametrize("shell", SHELLS)
def test_the_printed_pipeline_sends_what_generate_sends(command: Command, monkeypatch: pytest.MonkeyPatch, shell: str):
    scene = 'on a baker\'s "old" table, 100 % linen, $HOME `id` \\n %s, märchenhaft 木'
    photos.saved(Path("it's a shoe.png"))
    lines: list[bytes] = []
    answer = ok()

    def act(exchange: Exchange) -> None:
        lines.extend(command_lines())  # everybody on the way is still alive: the answer is awaited
        answer.act(exchange)

    with HostileServer(Behaviour("looks at ps", act)) as server:
        made = command(
            "prepare",
            "it's a shoe.png",
            "-d",
            scene,
            "--negative-prompt",
            "a 'b' \"c\"",
            "--api-url",
            server.url,
            "-o",
            "o ut'put",
        )
        printed = command("generate", made.paths[0], "--print-curl", "--api-url", server.url)
        assert (printed.code, len(printed.lines)) == (0, 1)
        assert server.connections == 0
        assert states.state(made.paths[0]) == "planned"
        done = subprocess.run(
            [shell, "-c", printed.lines[0]],
            env={"PATH": os.environ["PATH"], "PHOTIO_API_KEY": KEY},
            capture_output=True,
            check=True,
        )
        assert any(line.startswith(b"curl\0") for line in lines)
        assert not [line for line in lines if KEY.encode() in line]
        monkeypatch.setenv("PHOTIO_API_KEY", KEY)
        assert command("generate", made.paths[0], "--api-url", server.url).code == 0
        by_hand, by_us = server.requests
    assert by_hand.body == by_us.body
    assert (by_hand.method, by_hand.target) == (by_us.method, by_us.target)
    for name in ("X-Photio-Key", "Content-Type", "Content-Length"):
        assert by_hand.header(name) == by_us.header(name)
    assert done.stdout.startswith(b'{"status_code": 200')


def test_the_key_is_never_printed(command: Command, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PHOTIO_API_KEY", KEY)
    order = command("prepare", photos.saved(Path("a.png")), "-d", photos.SCENE).paths[0]
    printed = command("generate", order, "--print-curl")
    assert KEY not in printed.out + printed.err
    assert '"$PHOTIO_API_KEY"' in printed.out
    assert "https://api.photio.io/v1/inference/instant" in printed.out


def test_no_key_is_needed_to_print(command: Command):
    order = command("prepare", photos.saved(Path("a.png")), "-d", photos.SCENE).paths[0]
    assert command("generate", order, "--print-curl").code == 0


def test_without_a_scene_there_is_nothing_to_print(command: Command, tmp_path: Path):
    order = command("prepare", photos.saved(Path("a.png"))).paths[0]
    assert command("generate", order, "--print-curl").code == 2
    with pytest.raises(UsageError, match="description"):
        curl(photos.order(description=""), "https://api.example/x", tmp_path / "canvas.png")


def test_printing_writes_nothing_and_prints_an_order_once(command: Command):
    order = command("prepare", photos.saved(Path("a.png"))).paths[0]
    before = sorted(Path("photio-out").rglob("*"))
    printed = command("generate", order, order, "--print-curl", "-d", photos.SCENE)
    assert (printed.code, len(printed.lines)) == (0, 1)
    assert sorted(Path("photio-out").rglob("*")) == before
    assert command("generate", order, "--print-curl", "--sandbox", "-d", photos.SCENE).code == 2
