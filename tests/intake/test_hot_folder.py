"""The hot folder: each photo once it stood still, each once, until somebody says stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from photio_prep.intake.hot_folder import iter_settled
from photio_prep.intake.inputs import expand_inputs
from photio_prep.orders.folder import find_orders
from tests.support.commands import KEY, with_default_signals
from tests.support.hostile import HostileServer
from tests.support.hostile_answers import ok
from tests.support.photos import SCENE, encoded, photo, saved

if TYPE_CHECKING:
    from photio_prep.intake.item import Item
    from tests.support.commands import Command


class Days:
    """A clock that only `wait` moves, and what happens when; ends after `seconds`."""

    def __init__(self, seconds: float, happens: dict[float, Callable[[], object]]) -> None:
        self.now, self.end, self._happens = 0.0, seconds, dict(sorted(happens.items()))

    def wait(self, seconds: float) -> None:
        self.now += seconds
        for when in [each for each in self._happens if each <= self.now]:
            self._happens.pop(when)()

    def watched(self, look: Callable[[], Iterable[Item]], quiet: float = 2.0) -> list[tuple[float, list[str]]]:
        found = iter_settled(look, lambda: self.now >= self.end, quiet=quiet, wait=self.wait, clock=lambda: self.now)
        return [(self.now, [each.output for each in items]) for items in found]


def in_folder(folder: Path) -> Callable[[], Iterator[Item]]:
    return lambda: expand_inputs((str(folder),), folder / "photio-out")


def test_a_photo_is_taken_once_it_stood_still_and_only_once(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(b"x")
    days = Days(20, {})
    ((when, names),) = days.watched(in_folder(tmp_path))
    assert names == ["a"]
    assert 2 <= when < 3.5


def test_a_photo_that_is_still_written_is_wait_until(tmp_path: Path):
    def grow() -> None:
        with (tmp_path / "a.png").open("ab") as file:
            file.write(b"x")

    ((when, _),) = Days(20, dict.fromkeys((0.5, 1.5, 3.0, 4.5, 6.0), grow)).watched(in_folder(tmp_path))
    assert when >= 8


def test_a_photo_that_changes_or_comes_back_is_taken_again(tmp_path: Path):
    path = tmp_path / "a.png"
    path.write_bytes(b"x")
    other = tmp_path / "aside"
    days = Days(
        40, {8: lambda: path.write_bytes(b"xx"), 16: lambda: path.rename(other), 24: lambda: other.rename(path)}
    )
    assert len(days.watched(in_folder(tmp_path))) == 3


def test_photos_that_arrive_together_are_taken_together(tmp_path: Path):
    days = Days(10, {1: lambda: [(tmp_path / f"{each}.png").write_bytes(b"x") for each in "ab"]})
    assert [names for _, names in days.watched(in_folder(tmp_path))] == [["a", "b"]]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["a.png", "--sandbox"], "--watch is for folders and quoted patterns"),
        (["in", "--sandbox", "--first", "1"], "--watch and --limit exclude each other"),
        (["in", "--sandbox", "--engine", "ray"], "--watch is for this machine"),
        (["in", "--api-url", "http://127.0.0.1:9/x"], "Give --max-calls N"),
    ],
)
def test_what_cannot_be_watched_is_refused(command: Command, options: list[str], found: str):
    saved(Path("a.png"))
    Path("in").mkdir()
    said = command("run", *options, "-d", SCENE, "--watch")
    assert (said.code, found in said.err) == (2, True), said.err


@pytest.mark.soak
def test_a_hot_folder_is_worked_off_until_it_is_stopped_and_gone_on_with(tmp_path: Path, command: Command):
    """Two photos come one after the other, one bad one between, and one of them again, changed; after a restart nothing
    is done twice.
    """
    Path("in").mkdir()
    arguments = ["run", "in", "-d", SCENE, "--sandbox", "--watch", "--settle", "0.3", "--gate", "off"]
    for number in (1, 2):
        process = subprocess.Popen(
            with_default_signals([sys.executable, "-W", "error", "-m", "photio_prep", *arguments]),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ},
        )
        lines: list[str] = []
        errors: list[str] = []
        ears = [
            threading.Thread(target=lambda to=to, of=of: to.extend(of or ()))
            for to, of in ((lines, process.stdout), (errors, process.stderr))
        ]
        for each in ears:
            each.start()
        try:
            for name, shade in (("a", 220), ("bad", 0), ("b", 150)):
                if number == 2:
                    break  # all three lie there
                if name == "bad":
                    Path("in/bad.png").write_bytes(b"no picture")
                else:
                    saved(Path(f"in/{name}.png"), photo(shade=shade, cut_out=True))
                time.sleep(0.5)
            deadline = time.monotonic() + 60
            while len(finals()) < 2 or len(lines) < 2 or "error: in/bad.png" not in "".join(errors):
                assert time.monotonic() < deadline
                assert process.poll() is None
                time.sleep(0.1)
            if number == 1:
                final = Path("photio-out/a-photio.png")
                before = final.read_bytes()
                saved(Path("in/a.png"), photo(shade=100, cut_out=True))
                wait_until(lambda: final.read_bytes() != before, process)  # noqa: B023
        finally:
            process.send_signal(signal.SIGTERM)
            for each in ears:
                each.join()
            process.communicate(timeout=60)
        err = "".join(errors)
        assert process.returncode == 143
        assert "watching in" in err
        assert err.count("error: in/bad.png") == 1
        report = json.loads(Path("photio-out/report.json").read_text())
        assert {each["source"]: each["billed"] for each in report["photos"]} == {
            "in/a.png": "sandbox" if number == 1 else "no",
            "in/b.png": "sandbox" if number == 1 else "no",
            "in/bad.png": "no",
        }
    assert len(find_orders(Path("photio-out"))) == 3


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.1)


@pytest.mark.soak
def test_a_photo_that_stands_still_half_written_is_paid_for_once_it_is_all_there(command: Command):
    """Of full length from the start, as copiers write it: its end is zeros, then it is not."""
    Path("in").mkdir()
    path = Path("in/a.webp")
    texture = np.random.default_rng(1).integers(0, 256, (350, 450), dtype=np.uint8)
    image = photo((450, 350), cut_out=True)
    image.paste(Image.fromarray(texture).convert("RGBA"), mask=image.getchannel("A"))
    data = encoded(image, "WEBP")
    half = len(data) // 2
    arguments = ["run", "in", "-d", SCENE, "--watch", "--settle", "0.3", "--gate", "off", "--max-calls", "9"]
    with HostileServer(ok()) as server:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "photio_prep", *arguments, "--api-url", server.url],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PHOTIO_API_KEY": KEY},
        )
        lines: list[str] = []
        ears = threading.Thread(target=lambda: lines.extend(process.stderr or ()))
        ears.start()
        try:
            for written in (data[:half], data[:half] + bytes(len(data) - half)):
                errors = sum("error: in/a.webp" in line for line in lines)
                path.write_bytes(written)
                wait_until(lambda: sum("error: in/a.webp" in line for line in lines) > errors, process)  # noqa: B023
            assert server.requests == []
            with path.open("r+b") as file:
                file.seek(half)
                file.write(data[half:])
            wait_until(lambda: any("drift: in/a.webp" in line for line in lines), process)
        finally:
            process.send_signal(signal.SIGTERM)
            ears.join()
            process.communicate(timeout=60)
        assert process.returncode == 143
        assert len(server.requests) == 1
    assert ["hole" in line for line in lines if "error: in/a.webp" in line] == [False, True]
    (only,) = find_orders(Path("photio-out"))
    assert only


def finals() -> list[Path]:
    return sorted(Path("photio-out").glob("*-photio.png"))
