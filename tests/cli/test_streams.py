"""Closed standard streams, as daemons, cron, `>&-` and pythonw leave them: the work is done, whole, and reported."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from photio_prep.orders import store
from photio_prep.orders.folder import find_orders
from tests.support.commands import KEY, bare_surroundings
from tests.support.hostile import HostileServer
from tests.support.hostile_answers import ok
from tests.support.photos import SCENE, cutout, saved
from tests.support.sampling import sampled

CLOSED = {"input": (0,), "output": (1,), "errors": (2,), "both outputs": (1, 2), "all": (0, 1, 2)}


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bare_surroundings(monkeypatch, tmp_path / "home")
    monkeypatch.chdir(tmp_path)


def by_shell(closed: tuple[int, ...], *arguments: object) -> int:
    ending = " ".join(f"{each}{'<' if each == 0 else '>'}&-" for each in closed)
    line = ["sh", "-c", f'"$@" {ending}', "sh", sys.executable, "-m", "photio_prep", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, timeout=120, check=False).returncode


def before_it_starts(closed: tuple[int, ...], *arguments: object) -> int:
    def close() -> None:
        for each in closed:
            os.close(each)

    line = [sys.executable, "-m", "photio_prep", *map(str, arguments)]
    return subprocess.run(line, preexec_fn=close, close_fds=True, timeout=120, check=False).returncode


Start = Callable[..., int]
started = pytest.mark.parametrize("start", [by_shell, before_it_starts])


def check_whole(out: Path, count: int) -> None:
    """Every file holds what it is for, and nothing that somebody printed."""
    assert len(json.loads((out / "report.json").read_text())["photos"]) == count
    folders = find_orders(out)
    assert len(folders) == count
    for folder in folders:
        store.load_order(folder)
        json.loads((folder / "answer.raw").read_bytes())
        assert store.load_cutout(folder)
    for final in out.glob("*-photio.png"):
        with Image.open(final) as picture:
            picture.load()


WAYS = [(start, closed) for start in (by_shell, before_it_starts) for closed in CLOSED.values()]


@sampled(("start", "closed"), WAYS, 1)
def test_run_ends_as_always_and_reports(start: Start, closed: tuple[int, ...]):
    saved(Path("in/a.png"))
    saved(Path("in/b.png"), cutout((70, 90)))
    assert start(closed, "run", "in", "--sandbox", "-d", SCENE, "-v") == 0
    check_whole(Path("photio-out"), 2)
    assert len(list(Path("photio-out").glob("*-photio.png"))) == 2


@pytest.mark.soak
@started
def test_what_is_paid_for_is_kept_and_reported_with_all_streams_closed(start: Start, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PHOTIO_API_KEY", KEY)
    with HostileServer(ok()) as server:
        assert start((0, 1, 2), "run", saved(Path("a.png")), "-d", SCENE, "--api-url", server.url) == 0
        check_whole(Path("photio-out"), 1)
        assert start((0, 1, 2), "generate", "photio-out", "--api-url", server.url) == 0
        assert server.charges == 1


@started
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("status", "nowhere"), 2),
        (("run", "missing.png", "--sandbox", "-d", SCENE), 2),
        (("prepare", "-"), 3),  # an empty photo
        (("--version",), 0),
        (("--help",), 0),
        (("run", "a.png", "-d", SCENE, "--key-stdin"), 5),
    ],
    ids=lambda each: " ".join(map(str, each))[:30] if isinstance(each, tuple) else str(each),
)
def test_errors_end_with_their_own_codes(start: Start, arguments: tuple[str, ...], code: int):
    saved(Path("a.png"))
    assert start((0, 1, 2), *arguments) == code


def test_a_closed_input_that_should_hold_the_key_is_named(tmp_path: Path):
    saved(Path("a.png"))
    line = [
        "sh",
        "-c",
        '"$@" <&-',
        "sh",
        sys.executable,
        "-m",
        "photio_prep",
        "run",
        "a.png",
        "-d",
        SCENE,
        "--key-stdin",
    ]
    done = subprocess.run(line, capture_output=True, timeout=120, check=False)
    assert done.returncode == 5
    assert b"standard input is closed or empty" in done.stderr
    assert b"Traceback" not in done.stderr


def test_more_calls_than_need_a_yes_are_refused_where_nobody_can_be_asked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PHOTIO_API_KEY", KEY)
    for number in range(26):
        saved(Path("in") / f"{number}.png", cutout((90 + number, 70)))
    with HostileServer(ok()) as server:
        assert by_shell((0, 1, 2), "run", "in", "-d", SCENE, "--api-url", server.url) == 2
        assert server.connections == 0
