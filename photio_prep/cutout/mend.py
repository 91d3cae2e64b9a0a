"""Mend a network's mask where it is certainly wrong: print that became a hole, a line across the photo.

Both look at a picture of at most 640 pixels; lengths below are its pixels, or shares of its longer side.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photio_prep.imaging.filters import (
    Bools,
    Bytes,
    Floats,
    Window,
    bounding_window,
    dilate,
    drop_thin,
    erode,
    load_opencv,
    measure_parts,
)
from photio_prep.quality import Area

_SIDE = 640
_HALF = 128
# A hole of print: its least share of the product and least pixels, how many there are at most (more are a mesh), and
# the least share of the convex hull that the closed product takes: less is a frame, a handle, a chair.
_PRINT, _LEAST, _MESH, _CONVEX = 0.001, 40, 8, 0.85
# Background is looked for between these distances from the product, in so many samples; a colour of the hole that is
# farther than this from all of it (CIELAB), in any shade, is not background. Coloured light from the product, or a
# thing behind it that only a handle shows, is nearer.
_BESIDE, _SAMPLES, _UNLIKE, _MOSTLY = (2, 20), 400, 40.0, 0.9
# Least length of the seen surroundings, as a share of the outline's. Lightness of background seen through a hole, as a
# multiple of that beside the product.
_SURROUNDED, _SHADE = 0.5, (0.25, 1.1)
# A line: its longest width and its least length, and how far it may stray from straight (shares of the longer side).
_WIDE, _LONG, _BENT = 0.016, 0.15, 0.022
# The product beside it must be so many times larger. Two lines are one if their ends miss each other by less than this.
_LARGER, _MISS = 10, 0.02
# A tip lies on the frame up to so many pixels from it, if the line runs towards that side: the least part of its
# direction across the side. More lines than this are legs, straps, fringe, a rack.
_NEAR, _TOWARDS, _LINES = 2, 0.35, 2


def mend_mask(levels: Bytes, pixels: Bytes, *, fill: bool = True) -> tuple[Bytes, dict[str, Area]]:
    """Mend alpha (H, W) that a network predicted for the picture `pixels` (sRGB).

    `fill`: print, too, not only lines. Returns the places of what was mended, by the names of the gate's reasons.
    """
    cv2 = load_opencv()
    height, width = levels.shape
    shrink = min(1.0, _SIDE / max(height, width))
    size = max(round(width * shrink), 8), max(round(height * shrink), 8)
    product = cv2.resize(levels, size, interpolation=cv2.INTER_AREA) >= _HALF
    if not product.any():
        return levels, {}
    alpha, places = levels, {}
    print_ = find_print(product, pixels) if fill else np.zeros_like(product)
    for name, where, value in (("line", find_lines(product)[0], 0), ("print", print_, 255)):
        if where.any():
            large = cv2.resize(where.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
            alpha = np.where(large, np.uint8(value), alpha)
            places[name] = _box_shares(where)
    return alpha, places


def _box_shares(where: Bools) -> Area:
    rows, columns = bounding_window(where, 0)
    down, across = where.shape
    left, right = round(columns.start / across, 3), round(columns.stop / across, 3)
    return left, round(rows.start / down, 3), right, round(rows.stop / down, 3)


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
    outline = closed & ~erode(closed, 1)
    hull = cv2.convexHull(cv2.findNonZero(outline.view(np.uint8)))
    near, far = (dilate(closed, reach) for reach in _BESIDE)
    beside = far & ~near
    is_convex = np.count_nonzero(closed) >= _CONVEX * cv2.contourArea(hull)
    if not is_convex or np.count_nonzero(beside) < _SURROUNDED * np.count_nonzero(outline):
        return print_
    picture = cv2.blur(cv2.resize(pixels, (columns, rows)), (3, 3)).astype(np.float32) / np.float32(255)
    ground = _sample(picture, beside)
    for label in large:
        hole = labels == label
        core = erode(hole, 1)
        if _is_unlike(_sample(picture, core if core.any() else hole), ground):
            print_ |= dilate(hole, 3)
    return print_ & erode(closed, 2)


def _sample(picture: Floats, where: Bools) -> Floats:
    """Some of the colours (N, 3) of a picture (sRGB, 0..1), in CIELAB."""
    cv2, at = load_opencv(), np.flatnonzero(where)
    colours = picture.reshape(-1, 3).take(at[:: 1 + len(at) // _SAMPLES], 0)
    return np.asarray(cv2.cvtColor(colours[None], cv2.COLOR_RGB2LAB)[0])


def _is_unlike(colours: Floats, ground: Floats) -> bool:
    """Whether most of `colours` are none of the `ground` in another light; (N, 3) each, CIELAB."""
    light = np.clip(colours[:, None, :1] / np.maximum(ground[None, :, :1], np.float32(1)), *_SHADE)
    away = colours[:, None] - ground[None] * light
    return bool((np.square(away).sum(-1).min(1) > _UNLIKE**2).mean() >= _MOSTLY)


@dataclass(frozen=True, slots=True)
class _Line:
    """A line: its pixels within a window of the picture, and the sides of the frame on which each of its tips lies."""

    window: Window
    part: Bools
    middle: NDArray[np.float32]
    along: NDArray[np.float32]
    tips: tuple[frozenset[int], frozenset[int]]

    @property
    def sides(self) -> frozenset[int]:
        """The sides that it reaches."""
        return self.tips[0] | self.tips[1]


def find_lines(product: Bools) -> tuple[Bools, Bools]:
    """Find thin straight lines that run to the frame: those that are certainly no product, and the others.

    Certain are one or two that reach the frame with both tips, or that go on behind the product and reach it on the
    other side: the edge of a cupboard. A line that ends in the picture may be a cord, a strap or a leg.
    """
    side, inner = max(product.shape), product[2:-2, 2:-2]
    stray, doubtful = np.zeros_like(product), np.zeros_like(product)
    if np.count_nonzero(product) == np.count_nonzero(inner):  # nothing meets the frame
        return stray, doubtful
    core = drop_thin(product, max(1, round(_WIDE * side / 2)))
    labels, boxes = measure_parts(product & ~dilate(core, 1), diagonal=True)
    left, top, width, height, area = boxes.T
    rows, columns = product.shape
    meets = (left <= 1) | (top <= 1) | (left + width >= columns - 1) | (top + height >= rows - 1)
    is_small = area * _LARGER <= np.count_nonzero(core)
    chosen = np.flatnonzero(meets & is_small & (np.maximum(width, height) >= _LONG * side))
    lines = [line for index in chosen if (line := _fit_line(labels, boxes[index], int(index) + 1))]
    is_few = len(lines) <= _LINES
    for line in lines:
        crosses = is_few and (all(line.tips) or any(_goes_on(line, other, side) for other in lines))
        plane = stray if crosses else doubtful
        plane[line.window] |= line.part
    return dilate(stray, 2) & ~core & ~doubtful, doubtful


def _fit_line(labels: NDArray[np.int32], box: NDArray[np.int32], label: int) -> _Line | None:
    """The line that a part is; None if it is bent or wide."""
    cv2, side = load_opencv(), max(labels.shape)
    left, top, width, height, area = (int(value) for value in box)
    window = slice(top, top + height), slice(left, left + width)
    part = labels[window] == label
    points = cv2.findNonZero(part.view(np.uint8)).reshape(-1, 2).astype(np.float32) + np.array((left, top), np.float32)
    middle, (one, other), _ = cv2.minAreaRect(points)
    if min(one, other) > _BENT * side or area > _WIDE * side * max(one, other):
        return None
    along = cv2.fitLine(points, cv2.DIST_L2, 0, 0.01, 0.01).ravel()[:2]
    order = points @ along
    first, last = (_sides_at(points[index], along, labels.shape) for index in (order.argmin(), order.argmax()))
    return _Line(window, part, np.array(middle, np.float32), along, (first, last))


def _sides_at(tip: NDArray[np.float32], along: NDArray[np.float32], shape: tuple[int, ...]) -> frozenset[int]:
    """The sides of the frame (left, top, right, bottom) on which a tip of a line lies that runs towards them."""
    low, high = tip <= _NEAR, tip >= np.array(shape[::-1]) - 1 - _NEAR
    return frozenset(np.flatnonzero(np.concatenate((low, high)) & np.tile(np.abs(along) >= _TOWARDS, 2)).tolist())


def _goes_on(line: _Line, other: _Line, side: int) -> bool:
    """Whether both lie on one straight line, and reach the frame on different sides."""
    between = other.middle - line.middle
    across = (np.array((-direction[1], direction[0])) for direction in (line.along, other.along))
    miss = max(abs(float(between @ normal)) for normal in across)
    return bool(line.sides and other.sides) and line.sides.isdisjoint(other.sides) and miss < _MISS * side
