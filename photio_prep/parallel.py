"""Parts of one photo's work at the same time: Pillow, numpy and scipy let go of the interpreter while they compute.

Takes functions; gives what they give. Touches threads, which end with the call. Raises what the functions raise.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

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
    with ThreadPoolExecutor(1, thread_name_prefix="photio-part") as aside:
        other = aside.submit(first)
        try:
            here = second()
        except BaseException:
            other.result()
            raise
    return other.result(), here
