"""The alpha of a product that is out of focus as a whole: how much of its colour each pixel of the wide rim shows."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photio_prep.imaging.tiles import Bools, Floats, extreme

# The rim is looked at in a picture this many times smaller: there is no detail in it to lose, and grain is averaged.
_SMALLER = 4
# How far around a pixel the contrast of its edge is looked for, in pixels of the small picture.
_REACH = 7
# How wide the means of the sure colours on both sides are (sigma), as a share of the rim's width.
_SPREAD = 0.6
# What is left of the grain, and the step from the rim to what is sure, are smoothed over this share of the width.
_SMOOTH = 0.15
# Squared distances of two colours (0..255): what grain alone makes of one, and from where they tell the sides apart.
_GRAIN, _TOLD_APART = 15.0**2, 800.0
_TINY = 1e-6


def blurred_alpha(pixels: NDArray[np.uint8], belief: Floats, rim: Bools) -> Floats:
    """Alpha (0..1) where a lens mixed the product with what lies behind it, over a rim as wide as the blur.

    A network sees such a rim as product, or draws its outline somewhere within. Sure are only the colours beyond the
    blur's width on both sides; what lies between is the share of the one in the other (least squares of
    C = α F + (1 - α) B, Smith and Blinn 1996, with F and B the means of the sure colours nearby). Where the two sides
    look the same, the belief stays.

    Args:
        pixels: (H, W, 3) sRGB.
        belief: (H, W) 0..1.
        rim: Where the belief is neither.
    """
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    height, width = belief.shape
    size = max(1, width // _SMALLER), max(1, height // _SMALLER)
    seen = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX), dtype=np.float32)
    share = _resized(belief, size, Image.Resampling.BOX)
    product = share >= 0.5
    if product.all() or not product.any() or min(size) < 2:
        return belief
    wide = _width(seen, _resized(rim.astype(np.float32), size, Image.Resampling.BOX) > 0)
    if wide < 1:
        return belief
    between = np.where(product, distance_transform_edt(product), distance_transform_edt(~product)) <= wide
    sides = []
    for sure in (product & ~between, ~product & ~between):
        weight = gaussian_filter(sure.astype(np.float32), _SPREAD * wide)
        colours = gaussian_filter(seen * sure[..., None], (_SPREAD * wide, _SPREAD * wide, 0))
        sides.append((colours / (weight[..., None] + _TINY), weight > _TINY))
    (inside, inner), (outside, outer) = sides
    way = inside - outside
    apart = (way * way).sum(-1)
    mixed = np.clip(((seen - outside) * way).sum(-1) / (apart + _GRAIN), 0, 1)
    told = apart / (apart + _TOLD_APART) * (inner & outer)
    found = np.where(between, told * mixed + (1 - told) * share, product).astype(np.float32)
    smooth = gaussian_filter(found, _SMOOTH * wide)
    return np.clip(_resized(smooth, (width, height), Image.Resampling.BICUBIC), 0, 1)


def _width(seen: Floats, rim: Bools) -> float:
    """Over how many pixels the picture's edge runs at the rim, as a median: contrast nearby over steepest slope."""
    contrast = extreme(seen, _REACH, np.maximum) - extreme(seen, _REACH, np.minimum)
    steepest = extreme(np.hypot(*np.gradient(seen, axis=(0, 1))), _REACH, np.maximum)
    widths = np.linalg.norm(contrast, axis=-1) / (np.linalg.norm(steepest, axis=-1) + _TINY)
    return float(np.median(widths[rim]))


def _resized(plane: Floats, size: tuple[int, int], by: Image.Resampling) -> Floats:
    return np.asarray(Image.fromarray(plane).resize(size, by))
