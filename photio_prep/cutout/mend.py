"""Mend a network's mask where it is certainly wrong: print that became a hole, a line across the photo.

Both look at a picture of at most 640 pixels; lengths below are its pixels, or shares of its longer side.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photio_prep.imaging.filters import Bools, Bytes, Floats, dilate, drop_thin, erode, load_opencv, measure_parts

_SIDE = 640
_HALF = 128
# A hole of print: its least share of the product and least pixels, how many there are at most (more are a mesh), and
# the least share of the convex hull that the closed product takes: less is a frame, a handle, a chair.
_PRINT, _LEAST, _MESH, _CONVEX = 0.001, 40, 8, 0.85
# Background is looked for between these distances from the product, in so many samples; a colour of the hole that is
# farther than this from all of it (CIELAB) is not background. Shade darkens background: less light counts less.
_BESIDE, _SAMPLES, _UNLIKE, _SHADE, _MOSTLY = (2, 20), 400, 8.0, 0.25, 0.7
# A line: its longest width and its least length, and how far it may stray from straight (shares of the longer side).
_WIDE, _LONG, _BENT = 0.016, 0.15, 0.022
# The product beside it must be so many times larger. Two lines are one if their ends miss each other by less than this.
_LARGER, _MISS = 10, 0.02


def mend_mask(levels: Bytes, pixels: Bytes) -> Bytes:
    """Mend alpha (H, W) that a network predicted for the picture `pixels` (sRGB)."""
    cv2 = load_opencv()
    height, width = levels.shape
    shrink = min(1.0, _SIDE / max(height, width))
    size = max(round(width * shrink), 8), max(round(height * shrink), 8)
    product = cv2.resize(levels, size, interpolation=cv2.INTER_AREA) >= _HALF
    if not product.any():
        return levels
    alpha = levels
    for where, value in ((find_lines(product)[0], 0), (find_print(product, pixels), 255)):
        if where.any():
            large = cv2.resize(where.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
            alpha = np.where(large, np.uint8(value), alpha)
    return alpha


def find_print(product: Bools, pixels: Bytes) -> Bools:
    """Find holes (and their rim) of a nearly convex product that show no colour of the background around it."""
    cv2, print_ = load_opencv(), np.zeros_like(product)
    labels, boxes = measure_parts(~product, diagonal=False)
    left, top, width, height, area = boxes.T
    rows, columns = product.shape
    is_hole = (left > 0) & (top > 0) & (left + width < columns) & (top + height < rows)
    large = 1 + np.flatnonzero(is_hole & (area >= max(_LEAST, _PRINT * np.count_nonzero(product))))
    if not 0 < len(large) <= _MESH:
        return print_
    closed = product | np.concatenate(([False], is_hole))[labels]
    hull = cv2.convexHull(cv2.findNonZero(closed.view(np.uint8)))
    near, far = (dilate(closed, reach) for reach in _BESIDE)
    beside = far & ~near
    if np.count_nonzero(closed) < _CONVEX * cv2.contourArea(hull) or not beside.any():
        return print_
    picture = cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_AREA).astype(np.float32) / np.float32(255)
    colours = cv2.cvtColor(cv2.blur(picture, (3, 3)), cv2.COLOR_RGB2LAB)
    ground = _sample(colours[beside])
    for label in large:
        hole = labels == label
        core = erode(hole, 1)
        if _is_unlike(_sample(colours[core if core.any() else hole]), ground):
            print_ |= dilate(hole, 3)
    return print_ & erode(closed, 2)


def _sample(colours: Floats) -> Floats:
    return colours[:: 1 + len(colours) // _SAMPLES]


def _is_unlike(colours: Floats, ground: Floats) -> bool:
    """Whether most of `colours` are none of the `ground`; (N, 3) each, CIELAB."""
    away = colours[:, None] - ground[None]
    away[..., 0] *= np.where(away[..., 0] < 0, np.float32(_SHADE), np.float32(1))
    return bool((np.square(away).sum(-1).min(1) > _UNLIKE**2).mean() >= _MOSTLY)


@dataclass(frozen=True, slots=True)
class _Line:
    label: int
    middle: NDArray[np.float32]
    along: NDArray[np.float32]
    sides: frozenset[int]


def find_lines(product: Bools) -> tuple[Bools, Bools]:
    """Find thin straight lines that run to the frame: those that are certainly no product, and the others.

    Certain are lines that touch nothing, and those that go on behind the product and reach the frame on its other side:
    the edge of a cupboard. A line that ends at the product may be its cord.
    """
    side = max(product.shape)
    core = drop_thin(product, max(1, round(_WIDE * side / 2)))
    labels, boxes = measure_parts(product & ~dilate(core, 1), diagonal=True)
    lines = [line for index, box in enumerate(boxes) if (line := _fit_line(labels == index + 1, box, index + 1))]
    stray, doubtful = np.zeros_like(product), np.zeros_like(product)
    for line in lines:
        where = labels == line.label
        is_small = np.count_nonzero(core) >= _LARGER * np.count_nonzero(where)
        touches = (dilate(where, 3) & core).any()
        crosses = len(line.sides) > 1 or any(_goes_on(line, other, side) for other in lines)
        if is_small and (crosses or not touches):
            stray |= dilate(where, 2) & ~core
        elif is_small:
            doubtful |= where
    return stray, doubtful


def _fit_line(where: Bools, box: NDArray[np.int32], label: int) -> _Line | None:
    """The line that a part is; None if it is short, bent, wide or does not reach the frame."""
    cv2, side = load_opencv(), max(where.shape)
    left, top, width, height, area = (int(value) for value in box)
    rows, columns = where.shape
    meets = (left <= 1, top <= 1, left + width >= columns - 1, top + height >= rows - 1)
    if max(width, height) < _LONG * side or not any(meets):
        return None
    points = cv2.findNonZero(where.view(np.uint8)).astype(np.float32)
    middle, (one, other), _ = cv2.minAreaRect(points)
    if min(one, other) > _BENT * side or area > _WIDE * side * max(one, other):
        return None
    along = cv2.fitLine(points, cv2.DIST_L2, 0, 0.01, 0.01).ravel()[:2]
    sides = frozenset(index for index, meet in enumerate(meets) if meet)
    return _Line(label, np.array(middle, np.float32), along, sides)


def _goes_on(line: _Line, other: _Line, side: int) -> bool:
    """Whether both lie on one straight line, and reach the frame on different sides."""
    between = other.middle - line.middle
    across = (np.array((-direction[1], direction[0])) for direction in (line.along, other.along))
    miss = max(abs(float(between @ normal)) for normal in across)
    return bool(line.sides != other.sides) and miss < _MISS * side
