"""Photos prepared, finals made in worker processes: Python's lock is not shared, a decoder's crash costs one photo.

A worker gets tasks and sends orders as pickles over its pipes; it has no key and never pays. Orders with a folder come
back as the name of their folder, without pixels. On a GPU the networks of all workers run in one process
(shared_session).
"""

import contextlib
import os
import pickle
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from queue import SimpleQueue
from typing import cast

from photio_prep import pipeline
from photio_prep.batch.children import LAST_WORDS, PickleChild, pack, portable_error, take_pipes
from photio_prep.batch.shared_session import SHARED, Inference, Seat, SharedSession, share_networks
from photio_prep.cutout.models.devices import Device
from photio_prep.cutout.models.registry import Model, ModelOptions
from photio_prep.cutout.models.sam import Sam, load_sam
from photio_prep.errors import Interrupted, PhotioError, PhotoRefused, Unexpected, UsageError
from photio_prep.final import writer
from photio_prep.final.options import DEFAULT_FINISH, DEFAULT_OUTPUT, FinishOptions, OutputOptions
from photio_prep.intake.item import Item, read_item
from photio_prep.intake.load import Source
from photio_prep.orders import index
from photio_prep.orders.options import OrderPlace, PrepareOptions
from photio_prep.orders.origin import Origin
from photio_prep.orders.store import Order, load_order
from photio_prep.system import files
from photio_prep.system.parallel import CORES, path_lock
from photio_prep.system.ranges import Range
from photio_prep.types import Photo, Result

_STOPPED = "not prepared: everything was stopped"
# At most two a core: each has a network of its own in memory, and more of them only wait for a core.
WORKERS, RAY_WORKERS = Range(1, 2 * CORES), Range(1, 4096)


@dataclass(frozen=True, slots=True)
class PhotoTask:
    """One photo, its options, and the models that cut it out, by name."""

    source: Source | Photo | Item
    options: PrepareOptions
    place: OrderPlace
    model: ModelOptions | None = None
    finish: FinishOptions | None = None

    def prepare(self) -> Order:
        """Prepare the order, with models that are cached for the process; as `pipeline.prepare_at`."""
        options, source = self.options, self.source
        if self.model:
            first, second = find_models(options, self.model)
            options = replace(options, model=first, second=second)
        if isinstance(source, Item):
            source = read_item(source, offline=self.model is not None and self.model.offline)
        return pipeline.prepare_at(source, options, self.place, self.finish)

    def work(self) -> "Order | StoredOrder":
        """As `prepare`, in a worker: an order in a folder stays there."""
        order = self.prepare()
        if not order.folder:
            return order
        inferred = order.fresh and order.device and self.model
        fallback = find_models(self.options, self.model)[0].fallback if inferred and self.model else ""
        return StoredOrder(order.folder, order.origin, order.fresh, fallback)


def find_models(options: PrepareOptions, model: ModelOptions) -> tuple[Model | Sam, Model | None]:
    """The model that finds the product, and the one for a second opinion."""
    first = load_sam(model.device) if options.points or options.box else model.load()
    return first, model.load_second(first)


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """An order in a folder, as it travels between processes: without its pixels. `fallback`: see `CatalogModel`."""

    folder: Path
    origin: Origin
    fresh: bool
    fallback: str = ""

    def load(self) -> Order:
        """Read the order; raises as `load_order`."""
        return replace(load_order(self.folder, origin=self.origin), fresh=self.fresh)


@dataclass(frozen=True, slots=True)
class FinalTask:
    """The final of an answered order in a folder, and its options."""

    order: StoredOrder
    out: Path
    finish: FinishOptions
    output: OutputOptions

    def work(self) -> tuple[Path, StoredOrder, tuple[str, ...]]:
        """As `writer.place_final`, in a worker."""
        order = self.order.load()
        if writer.final_path(order, self.out, self.finish.format).exists():  # perhaps of an order written meanwhile
            index.index_of(self.order.folder.parent).refresh()
        path, order, notes = writer.place_final(order, self.out, self.finish, self.output)
        return path, StoredOrder(order.require_folder(), order.origin, order.fresh), notes


class WorkerPool:
    """Up to `count` worker processes, each started at its first task; leaving the context ends them.

    A task's order is the same as in a thread of this process. A task whose worker dies is refused. UsageError for more
    processes than two a core. `shared`: devices whose networks run in one more process, for all workers. `fallback`:
    why a model did not take a faster device.
    """

    def __init__(self, count: int, shared: tuple[Device, ...] = SHARED) -> None:
        WORKERS.check("workers", count, "at most two a core")
        self.count = count
        self._threads = max(1, CORES // count)
        self._session = SharedSession(count, shared)
        self._workers: dict[int, PickleChild] = {}
        self._closed = False
        self.fallback = ""
        self._idle: SimpleQueue[int] = SimpleQueue()
        for number in range(count):
            self._idle.put(number)

    def __enter__(self) -> "WorkerPool":
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        for worker in list(self._workers.values()):
            worker.close()
        self._session.close()

    def prepare(self, task: PhotoTask) -> Order:
        """Prepare one photo in a worker; PhotoRefused if it dies, UsageError for a task that cannot be sent to one."""
        try:
            packed = pack(task)
        except Exception as error:  # an object of the caller may raise anything
            problem = f"an option or a photo cannot be sent to a worker process ({str(error)[:120]})"
            raise UsageError(problem, "Give a path or bytes and the name of a model, or leave workers out") from error
        with _lock_twins(task):
            reply = self._run_idle(packed)
        if isinstance(reply, StoredOrder):
            self.fallback = reply.fallback or self.fallback
            return reply.load()
        return cast("Order", reply)

    def place_final(
        self,
        order: Order,
        out: Path,
        options: FinishOptions = DEFAULT_FINISH,
        output: OutputOptions = DEFAULT_OUTPUT,
        result: Result | None = None,
    ) -> writer.PlacedFinal:
        """As `writer.place_final`, of the answer in the order's folder; Unexpected if the worker dies."""
        del result  # the worker reads it there
        task = FinalTask(StoredOrder(order.require_folder(), order.origin, order.fresh), out, options, output)
        path, stored, notes = cast("tuple[Path, StoredOrder, tuple[str, ...]]", self._run_idle(pack(task), Unexpected))
        return writer.PlacedFinal(path, order if stored.folder == order.folder else stored.load(), notes)

    def _run_idle(self, task: bytes, death: type[PhotioError] = PhotoRefused) -> object:
        """Run a task in an idle worker, and raise its error, or `death` if it died."""
        number = self._idle.get()
        try:
            reply = self._run(number, task)
        except EOFError:
            code = self._workers.pop(number).close(LAST_WORDS)
            if self._closed:
                raise Interrupted(_STOPPED) from None
            reason = f"signal {-code}" if code < 0 else f"code {code}"
            memory = "Perhaps memory ran out: give fewer --workers. " if code == -9 else ""
            raise death(f"its worker process died ({reason})", f"{memory}Run the same again") from None
        except BaseException:  # the worker waits for an answer that does not come
            if number in self._workers:
                self._workers.pop(number).close()
            raise
        finally:
            self._idle.put(number)
        if isinstance(reply, PhotioError):
            raise reply
        return reply

    def _run(self, number: int, task: bytes) -> object:
        """Run a task in a worker, and its inferences in the session process; EOFError if the worker died."""
        worker = self._workers.get(number)
        if worker is None:
            if self._closed:
                raise Interrupted(_STOPPED)
            worker = PickleChild("photio_prep.batch.workers", "serve", self._threads, self._session.block)
            self._workers[number] = worker
            worker.send(pack(self._session.seat(number)))
        worker.send(task)
        while isinstance(reply := worker.receive(), Inference):
            worker.send(pack(self._session.ask(reply)))
        return reply


def _lock_twins(task: PhotoTask) -> contextlib.AbstractContextManager[None]:
    """Held while a file is prepared: of twins, by bytes and options, the second finds the first one's order."""
    source = task.source.source if isinstance(task.source, Item) else task.source
    if task.place.orders is not None and isinstance(source, (str, os.PathLike)):
        digest = files.input_digest(Path(source), task.options.limits.file_bytes)
        options = sha256(pack((task.options, task.model))).hexdigest()
        if digest:
            return path_lock(Path(task.place.orders, digest, options))
    return contextlib.nullcontext()


def open_workers(count: int | None) -> contextlib.AbstractContextManager[WorkerPool | None]:
    """The processes that prepare; None for threads of this one."""
    return contextlib.nullcontext() if count is None else WorkerPool(count)


def serve() -> None:
    """Work on tasks until standard input ends; runs in a worker."""
    tasks, replies = take_pipes()
    with contextlib.suppress(EOFError, OSError):  # the parent has gone
        seat: Seat | None = pickle.load(tasks)  # noqa: S301  from our own parent
        if seat:
            share_networks(seat, tasks, replies)
        while True:
            task: PhotoTask | FinalTask = pickle.load(tasks)  # noqa: S301
            reply: object
            try:
                reply = task.work()
            except Exception as error:  # noqa: BLE001  raised again by the parent
                reply = portable_error(error)
            replies.write(pack(reply))
            replies.flush()
