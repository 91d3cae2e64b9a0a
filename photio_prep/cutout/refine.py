"""Refine a network's probability (belief) to alpha that is as sharp as the picture's own edges."""

from typing import NamedTuple

import numpy as np

from photio_prep.cutout.defocus import blurred_alpha
from photio_prep.cutout.edges import Candidates, make_candidates
from photio_prep.cutout.guided import guided_filter_tiles, ramp
from photio_prep.imaging.filters import (
    Bools,
    Bytes,
    Floats,
    bounding_window,
    box_blur,
    dilate,
    length_of,
    load_opencv,
    local_maximum,
    local_minimum,
)

# From so many pixels of the canvas per pixel of the network on, the wider filters are used.
_COARSE = 1.6


class _Steps(NamedTuple):
    """Stretch before the filters; radius of each filter and the stretch after it; the filters' epsilon.

    A stretch maps its lower value to 0 and its upper to 1. Narrower ones at the end lower the edge error of hard
    composites, and raise that of real lenses and meshes at canvas scale: measurements/cutouts.md.
    `eps`: the variance (of colours 0..1) below which a window counts as one colour.
    """

    before: tuple[float, float]
    filters: tuple[tuple[int, tuple[float, float]], ...]
    eps: float


_COARSE_STEPS = _Steps((0.15, 0.85), ((4, (0.2, 0.8)), (2, (0.15, 0.85))), 5e-4)
_FINE_STEPS = _Steps((0.12, 0.92), ((2, (0.15, 0.85)),), 2e-4)
# Widths of the picture's edge in pixels: up to the first the alpha is sharpened fully, from the second on not at all.
_WIDTHS = (7.0, 9.0)
_MOSTLY = 0.5
# Radius of the window for an edge's width, at half size.
_REACH = 14
# Reach from the rim: of the filter, and of out-of-focus edges.
_BUSY, _FAR = 2, 32


def refine_alpha(pixels: Bytes, belief: Floats, grain: float = 1.0) -> Floats:
    """Refine belief to alpha (0..1) along the picture's own edges.

    `pixels` are sRGB; `grain`: pixels of the picture per pixel of the network.
    """
    sharp = ramp(belief, *_steps(grain).before)
    rim = (sharp > 0) & (sharp < 1)
    if rim.any():
        window, candidates = edge_candidates(pixels, belief, grain)
        sharp[window] = candidates.mix()
    return sharp


def edge_candidates(pixels: Bytes, belief: Floats, grain: float) -> tuple[tuple[slice, slice], Candidates]:
    """Sharpen the belief along its rim, which must not be empty; returns the rim's window, and what `mix` needs there.

    Small colour-guided filters, each between two stretches. Where the picture's edge is wide (out of focus), the belief
    (0..1) is not sharpened.
    """
    steps = _steps(grain)
    alpha = ramp(belief, *steps.before)
    rim = (alpha > 0) & (alpha < 1)
    window = bounding_window(rim, 2 * _FAR)
    pixels, belief, rim, alpha = pixels[window], belief[window], rim[window], alpha[window]
    busy = dilate(rim, _BUSY)
    for radius, after in steps.filters:
        alpha = guided_filter_tiles(busy, pixels, alpha, radius, steps.eps, after)
    soft = ramp(edge_width(pixels), *_WIDTHS)
    blurred = blurred_alpha(pixels, belief, rim) if _is_defocused(soft, rim) else belief
    soft *= dilate(rim, _FAR)
    return window, make_candidates(pixels, belief, alpha + soft * (blurred - alpha), rim, grain)


def _steps(grain: float) -> _Steps:
    return _COARSE_STEPS if grain >= _COARSE else _FINE_STEPS


def transition_width(pixels: Bytes, rim: Bools) -> Floats:
    """Defocus (H, W): 1 where the picture's edges are too wide for a lens in focus, 0 where they are sharp.

    If that holds for most of the `rim`, the product is out of focus as a whole, and it is 1 everywhere: sharp edges in
    between belong to other things.
    """
    soft = ramp(edge_width(pixels), *_WIDTHS)
    return np.ones_like(soft) if _is_defocused(soft, rim) else soft


def _is_defocused(soft: Floats, rim: Bools) -> bool:
    """Whether the product is out of focus as a whole: most of its rim is soft."""
    return bool(soft[rim].mean() > _MOSTLY)


def edge_width(pixels: Bytes) -> Floats:
    """Width in pixels (H, W) of the strongest edge near each pixel of `pixels` (H, W, 3), sRGB.

    Contrast in a window divided by its steepest slope, in grey, at half size.
    """
    cv2 = load_opencv()
    height, width = pixels.shape[:2]
    even = cv2.copyMakeBorder(pixels, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    small = cv2.resize(even.astype(np.float32), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    grey = cv2.transform(small, np.full((1, 3), 1 / (3 * 255)))
    right, down = (cv2.Sobel(grey, cv2.CV_32F, *axis, ksize=1, scale=0.5) for axis in ((1, 0), (0, 1)))
    contrast = local_maximum(grey, _REACH) - local_minimum(grey, _REACH)
    width_px = 2 * contrast / (local_maximum(length_of(right, down), _REACH) + 1e-3)
    return np.asarray(cv2.resize(box_blur(width_px, 4), None, fx=2, fy=2)[:height, :width])
