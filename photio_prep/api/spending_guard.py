"""A Sender that enforces the call budget and stops after fatal errors."""

import math
import threading
from collections.abc import Callable
from hashlib import sha256

from photio_prep import errors
from photio_prep.api.wire import order_key
from photio_prep.system.ranges import Range
from photio_prep.types import AnswerSink, Request, Result, Sender

# A budget of calls.
CALLS = Range(0, math.inf)
# Calls in a row without a complete answer, after which further calls would probably be paid for nothing too.
UNKNOWNS_IN_A_ROW = 10


class SpendingGuard:
    """Allows at most `max_calls` calls that were or may have been billed; exact under any number of threads.

    After a refused key, a full disk, an unreachable API, or ten unknown outcomes in a row, it allows no further call:
    `stop_reason` says why. Calls that wait for another try are then not sent either. Without `max_calls` there is no
    limit. `warn` is called when two orders got the same answer: one of them may belong to the other. UsageError for a
    budget that is no number of calls.
    """

    def __init__(self, sender: Sender, max_calls: int | None = None, warn: Callable[[str], None] | None = None) -> None:
        if max_calls is not None:
            CALLS.check("max_calls", max_calls)
        self._sender = sender
        self._left = max_calls
        self._lock = threading.Lock()
        self._unknowns_in_a_row = 0
        self._warn = warn
        # For millions of orders: bytes take half of the memory of their digits.
        self._answers: dict[bytes, bytes] = {}
        self._billed: dict[bytes, bytes] = {}  # each to itself, which `_answers` shares
        self.calls = 0
        self.stop_reason: errors.PhotioError | None = None
        self.used_up = errors.BudgetReached("the budget of calls is used up", "Run again for more")

    @property
    def endpoint(self) -> str:
        """The sender's endpoint, a part of every order key."""
        return self._sender.endpoint

    @property
    def left(self) -> int | None:
        """The number of calls still allowed; None for no limit."""
        with self._lock:
            return self._left

    def send(self, request: Request, keep: AnswerSink | None = None) -> Result:
        """Send a request if the budget allows it. PAID."""
        order = order_key(request, self.endpoint)[:32]
        self.acquire(order)
        try:
            result = self._sender.send(request, keep)
            digest = sha256(result.raw).digest()
        except Exception as error:
            bug = errors.OutcomeUnknown(f"stopped while it was sent ({type(error).__name__})")
            self.settle(error if isinstance(error, errors.PhotioError) else bug, order)
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
            except errors.PhotioError as error:
                self.stop(error)
                raise

    def acquire(self, order: str = "") -> None:
        """Allow one call for `order`, 32 digits of its key, or raise. A call that is never settled stays counted."""
        with self._lock:
            if self.stop_reason is not None:
                raise errors.Interrupted(f"not sent: stopped after {self.stop_reason.problem}")
            if self._left == 0:
                self.stop_reason = self.used_up
                raise self.stop_reason
            if self._left is not None:
                self._left -= 1
            self.calls += 1
            key = bytes.fromhex(order)
            self._billed[key] = key

    def settle(self, error: errors.PhotioError | None, order: str = "") -> None:
        """Record the result of a call that `acquire` allowed: an answer (None) or this error."""
        with self._lock:
            if isinstance(error, errors.NOT_BILLED):
                self.calls -= 1
                self._billed.pop(bytes.fromhex(order), None)
                if self._left is not None:
                    self._left += 1
            elif error is None or isinstance(error, errors.OutcomeUnknown):
                self._unknowns_in_a_row = self._unknowns_in_a_row + 1 if error else 0
            unknowns = self._unknowns_in_a_row
        # A UsageError: our proxy's refusal.
        if isinstance(error, (errors.ApiUnavailable, errors.KeyRefused, errors.UsageError)):
            self.stop(error)
        elif isinstance(error, errors.OutcomeUnknown) and unknowns >= UNKNOWNS_IN_A_ROW:
            self.stop(
                errors.OutcomeUnknown(
                    f"{unknowns} calls in a row ended without a complete answer: stopped to protect your money",
                    "Check your bill and the API's state before you continue",
                )
            )

    def set_limit(self, calls: int, why: errors.BudgetReached) -> None:
        """Reduce the budget to `calls`, with `why` as the error when it is used up. Never raises the budget."""
        with self._lock:
            if self._left is None or calls < self._left:
                self._left, self.used_up = calls, why

    def stop(self, why: errors.PhotioError) -> None:
        """Allow no further call."""
        with self._lock:
            self.stop_reason = self.stop_reason or why
        stop = getattr(self._sender, "stop", None)
        if stop is not None:
            stop()

    def is_billed(self, order: str) -> bool:
        """Whether a call for `order`, 32 digits of its key, was or may have been billed."""
        with self._lock:
            return bytes.fromhex(order) in self._billed

    def check_duplicate_answer(self, order: str, answer: bytes) -> None:
        """Warn if another order got the same answer, by its digest."""
        if self._warn is None:
            return
        key = bytes.fromhex(order)
        with self._lock:
            first = self._answers.setdefault(answer[:16], self._billed.get(key, key)).hex()
        if first != order:
            self._warn(f"warning: the API gave orders {first} and {order} the same answer: look at both finals")
