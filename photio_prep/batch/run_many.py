"""run_many: photos from any iterable, paid for and finished, several at a time."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Required, Unpack, cast

from photio_prep import pipeline
from photio_prep.api.spending_guard import Till
from photio_prep.batch.scheduler import as_done, in_order
from photio_prep.errors import Interrupted, PhotioError, UsageError
from photio_prep.final.options import Finishing, Product
from photio_prep.imaging.encode import final_format
from photio_prep.intake.load import Source
from photio_prep.orders.store import Order
from photio_prep.types import Final, Photo, Result, Sender

JOBS = 8


class Options(pipeline.Options, total=False):
    """The options of `run`: the arguments of `prepare`, and how it is paid for and finished."""

    format: str | None
    gate: str | None
    pay_again: bool
    product: Product | None
    output_size: str


class Job(Options, total=False):
    """One photo of many with options of its own, which come before those of all."""

    source: Required[Source | Photo]
    description: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one photo of many.

    `source` is the source as it was given; `order` None where the photo was refused; `final` None where anything
    went wrong, and `error` then says what. An `Unexpected` error is a bug, and its `__cause__` the exception.
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
    jobs: int = JOBS,
    threads: int | None = None,
    progress: Callable[[Outcome], None] | None = None,
    **options: Unpack[Options],
) -> Iterator[Outcome]:
    """What became of each photo, as they finish: prepare, generate, finish. PAID.

    Takes no more sources than it needs, so that they may be endless. Closing the iterator starts nothing new and
    waits for what is in flight. What one photo meets, a bug too, is its own outcome.

    Args:
        sources: As in `prepare`; or mappings of options, `source` and what is particular to the photo (see `Job`).
        description: The scene, in English, where a mapping gives no other.
        client: Who sends.
        max_calls: Pay for at most so many.
        jobs: Calls at the same time.
        threads: Photos that are prepared at the same time.
        progress: Is told of each outcome before it is given.
        options: The options of `run`, for all.

    Raises:
        UsageError, StorageFailed, ModelUnavailable: What every other photo would meet too; and whatever `sources` or
            `progress` raise. Raised when everything that was taken has ended and was given.
    """
    till = Till(client, max_calls)
    failed: list[Exception] = []
    try:
        begun = in_order(
            sources, partial(_begun, {"description": description, **options}, till.endpoint), threads=threads
        )
        for (source, one), ended in as_done(begun, partial(_called, till), _finished, till, jobs):
            order = None if isinstance(one, PhotioError) else one.order
            error = ended if isinstance(ended, PhotioError) else None
            outcome = Outcome(source, order, None if isinstance(ended, PhotioError) else ended, error)
            if progress is not None and not failed:
                try:
                    progress(outcome)
                except Exception as raised:  # noqa: BLE001  raised again when all is given
                    failed.append(raised)
                    till.close(Interrupted("the one who was told of progress failed"))
            yield outcome
    except BaseException:
        till.close(Interrupted("the iterator was closed"))
        raise
    if failed:
        raise failed[0]


@dataclass(frozen=True, slots=True)
class _Begun:
    """An order, and how it is paid for and finished: all that can be a mistake is known to be none."""

    order: Order
    finishing: Mapping[str, Any]
    paying: Mapping[str, Any]


_FINISHING = ("format", "product", "output_size")
_PAYING = ("gate", "pay_again")


def _begun(for_all: Mapping[str, Any], endpoint: str, source: Source | Photo | Job) -> _Begun:
    own = cast("Mapping[str, Any]", source) if isinstance(source, Mapping) else {"source": source}
    if unknown := own.keys() - {*Job.__annotations__, *Options.__annotations__, *pipeline.Options.__annotations__}:
        raise UsageError(f"{min(unknown)!r} is no option of a photo", "Its options are those of `run`")
    if "source" not in own:
        raise UsageError("a mapping names no source", "Give the photo as `source`")
    given = {"endpoint": endpoint, **for_all, **own}
    paying = {name: given.pop(name) for name in _PAYING if name in given}
    finishing = {name: given.pop(name) for name in _FINISHING if name in given}
    wishes = Finishing(**{name: value for name, value in finishing.items() if name != "format"})
    order = pipeline.prepare(**given)
    wishes.fits(order.placement)
    final_format(order.origin.format, finishing.get("format"))
    limits = {"limits": given["limits"]} if "limits" in given else {}
    return _Begun(order, {**finishing, **limits}, paying)


def _called(till: Till, job: tuple[object, _Begun | PhotioError]) -> Result:
    if isinstance(job[1], PhotioError):  # refused while it was prepared
        raise job[1]
    return pipeline.generate(job[1].order, client=till, **job[1].paying)


def _finished(job: tuple[object, _Begun | PhotioError], result: Result) -> Final:
    if isinstance(job[1], PhotioError):
        raise job[1]
    return pipeline.finish(job[1].order, result, **job[1].finishing)
