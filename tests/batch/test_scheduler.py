"""Many photos at once: order, bounds, what goes wrong with one, the budget, and no difference to one by one."""

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from photio_prep import InstantClient, run
from photio_prep.api.spending_guard import SpendingGuard
from photio_prep.batch import scheduler
from photio_prep.batch.run_many import Job, PhotoOutcome, run_many
from photio_prep.batch.scheduler import map_ordered, pay_and_finish
from photio_prep.errors import (
    BudgetReached,
    ModelUnavailable,
    PhotioError,
    PhotoRefused,
    StorageFailed,
    Unexpected,
    UsageError,
)
from photio_prep.sandbox import Sandbox
from tests.support.fakes import BrightMatter
from tests.support.photos import SCENE, encoded, photo, saved

KEY = "pt-canary-5c1e77b0a9d4"


@pytest.fixture
def identity() -> Iterator[Sandbox]:
    with Sandbox(identity=True) as sandbox:
        yield sandbox


def client(sandbox: Sandbox) -> InstantClient:
    return InstantClient(KEY, api_url=sandbox.url)


def test_what_is_prepared_comes_in_the_order_of_its_sources() -> None:
    first_may_end = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert first_may_end.wait(20)
        else:
            first_may_end.set()  # a later one ends before the first
        return number * 2

    assert list(map_ordered(range(6), work, threads=3)) == [(each, each * 2) for each in range(6)]


def test_no_more_is_taken_than_is_worked_on_and_one() -> None:
    taken: list[int] = []

    def endless() -> Iterator[int]:
        for each in itertools.count():
            taken.append(each)
            yield each

    given = map_ordered(endless(), lambda each: each, threads=2)
    for most in range(5):
        assert next(given) == (most, most)
        assert len(taken) <= most + 3
    given.close()  # type: ignore[attr-defined]


def test_what_is_wrong_with_one_is_its_own_and_what_befalls_all_ends_it() -> None:
    def work(number: int) -> int:
        if number == 1:
            raise PhotoRefused("blank", "Use another")
        if number == 4:
            raise ModelUnavailable("gone", "Pull it")
        return number

    told = map_ordered(range(9), work, threads=1)
    assert next(told) == (0, 0)
    assert isinstance(next(told)[1], PhotoRefused)
    with pytest.raises(ModelUnavailable):
        list(told)


def test_trouble_with_the_disk_ends_the_calls(identity: Sandbox) -> None:
    till = SpendingGuard(client(identity))

    def work(number: int) -> int:
        if number == 2:
            raise StorageFailed("full", "Free some space")
        return number

    told = list(pay_and_finish(range(100), work, lambda _, number: number, till, 1))
    assert isinstance(till.stop_reason, StorageFailed)
    assert [each for each, outcome in told if isinstance(outcome, PhotioError)] == [2]
    assert len(told) <= 5, "two in flight, two taken ahead"


def test_trouble_with_the_disk_while_one_is_finished_ends_the_calls_too(identity: Sandbox) -> None:
    till = SpendingGuard(client(identity))

    def finish(number: int, _: int) -> int:
        if number == 2:
            raise StorageFailed("full", "Free some space")
        return number

    told = list(pay_and_finish(range(100), lambda number: number, finish, till, 1))
    assert isinstance(till.stop_reason, StorageFailed)
    assert [each for each, outcome in told if isinstance(outcome, PhotioError)] == [2]
    assert len(told) <= 5


def test_the_next_call_does_not_wait_until_the_last_answer_is_finished(identity: Sandbox) -> None:
    second_call = threading.Event()

    def call(number: int) -> int:
        if number == 1:
            second_call.set()
        return number

    def finish(number: int, _: int) -> bool:
        return second_call.wait(20)

    assert sorted(pay_and_finish(range(2), call, finish, SpendingGuard(client(identity)), 1)) == [(0, True), (1, True)]


def test_no_more_are_finished_at_once_than_there_are_cores(identity: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "CORES", 2)
    pair = threading.Barrier(2)
    counting, at_once, most = threading.Lock(), 0, 0

    def finish(_: int, __: int) -> None:
        nonlocal at_once, most
        with counting:
            at_once += 1
            most = max(most, at_once)
        pair.wait(20)
        with counting:
            at_once -= 1

    list(pay_and_finish(range(8), lambda number: number, finish, SpendingGuard(client(identity)), 8))
    assert most == 2


def test_a_bug_of_one_is_its_own_in_every_part_and_no_other_outcome_is_lost(identity: Sandbox) -> None:
    def odd(number: int, *_: int) -> int:
        if number % 2:
            raise ZeroDivisionError
        return number

    for call, finish in ((odd, lambda _, number: number), (lambda number: number, odd)):
        told = dict(pay_and_finish(range(9), call, finish, SpendingGuard(client(identity)), 2))
        assert sorted(told) == [*range(9)]
        for number, outcome in told.items():
            assert isinstance(outcome, Unexpected) if number % 2 else outcome == number
            assert not number % 2 or (outcome.exit_code, type(outcome.__cause__)) == (1, ZeroDivisionError)
    assert [isinstance(each, Unexpected) for _, each in map_ordered(range(4), odd)] == [False, True, False, True]


def test_ten_bugs_in_a_row_end_the_calls(identity: Sandbox) -> None:
    till = SpendingGuard(client(identity))

    def bug(*_: int) -> int:
        raise ZeroDivisionError

    told = list(pay_and_finish(range(100), lambda number: number, bug, till, 1))
    assert isinstance(till.stop_reason, Unexpected)
    assert 10 <= len(told) <= 13


def test_memory_that_ran_out_refuses_one_photo() -> None:
    def work(number: int) -> int:
        if number == 1:
            raise MemoryError
        return number

    told = [each for _, each in map_ordered(range(3), work)]
    assert (told[0], type(told[1]), told[2]) == (0, PhotoRefused, 2)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_what_stops_the_program_stops_it(identity: Sandbox, stop: type[BaseException]) -> None:
    def work(*_: int) -> int:
        raise stop

    with pytest.raises(stop):
        list(map_ordered(range(3), work))
    with pytest.raises(stop):
        list(pay_and_finish(range(3), work, work, SpendingGuard(client(identity)), 2))


def test_a_source_that_fails_or_befalls_all_is_raised_when_everything_in_flight_was_given(identity: Sandbox) -> None:
    go_on = threading.Event()

    def call(number: int) -> int:
        assert go_on.wait(20)
        return number

    for error in (ModelUnavailable("gone", "Pull it"), OSError("the list ended"), UsageError("no such", "Mend it")):
        go_on.clear()

        def source(error: Exception = error) -> Iterator[int]:
            yield from range(3)
            go_on.set()
            raise error

        told = pay_and_finish(source(), call, lambda _, number: number, SpendingGuard(client(identity)), 4)
        assert sorted(next(told) for _ in range(3)) == [(each, each) for each in range(3)]
        with pytest.raises(type(error)):
            next(told)
        told = map_ordered(source(), lambda number: number, threads=4)
        assert [next(told) for _ in range(3)] == [(each, each) for each in range(3)]
        with pytest.raises(type(error)):
            next(told)


def test_what_befalls_all_while_others_are_prepared_does_not_lose_them() -> None:
    pair = threading.Barrier(2)

    def work(number: int) -> int:
        pair.wait(20)
        if number == 0:
            raise ModelUnavailable("gone", "Pull it")
        return number

    told = map_ordered(range(2), work, threads=2)
    assert next(told) == (1, 1)
    with pytest.raises(ModelUnavailable):
        next(told)


@pytest.mark.soak
def test_many_photos_come_out_as_they_do_one_by_one(identity: Sandbox, tmp_path: Path) -> None:
    photos = [encoded(photo((90 + each, 70), shade=200 + 5 * each)) for each in range(8)]
    seen: list[PhotoOutcome] = []
    told = list(
        run_many(
            photos,
            SCENE,
            client=client(identity),
            model=BrightMatter(),
            orders=tmp_path,
            gate="off",
            progress=seen.append,
        )
    )
    assert seen == told
    assert len(told) == 8
    for each in told:
        assert isinstance(each.source, bytes)
        alone = run(each.source, SCENE, client=client(identity), model=BrightMatter(), gate="off")
        assert each.final is not None, each.error
        assert np.array_equal(np.asarray(each.final.image), np.asarray(alone.image))


def test_each_photo_may_have_words_of_its_own_and_a_bad_one_stops_nothing(identity: Sandbox, tmp_path: Path) -> None:
    good = saved(tmp_path / "a.png", photo())
    sources: list[Any] = [
        {"source": good, "description": "on a beach at noon", "seed": 7},
        tmp_path / "missing.png",
        {"source": good},
    ]
    told = {
        str(each.source): each
        for each in run_many(sources, SCENE, client=client(identity), model=BrightMatter(), gate="off")
    }
    beach, missing, plain = (told[str(each)] for each in sources)
    assert beach.order is not None
    assert (beach.order.request.description, beach.order.request.seed) == ("on a beach at noon", 7)
    assert isinstance(missing.error, PhotoRefused)
    assert missing.order is None
    assert plain.order is not None
    assert plain.order.request.description == SCENE


@pytest.mark.soak
def test_the_budget_is_exact_and_an_endless_list_ends_with_it(identity: Sandbox) -> None:
    endless = (Job(source=encoded(photo()), seed=seed) for seed in itertools.count(1))
    told = list(
        run_many(endless, SCENE, client=client(identity), model=BrightMatter(), gate="off", max_calls=3, jobs=2)
    )
    assert identity.calls == 3
    assert sum(each.final is not None for each in told) == 3
    assert any(isinstance(each.error, BudgetReached) for each in told)


@pytest.mark.soak
def test_whoever_stops_looking_stops_paying(identity: Sandbox) -> None:
    endless = (Job(source=encoded(photo()), seed=seed) for seed in itertools.count(1))
    told = run_many(endless, SCENE, client=client(identity), model=BrightMatter(), gate="off", jobs=2)
    assert next(told).error is None
    told.close()  # type: ignore[attr-defined]
    calls = identity.calls
    assert 1 <= calls <= 1 + 2 * 2, "what was in flight or taken ahead"
