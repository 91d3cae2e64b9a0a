"""Where the user points: at the product, at what is none of it, and around it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from photio_prep.errors import UsageError
from photio_prep.geometry import Size


class Point(NamedTuple):
    """A place in the photo as people see it (upright), in pixels from the left and the top.

    `product`: it lies on the product, or else on something that is none of it.
    """

    x: float
    y: float
    product: bool = True


class Around(NamedTuple):
    """A box around the product, in pixels of the photo: the first ones inside, and the first ones outside again."""

    left: float
    top: float
    right: float
    bottom: float


def _point(x: float, y: float, product: float = True) -> Point:
    return Point(x, y, bool(product))


@dataclass(frozen=True, slots=True)
class Hints:
    """Points and a box; without any, nothing was pointed at, and it is false."""

    points: tuple[Point, ...] = ()
    box: Around | None = None

    @classmethod
    def of(cls, points: Iterable[tuple[float, ...]] = (), box: tuple[float, ...] | None = None) -> "Hints":
        """Hints of plain numbers: (x, y) or (x, y, whether it is product), and (left, top, right, bottom).

        Raises:
            UsageError: Another count of numbers, one that is not finite, or only points that are not product.
        """
        try:
            made = cls(tuple(_point(*each) for each in points), None if box is None else Around(*box))
            numbers = [number for each in made.points for number in each[:2]] + list(made.box or ())
            finite = all(math.isfinite(number) for number in numbers)
        except TypeError as error:
            raise UsageError(
                "a point is (x, y), a box (left, top, right, bottom)", "Give pixels of the photo"
            ) from error
        if not finite:
            raise UsageError("a point or box is not finite", "Give pixels of the photo")
        if made.points and made.box is None and not any(point.product for point in made.points):
            raise UsageError("no point lies on the product", "Give a --point on it, or a --box around it")
        return made

    def __bool__(self) -> bool:
        return bool(self.points or self.box)

    def __str__(self) -> str:
        told = [f"{'+' if each.product else '-'}{each.x:g},{each.y:g}" for each in self.points]
        return " ".join(told + ([f"box {','.join(f'{side:g}' for side in self.box)}"] if self.box else []))

    def check(self, size: Size, source: str) -> None:
        """Do nothing where everything lies in a photo of this size.

        Raises:
            UsageError: Something lies outside, or the box is empty.
        """
        fix = "Give pixels of the upright photo, from its upper left corner"
        for each in self.points:
            if not (0 <= each.x < size.width and 0 <= each.y < size.height):
                raise UsageError(f"the point {each.x:g},{each.y:g} is not in the photo ({size})", fix, subject=source)
        if self.box:
            left, top, right, bottom = self.box
            if not (0 <= left < right <= size.width and 0 <= top < bottom <= size.height):
                told = ",".join(f"{side:g}" for side in self.box)
                raise UsageError(f"the box {told} is empty or not in the photo ({size})", fix, subject=source)

    def prompt(self, across: float, down: float) -> list[dict[str, object]]:
        """The hints as rembg's SAM session wants them, scaled.

        Args:
            across: Pixels of the picture it sees to one of the photo, from left to right.
            down: The same from top to bottom.
        """
        marks: list[dict[str, object]] = [
            {"type": "point", "label": int(each.product), "data": [each.x * across, each.y * down]}
            for each in self.points
        ]
        if self.box:
            left, top, right, bottom = self.box
            corners = [left * across, top * down, right * across, bottom * down]
            marks.append({"type": "rectangle", "label": 2, "data": corners})
        return marks
