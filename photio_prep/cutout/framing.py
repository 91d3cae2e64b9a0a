"""Frame of a photo around its product: margin, alignment and the canvas's shape.

A frame's box is in pixels of the photo. It may reach beyond the photo; that part is transparent.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from PIL import Image

from photio_prep.errors import UsageError
from photio_prep.geometry import Box, Size
from photio_prep.system.ranges import Range, check_options
from photio_prep.types import Photo

Align = Literal["center", "left", "right", "top", "bottom"]
SIDES = ("left", "top", "right", "bottom")
# Alpha from which a pixel counts for the product's box.
_VISIBLE = 16
# Share of a side of the photo that a cut-off product touches, as in the gate.
_CUT_SIDE = 0.015
_WIDEST = 400


@dataclass(frozen=True, slots=True)
class Framing:
    """Margin and alignment of a product in its new frame.

    `margin`: free space around the product, in pixels of the photo or, with `percent`, in % of its longer side.
    `align`: position of the product in the space that the canvas's shape adds.
    """

    margin: float = 8
    percent: bool = True
    align: Align = "center"

    def __post_init__(self) -> None:
        check_options(self, margin=Range(0, _WIDEST if self.percent else 16_384, whole=False))

    @classmethod
    def of(cls, margin: str, align: Align = "center") -> "Framing":
        """Parse a margin as the user writes it: "8%", "40px" or "40"."""
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(%|px)?\s*", margin, re.ASCII)
        if not match:
            raise UsageError(f"margin {margin!r} is not a length", "Give for instance 8% or 40px")
        return cls(float(match[1]), match[2] == "%", align)

    def __str__(self) -> str:
        return f"product {self.margin:g}{'%' if self.percent else 'px'} {self.align}"

    def around(self, product: Box, canvas: Size | None, cut: Collection[str] = ()) -> Box:
        """Frame the product's box: add the margin, then extend to the aspect ratio of `canvas` (None: no extension).

        A side in `cut`, where the photo cuts the product off, is not extended: the product stays flush there.
        """
        margin = round(max(product.size) * self.margin / 100) if self.percent else round(self.margin)
        signs = dict(zip(SIDES, (-1, -1, 1, 1), strict=True))
        wide = [side + (0 if name in cut else signs[name] * margin) for name, side in zip(SIDES, product, strict=True)]
        frame = Box(*wide)
        if canvas is None:
            return frame
        width = max(frame.size.width, -(-frame.size.height * canvas.width // canvas.height))
        height = max(frame.size.height, -(-frame.size.width * canvas.height // canvas.width))
        left, right = self._extend_axis(frame.left, frame.right, width, ("left", "right"), cut)
        top, bottom = self._extend_axis(frame.top, frame.bottom, height, ("top", "bottom"), cut)
        return Box(left, top, right, bottom)

    def _extend_axis(
        self, low: int, high: int, length: int, sides: tuple[str, str], cut: Collection[str]
    ) -> tuple[int, int]:
        """Extend one axis to `length`, according to `align`, on the sides where the photo does not cut the product."""
        extra = length - (high - low)
        is_cut = [side in cut for side in sides]
        if all(is_cut):
            return low, high  # the canvas is padded instead
        free = {sides[0]: 0, sides[1]: extra}.get(self.align, extra // 2)
        before = free if not any(is_cut) else 0 if is_cut[0] else extra
        return low - before, high + extra - before


def box_of(cutout: Image.Image) -> Box:
    """Box of the product in a cutout (RGBA); of an empty cutout its whole frame."""
    box = cutout.getchannel("A").point([0] * _VISIBLE + [255] * (256 - _VISIBLE)).getbbox()
    return Box(*box) if box else Box(0, 0, *cutout.size)


def cut_sides(cutout: Image.Image) -> tuple[str, ...]:
    """List the sides of the frame that cut the product off."""
    solid = np.asarray(cutout.getchannel("A")) >= 128
    lines = (solid[:, 0], solid[0], solid[:, -1], solid[-1])
    return tuple(side for side, line in zip(SIDES, lines, strict=True) if line.mean() > _CUT_SIDE)


def box_in_photo(box: Box, cutout: Size, photo: Size, cut: Collection[str] = ()) -> Box:
    """Convert a cutout's box to photo pixels, rounded outwards; flush with the photo at the sides in `cut`."""
    across, down = photo.width / cutout.width, photo.height / cutout.height
    left, top = int(box.left * across), int(box.top * down)
    right, bottom = -int(-box.right * across // 1), -int(-box.bottom * down // 1)
    ends = (0, 0, *photo)
    inside = (left, top, min(right, photo.width), min(bottom, photo.height))
    return Box(*(end if side in cut else at for side, at, end in zip(SIDES, inside, ends, strict=True)))


def crop_photo(photo: Photo, frame: Box) -> Photo:
    """Crop the photo to `frame`. Beyond the photo its edge pixels repeat; in RGBA they are transparent black."""
    width, height = photo.size
    if Box(0, 0, width, height) == frame:
        return photo
    inside = Box(max(frame.left, 0), max(frame.top, 0), min(frame.right, width), min(frame.bottom, height))
    image = photo.image.crop(inside)
    if inside != frame:
        padding = (
            (inside.top - frame.top, frame.bottom - inside.bottom),
            (inside.left - frame.left, frame.right - inside.right),
            (0, 0),
        )
        pixels = np.pad(np.asarray(image), padding, mode="edge")
        if image.mode == "RGBA":
            is_outside = np.ones(pixels.shape[:2], dtype=bool)
            is_outside[padding[0][0] : padding[0][0] + image.height, padding[1][0] : padding[1][0] + image.width] = (
                False
            )
            pixels[is_outside] = 0
        image = Image.fromarray(pixels)
    return replace(photo, image=image)
