"""Refine a network's probability (belief) to alpha that is as sharp as the picture's own edges."""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photio_prep.cutout.defocus import blurred_alpha
from photio_prep.imaging.tiles import Bools, Floats, box_blur, dilate, extremum_filter, map_tiles

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


def ramp(belief: Floats, low: float, high: float) -> Floats:
    """Linear ramp: 0 up to `low`, 1 from `high` on."""
    return np.asarray(np.clip((belief - low) / (high - low), 0, 1), dtype=np.float32)


def refine_alpha(pixels: NDArray[np.uint8], belief: Floats, grain: float = 1.0) -> Floats:
    """Refine belief to alpha (0..1) along the picture's own edges.

    Small colour-guided filters, each between two stretches. Where the picture's edge is wide (out of focus), the belief
    is not sharpened.

    Args:
        pixels: (H, W, 3) sRGB.
        belief: (H, W) 0..1.
        grain: Pixels of the picture per pixel of the network.
    """
    steps = _COARSE_STEPS if grain >= _COARSE else _FINE_STEPS
    sharp = ramp(belief, *steps.before)
    rim = (sharp > 0) & (sharp < 1)
    if not rim.any():
        return sharp
    window = bounding_window(rim, 2 * _FAR)
    sharp[window] = _sharpen(pixels[window], sharp[window], belief[window], rim[window], steps)
    return sharp


def _sharpen(pixels: NDArray[np.uint8], sharp: Floats, belief: Floats, rim: Bools, steps: _Steps) -> Floats:
    busy = dilate(rim, _BUSY)
    for radius, after in steps.filters:
        sharp = ramp(guided_filter_tiles(busy, pixels, sharp, radius, steps.eps), *after)
    soft = ramp(edge_width(pixels), *_WIDTHS)
    blurred = blurred_alpha(pixels, belief, rim) if _is_defocused(soft, rim) else belief
    soft *= dilate(rim, _FAR)
    return sharp + soft * (blurred - sharp)


def transition_width(pixels: NDArray[np.uint8], rim: Bools) -> Floats:
    """Defocus (H, W): 1 where the picture's edges are too wide for a lens in focus, 0 where they are sharp.

    If that holds for most of the `rim`, the product is out of focus as a whole, and it is 1 everywhere: sharp edges in
    between belong to other things.
    """
    soft = ramp(edge_width(pixels), *_WIDTHS)
    return np.ones_like(soft) if _is_defocused(soft, rim) else soft


def _is_defocused(soft: Floats, rim: Bools) -> bool:
    """Whether the product is out of focus as a whole: most of its rim is soft."""
    return bool(soft[rim].mean() > _MOSTLY)


def edge_width(pixels: NDArray[np.uint8]) -> Floats:
    """Width in pixels (H, W) of the strongest edge near each pixel of `pixels` (H, W, 3), sRGB.

    Contrast in a window divided by its steepest slope, in grey, at half size.
    """
    height, width = pixels.shape[:2]
    grey = pixels[..., 0].astype(np.uint16) + pixels[..., 1] + pixels[..., 2]
    grey = np.pad(grey, ((0, height % 2), (0, width % 2)), mode="edge")
    blocks = grey[::2, ::2] + grey[1::2, ::2] + grey[::2, 1::2] + grey[1::2, 1::2]
    half = blocks.astype(np.float32) / np.float32(4 * 3 * 255)
    down, right = np.zeros_like(half), np.zeros_like(half)
    down[1:-1] = (half[2:] - half[:-2]) / 2
    right[:, 1:-1] = (half[:, 2:] - half[:, :-2]) / 2
    contrast = extremum_filter(half, _REACH, np.maximum) - extremum_filter(half, _REACH, np.minimum)
    width_px = 2 * contrast / (extremum_filter(np.hypot(down, right), _REACH, np.maximum) + 1e-3)
    smooth = Image.fromarray(box_blur(width_px, 4)).resize(grey.shape[::-1], Image.Resampling.BILINEAR)
    return np.asarray(smooth)[:height, :width]


def bounding_window(where: Bools, margin: int) -> tuple[slice, slice]:
    """Window of the true pixels of `where` (at least one), extended by `margin` on each side."""
    rows, columns = np.flatnonzero(where.any(1)), np.flatnonzero(where.any(0))
    return (
        slice(max(int(rows[0]) - margin, 0), int(rows[-1]) + margin + 1),
        slice(max(int(columns[0]) - margin, 0), int(columns[-1]) + margin + 1),
    )


def guided_filter_tiles(busy: Bools, pixels: NDArray[np.uint8], alpha: Floats, radius: int, eps: float) -> Floats:
    """Filter `alpha` (0..1), guided by the picture (sRGB), in the tiles that contain a `busy` pixel."""
    # Colours stay 0..255; the scaled epsilon gives the same result.
    work = partial(guided_filter, radius=radius, eps=eps * 255**2)
    planes: list[NDArray[Any]] = [*pixels.transpose(2, 0, 1), alpha]
    return np.asarray(map_tiles(busy, 2 * radius, work, planes, alpha[None].copy())[0])


def guided_filter(stack: Floats, radius: int, eps: float) -> Floats:
    """Guided filter with a colour guide (He, Sun, Tang: Guided Image Filtering, TPAMI 2013, equations 14 to 16).

    Args:
        stack: (N, 4, S, S): three planes of the guide, and the filtered plane.
        radius: Of the windows, in pixels.
        eps: Added to the variance of each channel.
    """
    guide, belief = stack[:, :3], stack[:, 3:]
    first, second = [0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2]
    means = box_blur(np.concatenate((stack, guide * belief, guide[:, first] * guide[:, second]), axis=1), radius)
    middle, share = means[:, :3], means[:, 3:4]
    shared = means[:, 4:7] - middle * share
    rr, rg, rb, gg, gb, bb = (means[:, 7:] - middle[:, first] * middle[:, second]).transpose(1, 0, 2, 3)
    rr, gg, bb = rr + eps, gg + eps, bb + eps
    # Inverse of the symmetric 3 x 3 matrix, by its minors.
    a, b, c = gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg
    d, e, f = rr * bb - rb * rb, rg * rb - rr * gb, rr * gg - rg * rg
    r, g, blue = shared.transpose(1, 0, 2, 3)
    slopes = np.stack((a * r + b * g + c * blue, b * r + d * g + e * blue, c * r + e * g + f * blue), axis=1)
    slopes /= (rr * a + rg * b + rb * c)[:, None]
    rest = share - (slopes * middle).sum(1, keepdims=True)
    smooth = box_blur(np.concatenate((slopes, rest), axis=1), radius)
    return np.asarray((smooth[:, :3] * guide).sum(1, keepdims=True) + smooth[:, 3:], dtype=np.float32)
