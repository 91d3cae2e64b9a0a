"""Foreground colours of a cutout's soft rim, and alpha without haze."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photio_prep.cutout.refine import bounding_window
from photio_prep.imaging.tiles import Bools, Floats, box_blur, dilate, map_tiles

Bytes = NDArray[np.uint8]

# Resampling overshoots by a level or two: below this is 0, within as much of 255 is opaque.
_SNAP = 4
_SNAPPED = np.array([0 if level < _SNAP else 255 if level > 255 - _SNAP else level for level in range(256)], np.uint8)
# Alpha up to this level is haze unless the product itself is near: 8 px to each side is less than 12 px diagonally.
_HAZE = 8
_NEAR = 8
# Passes of the blur fusion. The wide one reaches beyond the widest rim, on a picture reduced by this factor; the narrow
# ones (radii) bring the detail back. Measured: measurements/cutouts.md.
_SMALLER, _WIDE, _NARROW = 8, 6, (8, 3, 1)
_TINY = 1e-5


def snap_alpha(levels: Bytes, *, haze: bool = False) -> Bytes:
    """Snap alpha (H, W) to exactly 0 outside and exactly 255 in the core.

    `haze`: also remove faint alpha that is not near the product (alpha of 128 or more).
    """
    snapped = np.asarray(_SNAPPED[levels], dtype=np.uint8)
    faint = (snapped > 0) & (snapped <= _HAZE)
    if haze and faint.any():
        snapped[faint & ~dilate(snapped >= 128, _NEAR)] = 0
    return snapped


def estimate_foreground(pixels: Bytes, levels: Bytes) -> Bytes:
    """Estimate the product's own colours: remove the background from the soft rim.

    Blur fusion (Forte, "Approximate Fast Foreground Colour Estimation", ICIP 2021) from coarse to fine: the colours of
    both sides are means weighted with alpha, and the residual of a pixel is added to both. Opaque pixels keep their
    colour exactly.

    Args:
        pixels: (H, W, 3), sRGB values, not linear light: viewers and generators mix those.
        levels: (H, W) alpha.
    """
    soft = (levels > 0) & (levels < 255)
    if not soft.any():
        return pixels
    window = bounding_window(soft, _SMALLER * _WIDE)
    colours = pixels.copy()
    colours[window] = _estimate_window(pixels[window], levels[window], soft[window])
    return colours


def _estimate_window(pixels: Bytes, levels: Bytes, soft: Bools) -> Bytes:
    alpha = levels.astype(np.float32) / np.float32(255)
    planes = [*pixels.transpose(2, 0, 1), *_mean_sides(pixels, alpha), alpha]
    estimate = map_tiles(soft, sum(_NARROW), _fuse, planes, np.empty((3, *alpha.shape), np.float32))
    mixed = pixels.copy()
    mixed[soft] = np.rint(estimate[:, soft].T).astype(np.uint8)
    return mixed


def _fuse(stack: Floats) -> Floats:
    """(N, 10, S, S): picture, product colour, background colour, alpha -> product colour."""
    picture, product, background, share = stack[:, :3], stack[:, 3:6], stack[:, 6:9], stack[:, 9:]
    for radius in _NARROW:
        residual = picture - share * product - (1 - share) * background
        product = np.clip(product + share * residual, 0, 255)
        means = box_blur(np.concatenate((product * share, background * (1 - share), share), axis=1), radius)
        product, background = means[:, :3] / (means[:, 6:] + _TINY), means[:, 3:6] / (1 - means[:, 6:] + _TINY)
        background = np.clip(background + (1 - share) * (picture - share * product - (1 - share) * background), 0, 255)
    residual = picture - share * product - (1 - share) * background
    return np.asarray(np.clip(product + share * residual, 0, 255), dtype=np.float32)


def _mean_sides(pixels: Bytes, alpha: Floats) -> list[Floats]:
    """Mean colours of the product and of the background around each pixel: three planes (H, W) each."""
    height, width = alpha.shape
    share = _mean_blocks(alpha)
    products, totals = [], []
    for plane in pixels.transpose(2, 0, 1):
        image = plane.astype(np.float32)
        totals.append(_mean_blocks(image))
        image *= alpha
        products.append(_mean_blocks(image))
    small = np.stack((*products, *totals, share))
    small[3:6] -= small[:3]
    rows, columns = share.shape
    # Where one side is not in the window, the mean of the picture is better than black.
    means = box_blur(small, _WIDE) + _TINY * small.mean((1, 2), keepdims=True)
    share = means[6:]
    sides = np.concatenate((means[:3] / (share + _TINY**2), means[3:6] / (1 + _TINY - share + _TINY**2)))
    size = columns * _SMALLER, rows * _SMALLER
    large = [Image.fromarray(plane).resize(size, Image.Resampling.BILINEAR) for plane in sides]
    return [np.asarray(plane)[:height, :width] for plane in large]


def _mean_blocks(plane: Floats) -> Floats:
    """Means of squares of `_SMALLER` pixels; at the far borders the squares are smaller."""
    down, across = (np.arange(0, length, _SMALLER) for length in plane.shape)
    sums = np.add.reduceat(np.add.reduceat(plane, down, axis=0), across, axis=1)
    counts = [np.diff(starts, append=length) for starts, length in zip((down, across), plane.shape, strict=True)]
    return np.asarray(sums / np.outer(*counts), dtype=np.float32)
