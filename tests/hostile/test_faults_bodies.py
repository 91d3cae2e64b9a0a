"""I63 to I69 of the list of bad input: every answer that an API should not give, and the state that its order ends in.

Each through the real command line and the orders on disk, as in `test_faults`.
"""

import re
from pathlib import Path

import pytest

from photio_prep.orders import store
from photio_prep.orders.folder import OrderFolder
from photio_prep.orders.state import State
from tests.support.batches import Plan, planner, surroundings
from tests.support.commands import here
from tests.support.hostile import HostileServer
from tests.support.hostile_answers import CASES, ok
from tests.support.hostile_delivery import big_body
from tests.support.hostile_exchange import Behaviour, Exchange


@pytest.fixture
def plan(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Plan:
    surroundings(monkeypatch, tmp_path)
    return planner(here(capsys, monkeypatch), tmp_path / "out")


ENDS = {
    "answered": {State.ANSWERED},
    "paid_unusable": {State.PAID_UNUSABLE},
    "unknown": {State.UNKNOWN},
    "either": {State.ANSWERED, State.PAID_UNUSABLE},
}


def seed(folder: Path) -> int:
    return store.load_order(folder).request.seed


def test_i63_to_i69_every_answer_leaves_the_state_that_it_deserves(plan: Plan):
    def script(n: int, exchange: Exchange) -> Behaviour:
        return CASES[(exchange.request.seed or 0) - 1].answer

    with HostileServer(script) as server:
        batch = plan(server.url, len(CASES))
        for _ in range(len(CASES)):
            assert batch.generate().code in (4, 10)
            if State.PLANNED not in batch.states:
                break
        assert (server.charges, server.charged_twice()) == (len(CASES), {})
        bodies = {each.seed: CASES[(each.seed or 0) - 1].answer.make(each).body for each in server.requests}
        wrong = {}
        for folder in batch.folders:
            case, ended = CASES[seed(folder) - 1], OrderFolder(folder).state
            if ended not in ENDS[case.verdict]:
                wrong[case.name] = ended
            assert (folder / "answer.raw").read_bytes() == bodies[seed(folder)]
        assert wrong == {}
        assert batch.generate().code == 4
        assert server.charges == len(CASES)
    assert batch.run("finish", batch.out).code == 4
    for folder in batch.folders:
        assert OrderFolder(folder).state in ENDS[CASES[seed(folder) - 1].verdict] | {State.FINISHED}


def test_i63_an_answer_without_end_is_cut_off_and_kept_as_far_as_it_came(plan: Plan, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("photio_prep.api.client.LONGEST_ANSWER", 2**20)
    with HostileServer(big_body(100 * 2**20, declared=None)) as server:
        batch = plan(server.url, 1)
        batch.all_unknown(server, "longer than", charges=1, part=True)
    assert 2**20 <= batch.parts[0].stat().st_size <= 2**21


def test_i69_the_same_answer_for_two_orders_is_told(plan: Plan):
    same = next(case.answer for case in CASES if case.row == "I69")
    with HostileServer(same) as server:
        batch = plan(server.url, 3)
        told = batch.generate().err
        batch.all_answered(server)
    assert told.count("the same answer: look at both finals") == 2
    named = set(re.findall(r"\b[0-9a-f]{32}\b", told))
    assert named == {each.name for each in batch.folders}


def test_i69_two_orders_with_answers_of_their_own_are_not(plan: Plan):
    with HostileServer(ok()) as server:
        assert "the same answer" not in plan(server.url, 3).generate().err
