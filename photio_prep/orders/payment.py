"""Pay for one order on disk at most once. What a crash leaves is the business of recovery.py.

1 claim by exclusive creation, synced       4 answer streamed to disk, synced, named, folder synced
2 look for an answer again                  5 only then parsed
3 send                                      6 outcome recorded if it failed
"""

import contextlib
from dataclasses import replace
from pathlib import Path

from photio_prep import errors, settings
from photio_prep.api.wire import LONGEST_ANSWER, parse_answer, request_digest
from photio_prep.orders import claims, recovery
from photio_prep.orders.answer_file import RAW, AnswerFile, is_usable
from photio_prep.orders.folder import OrderFolder
from photio_prep.orders.preflight import Preflight
from photio_prep.orders.state import State
from photio_prep.orders.store import Order
from photio_prep.system import files
from photio_prep.system.parallel import path_lock
from photio_prep.types import Request, Result, Sender


def pay(order: Order, sender: Sender, preflight: Preflight | None = None) -> Result:
    """The result of `order`: from its stored answer, else from one call, which is PAID.

    `preflight` holds the conditions for paying; None takes the gate's level from the settings. Raises as
    `pipeline.generate`; after an error of NOT_BILLED the order stays planned or rejected.
    """
    folder, preflight = order.folder, preflight or Preflight(settings.gate(None))
    if folder is None:
        preflight.check(order)
        return identify(sender.send(order.request), order.request)
    if order.endpoint != sender.endpoint:
        problem = f"an order for {order.endpoint}, not for {sender.endpoint}"
        raise errors.UsageError(problem, "Prepare it for that", subject=str(folder))
    # Two photos of one run may share an order: the second waits for the answer to the first.
    with path_lock(folder):
        files.remove_stale(folder)
        if (result := load_answer(order)) is None:
            recovery.raise_if_claimed(folder)
            preflight.check(order)
            if not (folder / "order.json").exists():
                raise errors.StorageFailed("its folder has gone, so nothing is sent", "Prepare it again", str(folder))
            if (ready := getattr(sender, "ready", None)) is not None:
                ready()  # resources of the call, acquired before the claim: a claim counts as a call
            if (claim := claims.claim(folder / claims.NAME)) is not None:
                return _send(order, folder, sender, claim)
            # Another process claimed it first: it is still paying, or has an answer.
            recovery.raise_if_claimed(folder)
            result = load_answer(order)
        if result is None:
            raise errors.OrderInUse("another process is paying for it", "Run again when it has ended", str(folder))
        return result


def _send(order: Order, folder: Path, sender: Sender, claim: claims.Claim) -> Result:
    try:
        sink = AnswerFile(folder)
    except errors.StorageFailed:
        release_claim(folder, claim)
        raise
    try:
        if (folder / "outcome.json").exists():  # of an earlier refusal
            files.remove(folder / "outcome.json")
        result = sender.send(order.request, sink)
    except errors.NOT_BILLED as error:
        sink.close()
        try:
            if isinstance(error, errors.Rejected):
                _note(folder, claim, State.REJECTED, str(error))
        finally:
            release_claim(folder, claim)
        raise error.about(str(folder)) from None
    except errors.OutcomeUnknown as error:
        sink.close()
        _note(folder, claim, State.UNKNOWN, error.problem)
        raise errors.OutcomeUnknown(error.problem, recovery.explain_unknown(folder), subject=str(folder)) from None
    except errors.PaidUnusable as error:
        _note(folder, claim, State.PAID_UNUSABLE, str(error))
        raise error.about(str(folder)) from None
    except BaseException as error:
        # A bug, a full disk, a second Ctrl-C: the request may be billed. Record that if the disk permits.
        sink.close()
        if not sink.safe:
            with contextlib.suppress(errors.StorageFailed):
                _note(folder, claim, State.UNKNOWN, f"stopped while it was sent ({type(error).__name__})")
        raise
    if not sink.safe:  # a sender of the user's own that ignores its sink
        sink.write(result.raw)
        sink.commit()
    recovery.restore_answer(folder)
    _remove_unknown(folder)
    return identify(result, order.request)


def _remove_unknown(folder: Path) -> None:
    """Remove an unknown outcome that another process, to which the payer was not visible, wrote during the call."""
    if (OrderFolder(folder).outcome or {}).get("state") == State.UNKNOWN and (folder / RAW).exists():
        files.remove(folder / "outcome.json")


def identify(result: Result, request: Request) -> Result:
    """A sender's result with the digest of the request that it answers; one of a kind of its own as it is."""
    with contextlib.suppress(TypeError, ValueError):
        return replace(result, request_digest=request_digest(request))
    return result


def _note(folder: Path, claim: claims.Claim, state: State, why: str) -> None:
    """Record how a call failed, in the order's folder, or in its attempt folder once the user has resolved it."""
    if (home := claims.claim_root(folder, claim)) is not None:
        OrderFolder(home).write_outcome(state, why)


def release_claim(folder: Path, claim: claims.Claim | None = None) -> None:
    """Remove the claim, after the answer of a refusal: nothing was billed.

    A claim that the user has resolved meanwhile stays in its attempt folder, recorded as not billed.
    """
    home = folder if claim is None else claims.claim_root(folder, claim)
    if home == folder:
        with files.storage_errors(folder):
            for name in (RAW, claims.NAME):
                (folder / name).unlink(missing_ok=True)
            files.sync_folder(folder)
    elif home is not None:
        OrderFolder(home).write_outcome(State.REJECTED, "not billed")


def load_answer(order: Order) -> Result | None:
    """The result in the folder's stored answer, without any call; None without one.

    Raises OutcomeUnknown or PaidUnusable if the stored answer or outcome is a failure.
    """
    folder = order.folder
    if folder is None:
        return None
    recovery.restore_answer(folder)
    if not (folder / RAW).exists():
        return None
    outcome = OrderFolder(folder).outcome
    unusable = outcome is not None and outcome["state"] == State.PAID_UNUSABLE
    # A usable answer overrides an outcome that was recorded before the answer arrived.
    if not unusable and not (outcome is not None and is_usable(folder / RAW, folder)):
        recovery.raise_outcome(folder, outcome)
    try:
        raw = files.read_nofollow(folder / RAW, LONGEST_ANSWER)
    except OSError as error:
        problem = f"the stored answer cannot be read ({error.strerror})"
        raise errors.StorageFailed(problem, "Check the disk", subject=str(folder)) from error
    try:
        picture = parse_answer(raw, order.request.size)
        result = Result(raw, picture, order.placement, request_digest(order.request))
    except errors.PaidUnusable as error:
        if not unusable:
            OrderFolder(folder).write_outcome(State.PAID_UNUSABLE, str(error))
        raise error.about(str(folder)) from None
    except errors.OutcomeUnknown as error:
        raise recovery.record_unknown(folder, error) from None
    except errors.KeyRefused:
        recovery.drop_refusal(folder)
        return None
    # This version or machine reads an answer that another one could not.
    if outcome is not None:
        files.remove(folder / "outcome.json")
    return result


def require_answer(order: Order) -> Result:
    """The result in the stored answer; raises UsageError if there is none yet, or the reason for its absence."""
    if (result := load_answer(order)) is not None:
        return result
    if order.folder is not None:
        recovery.raise_if_claimed(order.folder)  # unknown, lost, or being paid for: raises with that reason
    subject = str(order.folder or order.origin.source)
    raise errors.UsageError("it has no answer yet", "Run `photio-prep generate` on it first", subject=subject)
