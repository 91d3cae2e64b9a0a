"""When the next request may leave: one clock for all workers of a client."""

import threading
import time

# Seconds between two requests after the first "too busy"; grown by each further one, eased by each success.
_FIRST_GAP, _LONGEST_GAP, _GROWN, _EASED = 0.05, 10.0, 2.0, 0.93


class Pace:
    """Lets requests leave one after the other: all at once while all is well, spaced after the API said "too busy".

    Without spacing, every worker that waited would leave in the same instant, and most be turned away again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._not_before = 0.0
        self._busy_until = 0.0
        self._gap = 0.0

    def busy(self, seconds: float) -> None:
        """The API turned a request away: nobody sends for this long, and then more slowly."""
        with self._lock:
            now = time.monotonic()
            # What was on its way already when the first was turned away says nothing new about the pace.
            if now >= self._busy_until:
                # As long apart as the wait it asks for is slow enough for anybody.
                self._gap = min(max(_GROWN * self._gap, _FIRST_GAP), max(seconds, _FIRST_GAP), _LONGEST_GAP)
            self._busy_until = max(self._busy_until, now + seconds)
            self._not_before = max(self._not_before, self._busy_until)

    def well(self) -> None:
        """A request was taken: a little faster from now on."""
        with self._lock:
            self._gap = self._gap * _EASED if self._gap > _FIRST_GAP / 4 else 0.0

    def left(self) -> float:
        """Seconds until a request may leave; 0 is the permission for one, given once."""
        with self._lock:
            now = time.monotonic()
            left = self._not_before - now
            if left <= 0:
                self._not_before = now + self._gap
            return max(left, 0.0)

    def wait(self, stopped: threading.Event) -> None:
        """Return when a request may leave, or when `stopped` is set."""
        while not stopped.is_set() and (left := self.left()):
            stopped.wait(left)
