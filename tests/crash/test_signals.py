"""Ctrl-C, SIGTERM, a closed terminal or pipe (F55, F56): the real command line, while calls are in flight."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from photio_prep.orders.folder import OrderFolder, find_orders
from photio_prep.orders.state import State
from tests.crash import product
from tests.crash.harness import CHECKOUT
from tests.support import photos
from tests.support.commands import with_default_signals
from tests.support.hostile import HostileServer
from tests.support.hostile_answers import ok
from tests.support.hostile_exchange import Behaviour, Exchange
from tests.support.sampling import sampled

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")

STOPPING = "stopping: nothing new is sent"


class Gate:
    """Answers wait until the test opens it; `entered` counts the requests that came."""

    def __init__(self) -> None:
        self.open = threading.Event()

    def behaviour(self) -> Behaviour:
        def act(exchange: Exchange) -> None:
            request = exchange.request
            while not self.open.is_set():
                exchange.sleep(0.01)
            exchange.send(ok().make(request).wire())

        return Behaviour("gated", act)


@dataclass
class Running:
    """A command that runs, its output folder, the server that it calls, and the file that its stderr goes to."""

    process: subprocess.Popen[bytes]
    server: HostileServer
    out: Path
    log: Path

    def until_in_flight(self, calls: int) -> None:
        deadline = time.monotonic() + 60
        while self.server.hits < calls:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def until_it_says(self, words: str) -> None:
        """Wait for words on stderr: a signal is heard then, however busy the machine is."""
        deadline = time.monotonic() + 60
        while words not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.01)

    def signalled(self, number: int) -> float:
        now = time.monotonic()
        os.kill(self.process.pid, number)
        return now

    def end(self) -> tuple[int, str]:
        code = self.process.wait(60)
        return code, self.log.read_text()

    def states(self) -> list[State]:
        return [OrderFolder(folder).state for folder in find_orders(self.out)]


def many_photos(folder: Path, count: int) -> Path:
    for number in range(count):
        photos.saved(folder / f"{number:02}.png", photos.cutout(shade=120 + number))
    return folder


@pytest.fixture
def gate() -> Gate:
    return Gate()


@contextmanager
def running(command: list[str], out: Path, server: HostileServer) -> Iterator[Running]:
    log = out.parent / "stderr.txt"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            with_default_signals(command),
            cwd=CHECKOUT,
            env={**os.environ, "PHOTIO_API_KEY": product.KEY},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
    try:
        yield Running(process, server, out, log)
    finally:
        process.kill()
        process.wait()


def the_run(server: HostileServer, tmp_path: Path, count: int = 12, jobs: int = 2) -> list[str]:
    pictures = many_photos(tmp_path / "in", count)
    given = ["run", pictures, "-d", photos.SCENE, "--out", tmp_path / "out", "--api-url", server.url, "--jobs", jobs]
    return [sys.executable, "-W", "error", "-m", "photio_prep", *map(str, given)]


@pytest.fixture
def gated(gate: Gate) -> Iterator[HostileServer]:
    with HostileServer(gate.behaviour()) as server:
        yield server
        gate.open.set()


@sampled(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 143)], 1)
def test_f55_f56_once_what_is_in_flight_is_kept_and_nothing_new_leaves(
    gated: HostileServer, gate: Gate, tmp_path: Path, number: str, code: int
):
    with running(the_run(gated, tmp_path), tmp_path / "out", gated) as it:
        it.until_in_flight(2)
        it.signalled(getattr(signal, number))
        it.until_it_says(STOPPING)
        gate.open.set()
        ended, err = it.end()
    assert ended == code, err
    assert gated.hits == 2
    assert err.count(STOPPING) == 1
    states = it.states()
    assert (states.count(State.FINISHED), states.count(State.UNKNOWN)) == (2, 0)
    assert set(states) <= {State.FINISHED, State.PLANNED}


# Cutting out takes seconds in which no Python runs in the main thread, as in a model; "idle" tells their end.
SLOW_TO_PREPARE = """
import hashlib, sys
from photio_prep import cli, pipeline
def slow(*given, pad=pipeline.pad):
    if (made := len(list(__import__("pathlib").Path(sys.argv[-1]).glob("*")))) >= 4:
        open(sys.argv[-1] + "/busy", "w").close()
        hashlib.pbkdf2_hmac("sha256", b"", b"", 6_000_000)
        open(sys.argv[-1] + "/idle", "w").close()
    open(f"{sys.argv[-1]}/{made}", "w").close()
    return pad(*given)
pipeline.pad = slow
cli.main(sys.argv[1:-1])
"""


@pytest.mark.soak
def test_f55_no_new_call_after_ctrl_c_even_while_the_main_thread_is_inside_a_model(tmp_path: Path):
    first, rest = Gate(), Gate()

    def script(number: int, exchange: Exchange) -> Behaviour:
        return (first if number == 1 else rest).behaviour()

    notes = tmp_path / "notes"
    notes.mkdir()
    with HostileServer(script) as server:
        command = [sys.executable, "-c", SLOW_TO_PREPARE, *the_run(server, tmp_path, 8)[5:], str(notes)]
        with running(command, tmp_path / "out", server) as it:
            # Two calls are in flight, two more orders wait for a thread; the fifth is made when the first has ended.
            it.until_in_flight(2)
            first.open.set()
            it.until_in_flight(3)
            while not (notes / "busy").exists():
                time.sleep(0.01)
            at = it.signalled(signal.SIGINT)
            it.until_it_says(STOPPING)
            assert not (notes / "idle").exists(), "it heard the signal only when the main thread ran Python again"
            rest.open.set()
            ended, err = it.end()
            late = [round(request.opened - at, 2) for request in server.requests if request.opened > at]
        assert (ended, late, len(server.requests)) == (130, [], 3), err
        assert it.states().count(State.FINISHED) == 3


@sampled(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143)], 1)
def test_f55_twice_it_leaves_at_once_and_what_was_in_flight_is_unknown(
    gated: HostileServer, tmp_path: Path, number: str, code: int
):
    with running(the_run(gated, tmp_path, 4), tmp_path / "out", gated) as it:
        it.until_in_flight(2)
        it.signalled(getattr(signal, number))
        it.until_it_says(STOPPING)
        it.signalled(getattr(signal, number))
        ended, _ = it.end()  # it does not wait for the calls, which would take for ever
    assert ended == code
    assert it.states().count(State.UNKNOWN) == gated.hits == 2


@pytest.mark.soak
def test_f56_a_closed_pipe_stops_nothing(tmp_path: Path):
    with HostileServer(ok()) as server:
        command = the_run(server, tmp_path, 4, 1)
        done = subprocess.run(
            ["bash", "-c", 'set -o pipefail; "$0" "$@" 2>&1 | head -1', *command],
            cwd=CHECKOUT,
            env={**os.environ, "PHOTIO_API_KEY": product.KEY},
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, server.charges) == (0, 4)
        assert len(done.stdout.splitlines()) == 1
    assert len(list((tmp_path / "out").glob("*-photio.png"))) == 4


@pytest.mark.soak
def test_f56_under_nohup_a_closed_terminal_stops_nothing(gated: HostileServer, gate: Gate, tmp_path: Path):
    command = ["/bin/sh", "-c", 'trap "" HUP; exec "$0" "$@"', *the_run(gated, tmp_path, 3)]
    with running(command, tmp_path / "out", gated) as it:
        it.until_in_flight(2)
        it.signalled(signal.SIGHUP)
        gate.open.set()
        ended, err = it.end()
    assert (ended, gated.charges) == (0, 3), err


@pytest.mark.soak
@pytest.mark.parametrize("number", ["SIGINT", "SIGHUP"])
def test_what_the_tests_ignore_their_children_do_not(gated: HostileServer, gate: Gate, tmp_path: Path, number: str):
    """The tests themselves may run under nohup, or behind `&` in a script."""
    before = signal.signal(getattr(signal, number), signal.SIG_IGN)
    try:
        with running(the_run(gated, tmp_path, 3), tmp_path / "out", gated) as it:
            it.until_in_flight(2)
            it.signalled(getattr(signal, number))
            it.until_it_says(STOPPING)
            gate.open.set()
            ended, err = it.end()
    finally:
        signal.signal(getattr(signal, number), before)
    assert (ended, gated.charges) == (130 if number == "SIGINT" else 143, 2), err
