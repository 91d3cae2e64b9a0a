"""Numbers that a user sets are checked by the same ranges in the library, on the command line and in photio.toml."""

import json
import math
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from photio_prep import FinishOptions, InstantClient, OutputOptions, PayOptions, PrepareOptions, run_many, write_review
from photio_prep.api.spending_guard import SpendingGuard
from photio_prep.cutout.framing import Framing
from photio_prep.cutout.options import CutoutOptions
from photio_prep.errors import UsageError
from photio_prep.imaging.limits import Limits
from photio_prep.sandbox import Sandbox
from photio_prep.system.deadline import Timeouts
from photio_prep.system.ranges import Range
from tests.support.commands import KEY, Command
from tests.support.photos import SCENE, saved

HUGE = 10**5000  # more digits than Python writes out
ODD: list[Any] = [math.nan, math.inf, -math.inf, True, False, "4", "", None, [4], 4j, Decimal(4), HUGE, -HUGE]


def test_a_range_holds_its_ends_and_nothing_else() -> None:
    jobs, share = Range(1, 64), Range(0, 1, whole=False, above=True)
    assert all(map(jobs.holds, (1, 64, np.int64(7))))
    assert not any(map(jobs.holds, (0, 65, -1, 4.0, np.float64(4), *ODD)))
    assert all(map(share.holds, (1, 0.5, np.float32(0.5))))
    assert not any(map(share.holds, (0, 1.01, -0.5, *ODD)))
    assert (str(jobs), str(share), str(Range(0, float("inf")))) == ("from 1 to 64", "above 0 to 1", "from 0 on")


def many(**counts: Any) -> Callable[[], object]:
    return lambda: list(run_many(["a.png"], SCENE, client=InstantClient(KEY, api_url="http://localhost:9"), **counts))


@pytest.mark.parametrize("name", ["jobs", "threads", "workers"])
def test_counts_of_run_many(name: str) -> None:
    for value in (0, -1, 1.5, *filter(lambda value: value is not None, ODD)):
        with pytest.raises(UsageError, match=f"{name} = .*Give a whole number from 1 to"):
            many(**{name: value})()


@pytest.mark.parametrize("value", [-1, 1.5, True, "4", float("nan")], ids=str)
@pytest.mark.parametrize(
    "take",
    [
        lambda value: many(max_calls=value)(),
        lambda value: PayOptions(max_calls=value),
        lambda value: SpendingGuard(InstantClient(KEY), value),
    ],
)
def test_a_budget_is_a_number_of_calls(take: Callable[[Any], object], value: Any) -> None:
    with pytest.raises(UsageError, match=r"^max_calls = .*Give a whole number from 0 on"):
        take(value)


@pytest.mark.parametrize(
    ("name", "take"),
    [
        ("price", lambda value: PayOptions(price=value)),
        ("price", lambda value: write_review("nowhere", price=value)),
        ("gate_at", lambda value: PayOptions(gate_at=value)),
        ("jobs", lambda value: PayOptions(jobs=value)),
        ("max_drift", lambda value: OutputOptions(max_drift=value)),
        ("frame", lambda value: PrepareOptions(frame=value)),
        ("grow", lambda value: CutoutOptions(grow=value)),
        ("feather", lambda value: CutoutOptions(feather=value)),
        ("specks", lambda value: CutoutOptions(specks=value)),
        ("margin", lambda value: Framing(margin=value)),
        ("connect", lambda value: Timeouts(connect=value)),
        ("seconds", lambda value: Limits(seconds=value)),
        ("latency", lambda value: Sandbox(latency=value)),
    ],
)
def test_a_number_that_cannot_be_meant_is_named(name: str, take: Callable[[Any], object]) -> None:
    for value in (-100, 1e9, *filter(lambda value: value is not None, ODD)):
        with pytest.raises(UsageError, match=name):
            take(value)


@pytest.mark.parametrize("seed", [0, -2, 2**32 + 1, 1.0, "7", True, float("nan")], ids=str)
def test_a_seed_is_refused_before_the_cutout(seed: Any) -> None:
    with pytest.raises(UsageError, match=r"^seed = .*Give a whole number from 1 to 4,294,967,296"):
        PrepareOptions(seed=seed)
    with pytest.raises(UsageError, match="both a negative prompt"):
        PrepareOptions(negative_prompt="a", append_negative="b")


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("--jobs", ["0", "65", "-1", "4.0", "nan", "many", "1e1", "٤", "", "9" * 5000]),
        ("--max-calls", ["-1", "1.5", "inf", "x"]),
        ("--price", ["-0.01", "nan", "inf", "1001", "free"]),
        ("--gate-at", ["0", "1.01", "nan", "30%"]),
        ("--max-drift", ["-1", "nan", "1001"]),
        ("--grow", ["65", "nan", "wide"]),
        ("--shrink", ["400", "-65", "nan"]),
        ("--feather", ["-1", "65"]),
        ("--page", ["-1", "1.5", "first"]),
        ("--limit", ["0", "-1", "x"]),
        ("--first", ["0"]),
        ("--seeds", ["0", "65", "x"]),
        ("--settle", ["0", "nan", "3601"]),
        ("--seed", ["0", "-2", "4294967297", "x"]),
        ("--margin", ["401%", "-1", "wide"]),
        ("--output-size", ["0x0", "١٠x١٠", "long:0"]),
    ],
)
def test_the_command_line_names_the_option_that_was_typed(keyed: Command, option: str, values: list[str]) -> None:
    saved(Path("a.png"))
    reframe = ["--reframe"] if option == "--margin" else []
    for value in values:
        said = keyed("run", "a.png", "-d", SCENE, "--sandbox", f"{option}={value}", *reframe)
        assert (said.code, said.out) == (2, ""), value
        assert option.strip("-").replace("-", " ") in said.err.replace("-", " "), said.err
        assert KEY not in said.err
    assert not Path("photio-out").exists()


def test_grow_and_shrink_are_one_length(command: Command) -> None:
    saved(Path("a.png"))
    assert "--grow and --shrink exclude each other" in command("prepare", "a.png", "--grow=2", "--shrink=1").err
    same = {command("prepare", "a.png", *more).paths[0] for more in ([], ["--shrink=0"], ["--grow=-0.0"])}
    assert len(same) == 1
    (record,) = same.pop().glob("photo-*.json")
    assert json.loads(record.read_text())["options"]["cutting"]["grow"] == 0


def test_a_switch_and_a_choice_are_what_they_say() -> None:
    """`pay_again="no"` is true in Python: it would pay."""
    wrong: list[Callable[[], object]] = [
        lambda: PayOptions(pay_again="no"),  # type: ignore[arg-type]
        lambda: OutputOptions(overwrite=1),  # type: ignore[arg-type]
        lambda: OutputOptions(metadata="keep_safe"),  # type: ignore[arg-type]
        lambda: PrepareOptions(alpha="kepe"),  # type: ignore[arg-type]
        lambda: CutoutOptions(looks=1),  # type: ignore[arg-type]
    ]
    for build in wrong:
        with pytest.raises(UsageError, match=r"Give true or false|Choose one of"):
            build()


def test_options_of_a_final_name_themselves() -> None:
    for wrong in ({"product": "painted"}, {"output_size": "0x0"}):
        with pytest.raises(UsageError) as refused:
            FinishOptions(**wrong)  # type: ignore[arg-type]
        assert "--" not in str(refused.value)
