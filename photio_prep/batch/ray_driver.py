"""Many photos on the workers of Ray Data: read -> prepare -> pay -> finish -> write, the stages of `run`.

Takes photos and options that name where the key is kept and never hold it; gives how each photo ended. Touches Ray,
the order folder (which all workers must see), and on the workers what the stages touch.
Raises UsageError where Ray is missing or cannot be reached.

A row holds one photo, so that a worker that dies takes one with it. Preparing is free and is done again. Paying is a
task that is never retried: its claim lies in the order folder, and outlives it. What a dead worker leaves is looked at
in another round: an order with a dead claim is unknown there, and nothing is sent.
"""

import pickle
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from photio_prep.batch.ray_budget import LOST, ActorClient, SharedBudget
from photio_prep.batch.ray_worker import Preparing, RayJobOptions, finished, paid, row_of
from photio_prep.errors import BudgetReached, Interrupted, PhotioError, PhotoRefused, UsageError
from photio_prep.intake.item import Item
from photio_prep.orders import state as states
from photio_prep.orders import store
from photio_prep.orders.state import State
from photio_prep.orders.store import Order
from photio_prep.system import environment

# Photos of one dataset of Ray: each is a block of its own, and Ray keeps a list of them.
_CHUNK = 2000
# How often a photo is tried whose worker dies on it.
_ROUNDS = 3


class Ended(NamedTuple):
    """How one photo ended: an order and its final, or an error, and the order then as far as there is one."""

    item: Item
    order: Order | None
    state: State
    final: Path | None = None
    error: PhotioError | None = None
    warnings: tuple[str, ...] = ()
    changed: bool = False


def run_on_ray(
    items: Iterable[Item],
    options: RayJobOptions,
    *,
    address: str | None = None,
    workers: int = 2,
    calls: int = 4,
    max_calls: int | None = None,
) -> Iterator[Ended]:
    """How each photo ended, as it ends. PAID.

    Args:
        items: The photos, as `inputs.expand` gives them; not standard input.
        options: Of each photo.
        address: Of a running Ray; None starts one on this machine, for as long as it takes.
        workers: Actors that prepare, each with its own session of the model.
        calls: Calls in flight at most, of all workers.
        max_calls: The budget of all workers.

    Raises:
        UsageError: Ray is not installed or not reached, or a photo comes from standard input.
    """
    with started(options, address=address, workers=workers, calls=calls, max_calls=max_calls) as cluster:
        yield from cluster.run(items)


@contextmanager
def started(
    options: RayJobOptions,
    *,
    address: str | None = None,
    workers: int = 2,
    calls: int = 4,
    max_calls: int | None = None,
    why: BudgetReached | None = None,
) -> Iterator["Cluster"]:
    """A cluster to run photos on, with its permits; a Ray that was started for it ends with it."""
    environment.set_ray_defaults()
    try:
        import ray
        import ray.data
    except ImportError:
        raise UsageError(
            "Ray is not installed", 'Run: pip install "photio-prep[ray]"', subject="--engine ray"
        ) from None
    ours = not ray.is_initialized()
    if ours:
        here = {"num_cpus": workers + 1, "include_dashboard": False} if address is None else {"address": address}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ray.init(log_to_driver=False, logging_level="ERROR", **here)
        except (ConnectionError, OSError, RuntimeError, ValueError) as error:
            found = f"Ray cannot be reached ({str(error)[:120]})"
            raise UsageError(found, "Check --ray-address", subject="--engine ray") from None
    if not options.sandbox_url:  # said here, once: a worker's environment may name another
        options = replace(options, pay=replace(options.pay, api_url=options.endpoint))
    try:
        actor = ray.remote(num_cpus=0, max_restarts=0, max_task_retries=0)(SharedBudget)
        yield Cluster(options, ActorClient(actor.remote(options.endpoint, max_calls, why)), workers, calls)
    finally:
        if ours:
            ray.shutdown()


class Cluster:
    """Workers that share one order folder, one budget and one pace."""

    def __init__(self, options: RayJobOptions, permits: ActorClient, workers: int, calls: int) -> None:
        self._options, self._permits = options, permits
        self._workers, self._calls = workers, calls

    def close(self, why: PhotioError) -> None:
        """Let nothing more be paid for; what is in flight ends by itself."""
        self._permits.tell("stop", why)

    def stop_reason(self) -> tuple[PhotioError | None, int]:
        """Why nothing more is paid for, if so; and how many calls were made."""
        try:
            found, calls = self._permits.ask("stop_reason")
        except Interrupted:
            return LOST, 0
        return found, calls

    def billed(self, order: str) -> bool:
        """Whether a call for `order`, 32 digits of its key, was billed or may have been; without the actor it may."""
        try:
            return bool(self._permits.ask("is_billed", order))
        except Interrupted:
            return True

    def run(self, items: Iterable[Item]) -> Iterator[Ended]:
        """How each photo ended, as it ends. One whose turn did not come is not among them."""
        rest = iter(items)
        while chunk := list(islice(rest, _CHUNK)):
            if any(each.source is None for each in chunk):
                raise UsageError("standard input does not reach the workers", "Name the photo's file", subject="-")
            yield from self._chunk(dict(enumerate(chunk)))
            if self.stop_reason()[0] is not None:
                return

    def _chunk(self, waiting: dict[int, Item]) -> Iterator[Ended]:
        for _ in range(_ROUNDS):
            for row in self._rows(waiting):
                item = waiting.pop(row["index"])
                if (ended := _ended(row, item, self._options.output.out)) is not None:
                    yield ended
            if not waiting or self.stop_reason()[0] is not None:
                return
        for item in waiting.values():
            found = f"its worker died each time, {_ROUNDS} times"
            yield Ended(
                item, None, State.REFUSED, error=PhotoRefused(found, "Look at this photo alone", subject=item.name)
            )

    def _rows(self, waiting: Mapping[int, Item]) -> Iterator[dict[str, Any]]:
        import ray.data

        told = [row_of(number, item) for number, item in waiting.items()]
        shared: dict[str, Any] = {"fn_kwargs": {"options": self._options, "permits": self._permits}}
        with _quiet_context():
            found = ray.data.from_items(told, override_num_blocks=len(told))
            found = found.map(
                Preparing,
                fn_constructor_args=(self._options, self._permits),
                concurrency=min(self._workers, len(told)),
                num_cpus=1,
                num_gpus=1 if self._options.model.device == "cuda" else 0,
                ray_remote_args_fn=_free,
            )
            found = found.map(paid, **shared, concurrency=self._calls, num_cpus=0, ray_remote_args_fn=_never_twice)
            found = found.map(finished, **shared, concurrency=self._workers, num_cpus=0)
            yield from found.iter_rows()


def _free() -> dict[str, int]:
    """What costs nothing may be done again: an actor that died is started anew, and its photo tried once more."""
    return {"max_restarts": -1, "max_task_retries": 1}


def _never_twice() -> dict[str, int]:
    """A paid call is no task that Ray may repeat."""
    return {"max_retries": 0}


@contextmanager
def _quiet_context() -> Iterator[None]:
    """Ray Data without bars and advice, and not ended by a worker that died: its photo is looked at again."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield from _context()


def _context() -> Iterator[None]:
    import logging

    from ray.data import DataContext

    context, log = DataContext.get_current(), logging.getLogger("ray.data")
    before = context.max_errored_blocks, context.enable_progress_bars, log.level
    detectors, context.issue_detectors_config.detectors = context.issue_detectors_config.detectors, []
    context.max_errored_blocks, context.enable_progress_bars = -1, False
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        context.max_errored_blocks, context.enable_progress_bars = before[:2]
        context.issue_detectors_config.detectors = detectors
        log.setLevel(before[2])


def _ended(row: Mapping[str, Any], item: Item, out: Path) -> Ended | None:
    """How a photo ended, by its row; None for one that stays planned because everything was stopped."""
    error = pickle.loads(row["ended"]) if row["ended"] else None  # noqa: S301  from our own workers
    if isinstance(error, Interrupted):
        return None
    warnings = tuple(pickle.loads(row["warnings"])) if row["warnings"] else ()  # noqa: S301
    folder = out / "orders" / row["folder"] if row["folder"] else None
    if folder is None:
        return Ended(item, None, State.REFUSED, error=error)
    try:
        order = replace(store.load_order(folder, origin=pickle.loads(row["origin"])), fresh=row["fresh"])  # noqa: S301
    except PhotioError as damaged:
        return Ended(item, None, State.REFUSED, error=error or damaged)
    if error is not None:
        return Ended(item, order, states.read_state(folder), None, error, warnings, row["changed"])
    return Ended(item, order, State.FINISHED, out / row["final"], None, warnings, row["changed"])
