"""Orders being paid for, one turn each: counted, and held up while the user pauses."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Turns:
    """Lets turns begin, but for a pause: then those that have begun end, and no other begins."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held = False
        self._taken = 0

    @contextmanager
    def turn(self) -> Iterator[None]:
        """One turn, entered when there is no pause. Before the order's claim: a claim that waits would look sent."""
        with self._changed:
            self._changed.wait_for(lambda: not self._held)
            self._taken += 1
        try:
            yield
        finally:
            with self._changed:
                self._taken -= 1
                self._changed.notify_all()

    def pause(self, told: Callable[[int], None], stand: Callable[[], None]) -> bool:
        """Let no turn begin, tell how many have, call `stand` when they have ended, then go on; whether it was called.

        A `go_on` from elsewhere ends it before. Another pause meanwhile does nothing.
        """
        with self._changed:
            if self._held:
                return False
            self._held = True
            told(self._taken)
            self._changed.wait_for(lambda: not (self._held and self._taken))
            stood = self._held
            if stood:
                stand()
            self._held = False
            self._changed.notify_all()
            return stood

    def go_on(self) -> None:
        """Let turns begin."""
        with self._changed:
            self._held = False
            self._changed.notify_all()
