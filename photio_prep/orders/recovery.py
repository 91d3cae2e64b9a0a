"""After a crash in the middle of paying: what the next run finds, and what it may do.

| claim | answer | then |
|---|---|---|
| of a dead process | complete, here or rescued | used, without a call |
| of a dead process | none | unknown: never sent again automatically |
| of a dead process | a refusal, not billed | planned again |
| of a living process, or elsewhere | none | in use |
| moved aside: the user said "retry" | arrived late | used, if no other call has begun |
"""

import contextlib
import shlex
from itertools import count
from pathlib import Path
from typing import Any

from photio_prep.api import wire
from photio_prep.errors import OrderInUse, OutcomeUnknown, PaidUnusable, PhotioError, UsageError
from photio_prep.orders import claims
from photio_prep.orders.answer_file import PART, RAW, find_rescued, late_answer
from photio_prep.orders.folder import DIED, OrderFolder
from photio_prep.orders.records import encode_record
from photio_prep.orders.state import State
from photio_prep.orders.store import SANDBOX
from photio_prep.system import files


def raise_if_claimed(path: Path) -> None:
    """Raise if the order must not be sent: claimed without an answer, unknown, lost, or paid and unusable."""
    folder = OrderFolder(path)
    raise_outcome(path, folder.outcome)
    claim = folder.claim
    if claim is None:
        return
    holder = claims.claim_owner(claim)
    if (path / RAW).exists():
        return  # tested after its holder: a process that is dead now may have answered since the last test
    if holder == "dead":
        process = f"pid {claim.pid}, since {claim.time or '?'}"
        why = f"the process that paid for it ({process}) died before an answer was kept"
        raise record_unknown(path, OutcomeUnknown(why))
    if holder == "alive":
        message = f"process {claim.pid} has been paying for it since {claim.time}"
        raise OrderInUse(message, "Run again when it has ended", subject=str(path))
    retry, lost = _resolve_commands(path)
    raise OrderInUse(
        f"machine {claim.host!r} has been paying for it since {claim.time} ({claim.where}); what becomes of a process"
        " of another machine or container cannot be seen from here",
        f"Run again when it has ended. If it has ended without an answer, its call was perhaps billed: {retry} pays,"
        f" perhaps a second time; {lost} gives it up",
        subject=str(path),
    )


def raise_outcome(path: Path, outcome: dict[str, Any] | None) -> None:
    """Raise if the recorded outcome of a call is final, and a failure; one given up as lost stays perhaps billed."""
    if outcome is None or outcome["state"] == State.REJECTED:
        return
    if outcome.get("resolved") == "lost":
        fix = f"To pay again after all: photio-prep resolve {path} --as retry"
        raise OutcomeUnknown("you gave it up as lost; its call was perhaps billed", fix, subject=str(path))
    kind: type[PhotioError] = PaidUnusable if outcome["state"] == State.PAID_UNUSABLE else OutcomeUnknown
    fix = explain_unknown(path) if kind is OutcomeUnknown else "The raw answer is kept"
    raise kind(outcome["why"], fix, subject=str(path))


def record_unknown(path: Path, error: OutcomeUnknown) -> OutcomeUnknown:
    """Record that the outcome is unknown; the error to raise, with the user's next steps."""
    OrderFolder(path).write_outcome(State.UNKNOWN, error.problem)
    return OutcomeUnknown(error.problem, explain_unknown(path), subject=str(path))


def explain_unknown(path: Path) -> str:
    """The possible cost of an unknown outcome, and the user's three options."""
    claim = OrderFolder(path).claim
    retry, lost = _resolve_commands(path)
    with contextlib.suppress(PhotioError):  # a damaged order: taken for a paid one
        if OrderFolder(path).plan.get("endpoint") == SANDBOX:
            return f"It is a free one of the sandbox. To send it again: {retry}, then run the same command again"
    when = f" of {claim.time}" if claim and claim.time else ""
    return (
        f"The call{when} was on its way and no usable answer came back, so it may have cost you one call or nothing;"
        " it is not sent again by itself. You can (1) look at your bill at Photio before you decide;"
        f" (2) pay, perhaps a second time: {retry}, then run the same command again; (3) give it up: {lost}"
    )


def _resolve_commands(path: Path) -> tuple[str, str]:
    """The commands that resolve an unknown outcome: to pay again, and to give it up."""
    command = f"photio-prep resolve {shlex.quote(str(path))} --as"
    return f"`{command} retry`", f"`{command} lost`"


def restore_answer(path: Path) -> None:
    """Move a rescued or late answer into the order's folder.

    A late one only if no other call has begun since: its claim is restored first, by exclusive creation.
    """
    if (path / RAW).exists():
        return
    claim = OrderFolder(path).claim
    if (rescued := find_rescued(path, claim)) is not None:
        with files.storage_errors(rescued), contextlib.suppress(FileNotFoundError):  # another process moved it first
            files.write_atomic(path / RAW, files.read_nofollow(rescued, wire.LONGEST_ANSWER))
            rescued.unlink()
    elif (late := late_answer(path)) is not None:
        earlier = files.read_nofollow(late / claims.NAME, files.RECORD)
        with files.storage_errors(path), contextlib.suppress(FileNotFoundError):
            if claim is None:
                try:
                    files.write_atomic(path / claims.NAME, earlier, overwrite=False)
                except FileExistsError:
                    return
            elif claim != OrderFolder(late).claim:
                return
            (late / RAW).replace(path / RAW)
            files.sync_folder(path)
            (late / claims.NAME).unlink()


def drop_refusal(path: Path) -> None:
    """Plan the order again: its stored answer is a refusal, not billed, whose process was killed before reading it."""
    claim = OrderFolder(path).claim
    if claim is not None and claims.claim_owner(claim) in ("alive", "elsewhere"):
        return  # its process is reading it right now
    with files.storage_errors(path):
        try:
            (path / RAW).replace(path / PART)
        except FileNotFoundError:
            return  # of two processes, only the one that moved the answer may remove the claim
    files.remove(path / claims.NAME)


def resolve_unknown(path: Path, *, retry: bool) -> None:
    """Apply the user's decision on a call with an unknown outcome: `retry` plans the order again, else it is lost.

    A call of another machine or container, not visible from here, can be resolved too. Its files move to an attempt
    folder and stay counted as perhaps billed. UsageError if the outcome is known, or its process alive on this machine.
    """
    folder = OrderFolder(path)
    claim, state = folder.claim, folder.state
    unseen = state is State.CLAIMED and claim is not None and claims.claim_owner(claim) == "elsewhere"
    if state is State.CLAIMED and not unseen and claim is not None:
        message = f"it is claimed: process {claim.pid} of this machine is paying for it right now"
        raise UsageError(message, "Wait for it, or stop it first", subject=str(path))
    if state is not State.UNKNOWN and not unseen:
        raise UsageError(f"its outcome is not unknown, it is {state}", "Nothing to resolve", subject=str(path))
    if not retry:
        why = f"claimed by {claim.where} on {claim.host!r}, not visible from here" if unseen and claim else DIED
        outcome = {**(folder.outcome or {"why": why}), "state": State.UNKNOWN, "resolved": "lost"}
        files.write_atomic(path / "outcome.json", encode_record(outcome))
        return
    with files.storage_errors(path):
        aside = next(attempt for number in count(1) if not (attempt := path / f"attempt-{number}").exists())
        aside.mkdir()
        # The claim moves last: until then the order is not planned again.
        for name in (PART, RAW, "outcome.json", claims.NAME):
            if (path / name).exists():
                (path / name).replace(aside / name)
        files.sync_folder(aside)
        files.sync_folder(path)
