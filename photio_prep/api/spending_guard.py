"""A Sender that enforces the call budget and stops after fatal errors."""

import threading
from collections.abc import Callable
from hashlib import sha256

from photio_prep.api.wire import order_key
from photio_prep.errors import (
    ApiUnavailable,
    BudgetReached,
    Interrupted,
    KeyRefused,
    OutcomeUnknown,
    PhotioError,
    Rejected,
    UsageError,
)
from photio_prep.types import AnswerSink, Request, Result, Sender

# Calls in a row without a complete answer, after which further calls would probably be paid for nothing too.
UNKNOWNS_IN_A_ROW = 10


def call_outcome(error: Exception) -> PhotioError:
    """Turn the exception of a call into its outcome. After a bug in the sender the outcome is unknown."""
    if isinstance(error, PhotioError):
        return error
    return OutcomeUnknown(f"stopped while it was sent ({type(error).__name__})")


class SpendingGuard:
    """Allows at most `max_calls` calls that were or may have been billed; exact under any number of threads.

    After a refused key, a full disk, an unreachable API, or ten unknown outcomes in a row, it allows no further call:
    `stop_reason` says why. Calls that wait for another try are then not sent either.

    Args:
        sender: Sends the requests.
        max_calls: The budget; None for no limit.
        warn: Called when two orders got the same answer: one of them may belong to the other.
    """

    def __init__(self, sender: Sender, max_calls: int | None = None, warn: Callable[[str], None] | None = None) -> None:
        self._sender = sender
        self._left = max_calls
        self._lock = threading.Lock()
        self._unknowns = 0
        self._warn = warn
        # For millions of orders: a number takes a third of the memory of its digits.
        self._answers: dict[int, int] = {}
        self._billed: set[int] = set()
        self.calls = 0
        self.stop_reason: PhotioError | None = None
        self._used_up = BudgetReached("the budget of --max-calls is used up", "Run again for more")

    @property
    def endpoint(self) -> str:
        """The sender's endpoint, a part of every order key."""
        return self._sender.endpoint

    def send(self, request: Request, keep: AnswerSink | None = None) -> Result:
        """Send a request if the budget allows it. PAID."""
        order = order_key(request, self.endpoint)[:32]
        self.acquire(order)
        try:
            result = self._sender.send(request, keep)
            digest = sha256(result.raw).digest()
        except Exception as error:
            self.settle(call_outcome(error), order)
            raise
        self.settle(None, order)
        self.check_duplicate_answer(order, digest)
        return result

    def ready(self) -> None:
        """Check that the sender can send, before an order is claimed. After a failure no call is allowed."""
        ready = getattr(self._sender, "ready", None)
        if ready is not None:
            try:
                ready()
            except PhotioError as error:
                self.stop(error)
                raise

    def settle(self, error: PhotioError | None, order: str = "") -> None:
        """Record the result of a call that `acquire` allowed: an answer (None) or this error."""
        if isinstance(error, (ApiUnavailable, Rejected, KeyRefused, Interrupted, UsageError)):
            self._refund(order)
            if isinstance(error, (ApiUnavailable, KeyRefused, UsageError)):  # a UsageError: our proxy's refusal
                self.stop(error)
        elif error is None or isinstance(error, OutcomeUnknown):
            self._count(error)

    @property
    def left(self) -> int | None:
        """The number of calls still allowed; None for no limit."""
        with self._lock:
            return self._left

    def set_limit(self, calls: int, why: BudgetReached) -> None:
        """Reduce the budget to `calls`, with `why` as the error when it is used up. Never raises the budget."""
        with self._lock:
            if self._left is None or calls < self._left:
                self._left, self._used_up = calls, why

    def stop(self, why: PhotioError) -> None:
        """Allow no further call."""
        with self._lock:
            self.stop_reason = self.stop_reason or why
        stop = getattr(self._sender, "stop", None)
        if stop is not None:
            stop()

    def is_billed(self, order: str) -> bool:
        """Whether a call for `order` (32 digits of its key) was or may have been billed."""
        with self._lock:
            return _number(order) in self._billed

    def acquire(self, order: str = "") -> None:
        """Allow one call for `order`. A call whose result `settle` never gets stays counted.

        Raises:
            Interrupted: No further call is allowed.
            BudgetReached: The budget is used up.
        """
        with self._lock:
            if self.stop_reason is not None:
                raise Interrupted(f"not sent: stopped after {self.stop_reason.problem}")
            if self._left == 0:
                self.stop_reason = self._used_up
                raise self.stop_reason
            if self._left is not None:
                self._left -= 1
            self.calls += 1
            self._billed.add(_number(order))

    def _refund(self, order: str) -> None:
        with self._lock:
            self.calls -= 1
            self._billed.discard(_number(order))
            if self._left is not None:
                self._left += 1

    def _count(self, unknown: OutcomeUnknown | None) -> None:
        with self._lock:
            self._unknowns = in_a_row = self._unknowns + 1 if unknown else 0
        if in_a_row >= UNKNOWNS_IN_A_ROW:
            self.stop(
                OutcomeUnknown(
                    f"{in_a_row} calls in a row ended without a complete answer: stopped to protect your money",
                    "Check your bill and the API's state before you continue",
                )
            )

    def check_duplicate_answer(self, order: str, answer: bytes) -> None:
        """Warn if another order got the same answer. `answer` is its digest; 60 bits of it are compared."""
        if self._warn is None:
            return
        number = int(order, 16)
        with self._lock:
            first = self._answers.setdefault(int.from_bytes(answer[:8]) >> 4, number)
        if first != number:
            self._warn(f"warning: the API gave orders {first:032x} and {order} the same answer: look at both finals")


def _number(order: str) -> int:
    """Return the first 60 bits of an order's key, which identify it within one command."""
    return int(order[:15] or "0", 16)
