"""Finals of cutouts as networks make them: haze, half transparent holes, soft places, parts missing or taken along."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.answers import HARSHNESS, composite
from bench.finals import edge_distance, merge_changes
from bench.redraw import PlantedChanges, redraw
from bench.textures import paint_texture
from photio_prep.final.drift import compare
from photio_prep.final.restore import inpaint_product
from tests.support.sampling import sampled

FIXTURES = Path(__file__).parents[2] / "fixtures"
Alpha = NDArray[np.uint8]
Box = tuple[int, int, int, int]


def add_haze(alpha: Alpha, box: Box) -> None:
    """A hazy strap beside the product."""
    left, top, width, height = box
    alpha[top + height // 3 : top + height // 2, : left + width // 2] |= 150


def open_hole(alpha: Alpha, box: Box) -> None:
    left, top, width, height = box
    middle = left + width // 2, top + height // 2
    hole = cv2.ellipse(np.zeros_like(alpha), middle, (width // 5, height // 5), 0, 0, 360, 1, -1)
    alpha[(hole > 0) & (alpha > 0)] = 140


def soften_place(alpha: Alpha, box: Box) -> None:
    left, top, width, height = box
    part = (slice(top, top + height // 2), slice(left + width // 2, left + width + 20))
    alpha[part] = cv2.GaussianBlur(alpha, (0, 0), 9)[part]


def lose_part(alpha: Alpha, box: Box) -> None:
    left, top, width, height = box
    alpha[top + height // 2 : top + 3 * height // 4, left : left + width // 4] = 0


def take_along(alpha: Alpha, box: Box) -> None:
    left, top, width, height = box
    alpha[top + height // 2 : top + height, left + width - 9 : left + width + 20] = 255


DEFECTS = (add_haze, open_hole, soften_place, lose_part, take_along)
CHANGES = {
    "unchanged": PlantedChanges(),
    "shrunk": PlantedChanges(grow=-4),
    "missing": PlantedChanges(missing=0.15),
    "grown": PlantedChanges(grow=4),
}
CASES = [(name, defect, change) for name in ("mug", "vase", "pump") for defect in DEFECTS for change in CHANGES]


@sampled(("name", "defect", "change"), CASES, 6)
def test_an_imperfect_cutout_is_never_worse_than_pasted(
    name: str, defect: Callable[[Alpha, Box], None], change: str
) -> None:
    """Against a paste of the same cutout by hand: along the outline, and in any place of a few pixels."""
    with Image.open(next((FIXTURES / "photos").glob(f"{name}.*"))) as opened:
        photo = opened.convert("RGB")
    with Image.open(FIXTURES / "truth" / f"{name}.webp") as opened:
        alpha = np.array(opened.convert("RGBA").getchannel("A"))
    left, top, width, height = cv2.boundingRect((alpha > 127).astype(np.uint8))
    defect(alpha, (left, top, width, height))
    canvas = Image.fromarray(np.dstack((np.asarray(photo), alpha)))
    canvas = canvas.crop((left - 70, top - 70, left + width + 70, top + height + 70))
    changes = merge_changes(HARSHNESS["typical"], CHANGES[change], 11)
    answer, bare, _ = redraw(paint_texture("plain", canvas.size, 5), canvas, changes)
    comparison = compare(canvas, answer)
    assert comparison is not None
    assert not any(comparison.moved)
    ideal = np.asarray(composite(canvas, bare), dtype=np.float32)
    pasted, ours = (
        np.abs(np.asarray(composite(canvas, scene), dtype=np.float32) - ideal).mean(-1)
        for scene in (answer, inpaint_product(answer, comparison, (1.0, 1.0)))
    )
    beside = edge_distance(np.asarray(canvas.getchannel("A"))) <= 7
    assert ours[beside].mean() <= pasted[beside].mean() + 0.5
    assert cv2.GaussianBlur(ours - pasted, (0, 0), 4).max() < 23
