"""The finals guide's pictures: what a generator did to a product, and what `original` makes of it, by kind of drift.

python docs/pictures/finals.py
"""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw

from bench.redraw import PlantedChanges, redraw
from bench.textures import paint_texture
from photio_prep import prepare
from photio_prep.orders.store import SANDBOX, Order
from photio_prep.pipeline import finish
from photio_prep.types import Result

ROOT = Path(__file__).parents[2]
TILE, GAP, CAPTION = 280, 6, 22
# A generator's usual softness and noise, in which each change is planted.
USUAL = {"chroma": 2.0, "rim_blur": 0.7, "contact": 0.3, "jpeg": 92}
# File, photo, scene, middle of the detail (shares of the frame), change, caption.
ROWS = {
    "repaired": (
        ("mug", "pebbles", (0.35, 0.6), PlantedChanges(**USUAL), "unchanged"),
        ("jar", "wood", (0.36, 0.72), PlantedChanges(grow=4, **USUAL), "grown by 4 px on all sides"),
        ("carton", "wood", (0.6, 0.35), PlantedChanges(grow=10, grow_side="right", **USUAL), "one side grown by 10 px"),
        ("carton", "pebbles", (0.4, 0.3), PlantedChanges(move=(9, -6), **USUAL), "moved by 9, -6 px"),
    ),
    "reported": (
        ("carton", "wood", (0.5, 0.5), PlantedChanges(label_redrawn=0.3, **USUAL), "label redrawn"),
        ("vase", "wood", (0.5, 0.5), PlantedChanges(relight=0.4, **USUAL), "lit from one side"),
        ("mug", "wood", (0.5, 0.5), PlantedChanges(added=0.18, **USUAL), "a part added"),
        ("jar", "wood", (0.5, 0.5), PlantedChanges(missing=0.15, **USUAL), "a part missing"),
    ),
}


def order_of(name: str) -> Order:
    """A fixture's order, cut out by its truth."""
    with Image.open(ROOT / "fixtures" / "truth" / f"{name}.webp") as truth:
        mask = truth.convert("RGBA").getchannel("A")
    return prepare(ROOT / "fixtures" / "photos" / f"{name}.jpg", description="-", mask=mask, endpoint=SANDBOX)


def crop_detail(picture: Image.Image, middle: tuple[float, float], side: int) -> Image.Image:
    """A square of `side` px around a place, as large as a tile."""
    left = min(max(0, round(middle[0] * picture.width) - side // 2), picture.width - side)
    top = min(max(0, round(middle[1] * picture.height) - side // 2), picture.height - side)
    detail = picture.crop((left, top, left + side, top + side))
    return detail if side == TILE else detail.resize((TILE, TILE), Image.Resampling.LANCZOS)


def draw_regions(final: Image.Image, boxes: list[tuple[int, int, int, int]]) -> Image.Image:
    """The final with the boxes of its repaired rims."""
    marked = final.copy()
    for box in boxes:
        ImageDraw.Draw(marked).rectangle(box, outline=(255, 0, 200), width=2)
    return marked


def paint_row(row: tuple[str, str, tuple[float, float], PlantedChanges, str], side: int, columns: int) -> Image.Image:
    """Answer, final, and the final with its repaired regions; the caption has the change and the drift score."""
    name, scene, middle, changes, caption = row
    order = order_of(name)
    canvas = order.canvas.image
    redrawn = redraw(paint_texture(scene, canvas.size, 7), canvas, changes)
    final = finish(order, Result(b"", redrawn.answer, order.placement), product="original", output_size="canvas")
    assert final.drift is not None
    assert final.proof is not None
    answer = redrawn.answer.crop(order.placement.box)
    rims = [region.box for region in final.proof.replaced if region.kind == "rim"]
    tiles = [answer, final.image, draw_regions(final.image, rims)][:columns]
    strip = Image.new("RGB", (columns * (TILE + GAP) - GAP, TILE + CAPTION), "white")
    for number, tile in enumerate(tiles):
        strip.paste(crop_detail(tile, middle, side), (number * (TILE + GAP), CAPTION))
    text = f"{caption}: score {final.drift.score}"
    moved = f", moved {final.proof.moved}" if any(final.proof.moved) else ""
    repaired = f", {len(rims)} region{'s' * (len(rims) > 1)} of the rim repaired" if rims else ""
    ImageDraw.Draw(strip).text((2, 4), f"{text}{moved}{repaired}", fill="black", font_size=13)
    return strip


def main() -> None:
    """Write docs/pictures/finals-repaired.jpg and docs/pictures/finals-reported.jpg."""
    for name, rows in ROWS.items():
        whole = name == "reported"
        strips = [np.asarray(paint_row(row, 2 * TILE if whole else TILE, 2 if whole else 3)) for row in rows]
        sheet = np.concatenate([np.concatenate(strips[:2], 1), np.concatenate(strips[2:], 1)] if whole else strips)
        cv2.imwrite(
            str(ROOT / "docs" / "pictures" / f"finals-{name}.jpg"), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 66]
        )


if __name__ == "__main__":
    main()
