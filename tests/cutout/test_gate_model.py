"""The probability of a wrong cutout: what its figures say, and that it comes out on good and on spoiled photos."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from photio_prep import pipeline
from photio_prep.cutout import gate, gate_model
from photio_prep.cutout.framing import Framing
from photio_prep.cutout.models.registry import CatalogModel
from photio_prep.errors import GateStopped, UsageError
from photio_prep.orders.options import PayOptions
from photio_prep.orders.preflight import enforce_gate
from photio_prep.quality import DOUBTFUL, STOP_AT, WARN_AT, Judgement, Level, Reason, Verdict
from photio_prep.types import Cutout, Photo
from tests.support import photos
from tests.support.commands import Command

FIXTURES = Path(__file__).parents[2] / "fixtures" / "photos"


def disc(level: int = 255, size: int = 300) -> Image.Image:
    image = Image.new("L", (size, size))
    ImageDraw.Draw(image).ellipse((90, 90, 210, 210), fill=level)
    return image


def doubts(belief: Image.Image, alpha: Image.Image) -> dict[str, float]:
    image = Image.new("RGBA", alpha.size)
    image.putalpha(alpha)
    prediction = alpha.copy()
    prediction.info["belief"] = belief
    return gate_model.measure_doubts(Cutout(image, "m", prediction=prediction), None)


def test_a_certain_belief_has_no_doubts() -> None:
    figures = doubts(disc(), disc())
    assert figures["vague"] == figures["weak"] == figures["rim_doubt"] == figures["rim_worst"] == 0
    assert not {"agreement", "mirrored", "confidence"} & set(figures)


def test_each_doubt_raises_its_figure() -> None:
    certain = doubts(disc(), disc())
    faint = disc()
    ImageDraw.Draw(faint).rectangle((240, 20, 290, 280), fill=90)
    ghost = doubts(faint, disc())
    assert ghost["vague"] == pytest.approx(51 * 261 / (np.pi * 60**2), rel=0.05)
    assert ghost["weak"] == 0
    half = doubts(disc(140), disc())
    assert half["rim_doubt"] > certain["rim_doubt"] + 0.4
    lost = disc()
    ImageDraw.Draw(lost).pieslice((90, 90, 210, 210), 0, 90, fill=190)
    assert doubts(lost, disc())["weak"] == pytest.approx(0.25, abs=0.02)
    frayed = disc()
    frayed.paste(128, (90, 90, 115, 210), disc().crop((90, 90, 115, 210)))
    worse = doubts(frayed, disc())
    assert worse["rim_worst"] > certain["rim_worst"] + 0.2
    assert worse["rim_worst"] > worse["rim_doubt"] + 0.2


def test_thin_parts_of_which_the_network_is_sure_are_no_doubt() -> None:
    wires = Image.new("L", (1024, 1024))
    for at in range(100, 900, 40):
        ImageDraw.Draw(wires).line((at, 100, at, 900), fill=255, width=5)
    figures = doubts(wires.filter(ImageFilter.GaussianBlur(1)), wires)
    assert figures["vague"] == figures["weak"] == 0
    assert figures["rim_worst"] < 0.5


def test_a_mirrored_photo_in_which_something_else_is_found() -> None:
    left, right = np.zeros((8, 8), np.float32), np.zeros((8, 8), np.float32)
    left[:, :4] = right[:, 4:] = 1
    assert gate_model.mirror_disagreement(left, left) == 0
    assert gate_model.mirror_disagreement(left, right) == 1


def test_without_a_network_s_output_there_is_no_probability() -> None:
    assert gate_model.estimate_risk({"outline": 0.1}, "u2netp") is None
    order = pipeline.prepare(photos.cutout((900, 700)))
    assert order.origin.gate is not None
    assert "risk" not in order.origin.gate.figures


def test_a_network_has_weights_of_its_own_without_the_mirrored_photo() -> None:
    figures = {"confidence": 0.95, "rim_doubt": 0.3, "rim_worst": 0.5, "vague": 0.1, "weak": 0.1}
    for more in ({}, {"agreement": 0.9}):
        own, other = (gate_model.estimate_risk(figures | more, name) for name in ("u2netp", "u2net"))
        assert own is not None
        assert other is not None
        assert own.probability != other.probability
        with_it = gate_model.estimate_risk({**figures, **more, "mirrored": 0.5}, "u2netp")
        assert with_it is not None
        assert with_it.probability > own.probability
    assert [gate_model.knows_mirrored(name) for name in ("u2netp", "u2net", "isnet-imgly")] == [True, False, False]


def test_more_doubt_is_more_risk_with_the_weights_of_every_network() -> None:
    calm = {"confidence": 0.99, "rim_doubt": 0.2, "rim_worst": 0.35, "vague": 0.0}
    calm |= {"weak": 0.0, "mirrored": 0.01, "mixed": 0.14, "rival": -0.4}
    unsure = {**calm, "confidence": 0.8, "rim_doubt": 0.6, "rim_worst": 0.9, "vague": 0.4}
    unsure |= {"weak": 0.4, "mixed": 0.3, "rival": 0.2}
    for network in ("u2netp", "isnet-imgly", "birefnet-general"):
        low, high = gate_model.estimate_risk(calm, network), gate_model.estimate_risk(unsure, network)
        assert low is not None
        assert high is not None
        assert low.probability < WARN_AT < STOP_AT < high.probability
        disputed = gate_model.estimate_risk({**calm, "agreement": 0.2}, network)
        agreed = gate_model.estimate_risk({**calm, "agreement": 0.99}, network)
        assert disputed is not None
        assert agreed is not None
        assert agreed.probability < disputed.probability


@pytest.mark.model
def test_a_good_photo_passes_and_what_hides_in_noise_does_not(u2netp: CatalogModel) -> None:
    good = pipeline.prepare(FIXTURES / "mug.jpg", model=u2netp).origin.gate
    assert good is not None
    assert good.figures["risk"] < WARN_AT
    with Image.open(FIXTURES / "mug.jpg") as opened:
        pixels = np.asarray(opened.convert("RGB"), float)
    noise = np.random.default_rng(1).integers(0, 256, pixels.shape)
    spoiled = Image.fromarray(np.clip(0.2 * pixels + 0.8 * noise, 0, 255).astype(np.uint8))
    order = pipeline.prepare(spoiled, model=u2netp, name="spoiled.png")
    assert order.origin.gate is not None
    assert order.origin.gate.figures["risk"] > STOP_AT
    first = order.origin.gate.reasons[0]
    assert (first.name, first.verdict) == (DOUBTFUL, Verdict.STOP)
    assert "the cutout is wrong with a probability of" in first.text
    with pytest.raises(GateStopped, match=r"spoiled\.png: stopped before paying: the cutout is wrong"):
        enforce_gate(order, Level.WARN)


@pytest.mark.model
def test_a_new_frame_measures_the_same_product(u2netp: CatalogModel) -> None:
    order = pipeline.prepare(FIXTURES / "mug.jpg", model=u2netp, framing=Framing(margin=0.2))
    assert order.origin.gate is not None
    assert order.origin.gate.figures["vague"] < 0.02
    assert order.origin.gate.figures["risk"] < WARN_AT


def believed(faint: int) -> tuple[Photo, Cutout]:
    """A product that a network is certain of, beside a thing that it believes in as much as `faint`, of 255."""
    belief = disc(255 - faint // 2)
    ImageDraw.Draw(belief).rectangle((240, 20, 290, 280), fill=faint)
    picture = Image.merge("RGB", [disc()] * 3)
    image = picture.convert("RGBA")
    image.putalpha(disc())
    prediction = disc()
    prediction.info |= {"belief": belief, "mirrored": faint / 255}
    cutout = Cutout(image, "u2netp", confidence=1 - faint / 400, prediction=prediction)
    return Photo(picture, "a.png", "0", "PNG"), cutout


def test_the_doubt_is_where_the_network_half_believes_in_something() -> None:
    judgement = gate.assess(*believed(110))
    (doubt,) = (reason for reason in judgement.reasons if reason.name == DOUBTFUL)
    assert doubt.area == pytest.approx((240 / 300, 20 / 300, 291 / 300, 281 / 300), abs=0.01)
    assert doubt.to_dict()["box"] == list(doubt.area or ())
    assert judgement.reasons[0] == doubt


def test_a_speck_of_doubt_is_not_framed_but_the_product_is() -> None:
    photo, cutout = believed(110)
    assert cutout.prediction is not None
    belief = disc(200)
    ImageDraw.Draw(belief).line((20, 20, 20, 280), fill=110)
    cutout.prediction.info["belief"] = belief
    assert gate_model.map_doubt(cutout, None).any()
    (doubt,) = (reason for reason in gate.assess(photo, cutout).reasons if reason.name == DOUBTFUL)
    assert doubt.area == pytest.approx((0.3, 0.3, 0.7, 0.7), abs=0.01)


def test_a_second_model_s_thing_is_where_they_differ() -> None:
    photo, cutout = believed(0)
    other = cutout.image.copy()
    other.paste((255, 255, 255, 255), (0, 0, 60, 60))
    judgement = gate.assess(photo, cutout, replace(cutout, image=other))
    assert judgement.figures["agreement"] == pytest.approx(11_300 / (11_300 + 3600), abs=0.01)
    (doubt,) = (reason for reason in judgement.limited(0.001).reasons if reason.name == DOUBTFUL)
    assert doubt.verdict is Verdict.STOP


def test_what_is_sound_is_only_noted() -> None:
    """A tight crop, and a product of two things, of which the network is certain."""
    size = (640, 480)
    alpha = Image.new("L", size)
    alpha.paste(255, (0, 100, 300, 400))
    alpha.paste(255, (400, 100, 600, 400))
    picture = Image.merge("RGB", [alpha.point([level // 2 for level in range(256)])] * 3)
    image = picture.convert("RGBA")
    image.putalpha(alpha)
    prediction = alpha.copy()
    prediction.info |= {"belief": alpha, "mirrored": 0.0}
    photo = Photo(picture, "a.png", "0", "PNG")
    sound = gate.assess(photo, Cutout(image, "u2netp", confidence=1.0, prediction=prediction))
    assert {reason.name: reason.verdict for reason in sound.reasons} == {"cut": Verdict.OK, "parts": Verdict.OK}
    assert (sound.verdict, sound.defects) == (Verdict.OK, ())
    drawn = gate.assess(photo, Cutout(image, "mask"))
    assert {reason.name: reason.verdict for reason in drawn.reasons} == {"cut": Verdict.WARN, "parts": Verdict.WARN}


def doubtful(risk: float, *others: Reason) -> Judgement:
    verdict = Verdict.STOP if risk >= STOP_AT else Verdict.WARN
    own = (Reason(DOUBTFUL, verdict, "wrong (faint parts)"),) if risk >= WARN_AT else ()
    return Judgement((*own, *others), {"risk": risk})


@pytest.mark.parametrize(
    ("risk", "at", "verdict"),
    [
        (0.5, None, Verdict.STOP),
        (0.5, 0.6, Verdict.WARN),
        (0.5, 0.2, Verdict.STOP),
        (0.3, 0.2, Verdict.STOP),
        (0.1, 0.05, Verdict.STOP),
        (0.1, 0.6, Verdict.OK),
        (0.04, 0.05, Verdict.OK),
    ],
)
def test_the_limit_can_be_another(risk: float, at: float | None, verdict: Verdict) -> None:
    assert doubtful(risk).limited(at).verdict is verdict


def test_another_limit_keeps_the_other_reasons_worst_first() -> None:
    stop, warn = Reason("small", Verdict.STOP, "small"), Reason("parts", Verdict.WARN, "parts")
    assert [each.name for each in doubtful(0.5, stop, warn).limited(0.9).reasons] == ["small", DOUBTFUL, "parts"]
    assert [each.name for each in doubtful(0.1, stop, warn).limited(0.05).reasons] == [DOUBTFUL, "small", "parts"]
    bare = Judgement((stop,), {})
    assert bare.limited(0.1) == bare


@pytest.mark.model
def test_the_limit_of_the_command_line(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """u2netp is doubtful about the bottle."""
    monkeypatch.delenv("PHOTIO_GATE")
    words = [FIXTURES / "bottle.jpg", "--model", "u2netp", "-o", "out"]
    usual = command("prepare", *words, "--json")
    assert usual.code == 0, usual.err
    (doubt,) = [reason for reason in usual.facts[0]["reasons"] if reason["reason"] == DOUBTFUL]
    assert doubt["verdict"] == "warn"
    stricter = command("prepare", *words, "--gate-at", "0.2")
    assert stricter.code == 3
    assert "stopped: " in stricter.err
    pay = ["generate", "out", "-d", photos.SCENE, "--sandbox"]
    assert command(*pay, "--gate-at", "0.2").code == 3
    assert command(*pay, "--gate-at", "0").code == 2
    assert command(*pay, "--gate-at", "0.9").code == 0
    with pytest.raises(UsageError, match=r"gate_at = 1\.5\. Give a number above 0 to 1"):
        _ = PayOptions(gate_at=1.5).preflight
