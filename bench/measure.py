"""How things are measured: in pairs, A B A B …, so that a slow minute of the machine hits both; medians of ratios."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Spent:
    """What one run took: seconds by the clock and of the processors, and memory at its highest (0: not measured)."""

    wall: float
    cpu: float
    mib: float = 0


@dataclass(frozen=True)
class Row:
    """Ours against another way. Ratios are ours / theirs of each pair, their median; the rest are medians."""

    what: str
    wall: float
    cpu: float
    memory: float | None
    ours: Spent
    theirs: Spent

    def __str__(self) -> str:
        memory = f"{self.memory:6.2f}" if self.memory is not None else "     –"
        told = f"{self.ours.wall:8.2f} {self.theirs.wall:8.2f} {self.ours.mib:6.0f} {self.theirs.mib:6.0f}"
        return f"{self.what:52.52s} {self.wall:6.2f} {self.cpu:6.2f} {memory} {told}"


_NAMES = (f"{each:>8s}" for each in ("ours s", "theirs s"))
HEAD = " ".join([f"{'ours / theirs':52s}   wall    CPU memory", *_NAMES, "   MiB    MiB"])


def here(work: Callable[[], object]) -> Spent:
    """One run in this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Spent(time.perf_counter() - wall, time.process_time() - cpu)


def command(words: list[str], environment: dict[str, str] | None = None) -> Spent:
    """One run of a command, which must succeed; its memory is its own."""
    wall = time.perf_counter()
    started = [sys.executable, "-S", "-c", _LAUNCH, *words]
    told = subprocess.run(started, env=os.environ | (environment or {}), capture_output=True, text=True)
    wall = time.perf_counter() - wall
    if told.returncode:
        raise RuntimeError(f"{words} ended with {told.returncode}: {told.stderr[-500:]}")
    cpu, kib = map(float, told.stdout.split())
    return Spent(wall, cpu, kib / 1024)


# What a process takes at most counts from before it became another program, so a large one like this must not start it.
_LAUNCH = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
sys.exit(code)
"""


def paired(what: str, ours: Callable[[], Spent], theirs: Callable[[], Spent], runs: int, *, warm: int = 1) -> Row:
    """Both ways by turns, after as many runs of each that do not count as `warm` says."""
    for _ in range(warm):
        ours()
        theirs()
    pairs = [(ours(), theirs()) for _ in range(runs)]

    def middle(of: Callable[[Spent], float]) -> tuple[float, float]:
        return statistics.median(of(one) for one, _ in pairs), statistics.median(of(other) for _, other in pairs)

    wall, cpu = (
        statistics.median(one.wall / other.wall for one, other in pairs),
        statistics.median(one.cpu / max(other.cpu, 1e-6) for one, other in pairs),
    )
    walls, cpus, mibs = middle(lambda each: each.wall), middle(lambda each: each.cpu), middle(lambda each: each.mib)
    memory = mibs[0] / mibs[1] if mibs[1] else None
    return Row(what, wall, cpu, memory, *(Spent(*each) for each in zip(walls, cpus, mibs, strict=True)))
