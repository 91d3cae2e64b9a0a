"""The kernel's view of a run: strace lists the system calls that matter and kills before a chosen one.

Takes any command, gives `Point`s and `Run`s as the other runners do. Touches: strace, and so Linux with ptrace only.
Slower than forking (an interpreter's start and its traps per point) and blind to nothing: C code, other threads,
whatever a library does behind Python's back. `Straced.works()` says whether this machine allows it.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tests.crash.harness import Point, Run, run_command

if TYPE_CHECKING:
    from collections.abc import Sequence

CALLS = (
    "open,openat,creat,write,pwrite64,writev,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat,"
    "mkdir,mkdirat,rmdir,ftruncate,flock,sendfile,copy_file_range,connect,sendto,sendmsg,recvfrom,recvmsg"
)


@dataclass(frozen=True, slots=True)
class Straced:
    """Runs `command` under strace; a `Point` is the n-th call of its kind by one thread."""

    command: Sequence[str]
    root: Path
    limit: float = 60

    @staticmethod
    @cache
    def works() -> bool:
        """Whether strace is here and may trace and inject (containers often forbid ptrace)."""
        if not shutil.which("strace"):
            return False
        inject = ["-e", "trace=exit_group", "-e", "inject=exit_group:signal=SIGKILL"]
        return run_command(["strace", "-qq", "-o", "/dev/null", *inject, "true"]).killed

    def run(self, point: Point | None = None, *, kill_after: float | None = None) -> Run:
        inject = []
        if point:
            # strace counts per call name and thread, hence the points do so too.
            inject = ["-e", f"inject={point.kind}:signal=SIGKILL:when={point.number}"]
        return self._run("/dev/null", inject, point.kind if point else "none", kill_after)

    def points(self) -> list[Point]:
        with tempfile.TemporaryDirectory(prefix="strace-") as scratch:
            trace = Path(scratch, "trace.txt")
            run = self._run(str(trace), [], CALLS, None)
            if run.status != 0:
                raise RuntimeError(f"the dry run ended with {run.status}:\n{run.output}")
            lines = trace.read_text(errors="replace").splitlines()
        return self._read(lines)

    def _run(self, trace: str, inject: list[str], calls: str, kill_after: float | None) -> Run:
        # -y names the file or the peer behind each descriptor. --seccomp-bpf would let all other calls run at full
        # speed, but strace 6.1 then drops the injected signal without a word and the run lives on.
        options = ["-f", "-qq", "-y", "-s", "0", "-o", trace, "-e", f"trace={calls}", *inject]
        return run_command(["strace", *options, *self.command], kill_after=kill_after, limit=self.limit)

    def _read(self, lines: list[str]) -> list[Point]:
        counts: Counter[tuple[str, str]] = Counter()
        points = []
        for line in lines:
            # "1234  fsync(3</tmp/claim>) = 0"; a resumed call was counted when it began, signals are no calls.
            found = re.match(r"(\d+)\s+(\w+)\((.*)", line)
            if not found:
                continue
            thread, call, rest = found.groups()
            counts[thread, call] += 1
            if f"{self.root.resolve()}" in rest or re.search(r"<(TCP|socket):|AF_INET", rest):
                points.append(Point(counts[thread, call], call, rest[:400]))
        return points
