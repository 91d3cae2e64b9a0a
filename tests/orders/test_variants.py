"""Sweeps of seeds: as many orders a photo, a sheet with numbers, and the one that is kept."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from photio_prep.orders.folder import find_orders
from photio_prep.sandbox import Sandbox
from photio_prep.system import seeds
from tests.support.photos import SCENE, cutout, photo, saved

if TYPE_CHECKING:
    from tests.support.commands import Command

RUN = ["-d", SCENE, "--sandbox"]


def bytes_of(number: int, name: str = "a") -> bytes:
    return Path(f"photio-out/{name}-seeds/{number}-photio.png").read_bytes()


@pytest.fixture
def swept(command: Command) -> Command:
    saved(Path("a.png"))
    said = command("run", "a.png", *RUN, "--seeds", "3")
    assert said.code == 0, said.err
    assert sorted(said.lines) == [f"photio-out/a-seeds/{number}-photio.png" for number in (1, 2, 3)]
    return command


def test_seeds_stay_differ_and_begin_with_that_of_the_photo_alone():
    variants = [seeds.derive_seed(7, number) for number in range(1, 65)]
    assert variants[:3] == [7, 995813767, 3184286086]
    assert len(set(variants)) == 64
    assert all(1 <= each < seeds.LAST for each in variants)


def test_each_seed_is_an_order_and_the_first_is_that_of_the_photo_alone(swept: Command):
    found = {each.name for each in find_orders(Path("photio-out"))}
    assert len(found) == 3
    assert len({bytes_of(number) for number in (1, 2, 3)}) == 3
    for each in found:
        folder = Path("photio-out/orders") / each
        assert {"cutout.png", "mask.png", "overlay.png"} <= {file.name for file in folder.iterdir()}
    alone = swept("run", "a.png", *RUN, "--json")
    assert Path(alone.facts[0]["order"]).name in found
    assert len(find_orders(Path("photio-out"))) == 3


@pytest.mark.soak
def test_the_quote_and_the_budget_count_every_seed(keyed: Command):
    saved(Path("a.png"))
    saved(Path("b.png"), photo(shade=150, cut_out=True))
    with Sandbox() as api:
        said = keyed("run", "a.png", "b.png", "-d", SCENE, "--seeds", "4", "--api-url", api.url, "--price", "1",
                     "--max-calls", "5")  # fmt: skip
        assert api.calls == 5
    assert "up to 5 paid calls" in said.err
    assert "(of 8, by --max-calls)" in said.err
    assert said.code == 6


@pytest.mark.soak
def test_the_sheet_shows_every_number(swept: Command):
    with Image.open("photio-out/a-seeds/sheet-photio.png") as found:
        assert found.size == (3 * 492 + 12, 480 * 70 // 90 + 2 * 12)
    again = swept("run", "a.png", *RUN, "--seeds", "3")
    assert (again.code, "contact sheet: photio-out/a-seeds/sheet-photio.png" in again.err) == (0, True)
    assert json.loads(Path("photio-out/report.json").read_text())["totals"]["sandbox"] == 0


def test_a_kept_number_is_the_final_another_may_be_kept_later_and_one_that_cannot_is_named(swept: Command):
    final = Path("photio-out/a-photio.png")
    assert not final.exists()
    said = swept("keep", "a.png", "3")
    assert (said.code, said.lines) == (0, [str(final)])
    assert final.read_bytes() == bytes_of(3)
    assert swept("keep", "a", "2", "--json").facts[0]["final"] == str(final)
    assert final.read_bytes() == bytes_of(2)
    order = next(iter(find_orders(Path("photio-out"))))
    assert swept("keep", order, "1").code == 0
    assert final.read_bytes() == bytes_of(1)
    assert len(find_orders(Path("photio-out"))) == 3
    for photo_name, number, problem in (
        ("a.png", 4, "There are: 1, 2, 3"),
        ("b.png", 1, "it has no variants"),
        ("a.png", 0, "0"),
    ):
        refused = swept("keep", photo_name, number)
        assert (refused.code, problem in refused.err) == (2, True), refused.err


@pytest.mark.soak
def test_a_file_of_somebody_else_is_not_replaced(swept: Command):
    final = saved(Path("photio-out/a-photio.png"), cutout())
    before = final.read_bytes()
    assert swept("keep", "a.png", "1").code == 3
    assert final.read_bytes() == before
    assert (
        swept("keep", "a.png", "1", "--overwrite").code == 3
    )  # the sandbox never replaces a picture that is no try-out


@pytest.mark.soak
def test_the_same_photo_in_two_sweeps_is_told_apart_by_the_final_s_name(command: Command):
    saved(Path("a.png"))
    Path("jobs.csv").write_text("source,output\na.png,x/one\na.png,two\n")
    assert command("run", "jobs.csv", *RUN, "--seeds", "2").code == 0
    said = command("keep", "a.png", "1")
    assert (said.code, "2 photos with variants: two, x/one" in said.err) == (2, True)
    assert command("keep", "x/one", "2").lines == ["photio-out/x/one-photio.png"]


@pytest.mark.soak
def test_prepare_generate_finish_sweep_too(command: Command):
    saved(Path("a.png"))
    assert len(command("prepare", "a.png", "-d", SCENE, "--seeds", "2").lines) == 2
    assert command("generate", "photio-out", "--sandbox").code == 0
    said = command("finish", "photio-out")
    assert sorted(said.lines) == [f"photio-out/a-seeds/{number}-photio.png" for number in (1, 2)]
    assert Path("photio-out/a-seeds/sheet-photio.png").exists()


@pytest.mark.soak
def test_the_command_that_keeps_a_number_can_be_pasted(command: Command):
    saved(Path("in/-odd name.png"), cutout())
    said = command("run", "in", *RUN, "--seeds", "2", "-o", "my out")
    (line,) = [each for each in said.err.splitlines() if each.startswith("contact sheet: ")]
    words = shlex.split(line.partition("to keep number 1: ")[2])
    assert words[:2] == ["photio-prep", "keep"]
    kept = command(*words[1:])
    assert (kept.code, kept.lines) == (0, ["my out/-odd name-photio.png"]), kept.err
    again = command("finish", "my out", "-o", "elsewhere")  # the orders lie where they lay
    assert words == shlex.split(again.err.partition("to keep number 1: ")[2].splitlines()[0])
