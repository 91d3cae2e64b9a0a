"""What an order's records say, checked: texts, sizes, and that its canvas is the picture that they tell of."""

from collections.abc import Mapping
from typing import Any

from photio_prep.errors import PhotoRefused
from photio_prep.geometry import Box, Placement, Size
from photio_prep.imaging.headers import read
from photio_prep.imaging.limits import RANGES, Limits, check_extent

# A canvas and what is of its scale: four megapixels are two to three times the largest size that the API offers.
CANVAS = Limits(pixels=2**22, small=1, aspect=int(RANGES["aspect"][1]))
# A photo: the widest that any settings allow. What works on its pixels asks the limits of its own command.
_PHOTO = Limits(pixels=int(RANGES["pixels"][1]), side=int(RANGES["side"][1]))
_TEXTS = ("source", "sha256", "format", "output", "options")


def check_photo(facts: Mapping[str, Any]) -> None:
    """Do nothing for the texts of a photo's record.

    Raises:
        KeyError, TypeError, ValueError: One is missing, no text, or holds a zero byte.
    """
    for name in _TEXTS:
        if not isinstance(facts[name], str):
            raise TypeError(f"its {name} is no text")
        if "\0" in facts[name]:  # no path may hold one
            raise ValueError(f"a zero byte in its {name}")
    variant, path = facts.get("variant"), facts.get("path", "")
    if not isinstance(path, str) or "\0" in path:
        raise TypeError("its path is no text")
    if facts.get("frame") is not None and type(facts["frame"]) is not int:
        raise TypeError("its frame is no number")
    if variant is not None and not (type(variant["number"]) is int and isinstance(variant["of"], str)):
        raise TypeError("its variant is no number of a place")


def check_plan(plan: Mapping[str, Any]) -> None:
    """Do nothing for the fields of `order.json` that a request is made of.

    Raises:
        KeyError, TypeError: One is missing, or of another type.
    """
    kinds: dict[str, tuple[type, ...]] = {**dict.fromkeys(("key", "endpoint", "description", "model"), (str,))}
    kinds |= {"negative_prompt": (str, type(None)), "image_url": (str, type(None)), "seed": (int,)}
    for name, kind in kinds.items():
        if not isinstance(plan[name], kind) or isinstance(plan[name], bool):
            raise TypeError(f"its {name} is of another type than is written")


def placement(way: Mapping[str, Any]) -> Placement:
    """The placement of a photo's record.

    Raises:
        KeyError, TypeError, ValueError: It cannot be meant, or is larger than any photo or canvas that is worked on.
    """
    source, canvas = Size(*_numbers(way["source"], 2)), Size(*_numbers(way["canvas"], 2))
    box = Box(*_numbers(way["box"], 4))
    crop = Box(*_numbers(way["crop"], 4)) if "crop" in way else None
    if not (0 <= box.left < box.right <= canvas.width and 0 <= box.top < box.bottom <= canvas.height):
        raise ValueError(f"its box {box} does not lie on {canvas}")
    if min(source) < 1:
        raise ValueError(f"its photo cannot be {source}")
    if crop is not None and crop.size != source:
        raise ValueError(f"its crop {crop} has not the size {source}")
    try:
        check_extent(source, _PHOTO)
        check_extent(canvas, CANVAS)
    except PhotoRefused as error:
        raise ValueError(error.found) from None
    return Placement(source, canvas, box, crop)


def check_canvas(png: bytes, size: Size) -> None:
    """Do nothing for a whole PNG of `size`, by its header.

    Raises:
        ValueError: It is something else, damaged, or larger than a canvas may be.
    """
    try:
        name, facts = read(png, CANVAS)
    except PhotoRefused as error:
        raise ValueError(error.found) from None
    if name != "PNG" or tuple(facts.size) != tuple(size):
        raise ValueError(f"its canvas.png is a {name} of {Size(*facts.size)}, not a PNG of {size}")


def _numbers(values: object, count: int) -> list[int]:
    most = 2 * int(RANGES["side"][1])
    if not isinstance(values, list) or len(values) != count:
        raise ValueError(f"not {count} numbers")
    if not all(type(each) is int and abs(each) <= most for each in values):
        raise ValueError(f"not {count} whole numbers up to {most}")
    return values
