"""A GIF's blocks -> facts."""

import struct

from photio_prep.geometry import Size
from photio_prep.imaging.headers.header import CUT_SHORT, Damaged, Facts
from photio_prep.imaging.limits import Limits, check_metadata, check_size

# A GIF of 100 MiB has 400,000 blocks of data.
_BLOCKS = 450_000


def facts(data: bytes, limits: Limits, frame: int | None = None) -> Facts:
    """What a GIF says, its frames counted but not decoded.

    Raises:
        Damaged: It is no whole GIF, or a frame that is needed reaches out of the picture.
        PhotoRefused: Outside the limits.
    """
    if len(data) < 13:
        raise Damaged(CUT_SHORT)
    size = Size(*struct.unpack_from("<HH", data, 6))
    if not size.area:
        raise Damaged("it has no size")
    check_size(size, limits)
    at, frames, metadata, budget = 13 + _table(data[10]), 0, 0, [_BLOCKS]
    while at < len(data) and data[at] != 0x3B and frames <= limits.frames:
        start, kind = at, data[at]
        if kind == 0x2C:
            if at + 11 > len(data):
                raise Damaged(CUT_SHORT)
            left, top, width, height, flags = struct.unpack_from("<4HB", data, at + 1)
            if frames <= (frame or 0) and (
                left + width > size.width or top + height > size.height or not width * height
            ):
                raise Damaged(f"frame {frames} does not lie within its {size}")
            at = _past(data, at + 11 + _table(flags), budget)
            frames += 1
        elif kind == 0x21:
            at = _past(data, at + 2, budget)
            metadata += at - start
            check_metadata(metadata, limits)
        else:
            raise Damaged("there is no block where one must be")
    if not frames:
        raise Damaged("it holds no picture")
    return Facts(size, data, frames=frames, metadata=metadata, index=frame or 0)


def _table(flags: int) -> int:
    """The length of the colour table that the flags announce."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _past(data: bytes, at: int, budget: list[int]) -> int:
    """Where the blocks that start at `at` end."""
    while at < len(data) and data[at]:
        at += 1 + data[at]
        budget[0] -= 1
        if budget[0] < 0:
            raise Damaged(f"more than {_BLOCKS} blocks")
    if at >= len(data):
        raise Damaged(CUT_SHORT)
    return at + 1
