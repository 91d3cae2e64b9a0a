"""A photo's row of Ray Data -> the row one stage further: what runs on the workers of a cluster."""

import pickle
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from photio_prep import pipeline, settings
from photio_prep.api import credentials
from photio_prep.api.client import API_URL, InstantClient
from photio_prep.batch.ray_budget import Asking, SharedPace, SharedTill
from photio_prep.cutout.models.registry import get_model, second_model
from photio_prep.cutout.options import DEFAULT_CUTOUT, CutoutOptions
from photio_prep.errors import Interrupted, PhotioError, StorageFailed, UsageError, of_photo
from photio_prep.final import writer
from photio_prep.final.options import DEFAULT_FINISHING, Finishing
from photio_prep.final.provenance import Provenance, packet
from photio_prep.intake import read
from photio_prep.intake.item import Item
from photio_prep.marketplaces import presets
from photio_prep.marketplaces.writer import Shelf
from photio_prep.orders import index, paid_before, payment, state, store
from photio_prep.orders.preflight import SENDABLE, Preflight
from photio_prep.orders.store import SANDBOX, Order
from photio_prep.quality import Level
from photio_prep.system.deadline import Timeouts

# Every other photo would meet the same.
_FOR_ALL = (2, 7, 11)


@dataclass(frozen=True)
class Plan:
    """What each worker is told. `out` is one folder that all of them see; the key is named, never held.

    `wishes` are arguments of `flow.prepare` for every photo; `model`, `family`, `device` and `accepted` those of
    `matters.get_model`. The key lies in `key_file`, or in the key store, or else in the worker's PHOTIO_API_KEY;
    `sandbox` is the address of a running stand-in, which needs none. `presets` names what the driver makes files for,
    of photos whose row names none: nothing is paid for where one of them could not be written.
    """

    out: Path
    wishes: Mapping[str, Any] = field(default_factory=dict)
    cutting: CutoutOptions = DEFAULT_CUTOUT
    model: str = "auto"
    family: str | None = None
    device: Any = "auto"
    accepted: tuple[str, ...] = ()
    second: bool = False
    offline: bool = False
    api_url: str | None = None
    sandbox: str | None = None
    key_file: Path | None = None
    keyring: bool = False
    level: Level = Level.WARN
    again: bool = False
    format_: str | None = None
    overwrite: bool = False
    metadata: writer.Metadata = "none"
    finishing: Finishing = DEFAULT_FINISHING
    photos: Path | None = None
    provenance: Provenance = "none"
    presets: tuple[str, ...] = ()

    @property
    def endpoint(self) -> str:
        """Who is asked, for an order's key."""
        return SANDBOX if self.sandbox else settings.api_url(self.api_url, API_URL)


_EMPTY = {"folder": "", "origin": b"", "final": "", "ended": b"", "warnings": b"", "changed": False, "fresh": False}


def row_of(number: int, item: Item) -> dict[str, Any]:
    """A photo's row: what a worker needs of the item, without the whole table that it stands in."""
    source = item.source.absolute() if isinstance(item.source, Path) else item.source
    own = item.job.presets if item.job else ()
    packed = pickle.dumps((item._replace(source=source, job=None), dict(item.wishes), own))
    return {"index": number, "item": packed, **_EMPTY}


def _step(row: dict[str, Any], permits: Asking, work: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """The row after a step; what went wrong is part of it, and no step comes after."""
    if row["ended"]:
        return row
    try:
        return {**row, **work()}
    except PhotioError as error:
        if isinstance(error, StorageFailed) or error.exit_code in _FOR_ALL:
            permits.tell("close", error)
        return {**row, "ended": pickle.dumps(error)}
    except Exception as error:  # noqa: BLE001  a bug must not look like a worker that died
        outcome = of_photo(error)
        outcome.add_note(traceback.format_exc())  # a cause does not travel
        return {**row, "ended": pickle.dumps(outcome)}


class Preparing:
    """An actor that prepares, with one session of the model for its whole life."""

    def __init__(self, plan: Plan, permits: Asking) -> None:
        self._plan, self._permits = plan, permits
        self._matter = get_model(plan.model, plan.family, device=plan.device, accepted=plan.accepted)
        self._preflight = Preflight(plan.level, pay_again=plan.again)
        index.of(plan.out / "orders").refresh()
        self._shelf = Shelf(presets.chosen(plan.presets), overwrite=plan.overwrite, taken=self._taken)

    def _taken(self, path: Path, whose: str) -> str:
        """Whose a path is, of the photos of all workers."""
        return str(self._permits.ask("taken", str(path), whose))

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row with its order on disk, judged and free to be paid for."""
        found: dict[str, Any] = {}
        after = _step(row, self._permits, lambda: self._prepared(row, found))
        return {**after, **found}

    def _prepared(self, row: dict[str, Any], found: dict[str, Any]) -> Mapping[str, Any]:
        plan = self._plan
        stopped, _ = self._permits.ask("closed")
        if stopped is not None:
            raise Interrupted(f"not prepared: stopped after {stopped.found}")
        item, wishes, own = pickle.loads(row["item"])  # noqa: S301  from our own driver
        if own:
            self._shelf.choose(item.name, item.output, presets.chosen(own))
        second = second_model(self._matter.name, device=plan.device, accepted=plan.accepted) if plan.second else None
        order = pipeline.prepare(
            read.read(item, offline=plan.offline),
            **{**plan.wishes, **wishes},
            model=self._matter,
            second=second,
            cutting=plan.cutting,
            endpoint=plan.endpoint,
            orders=plan.out / "orders",
            name=item.name,
            output=item.output,
            limits=settings.limits(),
        )
        if order.folder is None:
            raise UsageError("an order in memory reaches no other worker", "Give orders=")
        # Known from here on, also where it is refused in a moment.
        origin = order.origin
        found["folder"], found["fresh"] = order.folder.name, order.fresh
        found["origin"] = pickle.dumps(replace(origin, options="", warnings=(), gate=None))
        target = writer.final_path(order, plan.out, plan.format_)
        plan.finishing.fits(order.placement)
        if state.state(order.folder) in SENDABLE:
            writer.refuse_if_in_the_way(order, target, overwrite=plan.overwrite)
            self._shelf.refuse_if_in_the_way(order, plan.out)
        self._preflight.check(order)
        return {"changed": paid_before.is_changed(order, index.of(plan.out / "orders"))}


def _order(row: Mapping[str, Any], plan: Plan) -> Order:
    return store.read(plan.out / "orders" / row["folder"], origin=pickle.loads(row["origin"]))  # noqa: S301


def paid(row: dict[str, Any], plan: Plan, permits: Asking) -> dict[str, Any]:
    """The row with its answer on disk. Never run twice by Ray; a second time would find the claim."""

    def work() -> Mapping[str, Any]:
        till = SharedTill(_client(plan, SharedPace(permits)), permits)
        payment.pay(_order(row, plan), till, Preflight(plan.level, pay_again=plan.again))
        return {"warnings": pickle.dumps(till.warnings)} if till.warnings else {}

    return _step(row, permits, work)


def _client(plan: Plan, pace: SharedPace) -> InstantClient:
    """The client of one worker: the key is read here, from where the plan says that it is kept."""
    if plan.sandbox:
        return InstantClient("pt-sandbox", api_url=plan.sandbox, endpoint=SANDBOX, pace=pace)
    return InstantClient(
        credentials.key(plan.key_file, from_keyring=plan.keyring),
        api_url=plan.endpoint,
        timeouts=Timeouts(**settings.timeouts()),
        proxy=settings.proxy(),
        ca_bundle=settings.ca_bundle(),
        server_error_is_free=settings.server_error_is_free(),
        pace=pace,
    )


def finished(row: dict[str, Any], plan: Plan, permits: Asking) -> dict[str, Any]:
    """The row with its final written."""

    def work() -> Mapping[str, Any]:
        kept: dict[str, Any] = {"format_": plan.format_, "overwrite": plan.overwrite, "metadata": plan.metadata}
        kept |= {"finishing": plan.finishing, "photos": plan.photos}
        order = _order(row, plan)
        path, _, notes = writer.place_final(order, plan.out, xmp=packet(order, plan.provenance), **kept)
        warnings = pickle.loads(row["warnings"]) if row["warnings"] else ()  # noqa: S301  from our own workers
        told = {"warnings": pickle.dumps((*warnings, *notes))} if notes else {}
        return {"final": str(path.relative_to(plan.out)), **told}

    return _step(row, permits, work)
