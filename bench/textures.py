"""Textured scenes without perspective: what a product's outline is hard to tell from."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator
from PIL import Image

from photio_prep.sandbox.scenery.arrays import Colour, Plane, blur, fractal_noise, mix, to_picture, value_noise


def paint_texture(name: str, size: tuple[int, int], seed: int) -> Image.Image:
    """Paint a texture (RGB) of `size`: a name of TEXTURES."""
    rng = np.random.default_rng([seed, *name.encode()])
    width, height = size
    light = 0.78 + 0.3 * fractal_noise(rng, height, width, 1.5, 2, 2)[..., None]
    return to_picture(TEXTURES[name](height, width, rng) * light)


def _colour(rgb: Colour) -> Plane:
    return np.asarray(rgb, dtype=np.float32) / np.float32(255)


def _pebbles(height: int, width: int, rng: Generator) -> Plane:
    """Stones of 12 to 30 px: the cells of random points, rounded, dark between them."""
    holes = np.ones((height, width), np.uint8)
    count = height * width // 380
    holes[rng.integers(0, height, count), rng.integers(0, width, count)] = 0
    distance, cells = cv2.distanceTransformWithLabels(holes, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    shade = rng.normal(1, 0.22, int(cells.max()) + 1).astype(np.float32)[cells]
    warmth = rng.normal(0, 0.04, int(cells.max()) + 1).astype(np.float32)[cells]
    tone = shade * np.clip(1.15 - (distance / 17) ** 2, 0.25, 1)
    tint = np.stack([1 + warmth, np.ones_like(warmth), 1 - warmth], axis=-1)
    return blur(np.clip(_colour((158, 150, 138)) * tone[..., None] * tint, 0, 1), 0.7)


def _wood(height: int, width: int, rng: Generator) -> Plane:
    wave = fractal_noise(rng, height, width, 5, 2, 3)
    rings = 0.5 + 0.5 * np.sin((wave * 34 + np.linspace(0, 9, height)[:, None]) * 2 * np.pi).astype(np.float32)
    fibre = value_noise(rng, height, width, height / 2.2, width / 40)
    planks = (np.arange(height) % max(40, height // 6) < 3)[:, None]
    tone = (1.1 - 0.3 * rings - 0.3 * (fibre - 0.5)) * np.where(planks, 0.35, 1)
    return np.asarray(_colour((176, 122, 76)) * tone[..., None], dtype=np.float32)


def _fabric(height: int, width: int, rng: Generator) -> Plane:
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    rows += 6 * fractal_noise(rng, height, width, 6, 6, 2)
    weave = np.sin(rows * (2 * np.pi / 6)) * np.sin(columns * (2 * np.pi / 6))
    tone = 1 + 0.2 * weave + 0.14 * (value_noise(rng, height, width, height / 3, width / 3) - 0.5)
    return np.asarray(_colour((128, 138, 150)) * tone[..., None], dtype=np.float32)


def _foliage(height: int, width: int, rng: Generator) -> Plane:
    """Sharp leaves in every size, from deep shade to sun."""
    leaves = fractal_noise(rng, height, width, 9, 12, 6)
    patches = fractal_noise(rng, height, width, 40, 50, 3)
    edges = np.where(patches > 0.5, 1.25, 0.7).astype(np.float32)
    return mix(_colour((20, 34, 16)), _colour((150, 178, 84)), np.clip(leaves * edges * 1.2 - 0.15, 0, 1))


def _pattern(height: int, width: int, rng: Generator) -> Plane:
    """Checks with hard edges, turned by a few degrees."""
    rows, columns = np.mgrid[:height, :width]
    angle, size = float(rng.uniform(-0.3, 0.3)), float(rng.uniform(14, 34))
    x, y = columns * np.cos(angle) + rows * np.sin(angle), rows * np.cos(angle) - columns * np.sin(angle)
    dark = ((x // size + y // size) % 2).astype(np.float32)
    return blur(mix(_colour((216, 206, 188)), _colour((70, 86, 104)), dark), 0.6)


def _plain(height: int, width: int, rng: Generator) -> Plane:
    wall = 1 + 0.04 * fractal_noise(rng, height, width, 8, 8, 4)
    return np.asarray(_colour((196, 190, 182)) * wall[..., None], dtype=np.float32)


TEXTURES: dict[str, Callable[[int, int, Generator], Plane]] = {
    "pebbles": _pebbles,
    "wood": _wood,
    "fabric": _fabric,
    "foliage": _foliage,
    "pattern": _pattern,
    "plain": _plain,
}
