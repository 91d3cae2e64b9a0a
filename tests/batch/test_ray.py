"""Ray Data on this machine: the same finals as without it, and nothing billed twice whoever is killed.

Every test starts a Ray of its own, in the process of a driver of its own; what is killed are workers below that driver.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from photio_prep import prepare
from photio_prep.api.key import ApiKey
from photio_prep.batch.ray_budget import ActorClient, SharedBudget
from photio_prep.batch.ray_driver import Cluster, RayOutcome, read_outcome
from photio_prep.batch.ray_worker import Preparer, RayJobOptions, RayPhoto, _step, build_row
from photio_prep.cli import ray
from photio_prep.cli.console import Console
from photio_prep.errors import (
    Interrupted,
    OutcomeUnknown,
    OutputExists,
    PhotioError,
    Rejected,
    StorageFailed,
    Unexpected,
)
from photio_prep.final.options import OutputOptions
from photio_prep.intake.inputs import expand_inputs
from photio_prep.intake.item import Item
from photio_prep.orders.folder import OrderFolder, find_orders
from photio_prep.orders.options import PayOptions, PrepareOptions
from photio_prep.orders.state import State
from tests.support.commands import KEY, Command, alone
from tests.support.hostile import HostileServer
from tests.support.hostile_answers import ok
from tests.support.hostile_delivery import slow
from tests.support.photos import SCENE, photo, saved

if TYPE_CHECKING:
    from photio_prep.orders.store import Order

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the extra ray is not installed")

CALLS = 4
DRIVER = f"""
import json, sys
from pathlib import Path
from photio_prep.batch.ray_driver import run_on_ray
from photio_prep.geometry import Recommended, Size
from photio_prep.intake.inputs import expand_inputs
from photio_prep.final.options import OutputOptions
from photio_prep.orders.options import PayOptions, PrepareOptions
from photio_prep.batch.ray_worker import RayJobOptions

url, photos, out, most = sys.argv[1:]
tiny = Recommended("Tiny", "4:3", Size(64, 48), documented=False)
results, sys.stdout = sys.stdout, sys.stderr  # Ray prints when a worker dies
options = RayJobOptions(
    OutputOptions(Path(out)), PrepareOptions({SCENE!r}, size=tiny), pay=PayOptions("off", api_url=url)
)
items = expand_inputs((photos,), Path(out))
for each in run_on_ray(items, options, workers=2, calls={CALLS}, max_calls=int(most) or None):
    print(json.dumps([each.item.name, each.state, each.error.exit_code if each.error else 0]), file=results, flush=True)
"""


def photos(folder: Path, count: int) -> Path:
    for number in range(count):
        saved(folder / f"{number:03}.png", photo((64 + number % 16, 48 + number // 16), cut_out=True))
    return folder


def below(pid: int) -> Iterator[tuple[int, str]]:
    """The processes that `pid` started, and they in turn, with what they call themselves."""
    parents: dict[int, list[int]] = {}
    for each in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, IndexError):
            parents.setdefault(int(each.read_text().rpartition(")")[2].split()[1]), []).append(int(each.parent.name))
    waiting = list(parents.get(pid, []))
    while waiting:
        child = waiting.pop()
        waiting += parents.get(child, [])
        with suppress(OSError):
            yield child, Path(f"/proc/{child}/cmdline").read_bytes().rstrip(b"\0").decode("utf-8", "replace")


@dataclass
class Driver:
    """A driver at work in a process of its own; `ended` fills as photos end."""

    process: subprocess.Popen[str]
    ended: list[tuple[str, str, int]] = field(default_factory=list)

    def listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            name, state, code = json.loads(line)
            self.ended.append((name, state, code))

    def kill(self, what: str) -> bool:
        """Kill one worker of Ray below us that calls itself so; whether there was one."""
        found = [pid for pid, name in below(self.process.pid) if name.startswith("ray::") and what in name]
        if found:
            with suppress(ProcessLookupError):
                os.kill(random.choice(found), signal.SIGKILL)
        return bool(found)

    def until(self, count: int) -> None:
        deadline = time.monotonic() + 300
        while len(self.ended) < count and self.process.poll() is None:
            assert time.monotonic() < deadline, self.ended
            time.sleep(0.02)


@contextmanager
def driving(url: str, inputs: Path, out: Path, most: int = 0) -> Iterator[Driver]:
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, url, inputs, out, str(most)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PHOTIO_API_KEY": KEY},
    )
    driver = Driver(process)
    ears = threading.Thread(target=driver.listen)
    ears.start()
    try:
        yield driver
    finally:
        workers = [pid for pid, _ in below(process.pid)]
        with suppress(subprocess.TimeoutExpired):
            process.wait(300)
        process.kill()
        process.wait()
        ears.join()
        assert process.stdout is not None
        process.stdout.close()
        for pid in workers:  # after a killed driver, what it started may live a little longer
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def found(out: Path) -> Counter[State]:
    return Counter(OrderFolder(each).state for each in find_orders(out))


def slowly() -> HostileServer:
    return HostileServer(slow(ok(), latency=0.3, jitter=0.2, bandwidth=1e9), keep_bodies=False)


# --- without Ray


def test_permits_count_for_everybody_and_close_for_everybody():
    permits = SharedBudget("https://api.example/x", 2, None)
    assert [permits.answer("guard.acquire")[0] for _ in range(2)] == [None, None]
    permits.answer("guard.settle", Interrupted("not billed"))
    assert permits.answer("guard.acquire") == (None, None)
    refused, _ = permits.answer("guard.acquire")
    assert refused is not None
    assert refused.exit_code == 6
    assert permits.stop_reason()[1] == 2
    assert isinstance(permits.answer("guard.acquire")[0], Interrupted)


def test_permits_know_which_orders_were_billed_or_may_have_been():
    permits = SharedBudget("https://api.example/x", None, None)
    answered, refused, unknown, died, another = (digit * 32 for digit in "12345")
    for order in (answered, refused, unknown, died):
        permits.guard.acquire(order)
    permits.guard.settle(None, answered)
    permits.guard.settle(Rejected("not billed"), refused)
    permits.guard.settle(OutcomeUnknown("perhaps"), unknown)
    billed = [permits.guard.is_billed(order) for order in (answered, refused, unknown, died, another)]
    assert billed == [True, False, True, True, False]


def test_the_options_of_workers_never_hold_a_key(tmp_path: Path):
    pay = PayOptions(key_file=tmp_path / "key")
    packed = pickle.dumps(RayJobOptions(OutputOptions(tmp_path), PrepareOptions(SCENE), pay=pay))
    assert KEY.encode() not in packed
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(RayJobOptions(OutputOptions(tmp_path), pay=PayOptions(key_file=ApiKey(KEY))))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--key-stdin", "--api-url", "http://127.0.0.1:9/x"], "a key from standard input reaches no worker"),
        (["--sandbox", "--ray-address", "ray://nowhere:1"], "the stand-in runs on this machine"),
        (["--sandbox", "--api-url", "http://127.0.0.1:9/x"], "exclude each other"),
    ],
)
def test_what_would_not_reach_the_workers_is_refused(command: Command, options: list[str], found: str):
    saved(Path("a.png"))
    said = command("run", "a.png", "-d", SCENE, "--engine", "ray", *options)
    assert (said.code, found in said.err) == (2, True), said.err


def test_without_ray_the_message_names_the_extra(command: Command, monkeypatch: pytest.MonkeyPatch):
    saved(Path("a.png"))
    monkeypatch.setitem(sys.modules, "ray", None)
    said = command("run", "a.png", "-d", SCENE, "--engine", "ray", "--sandbox")
    assert said.code == 2
    assert 'pip install "photio-prep[ray]"' in said.err


class HerePermits(ActorClient):
    """Permits in this process, of which no Ray knows."""

    def __init__(self) -> None:
        super().__init__(None)
        self._body = SharedBudget("https://api.example/x", None, None)

    def call(self, method: str, *arguments: object) -> object:
        error, result = self._body.answer(method, *arguments)
        if error is not None:
            raise error
        return result


def prepared_by_two(options: RayJobOptions, *inputs: str) -> list[PhotioError | None]:
    """What two workers say of the photos that `inputs` name, taking turns."""
    permits = HerePermits()
    workers = [Preparer(options, permits) for _ in range(2)]
    rows = (build_row(number, item) for number, item in enumerate(expand_inputs(inputs, options.output.out)))
    return [pickle.loads(workers[row["index"] % 2](row)["photo"]).error for row in rows]


def options_for(out: Path, *presets: str) -> RayJobOptions:
    pay = PayOptions("off", api_url="https://api.example/x")
    return RayJobOptions(OutputOptions(out.absolute(), presets=presets), PrepareOptions(SCENE), pay=pay)


def test_a_file_in_the_way_of_a_preset_is_found_before_anybody_pays(command: Command):
    saved(Path("in/a.png"), photo(cut_out=True))
    Path("in/jobs.csv").write_text("source,preset\na.png,etsy\n")
    Path("out").mkdir()
    Path("out/a-photio-ebay.jpg").write_bytes(b"dear to somebody")
    (refused,) = prepared_by_two(options_for(Path("out"), "ebay"), "in/a.png")
    assert isinstance(refused, OutputExists)
    assert "a-photio-ebay.jpg" in str(refused)
    # A row's own presets come in place of the command's.
    assert prepared_by_two(options_for(Path("out"), "ebay"), "in/jobs.csv") == [None]
    Path("out/a-photio-etsy.jpg").write_bytes(b"dear to somebody")
    (refused,) = prepared_by_two(options_for(Path("out")), "in/jobs.csv")
    assert isinstance(refused, OutputExists)


def test_two_photos_with_one_file_for_a_preset_are_told_apart_on_all_workers(command: Command):
    """Their finals differ in the suffix only, which the files of presets do not have of them."""
    saved(Path("in/a.png"), photo(cut_out=True))
    saved(Path("in/a.webp"), photo((92, 70), cut_out=True))
    first, second = prepared_by_two(options_for(Path("out"), "ebay"), "in")
    assert first is None
    assert "is also that of in/a.png" in str(second)
    assert prepared_by_two(options_for(Path("out")), "in") == [None, None]


@pytest.mark.parametrize(("error", "closes"), [(StorageFailed, 1), (OutputExists, 0)])
def test_what_cannot_be_done_with_a_final_here_is_told_like_what_a_worker_met(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], error: type[PhotioError], closes: int
):
    made = prepare(saved(tmp_path / "a.png", photo(cut_out=True)), description=SCENE, orders=tmp_path / "out/orders")
    item = Item(tmp_path / "a.png", "a.png", "a")
    ended = RayOutcome(item, made, State.FINISHED, (tmp_path / "out").absolute() / "a-photio.png")

    def finished(order: object, path: Path) -> None:
        raise error("it is as it is", "Mend it", subject="memory://finals/a-photio.png")

    console, closed = Console(), list[PhotioError]()
    ray._report(ended, tmp_path / "out", console, finished, closed.append)
    assert (console.exit_code, len(closed)) == (error.exit_code, closes)
    assert "error: a.png: memory://finals/a-photio.png: it is as it is" in capsys.readouterr().err


CLAIMING = (
    "import sys; from pathlib import Path; from photio_prep.orders import claims; claims.claim(Path(sys.argv[1]))"
)


def test_a_photo_whose_worker_died_every_time_has_the_outcome_of_the_order_that_was_sent(command: Command):
    options, source = options_for(Path("out")), saved(Path("a.png"), photo(cut_out=True))
    item, permits = Item(source, "a.png", "a"), HerePermits()
    cluster = Cluster(options, permits, 1, 1)

    def read() -> tuple[State, str | None, int]:
        outcome = cluster.read_abandoned(item)
        assert outcome.error is not None
        return outcome.state, outcome.order.key if outcome.order else None, outcome.error.exit_code

    def prepare_seed(seed: int) -> Order:
        words, where = f" {SCENE}\n", options.endpoint
        return prepare(
            source, description=words, seed=seed, orders=options.orders, endpoint=where, name="a.png", output="a"
        )

    assert read() == (State.REFUSED, None, 3)
    earlier, ours = prepare_seed(1), prepare_seed(77)
    for order in (earlier, ours):  # that of an earlier command is not this one's
        subprocess.run([sys.executable, "-c", CLAIMING, order.require_folder() / "claim.json"], check=True)
    assert read() == (State.REFUSED, None, 3)
    permits.call("guard.acquire", ours.key[:32])
    assert read() == (State.UNKNOWN, ours.key, 4)
    (ours.require_folder() / "outcome.json").write_text("{")
    assert read() == (State.UNKNOWN, None, 4)


def test_a_bug_on_a_worker_is_its_photo_s_own_and_its_traceback_travels():
    def bug(_: RayPhoto) -> None:
        raise ZeroDivisionError("odd")

    row = _step(build_row(0, Item(Path("a.png"), "a.png", "a")), HerePermits(), bug)
    ended = read_outcome(row, Item(Path("a.png"), "a.png", "a"))
    assert isinstance(ended.error, Unexpected)
    assert (ended.error.exit_code, "a bug: ZeroDivisionError: odd" in str(ended.error)) == (1, True)
    assert "in bug" in "".join(traceback.format_exception(ended.error))


# --- with it


# What every process of Ray runs first: a bug in finishing one photo.
_ODD_WORKER = """
import sys
if "default_worker.py" in " ".join(sys.orig_argv):
    from photio_prep.final import writer as finals
    real = finals.place_final
    def odd(order, *given, **more):
        if "001.png" in order.origin.source:
            raise ZeroDivisionError("odd")
        return real(order, *given, **more)
    finals.place_final = odd
"""


@needs_ray
def test_with_it_a_bug_with_one_photo_loses_no_other(command: Command, tmp_path: Path):
    photos(Path("in"), 4)
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(_ODD_WORKER)
    root = str(Path(__file__).parents[2])
    with HostileServer(ok()) as server:
        words = ["in", "-d", SCENE, "--api-url", server.url, "-o", "out", "--yes", "--price", "1"]
        path = f"{tmp_path / 'site'}:{root}"
        said = alone("run", *words, "--engine", "ray", "-v", PHOTIO_API_KEY=KEY, PHOTIO_GATE="off", PYTHONPATH=path)
        report = json.loads(Path("out/report.json").read_text())
        assert (said.code, server.charges, len(report["photos"])) == (1, 4, 4), said.err
        assert report["totals"]["states"] == {"finished": 3, "answered": 1}
        assert (report["totals"]["calls"], report["totals"]["cost"]) == (4, 4.0)
        assert "001.png" in said.err
        assert "a bug: ZeroDivisionError: odd" in said.err
        assert "in odd" in said.err, "the worker's traceback"
        again = alone("run", *words, PHOTIO_API_KEY=KEY, PHOTIO_GATE="off")
        assert (again.code, server.charges) == (0, 4), again.err


# What every process of Ray runs first: one worker of all waits in vain for its first permit to pay.
_IMPATIENT_WORKER = """
import sys
from pathlib import Path
if "default_worker.py" in " ".join(sys.orig_argv):
    from photio_prep.batch import ray_budget
    real = ray_budget.ActorClient.call
    def call(self, method, *arguments):
        if not method.endswith("acquire"):
            return real(self, method, *arguments)
        try:
            Path(__file__).with_name("waited").touch(exist_ok=False)
            ray_budget._PATIENCE = 0.0
        except FileExistsError:
            pass
        try:
            return real(self, method, *arguments)
        finally:
            ray_budget._PATIENCE = 30.0
    ray_budget.ActorClient.call = call
"""


@needs_ray
def test_with_it_a_photo_without_an_answer_of_the_budget_is_tried_again(command: Command, tmp_path: Path):
    """On a busy machine the actor may answer too late: nothing was sent, and the photo must not be lost."""
    photos(Path("in"), 2)
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(_IMPATIENT_WORKER)
    with HostileServer(ok()) as server:
        words = ["in", "-d", SCENE, "--api-url", server.url, "-o", "out", "--yes", "--engine", "ray"]
        path = f"{tmp_path / 'site'}:{Path(__file__).parents[2]}"
        said = alone("run", *words, PHOTIO_API_KEY=KEY, PHOTIO_GATE="off", PYTHONPATH=path)
        assert (tmp_path / "site/waited").exists()
        assert (said.code, server.charges, len(said.lines)) == (0, 2, 2), said.err


@needs_ray
def test_the_finals_are_those_of_the_local_engine(keyed: Command, identity_url: str, tmp_path: Path):
    """Orders, keys and finals the same; then the other engine finds everything paid for."""
    photos(Path("in"), 5)
    Path("in/bad.png").write_bytes(b"no picture")
    Path("in/jobs.csv").write_text("source,seed,output\n000.png,7,sku/one\n")
    words = ["in", "in/jobs.csv", "-d", SCENE, "--api-url", identity_url, "--price", "1"]
    local = keyed("run", *words, "-o", "local", "--json")
    assert local.code == 3
    said = alone("run", *words, "-o", "ray", "--json", "--engine", "ray", PHOTIO_API_KEY=KEY, PHOTIO_GATE="off")
    assert said.code == 3, said.err
    assert Counter(each["key"] for each in said.facts) == Counter(each["key"] for each in local.facts)
    names = sorted(each.relative_to("local") for each in Path("local").rglob("*-photio.png"))
    assert len(names) == 6
    assert {each["final"] for each in said.facts if each["final"]} == {f"ray/{each}" for each in names}
    for name in names:
        assert (Path("ray") / name).read_bytes() == (Path("local") / name).read_bytes()
    assert "bad.png" in said.err
    assert json.loads(Path("ray/report.json").read_text())["totals"]["calls"] == 6
    again = keyed("run", *words, "-o", "ray")
    assert (again.code, json.loads(Path("ray/report.json").read_text())["totals"]["calls"]) == (3, 0)
    assert KEY not in said.err + said.out
    for place in (Path("ray"), Path("/tmp/ray/session_latest").resolve()):
        for path in place.rglob("*"):
            with suppress(OSError):
                assert not path.is_file() or KEY.encode() not in path.read_bytes(), path


@pytest.fixture
def identity_url() -> Iterator[str]:
    with HostileServer(ok()) as server:
        yield server.url


def killing(tmp_path: Path, count: int, kills: int) -> None:
    inputs, out = photos(tmp_path / "in", count), tmp_path / "out"
    with slowly() as server:
        with driving(server.url, inputs, out) as driver:
            for number in range(1, kills + 1):
                driver.until(number * count // (kills + 2))
                while driver.process.poll() is None and not driver.kill("pay_row"):
                    time.sleep(0.01)
        server.settle()
        assert driver.process.returncode == 0
        assert server.charged_twice() == {}
        assert len(driver.ended) == len({name for name, *_ in driver.ended}) == count
        there = found(out)
        assert there[State.FINISHED] + there[State.UNKNOWN] == count
        assert there[State.UNKNOWN] <= kills * CALLS
        assert Counter(state for _, state, _ in driver.ended) == there
        assert {code for _, state, code in driver.ended if state == State.UNKNOWN} <= {4}


@needs_ray
def test_with_it_nothing_is_paid_where_a_preset_s_file_lies_in_the_way(command: Command, identity_url: str):
    photos(Path("in"), 2)
    Path("out").mkdir()
    Path("out/001-photio-ebay.jpg").write_bytes(b"dear to somebody")
    words = ["in", "-d", SCENE, "--api-url", identity_url, "--preset", "ebay", "--engine", "ray"]
    said = alone("run", *words, "-o", "out", PHOTIO_API_KEY=KEY, PHOTIO_GATE="off")
    assert said.code == 3, said.err
    assert json.loads(Path("out/report.json").read_text())["totals"]["calls"] == 1
    assert "001.png: out/001-photio-ebay.jpg: another file lies there already" in said.err.replace(f"{Path.cwd()}/", "")
    assert Path("out/000-photio-ebay.jpg").exists()


@needs_ray
@pytest.mark.skipif(importlib.util.find_spec("fsspec") is None, reason="the extra storage is not installed")
def test_with_it_finals_go_to_a_store_too(command: Command, identity_url: str):
    photos(Path("in"), 2)
    start = "from tests.batch.test_ray import show_store; import atexit; atexit.register(show_store)"
    words = ["in", "-d", SCENE, "--api-url", identity_url, "--engine", "ray", "--to", "memory://finals"]
    root = str(Path(__file__).parents[2])
    said = alone("run", *words, "-o", "out", before=start, PHOTIO_API_KEY=KEY, PHOTIO_GATE="off", PYTHONPATH=root)
    assert said.code == 0, said.err
    assert "in the store: /finals/000-photio.png, /finals/001-photio.png" in said.err


def show_store() -> None:
    """Say what lies in the memory of this process."""
    store = importlib.import_module("fsspec").filesystem("memory")
    print("in the store:", ", ".join(sorted(store.find("/finals"))), file=sys.stderr)


@needs_ray
def test_f60_f61_workers_killed_while_they_pay_bill_nothing_twice(tmp_path: Path):
    killing(tmp_path, 24, 2)


@needs_ray
@pytest.mark.soak
def test_f60_f61_five_kills_in_two_hundred_orders(tmp_path: Path):
    killing(tmp_path, 200, 5)


@needs_ray
@pytest.mark.soak
def test_workers_killed_while_they_prepare_cost_nothing(tmp_path: Path):
    inputs, out = photos(tmp_path / "in", 40), tmp_path / "out"
    with slowly() as server:
        with driving(server.url, inputs, out) as driver:
            for number in (5, 15):
                driver.until(number)
                driver.kill("Preparer")
        assert driver.process.returncode == 0
        assert (found(out), server.charges) == (Counter({State.FINISHED: 40}), 40)


@needs_ray
@pytest.mark.soak
def test_f62_a_killed_driver_is_gone_on_from_without_ray(tmp_path: Path, keyed: Command):
    inputs, out = photos(tmp_path / "in", 30), tmp_path / "out"
    with slowly() as server:
        with driving(server.url, inputs, out) as driver:
            driver.until(8)
            driver.process.kill()
        time.sleep(2)
        server.settle()
        before = found(out)
        said = keyed("generate", out, "--api-url", server.url, "--yes")
        after = found(out)
        assert said.code in (0, 4)
        assert server.charged_twice() == {}
        assert before[State.PLANNED] > 0
        assert after[State.PLANNED] + after[State.CLAIMED] == 0
        assert after[State.UNKNOWN] <= CALLS


@needs_ray
@pytest.mark.soak
def test_without_permits_nobody_pays(tmp_path: Path):
    inputs, out = photos(tmp_path / "in", 30), tmp_path / "out"
    with slowly() as server:
        with driving(server.url, inputs, out) as driver:
            driver.until(5)
            assert driver.kill("SharedBudget")
        server.settle()
        assert driver.process.returncode == 0
        there = found(out)
        assert server.charges == there[State.FINISHED] + there[State.UNKNOWN] < 30
        assert there[State.UNKNOWN] == 0
        with driving(server.url, inputs, out) as driver:
            pass
        assert (found(out), server.charges) == (Counter({State.FINISHED: 30}), 30)
        assert server.charged_twice() == {}


@needs_ray
@pytest.mark.soak
def test_one_budget_for_all_workers(tmp_path: Path):
    inputs, out = photos(tmp_path / "in", 20), tmp_path / "out"
    with slowly() as server:
        with driving(server.url, inputs, out, most=7) as driver:
            pass
        assert server.hits == 7
        assert found(out)[State.FINISHED] == 7
        assert 6 in {code for *_, code in driver.ended}
