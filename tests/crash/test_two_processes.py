"""Two processes in one output folder (F48 to F53): each order is paid for once, and nobody waits for the dead."""

from __future__ import annotations

import json
import os
import platform
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest

from photio_prep.api.client import InstantClient
from photio_prep.orders import claims, payment
from photio_prep.orders.claims import Claim
from photio_prep.orders.state import State
from photio_prep.system import processes
from tests.crash import product
from tests.crash.harness import Forked, Run
from tests.crash.judge import TARGET, Judge
from tests.support import commands
from tests.support.hostile_answers import ok
from tests.support.hostile_delivery import slow
from tests.support.hostile_faults import never_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def second(base: Path) -> Iterator[Forked]:
    """Another process that forks others: `judge.runner()` and this one run at the same time."""
    with Forked(TARGET, [], base / "out") as forked:
        yield forked


def both(judge: Judge, second: Forked, kill_after: float | None = None) -> list[Run]:
    """Two processes at the same time on the same orders, one of them perhaps killed."""
    first = judge.runner()
    second.take(judge.arguments(), judge.out)
    runs: list[Run] = []
    threads = [
        threading.Thread(target=lambda: runs.append(first.run())),
        threading.Thread(target=lambda: runs.append(second.run(kill_after=kill_after))),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return runs


def trial(judge: Judge, second: Forked, *, count: int, kill_after: float | None) -> None:
    judge.count, judge.workers = count, 4
    judge.reset()
    judge.server.script = slow(ok(), latency=0.01, jitter=0.01, bandwidth=1e9)
    runs = both(judge, second, kill_after)
    last = judge.runner().run()
    judge.look()
    states = judge.states()
    unknown = states.count(State.UNKNOWN)
    assert states.count(State.FINISHED) + unknown == count, last.output
    assert (judge.verdict.double, judge.verdict.bad) == (0, 0)
    if not any(run.killed for run in runs):
        assert {run.status for run in runs} <= {0, 8}
        assert (unknown, judge.server.charges) == (0, count)
    else:
        assert unknown <= 4, "at most the calls that were in flight"
        assert count - unknown <= judge.server.charges <= count


@pytest.mark.parametrize("kill_after", [None, 0.15, 0.3])
def test_f48_f49_two_processes_and_sixteen_orders(judge: Judge, second: Forked, kill_after: float | None):
    trial(judge, second, count=16, kill_after=kill_after)


@pytest.mark.soak
@pytest.mark.parametrize("number", range(20))
def test_f48_f49_two_processes_and_two_hundred_orders_twenty_times(judge: Judge, second: Forked, number: int):
    trial(judge, second, count=200, kill_after=0.5 + number / 10 if number % 2 else None)


def test_f48_one_order_in_the_same_instant(judge: Judge, second: Forked):
    judge.count = 1
    for _ in range(5):
        judge.reset()
        runs = both(judge, second)
        assert {run.status for run in runs} <= {0, 8}
        assert judge.server.charges == 1
        assert judge.runner().run().status == 0
        assert judge.states() == [State.FINISHED]


def test_f48_answered_by_another_process_between_two_looks_is_no_unknown(judge: Judge, monkeypatch: pytest.MonkeyPatch):
    judge.count = 1
    url = judge.server.url
    order = product.planned(1, judge.out, url)
    real = claims.read_claim

    def after_the_other_one_paid(path: Path) -> Claim | None:
        monkeypatch.setattr(claims, "read_claim", real)
        assert judge.runner().run().status == 0
        return real(path)

    monkeypatch.setattr(claims, "read_claim", after_the_other_one_paid)
    result = payment.pay(order, InstantClient(product.KEY, api_url=url))
    assert result.image.size == order.request.size
    assert (judge.server.charges, judge.states()) == (1, [State.FINISHED])


def test_f49_f52_a_call_of_the_living_is_skipped_and_one_of_the_dead_is_unknown(judge: Judge, second: Forked):
    judge.count = 1
    judge.server.script = never_answer()
    first = judge.runner()
    waiting = threading.Thread(target=lambda: first.run(kill_after=2.0))
    waiting.start()
    while not judge.server.hits:
        assert waiting.is_alive()
    second.take(judge.arguments(), judge.out)
    skipped = second.run()
    assert waiting.is_alive()
    assert (skipped.status, judge.server.hits) == (8, 1)
    assert "has been paying for it since" in skipped.output
    waiting.join()
    unknown = second.run()
    assert (unknown.status, judge.server.hits) == (4, 1)
    assert "died before an answer was kept" in unknown.output


def mine() -> Claim:
    began = processes.start_time(os.getpid()) or ""
    return Claim(platform.node(), processes.boot_id(), os.getpid(), began, "2026-01-02T03:04:05+00:00")


CLAIMS = [
    ("f50 the number was given to another process", {"started": "1"}, 4, "died before an answer was kept"),
    ("f50 the machine was started again", {"boot": "another"}, 4, "died before an answer was kept"),
    ("f50 nobody has that number", {"pid": 2**22 + 1}, 4, "died before an answer was kept"),
    ("f51 another machine", {"host": "atelier-2"}, 8, "machine 'atelier-2' has been paying for it since 2026-01-02"),
    ("f52 a living process", {}, 8, f"process {os.getpid()} has been paying for it since 2026-01-02"),
]


@pytest.mark.parametrize(("change", "code", "said"), [each[1:] for each in CLAIMS], ids=[each[0] for each in CLAIMS])
def test_f50_f51_f52_a_claim_of_somebody_else(judge: Judge, change: dict[str, str | int], code: int, said: str):
    folder = product.planned(2, judge.out, judge.server.url).folder
    assert folder is not None
    (folder / "claim.json").write_text(json.dumps(asdict(mine()) | change))
    run = judge.runner().run()
    assert run.status == code
    assert said in run.output
    assert str(folder) in run.output
    # The other two are paid for, that one is not.
    assert judge.server.charges_by_seed == {1: 1, 3: 1}
    left = State.UNKNOWN if code == 4 else State.CLAIMED
    assert sorted(judge.states()) == sorted([State.FINISHED, State.FINISHED, left])


def corrupt(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def newer(path: Path) -> None:
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 2'))


def other_words(path: Path) -> None:
    path.write_text(path.read_text().replace("marble", "wooden"))


def other_picture(path: Path) -> None:
    canvas = path.with_name("canvas.png")
    canvas.write_bytes(canvas.read_bytes() + b"\0")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (corrupt, "cannot be read back"),
        (newer, "schema 2, this version reads 1"),
        (other_words, "was changed since it was made"),
        (other_picture, "was changed since it was made"),
    ],
)
def test_f53_a_damaged_or_newer_order_is_refused_by_name_and_the_others_are_paid(
    judge: Judge,
    damage: Callable[[Path], None],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
):
    commands.bare_surroundings(monkeypatch, tmp_path)
    monkeypatch.setenv("PHOTIO_API_KEY", product.KEY)
    run = commands.here(capsys, monkeypatch)
    folders = [product.planned(number, judge.out, judge.server.url).folder for number in (1, 2, 3)]
    assert folders[1] is not None
    damage(folders[1] / "order.json")
    paid = run("generate", judge.out, "--api-url", judge.server.url)
    assert (paid.code, judge.server.charges_by_seed) == (7, {1: 1, 3: 1})
    told = run("status", judge.out)
    for each in (paid, told):
        assert said in each.err
        assert str(folders[1]) in each.err
    assert told.code == 7
    assert len(told.lines) == 2
