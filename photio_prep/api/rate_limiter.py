"""Space the requests of all workers of a client after HTTP 429 and 503."""

import threading
import time

# Seconds between two requests after the first "too busy"; the factors of each further one and of each success.
_FIRST_GAP, _LONGEST_GAP, _GROWTH, _DECAY = 0.05, 10.0, 2.0, 0.93


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
