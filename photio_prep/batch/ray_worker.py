"""A photo's row of Ray Data -> the row one stage further: what runs on the workers of a cluster.

Takes rows and options that name where the key is kept; gives rows. Touches the order folder, and what the stages touch.
Raises nothing: what went wrong is part of the row.
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
from photio_prep.intake import read
from photio_prep.intake.item import Item
from photio_prep.marketplaces import presets
from photio_prep.marketplaces.writer import MarketplaceWriter
from photio_prep.options import OutputOptions
from photio_prep.orders import index, paid_before, payment, state, store
from photio_prep.orders.options import DEFAULT_PAY, DEFAULT_PREPARE, PayOptions, PrepareOptions
from photio_prep.orders.preflight import SENDABLE
from photio_prep.orders.store import SANDBOX, Order
from photio_prep.system.deadline import Timeouts


@dataclass(frozen=True)
class RayJobOptions:
    """The options of `run` for each worker. `output.out` is one folder that all of them see.

    The key is named in `pay`, never held: it lies in `pay.key_file`, or in the key store, or else in the worker's
    PHOTIO_API_KEY. `sandbox_url` is the address of a running stand-in, which needs none. `output.presets` are those of
    photos whose row names none: nothing is paid for where one of their files could not be written.
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


_EMPTY = {"folder": "", "origin": b"", "final": "", "ended": b"", "warnings": b"", "changed": False, "fresh": False}


def row_of(number: int, item: Item) -> dict[str, Any]:
    """A photo's row: what a worker needs of the item, without the whole table that it stands in."""
    source = item.source.absolute() if isinstance(item.source, Path) else item.source
    own = item.job.presets if item.job else ()
    packed = pickle.dumps((item._replace(source=source, job=None), item.options, own))
    return {"index": number, "item": packed, **_EMPTY}


def _step(row: dict[str, Any], permits: ActorClient, work: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """The row after a step; what went wrong is part of it, and no step comes after."""
    if row["ended"]:
        return row
    try:
        return {**row, **work()}
    except Exception as error:  # noqa: BLE001  a bug must not look like a worker that died
        return _failed(row, permits, error)


def _failed(row: dict[str, Any], permits: ActorClient, error: Exception) -> dict[str, Any]:
    """The row with what went wrong; everything is stopped where each other photo would meet the same."""
    outcome = of_photo(error)
    if outcome is not error:
        outcome.add_note("".join(traceback.format_exception(error)))  # a cause does not travel
    if outcome.stops_batch:
        permits.tell("stop", outcome)
    return {**row, "ended": pickle.dumps(outcome)}


class Preparing:
    """An actor that prepares, with one session of the model for its whole life."""

    def __init__(self, options: RayJobOptions, permits: ActorClient) -> None:
        self._options, self._permits = options, permits
        self._matter = options.model.load()
        self._preflight = options.pay.preflight
        index.index_of(options.orders).refresh()
        output = options.output
        self._shelf = MarketplaceWriter(
            presets.find_presets(output.presets), overwrite=output.overwrite, taken=self._taken
        )

    def _taken(self, path: Path, whose: str) -> str:
        """Whose a path is, of the photos of all workers."""
        return str(self._permits.ask("taken", str(path), whose))

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row with its order on disk, judged and free to be paid for."""
        try:
            order = self._prepare(row)
            # Known from here on, also where it is refused in a moment.
            origin = pickle.dumps(replace(order.origin, options="", warnings=(), gate=None))
            row = {**row, "folder": order.key[:32], "fresh": order.fresh, "origin": origin}
            self._check(order)
            return {**row, "changed": paid_before.is_changed_photo(order, index.index_of(self._options.orders))}
        except Exception as error:  # noqa: BLE001  a bug must not look like a worker that died
            return _failed(row, self._permits, error)

    def _prepare(self, row: dict[str, Any]) -> Order:
        options = self._options
        stopped, _ = self._permits.ask("stop_reason")
        if stopped is not None:
            raise Interrupted(f"not prepared: stopped after {stopped.problem}")
        item, of_row, own_presets = pickle.loads(row["item"])  # noqa: S301  from our own driver
        if own_presets:
            self._shelf.choose(item.name, item.output, presets.find_presets(own_presets))
        return pipeline.prepare(
            read.read_item(item, offline=options.model.offline),
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
        if state.read_state(options.orders / order.key[:32]) in SENDABLE:
            writer.refuse_if_in_the_way(order, target, overwrite=output.overwrite)
            self._shelf.refuse_if_in_the_way(order, output.out)
        self._preflight.check(order)


def _order(row: Mapping[str, Any], options: RayJobOptions) -> Order:
    return store.load_order(options.orders / row["folder"], origin=pickle.loads(row["origin"]))  # noqa: S301


def paid(row: dict[str, Any], options: RayJobOptions, permits: ActorClient) -> dict[str, Any]:
    """The row with its answer on disk. Never run twice by Ray; a second time would find the claim."""

    def work() -> Mapping[str, Any]:
        guard = SharedSpendingGuard(_client(options, SharedRateLimiter(permits)), permits)
        payment.pay(_order(row, options), guard, options.pay.preflight)
        return {"warnings": pickle.dumps(guard.warnings)} if guard.warnings else {}

    return _step(row, permits, work)


def _client(options: RayJobOptions, pace: SharedRateLimiter) -> InstantClient:
    """The client of one worker: the key is read here, from where the options say that it is kept."""
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


def finished(row: dict[str, Any], options: RayJobOptions, permits: ActorClient) -> dict[str, Any]:
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
        noted = {"warnings": pickle.dumps((*warnings, *notes))} if notes else {}
        return {"final": str(path.relative_to(output.out)), **noted}

    return _step(row, permits, work)
