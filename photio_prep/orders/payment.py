"""One order on disk, paid for at most once.

1 claim by exclusive creation, synced       4 answer streamed to disk, synced, named, folder synced
2 look again: is an answer there?           5 only then parsed
3 send                                      6 outcome noted where it is no success
"""

import contextlib
import shlex
from pathlib import Path
from typing import Any

from photio_prep import settings
from photio_prep.api.wire import LONGEST_ANSWER, answer
from photio_prep.errors import (
    ApiUnavailable,
    BudgetReached,
    Interrupted,
    KeyRefused,
    OrderInUse,
    OutcomeUnknown,
    PaidUnusable,
    PhotioError,
    PhotoRefused,
    Rejected,
    StorageFailed,
    UsageError,
)
from photio_prep.orders import claims, state
from photio_prep.orders.answer_file import RAW, AnswerFile, is_usable, restore
from photio_prep.orders.claims import Claim
from photio_prep.orders.preflight import Preflight
from photio_prep.orders.state import State
from photio_prep.orders.store import Order
from photio_prep.system import files
from photio_prep.system.parallel import alone
from photio_prep.types import Result, Sender

# Nothing was billed, so the order may be sent again: by itself, or when the user has mended the cause.
_NOT_BILLED = (ApiUnavailable, BudgetReached, Rejected, KeyRefused, Interrupted, UsageError)


def pay(order: Order, sender: Sender, preflight: Preflight | None = None) -> Result:
    """The result of `order`: the kept answer where there is one, else that of one paid call. PAID.

    `preflight` is the user's word on what is worth paying for; None asks the settings how strict the gate is.

    Raises:
        GateStopped, PhotoRefused: `preflight` does.
        OrderInUse: Another process, or another machine, is paying for it.
        OutcomeUnknown: An earlier call, or this one, left no whole answer: perhaps billed. Never sent again by itself.
        PaidUnusable: Paid, but the answer is no usable picture.
        ApiUnavailable, Rejected, KeyRefused, Interrupted, UsageError: Not billed; the order stays planned or rejected.
        StorageFailed: The disk failed. Nothing is sent after that.
    """
    folder, preflight = order.folder, preflight or Preflight(settings.gate(None))
    if folder is None:
        preflight.check(order)
        return sender.send(order.request)
    if order.endpoint != sender.endpoint:
        raise UsageError(
            f"an order for {order.endpoint}, not for {sender.endpoint}", "Prepare it for that", subject=str(folder)
        )
    # Two photos of one run may want the same order: the second waits for the first one's answer.
    with alone(folder):
        files.sweep(folder)
        kept = kept_result(order)
        if kept is None:
            refuse_if_taken(folder)
            preflight.check(order)
            if not (folder / "order.json").exists():
                raise StorageFailed("its folder has gone, so nothing is sent", "Prepare it again", subject=str(folder))
            if (ready := getattr(sender, "ready", None)) is not None:
                ready()  # what a call needs is had before the claim, which would look like a call
            if (claim := claims.claim(folder / claims.NAME)) is not None:
                return _send(order, folder, sender, claim)
            # Somebody was faster: still paying, or answered by now.
            refuse_if_taken(folder)
            kept = kept_result(order)
        if kept is None:
            raise OrderInUse("another process is paying for it", "Run again when it has ended", subject=str(folder))
        return kept


def _send(order: Order, folder: Path, sender: Sender, claim: Claim) -> Result:
    try:
        keep = AnswerFile(folder)
    except StorageFailed:
        release(folder, claim)
        raise
    try:
        if (folder / "outcome.json").exists():  # of an earlier refusal
            files.remove(folder / "outcome.json")
        result = sender.send(order.request, keep)
    except _NOT_BILLED as error:
        keep.close()
        try:
            if isinstance(error, Rejected):
                _note(folder, claim, State.REJECTED, str(error))
        finally:
            release(folder, claim)
        raise error.about(str(folder)) from None
    except OutcomeUnknown as error:
        keep.close()
        _note(folder, claim, State.UNKNOWN, error.found)
        raise OutcomeUnknown(error.found, _ways(folder), subject=str(folder)) from None
    except PaidUnusable as error:
        _note(folder, claim, State.PAID_UNUSABLE, str(error))
        raise error.about(str(folder)) from None
    except BaseException as error:
        # A bug, a full disk, a second Ctrl-C: whatever was sent may be billed. Say so where it can be said.
        keep.close()
        if not keep.safe:
            with contextlib.suppress(StorageFailed):
                _note(folder, claim, State.UNKNOWN, f"stopped while it was sent ({type(error).__name__})")
        raise
    if not keep.safe:  # a sender of the user's own that does not know `keep`
        keep.write(result.raw)
        keep.commit()
    restore(folder)
    _forget_doubt(folder)
    return result


def _note(folder: Path, claim: Claim, ended: State, why: str) -> None:
    """Note how a call ended, in the order's folder or where the user's word has put that call meanwhile."""
    if (home := claims.home(folder, claim)) is not None:
        state.write_outcome(home, ended, why)


def _forget_doubt(folder: Path) -> None:
    """Take away an outcome that was noted while its answer was on the way, by somebody who could not see the payer."""
    outcome = state.read_outcome(folder)
    if outcome is not None and outcome["state"] == State.UNKNOWN and (folder / RAW).exists():
        files.remove(folder / "outcome.json")


def kept_result(order: Order) -> Result | None:
    """The result in the folder's kept answer, without any call; None where there is no answer.

    Raises:
        OutcomeUnknown, PaidUnusable: What is kept is no success.
    """
    folder = order.folder
    if folder is None:
        return None
    restore(folder)
    if not (folder / RAW).exists():
        return None
    ended = state.read_outcome(folder)
    unusable = ended is not None and ended["state"] == State.PAID_UNUSABLE
    # A whole, usable answer says more than an outcome that was noted before it came.
    if not unusable and not (ended is not None and is_usable(folder / RAW, folder)):
        _refuse(folder, ended)
    try:
        raw = files.read_own(folder / RAW, LONGEST_ANSWER)
    except OSError as error:
        raise StorageFailed(
            f"the kept answer cannot be read ({error.strerror})", "Check the disk", subject=str(folder)
        ) from error
    try:
        result = Result(raw, answer(raw, order.request.size), order.placement)
    except PaidUnusable as error:
        if not unusable:
            state.write_outcome(folder, State.PAID_UNUSABLE, str(error))
        raise error.about(str(folder)) from None
    except OutcomeUnknown as error:
        raise note_unknown(folder, error) from None
    except KeyRefused:
        _drop_refusal(folder)
        return None
    # A later version, or a machine with more memory, reads what could not be read before.
    if ended is not None:
        files.remove(folder / "outcome.json")
    return result


def answered(order: Order) -> Result:
    """The result in the kept answer.

    Raises:
        UsageError: There is none yet.
        OrderInUse, OutcomeUnknown, PaidUnusable: What is kept, or its absence, is no success.
    """
    result = kept_result(order)
    if result is None:
        if order.folder is not None:
            refuse_if_taken(order.folder)  # unknown, given up, being paid for: each says so itself
        where = str(order.folder or order.origin.source)
        raise UsageError("it has no answer yet", "Run `photio-prep generate` on it first", subject=where)
    return result


def _drop_refusal(folder: Path) -> None:
    """A refusal was kept, and its process killed before it was read: nothing was billed, the order is planned again."""
    claim = claims.read(folder / claims.NAME)
    if claim is not None and claims.holder(claim) in ("alive", "elsewhere"):
        return  # its maker is reading it at this very moment
    with files.storage(folder):
        try:
            (folder / "answer.raw").replace(folder / "answer.part")
        except FileNotFoundError:
            return  # of two processes, only the one that took the answer away may take the claim away
    files.remove(folder / claims.NAME)


def release(folder: Path, claim: Claim | None = None) -> None:
    """Take the claim back: nothing was billed. What a refusal left behind goes first.

    A claim that the user has resolved meanwhile stays where it was put, as one that was not billed.
    """
    home = folder if claim is None else claims.home(folder, claim)
    if home is None:
        return
    if home != folder:
        state.write_outcome(home, State.REJECTED, "not billed")
        return
    with files.storage(folder):
        for name in (RAW, claims.NAME):
            (folder / name).unlink(missing_ok=True)
        files.sync_folder(folder)


def refuse_if_taken(folder: Path) -> None:
    """Raise where there is no answer and the order must not be sent: claimed, unknown, or paid and unusable.

    Raises:
        OrderInUse, OutcomeUnknown, PaidUnusable: As the folder says.
    """
    refuse_if_ended(folder)
    claim = claims.read(folder / claims.NAME)
    if claim is None:
        return
    holder = claims.holder(claim)
    if (folder / RAW).exists():
        return  # looked for after its holder: one that is dead now may have answered since the last look
    if holder == "dead":
        why = (
            f"the process that paid for it (pid {claim.pid}, since {claim.time or '?'}) died before an answer was kept"
        )
        raise note_unknown(folder, OutcomeUnknown(why))
    if holder == "alive":
        found = f"process {claim.pid} has been paying for it since {claim.time}"
        raise OrderInUse(found, "Run again when it has ended", subject=str(folder))
    retry, lost = _resolving(folder)
    raise OrderInUse(
        f"machine {claim.host!r} has been paying for it since {claim.time} ({claim.where}); what becomes of a process"
        " of another machine or container cannot be seen from here",
        f"Run again when it has ended. If it has ended without an answer, its call was perhaps billed: {retry} pays,"
        f" perhaps a second time; {lost} gives it up",
        subject=str(folder),
    )


def refuse_if_ended(folder: Path) -> None:
    """Raise where an earlier call ended badly and for good.

    Raises:
        OutcomeUnknown, PaidUnusable: As the folder says.
        PhotoRefused: The user gave it up.
    """
    _refuse(folder, state.read_outcome(folder))


def _refuse(folder: Path, ended: dict[str, Any] | None) -> None:
    if ended is None or ended["state"] == State.REJECTED:
        return
    if ended.get("resolved") == "lost":
        fix = f"To pay again after all: photio-prep resolve {folder} --as retry"
        raise PhotoRefused("you gave it up as lost", fix, subject=str(folder))
    kind: type[PhotioError] = PaidUnusable if ended["state"] == State.PAID_UNUSABLE else OutcomeUnknown
    raise kind(
        f"{ended['why']}", _ways(folder) if kind is OutcomeUnknown else "The raw answer is kept", subject=str(folder)
    )


def note_unknown(folder: Path, error: OutcomeUnknown) -> OutcomeUnknown:
    """Write down that the outcome is unknown, and say what the user can do."""
    state.write_outcome(folder, State.UNKNOWN, error.found)
    return OutcomeUnknown(error.found, _ways(folder), subject=str(folder))


def _ways(folder: Path) -> str:
    """What an unknown outcome means, what it may have cost, and the three things to do about it."""
    claim = claims.read(folder / claims.NAME)
    when = f" of {claim.time}" if claim and claim.time else ""
    retry, lost = _resolving(folder)
    return (
        f"The call{when} was on its way and no usable answer came back, so it may have cost you one call or nothing;"
        " it is not sent again by itself. You can (1) look at your bill at Photio before you decide;"
        f" (2) pay, perhaps a second time: {retry}, then run the same command again; (3) give it up: {lost}"
    )


def _resolving(folder: Path) -> tuple[str, str]:
    """The commands that say what became of a call: to pay again, and to give it up."""
    command = f"photio-prep resolve {shlex.quote(str(folder))} --as"
    return f"`{command} retry`", f"`{command} lost`"
