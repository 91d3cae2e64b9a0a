"""Progress of a long command, on stderr."""

import sys
import time
from collections.abc import Callable, Mapping

from tqdm import tqdm

from photio_prep.orders.state import State, summarize

# Seconds between two plain lines where stderr is not a terminal.
_PAUSE = 30.0


class _Bar(tqdm):  # type: ignore[type-arg]
    """tqdm without its monitor thread, which warns where the system has no thread left."""

    monitor_interval = 0


class Progress:
    """A bar with states, spend and time left on a terminal, else a plain line every 30 s by `say`.

    `total` is the number of expected results, `command` the name of the verb.
    """

    def __init__(self, total: int, command: str, say: Callable[[str], None]) -> None:
        self._total, self._command, self._say = total, command, say
        self._done, self._worked, self._work = 0, 0, 0.0
        self._last = self._printed = time.monotonic()
        self._bar = None
        if sys.stderr.isatty():
            form = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"
            self._bar = _Bar(
                total=total,
                desc=command,
                bar_format=form,
                file=sys.stderr,
                leave=False,
                dynamic_ncols=True,
                mininterval=0.2,
            )

    def step(self, states: Mapping[State, int], spent: float | None = None, *, worked: bool = True) -> None:
        """Count one result; `states` counts all results so far, `spent` is what this command paid.

        A result without work (`worked` false) was done by an earlier command and does not count for the time left.
        """
        now = time.monotonic()
        self._done += 1
        if worked:
            self._worked += 1
            self._work += now - self._last
        self._last = now
        text = summarize(states)
        if spent is not None:
            text += f", {spent:.2f} spent"
        if self._worked:
            left = self._work / self._worked * (self._total - self._done)
            text += f"; about {tqdm.format_interval(left)} left"
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update()
        elif now - self._printed >= _PAUSE and self._done < self._total:
            self._printed = now
            self._say(f"{self._command}: {self._done} of {self._total}: {text}")

    def clear(self) -> None:
        """Clear the bar before a line is printed."""
        if self._bar is not None:
            self._bar.clear()

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
