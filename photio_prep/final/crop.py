"""Result -> Final: the inverse of pad, by the same placement."""

import math

import numpy as np
from PIL import Image

from photio_prep.geometry import Placement, Size
from photio_prep.types import Final, Result


def unpad(result: Result, *, source: str = "", format_: str = "PNG", size: Size | None = None) -> Final:
    """The answer cropped to the box where the photo lay, and brought to `size` (Lanczos), or the photo's own.

    An answer of another scale than the canvas, but of its shape, is cropped where the box lies at that scale: its edges
    may lie between two pixels.
    """
    return Final(crop(result.image, result.placement, size or result.placement.source), source, format_)


def seen(answer: Image.Image, way: Placement) -> Size:
    """The size in pixels that the photo's frame has in an answer."""
    left, top, right, bottom = _box(answer, way)
    return Size(max(1, round(right - left)), max(1, round(bottom - top)))


def crop(answer: Image.Image, way: Placement, size: Size) -> Image.Image:
    """The photo's frame out of an answer, at `size`.

    Cropped first: resize(box=...) alone would read past the box, and the padding would bleed into the edge.
    """
    box = _box(answer, way)
    left, top = math.ceil(box[0] - _NEAR), math.ceil(box[1] - _NEAR)
    right, bottom = max(math.floor(box[2] + _NEAR), left + 1), max(math.floor(box[3] + _NEAR), top + 1)
    image = answer.crop((left, top, right, bottom))
    exact = all(abs(one - other) <= _NEAR for one, other in zip(box, (left, top, right, bottom), strict=True))
    if exact:
        return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)
    # What is left of a pixel that lies in the padding, too, is that pixel's neighbour inside.
    image = Image.fromarray(np.pad(np.asarray(image), ((1, 1), (1, 1), (0, 0)), mode="edge"))
    there = (box[0] - left + 1, box[1] - top + 1, box[2] - left + 1, box[3] - top + 1)
    within = (max(there[0], 0), max(there[1], 0), min(there[2], image.width), min(there[3], image.height))
    return image.resize(size, Image.Resampling.LANCZOS, box=within)


_NEAR = 1e-6


def _box(answer: Image.Image, way: Placement) -> tuple[float, float, float, float]:
    across, down = answer.width / way.canvas.width, answer.height / way.canvas.height
    left, top, right, bottom = way.box
    return left * across, top * down, right * across, bottom * down
