"""Poll a folder for photos that have stopped changing.

Polling, because notifications of the system do not come from network shares, and report that a file was opened or
moved, never that its writer has finished.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from photio_prep.intake.item import Item

# Size, time of change in nanoseconds and inode: they change when a file is written or replaced.
_Stamp = tuple[int, int, int]


def iter_settled(
    look: Callable[[], Iterable[Item]],
    stopped: Callable[[], bool],
    *,
    quiet: float,
    wait: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[list[Item]]:
    """Yield batches of photos that have not changed for `quiet` seconds, until `stopped` returns true.

    A photo that changes later comes again. Photos that exist at the start come first, done or not. `look` lists the
    folder; `stopped` is called several times a second.
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
            continue
        pause = min(max(quiet / 2, 0.05), 1.0)
        while pause > 0 and not stopped():
            wait(min(0.1, pause))
            pause -= 0.1


def _read_stamp(item: Item) -> _Stamp | None:
    """Read the stamp of a file; None for a missing file."""
    try:
        stat = item.source.stat(follow_symlinks=item.follow) if isinstance(item.source, Path) else None
    except OSError:
        return None
    return (stat.st_size, stat.st_mtime_ns, stat.st_ino) if stat else None
