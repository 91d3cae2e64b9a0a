"""JSON records in an order folder: read, checked and written; their content is not trusted."""

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import UnionType
from typing import Any

from photio_prep.errors import PhotoRefused, StorageFailed, UsageError
from photio_prep.geometry import Box, Placement, Size
from photio_prep.imaging.headers import parse_header
from photio_prep.imaging.limits import RANGES, Limits, check_extent
from photio_prep.system import files

AGAIN = "Move the folder away and prepare the photo again; keep it if it holds an answer.raw"
# A canvas, or a picture of its scale: four megapixels are two to three times the largest size that the API offers.
CANVAS = Limits(pixels=2**22, small=1, aspect=int(RANGES["aspect"][1]))
# A photo: the largest that any settings allow. Commands that decode it apply their own limits.
_PHOTO = Limits(pixels=int(RANGES["pixels"][1]), side=int(RANGES["side"][1]))


def find_record(path: Path) -> dict[str, Any] | None:
    """The record at `path`, or None."""
    with suppress(UsageError):  # no test for existence first: another process may remove the file in between
        return read_record(path)
    return None


def read_record(path: Path) -> dict[str, Any]:
    """The record at `path`; UsageError if there is none, StorageFailed if it cannot be read or is not a JSON object."""
    try:
        record = json.loads(files.read_nofollow(path, files.RECORD))
    except FileNotFoundError:
        raise UsageError(
            "this is not an order folder (no order.json)", "Name a folder below orders/", subject=str(path.parent)
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise StorageFailed(f"cannot be read back ({str(error)[:80]})", AGAIN, subject=str(path)) from error
    if not isinstance(record, dict):
        raise StorageFailed("is not a JSON object", AGAIN, subject=str(path))
    return record


def encode_record(record: dict[str, Any]) -> bytes:
    """Encode a record as JSON."""
    return json.dumps(record, indent=1, ensure_ascii=True).encode() + b"\n"


def timestamp(unit: str = "seconds") -> str:
    """The time in UTC, to the second; to "microseconds" for comparison with the times of calls."""
    return datetime.now(UTC).isoformat(timespec=unit)


def check_photo(record: Mapping[str, Any]) -> None:
    """Check the fields of a photo's record; KeyError, TypeError or ValueError for a wrong one."""
    record = {"path": "", "frame": None, "variant": None, **record}
    _check_types(record, source=str, sha256=str, format=str, output=str, path=str, frame=int | None)
    for name, value in record.items():
        if isinstance(value, str) and "\0" in value:  # not allowed in a path
            raise ValueError(f"a zero byte in its {name}")
    if record["variant"] is not None:
        _check_types(record["variant"], number=int, of=str)


def check_plan(plan: Mapping[str, Any]) -> None:
    """Check the fields of `order.json` that make up the request; KeyError or TypeError for a wrong one."""
    _check_types(plan, key=str, endpoint=str, description=str, model=str, seed=int)
    _check_types(plan, negative_prompt=str | None, image_url=str | None)


def _check_types(record: Mapping[str, Any], **kinds: type | UnionType) -> None:
    for name, kind in kinds.items():
        if not isinstance(record[name], kind) or isinstance(record[name], bool):
            raise TypeError(f"its {name} has a wrong type")


def read_placement(record: Mapping[str, Any]) -> Placement:
    """The placement in a photo's record.

    KeyError, TypeError or ValueError if it is inconsistent, or larger than any photo or canvas that is processed.
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
