"""Who pays for an order: a claim, made by exclusive creation, and whether the process that made it is alive.

ours       this process made it
alive      another process, listed by this system
dead       a process of this system that has ended, or of an earlier boot
elsewhere  another machine or container: not visible from here, so never reported as dead
"""

import contextlib
import json
import os
import platform
import secrets
import time
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from photio_prep.errors import StorageFailed
from photio_prep.system import files, processes

_TEXTS = ("host", "boot", "started", "time", "namespace", "machine", "id")
Holder = Literal["ours", "alive", "dead", "elsewhere"]

NAME = "claim.json"
# Seconds to wait for a claim that is being written, on a file system without hard links.
_WRITING = 1.0


@dataclass(frozen=True, slots=True)
class Claim:
    """The process that claimed an order: number, start time, boot, PID namespace, machine. `id` is unique per claim.

    The last three are "" in claims of version 0.1 before November 2026.
    """

    host: str
    boot: str
    pid: int
    started: str
    time: str
    namespace: str = ""
    machine: str = ""
    id: str = ""
    # Inode of its file when last read: identifies it after a move, without opening it.
    inode: int = field(default=0, compare=False)

    @property
    def where(self) -> str:
        """The process, for messages."""
        return f"pid {self.pid}" + (f" of {self.namespace}" if self.namespace else "")


def claim(path: Path) -> Claim | None:
    """Write a claim for this process, durable on return; None if another claim exists.

    Raises StorageFailed if it cannot be written; no claim is left then.
    """
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    with files.storage_errors(path):
        process = platform.node(), processes.boot_id(), os.getpid(), processes.start_time("self") or ""
        mine = Claim(*process, now, processes.namespace(), processes.machine(), secrets.token_hex(8))
    members = {name: value for name, value in asdict(mine).items() if name != "inode"}
    try:
        files.write_atomic(path, json.dumps(members).encode(), overwrite=False)
    except FileExistsError:
        return None
    return replace(mine, inode=_read_inode(path))


def read_claim(path: Path) -> Claim | None:
    """The claim at `path`, or None; StorageFailed if it cannot be read."""
    end = time.monotonic() + _WRITING
    while True:
        try:
            raw = files.read_nofollow(path, files.RECORD)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageFailed(f"cannot be read ({error.strerror or error})", "Check the disk", str(path)) from error
        if (parsed := _parse(raw)) is not None:
            return replace(parsed, inode=_read_inode(path))
        if time.monotonic() >= end:
            # Only a crash leaves a partial claim: its process is dead, and may have paid.
            return Claim("", "", 0, "", "")
        time.sleep(0.05)


def _read_inode(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat(follow_symlinks=False).st_ino
    return 0


def _parse(raw: bytes) -> Claim | None:
    """Parse a claim; None for a partial one. Members added by later versions are ignored."""
    try:
        members = json.loads(raw)
        parsed = Claim(**{name: members[name] for name in (*_TEXTS, "pid") if name in members})
    except (ValueError, TypeError, RecursionError):
        return None
    texts = all(isinstance(getattr(parsed, name), str) for name in _TEXTS)
    return parsed if texts and type(parsed.pid) is int else None


def claim_owner(claim: Claim) -> Holder:
    """Who holds a claim; StorageFailed if the system does not list its processes: none must be taken for dead then."""
    if claim.host not in ("", platform.node()) or (claim.namespace and claim.namespace != processes.namespace()):
        return "elsewhere"
    with files.storage_errors(Path("/proc")):
        if claim.boot != processes.boot_id():
            # The same host name, another boot: this machine was restarted, or another one has the same name.
            rebooted = not processes.contained() and claim.machine in ("", processes.machine())
            return "dead" if rebooted or not claim.namespace else "elsewhere"
        if claim.pid == os.getpid() and processes.start_time("self") == claim.started:
            return "ours"
        # A claim of early version 0.1 has no namespace: in a container it may come from another one.
        unnamed = not claim.namespace and processes.contained() and processes.start_time(claim.pid) != claim.started
        if unnamed or not processes.lists_ours():
            return "elsewhere"
        return "alive" if processes.start_time(claim.pid) == claim.started else "dead"


def attempts(folder: Path) -> list[Path]:
    """The folders of calls that the user resolved as "retry", newest first; each holds the claim of its call."""
    with files.storage_errors(folder):
        paths = {path.name.removeprefix("attempt-"): path for path in folder.glob("attempt-*")}
        numbers = [name for name, path in paths.items() if name.isdecimal() and (path / NAME).is_file()]
    return [paths[number] for number in sorted(numbers, key=int, reverse=True)]


def claim_root(folder: Path, claim: Claim) -> Path | None:
    """The folder of a call: the order's, or its attempt folder once resolved; None (write nothing) without either."""
    return folder if _is_at(folder, claim) else next((path for path in attempts(folder) if _is_at(path, claim)), None)


def _is_at(folder: Path, claim: Claim) -> bool:
    if claim.inode and _read_inode(folder / NAME) == claim.inode:
        return True
    current = read_claim(folder / NAME)
    return current is not None and current.id == claim.id
