"""Run two functions at once, per-path locks, malloc.

Pillow, numpy and OpenCV release the interpreter while they compute.
"""

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar
from weakref import WeakValueDictionary

from photio_prep.system import environment
from photio_prep.system.threads import Pool

First = TypeVar("First")
Second = TypeVar("Second")

CORES = os.cpu_count() or 1
# Pixels of a picture up to which a thread for half of the work costs more than it saves.
SMALL = 2**17
# From glibc's malloc.h.
_M_ARENA_MAX = -8
# Cores that no photo's work takes: a batch that uses all of them has none for a second thread.
_IDLE = threading.BoundedSemaphore(CORES)


@contextmanager
def occupy_core() -> Iterator[bool]:
    """Take one of the cores that `run_both` may use, while a photo is worked on; yields whether one was idle."""
    is_idle = _IDLE.acquire(blocking=False)
    try:
        yield is_idle
    finally:
        if is_idle:
            _IDLE.release()


def run_both(first: Callable[[], First], second: Callable[[], Second], *, worth: bool = True) -> tuple[First, Second]:
    """Call both functions and return both results; if both raise, the first one's error is raised.

    The first runs in a thread of its own if a second core is idle, OMP_NUM_THREADS allows it, and it is `worth` it: not
    for a few milliseconds.
    """
    if not worth or 1 in (CORES, environment.thread_limit()):
        return first(), second()
    with occupy_core() as is_idle, Pool(int(is_idle), "photio-part") as aside:
        if not aside.fill():  # no core is idle, or the system has no thread left
            return first(), second()
        other = aside.submit(first)
        try:
            second_result = second()
        except BaseException:
            other.result()
            raise
    return other.result(), second_result


def limit_malloc_arenas() -> None:
    """Make the threads of this process share two malloc arenas. Without glibc this does nothing.

    By default each thread has its own, which keeps the memory of its largest photo (measurements/speed.md).
    """
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def trim_malloc() -> None:
    """Return the memory that malloc keeps of freed pictures to the system. Without glibc this does nothing."""
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


_LOCKS: WeakValueDictionary[str, threading.Lock] = WeakValueDictionary()
_GUARD = threading.Lock()


@contextmanager
def path_lock(path: Path) -> Iterator[None]:
    """Lock `path` between the threads of this process. The file need not exist."""
    with _GUARD:
        lock = _LOCKS.setdefault(os.path.realpath(path), threading.Lock())
    with lock:
        yield
