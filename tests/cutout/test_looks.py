"""More looks: where the network is in doubt the better one is kept, and elsewhere nothing changes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photio_prep import pipeline
from photio_prep.cutout import gate
from photio_prep.cutout.framing import Framing
from photio_prep.cutout.gate_model import estimate_risk, frame_belief
from photio_prep.cutout.looks import UNDECIDED, _average_mirrored, look_closer
from photio_prep.cutout.matte import matte
from photio_prep.cutout.models import segmenter
from photio_prep.cutout.models.registry import CatalogModel
from photio_prep.cutout.models.segmenter import OnnxSegmenter, normalize
from photio_prep.cutout.options import CutoutOptions, Looks
from photio_prep.errors import NoProduct, SegmenterFailed
from photio_prep.imaging.filters import Floats
from photio_prep.intake.load import load
from photio_prep.orders.options import PrepareOptions
from photio_prep.orders.recall import is_asked_again
from photio_prep.types import Cutout, Photo

FIXTURES = Path(__file__).parents[2] / "fixtures"


def cut_out(name: str, model: CatalogModel, looks: Looks) -> Cutout:
    return cut_out_of(load(FIXTURES / "photos" / f"{name}.jpg"), model, looks)


def cut_out_of(photo: Photo, model: CatalogModel, looks: Looks) -> Cutout:
    return matte(photo, photo.size, model, options=CutoutOptions(looks=looks))


def score(cutout: Cutout, name: str) -> float:
    """IoU with the truth."""
    with Image.open(FIXTURES / "truth" / f"{name}.webp") as opened:
        truth = np.asarray(opened.getchannel("A").resize(cutout.image.size)) >= 128
    alpha = np.asarray(cutout.image.getchannel("A")) >= 128
    return float((alpha & truth).sum() / (alpha | truth).sum())


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The sizes of the pictures that networks were asked about."""
    sizes: list[tuple[int, int]] = []
    predict = OnnxSegmenter.__call__

    def record_size(self: OnnxSegmenter, image: Image.Image, /, answer: Floats | None = None) -> Image.Image:
        sizes.append(image.size)
        return predict(self, image, answer)

    monkeypatch.setattr(OnnxSegmenter, "__call__", record_size)
    return sizes


@pytest.mark.model
def test_a_closer_look_mends_what_is_in_doubt(u2netp: CatalogModel, runs: list[tuple[int, int]]) -> None:
    first, kept = (cut_out("toy", u2netp, looks) for looks in ("1", "auto"))
    assert len(runs) == 3
    assert runs[2][0] * runs[2][1] < 0.8 * runs[0][0] * runs[0][1]
    assert score(first, "toy") + 0.02 < score(kept, "toy")
    photo = load(FIXTURES / "photos" / "toy.jpg")
    before, after = (gate.assess(photo, cutout) for cutout in (first, kept))
    assert after.figures["risk"] < before.figures["risk"]
    assert "look" in [reason.name for reason in after.reasons]
    assert "the model's first look was in doubt" in after.reasons[0].text
    assert "look" not in [reason.name for reason in before.reasons]


@pytest.mark.model
def test_of_a_sound_photo_nothing_changes_and_nothing_is_asked(
    u2netp: CatalogModel, runs: list[tuple[int, int]]
) -> None:
    first, kept = (cut_out("mug", u2netp, looks) for looks in ("1", "auto"))
    assert len(runs) == 2
    assert first.image.tobytes() == kept.image.tobytes()


@pytest.mark.model
def test_a_closer_look_takes_what_the_second_pass_saw(u2netp: CatalogModel, monkeypatch: pytest.MonkeyPatch) -> None:
    feeds: list[bytes] = []

    def record_feed(image: Image.Image, network: segmenter._Network) -> Floats:
        feeds.append((feed := normalize(image, network)).tobytes())
        return feed

    monkeypatch.setattr(segmenter, "normalize", record_feed)
    cut_out("toy", u2netp, "auto")
    assert len(feeds) == len(set(feeds)) == 3


@pytest.mark.model
def test_the_mirrored_photo_is_asked_about_where_it_may_change_the_verdict(
    u2netp: CatalogModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[int, int]] = []
    ask = OnnxSegmenter.probability

    def record_call(self: OnnxSegmenter, image: Image.Image) -> Floats:
        calls.append(image.size)
        return ask(self, image)

    monkeypatch.setattr(OnnxSegmenter, "probability", record_call)
    for name, asked in (("vase", False), ("flask", True)):
        photo = load(next((FIXTURES / "photos").glob(f"{name}.*")))
        figures = gate.assess(photo, cut_out_of(photo, u2netp, "auto")).figures
        assert ("mirrored" in figures) is asked
        assert calls == [photo.size] * asked
        low, high = UNDECIDED
        brief = estimate_risk({key: value for key, value in figures.items() if key != "mirrored"}, "u2netp")
        assert brief is not None
        assert (low <= brief.probability < high) is asked


@pytest.mark.model
def test_a_network_that_fails_on_the_mirrored_photo_fails_on_the_photo(
    u2netp: CatalogModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Floats:
        raise RuntimeError("bad allocation")

    monkeypatch.setattr(OnnxSegmenter, "probability", fail)
    with pytest.raises(SegmenterFailed, match="bad allocation"):
        cut_out("whisk", u2netp, "1")


@pytest.mark.model
def test_a_new_frame_has_the_look_that_was_kept(u2netp: CatalogModel) -> None:
    photo = FIXTURES / "photos" / "toy.jpg"
    risks = {}
    for looks in ("1", "auto"):
        order = pipeline.prepare(photo, model=u2netp, framing=Framing(8), cutting=CutoutOptions(looks=looks))
        assert order.origin.gate
        risks[looks] = order.origin.gate.figures["risk"]
        asked = PrepareOptions("", model=u2netp, framing=Framing(8), cutting=CutoutOptions(looks="1"))
        assert is_asked_again(order, asked, order.endpoint) == (looks == "1")
    assert risks["auto"] < risks["1"]


def test_a_crop_that_cuts_the_product_does_not_count() -> None:
    view, first = Image.new("RGB", (400, 300)), Image.new("L", (400, 300))
    belief = Image.new("L", (40, 30))
    belief.paste(255, (15, 10, 25, 20))
    first.info["belief"] = belief

    def predict(image: Image.Image, inset: int) -> Image.Image:
        alpha = Image.new("L", image.size)
        alpha.paste(255, (inset, inset, image.width - inset, image.height - inset))
        alpha.info["belief"] = belief
        return alpha

    with pytest.raises(NoProduct, match="cuts"):
        look_closer(lambda image: predict(image, 0), view, first)
    closer = look_closer(lambda image: predict(image, 10), view, first)
    assert closer.getbbox() == (150, 100, 251, 201)
    assert closer.info["box"] == pytest.approx((0.35, 0.3, 0.6525, 0.7033), abs=1e-3)
    framed = frame_belief(belief, closer.info["box"], view.size).getbbox()
    assert framed is not None
    assert framed[0] > 140
    assert framed[3] < 220


def test_a_mirrored_look_is_turned_back_and_counts_half() -> None:
    view = Image.new("RGB", (40, 30))
    view.paste((255, 255, 255), (5, 5, 15, 20))

    def predict(image: Image.Image, more: int = 0) -> Image.Image:
        alpha = image.getchannel("R")
        alpha.paste(255, (0, 0, more, 30))
        alpha.info |= {"belief": alpha.copy(), "grain": 1.0, "confidence": 1.0, "mixed": 0.2, "rival": -0.3}
        return alpha

    first = predict(view)
    same, wider = (_average_mirrored(lambda image, more=more: predict(image, more), view, first) for more in (0, 4))
    assert same.tobytes() == first.tobytes() == same.info["belief"].tobytes()
    assert same.info == first.info | {"belief": same.info["belief"], "look": "mirrored"}
    found = first.copy()
    found.paste(128, (36, 0, 40, 30))  # the first columns of the mirror image are the last of the photo
    assert wider.tobytes() == found.tobytes()
    assert first.info["belief"].tobytes() == first.tobytes()
