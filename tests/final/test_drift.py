"""How far an answer changed the product: every planted change is seen, and none where none was planted.

The scenes are painted by the sandbox and come over real HTTP, for every fixture.
"""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.redraw import PlantedChanges, change_outline, redraw
from bench.textures import paint_texture
from photio_prep.api.client import InstantClient
from photio_prep.final import drift
from photio_prep.final.regions import list_regions
from photio_prep.geometry import Size
from photio_prep.orders.revise import Wording, reword
from photio_prep.orders.store import SANDBOX, Order
from photio_prep.pipeline import generate, prepare
from photio_prep.quality import Drift as Judged
from photio_prep.quality import DriftMetrics
from photio_prep.sandbox import Sandbox
from tests.support.photos import cutout

FIXTURES = Path(__file__).parents[2] / "fixtures"
NAMES = sorted(each.stem for each in (FIXTURES / "photos").iterdir())
SCENES = (
    "on a marble table, soft morning light, a plain wall behind",
    "on a rough wooden table in a cabin, golden evening light, dark blue wall",
    "on moss in a forest, leaves, green",
)


def order_of(name: str) -> Order:
    photo = next((FIXTURES / "photos").glob(f"{name}.*"))
    with Image.open(FIXTURES / "truth" / f"{name}.webp") as truth:
        return prepare(photo, description=SCENES[0], mask=truth.getchannel("A"), endpoint=SANDBOX)


def measure(canvas: Image.Image, answer: Image.Image) -> DriftMetrics:
    comparison = drift.compare(canvas, answer)
    return DriftMetrics() if comparison is None else comparison.metrics


def judged(order: Order, planted: PlantedChanges) -> Judged:
    with Sandbox(paint=planted.paint) as sandbox:
        result = generate(order, client=InstantClient("pt-sandbox", api_url=sandbox.url, endpoint=SANDBOX))
    return Judged(measure(order.canvas.image, result.image))


def growth(canvas: Image.Image, share: float) -> int:
    """How many pixels of growth add `share` to the area."""
    area = np.asarray(canvas.getchannel("A"), dtype=float).sum()
    pixels = 1
    while (
        np.asarray(change_outline(canvas, PlantedChanges(grow=pixels)).getchannel("A"), dtype=float).sum()
        < (1 + share) * area
    ):
        pixels += 1
    return pixels


def tone(canvas: Image.Image, difference: float) -> tuple[int, int, int]:
    """A shift of the tone by a delta E of `difference` and little more."""
    pixels = np.asarray(canvas)
    inside = pixels[pixels[..., 3] == 255][:, :3].astype(np.float32)
    for levels in range(2, 60):
        shift = (levels, -levels // 2, -levels // 3)
        changed = np.clip(inside + np.array(shift), 0, 255)
        if np.linalg.norm(drift._to_lab(changed.mean(0)) - drift._to_lab(inside.mean(0))) >= difference:
            return shift
    raise AssertionError(difference)


@pytest.mark.soak
@pytest.mark.parametrize("name", NAMES)
def test_every_planted_change_is_seen_and_nothing_else(name: str):
    order = order_of(name)
    canvas = order.canvas.image
    for scene in SCENES[:2]:
        none = judged(reword(order, Wording(scene)), PlantedChanges())
        assert none.score <= 1, (scene, none.to_dict())
        assert none.sentence == "the generator left the product as it was"
    for part, planted in (
        ("size", PlantedChanges(grow=growth(canvas, 0.03))),
        ("shift", PlantedChanges(move=(2, 0))),
        ("colour", PlantedChanges(tone=tone(canvas, 5.0))),
        ("detail", PlantedChanges(blur=2.0)),
    ):
        found = judged(order, planted)
        assert found.parts[part] > 1, (planted, found.to_dict())
        assert found.score > 1


@pytest.mark.soak
def test_the_figures_say_how_far():
    order = order_of("vase")
    moved = judged(order, PlantedChanges(move=(7, -5))).figures
    assert moved.right == pytest.approx(7, abs=0.3)
    assert moved.down == pytest.approx(-5, abs=0.3)
    assert abs(moved.grown) < 0.01
    grown = judged(order, PlantedChanges(grow=4))
    assert grown.figures.rim == pytest.approx(4, abs=1)
    assert "larger" in grown.sentence
    assert "moved" not in grown.sentence
    wide = judged(order, PlantedChanges(grow=12))
    assert wide.figures.rim > 5
    assert wide.parts["size"] > 2
    changed = judged(order, PlantedChanges(tone=(30, -10, -20)))
    assert "colour" in changed.sentence
    assert changed.score == round(changed.parts["colour"], 2)
    assert set(changed.to_dict()) == {"score", "sentence", "parts", "figures", "regions", "size"}


def test_growth_is_named_once_as_a_side_or_around_the_product():
    side, around = (Judged(DriftMetrics(rim=4, side=farthest)).sentence for farthest in (10, 4.5))
    assert side == "the generator moved a side of it outwards, by 10.0 pixels"
    assert around == "the generator made it larger, by 4.0 pixels around it on average"


def test_an_empty_canvas_and_one_that_is_all_product_drift_nowhere():
    for canvas in (Image.new("RGBA", (64, 48)), Image.new("RGBA", (64, 48), (200, 90, 30, 255))):
        assert Judged(measure(canvas, canvas.convert("RGB"))).score <= 1
    small = cutout((24, 18))
    assert Judged(measure(small, small.convert("RGB"))).figures.right == pytest.approx(0, abs=0.5)


def wires() -> Image.Image:
    """A mesh whose outline cannot be followed: wires of 4 px, 16 px apart."""
    pixels = np.zeros((360, 400, 4), np.uint8)
    pixels[..., :3] = (52, 60, 88)
    rows, columns = np.ogrid[:200, :240]
    pixels[80:280, 80:320, 3] = 255 * ((rows % 16 < 4) | (columns % 16 < 4))
    return Image.fromarray(pixels)


@pytest.mark.parametrize("texture", ["wood", "fabric"])
def test_what_grew_or_was_added_between_wires_is_seen(texture: str):
    canvas = wires()
    scene = paint_texture(texture, canvas.size, 3)
    plain, grown, added = (
        drift.compare(canvas, redraw(scene, canvas, PlantedChanges(seed=5, jpeg=92, chroma=2, **planted)).answer)
        for planted in ({"contact": 0.3}, {"grow": 8, "grow_side": "top"}, {"added": 0.15})
    )
    assert plain
    assert grown
    assert added
    assert Judged(plain.metrics).score <= 1, plain.metrics
    assert plain.side is None
    assert grown.side is not None
    assert grown.metrics.side == pytest.approx(8, abs=1.5)
    sides = [each for each in list_regions(grown, Size(400, 360), Size(400, 360)) if each.kind == "outwards"]
    assert any(each.box == pytest.approx((80, 72, 320, 272), abs=16) and each.sure >= 0.7 for each in sides), sides
    assert Judged(added.metrics).parts["added"] > 1
    assert added.metrics.added == pytest.approx(0.15, abs=0.08)


@pytest.mark.parametrize("mirrored", [True, False])
def test_a_mirror_image_in_the_ground_is_not_added_and_a_part_cut_off_by_the_frame_is(mirrored: bool):
    pixels = np.zeros((360, 280, 4), np.uint8)
    for top, colour in ((120, (170, 60, 52)), (165, (224, 214, 190)), (210, (54, 92, 80))):
        pixels[top : top + 45, 80:200] = (*colour, 255)
    canvas = Image.fromarray(pixels)
    answer = np.asarray(redraw(paint_texture("fabric", canvas.size, 3), canvas, PlantedChanges(seed=5)).answer).copy()
    if mirrored:
        answer[255:] = np.where(pixels[150:255, :, 3:][::-1] > 0, pixels[150:255, :, :3][::-1], answer[255:])
    else:
        answer[130:200, 200:] = (224, 214, 190)
        canvas, answer = canvas.crop((40, 90, 220, 285)), answer[90:285, 40:220]
    comparison = drift.compare(canvas, Image.fromarray(answer))
    assert comparison
    assert (comparison.metrics.added > 0.04) is not mirrored
