"""From what a network believes to alpha: as sharp as the picture's own edge, and no sharper.

Takes and gives arrays. Touches nothing. Raises UsageError where the optional pymatting is missing.
"""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from photio_prep.errors import UsageError
from photio_prep.tiles import Floats, box_mean, over_tiles

# Belief below the first share is background, above the second is product: before the filter, and after it. The
# filter's eps is the variance (of colours 0..1) below which a window is taken for one colour.
_BEFORE = (0.15, 0.85)
_AFTER = (0.2, 0.8)
# Radii: a network of few pixels (this many of the canvas to one of its own, or more) is wrong by more of them.
_COARSE = 1.4
_COARSE_RADII, _FINE_RADII = (4, 2), (2,)
_EPS = 1e-4
# An edge of the picture that is wider than the first (pixels) is not hardened any more, from the second on not at all.
_WIDTHS = (6.0, 10.0)
# How far around a pixel its edge is looked for, at half size.
_REACH = 6
_UNSURE = (0.03, 0.97)


def stretch(belief: Floats, low: float, high: float) -> Floats:
    """0 up to `low`, 1 from `high` on, a straight line between."""
    return np.asarray(np.clip((belief - low) / (high - low), 0, 1), dtype=np.float32)


def fast(pixels: NDArray[np.uint8], belief: Floats, grain: float = 1.0) -> Floats:
    """Alpha (0..1) along the picture's own edges.

    Small colour-guided filters, each between two stretches; where the picture's edge is wide (out of focus), the
    belief as it is.

    Args:
        pixels: (H, W, 3) sRGB.
        belief: (H, W) 0..1.
        grain: Pixels of the picture to one of the network's.
    """
    image = pixels.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    sharp = stretch(belief, *_BEFORE)
    rim = _around((sharp > 0) & (sharp < 1))
    for radius in _COARSE_RADII if grain >= _COARSE else _FINE_RADII:
        planes = np.concatenate((image, sharp[None]))
        work = partial(_guided, radius=radius, eps=_EPS)
        sharp = stretch(over_tiles(rim, 2 * radius, work, planes, planes[3:].copy())[0], *_AFTER)
    soft = stretch(edge_width(image), *_WIDTHS)
    # Far from the rim both are 0 or 1 anyway; a belief of 0.02 there is not softness.
    return np.where(rim, sharp + soft * (stretch(belief, *_UNSURE) - sharp), sharp)


def best(pixels: NDArray[np.uint8], belief: Floats, grain: float = 1.0) -> Floats:
    """Alpha by closed-form matting (Levin, Lischinski, Weiss 2008) in a band along the rim of `fast`. Slow.

    Raises:
        UsageError: pymatting is not installed.
    """
    try:
        from pymatting import estimate_alpha_cf
    except ImportError as error:
        raise UsageError("pymatting is not installed", "Run: pip install pymatting, or use --refine fast") from error
    from scipy.ndimage import binary_dilation, distance_transform_cdt

    quick = fast(pixels, belief, grain)
    unsure = (quick > 0.05) & (quick < 0.95)
    product = quick >= 0.5
    edge = np.maximum(distance_transform_cdt(product), distance_transform_cdt(~product)) <= 3
    unknown = binary_dilation(unsure, iterations=2) | edge
    rows, columns = np.flatnonzero(unknown.any(1)), np.flatnonzero(unknown.any(0))
    if not len(rows):
        return quick
    # What is known far from the band says nothing about it.
    window = np.s_[max(rows[0] - 8, 0) : rows[-1] + 9, max(columns[0] - 8, 0) : columns[-1] + 9]
    trimap = np.where(unknown, 0.5, product)[window]
    found = quick.copy()
    # pymatting wants something known on either side.
    if (trimap == 0).any() and (trimap == 1).any():
        solved = estimate_alpha_cf(pixels[window] / 255.0, trimap)
        found[window] = np.where(unknown[window], solved, quick[window]).astype(np.float32)
    return found


def edge_width(image: Floats) -> Floats:
    """How many pixels the strongest edge near each pixel takes from one side to the other, (H, W).

    The contrast in a window divided by its steepest slope, in the channel with the most contrast, at half size.

    Args:
        image: (3, H, W), 0..1.
    """
    from scipy.ndimage import maximum_filter, minimum_filter, zoom

    _, height, width = image.shape
    even = np.pad(image, ((0, 0), (0, height % 2), (0, width % 2)), mode="edge")
    half = (even[:, ::2, ::2] + even[:, 1::2, ::2] + even[:, ::2, 1::2] + even[:, 1::2, 1::2]) / 4
    down, right = np.zeros_like(half), np.zeros_like(half)
    down[:, 1:-1] = (half[:, 2:] - half[:, :-2]) / 2
    right[:, :, 1:-1] = (half[:, :, 2:] - half[:, :, :-2]) / 2
    # The steepest slope is looked for before the window's maximum is, so one plane is enough for each.
    side = (1, 2 * _REACH + 1, 2 * _REACH + 1)
    slope = maximum_filter(np.hypot(down, right), side)
    contrast = maximum_filter(half, side) - minimum_filter(half, side)
    strongest = contrast.argmax(0)[None]
    wide = 2 * np.take_along_axis(contrast, strongest, 0)[0] / (np.take_along_axis(slope, strongest, 0)[0] + 1e-3)
    smooth = box_mean(wide, 4)
    return np.asarray(zoom(smooth, 2, order=1, mode="nearest", grid_mode=True)[:height, :width], dtype=np.float32)


def _around(where: NDArray[np.bool_]) -> NDArray[np.bool_]:
    from scipy.ndimage import binary_dilation

    return np.asarray(binary_dilation(where, iterations=2))


def _guided(stack: Floats, radius: int, eps: float) -> Floats:
    """He, Sun, Tang: Guided Image Filtering, TPAMI 2013, with a colour guide (their equations 14 to 16).

    Args:
        stack: (N, 4, S, S): three planes of the guide, and what is filtered.
        radius: Of the windows.
        eps: Added to the variance of each channel.
    """
    guide, belief = stack[:, :3], stack[:, 3:]
    first, second = [0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2]
    means = box_mean(np.concatenate((stack, guide * belief, guide[:, first] * guide[:, second]), axis=1), radius)
    middle, share = means[:, :3], means[:, 3:4]
    shared = means[:, 4:7] - middle * share
    rr, rg, rb, gg, gb, bb = (means[:, 7:] - middle[:, first] * middle[:, second]).transpose(1, 0, 2, 3)
    rr, gg, bb = rr + eps, gg + eps, bb + eps
    # The inverse of the symmetric 3 x 3 matrix, by its minors.
    a, b, c = gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg
    d, e, f = rr * bb - rb * rb, rg * rb - rr * gb, rr * gg - rg * rg
    r, g, blue = shared.transpose(1, 0, 2, 3)
    slopes = np.stack((a * r + b * g + c * blue, b * r + d * g + e * blue, c * r + e * g + f * blue), axis=1)
    slopes /= (rr * a + rg * b + rb * c)[:, None]
    rest = share - (slopes * middle).sum(1, keepdims=True)
    smooth = box_mean(np.concatenate((slopes, rest), axis=1), radius)
    return np.asarray((smooth[:, :3] * guide).sum(1, keepdims=True) + smooth[:, 3:], dtype=np.float32)
