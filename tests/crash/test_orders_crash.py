"""The product killed at every point of three orders (F29 to F37), and at random; the broken variants are caught."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from photio_prep.orders.folder import find_orders
from photio_prep.orders.state import State
from tests.crash.harness import KillResult, Point, random_kills, sweep, with_torn
from tests.crash.judge import Judge, Verdict
from tests.crash.product import VARIANTS
from tests.crash.straced import Straced
from tests.support.hostile_answers import ok
from tests.support.hostile_delivery import slow
from tests.support.sampling import sampled

needs_strace = pytest.mark.skipif(not Straced.works(), reason="no strace here, or it may not trace")


@pytest.mark.parametrize("step", [64, pytest.param(1, marks=pytest.mark.soak)])  # 1: at every point
def test_f37_killed_at_every_point_of_three_orders(judge: Judge, step: int):
    judge.reset()
    points = with_torn(judge.runner().points())
    assert len(points) >= 80
    firsts = {point.kind: at for at, point in reversed(list(enumerate(points)))}
    sample = [point for at, point in enumerate(points) if at % step == 0 or at in firsts.values()]
    results = sweep(judge.runner(), sample, reset=judge.reset, after=judge.after)
    assert all(result.cut.killed for result in results), "one thread on loopback: every point comes up again"
    assert judge.verdict == Verdict(unknown_at_most=1, codes={0, 4})
    kinds = Counter(result.point.kind for result in results if result.point)
    assert {"open", "write", "fsync", "rename", "link", "connect", "send", "recv", "exit"} <= kinds.keys()


@sampled(("variant", "wrong"), [("A", "double"), ("B", "double"), ("C", "bad"), ("D", "double")], 1)
def test_each_broken_variant_is_caught(judge: Judge, variant: str, wrong: str):
    judge.count = 1
    runner = judge.runner(variant)
    points = with_torn(runner.points())
    # Before the call nothing can go wrong yet.
    first = next(at for at, point in enumerate(points) if point.kind == "connect")
    for point in points[first:]:
        sweep(runner, [point], reset=judge.reset, after=judge.after)
        if getattr(judge.verdict, wrong):
            return
    pytest.fail(f"not caught: {VARIANTS[variant].__doc__}")


# One order, killed at the point that each row names.


class One:
    """One order: its points by name, and what a kill at one of them comes to."""

    def __init__(self, judge: Judge) -> None:
        judge.count = 1
        self.judge = judge
        self.points = judge.runner().points()

    def point(self, kind: str, name: str, *, after: str = "") -> Point:
        """The first call of `kind` on what ends with `name`, after the first call of kind `after`."""
        begun = next((at for at, point in enumerate(self.points) if point.kind == after), 0)
        return next(p for p in self.points[begun:] if p.kind == kind and p.detail.endswith(name))

    def killed_at(self, point: Point) -> tuple[State, int, State, int, str]:
        """The state and the bill after the kill, those after a clean run, and what that said."""
        self.judge.reset()
        runner = self.judge.runner()
        assert runner.run(point).killed
        self.judge.look()
        then, billed = (self.judge.states() or [State.PLANNED])[0], self.judge.server.charges
        clean = runner.run()
        self.judge.after(KillResult(point, clean, clean))
        assert (self.judge.verdict.double, self.judge.verdict.bad, self.judge.verdict.stray) == (0, 0, 0)
        return then, billed, self.judge.states()[0], self.judge.server.charges, clean.output


@pytest.fixture
def one(judge: Judge) -> One:
    return One(judge)


def test_f29_killed_before_the_claim_it_is_sent_once(one: One):
    claim = next(point for point in one.points if point.detail.endswith("claim.json"))
    then, billed, now, total, _ = one.killed_at(claim)
    assert (then, billed, now, total) == (State.PLANNED, 0, State.FINISHED, 1)


def test_f30_killed_between_claim_and_the_last_byte_it_is_a_false_unknown_and_listed(one: One):
    sends = [point for point in one.points if point.kind == "send"]
    for point in (one.point("connect", ""), *sends, replace(sends[-1], torn=True)):
        then, billed, now, total, said = one.killed_at(point)
        assert (then, billed, now, total) == (State.UNKNOWN, 0, State.UNKNOWN, 0)
        assert "died before an answer was kept" in said


def test_f31_killed_while_it_waits_for_the_answer_it_is_unknown_with_pid_and_time(one: One):
    then, billed, now, total, said = one.killed_at(one.point("recv", ""))
    assert (then, billed, now, total) == (State.UNKNOWN, 1, State.UNKNOWN, 1)
    folder = find_orders(one.judge.out)[0]
    claim = json.loads((folder / "claim.json").read_text())
    assert str(folder) in said
    assert f"pid {claim['pid']}, since {claim['time']}" in said


def test_f32_killed_while_the_answer_is_written_the_part_is_kept(one: One):
    for point in (
        replace(one.point("write", "answer.part", after="recv"), torn=True),
        one.point("fsync", "answer.part", after="recv"),
    ):
        then, billed, now, total, _ = one.killed_at(point)
        assert (then, billed, now, total) == (State.UNKNOWN, 1, State.UNKNOWN, 1)
        assert (find_orders(one.judge.out)[0] / "answer.part").stat().st_size > 0


def test_f33_killed_after_the_raw_answer_has_its_name_it_is_finished_for_nothing(one: One):
    renamed = one.point("rename", "answer.part")
    for point in one.points[renamed.number : renamed.number + 2]:
        then, billed, now, total, _ = one.killed_at(point)
        assert (then, billed, now, total) == (State.ANSWERED, 1, State.FINISHED, 1)


@pytest.mark.parametrize("step", [3, pytest.param(1, marks=pytest.mark.soak)])  # 1: at every point
def test_f34_f35_f36_killed_anywhere_after_the_answer_it_is_finished_for_nothing(one: One, step: int):
    whole = one.point("open", "answer.raw")
    finals = set()
    for point in one.points[whole.number - 1 :: step]:
        then, billed, now, total, _ = one.killed_at(point)
        assert then in (State.ANSWERED, State.FINISHED)
        assert (billed, now, total) == (1, State.FINISHED, 1)
        assert not list(one.judge.out.rglob("*.part")), "F35: the stray .part is removed"
        assert json.loads(next(one.judge.out.glob("orders/*/proof-*.json")).read_bytes())["product"]
        assert json.loads(next(one.judge.out.glob("orders/*/drift.json")).read_bytes())["score"] >= 0
        finals |= {path.read_bytes() for path in one.judge.out.glob("*-photio.png")}
    assert len(finals) == 1, "F36: the same bytes"


# At random, and with the kernel's own eyes.


def kill_at_random(judge: Judge, *, times: int, count: int, within: tuple[float, float]) -> None:
    # A little latency, so that kills fall into calls and not only between them.
    judge.server.script = slow(ok(), latency=0.02, jitter=0.02, bandwidth=1e9)
    judge.count, judge.workers = count, 8
    runner = judge.runner()
    kept: dict[Path, bytes] = {}
    unknown = 0

    def after(_: KillResult | None = None) -> None:
        nonlocal unknown
        judge.look()
        found = judge.states().count(State.UNKNOWN)
        assert found - unknown <= 8, "one per call in flight, not more"
        unknown = found
        # What was once recorded stays recorded, byte by byte.
        assert all(path.read_bytes() == data for path, data in kept.items())
        kept.update({path: path.read_bytes() for path in judge.out.glob("orders/*/answer.raw")})

    def refill() -> None:
        nonlocal unknown
        assert runner.run().status in (0, 4)
        after()
        states = Counter(judge.states())
        assert states[State.FINISHED] + states[State.UNKNOWN] == count
        assert len(kept) == states[State.FINISHED] <= judge.server.charges <= count
        judge.reset()
        kept.clear()
        unknown = 0

    results = random_kills(runner, within, times=times, refill=refill, after=after, ends=frozenset({0, 4}))
    refill()
    assert len(results) == times
    assert (judge.verdict.double, judge.verdict.bad) == (0, 0)


@pytest.mark.soak
def test_five_random_kills_over_fifty_orders(judge: Judge):
    kill_at_random(judge, times=5, count=50, within=(0.05, 0.5))


@pytest.mark.soak
def test_fifty_random_kills_over_two_hundred_orders(judge: Judge):
    kill_at_random(judge, times=50, count=200, within=(0.1, 1.5))


def command_of(judge: Judge) -> list[str]:
    program = "import sys; from tests.crash.product import main; sys.exit(main(sys.argv[1:]))"
    return [sys.executable, "-c", program, *judge.arguments()]


@pytest.mark.soak
@needs_strace
def test_strace_agrees_on_a_sample(judge: Judge):
    judge.count = 1
    runner = Straced(command_of(judge), judge.out)
    kinds = {point.kind: point for point in runner.points()}  # the last of each kind
    sample = [kinds[kind] for kind in ("sendto", "recvfrom", "rename")]
    results = sweep(runner, sample, reset=judge.reset, after=judge.after)
    assert all(result.cut.killed for result in results)
    assert judge.verdict == Verdict(unknown_at_most=judge.verdict.unknown_at_most, codes=judge.verdict.codes)
    assert judge.verdict.unknown_at_most <= 1


@needs_strace
def test_strace_sees_no_point_that_the_counters_miss(judge: Judge):
    judge.count = 1
    names = {"openat": "open", "sendto": "send", "recvfrom": "recv"}
    found = Straced(command_of(judge), judge.out).points()
    # Looking through a folder changes nothing, and the interpreter audits it under another name.
    by_kernel = Counter(names.get(point.kind, point.kind) for point in found if "O_DIRECTORY" not in point.detail)
    judge.reset()
    points = judge.runner().points()
    opened = [point.detail for point in found if point.kind == "openat"]
    absent = {Path(detail.split('"')[1]).name for detail in opened if " = -1 " in detail}
    absent -= {Path(detail.split('"')[1]).name for detail in opened if " = -1 " not in detail}
    # A descriptor that becomes a file object is audited twice, and opened once. A file that is not there never does.
    twice = sum(
        a.kind == b.kind == "open" and a.detail == b.detail and Path(a.detail).name not in absent
        for a, b in pairwise(points)
    )
    by_counters = Counter(point.kind for point in points) - Counter({"exit": 1, "open": twice})
    assert by_kernel == by_counters
