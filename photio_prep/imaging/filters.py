"""Filters on pictures by OpenCV, and work on the few tiles of a picture that contain its product's edge.

OpenCV is loaded at the first use. Planes are (H, W), or (H, W, C) with independent channels; borders repeat the last
pixel unless stated otherwise.
"""

import math
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Bytes = NDArray[np.uint8]
Window = tuple[slice, slice]

# A tile of ten planes fits in a processor's cache.
_SIDE = 96


@cache
def load_opencv() -> ModuleType:
    """Import OpenCV, without threads of its own: they would compete with the network's and the batch's."""
    import cv2

    cv2.setNumThreads(0)
    return cv2


def box_blur(plane: Floats, radius: int) -> Floats:
    """Mean over squares of 2 · radius + 1 pixels."""
    cv2 = load_opencv()
    return np.asarray(cv2.blur(plane, (2 * radius + 1, 2 * radius + 1), borderType=cv2.BORDER_REPLICATE))


def to_levels(share: Floats) -> Bytes:
    """Levels 0..255 of shares 0..1, rounded."""
    return np.asarray(load_opencv().convertScaleAbs(share, alpha=255))


def gaussian_blur(plane: Floats, sigma: float) -> Floats:
    """Gaussian filter, cut at 4 sigma; the picture is mirrored at its border."""
    cv2 = load_opencv()
    side = 2 * int(4 * sigma + 0.5) + 1
    return np.asarray(cv2.GaussianBlur(plane, (side, side), sigma, borderType=cv2.BORDER_REFLECT))


def mean_channels(planes: NDArray[Any]) -> NDArray[Any]:
    """Mean (H, W) of the three channels of planes (H, W, 3); of levels it is rounded."""
    return np.asarray(load_opencv().transform(planes, np.full((1, 3), 1 / 3, np.float32)))


def slopes_of(plane: Floats) -> tuple[Floats, Floats]:
    """Slopes of `plane` (H, W) to the right and down, by central differences."""
    cv2 = load_opencv()
    right, down = (
        cv2.Sobel(plane, cv2.CV_32F, *axis, ksize=1, scale=0.5, borderType=cv2.BORDER_REPLICATE)
        for axis in ((1, 0), (0, 1))
    )
    return right, down


def gradient_magnitude(plane: Floats, sigma: float) -> Floats:
    """Length of the gradient of `plane` (H, W) after a Gaussian filter; the picture is mirrored at its border."""
    cv2 = load_opencv()
    reach = int(4 * sigma + 0.5)
    at = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (at / sigma) ** 2)
    weights /= weights.sum()
    slopes = at / sigma**2 * weights
    right = cv2.sepFilter2D(plane, cv2.CV_32F, slopes, weights, borderType=cv2.BORDER_REFLECT)
    down = cv2.sepFilter2D(plane, cv2.CV_32F, weights, slopes, borderType=cv2.BORDER_REFLECT)
    return length_of(right, down)


def length_of(right: Floats, down: Floats) -> Floats:
    """Length of slopes. Of cv2.magnitude the last bit depends on where in memory they lie."""
    squares = right * right
    squares += down * down
    return np.asarray(np.sqrt(squares, out=squares))


def local_maximum(plane: NDArray[Any], radius: int) -> NDArray[Any]:
    """Maximum over squares of 2 · radius + 1 pixels, cut at the border."""
    return np.asarray(load_opencv().dilate(plane, np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)))


def local_minimum(plane: NDArray[Any], radius: int) -> NDArray[Any]:
    """Minimum over squares of 2 · radius + 1 pixels, cut at the border."""
    return np.asarray(load_opencv().erode(plane, np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)))


def dilate(where: Bools, reach: int) -> Bools:
    """Dilate by a square of 2 · reach + 1 pixels."""
    return local_maximum(where.view(np.uint8), reach).view(np.bool_)


def erode(where: Bools, steps: int, *, beyond: bool = False) -> Bools:
    """Erode by a diamond of `steps` pixels. `beyond`: the value of pixels beyond the border."""
    cv2 = load_opencv()
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    border = {"borderType": cv2.BORDER_CONSTANT, "borderValue": int(beyond)}
    return np.asarray(cv2.erode(where.view(np.uint8), cross, iterations=steps, **border)).view(np.bool_)


def drop_thin(where: Bools, radius: int) -> Bools:
    """Keep what squares of 2 · radius + 1 pixels fit into (morphological opening)."""
    return local_maximum(local_minimum(where.view(np.uint8), radius), radius).view(np.bool_)


def distance_to(where: Bools) -> Floats:
    """Distance in pixels of each pixel to the nearest true one; infinite if there is none."""
    if not where.any():
        return np.full(where.shape, math.inf, np.float32)
    cv2 = load_opencv()
    return np.asarray(cv2.distanceTransform((~where).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE))


def percentile(values: NDArray[np.floating[Any]], share: float) -> float:
    """The value below which `share` percent of `values` lie, with linear interpolation.

    np.percentile's result; that one imports numpy.ma, which takes 20 ms.
    """
    place = (values.size - 1) * share / 100
    lower = int(place)
    ordered = np.partition(values.ravel(), lower)
    low = float(ordered[lower])
    return low + (place - lower) * (float(ordered[lower + 1 :].min(initial=math.inf)) - low if place > lower else 0.0)


def label_parts(where: Bools, *, diagonal: bool) -> tuple[int, NDArray[np.int32]]:
    """Label connected parts 1, 2, …; `diagonal` pixels touch. Returns the number of parts, and the labels (H, W)."""
    count, labels = load_opencv().connectedComponents(where.view(np.uint8), connectivity=8 if diagonal else 4)
    return count - 1, labels


def measure_parts(where: Bools, *, diagonal: bool) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Label connected parts as `label_parts`; returns the labels, and of each part left, top, width, height, area."""
    count, labels = label_parts(where, diagonal=diagonal)
    if count > 1:  # four times as slow
        connectivity = 8 if diagonal else 4
        _, labels, stats, _ = load_opencv().connectedComponentsWithStats(
            where.view(np.uint8), connectivity=connectivity
        )
        return labels, stats[1:]
    box = *load_opencv().boundingRect(where.view(np.uint8)), np.count_nonzero(where)
    return labels, np.array([box][:count], np.int32).reshape(count, 5)


def bounding_window(where: Bools, margin: int) -> Window:
    """Window of the true pixels of `where` (at least one), extended by `margin` on each side."""
    left, top, width, height = load_opencv().boundingRect(where.view(np.uint8))
    return (
        slice(max(top - margin, 0), top + height + margin),
        slice(max(left - margin, 0), left + width + margin),
    )


def visit_tiles(where: Bools, margin: int, work: Callable[[Window, Window, Window], None]) -> None:
    """Call `work` for each tile that contains a true pixel of `where` (H, W).

    Its arguments: the box of a tile's true pixels, that box with `margin`, and the box inside of the latter. A second
    thread would take longer: the calls are so short that two threads wait for the interpreter (measurements/speed.md).
    """
    for row in range(0, len(where), _SIDE):
        for column in range(0, where.shape[1], _SIDE):
            tile = where[row : row + _SIDE, column : column + _SIDE]
            if not tile.any():
                continue
            rows, columns = bounding_window(tile, 0)
            first, last, left, right = row + rows.start, row + rows.stop, column + columns.start, column + columns.stop
            top, start = max(first - margin, 0), max(left - margin, 0)
            outer = slice(top, last + margin), slice(start, right + margin)
            inner = slice(first - top, last - top), slice(left - start, right - start)
            work((slice(first, last), slice(left, right)), outer, inner)
