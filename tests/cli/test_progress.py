"""What a long command says of itself while it works."""

import os
import pty
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from photio_prep.cli import progress
from photio_prep.cli.progress import Progress
from photio_prep.orders.state import State
from tests.support.photos import mask, photo, saved


def test_plain_lines_off_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_PAUSE", 0.0)
    said: list[str] = []
    counting = Progress(3, "run", said.append)
    counting.step({State.FINISHED: 1}, 0.5)
    counting.step({State.FINISHED: 1, State.UNKNOWN: 1}, 1.0)
    counting.step({State.FINISHED: 1, State.UNKNOWN: 1, State.REFUSED: 1})
    counting.close()
    assert [each.partition("; about ")[0] for each in said] == [
        "run: 1 of 3: 1 finished, 0.50 spent",
        "run: 2 of 3: 1 finished, 1 unknown, 1.00 spent",
    ]
    assert all(each.endswith(" left") for each in said)


def test_the_time_left_is_that_of_photos_that_took_work(monkeypatch: pytest.MonkeyPatch) -> None:
    # The start; then two that were done before, a call, one done before, a call.
    clock = iter([0.0, 0.1, 0.2, 10.2, 10.3, 20.3])
    monkeypatch.setattr(progress, "_PAUSE", 0.0)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock, 20.3))
    said: list[str] = []
    counting = Progress(100, "run", said.append)
    for done, worked in enumerate([False, False, True, False, True], 1):
        counting.step({State.FINISHED: done}, worked=worked)
    left = [each.partition("; about ")[2] for each in said]
    assert left == ["", "", "16:10 left", "16:00 left", "15:50 left"]


def test_not_too_many_plain_lines() -> None:
    said: list[str] = []
    counting = Progress(100, "run", said.append)
    for done in range(99):
        counting.step({State.FINISHED: done})
    assert said == []


def test_one_line_that_stays_on_a_terminal(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        saved(tmp_path / "photos" / name, photo((90 + len(name), 70)))
    saved(tmp_path / "mask.png", mask((95, 70)))
    controller, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (40, 200))
    command = [
        sys.executable,
        "-m",
        "photio_prep",
        "prepare",
        "photos",
        "--mask",
        "mask.png",
        "--gate",
        "off",
        "--json",
    ]
    done = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=terminal, check=False)
    os.close(terminal)
    said = os.read(controller, 65536).decode()
    os.close(controller)
    assert len(done.stdout.splitlines()) == 3
    assert "prepare:" in said
    assert "0/3" in said
