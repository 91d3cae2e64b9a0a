"""The stages of a cluster's workers: each takes a photo's row of Ray Data one stage further.

They raise nothing: an error is part of the row.
"""

import pickle
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from photio_prep import pipeline, settings
from photio_prep.api import credentials
from photio_prep.api.client import API_URL, InstantClient
from photio_prep.batch.ray_budget import ActorClient, SharedRateLimiter, SharedSpendingGuard
from photio_prep.cutout.models.registry import DEFAULT_MODEL, ModelOptions
from photio_prep.errors import Interrupted, of_photo
from photio_prep.final import writer
from photio_prep.final.options import DEFAULT_FINISH, FinishOptions
from photio_prep.final.provenance import packet
from photio_prep.intake.item import Item, read_item
from photio_prep.marketplaces import presets
from photio_prep.marketplaces.writer import MarketplaceWriter
from photio_prep.options import OutputOptions
from photio_prep.orders import index, payment, store
from photio_prep.orders.folder import OrderFolder
from photio_prep.orders.options import DEFAULT_PAY, DEFAULT_PREPARE, PayOptions, PrepareOptions
from photio_prep.orders.state import SENDABLE
from photio_prep.orders.store import SANDBOX, Order
from photio_prep.system.deadline import Timeouts


@dataclass(frozen=True)
class RayJobOptions:
    """The options of `run` for each worker. `output.out` is one folder that all of them see.

    The key is never held: it is read from `pay.key_file`, the key store, or the worker's PHOTIO_API_KEY. `sandbox_url`
    is the address of a running stand-in, which needs none. `output.presets` are those of photos whose row names none:
    nothing is paid for if one of their files could not be written.
    """

    output: OutputOptions
    prepare: PrepareOptions = DEFAULT_PREPARE
    model: ModelOptions = DEFAULT_MODEL
    pay: PayOptions = DEFAULT_PAY
    finish: FinishOptions = DEFAULT_FINISH
    sandbox_url: str | None = None

    @property
    def orders(self) -> Path:
        """The folder of orders."""
        return self.output.out / "orders"

    @property
    def endpoint(self) -> str:
        """Who is asked, for an order's key."""
        return SANDBOX if self.sandbox_url else settings.api_url(self.pay.api_url, API_URL)


_EMPTY = {"folder": "", "origin": b"", "final": "", "error": b"", "warnings": b"", "changed": False, "fresh": False}


def build_row(number: int, item: Item) -> dict[str, Any]:
    """A photo's row: what a worker needs of the item, without its whole table."""
    source = item.source.absolute() if isinstance(item.source, Path) else item.source
    own = item.job.presets if item.job else ()
    packed = pickle.dumps((item._replace(source=source, job=None), item.options, own))
    return {"index": number, "item": packed, **_EMPTY}


def _step(row: dict[str, Any], budget: ActorClient, work: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """The row after a step; after an error no further step is made."""
    if row["error"]:
        return row
    try:
        return {**row, **work()}
    except Exception as error:  # noqa: BLE001  a bug must not look like a worker that died
        return _add_error(row, budget, error)


def _add_error(row: dict[str, Any], budget: ActorClient, error: Exception) -> dict[str, Any]:
    """The row with an error; one that every other photo would meet stops everything."""
    outcome = of_photo(error)
    if outcome is not error:
        outcome.add_note("".join(traceback.format_exception(error)))  # a cause does not travel
    if outcome.stops_batch:
        budget.notify("stop", outcome)
    return {**row, "error": pickle.dumps(outcome)}


class Preparer:
    """An actor that prepares, with one session of the model for its whole life."""

    def __init__(self, options: RayJobOptions, budget: ActorClient) -> None:
        self._options, self._budget = options, budget
        self._matter = options.model.load()
        self._preflight = options.pay.preflight
        index.index_of(options.orders).refresh()
        output = options.output
        self._shelf = MarketplaceWriter(
            presets.find_presets(output.presets),
            overwrite=output.overwrite,
            taken=lambda path, photo: str(budget.call("claim_path", str(path), photo)),
        )

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row with its order on disk, assessed and ready to be paid for."""
        try:
            order = self._prepare(row)
            # Also for an order that the check refuses.
            origin = pickle.dumps(replace(order.origin, options="", warnings=(), gate=None))
            row = {**row, "folder": order.key[:32], "fresh": order.fresh, "origin": origin}
            self._check(order)
            return {**row, "changed": index.index_of(self._options.orders).is_changed_photo(order)}
        except Exception as error:  # noqa: BLE001  a bug must not look like a worker that died
            return _add_error(row, self._budget, error)

    def _prepare(self, row: dict[str, Any]) -> Order:
        options = self._options
        stopped, _ = self._budget.call("stop_reason")
        if stopped is not None:
            raise Interrupted(f"not prepared: stopped after {stopped.problem}")
        item, of_row, own_presets = pickle.loads(row["item"])  # noqa: S301  from our own driver
        if own_presets:
            self._shelf.choose(item.name, item.output, presets.find_presets(own_presets))
        return pipeline.prepare(
            read_item(item, offline=options.model.offline),
            options.prepare.with_row(of_row),
            model=self._matter,
            second=options.model.load_second(self._matter),
            limits=settings.limits(),
            endpoint=options.endpoint,
            orders=options.orders,
            name=item.name,
            output=item.output,
        )

    def _check(self, order: Order) -> None:
        """Raise where the order must not be paid for, or its files could not be written."""
        options, output = self._options, self._options.output
        target = writer.final_path(order, output.out, options.finish.format)
        options.finish.fits(order.placement)
        if OrderFolder(options.orders / order.key[:32]).state in SENDABLE:
            writer.refuse_if_in_the_way(order, target, overwrite=output.overwrite)
            self._shelf.refuse_if_in_the_way(order, output.out)
        self._preflight.check(order)


def _order(row: Mapping[str, Any], options: RayJobOptions) -> Order:
    return store.load_order(options.orders / row["folder"], origin=pickle.loads(row["origin"]))  # noqa: S301


def pay_row(row: dict[str, Any], options: RayJobOptions, budget: ActorClient) -> dict[str, Any]:
    """The row with its answer on disk. Ray never runs it twice; a second time would find the claim."""

    def work() -> Mapping[str, Any]:
        guard = SharedSpendingGuard(_build_client(options, SharedRateLimiter(budget)), budget)
        payment.pay(_order(row, options), guard, options.pay.preflight)
        return {"warnings": pickle.dumps(guard.warnings)} if guard.warnings else {}

    return _step(row, budget, work)


def _build_client(options: RayJobOptions, pace: SharedRateLimiter) -> InstantClient:
    """The client of one worker, which reads the key itself."""
    if options.sandbox_url:
        return InstantClient("pt-sandbox", api_url=options.sandbox_url, endpoint=SANDBOX, pace=pace)
    return InstantClient(
        credentials.load_key(options.pay.key_file, from_keyring=options.pay.keyring),
        api_url=options.endpoint,
        timeouts=Timeouts(**settings.timeouts()),
        proxy=settings.proxy(),
        ca_bundle=settings.ca_bundle(),
        server_error_is_free=settings.server_error_is_free(),
        pace=pace,
    )


def finish_row(row: dict[str, Any], options: RayJobOptions, budget: ActorClient) -> dict[str, Any]:
    """The row with its final written."""

    def work() -> Mapping[str, Any]:
        order, output = _order(row, options), options.output
        path, _, notes = writer.place_final(
            order,
            output.out,
            options.finish,
            overwrite=output.overwrite,
            metadata=output.metadata,
            xmp=packet(order, output.provenance),
        )
        warnings = pickle.loads(row["warnings"]) if row["warnings"] else ()  # noqa: S301  from our own workers
        more = {"warnings": pickle.dumps((*warnings, *notes))} if notes else {}
        return {"final": str(path.relative_to(output.out)), **more}

    return _step(row, budget, work)
