"""The finals guide's picture of an enlarged scene: as it came, and made finer, at 100 %.

python docs/pictures/enlarged.py
"""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from bench.textures import paint_texture
from photio_prep import prepare
from photio_prep.orders.store import SANDBOX
from photio_prep.pipeline import finish
from photio_prep.types import Result

ROOT = Path(__file__).parents[2]
# Softness (sigma, px) and noise (levels) of light and colour that the answer has; tile in pixels of the final.
SOFT, NOISE, COLOUR = 0.7, 1.5, 2.5
TILE, SIZE, CORNER = 420, "long:3000", (700, 1700)


def soften(scene: Image.Image, canvas: Image.Image) -> Image.Image:
    """An answer as a decoder leaves it: scene (any size) with the product of `canvas`, soft and noisy."""
    answer = scene.resize(canvas.size, Image.Resampling.LANCZOS)
    answer.paste(canvas, mask=canvas.getchannel("A"))
    pixels = cv2.GaussianBlur(np.asarray(answer, dtype=np.float32), (0, 0), SOFT)
    rng = np.random.default_rng(1)
    coarse = rng.standard_normal((canvas.height // 2, canvas.width // 2, 3), dtype=np.float32)
    colour = cv2.resize(coarse - coarse.mean(2, keepdims=True), canvas.size, interpolation=cv2.INTER_CUBIC)
    pixels += COLOUR / colour.std() * colour + NOISE * rng.standard_normal((*pixels.shape[:2], 1))
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))


def main() -> None:
    """Write docs/pictures/finals-enlarged.jpg."""
    with Image.open(ROOT / "fixtures" / "truth" / "carton.webp") as truth:
        mask = truth.convert("RGBA").getchannel("A")
    photo = ROOT / "fixtures" / "photos" / "carton.jpg"
    order = prepare(photo, description="-", mask=mask, endpoint=SANDBOX)
    answer = soften(paint_texture("pebbles", mask.size, 7), order.canvas.image)
    finer = finish(order, Result(b"", answer, order.placement), product="original", output_size=SIZE)
    assert any("finer" in note for note in finer.notes)
    plain = finish(order, Result(b"", answer, order.placement), product="generated", output_size=SIZE)
    tiles = [
        np.asarray(final.image)[CORNER[0] : CORNER[0] + TILE, CORNER[1] : CORNER[1] + TILE] for final in (plain, finer)
    ]
    cv2.imwrite(
        str(ROOT / "docs" / "pictures" / "finals-enlarged.jpg"),
        np.concatenate(tiles, 1)[..., ::-1],
        [cv2.IMWRITE_JPEG_QUALITY, 80],
    )


if __name__ == "__main__":
    main()
