"""Many photos at once: a few are prepared ahead of the calls, several calls are in flight, memory stays flat.

    sources ─▶ prepared by `workers` threads, in order, a bounded number ahead ─▶ paid for by `jobs` threads
            ─▶ finished by one thread a core ─▶ outcomes

Inference itself uses all cores, so `workers` exist to decode the next photo and encode the last one meanwhile.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from functools import partial
from typing import Any, TypeVar

from photio_prep.api.spending_guard import Till
from photio_prep.errors import PhotioError, StorageFailed, Unexpected, of_photo
from photio_prep.system.parallel import CORES
from photio_prep.system.threads import Pool

T = TypeVar("T")
U = TypeVar("U")
V = TypeVar("V")

# What every other photo would meet too: usage, storage, the model.
_BEFALLS_ALL = (2, 7, 11)
# So many bugs in a row, and nothing more is paid for.
_BUGS_IN_A_ROW = 10


def workers() -> int:
    """How many photos are prepared at the same time, unless told: one more than there are cores, three at most."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores + 1, 3)


def in_order(
    items: Iterable[T], work: Callable[[T], U], *, threads: int | None = None
) -> Iterator[tuple[T, U | PhotioError]]:
    """Each item with what `work` made of it, in the order of `items`, worked on by `threads` at a time.

    No more than `threads` and one lie ready or in work. Without a thread to be had, the caller's own works. An error
    that every other item would meet too, or one of `items` itself, is raised when what is in work was given.

    Raises:
        UsageError, StorageFailed, ModelUnavailable: As `work` raises them.
    """
    threads = threads or workers()
    waiting: deque[tuple[T, Future[U]]] = deque()

    def first() -> tuple[T, U | PhotioError]:
        item, future = waiting.popleft()
        return item, _own_error(future) or future.result()

    with Pool(threads, "prepare") as pool:
        pool.fill()
        try:
            for item in items:
                waiting.append((item, pool.submit(work, item)))
                if len(waiting) > threads:
                    yield first()
            while waiting:
                yield first()
        except StorageFailed:  # what was made meanwhile must not be paid for
            raise
        except Exception:
            while waiting:
                if _befalls_all(waiting[0][1].exception()):
                    waiting.popleft()
                else:
                    yield first()
            raise
        finally:  # the rest is not awaited any more
            for _, future in waiting:
                future.cancel()


def _befalls_all(error: BaseException | None) -> bool:
    return isinstance(error, PhotioError) and error.exit_code in _BEFALLS_ALL


def _own_error(future: Future[Any]) -> PhotioError | None:
    """An item's own error, if it met one; what befalls all, or stops the program, is none and is raised by `result`."""
    error = future.exception()
    return of_photo(error) if isinstance(error, Exception) and not _befalls_all(error) else None


def as_done(
    found: Iterable[T],
    call: Callable[[T], U],
    finish: Callable[[T, U], V],
    till: Till,
    jobs: int,
) -> Iterator[tuple[T, V | PhotioError]]:
    """Each of `found` with what `finish` made of what `call` gave, as they finish: `jobs` calls at a time.

    As many again are taken ahead. Nothing more is taken once the till is closed, and the first trouble with the disk
    closes it, as ten bugs in a row do. Finished are as many at a time as there are cores: that a call has its answer
    must not keep the next one waiting, and each needs memory that its thread keeps (measurements/speed.md).
    What `found` raises is raised when everything that was taken has been given.

    Raises:
        UsageError: The system gives no thread; nothing was sent.
    """
    running: dict[Future[V], T] = {}
    fuse = _Fuse(till)

    def ended() -> Iterator[tuple[T, V | PhotioError]]:
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            yield running.pop(future), fuse.error(future) or future.result()

    till.ready()
    with Pool(CORES, "finish", least=1) as finishing, Pool(jobs, "call", least=1) as calling:
        finishing.fill()
        calling.fill()
        try:
            for one in found:
                if till.closed is not None:
                    break
                whole: Future[V] = Future()
                running[whole] = one
                then = partial(_closing, till, finish, one)
                calling.submit(_closing, till, call, one).add_done_callback(partial(_go_on, finishing, whole, then))
                if len(running) >= 2 * jobs:
                    yield from ended()
        except Exception as error:
            if isinstance(error, StorageFailed):
                till.close(error)
            while running:
                yield from ended()
            raise
        while running:
            yield from ended()


class _Fuse:
    """Closes the till when too many in a row met a bug: the next call would be paid for in vain."""

    def __init__(self, till: Till) -> None:
        self._till = till
        self._bugs = 0

    def error(self, future: Future[Any]) -> PhotioError | None:
        """What an item met, counted."""
        raised = future.exception()
        error = of_photo(raised) if isinstance(raised, Exception) else None
        self._bugs = self._bugs + 1 if isinstance(error, Unexpected) else 0
        if error is not None and self._bugs == _BUGS_IN_A_ROW:
            self._till.close(error)
        return error


def _closing(till: Till, work: Callable[..., U], *given: Any) -> U:  # noqa: ANN401  what `work` takes
    """What `work` gives; the first trouble with the disk closes the till at once."""
    try:
        return work(*given)
    except StorageFailed as error:
        till.close(error)
        raise


def _go_on(pool: Executor, whole: Future[V], work: Callable[[U], V], answer: Future[U]) -> None:
    """`whole` gets what `work` makes of an answer, in a thread of `pool`; or what went wrong with either."""

    def settle() -> None:
        try:
            whole.set_result(work(answer.result()))
        except BaseException as error:  # noqa: BLE001  raised again by whoever asks for it
            whole.set_exception(error)

    pool.submit(settle)
