"""Many photos on the workers of Ray Data: read -> prepare -> pay -> finish -> write, the stages of `run`.

A row holds one photo, so that a worker that dies loses one. Preparing is free and is repeated. Paying is a task that is
never retried: its claim in the order folder outlives the worker. Photos of dead workers are tried in another round: an
order with a dead claim is unknown there, and nothing is sent.
"""

import pickle
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from photio_prep import errors
from photio_prep.api.spending_guard import SpendingGuard
from photio_prep.batch.ray_budget import LOST, ActorClient, NullSender, SharedBudget
from photio_prep.batch.ray_worker import Preparer, RayJobOptions, RayPhoto, build_row, finish_row, pay_row
from photio_prep.batch.workers import RAY_WORKERS
from photio_prep.intake.item import Item
from photio_prep.orders import index, recovery
from photio_prep.orders.options import JOBS
from photio_prep.orders.state import SENDABLE, State
from photio_prep.orders.store import Order
from photio_prep.system import environment

# Photos of one dataset of Ray: each is a block of its own, and Ray keeps a list of them.
_CHUNK = 2000
# How often a photo is tried whose worker dies on it.
_ROUNDS = 3


class RayOutcome(NamedTuple):
    """The outcome of one photo: an order and its final, or an error and the order as far as it got."""

    item: Item
    order: Order | None
    state: State
    final: Path | None = None
    error: errors.PhotioError | None = None
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
) -> Iterator[RayOutcome]:
    """Yield the outcome of each photo (see `inputs.expand_inputs`; not standard input) as it ends. PAID.

    `address`: of a running Ray; None starts one on this machine, for as long as it takes. `workers`: actors that
    prepare, each with its own session of the model. `calls`: in flight at most, of all workers, as is `max_calls`.
    UsageError if Ray is not installed or not reached, or a number is out of range.
    """
    guard = SpendingGuard(NullSender(options.endpoint), max_calls)
    with open_cluster(options, guard, address=address, workers=workers, calls=calls) as cluster:
        yield from cluster.run(items)


@contextmanager
def open_cluster(
    options: RayJobOptions, guard: SpendingGuard, *, address: str | None, workers: int, calls: int
) -> Iterator["Cluster"]:
    """A cluster to run photos on, with the budget of `guard`; a Ray that was started for it ends with it."""
    RAY_WORKERS.check("workers", workers)
    JOBS.check("calls", calls)
    environment.set_ray_defaults()
    try:
        import ray
        import ray.data
    except ImportError:
        raise errors.UsageError("Ray is not installed", 'Run: pip install "photio-prep[ray]"', "--engine ray") from None
    ours = not ray.is_initialized()
    if ours:
        start = {"num_cpus": workers + 1, "include_dashboard": False} if address is None else {"address": address}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ray.init(log_to_driver=False, logging_level="ERROR", **start)
        except (ConnectionError, OSError, RuntimeError, ValueError) as error:
            problem = f"Ray cannot be reached ({str(error)[:120]})"
            raise errors.UsageError(problem, "Check --ray-address", "--engine ray") from None
    if not options.sandbox_url:  # decided here, once: a worker's environment may name another
        options = replace(options, pay=replace(options.pay, api_url=options.endpoint))
    try:
        actor = ray.remote(num_cpus=0, max_restarts=0, max_task_retries=0)(SharedBudget)
        yield Cluster(options, ActorClient(actor.remote(options.endpoint, guard.left, guard.used_up)), workers, calls)
    finally:
        if ours:
            ray.shutdown()


class Cluster:
    """Workers that share one order folder, one budget and one rate limit."""

    def __init__(self, options: RayJobOptions, budget: ActorClient, workers: int, calls: int) -> None:
        self._options, self._budget = options, budget
        self._workers, self._calls = workers, calls

    def stop(self, why: errors.PhotioError) -> None:
        """Pay for nothing more; what is in flight ends."""
        self._budget.notify("guard.stop", why)

    def stop_reason(self) -> tuple[errors.PhotioError | None, int]:
        """Why nothing more is paid for, if so; and the number of calls."""
        answer: tuple[errors.PhotioError | None, int] | None = self._budget.notify("stop_reason")
        return answer or (LOST, 0)

    def is_billed(self, order: str) -> bool:
        """Whether a call for `order`, 32 digits of its key, was or may have been billed; True without the actor."""
        return self._budget.notify("guard.is_billed", order) is not False

    def run(self, items: Iterable[Item]) -> Iterator[RayOutcome]:
        """Yield the outcome of each photo as it ends, but not of one that was not started."""
        rest = iter(items)
        while chunk := list(islice(rest, _CHUNK)):
            if any(isinstance(item.source, bytes) for item in chunk):
                raise errors.UsageError("standard input does not reach the workers", "Name the photo's file", "-")
            yield from self._run_chunk(dict(enumerate(chunk)))
            if self.stop_reason()[0] is not None:
                return

    def _run_chunk(self, waiting: dict[int, Item]) -> Iterator[RayOutcome]:
        for _ in range(_ROUNDS):
            unsent: dict[int, RayOutcome] = {}  # of this round: in a later one, the call may have left
            for row in self._iter_rows(waiting):
                number = row["index"]
                outcome = read_outcome(row, waiting[number])
                if isinstance(outcome.error, errors.Interrupted):  # everything was stopped, or its worker got no permit
                    unsent[number] = outcome
                else:
                    del waiting[number]
                    yield outcome
            if not waiting or self.stop_reason()[0] is not None:
                return
        for number, item in waiting.items():
            yield unsent.get(number) or self.read_abandoned(item)

    def read_abandoned(self, item: Item) -> RayOutcome:
        """The outcome of a photo whose worker died in every try: that of its order, if this command sent it."""
        why = f"its worker died in the last of {_ROUNDS} tries"
        for entry in index.index_of(self._options.orders).refresh().find("source", item.name):
            if entry.origin.output == item.output and self._is_sent(entry):
                return _read_sent(item, entry, why)
        return RayOutcome(
            item,
            None,
            State.REFUSED,
            error=errors.PhotoRefused(why, "See `photio-prep status`, then run it alone", item.name),
        )

    def _is_sent(self, entry: index.IndexEntry) -> bool:
        try:
            sendable = entry.state in SENDABLE
        except errors.PhotioError:  # its records are damaged: only the permits tell
            sendable = False
        return not sendable and self.is_billed(entry.folder.name)

    def _iter_rows(self, waiting: Mapping[int, Item]) -> Iterator[dict[str, Any]]:
        import ray.data

        rows = [build_row(number, item) for number, item in waiting.items()]
        shared: dict[str, Any] = {"fn_kwargs": {"options": self._options, "budget": self._budget}}
        with _quiet_context():
            data = ray.data.from_items(rows, override_num_blocks=len(rows))
            data = data.map(
                Preparer,
                fn_constructor_args=(self._options, self._budget),
                concurrency=min(self._workers, len(rows)),
                num_cpus=1,
                num_gpus=1 if self._options.model.device == "cuda" else 0,
                # Preparing is free: a dead actor is started again, and its photo tried once more.
                ray_remote_args_fn=lambda: {"max_restarts": -1, "max_task_retries": 1},
            )
            # Ray must not repeat a paid call.
            once = {"ray_remote_args_fn": lambda: {"max_retries": 0}}
            data = data.map(pay_row, **shared, concurrency=self._calls, num_cpus=0, **once)
            data = data.map(finish_row, **shared, concurrency=self._workers, num_cpus=0)
            yield from data.iter_rows()


@contextmanager
def _quiet_context() -> Iterator[None]:
    """Ray Data without bars and advice, and not ended by a worker that died: its photo is tried again."""
    import logging

    from ray.data import DataContext

    context, log = DataContext.get_current(), logging.getLogger("ray.data")
    before = context.max_errored_blocks, context.enable_progress_bars, log.level
    detectors, context.issue_detectors_config.detectors = context.issue_detectors_config.detectors, []
    context.max_errored_blocks, context.enable_progress_bars = -1, False
    log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        context.max_errored_blocks, context.enable_progress_bars = before[:2]
        context.issue_detectors_config.detectors = detectors
        log.setLevel(before[2])


def _read_sent(item: Item, entry: index.IndexEntry, why: str) -> RayOutcome:
    """The outcome of a photo whose call was or may have been billed, and whose worker died."""
    error: errors.PhotioError
    try:
        order = entry.load()
        try:
            recovery.raise_if_claimed(entry.folder)
            fix = f"Run: photio-prep finish {entry.folder}"
            error = errors.Unexpected(f"{why}; its answer is kept", fix, item.name)
        except (errors.OutcomeUnknown, errors.OrderInUse, errors.PaidUnusable, errors.PhotoRefused) as outcome:
            error = outcome
        return RayOutcome(item, order, order.state, error=error)
    except errors.PhotioError as damaged:
        why = f"{why}, and its order cannot be read ({damaged.problem})"
        return RayOutcome(item, None, State.UNKNOWN, error=errors.OutcomeUnknown(why, subject=str(entry.folder)))


def read_outcome(row: Mapping[str, Any], item: Item) -> RayOutcome:
    """The outcome of a photo by its row."""
    photo: RayPhoto = pickle.loads(row["photo"])  # noqa: S301  from our own workers
    order, state, error = None, State.REFUSED, photo.error
    if photo.order is not None:
        try:
            order = photo.order.load()
            state = order.state if error else State.FINISHED
        except errors.PhotioError as damaged:
            error = error or damaged
    return RayOutcome(item, order, state, photo.final, error, photo.warnings, photo.changed)
