"""run_many: every option of `run`, for all and for each; no outcome lost to a sender or a callback that fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import numpy as np
import pytest

from photio_prep import InstantClient, pipeline, run
from photio_prep.batch.run_many import Job, PhotoOutcome, run_many
from photio_prep.errors import PhotioError, PhotoRefused, Unexpected, UsageError
from photio_prep.final.options import FinishKeywords, FinishOptions
from photio_prep.options import RunKeywords, RunOptions
from photio_prep.orders.folder import OrderFolder
from photio_prep.orders.options import PayKeywords, PayOptions, PrepareKeywords, PrepareOptions
from photio_prep.orders.state import State
from tests.support.batches import TINY
from tests.support.fakes import BrightMatter
from tests.support.photos import SCENE, encoded, photo

if TYPE_CHECKING:
    from photio_prep.sandbox import Sandbox
    from photio_prep.types import AnswerSink, Request, Result

KEY = "pt-canary-5c1e77b0a9d4"
BRIGHT = BrightMatter()


@pytest.fixture
def client(identity: Sandbox) -> InstantClient:
    return InstantClient(KEY, api_url=identity.url)


def photos(count: int) -> list[bytes]:
    return [encoded(photo(shade=150 + each)) for each in range(count)]


def drained(told: Iterator[PhotoOutcome]) -> tuple[list[PhotoOutcome], Exception | None]:
    """Everything that is given, and what is raised then."""
    given: list[PhotoOutcome] = []
    try:
        for each in told:
            given.append(each)
    except Exception as error:  # noqa: BLE001  the test looks at it
        return given, error
    return given, None


def of(kind: type) -> set[str]:
    return {name for each in kind.__mro__ for name in getattr(each, "__annotations__", ())} | {
        *getattr(kind, "__required_keys__", ()),
        *getattr(kind, "__optional_keys__", ()),
    }


def test_it_takes_every_option_that_run_takes() -> None:
    by_name = {*signature(pipeline.run).parameters} - {"source", "client", "options", "keywords"} | of(RunKeywords)
    assert by_name | {"source"} == of(Job)
    # `variants` belongs to --seeds: the orders of one photo are made together.
    prepares = {*signature(pipeline.prepare).parameters} - {"source", "endpoint", "options", "variants", "keywords"}
    assert prepares | of(PrepareKeywords) <= of(Job)


def test_keyword_arguments_are_the_fields_of_the_options_with_their_types() -> None:
    for keywords, kind in (
        (PrepareKeywords, PrepareOptions),
        (PayKeywords, PayOptions),
        (FinishKeywords, FinishOptions),
    ):
        hints = get_type_hints(kind)
        assert {name: hints[name] for name in of(keywords)} == get_type_hints(keywords)
    assert of(PrepareKeywords) == {each.name for each in fields(PrepareOptions)}
    assert of(FinishKeywords) == {each.name for each in fields(FinishOptions)}


def test_options_and_keyword_arguments_are_one_thing(client: InstantClient) -> None:
    options = RunOptions(PrepareOptions(model=BRIGHT, size=TINY), PayOptions("off"), FinishOptions(format="webp"))
    source = encoded(photo())
    by_options = run(source, SCENE, client=client, options=options)
    by_keywords = run(source, SCENE, client=client, model=BRIGHT, size=TINY, gate="off", format="webp")
    other = run(source, SCENE, client=client, options=options, format="png")
    assert (by_options.format, other.format) == ("WEBP", "PNG")
    assert np.array_equal(np.asarray(by_options.image), np.asarray(by_keywords.image))
    with pytest.raises(TypeError, match="'sise' is no option"):
        run(source, SCENE, client=client, sise="Square")  # type: ignore[call-arg]


CHOICES: dict[str, dict[str, Any]] = {
    "product": {"product": "generated"},
    "size": {"output_size": "long:50"},
    "format": {"format": "webp"},
    "canvas": {"negative_prompt": "blur"},
}


@pytest.mark.parametrize("choice", CHOICES)
def test_an_option_does_what_it_does_in_run_for_all_and_for_one(choice: str, client: InstantClient) -> None:
    options, source = CHOICES[choice], encoded(photo())
    alone = run(source, SCENE, client=client, model=BRIGHT, gate="off", size=TINY, **options)
    job: Any = {"source": source, **options}
    for told in (
        run_many([source], SCENE, client=client, model=BRIGHT, gate="off", size=TINY, **options),
        run_many([job], SCENE, client=client, model=BRIGHT, gate="off", size=TINY),
    ):
        (each,) = told
        assert each.final is not None, each.error
        assert (each.final.format, each.final.image.size) == (alone.format, alone.image.size)
        assert np.array_equal(np.asarray(each.final.image), np.asarray(alone.image))


def test_the_gate_may_be_another_for_one(client: InstantClient, identity: Sandbox) -> None:
    jobs = [Job(source=each, gate="off" if number else "strict") for number, each in enumerate(photos(2))]
    told = list(run_many(jobs, SCENE, client=client, model=BRIGHT))
    assert sorted(each.final is not None for each in told) == [False, True]
    assert identity.charges == 1


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"output_size": "7x7"}, "another shape"),
        ({"output_size": "huge"}, "output size 'huge'"),
        ({"product": "mine"}, "not offered"),
        ({"format": "bmp"}, "bmp"),
        ({"sise": "Square"}, "'sise' is not an option"),
    ],
)
def test_a_mistake_never_costs_a_call(
    options: dict[str, Any], found: str, client: InstantClient, identity: Sandbox
) -> None:
    job: Any = {"source": encoded(photo()), **options}
    with pytest.raises(UsageError, match=found):
        list(run_many([job], SCENE, client=client, model=BRIGHT, gate="off", size=TINY))
    assert identity.calls == 0


def test_limits_hold_for_the_final_too(client: InstantClient, tmp_path: Path) -> None:
    from photio_prep.imaging.decode import Limits

    (tmp_path / "a.png").write_bytes(encoded(photo()))
    told = list(
        run_many(
            [tmp_path / "a.png"],
            SCENE,
            client=client,
            model=BRIGHT,
            gate="off",
            size=TINY,
            orders=tmp_path / "orders",
            limits=Limits(pixels=90 * 70),
        )
    )
    assert told[0].final is not None, told[0].error


class OddSender:
    """Sends, but does something else with every third request."""

    def __init__(self, client: InstantClient, does: Callable[[], Any]) -> None:
        self.endpoint = client.endpoint
        self.sent = 0
        self._client, self._does = client, does

    def send(self, request: Request, keep: AnswerSink | None = None) -> Result:
        self.sent += 1
        if self.sent % 3 == 2:
            found: Result = self._does()
            return found
        return self._client.send(request, keep)


def failing(error: Exception) -> Callable[[], Any]:
    def does() -> Any:
        raise error

    return does


@pytest.mark.parametrize(
    "does",
    [failing(RuntimeError("odd")), failing(MemoryError()), lambda: None, lambda: 7],
    ids=["raises", "memory", "nothing", "a number"],
)
def test_a_sender_s_bug_is_one_photo_s_own_and_perhaps_billed(
    does: Callable[[], Any], client: InstantClient, identity: Sandbox, tmp_path: Path
) -> None:
    sender = OddSender(client, does)
    told = list(
        run_many(
            photos(9), SCENE, client=sender, model=BRIGHT, gate="off", size=TINY, orders=tmp_path, max_calls=9, jobs=1
        )
    )
    assert (len(told), sender.sent, identity.charges) == (9, 9, 6)
    odd = [each for each in told if each.final is None]
    assert len(odd) == 3
    for each in odd:
        assert each.order is not None
        assert each.order.folder is not None
        assert each.error is not None
        assert OrderFolder(each.order.folder).state is State.UNKNOWN
    again = list(run_many(photos(9), SCENE, client=client, model=BRIGHT, gate="off", size=TINY, orders=tmp_path))
    assert sorted(each.error.exit_code if each.error else 0 for each in again) == [0] * 6 + [4] * 3
    assert identity.charges == 6


def test_a_sender_that_always_fails_is_not_asked_for_ever(client: InstantClient, tmp_path: Path) -> None:
    class Failing:
        """Never sends."""

        endpoint = client.endpoint

        def send(self, request: Request, keep: AnswerSink | None = None) -> Result:
            calls.append(request)
            raise RuntimeError("odd")

    calls: list[Request] = []
    told = list(
        run_many(photos(40), SCENE, client=Failing(), model=BRIGHT, gate="off", size=TINY, orders=tmp_path, jobs=1)
    )
    assert 10 <= len(calls) <= 13
    assert all(each.error is not None for each in told)


def test_a_callback_that_fails_is_raised_when_everything_was_given(
    client: InstantClient, identity: Sandbox, tmp_path: Path
) -> None:
    seen: list[PhotoOutcome] = []

    def progress(outcome: PhotoOutcome) -> None:
        seen.append(outcome)
        raise ZeroDivisionError

    told, error = drained(
        run_many(
            photos(30),
            SCENE,
            client=client,
            model=BRIGHT,
            gate="off",
            size=TINY,
            orders=tmp_path,
            progress=progress,
            jobs=2,
        )
    )
    assert isinstance(error, ZeroDivisionError)
    assert len(seen) == 1
    assert identity.charges == sum(each.final is not None for each in told) >= 1
    assert len(told) < 30


def test_sources_that_fail_are_raised_when_everything_was_given(client: InstantClient, identity: Sandbox) -> None:
    def sources() -> Iterator[bytes]:
        yield from photos(5)
        raise OSError("the list ended")

    told, error = drained(run_many(sources(), SCENE, client=client, model=BRIGHT, gate="off", size=TINY))
    assert isinstance(error, OSError)
    assert (len(told), identity.charges) == (5, 5)
    assert all(each.final is not None for each in told)


def test_what_befalls_all_is_raised_when_everything_was_given(client: InstantClient, identity: Sandbox) -> None:
    good = [Job(source=each) for each in photos(5)]
    told, error = drained(
        run_many(
            [*good, Job(source=encoded(photo()), size="Enormous"), *good],
            SCENE,
            client=client,
            model=BRIGHT,
            gate="off",
            size=TINY,
        )
    )
    assert isinstance(error, UsageError)
    assert all(each.final is not None for each in told)
    assert 5 <= len(told) == identity.charges <= 9


def test_a_bug_in_preparing_keeps_its_cause(client: InstantClient, identity: Sandbox) -> None:
    class Odd:
        """An open file that is none."""

        def read(self) -> bytes:
            raise ZeroDivisionError

    sources: list[Any] = [*photos(2), Odd(), *photos(4)[2:]]
    told = list(run_many(sources, SCENE, client=client, model=BRIGHT, gate="off", size=TINY))
    assert len(told) == 5
    (bug,) = (each.error for each in told if isinstance(each.error, PhotioError))
    assert isinstance(bug, (Unexpected, PhotoRefused))
    assert identity.charges == 4
