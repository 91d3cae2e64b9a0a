"""Many photos at once: a few are prepared ahead of the calls, several calls are in flight, memory stays flat.

Takes items and what is done to each; gives their outcomes. Touches threads. Raises only what would befall every other
item too, and that when everything begun has ended and was given; what one item meets, a bug too, is its own outcome.

    sources ─▶ prepared by a few threads   , in order, a bounded number ahead ─▶ paid for by `jobs` threads
            ─▶ finished by one thread a core ─▶ outcomes

Inference itself uses all cores, so these threads exist to decode the next photo and encode the last one meanwhile.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from typing import Any, Generic, TypeVar

from photio_prep.api.spending_guard import SpendingGuard
from photio_prep.errors import PhotioError, StorageFailed, Unexpected, of_photo
from photio_prep.system.parallel import CORES
from photio_prep.system.threads import Pool

T = TypeVar("T")
U = TypeVar("U")
V = TypeVar("V")

# So many bugs in a row, and nothing more is paid for.
_BUGS_IN_A_ROW = 10


def default_workers() -> int:
    """How many photos are prepared at the same time, unless told: one more than there are cores, three at most."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores + 1, 3)


def map_ordered(
    items: Iterable[T], work: Callable[[T], U], *, threads: int | None = None
) -> Iterator[tuple[T, U | PhotioError]]:
    """Each item with what `work` made of it, in the order of `items`, worked on by `threads` at a time.

    No more than `threads` and one lie ready or in work. Without a thread to be had, the caller's own works. An error
    that every other item would meet too, or one of `items` itself, is raised when what is in work was given.

    Raises:
        UsageError, StorageFailed, ModelUnavailable: As `work` raises them.
    """
    threads = threads or default_workers()
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
                if _stops_batch(waiting[0][1].exception()):
                    waiting.popleft()
                else:
                    yield first()
            raise
        finally:  # the rest is not awaited any more
            for _, future in waiting:
                future.cancel()


def _stops_batch(error: BaseException | None) -> bool:
    return isinstance(error, PhotioError) and error.stops_batch


def _own_error(future: Future[Any]) -> PhotioError | None:
    """An item's own error, if it met one; what befalls all, or stops the program, is none and is raised by `result`."""
    error = future.exception()
    return of_photo(error) if isinstance(error, Exception) and not _stops_batch(error) else None


def pay_and_finish(
    items: Iterable[T], pay: Callable[[T], U], finish: Callable[[T, U], V], guard: SpendingGuard, jobs: int
) -> Iterator[tuple[T, V | PhotioError]]:
    """Each item with what `finish` made of what `pay` gave, as they finish: `jobs` calls at a time.

    As many again are taken ahead. Nothing more is taken once the guard is closed, and the first trouble with the disk
    closes it, as ten bugs in a row do. Finished are as many at a time as there are cores: that a call has its answer
    must not keep the next one waiting, and each needs memory for a photo, which its thread keeps.
    What `items` raises is raised when everything that was taken has been given.

    Raises:
        UsageError: The system gives no thread; nothing was sent.
    """
    guard.ready()
    with Pool(CORES, "finish", least=1) as finishing, Pool(jobs, "call", least=1) as paying:
        finishing.fill()
        paying.fill()
        queue = PaymentQueue(pay, finish, guard, paying, finishing)
        try:
            for item in items:
                if guard.stop_reason is not None:
                    break
                queue.add(item)
                if len(queue) >= 2 * jobs:
                    yield from queue.ended()
        except Exception as error:
            if isinstance(error, StorageFailed):
                guard.stop(error)
            while queue:
                yield from queue.ended()
            raise
        while queue:
            yield from queue.ended()


class PaymentQueue(Generic[T, U, V]):
    """Items that go through two steps, each in a pool of its own: paid for, then finished.

    Closes the guard at the first trouble with the disk, and when too many in a row met a bug: the next call would be
    paid for in vain.
    """

    def __init__(
        self,
        pay: Callable[[T], U],
        finish: Callable[[T, U], V],
        guard: SpendingGuard,
        paying: Executor,
        finishing: Executor,
    ) -> None:
        self._pay, self._finish, self._guard = pay, finish, guard
        self._paying, self._finishing = paying, finishing
        self._running: dict[Future[V], T] = {}
        self._bugs = 0

    def __len__(self) -> int:
        return len(self._running)

    def add(self, item: T) -> None:
        """Let an item be paid for as soon as a thread is free."""
        outcome: Future[V] = Future()
        self._running[outcome] = item
        self._paying.submit(self._pay_step, item, outcome)

    def ended(self) -> Iterator[tuple[T, V | PhotioError]]:
        """Those items that have ended, at least one, each with its outcome."""
        for outcome in wait(self._running, return_when=FIRST_COMPLETED).done:
            yield self._running.pop(outcome), self._error(outcome) or outcome.result()

    def _pay_step(self, item: T, outcome: Future[V]) -> None:
        try:
            self._finishing.submit(self._finish_step, item, self._pay(item), outcome)
        except BaseException as error:  # noqa: BLE001  raised again by whoever asks for the outcome
            self._fail(outcome, error)

    def _finish_step(self, item: T, answer: U, outcome: Future[V]) -> None:
        try:
            outcome.set_result(self._finish(item, answer))
        except BaseException as error:  # noqa: BLE001  raised again by whoever asks for the outcome
            self._fail(outcome, error)

    def _fail(self, outcome: Future[V], error: BaseException) -> None:
        if isinstance(error, StorageFailed):
            self._guard.stop(error)
        outcome.set_exception(error)

    def _error(self, outcome: Future[V]) -> PhotioError | None:
        """What an item met; bugs in a row are counted."""
        raised = outcome.exception()
        error = of_photo(raised) if isinstance(raised, Exception) else None
        self._bugs = self._bugs + 1 if isinstance(error, Unexpected) else 0
        if error is not None and self._bugs == _BUGS_IN_A_ROW:
            self._guard.stop(error)
        return error
