"""How far a long command has got, on stderr."""

import sys
import time
from collections.abc import Callable, Mapping

from tqdm import tqdm

from photio_prep.orders.state import State, tally

# Off a terminal: seconds between two plain lines.
_PAUSE = 30.0


class _Bar(tqdm):  # type: ignore[type-arg]
    """Without tqdm's own thread, which warns where the system gives none."""

    monitor_interval = 0


class Progress:
    """On a terminal one line that stays: a bar, the time left, states, money. Elsewhere a plain line now and then.

    Args:
        total: How many results are awaited.
        what: The command.
        say: Prints a plain line.
    """

    def __init__(self, total: int, what: str, say: Callable[[str], None]) -> None:
        self._total, self._what, self._say = total, what, say
        self._done, self._worked, self._work = 0, 0, 0.0
        self._last = self._told = time.monotonic()
        self._bar = None
        if sys.stderr.isatty():
            form = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"
            self._bar = _Bar(
                total=total,
                desc=what,
                bar_format=form,
                file=sys.stderr,
                leave=False,
                dynamic_ncols=True,
                mininterval=0.2,
            )

    def step(self, states: Mapping[State, int], spent: float | None = None, *, worked: bool = True) -> None:
        """One more result; `states` counts how all of the command ended, `spent` is what it paid itself so far.

        Unless `worked`, it was done before: how fast such results come says nothing about the rest.
        """
        now = time.monotonic()
        self._done += 1
        if worked:
            self._worked += 1
            self._work += now - self._last
        self._last = now
        told = tally(states)
        if spent is not None:
            told += f", {spent:.2f} spent"
        if self._worked:
            left = self._work / self._worked * (self._total - self._done)
            told += f"; about {tqdm.format_interval(left)} left"
        if self._bar is not None:
            self._bar.set_postfix_str(told, refresh=False)
            self._bar.update()
        elif now - self._told >= _PAUSE and self._done < self._total:
            self._told = now
            self._say(f"{self._what}: {self._done} of {self._total}: {told}")

    def clear(self) -> None:
        """Make room for a line of talk."""
        if self._bar is not None:
            self._bar.clear()

    def close(self) -> None:
        """Take the line away."""
        if self._bar is not None:
            self._bar.close()
