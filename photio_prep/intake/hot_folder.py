"""Poll a folder for photos that have stopped changing.

Polling, because notifications of the system do not come from network shares, and report that a file was opened or
moved, never that its writer has finished.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from photio_prep.intake.item import Item


class _Stamp(NamedTuple):
    """The properties of a file that change when it is written or replaced."""

    size: int
    mtime_ns: int
    inode: int


def iter_settled(
    look: Callable[[], Iterable[Item]],
    stopped: Callable[[], bool],
    *,
    quiet: float,
    wait: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[list[Item]]:
    """Yield batches of photos that have not changed for `quiet` seconds, until `stopped` returns true.

    A photo that changes later comes again. Photos that exist at the start come first, done or not.

    Args:
        look: Lists the folder.
        stopped: Called several times a second.
        quiet: Seconds.
        wait: Sleeps; for tests.
        clock: Monotonic seconds; for tests.
    """
    changing: dict[str, tuple[_Stamp, float]] = {}
    delivered: dict[str, _Stamp] = {}
    while not stopped():
        ready, present = [], set()
        for item in look():
            stamp = _read_stamp(item)
            if stamp is None:
                continue
            present.add(item.name)
            if delivered.get(item.name) == stamp:
                continue
            previous, since = changing.get(item.name, (None, 0.0))
            if previous != stamp:
                changing[item.name] = stamp, clock()
            elif clock() - since >= quiet:
                ready.append(item)
                delivered[item.name] = changing.pop(item.name)[0]
        # A file that was removed and comes back is new.
        changing = {name: entry for name, entry in changing.items() if name in present}
        delivered = {name: stamp for name, stamp in delivered.items() if name in present}
        if ready:
            yield ready
        else:
            _pause(min(max(quiet / 2, 0.05), 1.0), stopped, wait)


def _read_stamp(item: Item) -> _Stamp | None:
    """Read the stamp of a file; None for a missing file."""
    if not isinstance(item.source, Path):
        return None
    try:
        stat = item.source.stat(follow_symlinks=item.follow)
    except OSError:
        return None
    return _Stamp(stat.st_size, stat.st_mtime_ns, stat.st_ino)


def _pause(seconds: float, stopped: Callable[[], bool], wait: Callable[[float], object]) -> None:
    step = 0.1
    while seconds > 0 and not stopped():
        wait(min(step, seconds))
        seconds -= step
