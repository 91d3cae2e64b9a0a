"""Sizes, boxes and placements: numbers only."""

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from photio_prep.errors import UsageError


class Size(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    @property
    def area(self) -> int:
        """Number of pixels."""
        return self.width * self.height


class Box(NamedTuple):
    """A rectangle in pixels; right and bottom are exclusive, as in Pillow."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> Size:
        """Width and height of the box."""
        return Size(self.right - self.left, self.bottom - self.top)


@dataclass(frozen=True, slots=True)
class Placement:
    """Position of a picture of size `source`, the photo or its part `crop` (may reach beyond it), on a canvas."""

    source: Size
    canvas: Size
    box: Box
    crop: Box | None = None

    @property
    def scale(self) -> float:
        """Canvas pixels per photo pixel."""
        return max(self.box.size.width / self.source.width, self.box.size.height / self.source.height)

    @property
    def used(self) -> float:
        """Share of the canvas that the photo covers, 0..1."""
        return self.box.size.area / self.canvas.area


@dataclass(frozen=True, slots=True)
class Recommended:
    """A canvas size that Photio recommends, or one of the same family that it does not list."""

    tag: str
    ratio: str
    size: Size
    documented: bool = True


SIZES = (
    Recommended("Fullscreen", "4:3", Size(1152, 896)),
    Recommended("Widescreen", "16:9", Size(1344, 768)),
    Recommended("Ultrawide", "21:9", Size(1536, 640)),
    Recommended("Mobile landscape", "3:2", Size(1216, 832)),
    Recommended("Square", "1:1", Size(1024, 1024)),
    Recommended("Mobile portrait", "2:3", Size(832, 1216)),
    Recommended("Tall", "9:16", Size(768, 1344)),
    Recommended("Portrait (undocumented)", "3:4", Size(896, 1152), documented=False),
    Recommended("Ultratall (undocumented)", "9:21", Size(640, 1536), documented=False),
)


def list_sizes(*, undocumented: bool = False) -> tuple[Recommended, ...]:
    """The documented sizes, or with `undocumented` all of them."""
    return tuple(offer for offer in SIZES if offer.documented or undocumented)


def snap(source: Size, sizes: Sequence[Recommended] | None = None) -> Recommended:
    """The size whose real pixel ratio is nearest to that of `source`; on a tie the larger area wins.

    Distance is |log(ratio) - log(other)|, compared exactly as max(a/b, b/a).
    """

    def distance(offer: Recommended) -> tuple[Fraction, int]:
        times = Fraction(source.width * offer.size.height, source.height * offer.size.width)
        return max(times, 1 / times), -offer.size.area

    return min(sizes or list_sizes(), key=distance)


def parse_size(text: str) -> Recommended:
    """The size called `text`: a tag ("Square", any case), a ratio ("1:1") or pixels; UsageError for any other.

    Naming an undocumented size by its pixels or ratio is the opt-in.
    """
    name = re.sub(r"[\s_-]+", " ", text.strip().lower()).replace("×", "x")
    for offer in SIZES:
        if name in (offer.tag.lower(), offer.tag.lower().partition(" (")[0], offer.ratio, str(offer.size)):
            return offer
    choices = ", ".join(f"{offer.tag} {offer.size}" for offer in list_sizes())
    near = _find_near_size(name)
    fix = f"Did you mean {near.tag} {near.size}? " if near else ""
    raise UsageError(f"size {text[:40]!r} is not offered by the API", f"{fix}Choose one of: {choices}")


def parse_pixels(text: str) -> Size | None:
    """The size that is written as "1200x900" or "1200×900"; None for any other text."""
    match = re.fullmatch(r"([1-9][0-9]{0,5}) ?[x×] ?([1-9][0-9]{0,5})", text.strip(), re.IGNORECASE)
    return Size(int(match[1]), int(match[2])) if match else None


def _find_near_size(text: str) -> Recommended | None:
    """The size with the nearest shape, for pixels, or the nearest name; None if no name is near."""
    if (pixels := parse_pixels(text)) is not None:
        return snap(pixels)
    names = {name: offer for offer in list_sizes() for name in (offer.tag.lower(), offer.ratio)}
    near = difflib.get_close_matches(text, names, 1)
    return names[near[0]] if near else None


def box_in(inner: Size, outer: Size) -> Box:
    """`inner` centred in `outer`; an odd pixel goes to the right and to the bottom."""
    left, top = (outer.width - inner.width) // 2, (outer.height - inner.height) // 2
    return Box(left, top, left + inner.width, top + inner.height)


def place(source: Size, canvas: Size) -> Placement:
    """`source` scaled to touch two opposite sides of `canvas`, centred; the other side is rounded half up."""
    if source.width * canvas.height >= source.height * canvas.width:
        inner = Size(canvas.width, max(1, _round_half_up(source.height * canvas.width, source.width)))
    else:
        inner = Size(max(1, _round_half_up(source.width * canvas.height, source.height)), canvas.height)
    return Placement(source, canvas, box_in(inner, canvas))


def box_on(canvas: Size | None = None) -> Callable[[Size], Size]:
    """A function from a picture's size to that of its box on `canvas`, or on the nearest documented canvas."""
    return lambda source: place(source, canvas or snap(source).size).box.size


def _round_half_up(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)
