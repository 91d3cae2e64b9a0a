"""One process runs the networks of all workers: orders and errors are those of a session each, whoever is killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper
from PIL import Image

from photio_prep.batch.children import PickleChild, pack
from photio_prep.batch.scheduler import map_ordered
from photio_prep.batch.shared_session import Inference, Seat, SharedSession
from photio_prep.batch.workers import PhotoTask, WorkerPool
from photio_prep.cutout.models.devices import NetworkFile
from photio_prep.cutout.models.openvino import Port
from photio_prep.cutout.models.registry import ModelOptions
from photio_prep.errors import ModelUnavailable, SegmenterFailed
from photio_prep.orders.options import OrderPlace, PrepareOptions
from photio_prep.orders.store import SANDBOX, Order
from photio_prep.types import Photo
from tests.batch.test_workers import Dying, children
from tests.support.photos import SCENE, saved

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has memory without a name")
SHAPE = (1, 3, 4, 4)


@pytest.fixture
def session() -> Iterator[SharedSession]:
    started = SharedSession(4, ("cpu",))
    yield started
    started.close()


def session_processes() -> list[int]:
    """The session processes of this process that run."""
    running = []
    for pid in children(os.getpid()):
        with suppress(OSError):  # it has ended meanwhile
            if b"batch.shared_session" in Path(f"/proc/{pid}/cmdline").read_bytes():
                running.append(pid)
    return running


def network(path: Path, *, batch: int | str = "n", alone: bool = False) -> NetworkFile:
    """A network that gives how many inputs it got, and nothing; with `alone` it fails on more than one."""
    count = [
        helper.make_node("Shape", ["x"], ["shape"], end=1),
        helper.make_node("Cast", ["shape"], ["count"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["x", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "count"], ["y"]),
    ]
    only_one = [helper.make_node("Reshape", ["x", "one"], ["y"])]
    stored = [
        helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0]),
        helper.make_tensor("one", TensorProto.INT64, [4], SHAPE),
    ]
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, *SHAPE[1:]]) for name in ("x", "y", "nothing")
    ]
    graph = helper.make_graph(
        only_one if alone else count, "count", ports[:1], ports[1:2] if alone else ports[1:], initializer=stored
    )
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    )
    return NetworkFile(path, "cpu")


def photo_tasks(folder: Path, coffee: Photo, model: ModelOptions) -> list[PhotoTask]:
    sizes = [(600, 400), (420, 300), (300, 200)]
    sources = [saved(folder / f"{width}.png", coffee.image.resize((width, height))) for width, height in sizes]
    return [PhotoTask(path, PrepareOptions(SCENE), OrderPlace(SANDBOX, name=path.name), model) for path in sources]


def outcomes(tasks: list[PhotoTask], shared: bool) -> list[bytes | tuple[type, str]]:
    """The canvas or the error of each task, in order."""
    with WorkerPool(2, ("cpu",) if shared else ()) as pool:
        ended = [order for _, order in map_ordered(tasks, pool.prepare, threads=2)]
        assert len(session_processes()) == shared
    assert not session_processes()
    return [order.canvas.png if isinstance(order, Order) else (type(order), str(order)) for order in ended]


@pytest.mark.soak
@pytest.mark.model
def test_masks_errors_and_their_order_are_those_of_a_session_each(tmp_path: Path, coffee: Photo) -> None:
    model = ModelOptions("u2netp", device="cpu")
    tasks = photo_tasks(tmp_path, coffee, model)
    tasks.insert(1, PhotoTask(Image.new("RGB", (300, 200)), PrepareOptions(SCENE), OrderPlace(SANDBOX), model))
    tasks.insert(3, Dying(tasks[0].source, tasks[0].options, tasks[0].place))
    own, shared = outcomes(tasks, shared=False), outcomes(tasks, shared=True)
    assert own == shared
    assert [isinstance(each, bytes) for each in own] == [True, False, True, False, True]


def test_weights_that_do_not_load_are_the_same_error(tmp_path: Path, coffee: Photo) -> None:
    (tmp_path / "own.onnx").write_bytes(b"none of it")
    tasks = photo_tasks(tmp_path, coffee, ModelOptions(str(tmp_path / "own.onnx"), "u2net", "cpu"))[:1]
    errors = []
    for shared in ((), ("cpu",)):
        with WorkerPool(1, shared) as pool, pytest.raises(ModelUnavailable, match="the weights do not load") as error:
            pool.prepare(tasks[0])
        errors.append(str(error.value).partition(" (")[0])  # onnxruntime names the file, or not
    assert errors[0] == errors[1]


@dataclass(frozen=True, slots=True)
class Pretended(PhotoTask):
    """A photo on a machine whose onnxruntime was built for CUDA."""

    def prepare(self) -> Order:
        onnxruntime.get_available_providers = lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
        return super(Pretended, self).prepare()


@pytest.mark.soak
@pytest.mark.model
def test_a_gpu_that_the_session_process_cannot_use_is_said(tmp_path: Path, coffee: Photo) -> None:
    source = saved(tmp_path / "a.png", coffee.image)
    place = OrderPlace(SANDBOX, tmp_path / "orders", "a.png")
    with WorkerPool(1) as pool:
        order = pool.prepare(Pretended(source, PrepareOptions(SCENE), place, ModelOptions("u2netp")))
        assert len(session_processes()) == 1
    assert order.device in ("cpu", "openvino")
    assert pool.fallback.startswith("cuda is installed but not used: no installed package runs on cuda")


def run_together(seat: Seat, file: NetworkFile, slots: list[int]) -> list[float | str]:
    """What a network gives for inputs that wait together, each in its slot."""
    child = PickleChild("photio_prep.batch.shared_session", "serve", 1, seat.block)
    try:
        child.send(pack(seat.block))
        child.send(pack([Inference(file, slot, SHAPE, ("y",)) for slot in slots]))
        replies = [child.receive() for _ in slots]
    finally:
        child.close()
    block = np.frombuffer(os.pread(seat.block, 4 * 24 * 2**20, 0), np.float32).reshape(4, 2, -1)
    return [
        reply if isinstance(reply, str) else float(block[slot, 1, 0])
        for slot, reply in zip(slots, replies, strict=True)
    ]


def test_a_graph_of_any_batch_runs_what_waits_at_once(tmp_path: Path, session: SharedSession) -> None:
    seat = session.seat(0)
    assert seat
    assert run_together(seat, network(tmp_path / "any.onnx"), [2, 0, 3]) == [3, 3, 3]
    assert run_together(seat, network(tmp_path / "one.onnx", batch=1), [2, 0, 3]) == [1, 1, 1]


def test_what_fails_together_runs_alone(tmp_path: Path, session: SharedSession) -> None:
    seat = session.seat(0)
    assert seat
    assert run_together(seat, network(tmp_path / "alone.onnx", alone=True), [1, 2]) == [0, 0]
    (failed,) = run_together(seat, network(tmp_path / "two.onnx", batch=2), [1])
    assert "INVALID_ARGUMENT" in str(failed)


def kill_while_it_opens(pipe: Path) -> None:
    """Kill the session process once it waits for what a pipe's other end writes."""
    with pipe.open("wb"):
        (pid,) = session_processes()
        os.kill(pid, signal.SIGKILL)
    while pid in children(os.getpid()):
        time.sleep(0.01)


def test_only_what_ends_the_process_twice_fails(tmp_path: Path, session: SharedSession) -> None:
    os.mkfifo(pipe := tmp_path / "pipe.onnx")
    good = network(tmp_path / "any.onnx")
    outputs = tuple(Port(name, ("n", *SHAPE[1:])) for name in ("y", "nothing"))
    assert session.ask(Inference(good, 0)) == outputs
    (pid,) = session_processes()
    os.kill(pid, signal.SIGKILL)  # while nothing waits: nobody notices
    assert session.ask(Inference(good, 0, SHAPE, ("y", "nothing"))) == (SHAPE, SHAPE)
    assert session.block is not None
    block = np.frombuffer(os.pread(session.block, 4 * 2 * 48, 12 * 2**20), np.float32)
    assert np.array_equal(block, np.repeat([1, 0], 48))
    replies: dict[Path, object] = {}
    files = (NetworkFile(pipe, "cpu"), good)
    threads = [
        threading.Thread(target=lambda file=file: replies.update({file.path: session.ask(Inference(file, 1))}))
        for file in files
    ]
    for thread in threads:
        thread.start()
    kill_while_it_opens(pipe)
    kill_while_it_opens(pipe)
    for thread in threads:
        thread.join(60)
    died = replies[pipe]
    assert isinstance(died, SegmenterFailed)
    assert "the process of the network died on it (signal 9)" in str(died)
    assert replies[good.path] == outputs


def test_closing_it_while_it_is_asked_leaves_nothing(tmp_path: Path, session: SharedSession) -> None:
    os.mkfifo(pipe := tmp_path / "pipe.onnx")
    replies: list[object] = []
    asking = threading.Thread(target=lambda: replies.append(session.ask(Inference(NetworkFile(pipe, "cpu"), 0))))
    asking.start()
    with pipe.open("wb"):  # the session process waits for what is written here
        session.close()
        asking.join(60)
    assert not session_processes()
    assert [type(reply) for reply in replies] == [SegmenterFailed]


def test_without_memory_to_share_each_worker_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")  # as in some builds of Python
    assert SharedSession(2, ("cpu",)).seat(0) is None


KILLED = """
import sys
from pathlib import Path
from tests.batch.test_shared_session import NetworkFile, Inference, SharedSession, network
session = SharedSession(1, ("cpu",))
session.ask(Inference(network(Path(sys.argv[1])), 0))
print("ready", flush=True)
sys.stdin.read()
"""


def test_nothing_is_left_of_a_command_that_is_killed(tmp_path: Path) -> None:
    running = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "any.onnx")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert running.stdout
    assert running.stdout.readline() == b"ready\n"
    below = children(running.pid)
    assert below
    running.kill()
    running.communicate()
    while any(Path(f"/proc/{pid}/exe").exists() for pid in below):
        time.sleep(0.01)
