"""One order on disk over real HTTP: claimed before, kept before parsing, never sent twice."""

import json
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from photio_prep.api import retry
from photio_prep.api.client import InstantClient
from photio_prep.errors import (
    ApiUnavailable,
    KeyRefused,
    OrderInUse,
    OutcomeUnknown,
    PaidUnusable,
    PhotioError,
    Rejected,
    StorageFailed,
    UsageError,
)
from photio_prep.orders import answer_file, claims, store
from photio_prep.orders.folder import OrderFolder
from photio_prep.orders.payment import load_answer, pay
from photio_prep.orders.recovery import resolve_unknown
from photio_prep.orders.state import State
from photio_prep.orders.store import Order
from photio_prep.pipeline import finish, generate
from photio_prep.system.deadline import Timeouts
from photio_prep.types import AnswerSink, Request, Result
from tests.support import photos
from tests.support.hostile import HostileServer
from tests.support.hostile_answers import ok, verbatim
from tests.support.hostile_delivery import cut_short
from tests.support.hostile_exchange import Behaviour, Exchange
from tests.support.hostile_faults import busy, close_after_reading, status
from tests.support.hostile_places import closed_port

KEY = "pt-canary-5c1e77b0a9d4"
ENDPOINT = "https://api.example/x"
QUICK = Timeouts(connect=2, write=2, read=2, overall=4)


@pytest.fixture(autouse=True)
def _apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(retry, "_FIRST_WAIT", 0.01)
    monkeypatch.setattr(retry, "_LAST_WAIT", 0.02)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def client(url: str) -> InstantClient:
    return InstantClient(KEY, api_url=url, endpoint=ENDPOINT, timeouts=QUICK)


def planned(root: Path, **words: object) -> Order:
    return store.write_order(photos.order(**words), root)  # type: ignore[arg-type]


def at(order: Order) -> Path:
    assert order.folder is not None
    return order.folder


def names(order: Order) -> set[str]:
    return {each.name for each in at(order).iterdir()} & {"claim.json", "answer.part", "answer.raw", "outcome.json"}


def test_a_paid_order_keeps_its_claim_and_its_raw_answer(tmp_path: Path):
    order = planned(tmp_path)
    with HostileServer(ok()) as server:
        result = pay(order, client(server.url))
    assert names(order) == {"claim.json", "answer.raw"}
    assert (at(order) / "answer.raw").read_bytes() == result.raw
    assert OrderFolder(at(order)).state is State.ANSWERED


def test_what_was_answered_is_never_sent_again(tmp_path: Path):
    order = planned(tmp_path)
    with HostileServer(ok()) as server:
        first = pay(order, client(server.url))
        for again in (order, store.load_order(at(order)), planned(tmp_path, source="b.png")):
            second = pay(again, client(server.url))
            assert second.raw == first.raw
            assert list(second.image.tobytes()) == list(first.image.tobytes())
        assert server.connections == 1


def test_the_claim_and_the_open_answer_are_on_disk_before_anything_is_sent(tmp_path: Path):
    order = planned(tmp_path)
    seen: list[set[str]] = []

    def look(n: int, exchange: Exchange) -> Behaviour:
        _ = exchange.request
        seen.append(names(order))
        return ok()

    with HostileServer(look) as server:
        pay(order, client(server.url))
    assert seen == [{"claim.json", "answer.part"}]


def test_an_order_in_memory_is_just_sent():
    with HostileServer(ok()) as server:
        assert pay(photos.order(), client(server.url)).image.size == (48, 32)


def test_an_order_for_somebody_else_is_not_sent(tmp_path: Path):
    with HostileServer(ok()) as server:
        with pytest.raises(UsageError, match="an order for"):
            pay(planned(tmp_path, endpoint="https://api.example/other"), client(server.url))
        assert server.connections == 0


# Unknown is for ever, until the user says otherwise.

LOST = [close_after_reading(), cut_short(ok()), status(500, b"oops"), verbatim("no JSON", b"<html>")]


@pytest.mark.parametrize("behaviour", LOST, ids=lambda each: each.name)
def test_an_unknown_outcome_is_written_down_and_never_sent_again(tmp_path: Path, behaviour: Behaviour):
    order = planned(tmp_path)
    with HostileServer([behaviour, ok()]) as server:
        for _ in range(3):
            with pytest.raises(OutcomeUnknown) as caught:
                pay(store.load_order(at(order)), client(server.url))
            assert OrderFolder(at(order)).state is State.UNKNOWN
            for way in ("look at your bill", "--as retry", "--as lost", str(at(order))):
                assert way in caught.value.fix
        server.settle()
        assert (server.connections, server.charges) == (1, 1)


def test_the_beginning_of_a_cut_answer_is_kept(tmp_path: Path):
    order = planned(tmp_path)
    with HostileServer(cut_short(ok())) as server, pytest.raises(OutcomeUnknown):
        pay(order, client(server.url))
    assert names(order) == {"claim.json", "answer.part", "outcome.json"}
    assert (at(order) / "answer.part").read_bytes().startswith(b'{"status_code": 200')


def test_a_retry_is_sent_once_more_and_lost_is_not(tmp_path: Path):
    tried, given_up = planned(tmp_path, seed=1), planned(tmp_path, seed=2)
    with HostileServer([close_after_reading(), close_after_reading(), ok()]) as server:
        for order in (tried, given_up):
            with pytest.raises(OutcomeUnknown):
                pay(order, client(server.url))
        resolve_unknown(at(tried), retry=True)
        resolve_unknown(at(given_up), retry=False)
        assert pay(tried, client(server.url)).image.size == (48, 32)
        with pytest.raises(OutcomeUnknown, match="gave it up as lost; its call was perhaps billed"):
            pay(given_up, client(server.url))
        assert server.connections == 3
    assert OrderFolder(at(tried)).state is State.ANSWERED
    assert OrderFolder(at(tried)).lost_attempts == 1


PAYING = """
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from photio_prep.orders import payment, store
from photio_prep.api.client import InstantClient
sender = InstantClient("pt-canary-5c1e77b0a9d4", api_url=sys.argv[2], endpoint="https://api.example/x")
payment.pay(store.load_order(Path(sys.argv[1])), sender)
"""


def paying(order: Order, url: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", PAYING, str(at(order)), url], stderr=subprocess.PIPE)


def test_a_process_that_is_paying_is_left_alone_and_its_death_leaves_an_unknown(tmp_path: Path):
    order = planned(tmp_path)
    with HostileServer(lambda n, exchange: Behaviour("hold", Exchange.hold) if n == 1 else ok()) as server:
        other = paying(order, server.url)
        deadline = time.monotonic() + 60
        while not server.connections:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert OrderFolder(at(order)).state is State.CLAIMED
        with pytest.raises(OrderInUse, match=f"process {other.pid}"):
            pay(order, client(server.url))
        other.send_signal(signal.SIGKILL)
        other.communicate()
        assert OrderFolder(at(order)).state is State.UNKNOWN
        for _ in range(2):
            with pytest.raises(OutcomeUnknown):
                pay(order, client(server.url))
        assert server.connections == 1


def test_two_processes_at_the_same_instant_pay_once(tmp_path: Path):
    order = planned(tmp_path)
    with HostileServer(ok()) as server:
        racers = [paying(order, server.url) for _ in range(3)]
        errors = [each.communicate()[1] for each in racers]
        assert (server.hits, server.charges) == (1, 1)
    for racer, error in zip(racers, errors, strict=True):
        assert racer.returncode == 0 or b"OrderInUse" in error
    assert OrderFolder(at(order)).state is State.ANSWERED


def test_many_threads_that_want_the_same_order_share_one_call(tmp_path: Path):
    order = planned(tmp_path)
    found: list[Result] = []
    with HostileServer(ok()) as server:
        sender = client(server.url)
        threads = [threading.Thread(target=lambda: found.append(pay(order, sender))) for _ in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert server.connections == 1
    assert len({each.raw for each in found}) == 1
    assert len(found) == 8


def test_a_claim_of_another_machine_is_respected(tmp_path: Path):
    order = planned(tmp_path)
    mine = claims.claim(at(order) / "claim.json")
    assert mine is not None
    (at(order) / "claim.json").write_text(json.dumps(asdict(replace(mine, host="studio-mac", pid=1))))
    assert OrderFolder(at(order)).state is State.CLAIMED
    with HostileServer(ok()) as server:
        with pytest.raises(OrderInUse, match="machine 'studio-mac'"):
            pay(order, client(server.url))
        assert server.connections == 0


def test_a_killed_process_whose_answer_was_kept_needs_no_call(tmp_path: Path):
    order = planned(tmp_path)
    with HostileServer(ok()) as server:
        pay(order, client(server.url))
        claim = json.loads((at(order) / "claim.json").read_text())
        (at(order) / "claim.json").write_text(json.dumps({**claim, "pid": 2**31 - 1}))  # it died since
        assert pay(order, client(server.url)).image.size == (48, 32)
        assert server.connections == 1


# Not billed: planned again.


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (status(401), KeyRefused),
        (status(402), KeyRefused),
        (verbatim("401", b'{"status_code": 401, "body": "no"}'), KeyRefused),
        (busy(9999), ApiUnavailable),
    ],
    ids=["401", "402", "401 in a 200", "busy"],
)
def test_what_was_not_billed_is_planned_again(tmp_path: Path, behaviour: Behaviour, error: type[PhotioError]):
    order = planned(tmp_path)
    with HostileServer([behaviour, ok()]) as server:
        with pytest.raises(error):
            pay(order, client(server.url))
        assert names(order) == set()
        assert OrderFolder(at(order)).state is State.PLANNED
        pay(order, client(server.url))
        assert server.connections == 2


def test_a_closed_port_leaves_the_order_planned(tmp_path: Path):
    order = planned(tmp_path)
    with closed_port() as port, pytest.raises(ApiUnavailable) as caught:
        pay(order, client(f"http://127.0.0.1:{port}/x"))
    assert caught.value.subject == str(at(order))
    assert (names(order), OrderFolder(at(order)).state) == (set(), State.PLANNED)


def test_a_rejected_order_says_so_and_may_be_tried_again(tmp_path: Path):
    order = planned(tmp_path)
    with HostileServer([status(422, b"no such thing"), ok()]) as server:
        with pytest.raises(Rejected):
            pay(order, client(server.url))
        assert OrderFolder(at(order)).state is State.REJECTED
        assert names(order) == {"outcome.json"}
        pay(order, client(server.url))
        assert OrderFolder(at(order)).state is State.ANSWERED
        assert server.charges == 1


# Paid, unusable: kept, never sent again.


def test_a_paid_answer_that_is_no_picture_is_kept_and_never_sent_again(tmp_path: Path):
    order = planned(tmp_path)
    raw = b'{"status_code": 200, "body": "bm8="}'
    with HostileServer([verbatim("no", raw), ok()]) as server:
        for _ in range(3):
            with pytest.raises(PaidUnusable):
                pay(order, client(server.url))
            assert OrderFolder(at(order)).state is State.PAID_UNUSABLE
        assert server.connections == 1
    assert (at(order) / "answer.raw").read_bytes() == raw


def test_a_kept_answer_that_was_damaged_since_is_not_paid_for_again(tmp_path: Path):
    order = planned(tmp_path)
    with HostileServer(ok()) as server:
        pay(order, client(server.url))
        path = at(order) / "answer.raw"
        path.write_bytes(path.read_bytes()[:40])
        with pytest.raises(PhotioError):
            pay(order, client(server.url))
        assert server.connections == 1


def test_an_answer_of_the_wrong_size_is_paid_and_kept(tmp_path: Path):
    order = planned(tmp_path)
    answer = ok(lambda _: photos.encoded(photos.photo((50, 32))))
    with HostileServer(answer) as server, pytest.raises(PaidUnusable, match="50x32 instead of 48x32"):
        pay(order, client(server.url))
    assert kept_raw(order)


def kept_raw(order: Order) -> bytes:
    return (at(order) / "answer.raw").read_bytes()


# Senders of the user's own.


class ForgetfulSender:
    """Knows nothing of keeps."""

    endpoint = ENDPOINT

    def __init__(self, result: Result) -> None:
        self.calls = 0
        self._result = result

    def send(self, request: Request, keep: AnswerSink | None = None) -> Result:
        self.calls += 1
        return self._result


class BuggySender:
    """Fails in a way that nobody foresaw, after it may have sent."""

    endpoint = ENDPOINT

    def send(self, request: Request, keep: AnswerSink | None = None) -> Result:
        raise ZeroDivisionError("a bug")


def test_a_sender_without_a_keep_has_its_answer_kept(tmp_path: Path):
    with HostileServer(ok()) as server:
        result = client(server.url).send(photos.request())
    sender = ForgetfulSender(result)
    order = planned(tmp_path)
    for _ in range(2):
        assert pay(order, sender).raw == result.raw
    assert sender.calls == 1
    assert kept_raw(order) == result.raw


def test_an_answer_of_a_kind_of_its_own_is_kept_and_returned(tmp_path: Path):
    with HostileServer(ok()) as server:
        result = client(server.url).send(photos.request())
    own: Any = SimpleNamespace(raw=result.raw, image=result.image, placement=result.placement)
    sender = ForgetfulSender(own)
    order = planned(tmp_path)
    assert pay(order, sender) is own
    assert kept_raw(order) == result.raw
    assert pay(order, sender).image.size == result.image.size
    assert sender.calls == 1
    bare = replace(order, folder=None)
    assert pay(bare, sender) is generate(bare.request, client=sender) is own
    assert finish(bare, own, product="generated").image.size == order.placement.source


@pytest.mark.parametrize("bug", [ZeroDivisionError, KeyboardInterrupt, MemoryError, SystemExit])
def test_a_bug_while_sending_is_unknown_and_not_hidden(tmp_path: Path, bug: type[BaseException]):
    class Sender(BuggySender):
        def send(self, request: Request, keep: AnswerSink | None = None) -> Result:
            raise bug

    order = planned(tmp_path)
    with pytest.raises(bug):
        pay(order, Sender())
    assert OrderFolder(at(order)).state is State.UNKNOWN
    with pytest.raises(OutcomeUnknown):
        pay(order, BuggySender())


# Storage.


def test_nothing_is_sent_when_the_folder_cannot_be_claimed(tmp_path: Path):
    order = planned(tmp_path)
    (at(order) / "answer.part").mkdir()  # no answer could be written here
    with HostileServer(ok()) as server:
        with pytest.raises(StorageFailed):
            pay(order, client(server.url))
        assert server.connections == 0
    assert OrderFolder(at(order)).state is State.PLANNED


def test_an_order_in_memory_has_no_kept_result():
    assert load_answer(photos.order()) is None


def test_a_planned_order_has_no_kept_result(tmp_path: Path):
    assert load_answer(planned(tmp_path)) is None


# Answers that could not be kept in their own folder, or were thought lost.


def rescued(order: Order, root: Path, url: str) -> Path:
    """An answer to `order` that was paid for while its folder could not be written: it lies in the user's folder."""
    assert claims.claim(at(order) / "claim.json")
    answer = answer_file.AnswerFile(at(order))
    answer._fault = OSError(28, "No space left on device")
    moved = at(order).rename(root / "away")  # nothing can be written there now
    with pytest.raises(StorageFailed, match="is safe in"):
        client(url).send(order.request, answer)
    return moved.rename(at(order))


def test_a_rescued_answer_belongs_to_the_folder_that_paid(tmp_path: Path):
    payer, other = planned(tmp_path / "a"), planned(tmp_path / "b")
    assert payer.key == other.key
    with HostileServer(ok()) as server:
        rescued(payer, tmp_path, server.url)
        assert OrderFolder(at(other)).state is State.PLANNED
        assert load_answer(other) is None
        assert OrderFolder(at(payer)).state is State.ANSWERED
        pay(other, client(server.url))
        pay(payer, client(server.url))
        assert server.charges == 2
    assert {OrderFolder(at(each)).state for each in (payer, other)} == {State.ANSWERED}


def test_a_rescued_answer_follows_a_folder_that_is_moved(tmp_path: Path):
    payer = planned(tmp_path / "a")
    with HostileServer(ok()) as server:
        rescued(payer, tmp_path, server.url)
        (tmp_path / "a").rename(tmp_path / "moved")
        moved = store.load_order(tmp_path / "moved" / at(payer).name)
        pay(moved, client(server.url))
        assert server.charges == 1


def test_a_whole_answer_says_more_than_an_outcome_that_was_noted_without_it(tmp_path: Path):
    order = planned(tmp_path)
    with HostileServer(ok()) as server:
        pay(order, client(server.url))
        OrderFolder(at(order)).write_outcome(State.UNKNOWN, "its process died")
        assert OrderFolder(at(order)).state is State.ANSWERED
        assert pay(order, client(server.url)).image.size == (48, 32)
        assert server.charges == 1
    assert not (at(order) / "outcome.json").exists()


def test_members_that_a_later_version_adds_to_a_claim_are_passed_over(tmp_path: Path):
    order = planned(tmp_path)
    mine = claims.claim(at(order) / "claim.json")
    assert mine is not None
    (at(order) / "claim.json").write_text(json.dumps({**asdict(mine), "cgroup": "/x"}))
    assert claims.read_claim(at(order) / "claim.json") == mine


def test_a_claim_that_is_being_written_is_waited_for(tmp_path: Path):
    """Without hard links a claim is reserved empty and then written: its maker lives."""
    path = tmp_path / "claim.json"
    whole = claims.claim(path)
    raw = path.read_bytes()
    path.write_bytes(b"")
    timer = threading.Timer(0.2, path.write_bytes, [raw])
    timer.start()
    assert claims.read_claim(path) == whole
    timer.join()
