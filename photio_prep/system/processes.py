"""Start a process of our own; identify a process across the reuse of its number, reboots, and namespaces."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import IO, cast

# With sys.path the child finds this package even if it is not installed.
_START = """
import importlib, json, sys
sys.path[:] = json.loads(sys.argv[1])
getattr(importlib.import_module(sys.argv[2]), sys.argv[3])()
"""


class Child:
    """A process of our own that calls a function of this package; `tasks` and `replies` are its pipes.

    It is started like any program, not forked and not by `multiprocessing`, so that none of the caller's code runs
    twice. `variables` is its whole environment; `quiet`: what it writes on standard error is dropped. `inherited`:
    descriptors that it has under the same numbers.

    Raises OSError if no process can be started.
    """

    def __init__(
        self,
        module: str,
        function: str,
        variables: Mapping[str, str],
        *,
        quiet: bool = False,
        inherited: tuple[int, ...] = (),
    ) -> None:
        self.owner = os.getpid()
        paths = json.dumps([path for path in sys.path if isinstance(path, str)])
        self.process = subprocess.Popen(  # noqa: S603  our own interpreter and source text
            [sys.executable, "-I", "-c", _START, paths, module, function],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if quiet else None,
            env=variables,
            pass_fds=inherited,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        self.tasks, self.replies = cast("tuple[IO[bytes], IO[bytes]]", (self.process.stdin, self.process.stdout))

    def close(self, patience: float = 0) -> int:
        """End the process, in the middle of a task too, unless it ends in `patience` seconds; its return code.

        A fork of the process that started it only forgets it.
        """
        if self.owner != os.getpid():
            self.process.returncode = 0  # else subprocess warns of it
        else:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)
            self.process.kill()
        for pipe in (self.tasks, self.replies):
            with contextlib.suppress(OSError):
                pipe.close()
        return self.process.wait()


if sys.platform == "linux":

    @cache
    def boot_id() -> str:
        """Identifier of this boot of the machine."""
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()

    def start_time(pid: int | str) -> str | None:
        """When process `pid` ("self" for this one) started, in ticks since boot; None if there is no such process.

        OSError if /proc cannot be read, for instance because too many files are open.
        """
        try:
            # Field 22, clock ticks since boot. The name in field 2 may hold spaces and brackets.
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        except (FileNotFoundError, ProcessLookupError, IndexError):
            return None

    def namespace() -> str:
        """The PID namespace of this process, one per container; "" if the system hides it."""
        with contextlib.suppress(OSError):
            return str(Path("/proc/self/ns/pid").readlink())
        return ""

    def lists_ours() -> bool:
        """Whether /proc lists the processes of this process's namespace, and not those of its parent's."""
        with contextlib.suppress(OSError):
            return Path("/proc/self").readlink().name == str(os.getpid())
        return False

else:
    import psutil

    @cache
    def boot_id() -> str:
        """Identifier of this boot of the machine."""
        return str(int(psutil.boot_time()))

    def start_time(pid: int | str) -> str | None:
        """When process `pid` ("self" for this one) started; None if there is no such process."""
        try:
            return str(psutil.Process(None if pid == "self" else int(pid)).create_time())
        except psutil.Error:
            return None

    def namespace() -> str:
        """The PID namespace of this process; "" if the system has none."""
        return ""

    def lists_ours() -> bool:
        """Whether the system lists the processes of this process's namespace."""
        return True


# PROC_PID_INIT_INO of Linux: the namespace of the machine itself, the same on every machine and after every boot.
_INITIAL = "pid:[4026531836]"


def contained() -> bool:
    """Whether this process runs in a container's namespace, whose number another container may get later."""
    return namespace() not in ("", _INITIAL)


def machine() -> str:
    """The machine-id of systemd, the same after a reboot; "" without one."""
    with contextlib.suppress(OSError):
        return Path("/etc/machine-id").read_text().strip()[:64]
    return ""
