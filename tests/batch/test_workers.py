"""Preparation in worker processes: the same orders, in the same order, by the same rules as in threads."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest
from PIL import Image

from photio_prep import generate, prepare, run_many
from photio_prep.api.client import InstantClient
from photio_prep.batch import workers
from photio_prep.batch.scheduler import map_ordered
from photio_prep.batch.workers import WORKERS, FinalTask, PhotoTask, WorkerPool
from photio_prep.errors import OutputExists, PhotioError, PhotoRefused, Unexpected, UsageError
from photio_prep.final import writer
from photio_prep.orders.options import OrderPlace, PrepareOptions
from photio_prep.orders.state import State
from photio_prep.orders.store import SANDBOX, Order
from photio_prep.sandbox import Sandbox
from tests.support.commands import KEY, Command, with_default_signals
from tests.support.photos import SCENE, cutout, encoded, photo, saved
from tests.support.sampling import sampled


@dataclass(frozen=True, slots=True)
class Dying(PhotoTask):
    """A photo whose decoder or network crashes."""

    def prepare(self) -> Order:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


@dataclass(frozen=True, slots=True)
class DyingFinal(FinalTask):
    """A final whose worker is killed, as where memory runs out."""

    def work(self) -> NoReturn:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


@dataclass(frozen=True, slots=True)
class Buggy(PhotoTask):
    """A photo that shows a bug, which says what this process knows."""

    def prepare(self) -> Order:
        raise ZeroDivisionError(f"key {os.environ.get('PHOTIO_API_KEY')}, threads {os.environ['OMP_NUM_THREADS']}")


@dataclass(frozen=True, slots=True)
class Alone(PhotoTask):
    """A photo that must not be prepared beside another one of these."""

    def prepare(self) -> Order:
        inside = Path(str(self.place.orders), "inside")
        inside.mkdir()
        time.sleep(0.2)
        inside.rmdir()
        return super(Alone, self).prepare()


@dataclass(frozen=True, slots=True)
class Terminated(PhotoTask):
    """A photo in whose work the whole process group is told to end, as by systemd or `timeout`."""

    def prepare(self) -> Order:
        for name in ("SIGTERM", "SIGINT", "SIGHUP"):
            os.kill(os.getpid(), getattr(signal, name))
        return super(Terminated, self).prepare()


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(2) as workers:
        yield workers


def task(source: Path, kind: type[PhotoTask] = PhotoTask, orders: Path | None = None) -> PhotoTask:
    return kind(source, PrepareOptions(SCENE), OrderPlace(SANDBOX, orders, name=source.name))


def test_orders_come_in_the_order_of_the_photos_and_are_those_of_threads(pool: WorkerPool, tmp_path: Path) -> None:
    photos = [saved(tmp_path / f"{number}.png", cutout(shade=50 * number)) for number in range(5)]
    tasks = [task(path, orders=tmp_path / "orders") for path in photos]
    orders = dict(map_ordered(tasks, pool.prepare, threads=pool.count))
    assert list(orders) == tasks
    for each, order in orders.items():
        here = each.prepare()
        assert isinstance(order, Order)
        assert (order.key, order.origin, order.placement) == (here.key, here.origin, here.placement)
        assert (order.folder, order.fresh, here.fresh) == (here.folder, True, False)


def test_of_twins_one_waits_for_the_other(pool: WorkerPool, tmp_path: Path) -> None:
    twins = [saved(tmp_path / f"{number}.png", cutout()) for number in range(4)]
    (orders := tmp_path / "orders").mkdir()
    tasks = [task(path, Alone, orders) for path in twins]
    ended = [order for _, order in map_ordered(tasks, pool.prepare, threads=pool.count)]
    assert [isinstance(order, Order) and order.fresh for order in ended].count(True) == 1
    assert not any(isinstance(order, PhotioError) for order in ended)


def test_an_order_in_memory_comes_back_whole(pool: WorkerPool, tmp_path: Path) -> None:
    each = task(saved(tmp_path / "a.png", cutout()))
    order, here = pool.prepare(each), each.prepare()
    assert (order.key, order.origin, order.folder, order.photo) == (here.key, here.origin, None, here.photo)
    assert order.cutout is not None
    assert here.cutout is not None
    assert order.cutout.tobytes() == here.cutout.tobytes()


def test_a_photo_whose_worker_dies_is_refused_and_the_others_go_on(pool: WorkerPool, tmp_path: Path) -> None:
    source = saved(tmp_path / "a.png", cutout())
    tasks = [task(source), task(source, Dying), task(source), task(source, Dying), task(source)]
    outcomes = [order for _, order in map_ordered(tasks, pool.prepare, threads=pool.count)]
    assert [type(outcome) for outcome in outcomes] == [Order, PhotoRefused, Order, PhotoRefused, Order]
    assert "its worker process died (signal 9)" in str(outcomes[1])


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
def test_what_a_worker_has_begun_is_not_ended_by_a_signal_to_all(pool: WorkerPool, tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", cutout())
    assert pool.prepare(task(path, Terminated)).key == prepare(path, description=SCENE, endpoint=SANDBOX).key


def test_an_error_is_the_one_of_a_thread(pool: WorkerPool, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    each = task(tmp_path / "broken.png")
    with pytest.raises(PhotioError) as there:
        pool.prepare(each)
    with pytest.raises(PhotioError) as here:
        each.prepare()
    assert (type(there.value), str(there.value)) == (type(here.value), str(here.value))


def test_a_bug_is_its_photo_s_own_and_the_key_is_in_no_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOTIO_API_KEY", KEY)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with WorkerPool(1) as workers, pytest.raises(PhotioError) as bug:
        workers.prepare(task(saved(tmp_path / "a.png"), Buggy))
    assert (bug.value.exit_code, "ZeroDivisionError: key None, threads 3" in str(bug.value)) == (1, True)
    assert "in prepare" in "".join(bug.value.__notes__)  # the traceback travels


@pytest.mark.parametrize("count", [0, -1, WORKERS.high + 1, 4096])
def test_more_processes_than_two_a_core_are_refused(count: int) -> None:
    with pytest.raises(UsageError, match=rf"two a core: workers = {count}\.") as refused:
        WorkerPool(count)
    assert f"Give a whole number from 1 to {WORKERS.high}" in str(refused.value)


def test_what_cannot_be_sent_to_a_worker_is_named(pool: WorkerPool) -> None:
    unsendable = PrepareOptions(SCENE, model=lambda image: image.convert("L"))
    with pytest.raises(UsageError, match="cannot be sent to a worker process"):
        pool.prepare(PhotoTask("a.png", unsendable, OrderPlace(SANDBOX)))


def answered(source: Path, orders: Path, identity: Sandbox) -> Order:
    order = prepare(source, description=SCENE, orders=orders, endpoint=identity.url, output="a")
    generate(order, client=InstantClient(KEY, api_url=identity.url), gate="off")
    return order


def test_a_final_of_a_worker_is_that_of_a_thread(pool: WorkerPool, tmp_path: Path, identity: Sandbox) -> None:
    source = saved(tmp_path / "a.png", cutout())
    order = answered(source, tmp_path / "orders", identity)
    there = pool.place_final(order, tmp_path / "there")
    records = {path.name: path.read_bytes() for path in order.require_folder().glob("[pd]r*.json")}
    here = writer.place_final(order, tmp_path / "here")
    assert len(records) == 2
    assert records == {name: (order.require_folder() / name).read_bytes() for name in records}
    assert there.path.read_bytes() == here.path.read_bytes()
    assert (there.path, there.order, there.notes) == (tmp_path / "there/a-photio.png", order, here.notes)
    assert order.state is State.FINISHED


def test_a_worker_knows_the_orders_that_were_written_since(tmp_path: Path, identity: Sandbox) -> None:
    with WorkerPool(1) as workers:
        for number in range(4):  # each final takes the place of the one before, which only its order allows
            source = saved(tmp_path / "a.png", cutout(shade=60 * number))
            order = answered(source, tmp_path / "orders", identity)
            placed = workers.place_final(order, tmp_path / "out")
            assert (placed.path.name, placed.order, len(placed.notes)) == ("a-photio.png", order, int(number > 0))


def test_a_final_whose_worker_dies_is_no_refused_photo_and_can_be_made_again(
    pool: WorkerPool, tmp_path: Path, identity: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = answered(saved(tmp_path / "a.png", cutout()), tmp_path / "orders", identity)
    with monkeypatch.context() as patched:
        patched.setattr(workers, "FinalTask", DyingFinal)
        with pytest.raises(Unexpected, match="its worker process died") as death:
            pool.place_final(order, tmp_path / "out")
    assert death.value.exit_code == 1  # 3 means that nothing was billed
    assert order.state is State.ANSWERED
    assert pool.place_final(order, tmp_path / "out").path.is_file()
    assert identity.charges == 1


def test_an_error_of_a_final_is_the_one_of_a_thread(pool: WorkerPool, tmp_path: Path, identity: Sandbox) -> None:
    order = answered(saved(tmp_path / "a.png", cutout()), tmp_path / "orders", identity)
    saved(tmp_path / "out/a-photio.png", photo())
    with pytest.raises(OutputExists) as there:
        pool.place_final(order, tmp_path / "out")
    with pytest.raises(OutputExists) as here:
        writer.place_final(order, tmp_path / "out")
    assert str(there.value) == str(here.value)
    assert order.state is State.ANSWERED


@pytest.mark.soak
def test_run_many_takes_every_kind_of_source(tmp_path: Path, identity: Sandbox) -> None:
    data = encoded(cutout(shade=10), "PNG")
    open_file = io.BytesIO(encoded(cutout(shade=20), "PNG"))
    sources: list[Any] = [
        saved(tmp_path / "a.png", cutout()),
        data,
        open_file,
        photo(cut_out=True),
        {"source": data, "seed": 7},
    ]
    client = InstantClient(KEY, api_url=identity.url)
    outcomes = [*run_many(sources, SCENE, client=client, workers=2, gate="off")]
    assert [outcome.error for outcome in outcomes] == [None] * 5
    assert all(outcome.final and isinstance(outcome.final.image, Image.Image) for outcome in outcomes)
    assert {outcome.order.request.seed for outcome in outcomes if outcome.order} >= {7}
    assert identity.calls == 5


@sampled("verb", [["prepare"], ["run", "--sandbox"]], 1)
def test_the_command_line_writes_what_threads_write(command: Command, verb: list[str]) -> None:
    for number in range(3):
        saved(Path(f"in/{number}.png"), cutout(shade=50 * number))
    Path("in/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    words = [*verb, "in", "-d", SCENE, "--gate", "off", "--json"]
    here, there = command(*words, "-o", "threads"), command(*words, "-o", "processes", "--workers", "2")
    assert (here.code, there.code) == (3, 3)
    facts = [[(each["source"], each["key"], each["state"]) for each in said.facts] for said in (here, there)]
    assert sorted(facts[0], key=str) == sorted(facts[1], key=str)
    for path in (*Path("threads").rglob("canvas.png"), *Path("threads").rglob("*-photio.png")):
        assert path.read_bytes() == (Path("processes") / path.relative_to("threads")).read_bytes()


def test_standard_input_reaches_a_worker(command: Command) -> None:
    said = command("prepare", "-", "-d", SCENE, "--workers", "1", stdin=encoded(cutout(), "PNG"))
    assert (said.code, len(said.paths)) == (0, 1)


def test_without_weights_all_stops_as_with_threads(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOTIO_MODELS", "nothing")
    saved(Path("a.jpg"), photo())
    assert command("prepare", "a.jpg", "-d", SCENE, "--workers", "1").code == 11


def children(pid: int) -> set[int]:
    """The processes that any thread of `pid` started."""
    return {int(each) for file in Path(f"/proc/{pid}/task").glob("*/children") for each in file.read_text().split()}


@pytest.mark.soak
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_ctrl_c_ends_all_processes(tmp_path: Path) -> None:
    for number in range(60):
        saved(tmp_path / f"in/{number}.png", photo((1500 + number, 1000), cut_out=True))
    words = ["prepare", "in", "-d", SCENE, "--workers", "2", "-o", "out"]
    command = with_default_signals([sys.executable, "-m", "photio_prep", *words])
    running = subprocess.Popen(command, cwd=tmp_path, start_new_session=True, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("out/orders/*/order.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    workers = children(running.pid)
    assert workers
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does
    running.communicate(timeout=60)
    assert running.returncode == 130
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
