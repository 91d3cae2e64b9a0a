"""One file per marketplace: every one passes its own check, none harms a file of somebody else."""

import base64
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from photio_prep import pipeline
from photio_prep.errors import OutputExists, PresetFailed, StorageFailed, UsageError
from photio_prep.final.options import OutputOptions
from photio_prep.final.provenance import source_type
from photio_prep.imaging.encode import SANDBOX_MARK, encode_picture
from photio_prep.marketplaces import presets
from photio_prep.marketplaces.presets import Preset
from photio_prep.marketplaces.writer import QUALITIES, MarketplaceFile, MarketplaceWriter, _encode_within_weight
from photio_prep.orders import store
from photio_prep.orders.folder import OrderFolder
from photio_prep.orders.state import State
from photio_prep.orders.store import Order
from photio_prep.pipeline import finish
from photio_prep.types import UNCREDITED
from tests.support import photos
from tests.support.commands import Command
from tests.support.sampling import sampled

FIXTURES = Path(__file__).parents[2] / "fixtures"
PHOTOS = sorted((FIXTURES / "photos").iterdir(), key=lambda path: (path.stem != "jar", path))
WHITE = tuple(each for each in presets.all_presets() if each.white)
ALL = presets.all_presets()


def answer(order: Order) -> None:
    """Keep an answer as if it had been paid for: the product in front of a grey wall."""
    assert order.folder
    wall = Image.effect_noise(order.placement.canvas, 20).convert("RGB")
    wall.paste(order.canvas.image, mask=order.canvas.image.getchannel("A"))
    body = base64.b64encode(photos.encoded(wall)).decode()
    (order.folder / "answer.raw").write_bytes(json.dumps({"status_code": 200, "body": body}).encode())
    (order.folder / "claim.json").write_text("{}")


def planned(root: Path, *, endpoint: str = "https://api.example/x", size: tuple[int, int] = (1200, 900)) -> Order:
    path = photos.saved(root / "in" / "a.jpg", photos.photo(size))
    made = pipeline.prepare(
        path, description="on oak", mask=photos.mask(size), orders=root / "orders", output="x/a", endpoint=endpoint
    )
    assert made.folder
    return store.load_order(made.folder)


def writer(chosen: tuple[Preset, ...], **output: Any) -> MarketplaceWriter:
    return MarketplaceWriter(chosen, OutputOptions(**{"provenance": "trained"} | output))


def made(shelf: MarketplaceWriter, order: Order, out: Path) -> list[MarketplaceFile]:
    return list(shelf.write(order, out, lambda: finish(order).image))


@sampled("path", PHOTOS, 1, ids=lambda path: path.stem)
def test_every_file_passes_its_own_check_on_every_fixture(path: Path, tmp_path: Path):
    with Image.open(FIXTURES / "truth" / f"{path.stem}.webp") as truth:
        drawn = truth.getchannel("A")
    order = pipeline.prepare(path, description="on oak", mask=drawn, orders=tmp_path / "orders")
    answer(order)
    found = made(writer(ALL), order, tmp_path / "out")
    assert {each.preset.name for each in found} == {each.name for each in presets.all_presets()}
    for each in found:
        assert each.failure is None
        assert each.report.broken == (), each.report
        with Image.open(each.path) as saved:
            assert (saved.format, saved.mode) == ("JPEG", "RGB")
        stated = source_type(each.path.read_bytes())
        assert stated == (None if each.preset.white else "trainedAlgorithmicMedia")
        if each.preset.white:
            assert each.report.white == 1
            assert each.report.fill is not None
            assert each.report.fill >= 0.85
            assert each.preset.aim == pytest.approx(each.report.fill, abs=0.03)


@pytest.mark.soak
def test_the_tree_is_kept_and_the_names_say_whose_they_are(tmp_path: Path):
    order = planned(tmp_path)
    answer(order)
    found = made(writer(presets.find_presets(["ebay", "amazon-main"])), order, tmp_path / "out")
    assert [each.path for each in found] == [  # the white ones first
        tmp_path / "out" / "x" / "a-photio-amazon-main.jpg",
        tmp_path / "out" / "x" / "a-photio-ebay.jpg",
    ]


def test_white_packshots_need_no_answer_and_scenes_do(tmp_path: Path):
    order = planned(tmp_path)
    assert order.folder
    found = made(writer(WHITE), order, tmp_path / "out")
    assert [each.report.broken for each in found] == [()] * 3
    assert OrderFolder(order.folder).state is State.PLANNED
    with pytest.raises(UsageError, match="no answer yet"):
        made(writer(presets.find_presets(["ebay"])), order, tmp_path / "out")
    with pytest.raises(UsageError, match="Only white packshots"):
        list(writer(presets.find_presets(["ebay"])).write(order, tmp_path / "out"))


@pytest.mark.soak
def test_the_same_options_give_the_same_bytes_and_others_others(tmp_path: Path):
    order = planned(tmp_path)
    answer(order)
    chosen = presets.find_presets(["amazon-main", "instagram"])
    first = [each.path.read_bytes() for each in made(writer(chosen), order, tmp_path / "out")]
    again = [each.path.read_bytes() for each in made(writer(chosen), order, tmp_path / "out")]
    assert first == again
    white, scene = (
        each.path.read_bytes() for each in made(writer(chosen, provenance="composite"), order, tmp_path / "out")
    )
    assert white == first[0]  # nothing in it is generated
    assert scene != first[1]


def test_a_file_of_somebody_else_is_not_replaced_unless_asked(tmp_path: Path):
    order = planned(tmp_path)
    amazon = presets.find_presets(["amazon-main"])
    path = tmp_path / "out" / "x" / "a-photio-amazon-main.jpg"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"dear to somebody")
    with pytest.raises(OutputExists):
        writer(amazon).refuse_if_in_the_way(order, tmp_path / "out")
    with pytest.raises(OutputExists):
        made(writer(amazon), order, tmp_path / "out")
    assert path.read_bytes() == b"dear to somebody"
    (mine,) = made(writer(amazon, overwrite=True), order, tmp_path / "out")
    data = path.read_bytes()
    path.write_bytes(data + b"retouched")
    with pytest.raises(OutputExists):
        made(writer(amazon), order, tmp_path / "out")
    path.write_bytes(data)
    assert order.folder
    next(order.folder.glob("shelf-*.json")).unlink()  # killed before it was marked: the very same bytes are ours
    assert made(writer(amazon), order, tmp_path / "out") == [mine]


def test_two_photos_never_share_a_file(tmp_path: Path):
    one = planned(tmp_path)
    other = replace(one, origin=replace(one.origin, source="in/a.png"))
    other = store.write_order(other, tmp_path / "orders")
    shelf = writer(presets.find_presets(["amazon-main"]), overwrite=True)
    made(shelf, one, tmp_path / "out")
    again = replace(other, origin=replace(other.origin, output="x/b"))
    made(shelf, again, tmp_path / "out")
    with pytest.raises(OutputExists, match=r"also that of .*a\.jpg"):
        made(shelf, other, tmp_path / "out")


def test_a_name_in_an_order_never_leads_outside(tmp_path: Path):
    order = planned(tmp_path)
    away = replace(order, origin=replace(order.origin, output="../../b"))
    with pytest.raises(UsageError, match="outside"):
        made(writer(WHITE), away, tmp_path / "out")


@pytest.mark.soak
def test_scenes_of_the_sandbox_are_marked_and_never_replace_others(tmp_path: Path):
    order = planned(tmp_path, endpoint=store.SANDBOX)
    answer(order)
    white, scene = made(writer(presets.find_presets(["ebay", "amazon-main"])), order, tmp_path / "out")
    assert SANDBOX_MARK in scene.path.read_bytes()
    assert SANDBOX_MARK not in white.path.read_bytes()  # the photo's own pixels: nothing was tried out
    assert any(each.rule == "sandbox" for each in scene.report.faults)
    scene.path.write_bytes(photos.encoded(photos.photo(), "JPEG"))
    with pytest.raises(OutputExists, match="sandbox never replaces"):
        made(writer(presets.find_presets(["ebay"]), overwrite=True), order, tmp_path / "out")


def test_quality_goes_down_until_the_file_is_encode_within_weight():
    wild = Image.effect_noise((700, 700), 120).convert("RGB")
    walmart = presets.find_preset("walmart")
    at = {quality: encode_picture(wild, "JPEG", credit=UNCREDITED, quality=quality) for quality in QUALITIES}
    assert len(at[95]) > len(at[84]) > len(at[70])
    for most, chosen in ((10**7, 95), (len(at[84]), 84), (len(at[84]) - 1, 80), (10, 70)):
        rules = tuple(replace(each, most=most) if each.name == "weight" else each for each in walmart.rules)
        assert _encode_within_weight(wild, replace(walmart, rules=rules), UNCREDITED, None, sandbox=False) == at[chosen]


def test_a_file_that_breaks_the_rules_is_kept_and_said(tmp_path: Path):
    tiny = planned(tmp_path, size=(60, 40))
    answer(tiny)
    impossible = replace(
        presets.find_preset("ebay"), rules=(replace(presets.find_preset("ebay").rules[1], most=100.0),)
    )
    (found,) = made(writer((impossible,)), tiny, tmp_path / "out")
    assert found.path.is_file()
    error = found.failure
    assert isinstance(error, PresetFailed)
    assert re.search(r"breaks the rules of ebay: the file has .* at most 100", str(error))
    assert error.exit_code == 3


def test_a_place_that_cannot_be_written(tmp_path: Path):
    order = planned(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x").write_bytes(b"a file where a folder should be")
    with pytest.raises(StorageFailed):
        made(writer(WHITE), order, tmp_path / "out")


# The command line.


def test_packshots_of_orders_that_are_merely_prepared_are_free(command: Command):
    photos.saved(Path("in/x/a.png"), photos.cutout((900, 700)))
    assert command("prepare", "in").code == 0
    said = command("finish", "photio-out", "--preset", "amazon-main", "--preset", "walmart")
    assert said.code == 0
    assert said.paths == [
        Path("photio-out/x/a-photio-amazon-main.jpg"),
        Path("photio-out/x/a-photio-walmart.jpg"),
    ]
    assert "the product fills 90%, the background is pure white" in said.err
    refused = command("finish", "photio-out", "--preset", "ebay", "--preset", "amazon-main")
    assert refused.code == 2
    assert refused.paths == [Path("photio-out/x/a-photio-amazon-main.jpg")]
    assert "no answer yet" in refused.err
    assert command("finish", "photio-out", "--preset", "nope").code == 2


@pytest.mark.soak
def test_run_with_presets_prints_each_path_and_json_tells_each_file(command: Command):
    photos.saved(Path("a.png"), photos.cutout((900, 700)))
    arguments = ("run", "a.png", "--sandbox", "-d", "on oak", "--preset", "google", "--preset", "amazon-main")
    said = command(*arguments)
    assert said.code == 0
    names = ["a-photio.png", "a-photio-amazon-main.jpg", "a-photio-google.jpg"]
    assert [path.name for path in said.paths] == names
    assert all(path.is_file() for path in said.paths)
    (line,) = command(*arguments, "--json").facts
    assert [each["preset"] for each in line["presets"]] == ["amazon-main", "google"]
    assert all(each["ok"] for each in line["presets"])
    assert line["presets"][0]["white"] == 1
    untagged = command("finish", "photio-out", "--preset", "google", "--provenance", "none")
    assert untagged.code == 3
    assert "does not say so (IPTC DigitalSourceType)" in untagged.err
    assert untagged.paths[1].is_file()


@pytest.mark.soak
def test_a_row_s_presets_come_in_place_of_those_for_all(command: Command):
    for name in "abc":
        photos.saved(Path(f"{name}.png"), photos.cutout((900, 700)))
    Path("jobs.csv").write_text("source,preset\na.png,amazon-main ebay\nb.png,\nc.png,walmart\n")
    run = ("run", "jobs.csv", "--sandbox", "-d", "on oak", "--preset", "google")
    said = command(*run)
    assert said.code == 0, said.err
    assert {path.name for path in said.paths} == {
        *("a-photio.png", "a-photio-amazon-main.jpg", "a-photio-ebay.jpg"),
        *("b-photio.png", "b-photio-google.jpg"),
        *("c-photio.png", "c-photio-walmart.jpg"),
    }
    told = {each["source"]: [one["preset"] for one in each["presets"]] for each in command(*run, "--json").facts}
    assert told == {"a.png": ["amazon-main", "ebay"], "b.png": ["google"], "c.png": ["walmart"]}
    assert "made by `run`" in command("prepare", "jobs.csv").err


@pytest.mark.soak
def test_a_row_s_presets_are_made_for_the_variant_that_is_kept(command: Command):
    photos.saved(Path("a.png"), photos.cutout((900, 700)))
    Path("jobs.csv").write_text("source,preset\na.png,ebay\n")
    said = command("run", "jobs.csv", "--sandbox", "-d", "on oak", "--seeds", "2")
    assert sorted(path.name for path in said.paths) == ["1-photio.png", "2-photio.png"]
    files = {}
    for number in (2, 1):
        kept = command("keep", "a.png", number)
        assert [str(path) for path in kept.paths] == ["photio-out/a-photio.png", "photio-out/a-photio-ebay.jpg"]
        files[number] = [path.read_bytes() for path in kept.paths]
    assert files[1][0] != files[2][0]
    assert files[1][1] != files[2][1]


def test_what_lies_in_the_way_is_found_before_anything_is_paid_for(command: Command):
    photos.saved(Path("a.png"))
    foreign = Path("photio-out/a-photio-ebay.jpg")
    foreign.parent.mkdir()
    foreign.write_bytes(b"dear to somebody")
    said = command("run", "a.png", "--sandbox", "-d", "on oak", "--preset", "ebay")
    assert said.code == 3
    assert not list(Path("photio-out").glob("orders/*/claim.json"))
    assert foreign.read_bytes() == b"dear to somebody"


def test_our_own_files_are_no_input_of_the_next_run(command: Command):
    photos.saved(Path("in/a.png"))
    photos.saved(Path("in/a-photio-amazon-main.jpg"), photos.photo())
    photos.saved(Path("in/a-photio.jpg"), photos.photo())
    photos.saved(Path("in/our-photio-session.png"))
    said = command("prepare", "in", "--json")
    assert sorted(each["source"] for each in said.facts) == ["in/a.png", "in/our-photio-session.png"]
