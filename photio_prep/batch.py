"""Many photos at once: a few are prepared ahead of the calls, several calls are in flight, memory stays flat.

Takes sources and a client; gives what became of each. Touches what the stages touch. Raises only what would befall
every other photo too; what goes wrong with one is its own outcome.

    sources ─▶ prepared by `workers` threads, in order, a bounded number ahead ─▶ paid for by `jobs` threads
            ─▶ finished by one thread a core ─▶ outcomes

Inference itself uses all cores, so `workers` exist to decode the next photo and encode the last one meanwhile.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from photio_prep import flow
from photio_prep.data import Final, Result, Sender
from photio_prep.errors import Interrupted, PhotioError, StorageFailed
from photio_prep.orders import Order
from photio_prep.parallel import CORES
from photio_prep.stages.load import Source
from photio_prep.till import Till

T = TypeVar("T")
U = TypeVar("U")
V = TypeVar("V")

JOBS = 8
# What every other photo would meet too: usage, storage, the model.
_BEFALLS_ALL = (2, 7, 11)


def workers() -> int:
    """How many photos are prepared at the same time, unless told: one more than there are cores, three at most."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores + 1, 3)


def in_order(
    items: Iterable[T], work: Callable[[T], U], *, threads: int | None = None
) -> Iterator[tuple[T, U | PhotioError]]:
    """Each item with what `work` made of it, in the order of `items`, worked on by `threads` at a time.

    No more than `threads` and one lie ready or in work. An error that every other item would meet too is raised.

    Raises:
        UsageError, StorageFailed, ModelUnavailable: As `work` raises them.
    """
    threads = threads or workers()
    waiting: deque[tuple[T, Future[U]]] = deque()

    def first() -> tuple[T, U | PhotioError]:
        item, future = waiting.popleft()
        try:
            return item, future.result()
        except PhotioError as error:
            if error.exit_code in _BEFALLS_ALL:
                raise
            return item, error

    with ThreadPoolExecutor(threads, thread_name_prefix="prepare") as pool:
        try:
            for item in items:
                waiting.append((item, pool.submit(work, item)))
                if len(waiting) > threads:
                    yield first()
            while waiting:
                yield first()
        finally:  # the rest is not wanted any more, or would meet the same
            for _, future in waiting:
                future.cancel()


def as_done(
    found: Iterable[T],
    call: Callable[[T], U],
    finish: Callable[[T, U], V],
    till: Till,
    jobs: int,
) -> Iterator[tuple[T, V | PhotioError]]:
    """Each of `found` with what `finish` made of what `call` gave, as they finish: `jobs` calls at a time.

    As many again are taken ahead. Nothing more is taken once the till is closed, and the first trouble with the disk
    closes it. Finished are as many at a time as there are cores: that a call has its answer must not keep the next one
    waiting, and each needs memory for a photo, which its thread keeps (docs/speed.md).
    """
    running: dict[Future[V], T] = {}

    def finished() -> Iterator[tuple[T, V | PhotioError]]:
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            one = running.pop(future)
            try:
                yield one, future.result()
            except PhotioError as error:
                yield one, error

    with ThreadPoolExecutor(CORES, "finish") as finishing, ThreadPoolExecutor(jobs, "call") as calling:
        for one in found:
            if till.closed is not None:
                break
            whole: Future[V] = Future()
            running[whole] = one
            then = partial(_closing, till, finish, one)
            calling.submit(_closing, till, call, one).add_done_callback(partial(_go_on, finishing, whole, then))
            if len(running) >= 2 * jobs:
                yield from finished()
        while running:
            yield from finished()


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


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one photo of many.

    `source` is the source as it was given; `order` None where the photo was refused; `final` None where anything
    went wrong, and `error` then says what.
    """

    source: Any
    order: Order | None = None
    final: Final | None = None
    error: PhotioError | None = None


def run_many(
    sources: Iterable[Source | Mapping[str, Any]],
    description: str = "",
    *,
    client: Sender,
    max_calls: int | None = None,
    jobs: int = JOBS,
    threads: int | None = None,
    progress: Callable[[Outcome], None] | None = None,
    format: str | None = None,  # noqa: A002
    gate: str | None = None,
    **options: Any,  # noqa: ANN401
) -> Iterator[Outcome]:
    """What became of each photo, as they finish: prepare, generate, finish. PAID.

    Takes no more sources than it needs, so that they may be endless. Closing the iterator starts nothing new and
    waits for what is in flight.

    Args:
        sources: As in `prepare`; or mappings of `prepare`'s arguments, `source` and what is particular to the photo.
        description: The scene wanted, in English, where a mapping gives no other.
        client: Who sends.
        max_calls: Pay for at most so many.
        jobs: Calls at the same time.
        threads: Photos that are prepared at the same time.
        progress: Is told of each outcome before it is given.
        format: As in `finish`.
        gate: As in `generate`.
        options: The other arguments of `prepare`, for all.

    Raises:
        UsageError, StorageFailed, ModelUnavailable: What every other photo would meet too.
    """
    till = Till(client, max_calls)

    def prepared(given: Source | Mapping[str, Any]) -> Order:
        own = given if isinstance(given, Mapping) else {"source": given}
        return flow.prepare(**{"description": description, "endpoint": till.endpoint, **options, **own})

    def call(job: tuple[Any, Order | PhotioError]) -> tuple[Order, Result]:
        if isinstance(job[1], PhotioError):  # refused while it was prepared
            raise job[1]
        return job[1], flow.generate(job[1], client=till, gate=gate)

    def finish(_: object, paid: tuple[Order, Result]) -> Final:
        return flow.finish(*paid, format=format)

    try:
        made_ready = in_order(sources, prepared, threads=threads)
        for (given, order), final in as_done(made_ready, call, finish, till, jobs):
            error = final if isinstance(final, PhotioError) else None
            made = None if isinstance(order, PhotioError) else order
            outcome = Outcome(given, made, None if isinstance(final, PhotioError) else final, error)
            if progress is not None:
                progress(outcome)
            yield outcome
    finally:
        till.close(Interrupted("the iterator was closed"))
