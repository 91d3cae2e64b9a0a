"""Validate the records of an order: texts, sizes, and that its canvas matches them."""

from collections.abc import Mapping
from typing import Any

from photio_prep.errors import PhotoRefused
from photio_prep.geometry import Box, Placement, Size
from photio_prep.imaging.headers import parse_header
from photio_prep.imaging.limits import RANGES, Limits, check_extent

# A canvas, or a picture of its scale: four megapixels are two to three times the largest size that the API offers.
CANVAS = Limits(pixels=2**22, small=1, aspect=int(RANGES["aspect"][1]))
# A photo: the largest that any settings allow. Commands that decode it apply their own limits.
_PHOTO = Limits(pixels=int(RANGES["pixels"][1]), side=int(RANGES["side"][1]))
_TEXTS = ("source", "sha256", "format", "output")


def check_photo(facts: Mapping[str, Any]) -> None:
    """Check the texts of a photo's record.

    Raises:
        KeyError, TypeError, ValueError: One is missing, is not a text, or holds a zero byte.
    """
    for name in _TEXTS:
        if not isinstance(facts[name], str):
            raise TypeError(f"its {name} is not a text")
        if "\0" in facts[name]:  # not allowed in a path
            raise ValueError(f"a zero byte in its {name}")
    variant, path = facts.get("variant"), facts.get("path", "")
    if not isinstance(path, str) or "\0" in path:
        raise TypeError("its path is not a text")
    if facts.get("frame") is not None and type(facts["frame"]) is not int:
        raise TypeError("its frame is not a number")
    if variant is not None and not (type(variant["number"]) is int and isinstance(variant["of"], str)):
        raise TypeError("its variant is not a number and a path")


def check_plan(plan: Mapping[str, Any]) -> None:
    """Check the fields of `order.json` that make up the request; KeyError or TypeError for a wrong one."""
    kinds: dict[str, tuple[type, ...]] = {**dict.fromkeys(("key", "endpoint", "description", "model"), (str,))}
    kinds |= {"negative_prompt": (str, type(None)), "image_url": (str, type(None)), "seed": (int,)}
    for name, kind in kinds.items():
        if not isinstance(plan[name], kind) or isinstance(plan[name], bool):
            raise TypeError(f"its {name} has a wrong type")


def read_placement(record: Mapping[str, Any]) -> Placement:
    """The placement in a photo's record.

    Raises:
        KeyError, TypeError, ValueError: It is inconsistent, or larger than any photo or canvas that is processed.
    """
    source, canvas = Size(*_check_numbers(record["source"], 2)), Size(*_check_numbers(record["canvas"], 2))
    box = Box(*_check_numbers(record["box"], 4))
    crop = Box(*_check_numbers(record["crop"], 4)) if "crop" in record else None
    if not (0 <= box.left < box.right <= canvas.width and 0 <= box.top < box.bottom <= canvas.height):
        raise ValueError(f"its box {box} exceeds its canvas {canvas}")
    if min(source) < 1:
        raise ValueError(f"its photo has the size {source}")
    if crop is not None and crop.size != source:
        raise ValueError(f"its crop {crop} does not have the size {source}")
    try:
        check_extent(source, _PHOTO)
        check_extent(canvas, CANVAS)
    except PhotoRefused as error:
        raise ValueError(error.problem) from None
    return Placement(source, canvas, box, crop)


def check_canvas(png: bytes, size: Size) -> None:
    """Raise ValueError unless `png` is a complete PNG of `size`, by its structure, within the limits of a canvas."""
    try:
        name, header = parse_header(png, CANVAS)
    except PhotoRefused as error:
        raise ValueError(error.problem) from None
    if name != "PNG" or tuple(header.size) != tuple(size):
        raise ValueError(f"its canvas.png is a {name} of {Size(*header.size)}, not a PNG of {size}")


def _check_numbers(values: object, count: int) -> list[int]:
    limit = 2 * int(RANGES["side"][1])
    if not isinstance(values, list) or len(values) != count:
        raise ValueError(f"not {count} numbers")
    if not all(type(value) is int and abs(value) <= limit for value in values):
        raise ValueError(f"not {count} whole numbers up to {limit}")
    return values
