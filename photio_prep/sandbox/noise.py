"""Noise and the few array operations that every painter of the scene needs."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Plane = NDArray[np.float32]
Colour = tuple[float, float, float]  # display values, 0..255


def resized(plane: Plane, height: int, width: int) -> Plane:
    """`plane` (H, W) or (H, W, 3) at another size, bicubic and without a step through 8 bits."""
    if plane.ndim == 3:
        return np.stack([resized(plane[..., index], height, width) for index in range(3)], axis=-1)
    picture = Image.fromarray(np.ascontiguousarray(plane, dtype=np.float32))
    return np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32)


def smooth(rng: Generator, height: int, width: int, rows: float, columns: float) -> Plane:
    """Value noise with about `rows` x `columns` bumps."""
    grid = rng.random((max(2, round(rows)) + 2, max(2, round(columns)) + 2), dtype=np.float32)
    return np.clip(resized(grid, height, width), 0.0, 1.0)


def fractal(rng: Generator, height: int, width: int, rows: float, columns: float, octaves: int = 4) -> Plane:
    """Octaves of value noise, each twice as fine and half as strong, stretched to 0..1."""
    total = np.zeros((height, width), dtype=np.float32)
    for octave in range(octaves):
        total += smooth(rng, height, width, rows * 2**octave, columns * 2**octave) * np.float32(0.5**octave)
    low, high = float(total.min()), float(total.max())
    return (total - np.float32(low)) / np.float32(max(high - low, 1e-6))


def blurred(plane: Plane, radius: float) -> Plane:
    """`plane` (H, W) or (H, W, 3), 0..1, after a Gaussian blur in 8 bits."""
    if radius <= 0:
        return plane
    return to_plane(to_picture(plane).filter(ImageFilter.GaussianBlur(radius)))


def to_picture(plane: Plane) -> Image.Image:
    """An 8-bit picture, L or RGB, of values 0..1 as they are."""
    return Image.fromarray((np.clip(plane, 0.0, 1.0) * np.float32(255) + np.float32(0.5)).astype(np.uint8))


def to_plane(picture: Image.Image) -> Plane:
    """The values 0..1 of an 8-bit picture as they are."""
    return np.asarray(picture, dtype=np.float32) / np.float32(255)


def linear(colour: Colour) -> Plane:
    """One colour in linear light, shape (3,)."""
    return (np.asarray(colour, dtype=np.float32) / np.float32(255)) ** 2


def mixed(first: Plane, second: Plane, share: Plane | float) -> Plane:
    """`first` where `share` is 0, `second` where it is 1; a share of shape (H, W) serves all three colours."""
    if isinstance(share, np.ndarray) and share.ndim == 2:
        share = share[..., None]
    return np.asarray(first + (second - first) * share, dtype=np.float32)


def step(plane: Plane, start: float, end: float) -> Plane:
    """0 up to `start`, 1 from `end` on, smooth in between."""
    share = np.clip((plane - np.float32(start)) / np.float32(end - start), 0.0, 1.0)
    return np.asarray(share * share * (3 - 2 * share), dtype=np.float32)
