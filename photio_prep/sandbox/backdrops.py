"""What stands behind the product, out of focus."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter

from photio_prep.sandbox.noise import Colour, Plane, fractal, mixed, resized, smooth, step, to_picture, to_plane
from photio_prep.sandbox.words import Mood

_COARSE = 4


def painted(mood: Mood, height: int, width: int, edge: int, rng: Generator) -> Plane:
    """The whole backdrop; what lies below row `edge` is hidden by the surface, or continues into it."""
    rows, columns = max(8, height // _COARSE), max(8, width // _COARSE)
    coarse = _PAINTERS[mood.backdrop](mood, rows, columns, max(4, edge // _COARSE), rng)
    return np.clip(resized(np.clip(coarse, 0, 1), height, width), 0, 1) ** 2


def _flat(colour: Colour, rows: int, columns: int) -> Plane:
    return np.broadcast_to(np.asarray(colour, dtype=np.float32) / np.float32(255), (rows, columns, 3)).copy()


def _ramp(top: Colour, bottom: Colour, rows: int, columns: int, end: int) -> Plane:
    share = np.clip(np.arange(rows, dtype=np.float32) / max(1, end), 0, 1)[:, None]
    return mixed(
        _flat(top, rows, columns), _flat(bottom, rows, columns), np.repeat(share, columns, axis=1).astype(np.float32)
    )


def _rgb(colour: npt.ArrayLike) -> tuple[int, int, int]:
    red, green, blue = (int(each) for each in np.clip(np.asarray(colour), 0, 255))
    return red, green, blue


def _block(draw: ImageDraw.ImageDraw, box: tuple[float, float, float, float], *, fill: tuple[int, int, int]) -> None:
    """A filled rectangle; nothing where a tiny canvas leaves no room for it."""
    if box[0] <= box[2] and box[1] <= box[3]:
        draw.rectangle(box, fill=fill)


def _soft(picture: Image.Image, radius: float) -> Plane:
    return to_plane(picture.filter(ImageFilter.GaussianBlur(radius)))


def _plaster(mood: Mood, rows: int, columns: int, edge: int, rng: Generator) -> Plane:  # noqa: ARG001
    brushed = fractal(rng, rows, columns, 4, 5, 5) - 0.5
    return np.asarray(_flat(mood.wall_colour, rows, columns) * (1 + 0.085 * brushed)[..., None], dtype=np.float32)


def _sweep(mood: Mood, rows: int, columns: int, edge: int, rng: Generator) -> Plane:  # noqa: ARG001
    return _flat(mood.wall_colour, rows, columns)


def _bricks(mood: Mood, rows: int, columns: int, edge: int, rng: Generator) -> Plane:  # noqa: ARG001
    base = np.asarray((158, 96, 76) if sum(mood.wall_colour) > 250 else (92, 58, 50), dtype=np.float32)
    picture = Image.new("RGB", (columns, rows), _rgb(base * 0.72 + 42))
    draw = ImageDraw.Draw(picture)
    high = max(4, min(rows, columns) // 15)
    wide = high * 3
    for line in range(rows // high + 1):
        for index in range(-1, columns // wide + 2):
            left = index * wide + (wide // 2 if line % 2 else 0)
            tone = base * rng.normal(1, 0.11) + rng.normal(0, 5, 3)
            _block(draw, (left + 1, line * high + 1, left + wide - 2, line * high + high - 1), fill=_rgb(tone))
    return _soft(picture, high * 0.13) * (0.93 + 0.14 * fractal(rng, rows, columns, 3, 4, 5))[..., None]


def _tiles(mood: Mood, rows: int, columns: int, edge: int, rng: Generator) -> Plane:  # noqa: ARG001
    base = np.asarray(mood.wall_colour, dtype=np.float32) * 0.6 + np.float32(98)
    if sum(mood.wall_colour) < 300:
        base = np.asarray(mood.wall_colour, dtype=np.float32)
    picture = Image.new("RGB", (columns, rows), _rgb(base * 0.86))
    draw = ImageDraw.Draw(picture)
    high = max(5, min(rows, columns) // 9)
    wide = high * 2
    for line in range(rows // high + 1):
        for index in range(-1, columns // wide + 2):
            left = index * wide + (wide // 2 if line % 2 else 0)
            tone = base * rng.normal(1, 0.018)
            _block(draw, (left + 1, line * high + 1, left + wide - 1, line * high + high - 1), fill=_rgb(tone))
            draw.line((left + 2, line * high + 2, left + wide - 3, line * high + 2), fill=_rgb(tone + 14))
    return _soft(picture, high * 0.07)


def _sky(mood: Mood, rows: int, columns: int, edge: int, rng: Generator) -> Plane:
    warm = mood.light.tint[2] < 0.87
    top, low = ((92, 116, 168), (255, 202, 150)) if warm else ((110, 164, 216), (216, 232, 244))
    if mood.night:
        top, low = (14, 20, 42), (46, 58, 92)
    sky = _ramp(top, low, rows, columns, edge)
    clouds = step(fractal(rng, rows, columns, 4, 3, 5), 0.48, 0.9)
    white = _flat((255, 214, 184) if warm else (70, 80, 110) if mood.night else (250, 250, 250), rows, columns)
    return mixed(sky, white, (clouds * np.float32(0.6)))


def _sea(mood: Mood, rows: int, columns: int, edge: int, rng: Generator) -> Plane:
    sky = _sky(mood, rows, columns, edge, rng)
    warm = mood.light.tint[2] < 0.87
    horizon = max(2, int(edge * 0.66))
    depth = np.clip((np.arange(rows, dtype=np.float32) - horizon) / max(1, edge - horizon), 0, 1)[:, None]
    far, near = ((96, 116, 140), (206, 168, 140)) if warm else ((58, 138, 176), (146, 212, 210))
    far_plane = _flat((20, 32, 56) if mood.night else far, rows, columns)
    near_plane = _flat((44, 60, 84) if mood.night else near, rows, columns)
    water = mixed(far_plane, near_plane, np.repeat(depth, columns, axis=1).astype(np.float32))
    waves = smooth(rng, rows, columns, rows / 2, columns / 14) - 0.5
    water = water * (1 + 0.16 * waves)[..., None]
    line = step(np.arange(rows, dtype=np.float32), horizon - 0.6, horizon + 1.4)[:, None] + np.zeros_like(waves)
    scene = mixed(sky, water, line)
    surf = np.exp(-(((np.arange(rows, dtype=np.float32) - edge * 0.97) / max(2.0, edge * 0.02)) ** 2))[:, None]
    scene = mixed(scene, _flat((246, 248, 248), rows, columns), 0.6 * surf * smooth(rng, rows, columns, 2, 9))
    return _soft(to_picture(scene), max(0.8, rows / 130))


def _discs(
    scene: Plane, colours: list[Colour], count: int, size: tuple[float, float], high: float, rng: Generator
) -> Plane:
    """Out-of-focus lights over the upper `high` of the scene, slightly brighter at their rims as lenses make them."""
    rows, columns = scene.shape[:2]
    for _ in range(count):
        radius = float(rng.uniform(*size)) * min(rows, columns)
        x, y = float(rng.uniform(0, columns)), float(rng.uniform(0, rows * high))
        colour = np.asarray(colours[int(rng.integers(len(colours)))], dtype=np.float32) / np.float32(255)
        top, left = max(0, int(y - radius - 2)), max(0, int(x - radius - 2))
        bottom, right = min(rows, int(y + radius + 3)), min(columns, int(x + radius + 3))
        if bottom <= top or right <= left:
            continue
        down, across = np.ogrid[top:bottom, left:right]
        distance = np.sqrt((down - y) ** 2 + (across - x) ** 2).astype(np.float32)
        disc = np.clip(radius + 0.5 - distance, 0, 1) * (0.72 + 0.28 * (distance / max(radius, 1e-3)) ** 4)
        patch = scene[top:bottom, left:right]
        share = (disc * np.float32(rng.uniform(0.10, 0.42)))[..., None]
        scene[top:bottom, left:right] = 1 - (1 - patch) * (1 - colour * share)
    return scene


def _foliage(mood: Mood, rows: int, columns: int, edge: int, rng: Generator) -> Plane:  # noqa: ARG001
    lit = smooth(rng, rows, columns, 3, 4)
    clumps = fractal(rng, rows, columns, 6, 8, 4)
    scene = mixed(_flat((28, 48, 26), rows, columns), _flat((112, 148, 66), rows, columns), clumps * lit * 1.3)
    glow = _flat((244, 240, 190), rows, columns)
    sun = step(smooth(rng, rows, columns, 3, 5), 0.55, 0.95)
    down = np.linspace(1, 0, rows, dtype=np.float32)[:, None]
    scene = _soft(to_picture(mixed(scene, glow, 0.55 * sun * down)), rows / 32)
    lights: list[Colour] = [(214, 232, 140), (255, 246, 200), (170, 204, 110), (250, 226, 160)]
    if mood.night:
        scene *= np.float32(0.28)
        lights = [(255, 206, 130), (255, 226, 170)]
    return _soft(to_picture(_discs(scene, lights, 46, (0.015, 0.055), 0.62, rng)), 0.9)


def _city(mood: Mood, rows: int, columns: int, edge: int, rng: Generator) -> Plane:
    dark = mood.night or sum(mood.wall_colour) < 330 or mood.light.level < 0.9
    top, low = ((16, 20, 38), (58, 44, 58)) if dark else ((186, 200, 214), (214, 208, 200))
    picture = to_picture(_ramp(top, low, rows, columns, edge))
    draw = ImageDraw.Draw(picture)
    for _ in range(16):
        left, wide = int(rng.integers(-10, columns)), int(columns * rng.uniform(0.05, 0.14))
        roof = int(edge * rng.uniform(0.05, 0.7))
        tone = rng.uniform(0.3, 0.8) * np.asarray((40, 42, 62) if dark else (168, 172, 180), dtype=np.float32)
        _block(draw, (left, roof, left + wide, rows), fill=_rgb(tone + (8 if dark else 60)))
    scene = _soft(picture, rows / 28)
    lights: list[Colour] = [(255, 178, 92), (255, 214, 150), (255, 110, 96), (120, 196, 255), (255, 150, 210)]
    if not dark:
        lights = [(255, 252, 240), (240, 246, 255)]
    return _soft(to_picture(_discs(scene, lights, 60 if dark else 26, (0.018, 0.06), 0.72, rng)), 0.8)


def _room(mood: Mood, rows: int, columns: int, edge: int, rng: Generator) -> Plane:
    wall = np.asarray(mood.wall_colour, dtype=np.float32)
    picture = Image.new("RGB", (columns, rows), _rgb(wall * 0.92))
    draw = ImageDraw.Draw(picture)
    left_lit = mood.light.side < 0
    start = columns * (0.03 if left_lit else 0.66)
    bright = (36, 44, 66) if mood.night else (255, 253, 244)
    for pane in range(2):
        x = start + pane * columns * 0.155
        _block(draw, (x, rows * 0.02, x + columns * 0.14, edge * 0.72), fill=bright)
        _block(draw, (x, edge * 0.36, x + columns * 0.14, edge * 0.375), fill=_rgb(wall * 0.85))
    shelf_left, shelf_right = (columns * 0.56, columns * 0.97) if left_lit else (columns * 0.03, columns * 0.44)
    for level in (0.30, 0.60):
        y = edge * level
        _block(draw, (shelf_left, y, shelf_right, y + max(2, edge * 0.03)), fill=_rgb(wall * 0.60 * (1, 0.9, 0.78)))
        x = shelf_left + columns * 0.02
        while x < shelf_right - columns * 0.03:
            wide, high = columns * rng.uniform(0.015, 0.05), edge * rng.uniform(0.08, 0.20)
            tone = mixed(wall, rng.uniform(60, 225, 3).astype(np.float32), 0.55)
            if rng.random() < 0.7:
                _block(draw, (x, y - high, x + wide, y - 1), fill=_rgb(tone))
            x += wide + columns * rng.uniform(0.004, 0.03)
    plant = shelf_right if left_lit else shelf_left
    for _ in range(14):
        x, y = rng.normal(plant, columns * 0.035), edge * rng.uniform(0.62, 0.95)
        draw.ellipse((x - 7, y - 11, x + 7, y + 11), fill=_rgb(np.asarray((92, 118, 84)) * rng.uniform(0.6, 1.1)))
    scene = _soft(picture, rows / 26)
    return _soft(to_picture(_discs(scene, [(255, 232, 190)], 5, (0.03, 0.07), 0.5, rng)), 1.2)


def _hills(mood: Mood, rows: int, columns: int, edge: int, rng: Generator) -> Plane:
    scene = to_picture(_sky(mood, rows, columns, edge, rng))
    draw = ImageDraw.Draw(scene)
    cold = mood.surface == "snow"
    haze = np.asarray((206, 218, 232), dtype=np.float32)
    near = np.asarray((92, 112, 140) if cold else (74, 96, 84), dtype=np.float32)
    if mood.night:
        haze, near = np.float32(0.3) * haze, np.float32(0.3) * near
    for layer in range(4):
        share = layer / 3
        ridge = fractal(rng, 2, columns, 1, 3 + layer * 1.5, 5)[0]
        top = edge * (0.42 + 0.15 * layer) - ridge * edge * 0.26
        points = [(float(x), float(y)) for x, y in enumerate(top)]
        draw.polygon([(0.0, float(rows)), *points, (float(columns), float(rows))], fill=_rgb(mixed(haze, near, share)))
    return _soft(scene, rows / 90)


_PAINTERS: dict[str, Callable[[Mood, int, int, int, Generator], Plane]] = {
    "plaster": _plaster,
    "sweep": _sweep,
    "bricks": _bricks,
    "tiles": _tiles,
    "sky": _sky,
    "sea": _sea,
    "foliage": _foliage,
    "city": _city,
    "room": _room,
    "hills": _hills,
}
