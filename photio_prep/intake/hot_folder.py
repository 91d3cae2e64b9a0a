"""A hot folder -> its photos, a few at a time, each once nobody writes to it any more.

It looks again and again and needs no notices of the system: those do not come from network shares, and say of a
file that it was opened or moved, never that whoever writes it has ended.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from photio_prep.intake.item import Item


class _Mark(NamedTuple):
    """What changes when somebody writes to a file, or puts another one in its place."""

    size: int
    written: int
    number: int


def settled(
    look: Callable[[], Iterable[Item]],
    stopped: Callable[[], bool],
    *,
    quiet: float,
    wait: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[list[Item]]:
    """The photos that have stood still for `quiet` seconds since the last look, until `stopped`.

    One that changes afterwards comes again. What was there before comes first; whether it is done already is for the
    order folders to say.

    Args:
        look: Gives everything that is there now.
        stopped: Whether to end; asked several times a second.
        quiet: Seconds without a change.
        wait: Lets time pass.
        clock: Seconds that only grow.
    """
    moving: dict[str, tuple[_Mark, float]] = {}
    given: dict[str, _Mark] = {}
    while not stopped():
        ready, there = [], set()
        for item in look():
            mark = _mark(item)
            if mark is None:
                continue
            there.add(item.name)
            if given.get(item.name) == mark:
                continue
            before, since = moving.get(item.name, (None, 0.0))
            if before != mark:
                moving[item.name] = mark, clock()
            elif clock() - since >= quiet:
                ready.append(item)
                given[item.name] = moving.pop(item.name)[0]
        # What was taken away and comes back is new.
        moving = {name: each for name, each in moving.items() if name in there}
        given = {name: each for name, each in given.items() if name in there}
        if ready:
            yield ready
        else:
            _rest(min(max(quiet / 2, 0.05), 1.0), stopped, wait)


def _mark(item: Item) -> _Mark | None:
    """Where a file stands now; None for one that has gone."""
    if not isinstance(item.source, Path):
        return None
    try:
        found = item.source.stat(follow_symlinks=item.follow)
    except OSError:
        return None
    return _Mark(found.st_size, found.st_mtime_ns, found.st_ino)


def _rest(seconds: float, stopped: Callable[[], bool], wait: Callable[[float], object]) -> None:
    step = 0.1
    while seconds > 0 and not stopped():
        wait(min(step, seconds))
        seconds -= step
