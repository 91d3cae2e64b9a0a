"""A sender that watches the money."""

import threading
from collections.abc import Callable
from hashlib import sha256

from photio_prep.api.wire import key
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
from photio_prep.types import Keep, Request, Result, Sender

# So many calls in a row without a whole answer, and something is wrong that the next call would pay for too.
UNKNOWNS_IN_A_ROW = 10


def ended(error: Exception) -> PhotioError:
    """How a call ended that raised: a sender's bug says nothing of what was sent, so that is unknown."""
    if isinstance(error, PhotioError):
        return error
    return OutcomeUnknown(f"stopped while it was sent ({type(error).__name__})")


class Till:
    """Lets at most `max_calls` calls through that were, or may have been, billed; exact under any number of threads.

    After a refused key, a full disk, an API that cannot be reached, or ten unknown outcomes in a row, it lets nothing
    more through: `closed` says why. What waits for another try then is not sent either.

    Args:
        sender: Who really sends.
        max_calls: The budget; None for no limit.
        warn: Is told when two orders got the very same answer: one of them is perhaps the other's.
    """

    def __init__(self, sender: Sender, max_calls: int | None = None, warn: Callable[[str], None] | None = None) -> None:
        self._sender = sender
        self._left = max_calls
        self._lock = threading.Lock()
        self._unknowns = 0
        self._warn = warn
        # There may be millions of orders, and a number takes a third of the memory of its digits.
        self._answers: dict[int, int] = {}
        self._billed: set[int] = set()
        self.calls = 0
        self.closed: PhotioError | None = None
        self._used_up = BudgetReached("the budget of --max-calls is used up", "Run again for more")

    @property
    def endpoint(self) -> str:
        """Who is asked."""
        return self._sender.endpoint

    def send(self, request: Request, keep: Keep | None = None) -> Result:
        """The answer to `request`, if the budget allows. PAID."""
        order = key(request, self.endpoint)[:32]
        self.take(order)
        try:
            result = self._sender.send(request, keep)
            digest = sha256(result.raw).digest()
        except Exception as error:
            self.settle(ended(error), order)
            raise
        self.settle(None, order)
        self.compare(order, digest)
        return result

    def ready(self) -> None:
        """Have what a call needs, before its order is claimed; else nothing more is let through."""
        have = getattr(self._sender, "ready", None)
        if have is not None:
            try:
                have()
            except PhotioError as error:
                self.close(error)
                raise

    def settle(self, error: PhotioError | None, order: str = "") -> None:
        """What came of the call for `order` that `take` let through: an answer (None), or this error."""
        if isinstance(error, (ApiUnavailable, Rejected, KeyRefused, Interrupted, UsageError)):
            self._give_back(order)
            if isinstance(error, (ApiUnavailable, KeyRefused, UsageError)):  # a UsageError: our proxy's refusal
                self.close(error)
        elif error is None or isinstance(error, OutcomeUnknown):
            self._count(error)

    @property
    def left(self) -> int | None:
        """How many calls it would still let through; None for no limit."""
        with self._lock:
            return self._left

    def limit(self, calls: int, why: BudgetReached) -> None:
        """Let at most this many through, and say `why` then, if the budget is not smaller anyway."""
        with self._lock:
            if self._left is None or calls < self._left:
                self._left, self._used_up = calls, why

    def close(self, why: PhotioError) -> None:
        """Let nothing more through."""
        with self._lock:
            self.closed = self.closed or why
        stop = getattr(self._sender, "stop", None)
        if stop is not None:
            stop()

    def billed(self, order: str) -> bool:
        """Whether a call for `order`, 32 digits of its key, was let through that was billed, or may have been."""
        with self._lock:
            return _number(order) in self._billed

    def take(self, order: str = "") -> None:
        """Let one call for `order` through, whose end `settle` is told; one whose end nobody tells stays counted.

        Raises:
            Interrupted: Nothing more is let through.
            BudgetReached: The budget is used up.
        """
        with self._lock:
            if self.closed is not None:
                raise Interrupted(f"not sent: stopped after {self.closed.found}")
            if self._left == 0:
                self.closed = self._used_up
                raise self.closed
            if self._left is not None:
                self._left -= 1
            self.calls += 1
            self._billed.add(_number(order))

    def _give_back(self, order: str) -> None:
        with self._lock:
            self.calls -= 1
            self._billed.discard(_number(order))
            if self._left is not None:
                self._left += 1

    def _count(self, unknown: OutcomeUnknown | None) -> None:
        with self._lock:
            self._unknowns = in_a_row = self._unknowns + 1 if unknown else 0
        if in_a_row >= UNKNOWNS_IN_A_ROW:
            self.close(
                OutcomeUnknown(
                    f"{in_a_row} calls in a row ended without a whole answer: stopped to protect your money",
                    "Look at your bill and at the API's state before you go on",
                )
            )

    def compare(self, order: str, answer: bytes) -> None:
        """Warn where another order got this answer (its digest, of which 60 bits are kept) before."""
        if self._warn is None:
            return
        number = int(order, 16)
        with self._lock:
            first = self._answers.setdefault(int.from_bytes(answer[:8]) >> 4, number)
        if first != number:
            self._warn(f"warning: the API gave orders {first:032x} and {order} the same answer: look at both finals")


def _number(order: str) -> int:
    """The first 60 bits of an order's key: two orders of one command never share them."""
    return int(order[:15] or "0", 16)
