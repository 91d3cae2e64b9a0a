"""Progress of a long command, on stderr."""

import io
import sys
import time
from collections.abc import Callable, Mapping

from tqdm import tqdm

from photio_prep.orders.state import State, summarize

# Seconds between two plain lines where stderr is not a terminal.
_PAUSE = 30.0


class Progress(tqdm):  # type: ignore[type-arg]
    """A bar with states, spend and time left on a terminal, else a plain line every 30 s by `info`."""

    monitor_interval = 0  # tqdm's monitor thread warns where the system has no thread left

    def __init__(self, total: int, command: str, info: Callable[[str], None]) -> None:
        self._info, self._is_terminal = info, sys.stderr.isatty()
        self._total, self._worked, self._work, self._last = total, 0, 0.0, time.monotonic()
        super().__init__(
            total=total,
            desc=command,
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]",
            file=sys.stderr if self._is_terminal else io.StringIO(),
            leave=False,
            dynamic_ncols=True,
            miniters=1,
            mininterval=0.2 if self._is_terminal else _PAUSE,
            delay=0 if self._is_terminal else _PAUSE,
        )

    def step(self, states: Mapping[State, int], spent: float | None = None, *, worked: bool = True) -> None:
        """Count one result; `states` counts all results so far, `spent` is what this command paid.

        A result without work (`worked` false) was done by an earlier command and does not count for the time left.
        """
        now = time.monotonic()
        if worked:
            self._worked += 1
            self._work += now - self._last
        self._last = now
        text = summarize(states)
        if spent is not None:
            text += f", {spent:.2f} spent"
        if self._worked:
            left = self._work / self._worked * (self._total - self.n - 1)
            text += f"; about {tqdm.format_interval(left)} left"
        self.set_postfix_str(text, refresh=False)
        self.update()

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Draw the bar, or print a plain line; tqdm calls this when it is due."""
        if self._is_terminal:
            super().display(msg, pos)
        elif msg is None and 0 < self.n < self._total:
            self._info(f"{self.desc}: {self.n} of {self._total}: {self.postfix}")
