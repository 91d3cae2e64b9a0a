"""Parts of one photo's work at the same time, what only one thread may do at a time, and the memory of threads.

Pillow, numpy and scipy let go of the interpreter while they compute.
"""

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar
from weakref import WeakValueDictionary

from photio_prep.system.threads import Pool

First = TypeVar("First")
Second = TypeVar("Second")

CORES = os.cpu_count() or 1


def both(first: Callable[[], First], second: Callable[[], Second], *, worth: bool = True) -> tuple[First, Second]:
    """What each gives; the first runs in a thread of its own meanwhile, where there is a core for it and it is `worth`.

    What takes a few milliseconds is not: threads that often want the interpreter keep each other from it.
    Where both raise, the first one's error is told.
    """
    if CORES == 1 or not worth:
        return first(), second()
    with Pool(1, "photio-part") as aside:
        if not aside.fill():  # the system gives no thread
            return first(), second()
        other = aside.submit(first)
        try:
            here = second()
        except BaseException:
            other.result()
            raise
    return other.result(), here


def share_heaps() -> None:
    """From now on the threads of this process share two heaps, where its C library is glibc.

    By default each of them gets one of its own, which keeps what the largest photo on that thread needed. Measured:
    measurements/speed.md. Elsewhere nothing happens.
    """
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


# Of glibc's malloc.h.
_M_ARENA_MAX = -8

_LOCKS: WeakValueDictionary[str, threading.Lock] = WeakValueDictionary()
_GUARD = threading.Lock()


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """One thread of this process at a time for each path, whether anything lies there or not."""
    with _GUARD:
        lock = _LOCKS.setdefault(str(path.resolve()), threading.Lock())
    with lock:
        yield
