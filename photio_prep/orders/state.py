"""The state of an order, derived from the files in its folder, and the marks of its finals."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

from photio_prep.errors import StorageFailed, UsageError
from photio_prep.orders import answer_file, claims
from photio_prep.orders.origin import Origin
from photio_prep.orders.records import AGAIN, encode_record, find_record, precise_timestamp, timestamp
from photio_prep.system import files


class State(StrEnum):
    """How far an order got. `refused` is a photo that no order was made of."""

    PLANNED = "planned"
    CLAIMED = "claimed"
    ANSWERED = "answered"
    FINISHED = "finished"
    UNKNOWN = "unknown"
    REJECTED = "rejected"
    PAID_UNUSABLE = "paid_unusable"
    REFUSED = "refused"


# A complete answer with a usable picture is in the folder.
ANSWERED = frozenset({State.ANSWERED, State.FINISHED})
# Billed, except by the sandbox.
BILLED = ANSWERED | {State.PAID_UNUSABLE}
# The reason for an unknown order with the claim of a dead process and no outcome.json.
DIED = "its process died while it paid"
# The states in outcome.json.
ENDED = frozenset({State.UNKNOWN, State.REJECTED, State.PAID_UNUSABLE})


def summarize(counts: Mapping[State, int]) -> str:
    """Number of orders per state, as text."""
    return ", ".join(f"{counts[state]} {state.replace('_', ' ')}" for state in State if state in counts)


def read_state(folder: Path) -> State:
    """The state of the order in `folder`."""
    outcome = read_outcome(folder)
    claim = claims.read_claim(folder / claims.NAME)
    answer = answer_file.answer_path(folder, claim)
    if outcome is not None:
        # A usable answer overrides an unknown outcome: that was recorded by a process that took the payer for dead.
        answered = outcome["state"] == State.UNKNOWN and answer is not None and answer_file.is_usable(answer, folder)
        if not answered:
            return State(outcome["state"])
    if answer is not None:
        with files.storage_errors(folder):
            photos, finished = (len(list(folder.glob(f"{kind}-*.json"))) for kind in ("photo", "finished"))
        return State.FINISHED if finished >= photos else State.ANSWERED
    if claim is None:
        return State.ANSWERED if answer_file.late_answer(folder) is not None else State.PLANNED
    return State.UNKNOWN if claims.claim_owner(claim) == "dead" else State.CLAIMED


def read_outcome(folder: Path) -> dict[str, Any] | None:
    """How a call failed: the content of outcome.json, or None; StorageFailed if it cannot be read."""
    outcome = find_record(folder / "outcome.json")
    if outcome is not None and not (outcome.get("state") in list(ENDED) and isinstance(outcome.get("why"), str)):
        raise StorageFailed("is not the outcome of a call", AGAIN, subject=str(folder / "outcome.json"))
    return outcome


def write_outcome(folder: Path, ended: State, why: str) -> None:
    """Record that the call failed."""
    files.write_atomic(folder / "outcome.json", encode_record({"state": ended, "why": why, "time": timestamp()}))


def resolve_unknown(folder: Path, *, retry: bool) -> None:
    """Apply the user's decision on a call with an unknown outcome: `retry` plans the order again, else it is lost.

    A call of another machine or container, not visible from here, can be resolved too. Its files move to an attempt
    folder and stay counted as perhaps billed.

    Raises:
        UsageError: The outcome is known, or the paying process is alive on this machine.
    """
    claim, current = claims.read_claim(folder / claims.NAME), read_state(folder)
    unseen = current is State.CLAIMED and claim is not None and claims.claim_owner(claim) == "elsewhere"
    if current is State.CLAIMED and not unseen and claim is not None:
        message = f"it is claimed: process {claim.pid} of this machine is paying for it right now"
        raise UsageError(message, "Wait for it, or stop it first", subject=str(folder))
    if current is not State.UNKNOWN and not unseen:
        raise UsageError(f"its outcome is not unknown, it is {current}", "Nothing to resolve", subject=str(folder))
    if not retry:
        why = f"claimed by {claim.where} on {claim.host!r}, not visible from here" if unseen and claim else DIED
        ended = read_outcome(folder) or {"why": why}
        files.write_atomic(
            folder / "outcome.json", encode_record({**ended, "state": State.UNKNOWN, "resolved": "lost"})
        )
        return
    with files.storage_errors(folder):
        aside = next(path for number in count(1) if not (path := folder / f"attempt-{number}").exists())
        aside.mkdir()
        # The claim moves last: until then the order is not planned again.
        for name in (answer_file.PART, answer_file.RAW, "outcome.json", claims.NAME):
            if (folder / name).exists():
                (folder / name).replace(aside / name)
        files.sync_folder(aside)
        files.sync_folder(folder)


def is_abandoned(folder: Path) -> bool:
    """Whether the user resolved an unknown outcome as lost."""
    return (read_outcome(folder) or {}).get("resolved") == "lost"


def lost_attempts(folder: Path) -> int:
    """Number of calls resolved as "retry" without a known outcome: each perhaps billed."""
    return sum(_attempt_state(path) is State.UNKNOWN for path in claims.attempts(folder))


def paid_attempts(folder: Path) -> int:
    """Number of calls resolved as "retry" that were billed: their answers arrived later, not as the order's own."""
    attempts = claims.attempts(folder)
    if not attempts:
        return 0
    current = (folder / answer_file.RAW).exists() or (folder / claims.NAME).exists()
    own = None if current else answer_file.late_answer(folder)
    return sum(_attempt_state(path) in BILLED for path in attempts if path != own)


def _attempt_state(path: Path) -> State:
    """The state of a call that the user resolved as "retry", as far as it is known now."""
    if answer_file.is_usable(path / answer_file.RAW, path.parent):
        return State.ANSWERED
    return State((read_outcome(path) or {"state": State.UNKNOWN})["state"])


def mark_finished(folder: Path, origin: Origin, path: Path, data: bytes, options: str = "", by: str = "") -> None:
    """Record the path, digest and size of the final of `origin`, and the options that it was made with.

    `by` names the order of that final if it is another one of the same photo: newer, or chosen by the user. Marks of
    finals in other formats stay.
    """
    mark = _file_record(path, data, made=options, **({"by": by} if by else {}))
    formats = {**((final_record(folder, origin) or {}).get("formats") or {}), path.suffix: mark}
    files.write_atomic(folder / f"finished-{origin.id}.json", encode_record({**mark, "formats": formats}))


def mark_chosen(folder: Path, origin: Origin, *, by: str) -> None:
    """Record that the user chose this order's final for its photo, `by` "keep" or "overwrite"."""
    files.write_atomic(folder / f"kept-{origin.id}.json", encode_record({"time": precise_timestamp(), "by": by}))


def is_chosen(folder: Path, origin: Origin) -> dict[str, Any]:
    """When and how the user chose this order's final for its photo; empty if not chosen."""
    choice = find_record(folder / f"kept-{origin.id}.json")
    if choice is None and not (folder / f"photo-{origin.id}.json").exists():
        mark = final_record(folder, origin) or {}  # the format of early version 0.1
        return {"time": mark["time"], "by": "keep"} if "time" in mark else {}
    return choice or {}


def mark_presets(folder: Path, origin: Origin, presets: Iterable[str]) -> None:
    """Record the presets whose files are made when the user keeps this variant."""
    files.write_atomic(folder / f"shops-{origin.id}.json", encode_record({"presets": [*presets]}))


def chosen_presets(folder: Path, origin: Origin) -> tuple[str, ...]:
    """The presets whose files are made when the user keeps this variant."""
    return tuple(map(str, (find_record(folder / f"shops-{origin.id}.json") or {}).get("presets", ())))


def mark_listed(folder: Path, origin: Origin, preset: str, path: Path, data: bytes) -> None:
    """Record the path, digest and size of the file of `origin` for a preset."""
    files.write_atomic(folder / f"shelf-{origin.id}-{preset}.json", encode_record(_file_record(path, data)))


def listing_record(folder: Path, origin: Origin, preset: str) -> dict[str, Any] | None:
    """The mark of the file of `origin` for a preset, or None."""
    return find_record(folder / f"shelf-{origin.id}-{preset}.json")


def _file_record(path: Path, data: bytes, **more: str) -> dict[str, Any]:
    return {"path": str(path), "sha256": sha256(data).hexdigest(), "bytes": len(data), "time": timestamp(), **more}


def matches_record(path: Path, mark: dict[str, Any]) -> bool:
    """Whether the file at `path` has the recorded size and digest."""
    return path.stat().st_size == mark.get("bytes") and files.own_digest(path) == mark.get("sha256", "missing")


def final_record(folder: Path, origin: Origin, suffix: str = "") -> dict[str, Any] | None:
    """The finished mark of `origin`, or None: that of its final with this suffix if there is one, else the last."""
    mark = find_record(folder / f"finished-{origin.id}.json")
    formats = (mark or {}).get("formats")
    own = formats.get(suffix) if isinstance(formats, dict) else None
    return own if isinstance(own, dict) else mark
