"""Noise and array helpers: float32 arrays of shape (H, W) or (H, W, 3), values 0..1.

Linear light is the square of the display value: a close and fast approximation of sRGB.
"""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Plane = NDArray[np.float32]
Colour = tuple[float, float, float]  # display values, 0..255


def resize(plane: Plane, height: int, width: int) -> Plane:
    """Resize in floating point, bicubic."""
    if plane.ndim == 3:
        return np.stack([resize(plane[..., index], height, width) for index in range(3)], axis=-1)
    picture = Image.fromarray(np.ascontiguousarray(plane, dtype=np.float32))
    return np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32)


def value_noise(rng: Generator, height: int, width: int, rows: float, columns: float) -> Plane:
    """Value noise with about `rows` x `columns` bumps."""
    grid = rng.random((max(2, round(rows)) + 2, max(2, round(columns)) + 2), dtype=np.float32)
    return np.clip(resize(grid, height, width), 0.0, 1.0)


def fractal_noise(rng: Generator, height: int, width: int, rows: float, columns: float, octaves: int = 4) -> Plane:
    """Octaves of value noise, each twice as fine and half as strong, stretched to 0..1."""
    total = np.zeros((height, width), dtype=np.float32)
    for octave in range(octaves):
        total += value_noise(rng, height, width, rows * 2**octave, columns * 2**octave) * np.float32(0.5**octave)
    low, high = float(total.min()), float(total.max())
    return (total - np.float32(low)) / np.float32(max(high - low, 1e-6))


def blur(plane: Plane, radius: float) -> Plane:
    """Gaussian blur in 8 bits."""
    return to_plane(to_picture(plane).filter(ImageFilter.GaussianBlur(radius)))


def to_picture(plane: Plane) -> Image.Image:
    """8-bit picture, L or RGB."""
    return Image.fromarray((np.clip(plane, 0.0, 1.0) * np.float32(255) + np.float32(0.5)).astype(np.uint8))


def to_plane(picture: Image.Image) -> Plane:
    """Values of an 8-bit picture as 0..1."""
    return np.asarray(picture, dtype=np.float32) / np.float32(255)


def mix(first: Plane, second: Plane, share: Plane | float) -> Plane:
    """`first` where `share` is 0, `second` where it is 1. A share of shape (H, W) applies to all channels."""
    if isinstance(share, np.ndarray) and share.ndim == 2:
        share = share[..., None]
    return np.asarray(first + (second - first) * share, dtype=np.float32)


def smoothstep(plane: Plane, start: float, end: float) -> Plane:
    """0 up to `start`, 1 from `end` on, smooth in between."""
    share = np.clip((plane - np.float32(start)) / np.float32(end - start), 0.0, 1.0)
    return np.asarray(share * share * (3 - 2 * share), dtype=np.float32)
