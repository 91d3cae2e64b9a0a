"""How far an order got, by what lies in its folder."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

from photio_prep.errors import StorageFailed, UsageError
from photio_prep.orders import answer_file, claims
from photio_prep.orders.origin import Origin
from photio_prep.orders.records import AGAIN, exact_now, now, read_if_there, written
from photio_prep.system import files


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
# Why an order is unknown whose claim is that of a dead process, before anybody has noted it.
DIED = "its process died while it paid"
# What outcome.json may say.
ENDED = frozenset({State.UNKNOWN, State.REJECTED, State.PAID_UNUSABLE})


def tally(counts: Mapping[State, int]) -> str:
    """How many ended how, for people."""
    return ", ".join(f"{counts[each]} {each.replace('_', ' ')}" for each in State if each in counts)


def state(folder: Path) -> State:
    """How far the order in `folder` got, by what lies in it."""
    outcome = read_outcome(folder)
    claim = claims.read(folder / claims.NAME)
    answer = answer_file.answer_path(folder, claim)
    if outcome is not None:
        # A whole, usable answer says more than an outcome that was noted without it: its process was called dead.
        answered = outcome["state"] == State.UNKNOWN and answer is not None and answer_file.is_usable(answer, folder)
        if not answered:
            return State(outcome["state"])
    if answer is not None:
        with files.storage(folder):
            photos, finished = (len(list(folder.glob(f"{kind}-*.json"))) for kind in ("photo", "finished"))
        return State.FINISHED if finished >= photos else State.ANSWERED
    if claim is None:
        return State.ANSWERED if answer_file.late_answer(folder) is not None else State.PLANNED
    return State.UNKNOWN if claims.holder(claim) == "dead" else State.CLAIMED


def read_outcome(folder: Path) -> dict[str, Any] | None:
    """How the order ended, where that was no success.

    Raises:
        StorageFailed: It cannot be read back.
    """
    outcome = read_if_there(folder / "outcome.json")
    if outcome is not None and not (outcome.get("state") in list(ENDED) and isinstance(outcome.get("why"), str)):
        raise StorageFailed("holds no outcome of a call", AGAIN, subject=str(folder / "outcome.json"))
    return outcome


def write_outcome(folder: Path, ended: State, why: str) -> None:
    """Note that the order ended without success."""
    files.write_whole(folder / "outcome.json", written({"state": ended, "why": why, "time": now()}))


def resolve(folder: Path, *, retry: bool) -> None:
    """The user's word on a call whose end is not known: planned again (`retry`), or given up.

    It is taken on a call of another machine or container, too, which cannot be seen from here. What the call left is
    set aside, and stays counted as perhaps billed.

    Raises:
        UsageError: The end is known, or the process that pays is alive on this machine.
    """
    claim, current = claims.read(folder / claims.NAME), state(folder)
    unseen = current is State.CLAIMED and claim is not None and claims.holder(claim) == "elsewhere"
    if current is State.CLAIMED and not unseen and claim is not None:
        found = f"it is claimed: process {claim.pid} of this machine is paying for it right now"
        raise UsageError(found, "Wait for it, or stop it first", subject=str(folder))
    if current is not State.UNKNOWN and not unseen:
        raise UsageError(f"its outcome is not unknown, it is {current}", "Nothing to resolve", subject=str(folder))
    if not retry:
        why = f"claimed by {claim.where} on {claim.host!r}, whose end was not seen" if unseen and claim else DIED
        ended = read_outcome(folder) or {"why": why}
        files.write_whole(folder / "outcome.json", written({**ended, "state": State.UNKNOWN, "resolved": "lost"}))
        return
    with files.storage(folder):
        aside = next(path for number in count(1) if not (path := folder / f"attempt-{number}").exists())
        aside.mkdir()
        # The claim goes last: until then the order is not planned again.
        for name in (answer_file.PART, answer_file.RAW, "outcome.json", claims.NAME):
            if (folder / name).exists():
                (folder / name).replace(aside / name)
        files.sync_folder(aside)
        files.sync_folder(folder)


def given_up(folder: Path) -> bool:
    """Whether the user gave an unknown outcome up as lost."""
    return (read_outcome(folder) or {}).get("resolved") == "lost"


def resolved(folder: Path) -> int:
    """How many calls of this order were given up and then tried again: each perhaps billed."""
    return sum(_attempt(path) is State.UNKNOWN for path in claims.attempts(folder))


def paid_attempts(folder: Path) -> int:
    """How many of them turned out to be billed: their answers came after all, and too late to be the order's own."""
    attempts = claims.attempts(folder)
    if not attempts:
        return 0
    own = (
        None
        if (folder / answer_file.RAW).exists() or (folder / claims.NAME).exists()
        else answer_file.late_answer(folder)
    )
    return sum(_attempt(path) in BILLED for path in attempts if path != own)


def _attempt(path: Path) -> State:
    """How a call ended that the user resolved as "retry", as far as it is known by now."""
    if answer_file.is_usable(path / answer_file.RAW, path.parent):
        return State.ANSWERED
    return State((read_outcome(path) or {"state": State.UNKNOWN})["state"])


def mark_finished(folder: Path, origin: Origin, path: Path, data: bytes, made: str = "", by: str = "") -> None:
    """Note where the final of `origin` lies, with its digest and size, and by which options it was made.

    `by` names the order whose final it is, where that is a newer one of the same photo, or one that the user chose.
    What was noted of finals in other formats stays noted.
    """
    mark = _facts(path, data, made=made, **({"by": by} if by else {}))
    formats = {**((finished(folder, origin) or {}).get("formats") or {}), path.suffix: mark}
    files.write_whole(folder / f"finished-{origin.id}.json", written({**mark, "formats": formats}))


def mark_chosen(folder: Path, origin: Origin, *, by: str) -> None:
    """Note that this order's final was chosen for its photo, by "keep", or by "overwrite"."""
    files.write_whole(folder / f"kept-{origin.id}.json", written({"time": exact_now(), "by": by}))


def chosen(folder: Path, origin: Origin) -> dict[str, Any]:
    """When and by what this order's final was chosen for its photo; empty for one that was not."""
    choice = read_if_there(folder / f"kept-{origin.id}.json")
    if choice is None and not (folder / f"photo-{origin.id}.json").exists():
        mark = finished(folder, origin) or {}  # early version 0.1 noted a choice so
        return {"time": mark["time"], "by": "keep"} if "time" in mark else {}
    return choice or {}


def mark_shops(folder: Path, origin: Origin, presets: Iterable[str]) -> None:
    """Note the presets whose files are made when this variant is kept."""
    files.write_whole(folder / f"shops-{origin.id}.json", written({"presets": [*presets]}))


def shops(folder: Path, origin: Origin) -> tuple[str, ...]:
    """The presets whose files are made when this variant is kept."""
    return tuple(map(str, (read_if_there(folder / f"shops-{origin.id}.json") or {}).get("presets", ())))


def mark_shelved(folder: Path, origin: Origin, preset: str, path: Path, data: bytes) -> None:
    """Note where the file of `origin` for a preset lies, with its digest and size."""
    files.write_whole(folder / f"shelf-{origin.id}-{preset}.json", written(_facts(path, data)))


def shelved(folder: Path, origin: Origin, preset: str) -> dict[str, Any] | None:
    """The mark of the file of `origin` for a preset, if there is one."""
    return read_if_there(folder / f"shelf-{origin.id}-{preset}.json")


def _facts(path: Path, data: bytes, **more: str) -> dict[str, Any]:
    return {"path": str(path), "sha256": sha256(data).hexdigest(), "bytes": len(data), "time": now(), **more}


def same(path: Path, mark: dict[str, Any]) -> bool:
    """Whether the file at `path` is, byte for byte, the one that was noted."""
    return path.stat().st_size == mark.get("bytes") and files.own_digest(path) == mark.get("sha256", "missing")


def finished(folder: Path, origin: Origin, suffix: str = "") -> dict[str, Any] | None:
    """The finished mark of `origin`, if there is one: the last, or that of its final with this suffix."""
    mark = read_if_there(folder / f"finished-{origin.id}.json")
    formats = (mark or {}).get("formats")
    own = formats.get(suffix) if isinstance(formats, dict) else None
    return own if isinstance(own, dict) else mark
