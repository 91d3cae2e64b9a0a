"""The till: an exact budget under many threads, and a stop after what would befall every other call too."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from photio_prep.api import retry
from photio_prep.api.client import InstantClient
from photio_prep.api.spending_guard import UNKNOWNS_IN_A_ROW, SpendingGuard
from photio_prep.errors import (
    ApiUnavailable,
    BudgetReached,
    Interrupted,
    KeyRefused,
    OutcomeUnknown,
    PaidUnusable,
    PhotioError,
    Rejected,
    StorageFailed,
    UsageError,
)
from photio_prep.system.deadline import Timeouts
from photio_prep.types import AnswerSink, Request, Result
from tests.support.hostile import HostileServer
from tests.support.hostile_answers import ok, verbatim
from tests.support.hostile_exchange import Behaviour, Exchange
from tests.support.hostile_faults import close_after_reading, close_at_once, never_answer, status
from tests.support.photos import request

KEY = "pt-canary-5c1e77b0a9d4"


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "_FIRST_WAIT", 0.01)
    monkeypatch.setattr(retry, "_LAST_WAIT", 0.02)


def client(url: str) -> InstantClient:
    return InstantClient(KEY, api_url=url, timeouts=Timeouts(connect=2, write=2, read=2, overall=5))


def outcomes(till: SpendingGuard, count: int, threads: int = 16) -> list[type[BaseException] | None]:
    """How `count` sends from `threads` threads ended."""
    seeds = iter(range(1, count + 1))
    lock = threading.Lock()
    found: list[type[BaseException] | None] = []

    def work() -> None:
        while True:
            with lock:
                seed = next(seeds, None)
            if seed is None:
                return
            ended: type[BaseException] | None = None
            try:
                till.send(request(seed=seed))
            except PhotioError as error:
                ended = type(error)
            with lock:
                found.append(ended)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    return found


def test_the_budget_is_exact_with_16_threads():
    with HostileServer(ok()) as server:
        till = SpendingGuard(client(server.url), max_calls=23)
        found = outcomes(till, 80)
        assert server.charges == server.connections == till.calls == 23
    assert found.count(None) == 23
    assert BudgetReached in found
    assert isinstance(till.stop_reason, BudgetReached)


def test_the_budget_counts_unknown_outcomes():
    def some(n: int, exchange: Exchange) -> Behaviour:
        return close_after_reading() if n % 3 == 0 else ok()

    with HostileServer(some) as server:
        till = SpendingGuard(client(server.url), max_calls=12)
        found = outcomes(till, 60)
        assert server.connections == server.charges == 12
    assert found.count(None) + found.count(OutcomeUnknown) == 12
    assert OutcomeUnknown in found


def test_the_budget_is_never_passed_where_connections_fail():
    def some(n: int, exchange: Exchange) -> Behaviour:
        return close_at_once() if n % 10 == 0 else ok()

    with HostileServer(some) as server:
        outcomes(SpendingGuard(client(server.url), max_calls=20), 60)
        server.settle()
        assert server.connections <= 20


def test_a_budget_of_nothing_sends_nothing():
    with HostileServer(ok()) as server:
        till = SpendingGuard(client(server.url), max_calls=0)
        with pytest.raises(BudgetReached, match="budget of calls is used up"):
            till.send(request())
        assert server.connections == 0


@pytest.mark.parametrize("budget", [-1, float("nan"), 2.5, "3"])
def test_a_budget_that_is_no_number_of_calls_is_refused_and_not_taken_for_none(budget: Any):
    with pytest.raises(UsageError, match=r"max_calls = .*Give a whole number from 0 on"):
        SpendingGuard(InstantClient(KEY), max_calls=budget)


def test_what_was_not_billed_is_given_back():
    with HostileServer([status(422), status(422), ok()]) as server:
        till = SpendingGuard(client(server.url), max_calls=1)
        for _ in range(2):
            with pytest.raises(Rejected):
                till.send(request())
        till.send(request())
        assert (till.calls, server.charges) == (1, 1)
        with pytest.raises(BudgetReached):
            till.send(request(seed=2))


def test_a_paid_and_unusable_answer_is_not_given_back():
    with HostileServer(verbatim("no", b'{"status_code": 200, "body": "bm8="}')) as server:
        till = SpendingGuard(client(server.url), max_calls=1)
        with pytest.raises(PaidUnusable):
            till.send(request())
        with pytest.raises(BudgetReached):
            till.send(request(seed=2))
        assert server.connections == 1


@pytest.mark.parametrize("code", [401, 402, 403])
def test_a_refused_key_stops_the_batch(code: int):
    with HostileServer(lambda n, _: ok() if n <= 3 else status(code)) as server:
        till = SpendingGuard(client(server.url))
        found = outcomes(till, 60, threads=8)
        server.settle()
        assert server.connections <= 3 + 1 + 8
        assert server.charges == 3
    assert isinstance(till.stop_reason, KeyRefused)
    assert set(found) <= {None, KeyRefused, Interrupted}


def test_an_api_that_cannot_be_reached_stops_the_batch():
    with HostileServer(ok()) as server:
        url = server.url
    till = SpendingGuard(client(url))
    with pytest.raises(ApiUnavailable):
        till.send(request())
    with pytest.raises(PhotioError, match="not sent"):
        till.send(request(seed=2))
    assert till.calls == 0


def test_ten_unknowns_in_a_row_stop_the_batch():
    with HostileServer(close_after_reading()) as server:
        till = SpendingGuard(client(server.url))
        found = outcomes(till, 40, threads=1)
        assert server.charges == UNKNOWNS_IN_A_ROW == 10
    assert found.count(OutcomeUnknown) == 10
    assert isinstance(till.stop_reason, OutcomeUnknown)
    assert "to protect your money" in till.stop_reason.problem


def test_a_success_in_between_starts_the_row_anew():
    def some(n: int, exchange: Exchange) -> Behaviour:
        return ok() if n % 10 == 0 else close_after_reading()

    with HostileServer(some) as server:
        till = SpendingGuard(client(server.url))
        outcomes(till, 30, threads=1)
        assert server.charges == 30
    assert till.stop_reason is None


def test_a_closed_till_says_why_and_sends_nothing():
    with HostileServer(ok()) as server:
        till = SpendingGuard(client(server.url))
        till.stop(StorageFailed("the disk is full"))
        till.stop(KeyRefused("later"))
        assert isinstance(till.stop_reason, StorageFailed)
        with pytest.raises(PhotioError, match="the disk is full"):
            till.send(request())
        assert server.connections == 0


def test_a_till_asks_whom_its_sender_asks():
    assert SpendingGuard(InstantClient(KEY)).endpoint == "https://api.photio.io/v1/inference/instant"


class _Refusing:
    endpoint = "x"

    def __init__(self, error: Callable[[], PhotioError]) -> None:
        self._error = error

    def send(self, request: Request, keep: AnswerSink | None = None) -> Result:
        raise self._error()


@pytest.mark.parametrize(
    ("error", "free"),
    [
        (lambda: ApiUnavailable("x"), True),
        (lambda: Rejected("x"), True),
        (lambda: KeyRefused("x"), True),
        (lambda: UsageError("x"), True),
        (lambda: Interrupted("x"), True),
        (lambda: OutcomeUnknown("x"), False),
        (lambda: PaidUnusable("x"), False),
        (lambda: StorageFailed("x"), False),
    ],
)
def test_only_what_was_surely_not_billed_is_free(error: Callable[[], PhotioError], free: bool):
    till = SpendingGuard(_Refusing(error), max_calls=5)
    with pytest.raises(PhotioError):
        till.send(request())
    assert till.calls == (0 if free else 1)


@pytest.mark.soak
def test_a_call_in_flight_is_counted_already():
    with HostileServer(never_answer()) as server:
        till = SpendingGuard(client(server.url), max_calls=1)

        def fly() -> None:
            with pytest.raises(OutcomeUnknown):
                till.send(request())

        flying = threading.Thread(target=fly)
        flying.start()
        deadline = time.monotonic() + 60
        while not server.hits:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with pytest.raises(BudgetReached):
            till.send(request(seed=2))
        flying.join()
        assert server.connections == 1
