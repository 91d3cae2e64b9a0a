"""run_many: photos from any iterable, paid for and finished, several at a time."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Required, Unpack, cast

from PIL import Image

from photio_prep import pipeline
from photio_prep.api.spending_guard import SpendingGuard
from photio_prep.batch.scheduler import map_ordered, pay_and_finish
from photio_prep.batch.workers import PhotoTask, WorkerPool, open_workers
from photio_prep.errors import Interrupted, PhotioError, UsageError
from photio_prep.intake.load import Source, display_name, read_source
from photio_prep.options import DEFAULT_RUN, JobKeywords, RunKeywords, RunOptions
from photio_prep.orders.store import Order
from photio_prep.types import Final, Photo, Result, Sender


class Job(JobKeywords, total=False):
    """One photo of many with options of its own, which replace those of all."""

    source: Required[Source | Photo]


@dataclass(frozen=True, slots=True)
class PhotoOutcome:
    """The outcome of one photo of many.

    `order` is None if the photo was refused, `final` if there is an `error`. An `Unexpected` error is a bug, and its
    `__cause__` the exception.
    """

    source: Source | Photo | Job
    order: Order | None = None
    final: Final | None = None
    error: PhotioError | None = None


def run_many(
    sources: Iterable[Source | Photo | Job],
    description: str = "",
    *,
    client: Sender,
    max_calls: int | None = None,
    jobs: int | None = None,
    threads: int | None = None,
    workers: int | None = None,
    progress: Callable[[PhotoOutcome], None] | None = None,
    options: RunOptions = DEFAULT_RUN,
    **keywords: Unpack[RunKeywords],
) -> Iterator[PhotoOutcome]:
    """Yield the outcome of each photo as they finish: prepare, generate, finish. PAID.

    Sources are taken as they are needed and may be endless. Closing the iterator starts nothing new and waits for what
    is in flight. An error of one photo, a bug too, is its own outcome.

    Args:
        sources: As in `prepare`; or mappings with `source` and options of the photo (see `Job`).
        description: The scene, in English, of photos whose mapping has no other.
        client: Sends the requests. One that an error or closing the iterator stopped sends no more: make a new one.
        max_calls: The budget.
        jobs: Calls at the same time; 8, unless `options` say otherwise.
        threads: Photos that are prepared at the same time.
        workers: Prepare in so many processes, at most two a core, instead of threads; all options must be picklable.
        progress: Called with each outcome before it is yielded.
        options: How each photo is prepared, paid for and finished.
        keywords: Single options of `run` in place of those of `options`, for all.

    Raises:
        PhotioError: One that every other photo would meet (`stops_batch`). This, and an exception of `sources` or
            `progress`, is raised when everything that was taken has ended and was yielded.
    """
    for_all = options.changed(description=description, **keywords)
    pay = for_all.pay if max_calls is None else replace(for_all.pay, max_calls=max_calls)
    pay = pay if jobs is None else replace(pay, jobs=jobs)
    guard = SpendingGuard(client, pay.max_calls)
    failed: list[Exception] = []
    with open_workers(workers) as pool:
        threads = threads if workers is None else workers
        prepared = map_ordered(sources, partial(_prepare, for_all, guard, pool), threads=threads)
        try:
            for (source, photo), ended in pay_and_finish(prepared, partial(_pay, guard), _finish, guard, pay.jobs):
                order = None if isinstance(photo, PhotioError) else photo.order
                error = ended if isinstance(ended, PhotioError) else None
                outcome = PhotoOutcome(source, order, None if isinstance(ended, PhotioError) else ended, error)
                if progress is not None and not failed:
                    try:
                        progress(outcome)
                    except Exception as raised:  # noqa: BLE001  raised again at the end
                        failed.append(raised)
                        guard.stop(Interrupted("the progress callback failed"))
                yield outcome
        except BaseException:
            guard.stop(Interrupted("the iterator was closed"))
            raise
    if failed:
        raise failed[0]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """An order, and the valid options of its photo."""

    order: Order
    options: RunOptions


def _prepare(
    for_all: RunOptions, guard: SpendingGuard, pool: WorkerPool | None, source: Source | Photo | Job
) -> _Prepared:
    options = for_all
    if isinstance(source, Mapping):
        own = dict(cast("Mapping[str, object]", source))
        if unknown := own.keys() - {"source"} - JobKeywords.__optional_keys__:
            raise UsageError(f"{min(unknown)!r} is not an option of a photo", "Its options are those of `run`")
        if "source" not in own:
            raise UsageError("a mapping names no source", "Give the photo as `source`")
        source = cast("Source | Photo", own.pop("source"))
        options = for_all.changed(**cast("JobKeywords", own))
    place = replace(options.place, endpoint=guard.endpoint)
    if pool and not isinstance(source, Photo):
        place = replace(place, name=place.name or display_name(source))
        if not isinstance(source, (str, os.PathLike, bytes, Image.Image)):  # an open file does not travel
            source = read_source(source, options.prepare.limits, place.name)
    task = PhotoTask(source, options.prepare, place, finish=options.finish)
    return _Prepared(pool.prepare(task) if pool else task.prepare(), options)


def _pay(guard: SpendingGuard, photo: tuple[object, _Prepared | PhotioError]) -> tuple[_Prepared, Result]:
    _, prepared = photo
    if isinstance(prepared, PhotioError):
        raise prepared
    return prepared, pipeline.generate(prepared.order, client=guard, options=prepared.options.pay)


def _finish(_: object, paid: tuple[_Prepared, Result]) -> Final:
    prepared, result = paid
    return pipeline.finish(prepared.order, result, prepared.options.finish)
