"""Refine a network's probability (belief) to alpha that is as sharp as the picture's own edges."""

from typing import NamedTuple

import numpy as np

from photio_prep.cutout.defocus import blurred_alpha
from photio_prep.cutout.edges import Candidates, make_candidates, measure_slopes
from photio_prep.cutout.guided import guided_filter_tiles, ramp
from photio_prep.imaging.filters import (
    Bools,
    Bytes,
    Floats,
    bounding_window,
    box_blur,
    dilate,
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
    cv2, rim = load_opencv(), find_rim(belief, grain)
    sharp = np.asarray(cv2.threshold(belief, _steps(grain).before[1], 1, cv2.THRESH_BINARY)[1])
    if rim.any():
        window, candidates = edge_candidates(pixels, belief, rim, grain)
        sharp[window] = candidates.mix()
    return sharp


def find_rim(belief: Floats, grain: float) -> Bools:
    """Where a belief (0..1) is neither background nor product. `grain`: see `refine_alpha`."""
    return np.asarray(load_opencv().inRange(belief, *_steps(grain).before) > 0)


def edge_candidates(pixels: Bytes, belief: Floats, rim: Bools, grain: float) -> tuple[tuple[slice, slice], Candidates]:
    """Sharpen the belief along its rim, which must not be empty; returns the rim's window, and what `mix` needs there.

    Small colour-guided filters, each between two stretches. Where the picture's edge is wide (out of focus), the belief
    (0..1) is not sharpened.
    """
    # At even places the window is halved by a faster way.
    rows, columns = (slice(edge.start // 4 * 4, -(-edge.stop // 4) * 4) for edge in bounding_window(rim, 2 * _FAR))
    window, steps = (rows, columns), _steps(grain)
    pixels, belief, rim = pixels[window], belief[window], rim[window]
    busy, alpha, (grey, slope) = dilate(rim, _BUSY), ramp(belief, *steps.before), measure_slopes(pixels)
    for radius, after in steps.filters:
        alpha = guided_filter_tiles(busy, pixels, alpha, radius, steps.eps, after)
    soft = _softness(grey, slope, rim.shape)
    apart = (blurred_alpha(pixels, belief, rim) if _is_defocused(soft, rim) else belief) - alpha
    apart *= load_opencv().copyTo(soft, dilate(rim, _FAR).view(np.uint8))
    alpha += apart
    return window, make_candidates(pixels, slope, belief, alpha, rim, grain)


def _steps(grain: float) -> _Steps:
    return _COARSE_STEPS if grain >= _COARSE else _FINE_STEPS


def transition_width(pixels: Bytes, rim: Bools) -> Floats:
    """Defocus (H, W): 1 where the picture's edges are too wide for a lens in focus, 0 where they are sharp.

    If that holds for most of the `rim`, the product is out of focus as a whole, and it is 1 everywhere: sharp edges in
    between belong to other things.
    """
    soft = _softness(*measure_slopes(pixels), rim.shape)
    return np.ones_like(soft) if _is_defocused(soft, rim) else soft


def _softness(grey: Floats, slope: Floats, shape: tuple[int, ...]) -> Floats:
    """Weight 0..1 (H, W) of the belief: how far the picture's edges are out of focus."""
    soft = ramp(edge_width(grey, slope), *_WIDTHS)
    height, width = shape
    return np.asarray(load_opencv().resize(soft, None, fx=2, fy=2)[:height, :width])


def _is_defocused(soft: Floats, rim: Bools) -> bool:
    """Whether the product is out of focus as a whole: most of its rim is soft."""
    return bool(soft[rim].mean() > _MOSTLY)


def edge_width(grey: Floats, slope: Floats) -> Floats:
    """Width in pixels of the picture (H / 2, W / 2) of the strongest edge around: contrast over steepest slope."""
    contrast = local_maximum(grey, _REACH) - local_minimum(grey, _REACH)
    return box_blur(2 * contrast / (local_maximum(slope, _REACH) + 1e-3), 4)
