"""Kills a run at every point that matters, runs it once more in peace, and lets the test judge what is left.

Takes: a runner (how one run is started), a folder to watch, a `reset`. Gives: one `KillResult` per point.
Touches: child processes; the folder only through them and `reset`.

Three runners with one interface: `Forked` (a fork per point, the main one), `Spawned` (a fresh interpreter per point,
the portable one), `Straced` in `tests.crash.straced` (the kernel's own view, nothing of the interpreter trusted).
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

CHECKOUT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Point:
    """One call at which a run can be cut: the `number`-th relevant one, or of its kind under strace."""

    number: int
    kind: str
    detail: str
    can_tear: bool = False
    torn: bool = False
    error: int = 0  # an errno: do not die, but let every write and sync from here on fail with it

    def __str__(self) -> str:
        return f"{'half-way in' if self.torn else 'before'} {self.kind} {self.detail} ({self.number})"


@dataclass(frozen=True, slots=True)
class Run:
    """How one run ended: an exit status, or minus the signal's number."""

    status: int
    seconds: float
    output: str
    timed_out: bool = False

    @property
    def killed(self) -> bool:
        return self.status == -signal.SIGKILL and not self.timed_out


@dataclass(frozen=True, slots=True)
class KillResult:
    """A run that was cut (or ended before its point came) and the clean run after it."""

    point: Point | None
    cut: Run
    clean: Run | None = None


class Runner(Protocol):
    """One way of starting the run; `kill_after` is in seconds from its start."""

    def run(self, point: Point | None = None, *, kill_after: float | None = None) -> Run: ...

    def points(self) -> list[Point]: ...


class Forked:
    """Runs `module:function` with `arguments` in forks of a process that has imported it already."""

    def __init__(self, target: str, arguments: Sequence[str], root: Path, *, limit: float = 60) -> None:
        self._target, self._limit = target, limit
        self.take(arguments, root)

    def take(self, arguments: Sequence[str], root: Path) -> None:
        """Other arguments and another root from now on; the imports are not paid for again."""
        self._arguments, self._root = list(arguments), root

    def __enter__(self) -> Forked:
        self._scratch = tempfile.TemporaryDirectory(prefix="crash-")
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.forkserver", self._target],
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            self._answer()
        except RuntimeError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._server.communicate()
        self._scratch.cleanup()

    def run(self, point: Point | None = None, *, kill_after: float | None = None) -> Run:
        return self._run(point, kill_after=kill_after)

    def points(self) -> list[Point]:
        trace = Path(self._scratch.name, "trace.json")
        _require_success(self._run(trace=str(trace)))
        return _read_trace(trace)

    def _run(self, point: Point | None = None, *, kill_after: float | None = None, trace: str | None = None) -> Run:
        log = Path(self._scratch.name, "log.txt")
        order = {
            "args": self._arguments,
            "root": str(self._root.resolve()),
            "at": point.number if point else 0,
            "torn": bool(point and point.torn),
            "error": point.error if point else 0,
            "kill_after": kill_after,
            "limit": self._limit,
            "trace": trace,
            "log": str(log),
        }
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        said = self._answer()
        output = log.read_text(errors="replace")[-4000:]
        return Run(int(said["status"]), said["seconds"], output, bool(said["timed_out"]))

    def _answer(self) -> dict[str, float]:
        assert self._server.stdout is not None
        line = self._server.stdout.readline()
        if not line:
            raise RuntimeError(f"the fork server for {self._target} ended; its traceback is above")
        answer: dict[str, float] = json.loads(line)
        return answer


@dataclass(frozen=True, slots=True)
class Spawned:
    """Runs any command; points and torn writes need one made by `bootstrapped`, kills by time do not."""

    command: Sequence[str]
    root: Path
    limit: float = 60

    def run(self, point: Point | None = None, *, kill_after: float | None = None) -> Run:
        return self._run(point, kill_after=kill_after)

    def points(self) -> list[Point]:
        with tempfile.TemporaryDirectory(prefix="crash-") as scratch:
            trace = Path(scratch, "trace.json")
            _require_success(self._run(trace=str(trace)))
            return _read_trace(trace)

    def _run(self, point: Point | None = None, *, kill_after: float | None = None, trace: str | None = None) -> Run:
        plan: dict[str, object] = {"root": str(self.root.resolve()), "trace": trace}
        if point:
            plan |= {"at": point.number, "torn": point.torn, "error": point.error}
        return run_command(
            self.command, env={"PHOTIO_CRASH": json.dumps(plan)}, kill_after=kill_after, limit=self.limit
        )


def bootstrapped(target: str, *arguments: str) -> list[str]:
    """The command that runs `module:function` in a fresh interpreter with the counters in place."""
    return [sys.executable, "-m", "tests.crash.bootstrap", target, *arguments]


def run_command(
    command: Sequence[str], *, env: dict[str, str] | None = None, kill_after: float | None = None, limit: float = 60
) -> Run:
    """Run a command to its end, or SIGKILL it and all its children after `kill_after` seconds."""
    started = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=CHECKOUT,
        env=os.environ | (env or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    timed_out = False
    try:
        output, _ = process.communicate(timeout=limit if kill_after is None else kill_after)
    except subprocess.TimeoutExpired:
        timed_out = kill_after is None
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
    return Run(process.returncode, time.monotonic() - started, output[-4000:], timed_out)


def with_torn(points: Iterable[Point]) -> list[Point]:
    """Each point, and once more half-way in where it writes or sends."""
    return [each for point in points for each in ([point, replace(point, torn=True)] if point.can_tear else [point])]


def sweep(
    runner: Runner,
    points: Sequence[Point] | None = None,
    *,
    reset: Callable[[], object],
    after: Callable[[KillResult], object] | None = None,
) -> list[KillResult]:
    """For each point: reset, run and die there, run cleanly, let `after` look; points come from a dry run if not given.

    A point that no longer comes up (timing moved a receive) shows as `cut.killed` False; the test says how many may.
    """
    if points is None:
        reset()
        points = with_torn(runner.points())
    results = []
    for point in points:
        reset()
        cut = runner.run(point)
        result = KillResult(point, cut, runner.run())
        results.append(result)
        if after:
            after(result)
    return results


def random_kills(
    runner: Runner,
    within: tuple[float, float],
    *,
    times: int = 50,
    seed: int = 1,
    refill: Callable[[], object],
    after: Callable[[KillResult], object] | None = None,
    ends: frozenset[int] = frozenset({0}),
) -> list[KillResult]:
    """SIGKILL runs after a random time of `within` seconds until `times` of them died; each goes on where the last did.

    A run that ends before its kill had nothing left to do: `refill` judges the finished batch and lays out a new one.
    `ends` are the exit statuses that such a run may have.
    """
    dice = random.Random(seed)
    results: list[KillResult] = []
    idle = 0
    while len(results) < times:
        cut = runner.run(kill_after=dice.uniform(*within))
        if cut.killed:
            results.append(KillResult(None, cut))
            if after:
                after(results[-1])
            continue
        idle += 1
        if cut.status not in ends or idle > times + 20:
            raise RuntimeError(f"the run ended with {cut.status}, {idle} times before its kill:\n{cut.output}")
        refill()
    return results


def _require_success(run: Run) -> None:
    if run.status != 0:
        raise RuntimeError(f"the dry run ended with {run.status}:\n{run.output}")


def _read_trace(trace: Path) -> list[Point]:
    seen = json.loads(trace.read_text())
    return [Point(number, kind, detail, can_tear) for number, (kind, detail, can_tear) in enumerate(seen, 1)]
