"""One process runs the networks of all workers on a GPU, where each further session would take its memory again.

    worker ── Inference ──▶ parent ── all that wait ──▶ session process ── Reply ──▶ parent ──▶ worker

Messages hold no pixels: input and output lie in the worker's slot of a block of memory that all three inherit. The
block has no name, so nothing is left behind, whoever is killed, and a container's small /dev/shm is no limit.
"""

import math
import mmap
import os
import pickle
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from threading import Lock
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from photio_prep.batch.children import LAST_WORDS, PickleChild, pack, portable_error, take_pipes
from photio_prep.cutout.models.devices import OPENERS, Device, NetworkFile
from photio_prep.cutout.models.openvino import Port
from photio_prep.errors import PhotioError, SegmenterFailed
from photio_prep.system.parallel import CORES

# Devices whose networks are shared. On a CPU a session a worker is faster: each has its own cores.
SHARED: tuple[Device, ...] = ("cuda",)
# Numbers of an input of the largest families, 3 x 1024 x 1024, and most of an output. A slot has both: an input that is
# run again must be as it was.
_SLOT = 3 * 1024 * 1024
_BYTES = 4
# Inputs of one run at most, where the graph takes several.
_BATCH = 8

Floats = NDArray[np.float32]
# The outputs of an opened network; the shapes of those in the slot; how it failed; or the error that opening it raised.
Reply = tuple[Port, ...] | tuple[tuple[int, ...], ...] | str | PhotioError


@dataclass(frozen=True, slots=True)
class Inference:
    """Outputs for the input of this shape in a worker's slot, by name. Without a shape, the network is only opened."""

    network: NetworkFile
    slot: int
    shape: tuple[int, ...] = ()
    names: tuple[str, ...] = ()


class Seat(NamedTuple):
    """A worker's slot of the block, by the block's descriptor, and the devices whose networks are shared."""

    block: int
    slot: int
    shared: tuple[Device, ...]


class SharedSession:
    """The session process of so many workers, for networks on these devices; started at the first inference.

    If it dies, it is started again, and each inference that it owed runs alone: only one that ends it a second time
    fails. Where the system has no memory to share, each worker opens its own networks.
    """

    def __init__(self, slots: int, shared: tuple[Device, ...]) -> None:
        self._shared = shared
        self._turn = Lock()
        self._waiting: deque[tuple[Inference, Future[Reply]]] = deque()
        self._child: PickleChild | None = None
        self._closed = False
        self.block = _create_block(slots) if shared else None

    def seat(self, slot: int) -> Seat | None:
        """What a worker gets; None where nothing is shared."""
        return None if self.block is None else Seat(self.block, slot, self._shared)

    def ask(self, inference: Inference) -> Reply:
        """Have an inference run; thread-safe."""
        answer: Future[Reply] = Future()
        self._waiting.append((inference, answer))
        with self._turn:  # the first of the threads that wait here sends what all of them want
            if not answer.done():
                self._relay([self._waiting.popleft() for _ in range(len(self._waiting))])
        return answer.result()

    def _relay(self, batch: list[tuple[Inference, Future[Reply]]], *, again: bool = False) -> None:
        rest = deque(batch)
        try:
            child = self._child or self._start_child()
            child.send(pack([inference for inference, _ in batch]))
            while rest:
                rest[0][1].set_result(child.receive())
                rest.popleft()
        except EOFError:
            code = self._end_child(LAST_WORDS)
            reason = f"signal {-code}" if code < 0 else f"code {code}"
            died = SegmenterFailed(f"the process of the network died on it ({reason})", "Run the same again")
            for inference, answer in rest:
                if again:
                    answer.set_result(died)
                else:
                    self._relay([(inference, answer)], again=True)
        except BaseException as error:  # noqa: BLE001  raised again by `ask`, in each thread
            self._end_child()  # its replies to these would be taken for later ones
            for _, answer in rest:
                answer.set_exception(error)

    def _start_child(self) -> PickleChild:
        if self._closed:
            raise EOFError
        self._child = child = PickleChild("photio_prep.batch.shared_session", "serve", CORES, self.block)
        if self._closed:  # meanwhile
            raise EOFError
        child.send(pack(self.block))
        return child

    def _end_child(self, patience: float = 0) -> int:
        child, self._child = self._child, None
        return child.close(patience) if child else 0

    def close(self) -> None:
        """End the process, and give the memory back."""
        self._closed = True  # first: who waits for its reply starts no other
        self._end_child()
        with self._turn:
            if self.block is not None:
                os.close(self.block)
                self.block = None


def _create_block(slots: int) -> int | None:
    """The descriptor of memory for so many slots, of which a page is taken when it is first written.

    None where there is no memory without a name: on other systems than Linux, in some builds of Python, beyond a limit.
    """
    try:
        block = os.memfd_create("photio-prep")
        os.truncate(block, slots * 2 * _SLOT * _BYTES)
    except (AttributeError, OSError):
        return None
    return block


def share_networks(seat: Seat, tasks: IO[bytes], replies: IO[bytes]) -> None:
    """From now on, open networks on the shared devices in the session process; runs in a worker."""
    OPENERS.update(dict.fromkeys(seat.shared, partial(RemoteNetwork, _Line(seat, tasks, replies))))


class _Line:
    """A worker's way to the session process, over the pipes to its parent."""

    def __init__(self, seat: Seat, tasks: IO[bytes], replies: IO[bytes]) -> None:
        self._slot, self._tasks, self._replies = seat.slot, tasks, replies
        self._area = _map(seat.block)[seat.slot]
        self._turn = Lock()

    def open(self, network: NetworkFile) -> list[Port]:
        """Open a network: its outputs. Raises what opening it raised."""
        with self._turn:
            return [Port(*port) for port in self._ask(Inference(network, self._slot))]

    def run(self, network: NetworkFile, feed: Floats, names: list[str]) -> list[Floats]:
        """Compute these outputs. Raises RuntimeError with the words of a failed run."""
        with self._turn:
            self._area[0, : feed.size] = feed.ravel()
            shapes = self._ask(Inference(network, self._slot, feed.shape, tuple(names)))
            ends = np.cumsum([math.prod(shape) for shape in shapes])
            outputs = np.split(self._area[1, : ends[-1]].copy(), ends[:-1])
            return [output.reshape(shape) for output, shape in zip(outputs, shapes, strict=True)]

    def _ask(self, inference: Inference) -> tuple[Any, ...]:
        self._replies.write(pack(inference))
        self._replies.flush()
        reply: Reply = pickle.load(self._tasks)  # noqa: S301  from our own parent
        if isinstance(reply, tuple):
            return reply
        raise reply if isinstance(reply, PhotioError) else RuntimeError(reply)


class RemoteNetwork:
    """A network in the session process, with onnxruntime's interface and one input."""

    def __init__(self, line: _Line, network: NetworkFile) -> None:
        self._line, self._network = line, network
        self._outputs = line.open(network)

    def get_inputs(self) -> list[Port]:
        """As onnxruntime's."""
        return [Port("input")]

    def get_outputs(self) -> list[Port]:
        """As onnxruntime's."""
        return self._outputs

    def run(self, names: list[str] | None, feeds: dict[str, Floats]) -> list[Floats]:
        """Compute outputs by name; None: the first, which is all that rembg's sessions read."""
        (feed,) = feeds.values()
        return self._line.run(self._network, feed, names or [self._outputs[0].name])


def _map(block: int) -> Floats:
    """The slots of the block, one a row: input and output."""
    return np.frombuffer(mmap.mmap(block, 0), np.float32).reshape(-1, 2, _SLOT)


def serve() -> None:
    """Run networks until standard input ends; runs in the session process."""
    tasks, replies = take_pipes()
    with suppress(EOFError, OSError):  # the parent has gone
        slots, opened = _map(pickle.load(tasks)), dict[NetworkFile, Any]()  # noqa: S301  from our own parent
        while True:
            for reply in _run_all(pickle.load(tasks), slots, opened):  # noqa: S301
                replies.write(pack(reply))
                replies.flush()


def _run_all(batch: list[Inference], slots: Floats, opened: dict[NetworkFile, Any]) -> Iterator[Reply]:
    """The replies, in order; neighbours for one network run together."""
    for (file, shape, names), group in groupby(batch, lambda each: (each.network, each.shape, each.names)):
        part = list(group)
        try:
            network = opened[file] = opened.get(file) or file.open()
        except Exception as error:  # noqa: BLE001  raised again in the worker
            yield from [portable_error(error)] * len(part)
            continue
        if shape:
            yield from _run(network, part, slots, names)
        else:
            yield from [tuple(Port(port.name, tuple(port.shape)) for port in network.get_outputs())] * len(part)


def _run(
    network: Any,  # noqa: ANN401
    batch: list[Inference],
    slots: Floats,
    names: tuple[str, ...],
    most: int = _BATCH,
) -> Iterator[Reply]:
    """Run a network of onnxruntime on the inputs in these slots, at most so many at once."""
    feed = network.get_inputs()[0]
    if isinstance(feed.shape[0], int):  # the published graphs take one
        most = 1
    for start in range(0, len(batch), most):
        part = batch[start : start + most]
        try:
            inputs = [slots[inference.slot, 0, : math.prod(inference.shape)] for inference in part]
            stacked = np.concatenate(inputs).reshape(-1, *part[0].shape[1:])
            parts = [np.split(output, len(part)) for output in network.run([*names], {feed.name: stacked})]
            for inference, outputs in zip(part, zip(*parts, strict=True), strict=True):
                values = np.concatenate([output.ravel() for output in outputs])
                slots[inference.slot, 1, : values.size] = values
        except Exception as error:  # noqa: BLE001  onnxruntime raises its own kinds
            # Together they may need more memory than the GPU has.
            yield from _run(network, part, slots, names, 1) if len(part) > 1 else [str(error)]
        else:
            yield from [tuple(output[0].shape for output in parts)] * len(part)
