"""The harness catches each of the four broken protocols, passes the correct one, and reaches the figures."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.crash.harness import (
    Forked,
    KillResult,
    Point,
    Runner,
    Spawned,
    bootstrapped,
    random_kills,
    run_command,
    sweep,
    with_torn,
)
from tests.crash.straced import Straced
from tests.crash.tiny_orders import VARIANTS
from tests.hostile import HostileServer
from tests.hostile_answers import ok_tiny
from tests.hostile_delivery import slow

if TYPE_CHECKING:
    from collections.abc import Iterator

TARGET = "tests.crash.tiny_orders:main"
needs_strace = pytest.mark.skipif(not Straced.works(), reason="no strace here, or it may not trace")


@dataclass(slots=True)
class Verdict:
    """What the sweep found over all its points."""

    double: int = 0
    bad: int = 0
    unknown_at_most: int = 0
    unfinished: int = 0


@pytest.fixture(scope="module")
def server() -> Iterator[HostileServer]:
    with HostileServer(ok_tiny()) as server:
        yield server


class Bench:
    """A folder of orders, the server that bills them, and the judge of both."""

    def __init__(self, folder: Path, server: HostileServer, orders: int = 3, workers: int = 1) -> None:
        self.folder, self.server, self.orders = folder, server, orders
        self.verdict = Verdict()
        self.workers = workers

    def arguments(self, variant: str) -> list[str]:
        return [str(self.folder), str(self.server.port), variant, str(self.orders), str(self.workers)]

    def reset(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        self.server.forget()

    def after(self, result: KillResult) -> None:
        self.server.settle()
        if result.clean and result.clean.status != 0:
            self.verdict.unfinished += 1
        self.verdict.double += len(self.server.charged_twice())
        self.verdict.bad += sum(not self.is_good(folder) for folder in self.folder.iterdir())
        unknown = sum(self.is_unknown(folder) for folder in self.folder.iterdir())
        self.verdict.unknown_at_most = max(self.verdict.unknown_at_most, unknown)

    def is_good(self, order: Path) -> bool:
        """Not finished, or finished with exactly the bytes that the mark promises."""
        if not (order / "finished.json").exists():
            return True
        mark = json.loads((order / "finished.json").read_bytes())
        output = order / "final.png"
        return output.exists() and hashlib.sha256(output.read_bytes()).hexdigest() == mark["sha256"]

    def is_unknown(self, order: Path) -> bool:
        return (order / "claim.json").exists() and not (order / "answer.json").exists()


@pytest.fixture
def bench(tmp_path, server) -> Bench:
    bench = Bench(tmp_path / "orders", server)
    bench.reset()
    return bench


def test_every_point_of_the_correct_protocol_in_time(bench):
    started = time.monotonic()
    with Forked(TARGET, bench.arguments("correct"), bench.folder) as runner:
        results = sweep(runner, reset=bench.reset, after=bench.after)
    took = time.monotonic() - started
    assert sum(result.cut.killed for result in results) >= 80
    assert bench.verdict == Verdict(unknown_at_most=1)
    kinds = Counter(result.point.kind for result in results if result.point)
    assert {"open", "write", "fsync", "rename", "mkdir", "connect", "send", "recv", "exit"} <= kinds.keys()
    assert all(result.cut.killed for result in results), "one thread on loopback: every point comes up again"
    assert took < 60


@pytest.mark.parametrize(
    ("variant", "double", "bad"), [("A", True, False), ("B", True, False), ("C", False, True), ("D", True, False)]
)
def test_each_broken_variant_is_caught(bench, variant, double, bad):
    with Forked(TARGET, bench.arguments(variant), bench.folder) as runner:
        bench.reset()
        points = with_torn(runner.points())
        # Order 1 shows it; the other two would only cost time.
        sweep(runner, points[: len(points) // 3], reset=bench.reset, after=bench.after)
    assert (bench.verdict.double > 0, bench.verdict.bad > 0) == (double, bad), VARIANTS[variant].__doc__


def test_fifty_random_kills_over_two_hundred_orders(tmp_path):
    # A little latency, so that kills fall into calls and not only between them.
    with HostileServer(slow(ok_tiny(), latency=0.02, jitter=0.02, bandwidth=1e9)) as server:
        bench = Bench(tmp_path / "orders", server, orders=200, workers=8)
        bench.reset()
        kept: dict[Path, bytes] = {}
        unknown_before = 0

        def after(result: KillResult) -> None:
            nonlocal unknown_before
            bench.after(result)
            # A claim that is unknown now and was made in this very run: one per call in flight, not more.
            unknown = sum(bench.is_unknown(folder) for folder in bench.folder.iterdir())
            assert unknown - unknown_before <= 8
            unknown_before = unknown
            # What was once recorded stays recorded, byte by byte.
            assert all(path.read_bytes() == data for path, data in kept.items())
            kept.update({path: path.read_bytes() for path in bench.folder.glob("*/answer.json")})

        def refill() -> None:
            nonlocal unknown_before
            last = runner.run()
            after(KillResult(None, last, last))
            finished = sum(1 for _ in bench.folder.glob("*/finished.json"))
            assert finished + unknown_before == 200
            assert finished == len(kept) <= server.charges <= 200
            bench.reset()
            kept.clear()
            unknown_before = 0

        with Forked(TARGET, bench.arguments("correct"), bench.folder) as runner:
            results = random_kills(runner, (0.01, 0.12), times=50, refill=refill, after=after)
            refill()
        assert len(results) == 50
        assert (bench.verdict.double, bench.verdict.bad, bench.verdict.unfinished) == (0, 0, 0)


# The harness itself.


def leave_traces(arguments: list[str]) -> int:
    """A target that touches the disk in every way that the harness promises to see."""
    import os
    import tempfile

    folder = Path(arguments[0])
    (folder / "deep").mkdir()
    (folder / "text").write_text("hello")
    with (folder / "binary").open("w+b", buffering=0) as file:
        file.write(b"0123456789")
        file.truncate(4)
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        file.write(b"temporary")
    handle = os.open("relative", os.O_WRONLY | os.O_CREAT, dir_fd=(here := os.open(folder, os.O_RDONLY)))
    os.write(handle, b"relative")
    os.fdatasync(handle)
    os.close(handle)
    os.link(folder / "text", folder / "twin")
    os.rename("relative", "moved", src_dir_fd=here, dst_dir_fd=here)
    os.close(here)
    (folder / "binary").replace(folder / "deep" / "binary")
    (folder / "twin").unlink()
    shutil.copyfile(folder / "text", folder / "copy")
    print("done")
    return 0


def fill_the_disk(arguments: list[str]) -> int:
    """A target that meets a full disk, cleans up and says so with exit 7."""
    try:
        Path(arguments[0], "file").write_bytes(b"x" * 100)
    except OSError as full:
        return 7 if full.errno == errno.ENOSPC else 1
    return 0


def sleep_long(arguments: list[str]) -> int:
    time.sleep(30)
    return 0


HERE = "tests.crash.test_harness"


def test_no_way_of_touching_the_disk_is_missed(tmp_path):
    with Forked(f"{HERE}:leave_traces", [str(tmp_path)], tmp_path) as runner:
        points = runner.points()
        # tempfile opens through an opener, which the interpreter audits twice; sendfile is asked until it gives 0.
        assert " ".join(point.kind for point in points) == (
            "mkdir open write open write truncate open open write unlink "
            "open open write fdatasync link rename rename unlink open open sendfile sendfile exit"
        )
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()
        assert runner.run(points[-1]).killed
        found = sorted(path.name for path in tmp_path.rglob("*"))
        assert found == ["binary", "copy", "deep", "moved", "text"]


def test_torn_means_half_of_the_write(tmp_path):
    with Forked(f"{HERE}:fill_the_disk", [str(tmp_path)], tmp_path) as runner:
        points = runner.points()
        assert [point.kind for point in points] == ["open", "write", "exit"]
        assert (points[1].detail, points[1].can_tear) == ("file", True)
        (tmp_path / "file").unlink()
        assert runner.run(points[0]).killed
        assert not (tmp_path / "file").exists()
        assert runner.run(points[1]).killed
        assert (tmp_path / "file").read_bytes() == b""
        assert runner.run(replace(points[1], torn=True)).killed
        assert (tmp_path / "file").read_bytes() == b"x" * 50
        assert runner.run(points[2]).killed
        assert (tmp_path / "file").read_bytes() == b"x" * 100


def test_an_error_instead_of_a_kill_is_a_full_disk(tmp_path):
    with Forked(f"{HERE}:fill_the_disk", [str(tmp_path)], tmp_path) as runner:
        assert runner.run(Point(1, "open", "", error=errno.ENOSPC)).status == 7
        assert runner.run(Point(1, "open", "", error=errno.EIO)).status == 1
        assert runner.run().status == 0


def test_a_run_that_hangs_is_no_kill(tmp_path):
    with Forked(f"{HERE}:sleep_long", [], tmp_path, limit=0.3) as runner:
        run = runner.run()
        assert (run.timed_out, run.killed) == (True, False)
        run = runner.run(kill_after=0.1)
        assert (run.timed_out, run.killed) == (False, True)
        assert 0.1 <= run.seconds < 0.3
    run = run_command([sys.executable, "-c", "import time; time.sleep(30)"], limit=0.3)
    assert (run.timed_out, run.killed) == (True, False)


def test_a_target_that_does_not_load_is_said_so(tmp_path):
    with pytest.raises(RuntimeError, match=r"fork server for tests\.crash\.nothing:main ended"):
        Forked("tests.crash.nothing:main", [], tmp_path).__enter__()


# The two slow runners, on a sample: they must agree with the fast one.


def sample(points: list[Point], count: int) -> list[Point]:
    step = len(points) / count
    return [points[int(index * step)] for index in range(count)]


def check_sample(bench: Bench, runner: Runner, count: int) -> None:
    bench.reset()
    points = runner.points()
    results = sweep(runner, sample(points, count), reset=bench.reset, after=bench.after)
    assert all(result.cut.killed for result in results)
    assert bench.verdict == Verdict(unknown_at_most=1)


def test_a_fresh_interpreter_per_point_agrees(bench):
    command = bootstrapped(TARGET, *bench.arguments("correct"))
    check_sample(bench, Spawned(command, bench.folder), 8)


def test_a_fresh_interpreter_sees_the_same_points(bench):
    spawned = Spawned(bootstrapped(TARGET, *bench.arguments("correct")), bench.folder).points()
    bench.reset()
    with Forked(TARGET, bench.arguments("correct"), bench.folder) as runner:
        assert runner.points() == spawned


def command_of(bench: Bench, variant: str) -> list[str]:
    program = "import sys; from tests.crash.tiny_orders import main; sys.exit(main(sys.argv[1:]))"
    return [sys.executable, "-c", program, *bench.arguments(variant)]


@needs_strace
def test_strace_agrees_on_a_sample(bench):
    check_sample(bench, Straced(command_of(bench, "correct"), bench.folder), 16)


@needs_strace
def test_strace_sees_no_point_that_the_counters_miss(bench):
    names = {"openat": "open", "mkdir": "mkdir", "sendto": "send", "recvfrom": "recv", "fsync": "fsync"}
    by_kernel = Counter(
        names.get(point.kind, point.kind) for point in Straced(command_of(bench, "correct"), bench.folder).points()
    )
    bench.reset()
    with Forked(TARGET, bench.arguments("correct"), bench.folder) as runner:
        by_counters = Counter(point.kind for point in runner.points())
    by_counters.pop("exit")
    assert by_kernel == by_counters


@needs_strace
def test_strace_kills_before_the_call(tmp_path):
    command = [sys.executable, "-c", f"open({str(tmp_path / 'file')!r}, 'wb').write(b'x' * 100)"]
    runner = Straced(command, tmp_path)
    points = runner.points()
    assert [point.kind for point in points] == ["openat", "write"]
    assert runner.run(points[1]).killed
    assert (tmp_path / "file").read_bytes() == b""


@needs_strace
@pytest.mark.parametrize("variant", ["A", "B", "C", "D"])
def test_strace_catches_a_broken_variant_too(bench, variant):
    bench.orders = 1
    runner = Straced(command_of(bench, variant), bench.folder)
    bench.reset()
    wanted = {"A": "recvfrom", "B": "recvfrom", "C": "write", "D": "recvfrom"}[variant]
    points = [point for point in runner.points() if point.kind == wanted]
    sweep(runner, points[-2:], reset=bench.reset, after=bench.after)
    assert bench.verdict.double + bench.verdict.bad > 0
