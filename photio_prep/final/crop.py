"""Crop an answer to the photo's frame: the inverse of `pad`, by the same placement."""

import math

import numpy as np
from PIL import Image

from photio_prep.geometry import Placement, Size
from photio_prep.imaging.filters import Bytes, load_opencv
from photio_prep.types import Final, Result


def unpad(result: Result, *, source: str = "", format_: str = "PNG", size: Size | None = None) -> Final:
    """Crop the answer to the photo's box and scale it to `size`, by default the photo's.

    The answer may have another scale than the canvas. The box's edges may then be between two pixels.
    """
    return Final(crop(result.image, result.placement, size or result.placement.source), source, format_)


def frame_size(answer: Image.Image, placement: Placement) -> Size:
    """Size in pixels of the photo's frame in an answer."""
    left, top, right, bottom = _box_in_answer(answer, placement)
    return Size(max(1, round(right - left)), max(1, round(bottom - top)))


def crop(answer: Image.Image, placement: Placement, size: Size) -> Image.Image:
    """Crop the photo's frame out of an answer and scale it to `size`.

    It is cropped first: resize(box=...) alone reads past the box, and the padding would bleed into the edge.
    """
    box = _box_in_answer(answer, placement)
    left, top = math.ceil(box[0] - _NEAR), math.ceil(box[1] - _NEAR)
    right, bottom = max(math.floor(box[2] + _NEAR), left + 1), max(math.floor(box[3] + _NEAR), top + 1)
    image = answer.crop((left, top, right, bottom))
    exact = all(abs(edge - pixel) <= _NEAR for edge, pixel in zip(box, (left, top, right, bottom), strict=True))
    if exact:
        return scale_picture(image, size)
    # Beyond pixels that are partly padding, the edge pixels repeat.
    image = Image.fromarray(np.pad(np.asarray(image), ((1, 1), (1, 1), (0, 0)), mode="edge"))
    inner = (box[0] - left + 1, box[1] - top + 1, box[2] - left + 1, box[3] - top + 1)
    within = (max(inner[0], 0), max(inner[1], 0), min(inner[2], image.width), min(inner[3], image.height))
    return image.resize(size, Image.Resampling.LANCZOS, box=within)


_NEAR = 1e-6


def _box_in_answer(answer: Image.Image, placement: Placement) -> tuple[float, float, float, float]:
    across, down = answer.width / placement.canvas.width, answer.height / placement.canvas.height
    left, top, right, bottom = placement.box
    return left * across, top * down, right * across, bottom * down


def scale_picture(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Scale a picture (RGB): enlarged by cubic convolution, made smaller by Lanczos."""
    return image if image.size == size else Image.fromarray(scale_pixels(image, size))


def scale_pixels(image: Image.Image, size: tuple[int, int]) -> Bytes:
    """Pixels (H, W, 3), writable, of a picture as `scale_picture` scales it."""
    if size[0] < image.width or size[1] < image.height:
        image = image.resize(size, Image.Resampling.LANCZOS)
    cv2, pixels = load_opencv(), np.array(image)
    return pixels if image.size == size else np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC))
