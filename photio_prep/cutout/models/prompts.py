"""Prompts: points on the product or the background, and a box around the product."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from photio_prep.errors import UsageError
from photio_prep.geometry import Size


class Point(NamedTuple):
    """A point of the upright photo, in pixels from the left and the top; on the product, or else on the background."""

    x: float
    y: float
    product: bool = True


class Around(NamedTuple):
    """A box around the product, in pixels of the photo; right and bottom are exclusive."""

    left: float
    top: float
    right: float
    bottom: float


def _point(x: float, y: float, product: float = True) -> Point:
    return Point(x, y, bool(product))


@dataclass(frozen=True, slots=True)
class Hints:
    """Points and a box; false if there are none."""

    points: tuple[Point, ...] = ()
    box: Around | None = None

    @classmethod
    def of(cls, points: Iterable[tuple[float, ...]] = (), box: tuple[float, ...] | None = None) -> "Hints":
        """Build hints from numbers: points (x, y) or (x, y, is product), and a box (left, top, right, bottom)."""
        try:
            hints = cls(tuple(_point(*values) for values in points), None if box is None else Around(*box))
            numbers = [number for values in hints.points for number in values[:2]] + list(hints.box or ())
            finite = all(math.isfinite(number) for number in numbers)
        except TypeError as error:
            raise UsageError(
                "a point is (x, y), a box (left, top, right, bottom)", "Give pixels of the photo"
            ) from error
        if not finite:
            raise UsageError("a point or box is not finite", "Give pixels of the photo")
        if hints.points and hints.box is None and not any(point.product for point in hints.points):
            raise UsageError("no point lies on the product", "Give a --point on it, or a --box around it")
        return hints

    def __bool__(self) -> bool:
        return bool(self.points or self.box)

    def __str__(self) -> str:
        words = [f"{'+' if point.product else '-'}{point.x:g},{point.y:g}" for point in self.points]
        return " ".join(words + ([f"box {','.join(f'{side:g}' for side in self.box)}"] if self.box else []))

    def check(self, size: Size, source: str) -> None:
        """Raise UsageError if a point or the box is outside a photo of this size, or the box is empty."""
        fix = "Give pixels of the upright photo, from its upper left corner"
        for point in self.points:
            if not (0 <= point.x < size.width and 0 <= point.y < size.height):
                raise UsageError(f"the point {point.x:g},{point.y:g} is not in the photo ({size})", fix, subject=source)
        if self.box:
            left, top, right, bottom = self.box
            if not (0 <= left < right <= size.width and 0 <= top < bottom <= size.height):
                sides = ",".join(f"{side:g}" for side in self.box)
                raise UsageError(f"the box {sides} is empty or not in the photo ({size})", fix, subject=source)

    def prompt(self, across: float, down: float) -> list[dict[str, object]]:
        """Build the prompt of rembg's SAM session; `across`, `down`: its picture's pixels per pixel of the photo."""
        marks: list[dict[str, object]] = [
            {"type": "point", "label": int(point.product), "data": [point.x * across, point.y * down]}
            for point in self.points
        ]
        if self.box:
            left, top, right, bottom = self.box
            corners = [left * across, top * down, right * across, bottom * down]
            marks.append({"type": "rectangle", "label": 2, "data": corners})
        return marks
