"""Who is paying for an order right now: a claim made by exclusive creation, and whether its maker still lives.

Takes the path of a claim; gives its maker. Touches the disk.
Raises StorageFailed when a claim cannot be written or read.
"""

import json
import os
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from photio_prep import files, processes
from photio_prep.errors import StorageFailed

Holder = Literal["ours", "alive", "dead", "elsewhere"]


@dataclass(frozen=True, slots=True)
class Claim:
    """Who claimed an order, and when. A process is known by its number, its start, and the boot it started in."""

    host: str
    boot: str
    pid: int
    started: str
    time: str


def claim(path: Path) -> Claim | None:
    """Claim for this process, durable before it returns; None when somebody else was first.

    Raises:
        StorageFailed: It cannot be written; no claim is left.
    """
    pid, now = os.getpid(), datetime.now(UTC).isoformat(timespec="seconds")
    with files.storage(path):
        mine = Claim(platform.node(), processes.boot(), pid, processes.started(pid) or "", now)
    try:
        files.write_whole(path, json.dumps(asdict(mine)).encode(), overwrite=False)
    except FileExistsError:
        return None
    return mine


def read(path: Path) -> Claim | None:
    """The claim at `path`; None where there is none.

    Raises:
        StorageFailed: It cannot be read.
    """
    try:
        raw = files.read_own(path, files.FACTS)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageFailed(f"cannot be read ({error.strerror})", "Check the disk", subject=str(path)) from error
    try:
        return _parsed(raw)
    except (ValueError, TypeError, RecursionError):
        # Only a file system without hard links can show a claim before it is whole, and only a crash can leave it so.
        return Claim("", "", 0, "", "")


def _parsed(raw: bytes) -> Claim:
    claim = Claim(**json.loads(raw))
    if type(claim.pid) is not int or not all(isinstance(each, str) for each in (claim.host, claim.boot, claim.started)):
        raise TypeError("not as it is written")
    return claim


def holder(found: Claim) -> Holder:
    """Who holds a claim: this process, another living one, a dead one, or another machine.

    Raises:
        StorageFailed: The system does not tell. It must not be taken for dead then.
    """
    if found.host not in ("", platform.node()):
        return "elsewhere"
    with files.storage(Path("/proc")):
        if found.boot != processes.boot() or processes.started(found.pid) != found.started:
            return "dead"
    return "ours" if found.pid == os.getpid() else "alive"
