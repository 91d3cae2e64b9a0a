"""The finals guide's picture of half transparent products: the photo, pasted by its mask, and the final.

python docs/pictures/glass.py
"""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from bench.textures import paint_texture
from photio_prep.final.composite import build_layer, composite_product

ROOT = Path(__file__).parents[2]
SIDE = 300
# What each passes of red, green and blue, the levels that it adds, and its alpha in the mask.
KINDS = (((0.35, 0.36, 0.38), 8, 165), ((0.35, 0.75, 0.45), 8, 128), ((0.5, 0.5, 0.5), 112, 128))


def draw_photo(passed: tuple[float, float, float], added: float, level: int) -> tuple[Image.Image, Image.Image]:
    """A pane with thick edges, a highlight and an opaque lid before a grey studio, and its mask."""
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    shape = np.zeros((SIDE, SIDE), np.uint8)
    cv2.rectangle(shape, (60, 50), (240, 260), 255, -1)
    depth = cv2.distanceTransform(shape, cv2.DIST_L2, 5)
    pane = cv2.GaussianBlur(shape, (0, 0), 0.8)[..., None] / 255
    studio = np.array((205, 207, 212)) * (1 - 0.2 * rows / SIDE)[..., None]
    light = 170 * np.exp(-(((columns - 95) / 6) ** 2)) * (np.abs(rows - 150) < 80)
    through = np.array(passed) * (1 - 0.35 * np.exp(-depth / 8))[..., None]
    photo = studio * (1 - pane) + pane * (studio * through + added + cv2.GaussianBlur(light, (0, 0), 1.5)[..., None])
    mask = pane[..., 0] * level
    photo[35:60, 90:210], mask[35:60, 90:210] = (60, 62, 66), 255
    return tuple(Image.fromarray(np.rint(np.clip(levels, 0, 255)).astype(np.uint8)) for levels in (photo, mask))


def main() -> None:
    """Write docs/pictures/finals-glass.jpg."""
    tiles = []
    for kind in KINDS:
        photo, mask = draw_photo(*kind)
        scene = paint_texture("wood", photo.size, 7)
        pasted = [
            composite_product(scene, scene, build_layer(photo, mask, drawn=drawn), "original").image
            for drawn in (False, True)
        ]
        tiles.append(np.concatenate([np.asarray(picture)[20:280, 40:260] for picture in (photo, *pasted)], 1))
    path = ROOT / "docs" / "pictures" / "finals-glass.jpg"
    cv2.imwrite(str(path), np.concatenate(tiles, 1)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 75])


if __name__ == "__main__":
    main()
