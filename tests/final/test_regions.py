"""Regions of drift, in pixels of the photo: where, how much, and how drift.png shows them."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from photio_prep.api.client import InstantClient
from photio_prep.final.drift import compare
from photio_prep.final.regions import list_regions
from photio_prep.geometry import Size
from photio_prep.orders import previews
from photio_prep.orders.store import SANDBOX
from photio_prep.pipeline import generate, prepare
from photio_prep.quality import ADDED, Drift, Region
from photio_prep.sandbox import Sandbox
from tests.final.test_outline import BOX, SIZE, answer, canvas, compared
from tests.support.photos import SCENE, photo

TWICE = Size(SIZE[0] * 2, SIZE[1] * 2)


def regions_of(drawn: Image.Image, strength: float = 10.0) -> tuple[Region, ...]:
    """Regions of an answer to a photo of twice the canvas's size."""
    return list_regions(compared(drawn, strength), Size(*SIZE), TWICE)


def test_an_unchanged_product_has_no_regions() -> None:
    assert regions_of(canvas()) == ()


def test_a_part_that_was_added_has_its_place_and_size() -> None:
    drawn = canvas()
    ImageDraw.Draw(drawn).ellipse((BOX[2] - 10, 150, BOX[2] + 70, 220), fill=(170, 40, 50, 255))
    area = np.asarray(drawn.getchannel("A")).sum() / np.asarray(canvas().getchannel("A")).sum() - 1
    (part,) = (region for region in regions_of(drawn) if region.kind == "added")
    assert part.amount == pytest.approx(area, rel=0.2)
    assert part.sure > 0.8
    assert part.box == pytest.approx((2 * BOX[2], 300, 2 * (BOX[2] + 70), 440), abs=16)


def test_a_side_that_grew_has_its_place_and_length() -> None:
    regions = regions_of(canvas((*BOX[:2], BOX[2] + 10, BOX[3])))
    (side,) = (region for region in regions if region.kind == "outwards")
    assert side.amount == pytest.approx(20, abs=4)  # pixels of the photo
    assert side.box[0] > BOX[2] + BOX[0]  # the right half


def test_only_the_part_out_of_focus_that_grew_is_a_region() -> None:
    """A blurred disc that grew beside a sharp square that did not."""
    disc, grown, square = (Image.new("L", (600, 600)) for _ in range(3))
    ImageDraw.Draw(disc).ellipse((90, 190, 310, 410), fill=255)
    ImageDraw.Draw(grown).ellipse((83, 183, 317, 417), fill=255)
    ImageDraw.Draw(square).rectangle((420, 420, 560, 560), fill=255)
    masks = [ImageChops.lighter(part.filter(ImageFilter.GaussianBlur(9)), square) for part in (disc, grown)]
    sent = Image.merge("RGBA", [Image.new("L", disc.size, level) for level in (200, 40, 30)] + [masks[0]])
    noise = np.random.default_rng(0).normal(120, 2, (600, 600, 3))
    received = Image.fromarray(noise.astype(np.uint8))
    received.paste((200, 40, 30), mask=masks[1])
    comparison = compare(sent, received)
    assert comparison is not None
    (part,) = list_regions(comparison, Size(600, 600), Size(600, 600))
    assert part.kind == "outwards"
    assert part.amount == pytest.approx(5, abs=2)
    assert part.box[2] < 400
    assert abs(comparison.metrics.rim) < part.amount * 0.8


def test_a_pattern_that_is_displaced_is_warped_there() -> None:
    drawn = canvas()
    pen = ImageDraw.Draw(drawn)
    pen.rectangle((191, 182, 221, 214), fill=(170, 40, 50, 255))
    pen.ellipse((199, 190, 217, 212), fill=(230, 200, 90, 255))  # the middle one of five, by (2, 3)
    (part,) = (region for region in regions_of(drawn) if region.kind == "warped")
    assert part.amount == pytest.approx(2 * 13**0.5, abs=2.5)
    assert part.box[0] < 2 * 208 < part.box[2]
    assert part.box[1] < 2 * 201 < part.box[3]
    assert "warped" in Drift(compared(drawn, 10.0).metrics).sentence


@pytest.mark.parametrize("kind", ["apart", "soft", "shadow"])
def test_light_and_shadow_beside_a_product_are_no_part_of_it(kind: str) -> None:
    """Light of its colour that does not touch it, or has no edge; its own shadow."""
    drawn = answer(canvas(), 2.0)
    light, spot = Image.new("L", SIZE), {"apart": 14, "soft": -30, "shadow": -20}[kind]
    ImageDraw.Draw(light).ellipse((BOX[2] + spot, 130, BOX[2] + 90, 230), fill=255)
    light = light.filter(ImageFilter.GaussianBlur(0.5 if kind == "apart" else 14))
    outside = ImageChops.invert(canvas().getchannel("A"))
    colour = (40, 10, 12) if kind == "shadow" else (170, 40, 50)
    drawn.paste(colour, mask=ImageChops.multiply(light, outside))
    comparison = compare(canvas(), drawn)
    assert comparison is not None
    assert comparison.metrics.added <= ADDED


RECORD = {"kind": "added", "box": [20, 20, 200, 180], "amount": 0.1, "sure": 1.0}


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an order that has its answer."""
    orders = tmp_path_factory.mktemp("orders")
    order = prepare(photo((300, 220)), description=SCENE, endpoint=SANDBOX, orders=orders)
    with Sandbox() as sandbox:
        generate(order, client=InstantClient("pt-sandbox", api_url=sandbox.url, endpoint=SANDBOX))
    return order.require_folder()


@pytest.mark.parametrize(
    ("record", "framed"),
    [
        ({"regions": [RECORD], "size": [300, 220]}, True),
        ({"regions": [RECORD | {"amount": float("inf"), "box": [1e300, -5, 3, 2]}], "size": [300, 220]}, True),
        ({"regions": [RECORD | {"box": ["x", 2]}], "size": [300, 220]}, False),
        ({"regions": [RECORD], "size": [0, 0]}, False),
        ({"regions": 3}, False),
        ({}, False),
    ],
)
def test_drift_png_frames_the_regions_and_takes_any_record(answered: Path, record: object, framed: bool) -> None:
    (answered / "drift.json").write_text(json.dumps(record))
    (answered / "drift.png").unlink(missing_ok=True)  # what exists is not drawn again
    previews.draw_drift_of(answered)
    with Image.open(answered / "drift.png") as picture:
        assert ((np.asarray(picture) == (200, 0, 0)).all(-1).any()) == framed
