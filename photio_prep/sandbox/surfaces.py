"""What the product stands on: flat textures, and the perspective that lays them down."""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from PIL import Image

from photio_prep.sandbox.noise import Colour, Plane, blurred, fractal, mixed, smooth, step, to_picture, to_plane

# A texture is seen from low above: texels are half as many in depth as across, or the far rows would shimmer.
ROWS, COLUMNS = 448, 1600
GLOSS = {"marble": 0.16, "gloss": 0.34, "wood": 0.03, "stone": 0.04, "concrete": 0.05, "paper": 0.07}


def flat(surface: str, colour: Colour, rng: Generator) -> Plane:
    """The texture of `surface` seen from above, as display values 0..1, shape (ROWS, COLUMNS, 3)."""
    texture = _PAINTERS[surface](np.asarray(colour, dtype=np.float32) / np.float32(255), rng)
    return np.clip(texture, 0.0, 1.0)


def laid(texture: Plane, height: int, width: int, edge: int) -> Plane:
    """`texture` as a table whose far edge is row `edge`: linear light for the rows from there on."""
    depth = max(1, height - edge)
    vanishing = -0.9 * depth  # rows above the edge; 0.9 depths make the near edge 2.1 times as large as the far one
    near, far = depth - vanishing, -vanishing
    across = (COLUMNS - 6) / width * far  # the far edge shows the whole width of the texture
    reach = (ROWS - 6) / (1 / far - 1 / near)
    middle, start = COLUMNS / 2, 3 - reach / near
    # Row y of the output is q = y - vanishing below the vanishing line: u = middle + (x - width/2) * across / q,
    # v = reach / q + start. PIL wants both over a denominator whose constant is 1, hence the division by far.
    data = (
        across / far,
        middle / far,
        (middle * far - across * width / 2) / far,
        0.0,
        start / far,
        (reach + start * far) / far,
        0.0,
        1 / far,
    )
    picture = to_picture(texture).transform((width, depth), Image.Transform.PERSPECTIVE, data, Image.Resampling.BICUBIC)
    return to_plane(picture) ** 2


def _marble(colour: Plane, rng: Generator) -> Plane:
    dark = float(colour.mean()) < 0.45
    warp = fractal(rng, ROWS, COLUMNS, 1.6, 4, 6)
    base = fractal(rng, ROWS, COLUMNS, 2, 4, 5)
    rows = np.linspace(0, 1, ROWS, dtype=np.float32)[:, None]
    columns = np.linspace(0, 1, COLUMNS, dtype=np.float32)[None, :]
    slope = 1.6 + float(rng.random())
    veins = np.zeros((ROWS, COLUMNS), dtype=np.float32)
    for count, width, strength in ((1.3, 0.016, 1.0), (3.1, 0.020, 0.62), (6.3, 0.03, 0.28)):
        phase = (columns * slope + rows) * count + (warp - 0.5) * (1.5 + count * 0.12) + float(rng.random())
        distance = np.abs(phase - np.floor(phase) - 0.5)
        fade = step(smooth(rng, ROWS, COLUMNS, 4, 6), 0.35, 0.8)
        veins = np.maximum(veins, (np.float32(strength) * fade * np.exp(-distance / np.float32(width))))
    ink = np.asarray((0.86, 0.84, 0.80) if dark else (0.50, 0.49, 0.48), dtype=np.float32)
    cloud = colour * (0.90 + 0.12 * base[..., None])
    return mixed(cloud, ink, np.clip(veins * (0.55 if dark else 0.62), 0, 1) + (0.0 if dark else 0.10) * (1 - base))


def _wood(colour: Plane, rng: Generator) -> Plane:
    along = bool(rng.random() < 0.65)  # planks run across the picture, else towards the viewer
    height, width = (ROWS, COLUMNS) if along else (COLUMNS, ROWS)
    planks = int(rng.integers(4, 7)) if along else int(rng.integers(7, 11))
    across = np.linspace(0, planks, height, endpoint=False, dtype=np.float32)
    plank = across.astype(np.int32)
    tint = rng.normal(1.0, 0.055, planks + 1).astype(np.float32)[plank][:, None]
    shift = rng.integers(0, width, planks + 1)
    wave = fractal(rng, height, width, planks * 1.5, 3, 3)
    fibre = smooth(rng, height, width, height / 2.5, 14)
    pores = smooth(rng, height, width, height / 1.5, 60)
    for index in range(planks):
        rows = plank == index
        wave[rows] = np.roll(wave[rows], int(shift[index]), axis=1)
    inside = (across - plank)[:, None]
    rings = 0.5 + 0.5 * np.sin((wave * 5.5 + np.abs(inside - 0.5) * 2.2) * np.float32(2 * np.pi))
    tone = 1.04 - 0.15 * rings**2 - 0.16 * (fibre - 0.3) - 0.18 * step(pores, 0.72, 0.95) - 0.12 * (wave - 0.5)
    seam = np.minimum(inside, 1 - inside) * np.float32(height / planks)
    tone = tone * tint * (0.52 + 0.48 * step(seam + np.zeros_like(wave), 0.2, 3.2 if along else 5.0))
    warmth = np.asarray((1.0, 0.985, 0.955), dtype=np.float32)
    texture = colour * tone[..., None] * (1 + (warmth - 1) * (2.2 * rings[..., None]))
    return texture if along else np.ascontiguousarray(np.swapaxes(texture, 0, 1))


def _grainy(contrast: float, patches: float, grain: float) -> Callable[[Plane, Generator], Plane]:
    """A painter of mottled, grainy matter: stone, concrete, paper."""

    def paint(colour: Plane, rng: Generator) -> Plane:
        mottled = fractal(rng, ROWS, COLUMNS, patches, patches * 2, 5) - 0.5
        specks = rng.standard_normal((ROWS, COLUMNS), dtype=np.float32)
        pits = step(smooth(rng, ROWS, COLUMNS, ROWS / 3, COLUMNS / 6), 0.9, 1.0)
        tone = 1 + contrast * mottled + grain * specks - contrast * 0.9 * pits
        return np.asarray(colour * tone[..., None], dtype=np.float32)

    return paint


def _sand(colour: Plane, rng: Generator) -> Plane:
    warp = fractal(rng, ROWS, COLUMNS, 3, 5, 5)
    rows = np.linspace(0, 1, ROWS, dtype=np.float32)[:, None]
    ripple = np.sin((rows * 17 + warp * 2.6) * np.float32(2 * np.pi))
    strength = 0.005 + 0.055 * smooth(rng, ROWS, COLUMNS, 3, 4)
    specks = blurred(0.5 + 0.2 * rng.standard_normal((ROWS, COLUMNS), dtype=np.float32), 0.5) - 0.5
    tone = 1 + strength * ripple + 0.34 * specks + 0.16 * (warp - 0.5)
    return np.asarray(colour * tone[..., None], dtype=np.float32)


def _blades(colour: Plane, rng: Generator) -> Plane:
    clumps = fractal(rng, ROWS, COLUMNS, 9, 18, 4)
    blades = smooth(rng, ROWS, COLUMNS, ROWS / 5, COLUMNS / 2.2)
    fine = smooth(rng, ROWS, COLUMNS, ROWS / 2.2, COLUMNS / 2)
    tone = 0.62 + 0.55 * clumps + 0.75 * (blades - 0.5) + 0.5 * (fine - 0.5)
    dry = np.asarray((0.66, 0.60, 0.30), dtype=np.float32)
    ground = mixed(colour, dry, (0.34 * smooth(rng, ROWS, COLUMNS, 6, 10)).astype(np.float32))
    return np.asarray(ground * np.clip(tone, 0.12, 1.35)[..., None], dtype=np.float32)


def _linen(colour: Plane, rng: Generator) -> Plane:
    warp = fractal(rng, ROWS, COLUMNS, 2, 3, 3)
    rows = np.linspace(0, 1, ROWS, dtype=np.float32)[:, None]
    columns = np.linspace(0, 1, COLUMNS, dtype=np.float32)[None, :]
    folds = np.sin((columns * 2.2 + rows * 1.3 + warp * 1.8) * np.float32(2 * np.pi))
    folds = np.sign(folds) * np.abs(folds) ** np.float32(1.6)
    weave = smooth(rng, ROWS, COLUMNS, ROWS / 1.6, 60) + smooth(rng, ROWS, COLUMNS, 40, COLUMNS / 2.5) - 1
    tone = 0.97 + 0.055 * folds + 0.10 * weave + 0.06 * (warp - 0.5)
    return np.asarray(colour * tone[..., None], dtype=np.float32)


def _snow(colour: Plane, rng: Generator) -> Plane:
    drifts = fractal(rng, ROWS, COLUMNS, 3, 4, 5)
    sparkle = step(rng.random((ROWS, COLUMNS), dtype=np.float32), 0.9975, 1.0)
    shade = np.asarray((0.80, 0.87, 0.97), dtype=np.float32)
    return mixed(colour * np.ones((ROWS, COLUMNS, 1), dtype=np.float32), shade, 0.75 * (1 - drifts)) + (
        0.10 * sparkle[..., None]
    )


def _plain(colour: Plane, rng: Generator) -> Plane:
    tone = 1 + 0.02 * (fractal(rng, ROWS, COLUMNS, 3, 4, 3) - 0.5)
    return np.asarray(colour * tone[..., None], dtype=np.float32)


_PAINTERS: dict[str, Callable[[Plane, Generator], Plane]] = {
    "marble": _marble,
    "wood": _wood,
    "concrete": _grainy(0.26, 3, 0.016),
    "stone": _grainy(0.34, 6, 0.03),
    "sand": _sand,
    "grass": _blades,
    "moss": _blades,
    "linen": _linen,
    "snow": _snow,
    "gloss": _plain,
    "paper": _plain,
}
