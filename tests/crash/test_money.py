"""Paid once, never over the budget, never again for other bytes (F64 to F66), and time that jumps (F54, F68)."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from photio_prep.api.client import InstantClient
from photio_prep.api.retry import RateLimiter
from photio_prep.api.spending_guard import SpendingGuard
from photio_prep.cli.console import Console
from photio_prep.cli.payment import pay_orders
from photio_prep.errors import OutcomeUnknown, PhotoRefused
from photio_prep.orders import payment, store
from photio_prep.orders.index import OrderIndex
from photio_prep.orders.state import State
from photio_prep.orders.store import Order  # noqa: TC001  as its neighbours
from photio_prep.system.deadline import Timeouts
from photio_prep.types import Canvas, Request, Result
from tests.crash import product
from tests.support import photos
from tests.support.commands import alone
from tests.support.hostile_answers import ok
from tests.support.hostile_delivery import slow
from tests.support.hostile_faults import close_after_reading, never_answer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crash.judge import Judge
    from tests.support.hostile_exchange import Behaviour, Exchange


def client(judge: Judge, **timeouts: float) -> InstantClient:
    return InstantClient(product.KEY, api_url=judge.server.url, timeouts=Timeouts(**timeouts))


def test_f64_one_order_wanted_by_eight_threads_is_one_call(judge: Judge):
    judge.server.script = slow(ok(), latency=0.05, bandwidth=1e9)
    order = product.planned(1, judge.out, judge.server.url)
    sender = client(judge)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: payment.pay(order, sender).raw, range(8)))
    assert judge.server.hits == 1
    assert len(set(results)) == 1


def test_f64_the_same_picture_under_two_names_is_one_call_and_two_finals(judge: Judge, tmp_path: Path):
    for name in ("a", "b"):
        photos.saved(tmp_path / "in" / f"{name}.png")
    given = ("run", tmp_path / "in", "-d", photos.SCENE, "--out", judge.out, "--api-url", judge.server.url)
    said = alone(*given, PHOTIO_API_KEY=product.KEY)
    assert (said.code, judge.server.charges) == (0, 1)
    assert sorted(path.name for path in said.paths) == ["a-photio.png", "b-photio.png"]
    assert len({path.read_bytes() for path in said.paths}) == 1


def older_bytes(order: Order, out: Path) -> Order:
    """The same photo and words as an older version of the tool would have sent them."""
    canvas = Canvas(order.canvas.png + b"older", order.placement)
    return store.write_order(replace(order, request=replace(order.request, canvas=canvas), folder=None), out / "orders")


def test_f65_what_was_paid_for_as_other_bytes_is_not_paid_for_again_unasked(judge: Judge):
    order = product.planned(1, judge.out, judge.server.url)
    older = older_bytes(order, judge.out)
    OrderIndex(judge.out / "orders").refresh().raise_if_paid(order)  # nobody paid yet
    payment.pay(older, client(judge))
    assert older.folder is not None
    with pytest.raises(PhotoRefused, match=f"already paid for, as other bytes.*{older.folder.name}.*give --pay-again"):
        OrderIndex(judge.out / "orders").refresh().raise_if_paid(order)
    # Another seed that the user chose is another wish.
    other = product.planned(2, judge.out, judge.server.url)
    OrderIndex(judge.out / "orders").refresh().raise_if_paid(other)


def test_f66_the_budget_holds_with_sixteen_in_flight_and_a_tenth_of_the_calls_lost(judge: Judge):
    dice = random.Random(4)

    def script(number: int, exchange: Exchange) -> Behaviour:
        return close_after_reading() if dice.random() < 0.1 else slow(ok(), latency=0.02, bandwidth=1e9)

    judge.server.script = script
    guard = SpendingGuard(client(judge), max_calls=30)
    console = Console(quiet=True)
    todo = [product.planned(number, judge.out, judge.server.url) for number in range(1, 81)]

    def call(order: Order) -> Result:
        return payment.pay(order, guard)

    pay_orders(todo, call, lambda _, result: None, guard, console, 16, total=80)
    judge.server.settle()
    assert (judge.server.hits, guard.calls) == (30, 30)
    states = Counter(judge.states())
    assert states[State.ANSWERED] + states[State.UNKNOWN] == 30
    assert states[State.PLANNED] == 50
    assert set(console.codes) <= {4, 6}
    assert 6 in console.codes


@pytest.mark.parametrize("jump", [86_400.0, -86_400.0, None], ids=["+1 day", "-1 day", "1970"])
def test_f54_a_clock_that_jumps_neither_shortens_nor_lengthens_a_wait(
    monkeypatch: pytest.MonkeyPatch, jump: float | None
):
    pace = RateLimiter()
    pace.slow_down(0.3)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: 0.0 if jump is None else real() + jump)
    began = time.monotonic()
    waited = threading.Thread(target=pace.wait, args=(threading.Event(),))
    waited.start()
    waited.join(10)
    assert not waited.is_alive(), "an endless wait"
    assert time.monotonic() - began >= 0.29, "an early retry"


def test_f54_f68_the_deadline_is_on_the_clock_that_nobody_sets(judge: Judge, monkeypatch: pytest.MonkeyPatch):
    judge.server.script = never_answer()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    request: Request = product.planned(1, judge.out, judge.server.url).request
    began = time.monotonic()
    with pytest.raises(OutcomeUnknown):
        client(judge, read=30, overall=0.5).send(request)
    assert 0.5 <= time.monotonic() - began < 10
    assert judge.server.hits == 1
