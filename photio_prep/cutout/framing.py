"""A product in its photo -> the frame to give it: margin, alignment, and the shape of what is sent.

A frame's box is in pixels of the photo and may reach beyond it: there nothing is, as in any padding.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from PIL import Image

from photio_prep.errors import UsageError
from photio_prep.geometry import Box, Size
from photio_prep.types import Photo

Align = Literal["center", "left", "right", "top", "bottom"]
SIDES = ("left", "top", "right", "bottom")
# A pixel of the alpha belongs to the product's box from here on.
_THERE = 16
# Share of a side of the photo that the product must meet to be cut off there: as in the gate.
_CUT_SIDE = 0.015
_WIDEST = 400


@dataclass(frozen=True, slots=True)
class Framing:
    """How a product is framed anew.

    `margin` is kept free around it, in pixels of the photo, or, with `percent`, in % of its longer side. `align` says
    where it lies in what the canvas's shape adds.
    """

    margin: float = 8
    percent: bool = True
    align: Align = "center"

    def __post_init__(self) -> None:
        if not 0 <= self.margin <= (_WIDEST if self.percent else 16_384):
            raise UsageError(f"a margin of {self.margin:g} cannot be meant", "Give 0 to 400 %, or pixels", "--margin")
        if self.align not in get_args(Align):
            raise UsageError(f"{self.align!r} is no side", f"Choose {', '.join(get_args(Align))}", subject="--align")

    @classmethod
    def of(cls, margin: str, align: Align = "center") -> "Framing":
        """The framing with a margin as the user writes it: "8%", "40px" or "40".

        Raises:
            UsageError: It is none of these.
        """
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(%|px)?\s*", margin)
        if not found:
            raise UsageError(f"{margin!r} is no margin", "Give for instance 8% or 40px", subject="--margin")
        return cls(float(found[1]), found[2] == "%", align)

    def __str__(self) -> str:
        return f"product {self.margin:g}{'%' if self.percent else 'px'} {self.align}"

    def around(self, product: Box, canvas: Size | None, cut: Collection[str] = ()) -> Box:
        """The frame around `product`: its margin, and then as much as the shape of `canvas` asks for.

        A side in `cut`, where the photo's own frame cuts the product off, gets nothing: the product stays flush there.

        Args:
            product: Its box in the photo.
            canvas: Whose shape the frame takes; None takes that of the product with its margin.
            cut: The sides where the photo cuts it.
        """
        margin = round(max(product.size) * self.margin / 100) if self.percent else round(self.margin)
        signs = dict(zip(SIDES, (-1, -1, 1, 1), strict=True))
        wide = [side + (0 if name in cut else signs[name] * margin) for name, side in zip(SIDES, product, strict=True)]
        frame = Box(*wide)
        if canvas is None:
            return frame
        width = max(frame.size.width, -(-frame.size.height * canvas.width // canvas.height))
        height = max(frame.size.height, -(-frame.size.width * canvas.height // canvas.width))
        left, right = self._spread(frame.left, frame.right, width, ("left", "right"), cut)
        top, bottom = self._spread(frame.top, frame.bottom, height, ("top", "bottom"), cut)
        return Box(left, top, right, bottom)

    def _spread(
        self, low: int, high: int, length: int, sides: tuple[str, str], cut: Collection[str]
    ) -> tuple[int, int]:
        """One axis, `length` long: more is added where the photo does not cut the product, and where it is to be."""
        more = length - (high - low)
        there = [side in cut for side in sides]
        if all(there):
            return low, high  # nowhere to go: the canvas is padded as ever
        free = {sides[0]: 0, sides[1]: more}.get(self.align, more // 2)
        before = free if not any(there) else 0 if there[0] else more
        return low - before, high + more - before


def box_of(cutout: Image.Image) -> Box:
    """The box of the product in a cutout (RGBA)."""
    found = cutout.getchannel("A").point([0] * _THERE + [255] * (256 - _THERE)).getbbox()
    return Box(*found) if found else Box(0, 0, *cutout.size)


def cut_sides(cutout: Image.Image) -> tuple[str, ...]:
    """The sides of the photo's frame that cut the product off."""
    solid = np.asarray(cutout.getchannel("A")) >= 128
    lines = (solid[:, 0], solid[0], solid[:, -1], solid[-1])
    return tuple(side for side, line in zip(SIDES, lines, strict=True) if line.mean() > _CUT_SIDE)


def in_photo(box: Box, cutout: Size, photo: Size, cut: Collection[str] = ()) -> Box:
    """A box of a cutout in the photo's pixels, rounded outwards; flush with the photo at the sides in `cut`."""
    across, down = photo.width / cutout.width, photo.height / cutout.height
    left, top = int(box.left * across), int(box.top * down)
    right, bottom = -int(-box.right * across // 1), -int(-box.bottom * down // 1)
    ends = (0, 0, *photo)
    found = (left, top, min(right, photo.width), min(bottom, photo.height))
    return Box(*(end if side in cut else at for side, at, end in zip(SIDES, found, ends, strict=True)))


def cropped(photo: Photo, frame: Box) -> Photo:
    """What of the photo lies in `frame`; beyond the photo its outermost pixels go on, and are transparent in RGBA."""
    width, height = photo.size
    if Box(0, 0, width, height) == frame:
        return photo
    inside = Box(max(frame.left, 0), max(frame.top, 0), min(frame.right, width), min(frame.bottom, height))
    image = photo.image.crop(inside)
    if inside != frame:
        beyond = (
            (inside.top - frame.top, frame.bottom - inside.bottom),
            (inside.left - frame.left, frame.right - inside.right),
            (0, 0),
        )
        pixels = np.pad(np.asarray(image), beyond, mode="edge")
        if image.mode == "RGBA":
            clear = np.ones(pixels.shape[:2], dtype=bool)
            clear[beyond[0][0] : beyond[0][0] + image.height, beyond[1][0] : beyond[1][0] + image.width] = False
            pixels[clear] = 0
        image = Image.fromarray(pixels)
    return replace(photo, image=image)
