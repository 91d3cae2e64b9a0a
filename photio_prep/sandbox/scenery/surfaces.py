"""Surfaces under the product, laid down in perspective, and backdrops behind it, out of focus."""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from PIL import Image

from photio_prep.sandbox.scenery import arrays
from photio_prep.sandbox.scenery.arrays import Plane, blur, fractal_noise, mix, smoothstep, value_noise
from photio_prep.sandbox.scenery.scene_parser import Scene

# The camera is low: half as many texels in depth as across, or the far rows would shimmer.
_ROWS, _COLUMNS = 448, 1600
GLOSS = {"marble": 0.16, "wood": 0.03, "stone": 0.04, "paper": 0.07}  # of the mirror image


def paint_surface(scene: Scene, height: int, width: int, far_edge: int, rng: Generator) -> Plane:
    """Surface in perspective, in linear light, for the rows from `far_edge` on."""
    colour = np.asarray(scene.surface_colour, dtype=np.float32) / np.float32(255)
    texture = SURFACES[scene.surface](colour, rng)
    depth = max(1, height - far_edge)
    far, near = 0.9 * depth, 1.9 * depth  # rows below the vanishing line: the near edge is 2.1 times as large
    across = (_COLUMNS - 6) / width * far  # the far edge shows the full width of the texture
    reach = (_ROWS - 6) / (1 / far - 1 / near)
    middle, start = _COLUMNS / 2, 3 - reach / near
    # Row y of the output is q = y + far below the vanishing line: u = middle + (x - width/2) * across / q,
    # v = reach / q + start. PIL expects both over a denominator whose constant is 1, hence the division by far.
    u = (across / far, middle / far, (middle * far - across * width / 2) / far)
    v = (0.0, start / far, (reach + start * far) / far)
    picture = arrays.to_picture(texture).transform(
        (width, depth), Image.Transform.PERSPECTIVE, (*u, *v, 0.0, 1 / far), Image.Resampling.BICUBIC
    )
    return arrays.to_plane(picture) ** 2


def paint_backdrop(scene: Scene, height: int, width: int, rng: Generator) -> Plane:
    """Backdrop of the whole canvas in linear light, shape (H, W, 3)."""
    colour = np.asarray(scene.wall_colour, dtype=np.float32) / np.float32(255)
    coarse = BACKDROPS[scene.backdrop](colour, max(8, height // 4), max(8, width // 4), rng)  # out of focus
    return np.clip(arrays.resize(np.clip(coarse, 0, 1), height, width), 0, 1) ** 2


def _paint_marble(colour: Plane, rng: Generator) -> Plane:
    dark = float(colour.mean()) < 0.45
    warp = fractal_noise(rng, _ROWS, _COLUMNS, 1.6, 4, 6)
    base = fractal_noise(rng, _ROWS, _COLUMNS, 2, 4, 5)
    rows = np.linspace(0, 1, _ROWS, dtype=np.float32)[:, None]
    columns = np.linspace(0, 1, _COLUMNS, dtype=np.float32)[None, :]
    slope = 1.6 + float(rng.random())
    veins = np.zeros((_ROWS, _COLUMNS), dtype=np.float32)
    for count, width, strength in ((1.3, 0.016, 1.0), (3.1, 0.020, 0.62), (6.3, 0.03, 0.28)):
        phase = (columns * slope + rows) * count + (warp - 0.5) * (1.5 + count * 0.12) + float(rng.random())
        distance = np.abs(phase - np.floor(phase) - 0.5)
        fade = smoothstep(value_noise(rng, _ROWS, _COLUMNS, 4, 6), 0.35, 0.8)
        veins = np.maximum(veins, (np.float32(strength) * fade * np.exp(-distance / np.float32(width))))
    ink = np.asarray((0.86, 0.84, 0.80) if dark else (0.50, 0.49, 0.48), dtype=np.float32)
    cloud = colour * (0.90 + 0.12 * base[..., None])
    return mix(cloud, ink, np.clip(veins * (0.55 if dark else 0.62), 0, 1) + (0.0 if dark else 0.10) * (1 - base))


def _paint_wood(colour: Plane, rng: Generator) -> Plane:
    crosswise = bool(rng.random() < 0.65)  # planks run across the picture, else towards the viewer
    height, width = (_ROWS, _COLUMNS) if crosswise else (_COLUMNS, _ROWS)
    planks = int(rng.integers(4, 7)) if crosswise else int(rng.integers(7, 11))
    across = np.linspace(0, planks, height, endpoint=False, dtype=np.float32)
    plank = across.astype(np.int32)
    tint = rng.normal(1.0, 0.055, planks + 1).astype(np.float32)[plank][:, None]
    shift = rng.integers(0, width, planks + 1)
    wave = fractal_noise(rng, height, width, planks * 1.5, 3, 3)
    fibre = value_noise(rng, height, width, height / 2.5, 14)
    pores = value_noise(rng, height, width, height / 1.5, 60)
    for index in range(planks):
        wave[plank == index] = np.roll(wave[plank == index], int(shift[index]), axis=1)
    inside = (across - plank)[:, None]
    rings = 0.5 + 0.5 * np.sin((wave * 5.5 + np.abs(inside - 0.5) * 2.2) * np.float32(2 * np.pi))
    tone = 1.04 - 0.15 * rings**2 - 0.16 * (fibre - 0.3) - 0.18 * smoothstep(pores, 0.72, 0.95) - 0.12 * (wave - 0.5)
    seam = np.minimum(inside, 1 - inside) * np.float32(height / planks)
    tone = tone * tint * (0.52 + 0.48 * smoothstep(seam, 0.2, 3.2 if crosswise else 5.0))
    warmth = np.asarray((0.0, -0.033, -0.099), dtype=np.float32) * rings[..., None]
    texture = colour * tone[..., None] * (1 + warmth)
    return texture if crosswise else np.ascontiguousarray(np.swapaxes(texture, 0, 1))


def _paint_stone(colour: Plane, rng: Generator) -> Plane:
    mottled = fractal_noise(rng, _ROWS, _COLUMNS, 6, 12, 5) - 0.5
    specks = rng.standard_normal((_ROWS, _COLUMNS), dtype=np.float32)
    pits = smoothstep(value_noise(rng, _ROWS, _COLUMNS, _ROWS / 3, _COLUMNS / 6), 0.9, 1.0)
    tone = 1 + 0.34 * mottled + 0.03 * specks - 0.306 * pits
    return np.asarray(colour * tone[..., None], dtype=np.float32)


def _paint_wall(colour: Plane, rows: int, columns: int, rng: Generator) -> Plane:
    plaster = fractal_noise(rng, rows, columns, 4, 5, 5) - 0.5
    return np.asarray(colour * (1 + 0.085 * plaster)[..., None], dtype=np.float32)


def _paint_tiles(colour: Plane, rows: int, columns: int, rng: Generator) -> Plane:
    size = max(5, min(rows, columns) // 9)
    line = np.arange(rows)[:, None] // size
    x = np.arange(columns)[None, :] + line % 2 * size
    tone = rng.normal(1, 0.03, (rows // size + 1, columns // size + 2))[line, x // (2 * size)]
    joint = (np.arange(rows)[:, None] % size == 0) | (x % (2 * size) == 0)
    tiles = np.where(joint, 0.86, tone)[..., None] * (0.4 + 0.6 * colour if colour.mean() > 0.4 else colour)
    return blur(tiles.astype(np.float32), size * 0.07)


SURFACES = {"marble": _paint_marble, "wood": _paint_wood, "stone": _paint_stone}
BACKDROPS: dict[str, Callable[[Plane, int, int, Generator], Plane]] = {
    "wall": _paint_wall,
    "tiles": _paint_tiles,
    "sweep": lambda colour, rows, columns, _: np.full((rows, columns, 3), colour, dtype=np.float32),
}
