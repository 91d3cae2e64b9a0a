"""F18 to F28 of the list of faults, and the figures for a storm of 429, a refused key and a budget.

Each through the real command line and the orders on disk, as in `test_faults`.
"""

import gzip
import itertools
import json
import re
import threading
from pathlib import Path

import pytest
import urllib3.util.connection

from photio_prep.api.spending_guard import UNKNOWNS_IN_A_ROW
from photio_prep.errors import StorageFailed
from photio_prep.orders.answer_file import AnswerFile
from photio_prep.orders.state import State
from tests.support.batches import WORKERS, Plan, configure, planner, surroundings
from tests.support.commands import KEY, here
from tests.support.hostile import PATH, HostileServer
from tests.support.hostile_answers import ok, said, verbatim
from tests.support.hostile_exchange import Behaviour, Exchange
from tests.support.hostile_faults import TokenBucket, answering, busy, close_after_reading, redirect, status
from tests.support.sampling import sampled

FREE = "[billing]\nserver_error_is_free = true"


@pytest.fixture(params=[3, pytest.param(50, marks=pytest.mark.soak)])
def count(request: pytest.FixtureRequest) -> int:
    """How many orders."""
    return int(request.param)


@pytest.fixture
def plan(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Plan:
    surroundings(monkeypatch, tmp_path)
    return planner(here(capsys, monkeypatch), tmp_path / "out")


def first_try(behaviour: Behaviour) -> object:
    """A script: `behaviour` for the first request of each order, a good answer for the next."""

    def script(n: int, exchange: Exchange) -> Behaviour:
        return behaviour if exchange.request.attempt == 1 else ok()

    return script


def assert_waited(server: HostileServer, seconds: float) -> None:
    """No order was tried again before `seconds` were over, and none more than five times."""
    tries: dict[str, list[tuple[float, float]]] = {}
    for each in server.requests:
        tries.setdefault(each.digest, []).append((each.opened, each.at))
    for times in tries.values():
        assert len(times) <= 5
        for before, after in itertools.pairwise(times):
            assert after[0] - before[1] >= seconds - 0.05


# Too busy.


@pytest.mark.parametrize(("row", "code"), [("F18", 429), ("F20", 503)])
def test_f18_f20_busy_waits_as_long_as_asked_and_then_goes_on(plan: Plan, row: str, code: int, count: int):
    # Each order's first request is refused, and a refusal holds all workers back: the waits add up.
    wait = 0.6 if count == 3 else 0.3
    with HostileServer(first_try(busy(wait, code=code))) as server:  # type: ignore[arg-type]
        plan(server.url, count).goes_on(server)
        assert_waited(server, wait)
        assert server.hits == 2 * count


@pytest.mark.parametrize("header", [None, "soon"])
def test_f19_busy_without_a_usable_wait_is_tried_five_times(plan: Plan, header: str | None, count: int):
    with HostileServer(busy(header)) as server:
        batch = plan(server.url, count)
        told = batch.generate()
        assert told.code == 9
        assert "the API is busy, nothing billed" in told.err
        assert "Try again later" in told.err
        assert batch.states == {State.PLANNED: count}
        assert 5 <= server.hits <= 5 * WORKERS
        assert server.charges == 0
        server.script = ok()
        batch.goes_on(server)


@pytest.mark.parametrize("seconds", [121, 86_400])
def test_f19_an_absurd_wait_stops_the_batch_at_once(plan: Plan, seconds: int, count: int):
    with HostileServer(busy(seconds)) as server:
        batch = plan(server.url, count)
        told = batch.generate()
        assert told.code == 9
        assert f"Try again after {seconds} s" in told.err
        assert batch.states == {State.PLANNED: count}
        assert server.hits <= WORKERS
        assert server.charges == 0


def storm(plan: Plan, orders_: int, per_second: float, burst: int = 5) -> None:
    """A server that takes so many requests a second, and says so to the rest."""
    bucket = TokenBucket(ok(), per_second=per_second, burst=burst, grace=0.25)
    with HostileServer(bucket) as server:
        plan(server.url, orders_).goes_on(server)
        assert_waited(server, 1.0)
        assert bucket.refused > 0
        assert bucket.early == []
        first, *_, last = server.requests
        print(f"{orders_} orders, {bucket.refused} refusals, {last.at - first.opened:.0f} s")


@pytest.mark.soak
def test_f18_f20_twelve_orders_wait_two_seconds_where_two_are_asked(plan: Plan):
    with HostileServer(first_try(busy(2.0))) as server:  # type: ignore[arg-type]
        plan(server.url, 12).goes_on(server)
        assert_waited(server, 2.0)


@pytest.mark.soak
def test_f18_a_storm_of_429_ends_with_every_order_answered_once(plan: Plan):
    storm(plan, 24, per_second=8, burst=2)


@pytest.mark.soak
def test_f18_500_orders_where_5_a_second_are_allowed(plan: Plan):
    storm(plan, 500, per_second=5)


# Perhaps billed.

LOST = {
    "F21_503_without_a_wait": (status(503), "HTTP 503"),
    "F22_500": (status(500, b"out of memory"), "HTTP 500: 'out of memory'"),
    "F22_502": (status(502), "HTTP 502"),
    "F22_504": (status(504), "HTTP 504"),
    "F26_408": (status(408), "HTTP 408"),
    "F26_409": (status(409), "HTTP 409"),
    "F27_500_inside_of_a_200": (
        verbatim("500", b'{"status_code": 500, "body": "out of memory"}'),
        "status_code '500' in the answer: 'out of memory'",
    ),
}


@pytest.mark.parametrize("row", LOST)
def test_f21_f22_f26_f27_perhaps_billed_is_unknown_and_never_sent_again(plan: Plan, row: str, count: int):
    behaviour, word = LOST[row]
    with HostileServer(behaviour) as server:
        plan(server.url, count).all_unknown(server, word, charges=1, part=row == "F22_500")


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_f24_a_redirect_names_its_place_and_is_not_followed(plan: Plan, code: int, count: int):
    with HostileServer(ok()) as sink, HostileServer(redirect(code, f"http://localhost:{sink.port}{PATH}")) as server:
        plan(server.url, count).all_unknown(server, f"HTTP {code}, a redirect to 'localhost'", charges=1)
        assert sink.connections == 0


@pytest.mark.parametrize("place", ["", "/elsewhere", "http://[::1", "//", "http://\xff/", "javascript:alert(1)"])
def test_f24_a_redirect_to_no_place_at_all_is_unknown_too(plan: Plan, place: str):
    with HostileServer(redirect(302, place)) as server:
        plan(server.url, 1).all_unknown(server, "HTTP 302, a redirect to '.+', which is not followed", charges=1)


def test_f24_the_body_of_a_redirect_is_never_unpacked(plan: Plan):
    bomb = gzip.compress(bytes(50 * 2**20))
    headers = (("Location", "https://elsewhere.invalid/"), ("Content-Encoding", "gzip"))
    with HostileServer(status(302, bomb, headers=headers)) as server:
        batch = plan(server.url, 1)
        batch.all_unknown(server, "redirect to 'elsewhere.invalid'", charges=1, part=True)
    assert batch.parts[0].read_bytes() == bomb


@pytest.mark.parametrize("inside", [False, True])
def test_f27_what_the_server_says_is_redacted_and_cut_to_500_characters(plan: Plan, inside: bool):
    text = "x" * 480 + KEY + "y" * 3000
    answer = json.dumps({"status_code": 500, "body": text})
    behaviour = verbatim("500", answer) if inside else status(500, text.encode())
    with HostileServer(behaviour) as server:
        told = plan(server.url, 1).generate().err
    assert "x" * 480 + "***" + "y" * 17 + "'" in told
    assert KEY[:6] not in told


@pytest.mark.parametrize(
    ("row", "code", "tries"), [("F22_500", 3, 3), ("F22_502", 3, 3), ("F21_503_without_a_wait", 9, 5)]
)
def test_f21_f22_where_the_vendor_says_that_a_server_error_is_free(
    plan: Plan, tmp_path: Path, row: str, code: int, tries: int, count: int
):
    configure(tmp_path, FREE)
    number = int(re.findall(r"\d{3}", row)[0])
    with HostileServer(status(number, charges=False)) as server:
        batch = plan(server.url, count)
        told = batch.generate()
        assert told.code == code
        assert server.hits <= tries * (count if code == 3 else WORKERS)
        assert max(each.attempt for each in server.requests) == tries
        assert State.UNKNOWN not in batch.states
        server.script = ok()
        batch.goes_on(server)


def test_f27_where_the_vendor_says_that_a_server_error_is_free(plan: Plan, tmp_path: Path, count: int):
    configure(tmp_path, FREE)
    failing = answering("500", lambda _: said(500, "out of memory"), charges=False)
    with HostileServer(failing) as server:
        batch = plan(server.url, count)
        told = batch.generate()
        assert told.code == 3
        assert told.err.count("not billed: status_code 500: 'out of memory'") == count
        assert batch.states == {State.REJECTED: count}
        assert server.hits == count
        server.script = ok()
        batch.goes_on(server)


@pytest.mark.parametrize("behaviour", [status(502), close_after_reading()], ids=["502", "close"])
def test_f28_ten_unknowns_in_a_row_stop_to_protect_the_money(plan: Plan, behaviour: Behaviour):
    with HostileServer(behaviour) as server:
        batch = plan(server.url, 30)
        told = batch.generate("--jobs", 1)
        assert told.code == 4
        assert "10 calls in a row ended without a complete answer: stopped to protect your money" in told.err
        assert server.charges == UNKNOWNS_IN_A_ROW == 10
        assert batch.states == {State.UNKNOWN: 10, State.PLANNED: 20}
        assert batch.generate("--jobs", WORKERS).code == 4
        assert 20 <= server.charges <= 20 + WORKERS - 1  # those that were on their way
        server.script = ok()
        assert batch.generate().code == 4
        assert State.PLANNED not in batch.states
        assert server.charged_twice() == {}


# Refused.


@pytest.mark.parametrize("code", [400, 404, 413, 415, 422])
def test_f25_a_refused_request_fails_its_order_only(plan: Plan, code: int, count: int):
    with HostileServer(first_try(status(code, b"no such thing"))) as server:  # type: ignore[arg-type]
        batch = plan(server.url, count)
        told = batch.generate()
        assert told.code == 3
        assert f"HTTP {code}: 'no such thing'" in told.err
        assert ("smaller --size" in told.err) == (code == 413)
        assert batch.states == {State.REJECTED: count}
        assert (server.hits, server.charges) == (count, 0)
        batch.goes_on(server)  # nothing was billed, so a further run asks again


REFUSALS = {
    "401": status(401),
    "402": status(402),
    "403": status(403),
    "401_inside_of_a_200": answering("401", lambda _: said(401, "Unauthorized"), charges=False),
}


@pytest.mark.parametrize("call", [1, 4, 9])
@sampled("row", REFUSALS, 1)
def test_f23_a_refused_key_lets_at_most_eight_more_through(plan: Plan, row: str, call: int, count: int):
    def script(n: int, exchange: Exchange) -> Behaviour:
        return ok() if n < call else REFUSALS[row]

    with HostileServer(script) as server:
        orders_ = max(count, 15)
        batch = plan(server.url, orders_)
        told = batch.generate()
        assert told.code == 5
        assert ("credit" in told.err) == (row == "402")
        server.settle()
        assert server.hits <= call + WORKERS
        assert server.charges == call - 1
        assert batch.states == {State.PLANNED: orders_ - call + 1} | ({State.ANSWERED: call - 1} if call > 1 else {})
        assert batch.claims == [] or call > 1
        server.script = ok()
        batch.goes_on(server)


@pytest.mark.soak
def test_f23_a_refused_key_ends_the_waiting_of_the_others_too(plan: Plan):
    """Seven workers wait for a busy API; the eighth hears that the key is refused."""

    def script(n: int, exchange: Exchange) -> Behaviour:
        return status(401) if n == WORKERS else busy(0.3)

    with HostileServer(script) as server:
        batch = plan(server.url, 30)
        assert batch.generate().code == 5
        server.settle()
        assert server.hits <= 2 * WORKERS
        assert batch.states == {State.PLANNED: 30}


# The budget.


def budget(plan: Plan, monkeypatch: pytest.MonkeyPatch, orders_: int, calls: int) -> None:
    """16 workers, every tenth connection fails: the server sees `calls` requests and not one more."""
    connect, turn, lock = urllib3.util.connection.create_connection, itertools.count(1), threading.Lock()

    def failing(*rest: object, **more: object) -> object:
        with lock:
            number = next(turn)
        if number % 10 == 0:
            raise ConnectionRefusedError(111, "Connection refused")
        return connect(*rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(urllib3.util.connection, "create_connection", failing)
    with HostileServer(lambda n, _: close_after_reading() if n % 7 == 0 else ok()) as server:
        batch = plan(server.url, orders_)
        told = batch.generate("--jobs", 16, "--max-calls", calls)
        server.settle()
        assert told.code == 4  # some were lost, and an unknown outweighs a budget
        assert "the budget of calls is used up" in told.err
        assert server.hits == server.charges == calls
        assert batch.states[State.PLANNED] == orders_ - calls
        server.script = ok()
        batch.generate("--jobs", 16)
        assert server.charges == orders_
        assert server.charged_twice() == {}


def test_the_budget_is_exact_where_every_tenth_connection_fails(plan: Plan, monkeypatch: pytest.MonkeyPatch):
    budget(plan, monkeypatch, 40, 20)


@pytest.mark.soak
def test_a_budget_of_100_is_exact_where_every_tenth_connection_fails(plan: Plan, monkeypatch: pytest.MonkeyPatch):
    budget(plan, monkeypatch, 150, 100)


def test_a_used_up_budget_alone_is_exit_6(plan: Plan):
    with HostileServer(ok()) as server:
        batch = plan(server.url, 5)
        assert batch.generate("--max-calls", 2).code == 6
        assert batch.states == {State.ANSWERED: 2, State.PLANNED: 3}
        assert batch.generate("--max-calls", 0).code == 6
        assert server.charges == 2


def test_after_the_first_trouble_with_the_disk_no_call_leaves(plan: Plan, monkeypatch: pytest.MonkeyPatch):
    turn = itertools.count(1)

    def full(folder: Path) -> AnswerFile:
        if next(turn) == 3:
            raise StorageFailed("the disk is full")
        return AnswerFile(folder)

    monkeypatch.setattr("photio_prep.orders.payment.AnswerFile", full)
    with HostileServer(ok()) as server:
        batch = plan(server.url, 10)
        assert batch.generate("--jobs", 1).code == 7
        assert server.hits == 2
        assert batch.states == {State.ANSWERED: 2, State.PLANNED: 8}
        batch.goes_on(server)
