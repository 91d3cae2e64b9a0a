"""Classify an attempt by its evidence; decide whether and when it may be repeated, and space the tries of all workers.

not_sent   N  no byte of the request was sent                      free    may be repeated
rejected   R  the API refused before any work                      free    429/503 with Retry-After: after the wait
success    S  a complete answer with a usable picture              billed  -
unusable   P  a complete answer without a usable picture           billed  never
unknown    U  anything else: sent, but no complete answer came     perhaps never
"""

import math
import random
import threading
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

NOT_SENT_TRIES = 4  # the first and three more
BUSY_TRIES = 5
BROKEN_TRIES = 3  # a server error that is free by the vendor's word: two more
LONGEST_WAIT = 120.0  # seconds; a longer Retry-After ends the attempt with an error
_FIRST_WAIT, _LAST_WAIT = 0.5, 8.0
_REFUSED = frozenset({400, 401, 402, 403, 404, 413, 415, 422})
# Seconds between two requests after the first "too busy"; the factors of each further one and of each success.
_FIRST_GAP, _LONGEST_GAP, _GROWTH, _DECAY = 0.05, 10.0, 2.0, 0.93


class AttemptClass(StrEnum):
    """Class of an attempt."""

    NOT_SENT = "not_sent"
    REJECTED = "rejected"
    SUCCESS = "success"
    UNUSABLE = "unusable"
    UNKNOWN = "unknown"


def classify_status(http_status: int, *, has_retry_after: bool, server_error_is_free: bool = False) -> AttemptClass:
    """Classify a complete answer by its HTTP status alone. After SUCCESS its body decides.

    With `server_error_is_free` the vendor confirmed that a 5xx is never billed; otherwise it is UNKNOWN.
    """
    if http_status == 200:
        return AttemptClass.SUCCESS
    busy = http_status == 429 or (http_status == 503 and has_retry_after)
    free = server_error_is_free and 500 <= http_status < 600
    return AttemptClass.REJECTED if busy or free or http_status in _REFUSED else AttemptClass.UNKNOWN


def is_account_error(http_status: int) -> bool:
    """Whether the API refused the key or its credit, and so would refuse every other order."""
    return http_status in (401, 402, 403)


def retry_after(header: str | None, now: datetime | None = None) -> float | None:
    """Parse a Retry-After header, a number or an HTTP date, into seconds; None for a missing or malformed one."""
    if header is None:
        return None
    text = header.strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except (TypeError, ValueError, OverflowError):
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - (now or datetime.now(UTC))).total_seconds()
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def retry_delay(outcome: AttemptClass, http_status: int | None, tries: int, requested: float | None) -> float | None:
    """Return the seconds before the next try; None forbids one. `requested` is Retry-After, `tries` those so far."""
    if outcome is AttemptClass.NOT_SENT and tries < NOT_SENT_TRIES:
        return backoff_delay(tries)
    busy = http_status in (429, 503)
    broken = http_status is not None and 500 <= http_status < 600
    if outcome is AttemptClass.REJECTED and ((busy and tries < BUSY_TRIES) or (broken and tries < BROKEN_TRIES)):
        delay = requested if requested is not None else backoff_delay(tries)
        return delay if delay <= LONGEST_WAIT else None
    return None


def backoff_delay(tries: int) -> float:
    """Return the seconds before try number `tries` + 1: 0.5, 1, 2 … 8, plus up to 50 % jitter."""
    return min(_FIRST_WAIT * 2.0 ** (tries - 1), _LAST_WAIT) * random.uniform(1.0, 1.5)


class RateLimiter:
    """Rate limiter without spacing until the API says "too busy".

    Without spacing after that, all waiting workers would send in the same instant, and most would be refused again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._not_before = 0.0
        self._busy_until = 0.0
        self._gap = 0.0

    def slow_down(self, seconds: float) -> None:
        """Record a refused request: send nothing for `seconds`, then more slowly."""
        with self._lock:
            now = time.monotonic()
            # Requests in flight at the first refusal do not widen the gap again. The requested wait is its upper bound.
            if now >= self._busy_until:
                self._gap = min(max(_GROWTH * self._gap, _FIRST_GAP), max(seconds, _FIRST_GAP), _LONGEST_GAP)
            self._busy_until = max(self._busy_until, now + seconds)
            self._not_before = max(self._not_before, self._busy_until)

    def speed_up(self) -> None:
        """Record an accepted request: send a little faster."""
        with self._lock:
            self._gap = self._gap * _DECAY if self._gap > _FIRST_GAP / 4 else 0.0

    def reserve(self) -> float:
        """Return the seconds until a request may be sent; 0 permits exactly one."""
        with self._lock:
            now = time.monotonic()
            delay = self._not_before - now
            if delay <= 0:
                self._not_before = now + self._gap
            return max(delay, 0.0)

    def wait(self, stopped: threading.Event) -> None:
        """Wait until a request may be sent, or `stopped` is set."""
        while not stopped.is_set() and (delay := self.reserve()):
            stopped.wait(delay)
