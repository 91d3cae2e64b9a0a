"""How far an order got, by what lies in its folder.

Takes order folders; gives states, outcomes and finished marks. Touches the disk.
Raises StorageFailed for what cannot be written or read back, UsageError for a word on what is not unknown.
"""

from collections.abc import Mapping
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any

import platformdirs

from photio_prep import claims, files
from photio_prep.errors import StorageFailed, UsageError
from photio_prep.facts import AGAIN, now, read_if_there, written
from photio_prep.orders import Origin


class State(StrEnum):
    """How far an order got. `refused` is a photo that never became one."""

    PLANNED = "planned"
    CLAIMED = "claimed"
    ANSWERED = "answered"
    FINISHED = "finished"
    UNKNOWN = "unknown"
    REJECTED = "rejected"
    PAID_UNUSABLE = "paid_unusable"
    REFUSED = "refused"


# A whole answer with a usable picture is kept.
ANSWERED = frozenset({State.ANSWERED, State.FINISHED})
# Each of these was billed, unless it is of the sandbox.
BILLED = ANSWERED | {State.PAID_UNUSABLE}


def tally(counts: Mapping[State, int]) -> str:
    """How many ended how, for people."""
    return ", ".join(f"{counts[each]} {each.replace('_', ' ')}" for each in State if each in counts)


def state(folder: Path) -> State:
    """How far the order in `folder` got, by what lies in it."""
    outcome = read_outcome(folder)
    if outcome is not None:
        return State(outcome["state"])
    if (folder / "answer.raw").exists() or rescued(folder).exists():
        photos, finished = (len(list(folder.glob(f"{each}-*.json"))) for each in ("photo", "finished"))
        return State.FINISHED if finished >= photos else State.ANSWERED
    found = claims.read(folder / "claim.json")
    if found is None:
        return State.PLANNED
    return State.UNKNOWN if claims.holder(found) == "dead" else State.CLAIMED


def read_outcome(folder: Path) -> dict[str, Any] | None:
    """How the order ended, where that was no success."""
    ended = read_if_there(folder / "outcome.json")
    if ended is not None and (ended.get("state") not in list(State) or not isinstance(ended.get("why"), str)):
        raise StorageFailed("not what was written there", AGAIN, subject=str(folder / "outcome.json"))
    return ended


def write_outcome(folder: Path, ended: State, why: str) -> None:
    """Note that the order ended without success."""
    files.write_whole(folder / "outcome.json", written({"state": ended, "why": why, "time": now()}))


def rescued(folder: Path) -> Path:
    """Where the answer of this order lies if its own folder failed when it came."""
    return platformdirs.user_state_path("photio-prep", appauthor=False) / "rescued" / f"{folder.resolve().name}.raw"


def resolve(folder: Path, *, retry: bool) -> None:
    """The user's word on an unknown outcome: planned again (`retry`), or given up. What was left is set aside.

    Raises:
        UsageError: The outcome is not unknown.
    """
    found = state(folder)
    if found is not State.UNKNOWN:
        raise UsageError(f"its outcome is not unknown, it is {found}", "Nothing to resolve", subject=str(folder))
    if not retry:
        ended = read_outcome(folder) or {"why": "its process died while it paid"}
        files.write_whole(folder / "outcome.json", written({**ended, "state": State.UNKNOWN, "resolved": "lost"}))
        return
    aside = folder / f"attempt-{resolved(folder) + 1}"
    with files.storage(aside):
        aside.mkdir()
        # The claim goes last: until then the order is not planned again.
        for name in ("answer.part", "answer.raw", "outcome.json", "claim.json"):
            if (folder / name).exists():
                (folder / name).replace(aside / name)
        files.sync_folder(aside)
        files.sync_folder(folder)


def given_up(folder: Path) -> bool:
    """Whether the user gave an unknown outcome up as lost."""
    return (read_outcome(folder) or {}).get("resolved") == "lost"


def resolved(folder: Path) -> int:
    """How many calls of this order were lost and then tried again: each perhaps billed."""
    return sum(1 for each in folder.glob("attempt-*") if each.is_dir())


def mark_finished(folder: Path, origin: Origin, path: Path, data: bytes, made: str = "") -> None:
    """Note where the final of `origin` lies, with its digest and size, and by which options it was made."""
    files.write_whole(folder / f"finished-{origin.id}.json", _mark(path, data, made=made))


def mark_shelved(folder: Path, origin: Origin, preset: str, path: Path, data: bytes) -> None:
    """Note where the file of `origin` for a preset lies, with its digest and size."""
    files.write_whole(folder / f"shelf-{origin.id}-{preset}.json", _mark(path, data))


def shelved(folder: Path, origin: Origin, preset: str) -> dict[str, Any] | None:
    """The mark of the file of `origin` for a preset, if there is one."""
    return read_if_there(folder / f"shelf-{origin.id}-{preset}.json")


def _mark(path: Path, data: bytes, **more: str) -> bytes:
    return written({"path": str(path), "sha256": sha256(data).hexdigest(), "bytes": len(data), "time": now(), **more})


def same(path: Path, mark: dict[str, Any]) -> bool:
    """Whether the file at `path` is, byte for byte, the one that was noted."""
    return path.stat().st_size == mark.get("bytes") and files.own_digest(path) == mark.get("sha256", "missing")


def finished(folder: Path, origin: Origin) -> dict[str, Any] | None:
    """The finished mark of `origin`, if there is one."""
    return read_if_there(folder / f"finished-{origin.id}.json")
