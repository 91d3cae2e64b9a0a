"""The stages of a cluster's workers: each takes the photo in a row of Ray Data one stage further.

They raise nothing: an error is part of the row.
"""

import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from photio_prep import settings
from photio_prep.api.credentials import API_URL
from photio_prep.batch.children import portable_error
from photio_prep.batch.clients import build_client
from photio_prep.batch.finals import RunFiles
from photio_prep.batch.ray_budget import ActorClient, SharedRateLimiter, SharedSpendingGuard
from photio_prep.batch.workers import PhotoTask, StoredOrder
from photio_prep.errors import Interrupted, PhotioError
from photio_prep.intake.item import Item
from photio_prep.intake.job_table import RowOptions
from photio_prep.options import JobOptions
from photio_prep.orders import index, payment
from photio_prep.orders.options import OrderPlace
from photio_prep.orders.store import SANDBOX, Order


@dataclass(frozen=True)
class RayJobOptions(JobOptions):
    """The options of `run` for each worker. `output.out` is one folder that all of them see.

    The key is never held: it is read from `pay.key_file`, the key store, or the worker's PHOTIO_API_KEY. `sandbox_url`
    is the address of a running stand-in, which needs none. `output.presets` are those of photos whose row names none:
    nothing is paid for if one of their files could not be written.
    """

    sandbox_url: str | None = None

    @property
    def endpoint(self) -> str:
        """Who is asked, for an order's key."""
        return SANDBOX if self.sandbox_url else settings.api_url(self.pay.api_url, API_URL)


@dataclass(slots=True)
class RayPhoto:
    """A photo as far as the workers got with it, pickled in a row. The item has no job, which knows its whole table."""

    item: Item
    options: RowOptions
    presets: tuple[str, ...]
    order: StoredOrder | None = None
    final: Path | None = None
    error: PhotioError | None = None
    warnings: tuple[str, ...] = ()
    changed: bool = False


def build_row(number: int, item: Item) -> dict[str, Any]:
    """A photo's row: what a worker needs of the item."""
    source = item.source.absolute() if isinstance(item.source, Path) else item.source
    own = item.job.presets if item.job else ()
    return {"index": number, "photo": pickle.dumps(RayPhoto(item._replace(source=source, job=None), item.options, own))}


def _step(row: dict[str, Any], budget: ActorClient, work: Callable[[RayPhoto], None]) -> dict[str, Any]:
    """The row after a step; none is made after an error. An error that every photo would meet stops everything."""
    photo: RayPhoto = pickle.loads(row["photo"])  # noqa: S301  from our own workers
    if photo.error is None:
        try:
            work(photo)
        except Exception as error:  # noqa: BLE001  a bug must not look like a worker that died
            photo.error = portable_error(error)
            if photo.error.stops_batch:
                budget.notify("guard.stop", photo.error)
    return {**row, "photo": pickle.dumps(photo)}


class Preparer:
    """An actor that prepares, with one session of the model for its whole life."""

    def __init__(self, options: RayJobOptions, budget: ActorClient) -> None:
        self._options, self._budget = options, budget
        index.index_of(options.orders).refresh()
        self._files = RunFiles(
            options.finish, options.output, lambda path, photo: str(budget.call("owners.setdefault", str(path), photo))
        )

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row with its order on disk, assessed and ready to be paid for."""
        return _step(row, self._budget, self._prepare)

    def _prepare(self, photo: RayPhoto) -> None:
        options, item = self._options, photo.item
        stopped, _ = self._budget.call("stop_reason")
        if stopped is not None:
            raise Interrupted(f"not prepared: stopped after {stopped.problem}")
        if photo.presets:
            self._files.choose(item.name, item.output, photo.presets)
        prepare = replace(options.prepare.with_row(photo.options), limits=settings.limits())
        place = OrderPlace(options.endpoint, options.orders, item.name, item.output)
        order = PhotoTask(item, prepare, place, options.model).prepare()
        photo.order = StoredOrder(order.require_folder(), order.origin, order.fresh)  # also of one that is refused
        self._files.check(order, options.pay.preflight)
        photo.changed = index.index_of(options.orders).is_changed_photo(order)


def _load(photo: RayPhoto) -> Order:
    assert photo.order is not None  # noqa: S101  for the type checker
    return photo.order.load()


def pay_row(row: dict[str, Any], options: RayJobOptions, budget: ActorClient) -> dict[str, Any]:
    """The row with its answer on disk. Ray never runs it twice; a second time would find the claim."""

    def pay(photo: RayPhoto) -> None:
        client = build_client(options.pay, options.sandbox_url, pace=SharedRateLimiter(budget))
        guard = SharedSpendingGuard(client, budget)
        payment.pay(_load(photo), guard, options.pay.preflight)
        photo.warnings = tuple(guard.warnings)

    return _step(row, budget, pay)


def finish_row(row: dict[str, Any], options: RayJobOptions, budget: ActorClient) -> dict[str, Any]:
    """The row with its final written."""

    def finish(photo: RayPhoto) -> None:
        photo.final, _, notes = RunFiles(options.finish, options.output).write(_load(photo), options.output.out)
        photo.warnings += notes

    return _step(row, budget, finish)
