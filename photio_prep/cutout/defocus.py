"""Alpha of a product that is out of focus as a whole, from the colours of its wide rim."""

import numpy as np
from PIL import Image

from photio_prep.imaging.filters import (
    Bools,
    Bytes,
    Floats,
    distance_to,
    gaussian_blur,
    local_maximum,
    local_minimum,
)

# Factor by which the picture is reduced: a blurred rim has no detail to lose, and grain is averaged.
_SMALLER = 4
# Radius of the window for an edge's contrast, in pixels of the small picture.
_REACH = 7
# Sigma of the means of the sure colours on both sides, as a share of the rim's width.
_SPREAD = 0.6
# Sigma of the final smoothing, as a share of the rim's width: for grain, and the step to the sure colours.
_SMOOTH = 0.15
# Squared distances of two colours (0..255): of grain alone, and from which the two sides are distinct.
_GRAIN, _DISTINCT = 15.0**2, 800.0
# Weight of the colours' squared distance from a mixture of the two: other colours are no blur of them.
_STRAY = 8.0
_TINY = 1e-6


def blurred_alpha(pixels: Bytes, belief: Floats, rim: Bools) -> Floats:
    """Estimate alpha (0..1) where a lens mixed product and background over a rim as wide as the blur.

    A network takes such a rim for product, or draws its outline within it. Only the colours beyond the blur's width
    are sure. Between them alpha is the least-squares solution of C = α F + (1 - α) B (Smith and Blinn 1996), with F
    and B the means of the sure colours nearby. Where the two sides look the same, or the rim has other colours, the
    belief stays.

    `pixels` are sRGB; `rim`: where the belief (0..1) is neither 0 nor 1.
    """
    height, width = belief.shape
    size = max(1, width // _SMALLER), max(1, height // _SMALLER)
    picture, share, near = (
        np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BOX), dtype=np.float32)
        for plane in (pixels, belief, rim.astype(np.float32))
    )
    is_product = share >= 0.5
    if is_product.all() or not is_product.any() or min(size) < 2:
        return belief
    width_px = _median_width(picture, near > 0)
    if width_px < 1:
        return belief
    between = np.where(is_product, distance_to(~is_product), distance_to(is_product)) <= width_px
    sides = []
    for sure in (is_product & ~between, ~is_product & ~between):
        weight = gaussian_blur(sure.astype(np.float32), _SPREAD * width_px)
        colours = gaussian_blur(picture * sure[..., None], _SPREAD * width_px)
        sides.append((colours / (weight[..., None] + _TINY), weight > _TINY))
    (inside, inner), (outside, outer) = sides
    contrast = inside - outside
    distance = (contrast * contrast).sum(-1)
    mixed = np.clip(((picture - outside) * contrast).sum(-1) / (distance + _GRAIN), 0, 1)
    rest = picture - outside - mixed[..., None] * contrast
    unlike = gaussian_blur((rest * rest).sum(-1), _SMOOTH * width_px)
    weight_of_mix = distance / (distance + _DISTINCT + _STRAY * unlike) * (inner & outer)
    mixed_alpha = np.where(between, weight_of_mix * mixed + (1 - weight_of_mix) * share, is_product).astype(np.float32)
    smooth = gaussian_blur(mixed_alpha, _SMOOTH * width_px)
    large = Image.fromarray(smooth).resize((width, height), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(large, dtype=np.float32), 0, 1)


def _median_width(picture: Floats, rim: Bools) -> float:
    """Median width in pixels of the picture's edge at the rim: contrast nearby over steepest slope."""
    contrast = local_maximum(picture, _REACH) - local_minimum(picture, _REACH)
    steepest = local_maximum(np.hypot(*np.gradient(picture, axis=(0, 1))), _REACH)
    widths = np.linalg.norm(contrast, axis=-1) / (np.linalg.norm(steepest, axis=-1) + _TINY)
    return float(np.median(widths[rim]))
