"""Many photos at once: a few are prepared ahead of the calls, several calls are in flight, memory stays flat.

    sources ─▶ prepared by a few threads, in order, a bounded number ahead ─▶ paid for by `jobs` threads
            ─▶ finished by one thread a core ─▶ outcomes

Inference itself uses all cores: these threads decode the next photo and encode the last one meanwhile. An error of one
item, a bug too, is its outcome. An error that every other item would meet is raised when everything begun has ended.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from photio_prep.api.spending_guard import SpendingGuard
from photio_prep.errors import PhotioError, StorageFailed, Unexpected, of_photo
from photio_prep.system.parallel import CORES
from photio_prep.system.ranges import Range
from photio_prep.system.threads import Pool

T = TypeVar("T")
U = TypeVar("U")
V = TypeVar("V")

THREADS = Range(1, 1024)
# After this number of bugs in a row nothing more is paid for.
_BUGS_IN_A_ROW = 10


def default_workers() -> int:
    """The number of photos prepared at the same time by default: one more than there are cores, three at most."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores + 1, 3)


def map_ordered(
    items: Iterable[T], work: Callable[[T], U], *, threads: int | None = None
) -> Iterator[tuple[T, U | PhotioError]]:
    """Yield each item with the result of `work`, in the order of `items`, worked on by `threads` at a time.

    At most `threads` + 1 items are ready or in work. Without any thread the caller's own does the work. An error of
    `items`, and one of `work` that stops the batch, is raised when the items in work were yielded.
    """
    threads = default_workers() if threads is None else threads
    THREADS.check("threads", threads)
    waiting: deque[tuple[T, Future[U]]] = deque()

    def pop_first() -> tuple[T, U | PhotioError]:
        item, future = waiting.popleft()
        error = future.exception()
        own = of_photo(error) if isinstance(error, Exception) and not _stops_batch(error) else None
        return item, own or future.result()

    with Pool(threads, "prepare") as pool:
        pool.fill()
        try:
            for item in items:
                waiting.append((item, pool.submit(work, item)))
                if len(waiting) > threads:
                    yield pop_first()
            while waiting:
                yield pop_first()
        except StorageFailed:  # what was prepared meanwhile must not be paid for
            raise
        except Exception:
            while waiting:
                if _stops_batch(waiting[0][1].exception()):
                    waiting.popleft()
                else:
                    yield pop_first()
            raise
        finally:
            for _, future in waiting:
                future.cancel()


def _stops_batch(error: BaseException | None) -> bool:
    return isinstance(error, PhotioError) and error.stops_batch


def pay_and_finish(
    items: Iterable[T], pay: Callable[[T], U], finish: Callable[[T, U], V], guard: SpendingGuard, jobs: int
) -> Iterator[tuple[T, V | PhotioError]]:
    """Yield each item with the result of `finish`, as they finish; `pay` runs for `jobs` items at a time.

    As many again are taken ahead. Nothing more is taken once the guard is stopped; the first storage error stops it, as
    ten bugs in a row do. As many are finished at a time as there are cores: an answered call must not delay the next
    one, and each needs memory for a photo. An error of `items` is raised when everything that was taken was yielded.
    UsageError if the system has no thread left; nothing was sent.
    """
    guard.ready()
    with Pool(CORES, "finish", least=1) as finishing, Pool(jobs, "call", least=1) as paying:
        finishing.fill()
        paying.fill()
        queue = _PaymentQueue(pay, finish, guard, paying, finishing)
        try:
            for item in items:
                if guard.stop_reason is not None:
                    break
                queue.add(item)
                if len(queue) >= 2 * jobs:
                    yield from queue.pop_ended()
        except Exception as error:
            if isinstance(error, StorageFailed):
                guard.stop(error)
            while queue:
                yield from queue.pop_ended()
            raise
        while queue:
            yield from queue.pop_ended()


@dataclass(eq=False)
class _PaymentQueue(Generic[T, U, V]):
    """Items that are paid for, then finished, each step in a pool of its own."""

    pay: Callable[[T], U]
    finish: Callable[[T, U], V]
    guard: SpendingGuard
    paying: Executor
    finishing: Executor
    running: dict[Future[V], T] = field(default_factory=dict)
    bugs_in_a_row: int = 0

    def __len__(self) -> int:
        return len(self.running)

    def add(self, item: T) -> None:
        """Queue an item to be paid for."""
        outcome: Future[V] = Future()
        self.running[outcome] = item
        self.paying.submit(self._run_step, outcome, lambda: self._queue_finish(item, self.pay(item), outcome))

    def pop_ended(self) -> Iterator[tuple[T, V | PhotioError]]:
        """Yield the items that have ended, at least one, each with its outcome."""
        for outcome in wait(self.running, return_when=FIRST_COMPLETED).done:
            yield self.running.pop(outcome), self._read_error(outcome) or outcome.result()

    def _queue_finish(self, item: T, answer: U, outcome: Future[V]) -> None:
        self.finishing.submit(self._run_step, outcome, lambda: outcome.set_result(self.finish(item, answer)))

    def _run_step(self, outcome: Future[V], step: Callable[[], Any]) -> None:
        try:
            step()
        except BaseException as error:  # noqa: BLE001  raised again by `outcome.result`
            if isinstance(error, StorageFailed):
                self.guard.stop(error)
            outcome.set_exception(error)

    def _read_error(self, outcome: Future[V]) -> PhotioError | None:
        """The error of an item; bugs in a row stop the guard: further calls would probably be paid for nothing."""
        raised = outcome.exception()
        error = of_photo(raised) if isinstance(raised, Exception) else None
        self.bugs_in_a_row = self.bugs_in_a_row + 1 if isinstance(error, Unexpected) else 0
        if error is not None and self.bugs_in_a_row == _BUGS_IN_A_ROW:
            self.guard.stop(error)
        return error
