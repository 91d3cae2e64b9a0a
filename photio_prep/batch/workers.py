"""Preparation in worker processes: Python's lock is not shared, and a decoder or network that crashes costs one photo.

A worker gets tasks and sends orders as pickles over its pipes; it has no key and never pays. Orders with a folder come
back as the name of their folder, without pixels. Ctrl-C does not reach a worker: it ends when its pipe is closed.
"""

import contextlib
import os
import pickle
import signal
import sys
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any, cast

from photio_prep import pipeline
from photio_prep.cutout.models.registry import Model, ModelOptions
from photio_prep.cutout.models.sam import Sam, load_sam
from photio_prep.errors import PhotioError, PhotoRefused, UsageError, of_photo
from photio_prep.final.options import FinishOptions
from photio_prep.intake.item import Item, read_item
from photio_prep.intake.load import Source
from photio_prep.orders.options import OrderPlace, PrepareOptions
from photio_prep.orders.origin import Origin
from photio_prep.orders.store import Order, load_order
from photio_prep.system import environment
from photio_prep.system.parallel import CORES
from photio_prep.system.processes import Child
from photio_prep.types import Photo

# Most processes: two a core. Each has a network of its own in memory, and more of them only wait for a core.
MOST = 2 * CORES
# Seconds for the return code of a process whose pipe has closed.
_LAST_WORDS = 5.0


@dataclass(frozen=True, slots=True)
class PhotoTask:
    """One photo, its options, and the models that cut it out, by name."""

    source: Source | Photo | Item
    options: PrepareOptions
    place: OrderPlace
    model: ModelOptions | None = None
    finish: FinishOptions | None = None

    def prepare(self) -> Order:
        """Prepare the order, with models that are cached for the process.

        Raises:
            PhotioError: As `pipeline.prepare`; UsageError for a final that `finish` cannot make of it.
        """
        options, source = self.options, self.source
        if self.model:
            first, second = find_models(options, self.model)
            options = replace(options, model=first, second=second)
        if isinstance(source, Item):
            source = read_item(source, offline=self.model is not None and self.model.offline)
        return pipeline.prepare_checked(source, options, self.place, self.finish)


def find_models(options: PrepareOptions, model: ModelOptions) -> tuple[Model | Sam, Model | None]:
    """The model that finds the product, and the one for a second opinion."""
    first = load_sam(model.device) if options.points or options.box else model.load()
    return first, model.load_second(first)


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """An order in a folder, as it travels between processes: without its pixels."""

    folder: Path
    origin: Origin
    fresh: bool

    def load(self) -> Order:
        """Read the order; raises as `load_order`."""
        return replace(load_order(self.folder, origin=self.origin), fresh=self.fresh)


def portable_error(error: Exception) -> PhotioError:
    """The error of a photo as another process gets it: a cause does not travel, so its traceback is a note."""
    outcome = of_photo(error)
    if outcome is not error:
        outcome.add_note("".join(traceback.format_exception(error)))
    return outcome


class _Worker(Child):
    """One process, for one task at a time."""

    def __init__(self, threads: int) -> None:
        try:
            super().__init__("photio_prep.batch.workers", "serve", environment.worker_environment(threads))
        except OSError as error:
            problem = f"no process can be started ({error.strerror})"
            raise UsageError(problem, "Raise the limit on processes, or leave --workers out", "--workers") from None

    def run(self, task: bytes) -> Any:  # noqa: ANN401  what the worker sent
        """Run a task; EOFError if the process died."""
        try:
            self.tasks.write(task)
            self.tasks.flush()
            return pickle.load(self.replies)  # noqa: S301  from our own process
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            raise EOFError from error


def check_worker_count(count: int) -> None:
    """Raise UsageError for more processes than two a core."""
    if not 1 <= count <= MOST:
        problem = f"{count} worker processes on a machine of {CORES} {'core' if CORES == 1 else 'cores'}"
        raise UsageError(problem, f"Give 1 to {MOST}: each needs a core, and memory for its network", "--workers")


class WorkerPool:
    """Up to `count` worker processes, each started at its first task; leaving the context ends them.

    A task's order is the same as in a thread of this process. A task whose worker dies is refused. UsageError for more
    processes than two a core.
    """

    def __init__(self, count: int) -> None:
        check_worker_count(count)
        self.count = count
        self._threads = max(1, CORES // count)
        self._idle: SimpleQueue[_Worker | None] = SimpleQueue()
        self._started: list[_Worker] = []
        for _ in range(count):
            self._idle.put(None)

    def __enter__(self) -> "WorkerPool":
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._started:
            worker.close()

    def prepare(self, task: PhotoTask) -> Order:
        """Prepare one photo in a worker.

        Raises:
            PhotoRefused: The worker died.
            UsageError: The task cannot be sent to another process, or none can be started.
            PhotioError: As the task raises it.
        """
        try:
            packed = pickle.dumps(task, protocol=pickle.HIGHEST_PROTOCOL)
        except Exception as error:  # an object of the caller may raise anything
            problem = f"an option or a photo cannot be sent to a worker process ({str(error)[:120]})"
            raise UsageError(problem, "Give a path or bytes and the name of a model, or leave workers out") from error
        worker = self._idle.get()
        try:
            if worker is None:
                worker = _Worker(self._threads)
                self._started.append(worker)
            reply = worker.run(packed)
        except EOFError:
            code = worker.close(_LAST_WORDS) if worker else 0
            worker = None
            reason = f"signal {-code}" if code < 0 else f"code {code}"
            memory = "Perhaps memory ran out: give fewer --workers. " if code == -9 else ""
            raise PhotoRefused(f"its worker process died ({reason})", f"{memory}Run the same again") from None
        finally:
            self._idle.put(worker)
        if isinstance(reply, PhotioError):
            raise reply
        if isinstance(reply, StoredOrder):
            return reply.load()
        return cast("Order", reply)


def open_workers(count: int | None) -> contextlib.AbstractContextManager[WorkerPool | None]:
    """The processes that prepare; None for threads of this one."""
    return WorkerPool(count) if count else contextlib.nullcontext()


def serve() -> None:
    """Prepare tasks until standard input ends; runs in a worker."""
    for name in ("SIGINT", "SIGHUP"):  # they reach all processes of a terminal; the parent decides
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    tasks, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # Output of libraries must not mix with the replies.
    os.dup2(2, 1)
    while True:
        try:
            task: PhotoTask = pickle.load(tasks)  # noqa: S301  from our own parent
        except EOFError:
            return
        reply: object
        try:
            order = task.prepare()
            reply = StoredOrder(order.folder, order.origin, order.fresh) if order.folder else order
        except Exception as error:  # noqa: BLE001  raised again by the parent
            reply = portable_error(error)
        try:
            pickle.dump(reply, replies, protocol=pickle.HIGHEST_PROTOCOL)
            replies.flush()
        except OSError:  # the parent has gone
            return
