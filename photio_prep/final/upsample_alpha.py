"""Upsample the cutout's alpha to the photo's resolution, as sharp as the photo's edges."""

import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photio_prep.cutout.foreground import snap_alpha
from photio_prep.cutout.guided import guided_filter_tiles, ramp
from photio_prep.imaging.filters import Bools, Bytes, Floats, bounding_window, local_maximum, local_minimum, to_levels

# Slopes per pixel of the cutout's edge: below the first the photo is out of focus, from the second on it is sharp.
_SLOPES = (0.14, 0.28)
# Guided filter: from this enlargement on; variance of a window (colours 0..1) that counts as one colour; stretch after
# it.
_GUIDED, _EPS, _AFTER = 1.8, 1e-4, (0.15, 0.85)
# Rows of a strip in which edges are processed together; reach of the filters in pixels of the cutout.
_ROWS, _REACH = 128, 6

Box = tuple[int, int, int, int]


def edge_softness(share: Floats) -> Floats:
    """Softness: 0 at sharp edges of an alpha (0..1), 1 where it rises slowly, as out of focus, or is constant."""
    softness = np.ones_like(share)
    if (share > 0).any():
        near = bounding_window(share > 0, 4)  # farther away it is constant
        down, right = np.gradient(share[near])
        softness[near] = ramp(-local_maximum(np.hypot(down, right), 2), -_SLOPES[1], -_SLOPES[0])
    return softness


class AlphaUpsampler:
    """A cutout's alpha (L) scaled to `size`, part by part: a 24 MP photo is never held as floats.

    It is enlarged (bicubic) and steepened by the same factor, so that an edge one pixel wide stays one. A guided filter
    (He, Sun, Tang 2013) with the photo as guide moves it onto the photo's edge. Soft edges of the cutout are out of
    focus and not steepened. Measured: measurements/finals.md.
    """

    def __init__(self, alpha: Image.Image, size: tuple[int, int]) -> None:
        self.times = max(size[0] / alpha.width, size[1] / alpha.height)
        self._size = size
        self._alpha = alpha
        # Context around a part, in pixels.
        self._margin = math.ceil(4 * max(self.times, 1))

    @cached_property
    def _share(self) -> Image.Image:
        return Image.fromarray(np.asarray(self._alpha, dtype=np.float32) / np.float32(255))

    @cached_property
    def _soft(self) -> Image.Image:
        return Image.fromarray(edge_softness(np.asarray(self._share)))

    @cached_property
    def _busy(self) -> Bools:
        """Mask of pixels near an edge; areas that are 0 or 255 all around are copied."""
        levels, reach = np.asarray(self._alpha), math.ceil(4 / min(self.times, 1))
        changes: Bools = local_maximum(levels, reach) > local_minimum(levels, reach)
        return changes | ((levels > 0) & (levels < 255))

    @property
    def extent(self) -> Box:
        """Box outside of which alpha is 0."""
        box = self._alpha.getbbox()
        if box is None or self._alpha.size == self._size:
            return box or (0, 0, 0, 0)
        (width, height), (across, down) = self._size, self._ratio
        left, top = math.floor((box[0] - _REACH) * across), math.floor((box[1] - _REACH) * down)
        right, bottom = math.ceil((box[2] + _REACH) * across), math.ceil((box[3] + _REACH) * down)
        return max(left, 0), max(top, 0), min(right, width), min(bottom, height)

    @cached_property
    def _ratio(self) -> tuple[float, float]:
        return self._size[0] / self._alpha.width, self._size[1] / self._alpha.height

    def refine(self, box: Box, pixels: Bytes) -> Bytes:
        """Compute the alpha of a box; `pixels` are the photo's in it (RGB)."""
        if self._alpha.size == self._size:
            return np.asarray(self._alpha.crop(box))
        left, top, right, bottom = box
        levels = np.array(self._scale(self._alpha, box, Image.Resampling.NEAREST))
        for above in range(top, bottom, _ROWS):
            below = min(above + _ROWS, bottom)
            outer = max(above - self._margin, top), min(below + self._margin, bottom)
            for first, last in self._edge_runs((left, above, right, below)):
                start, end = max(first - self._margin, left), min(last + self._margin, right)
                near = pixels[outer[0] - top : outer[1] - top, start - left : end - left]
                part = self._refine_part((start, outer[0], end, outer[1]), near)
                inner = part[above - outer[0] : below - outer[0], first - start : last - start]
                levels[above - top : below - top, first - left : last - left] = inner
        return levels

    def _edge_runs(self, box: Box) -> Iterator[tuple[int, int]]:
        """First and last column (exclusive) of each run of columns with an edge in a box."""
        across, down = self._ratio
        busy = self._busy[math.floor(box[1] / down) : math.ceil(box[3] / down)].any(0)
        ends = np.flatnonzero(np.diff(busy, prepend=False, append=False))
        for left, right in ends.reshape(-1, 2):
            first, last = max(math.floor(left * across), box[0]), min(math.ceil(right * across), box[2])
            if first < last:
                yield first, last

    def _refine_part(self, box: Box, pixels: Bytes) -> Bytes:
        method = Image.Resampling.BICUBIC if self.times > 1 else Image.Resampling.LANCZOS
        plain = np.clip(self._scale(self._share, box, method), 0, 1)
        if self.times > 1:
            half = 0.5 / max(1.0, 0.8 * self.times)
            sharp = ramp(plain, 0.5 - half, 0.5 + half)
            busy = (plain > 0) & (plain < 1)
            if self.times >= _GUIDED and busy.any():
                filtered = guided_filter_tiles(busy, pixels, sharp, round(self.times / 2), _EPS, _AFTER)
                sharp = np.where(busy, filtered, sharp)
            soft = self._scale(self._soft, box, Image.Resampling.BILINEAR)
            plain = sharp + np.clip(soft, 0, 1) * (plain - sharp)
        return snap_alpha(to_levels(plain))

    def _scale(self, plane: Image.Image, box: Box, method: Image.Resampling) -> NDArray[Any]:
        left, top, right, bottom = box
        across, down = self._ratio
        source_box = (left / across, top / down, right / across, bottom / down)
        return np.asarray(plane.resize((right - left, bottom - top), method, box=source_box))
