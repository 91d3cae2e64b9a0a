"""Foreground colours of a cutout's soft rim, and alpha without haze."""

import numpy as np

from photio_prep.imaging.filters import (
    Bytes,
    Floats,
    bounding_window,
    box_blur,
    dilate,
    load_opencv,
    map_tiles,
)

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
    snapped = np.asarray(load_opencv().LUT(levels, _SNAPPED))
    faint = (snapped > 0) & (snapped <= _HAZE)
    if haze and faint.any():
        snapped[faint & ~dilate(snapped >= 128, _NEAR)] = 0
    return snapped


def estimate_foreground(pixels: Bytes, levels: Bytes) -> Bytes:
    """Estimate the product's own colours: remove the background from the soft rim.

    Blur fusion (Forte, "Approximate Fast Foreground Colour Estimation", ICIP 2021) from coarse to fine: the colours of
    both sides are means weighted with alpha, and the residual of a pixel is added to both. Opaque pixels keep their
    colour exactly. `pixels` are sRGB values, not linear light: viewers and generators mix those.
    """
    soft = (levels > 0) & (levels < 255)
    if not soft.any():
        return pixels
    window = bounding_window(soft, _SMALLER * _WIDE)
    alpha = levels[window].astype(np.float32) / np.float32(255)
    estimate = [np.empty_like(alpha) for _ in range(3)]
    planes = [*pixels[window].transpose(2, 0, 1), *_mean_sides(pixels[window], alpha), alpha]
    map_tiles(soft[window], sum(_NARROW), _fuse, planes, estimate)
    colours = pixels.copy()
    colours[soft] = np.rint(np.stack([plane[soft[window]] for plane in estimate], axis=-1)).astype(np.uint8)
    return colours


def _fuse(planes: list[Floats]) -> list[Floats]:
    """Picture, product colour and background colour (three planes each), alpha -> product colour (three planes)."""
    picture, product, background = (np.stack(planes[first : first + 3]) for first in (0, 3, 6))
    alpha, rest = planes[9], 1 - planes[9]

    def correct(colour: Floats, share: Floats) -> Floats:
        residual = picture - alpha * product - rest * background
        return np.asarray(np.clip(colour + share * residual, 0, 255), dtype=np.float32)

    for radius in _NARROW:
        share = box_blur(alpha, radius)
        product = correct(product, alpha)
        product = np.stack([box_blur(plane, radius) for plane in product * alpha]) / (share + _TINY)
        background = np.stack([box_blur(plane, radius) for plane in background * rest]) / (1 - share + _TINY)
        background = correct(background, rest)
    return [*correct(product, alpha)]


def _mean_sides(pixels: Bytes, alpha: Floats) -> list[Floats]:
    """Mean colours of the product and of the background around each pixel: three planes (H, W) each."""
    cv2 = load_opencv()
    height, width = alpha.shape
    beyond = 0, -height % _SMALLER, 0, -width % _SMALLER
    colours = pixels.astype(np.float32)
    totals, products, share = (
        cv2.resize(
            cv2.copyMakeBorder(plane, *beyond, cv2.BORDER_REPLICATE),
            None,
            fx=1 / _SMALLER,
            fy=1 / _SMALLER,
            interpolation=cv2.INTER_AREA,
        )
        for plane in (colours, colours * alpha[..., None], alpha)
    )
    small = np.dstack((products, totals - products, share))
    # Where one side is not in the window, the mean of the picture is better than black.
    means = box_blur(small, _WIDE) + _TINY * small.mean((0, 1))
    share = means[..., 6:]
    sides = np.dstack((means[..., :3] / (share + _TINY**2), means[..., 3:6] / (1 + _TINY - share + _TINY**2)))
    large = cv2.resize(sides, None, fx=_SMALLER, fy=_SMALLER)[:height, :width]
    return [*large.transpose(2, 0, 1)]
