"""What is worth paying for: inputs broken on purpose are stopped for the right reason, good photos are not."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from photio_prep import pipeline
from photio_prep.cutout import gate
from photio_prep.cutout.matte import matte
from photio_prep.cutout.models.registry import get_model
from photio_prep.errors import GateStopped, NoProduct
from photio_prep.geometry import place, snap
from photio_prep.intake.load import load
from photio_prep.orders import preflight, store
from photio_prep.orders.folder import OrderFolder
from photio_prep.orders.state import State
from photio_prep.quality import Judgement, Level, Reason, Verdict, judgement_from_dict
from photio_prep.types import Cutout, Photo
from tests.support import commands, photos
from tests.support.commands import Command
from tests.support.fakes import BrightMatter, FixedMatter
from tests.support.photos import revise
from tests.support.sampling import sampled

FIXTURES = Path(__file__).parents[2] / "fixtures"
NAMES = sorted(path.stem for path in (FIXTURES / "truth").iterdir())


@cache
def photo(name: str) -> Image.Image:
    (path,) = (FIXTURES / "photos").glob(f"{name}.*")
    return load(path).image


@cache
def truth(name: str) -> Image.Image:
    with Image.open(FIXTURES / "truth" / f"{name}.webp") as picture:
        return picture.getchannel("A")


def judged(picture: Image.Image, mask: Image.Image | None = None, model: str = "u2netp") -> Judgement:
    seen = load(picture)
    size = place(seen.size, snap(seen.size).size).box.size
    return gate.assess(seen, matte(seen, size, get_model(model), mask=mask))


def stops(found: Judgement) -> list[str]:
    return [each.name for each in found.reasons if each.verdict is Verdict.STOP]


def warns(found: Judgement) -> list[str]:
    return [each.name for each in found.reasons if each.verdict is Verdict.WARN]


# --- the fixtures, with their true masks ------------------------------------------------------------------------------

# What is doubtful about a rendered photo, and was meant to be.
DOUBTS = {"lamp": {"cut", "parts"}, "mills": {"parts"}, "bowls": {"glass"}}


@sampled("name", NAMES, 3)
def test_a_rendered_photo_is_stopped_only_where_it_is_out_of_focus(name: str) -> None:
    found = judged(photo(name), truth(name))
    assert stops(found) == (["blurred"] if name == "bowls" else [])
    assert set(warns(found)) == DOUBTS.get(name, set())


# --- inputs broken on purpose -----------------------------------------------------------------------------------------


def test_a_blank_paper_is_no_product_at_all() -> None:
    with pytest.raises(NoProduct):
        judged(Image.new("RGB", (400, 300), "white"), Image.new("L", (400, 300)))


def box_of(name: str) -> tuple[int, int, int, int]:
    box = truth(name).point([0] * 128 + [255] * 128).getbbox()
    assert box is not None
    return box


@sampled("part", [0.5, 0.75], 1)
@pytest.mark.parametrize("side", ["left", "right", "top", "bottom"])
def test_a_product_cut_by_the_frame_names_the_side(side: str, part: float) -> None:
    left, top, right, bottom = box_of("vase")
    width, height = photo("vase").size
    across, down = round(part * (right - left)), round(part * (bottom - top))
    crop = {
        "left": (right - across, 0, width, height),
        "right": (0, 0, left + across, height),
        "top": (0, bottom - down, width, height),
        "bottom": (0, 0, width, top + down),
    }[side]
    found = judged(photo("vase").crop(crop), truth("vase").crop(crop))
    reason = {each.name: each for each in found.reasons}["cut"]
    assert f"({side};" in reason.text
    assert reason.verdict is Verdict.WARN
    assert stops(found) == []


@pytest.mark.parametrize("side", [0, 1, 2, 3])
def test_a_reason_says_where(side: int) -> None:
    """A product that meets one side of the photo, with a smaller thing, half transparent, across from it."""
    turns = [Image.Transpose.ROTATE_90] * side
    mask = Image.new("L", (400, 300))
    mask.paste(255, (0, 100, 200, 200))
    mask.paste(140, (300, 20, 360, 80))
    picture = Image.new("RGB", mask.size, "navy")
    for turn in turns:
        mask, picture = mask.transpose(turn), picture.transpose(turn)
    expected = {"cut": (0, 1 / 3, 0, 2 / 3), "parts": (0.75, 20 / 300, 0.9, 80 / 300), "glass": (0.75, 0.06, 0.9, 0.27)}
    areas = {reason.name: reason.area for reason in judged(picture, mask).reasons}
    for name, box in expected.items():
        left, top, right, bottom = box
        for _ in turns:  # a quarter to the left
            left, top, right, bottom = top, 1 - right, bottom, 1 - left
        assert areas[name] == pytest.approx((left, top, right, bottom), abs=0.04), name


@pytest.mark.parametrize("width", [80, 120, 160])
def test_a_thumbnail(width: int) -> None:
    size = (width, width * 3 // 4)
    found = judged(photo("vase").resize(size), truth("vase").resize(size))
    assert stops(found) == ["small"]
    assert "scaled_up" in warns(found)


@sampled(("sigma", "verdict"), [(0, "ok"), (3, "warn"), (5, "stop"), (8, "stop")], 1)
def test_a_blurred_product(sigma: float, verdict: str) -> None:
    found = judged(photo("vase").filter(ImageFilter.GaussianBlur(sigma)), truth("vase"))
    assert found.verdict == verdict
    assert [each.name for each in found.reasons] == ([] if verdict == "ok" else ["blurred"])
    # It measures what was done to the photo, here scaled by 0.96.
    assert sigma == 0 or found.figures["blur"] == pytest.approx(0.96 * np.hypot(sigma, 1.2), rel=0.15)


def test_noise_does_not_hide_a_blur() -> None:
    noise = np.random.default_rng(5).normal(0, 6, (900, 1200, 3))
    blurred = np.asarray(photo("vase").filter(ImageFilter.GaussianBlur(6)), float)
    noisy = Image.fromarray(np.clip(blurred + noise, 0, 255).astype(np.uint8))
    assert stops(judged(noisy, truth("vase"))) == ["blurred"]


def test_two_products_are_a_question_and_no_stop() -> None:
    found = judged(photo("mills"), truth("mills"))
    assert warns(found) == ["parts"]
    assert "2 separate things" in found.reasons[0].text


def test_no_more_than_the_product_is_half_transparent() -> None:
    mask = Image.new("L", (400, 300))
    mask.paste(60, (40, 40, 360, 260))
    mask.paste(255, (180, 130, 220, 170))
    judgement = judged(Image.new("RGB", (400, 300), "navy"), mask)
    (reason,) = (reason for reason in judgement.reasons if reason.name == "glass")
    assert judgement.figures["glass"] > 1
    assert reason.text.startswith("100% of the product is half transparent")


@sampled(("name", "other"), [("vase", "mug"), ("mug", "vase"), ("jar", "toy"), ("toy", "bowls")], 1)
def test_the_mask_of_another_photo(name: str, other: str) -> None:
    found = judged(photo(name), truth(other).resize(photo(name).size))
    assert "outline" in stops(found)
    assert "--mask does not follow" in {each.name: each.text for each in found.reasons}["outline"]


def test_a_mask_of_everything_and_one_the_wrong_way_round() -> None:
    assert stops(judged(photo("vase"), Image.new("L", (1200, 900), 255))) == ["covers", "cut"]
    turned = truth("vase").point([255 - each for each in range(256)])
    assert stops(judged(photo("vase"), turned)) == ["cut"]


@pytest.mark.parametrize(("levels", "reason"), [((1 / 16, "dark")), ((4, "overexposed"))])
def test_a_wrong_exposure(levels: float, reason: str) -> None:
    wrong = photo("vase").point([min(round(each * levels), 255) for each in range(256)] * 3)
    assert reason in stops(judged(wrong, truth("vase")))


@pytest.mark.model
@sampled("size", [(40, 30), (120, 90), (320, 240), (800, 600)], 1)
def test_noise_all_over_the_frame(size: tuple[int, int]) -> None:
    """The small network takes some of it for a product that fills the picture."""
    noise = np.random.default_rng(3).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    try:
        found = judged(Image.fromarray(noise))
    except NoProduct:
        return
    assert {"covers", "cut"} <= {each.name for each in found.reasons}
    assert "covers" in stops(found)


# --- what the matter says ---------------------------------------------------------------------------------------------


def cut(confidence: float | None = None, *, model: str = "m") -> tuple[Photo, Cutout]:
    picture = photos.photo((800, 600))
    image = picture.convert("RGBA")
    image.putalpha(photos.mask((800, 600)))
    return Photo(picture, "a.png", "0", "PNG"), Cutout(image, model, confidence=confidence)


@pytest.mark.parametrize(("confidence", "verdict"), [(None, "ok"), (0.95, "ok"), (0.7, "warn"), (0.5, "stop")])
def test_how_sure_the_model_is(confidence: float | None, verdict: str) -> None:
    found = gate.assess(*cut(confidence))
    assert found.verdict == verdict
    assert [each.name for each in found.reasons] == ([] if verdict == "ok" else ["unsure"])


@pytest.mark.model
def test_the_real_model_says_how_sure_it_is() -> None:
    assert judged(photo("mug")).figures["confidence"] > 0.95


def test_a_second_opinion_is_asked_only_when_it_is_wanted() -> None:
    picture, elsewhere = photos.photo((800, 600)), FixedMatter(Image.new("L", (800, 600)))
    nothing, same = pipeline.prepare(picture, model=BrightMatter(), second=elsewhere), BrightMatter()
    agreed = pipeline.prepare(picture, model=BrightMatter(), second=same)
    alone = pipeline.prepare(picture, model=BrightMatter())
    assert nothing.origin.gate
    assert agreed.origin.gate
    assert alone.origin.gate
    assert stops(nothing.origin.gate) == ["disputed"]
    assert (agreed.origin.gate.verdict, agreed.origin.gate.figures["agreement"]) == ("ok", 1)
    assert "agreement" not in alone.origin.gate.figures


def test_a_cutout_that_came_as_one_has_no_ground_to_stand_out_from() -> None:
    white = Image.new("RGBA", (800, 600), (255, 255, 255, 0))
    white.paste((250, 250, 250, 255), (200, 150, 600, 450))
    found = pipeline.prepare(white).origin.gate
    assert found is not None
    assert "outline" not in found.figures
    assert found.verdict is Verdict.OK


@pytest.mark.parametrize("size", [(16, 16), (16, 300), (17, 23)])
def test_the_smallest_pictures_are_judged_too(size: tuple[int, int]) -> None:
    assert judged(Image.new("RGB", size, "red"), Image.new("L", size, 255)).verdict is Verdict.STOP


# --- levels -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "stopped"),
    [("off", []), ("warn", [Verdict.STOP]), ("strict", [Verdict.WARN, Verdict.STOP])],
)
def test_what_each_level_stops(level: str, stopped: list[Verdict]) -> None:
    assert [each for each in Verdict if Level(level).stops(each)] == stopped


def test_a_judgement_survives_json() -> None:
    made = Judgement((Reason("cut", Verdict.WARN, "a handle is missing", (0.1, 0, 0.5, 1)),), {"cut": 0.1})
    assert judgement_from_dict(json.loads(json.dumps(made.to_dict()))) == made
    assert made.verdict is Verdict.WARN
    assert Judgement().verdict is Verdict.OK


def test_a_box_that_somebody_edited_lies_in_the_picture() -> None:
    record = Judgement((Reason("cut", Verdict.WARN, "a handle is missing"),)).to_dict()
    record["reasons"][0]["box"] = [2, float("nan"), 0.5, -1]
    assert judgement_from_dict(record).reasons[0].area == (1, 0, 1, 0)
    record["reasons"][0]["box"] = [1, 2]
    with pytest.raises(ValueError, match="unpack"):
        judgement_from_dict(record)


def test_what_was_never_judged_is_not_stopped() -> None:
    preflight.enforce_gate(photos.order(), Level.STRICT)


def test_a_text_says_which_photo_what_was_found_and_what_to_do() -> None:
    order = pipeline.prepare(photos.photo(), model=BrightMatter(), name="red shoe.jpg")
    with pytest.raises(GateStopped) as caught:
        preflight.enforce_gate(order, Level.WARN)
    said = str(caught.value)
    assert said.startswith("red shoe.jpg: stopped before paying: the product is only")
    assert "Use a larger photo" in said
    assert "--gate off" in said
    assert caught.value.exit_code == 3


# --- on the command line ----------------------------------------------------------------------------------------------

WORDS = ("-d", photos.SCENE, "--sandbox")


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.chdir(tmp_path)
    commands.bare_surroundings(monkeypatch, tmp_path / "home")
    monkeypatch.delenv("PHOTIO_GATE")
    photos.saved(Path("good.png"), photos.cutout((900, 700)))
    photos.saved(Path("tiny.png"))
    return commands.here(capsys, monkeypatch)


def test_a_stopped_photo_stays_planned_and_is_listed_and_the_rest_is_paid_for(command: Command) -> None:
    said = command("run", "good.png", "tiny.png", *WORDS, "--json")
    by_name = {each["source"]: each for each in said.facts}
    assert said.code == 3
    assert (by_name["good.png"]["state"], by_name["good.png"]["gate"]) == ("finished", "ok")
    tiny = by_name["tiny.png"]
    assert (tiny["state"], tiny["gate"], tiny["error"]["type"]) == ("planned", "stop", "GateStopped")
    assert [each["reason"] for each in tiny["reasons"] if each["verdict"] == "stop"] == ["small"]
    assert OrderFolder(Path(tiny["order"])).state is State.PLANNED
    assert "tiny.png: stopped before paying" in said.err


def test_a_stop_is_remembered_until_the_gate_is_off(command: Command) -> None:
    said = command("prepare", "tiny.png")
    assert (said.code, len(said.lines)) == (3, 1)
    assert "stopped: tiny.png" in said.err
    assert command("generate", "photio-out", *WORDS).code == 3
    assert command("generate", "photio-out", *WORDS, "--gate", "off").code == 0
    # It is paid for now: to go on costs nothing, so no gate stands in the way.
    assert command("generate", "photio-out", *WORDS).code == 0


def test_strict_stops_what_is_only_doubtful(command: Command) -> None:
    photos.saved(Path("doubtful.png"), photos.cutout((440, 340)))
    assert command("prepare", "doubtful.png").code == 0
    assert command("generate", "photio-out", *WORDS, "--gate", "strict").code == 3
    assert command("generate", "photio-out", *WORDS).code == 0


def test_the_environment_and_the_flag_name_the_level(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOTIO_GATE", "off")
    assert command("prepare", "tiny.png").code == 0
    assert command("prepare", "tiny.png", "--gate", "warn").code == 3
    monkeypatch.setenv("PHOTIO_GATE", "loose")
    assert command("prepare", "tiny.png").code == 2


def test_a_library_does_not_pay_for_a_stopped_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PHOTIO_GATE")

    class Refusing:
        endpoint = "https://api.example/x"

        def send(self, request: object, keep: object = None) -> object:
            raise AssertionError("paid")

    order = pipeline.prepare(photos.cutout(), description=photos.SCENE)
    with pytest.raises(GateStopped):
        pipeline.generate(order, client=Refusing())  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="paid"):
        pipeline.generate(order, client=Refusing(), gate="off")  # type: ignore[arg-type]


def test_an_order_that_goes_on_with_other_words_keeps_its_judgement(tmp_path: Path) -> None:
    order = pipeline.prepare(photos.cutout(), orders=tmp_path)
    new = revise(order, description=photos.SCENE)
    assert new.folder is not None
    kept = store.load_order(new.folder).origin.gate
    assert kept == order.origin.gate
    assert kept is not None
    assert kept.verdict is Verdict.STOP
