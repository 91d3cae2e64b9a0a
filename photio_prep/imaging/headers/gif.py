"""Parse a GIF's blocks."""

import struct

from photio_prep.geometry import Size
from photio_prep.imaging.headers.header import CUT_SHORT, Header, MalformedImage, limit_profile
from photio_prep.imaging.icc_profiles import ColourSpace
from photio_prep.imaging.limits import Limits, check_metadata, check_size

# A GIF of 100 MiB has 400,000 blocks of data.
_BLOCKS = 450_000


def parse_gif(data: bytes, limits: Limits, frame: int | None = None) -> Header:
    """Parse a GIF and count its frames; those up to the chosen one must be within the picture."""
    if len(data) < 13:
        raise MalformedImage(CUT_SHORT)
    size = Size(*struct.unpack_from("<HH", data, 6))
    if not size.area:
        raise MalformedImage("it has no size")
    check_size(size, limits)
    space: ColourSpace | None = None
    at, frames, metadata, budget = 13 + _table_length(data[10]), 0, 0, [_BLOCKS]
    while at < len(data) and data[at] != 0x3B and frames <= limits.frames:
        start, kind = at, data[at]
        if kind == 0x2C:
            if at + 11 > len(data):
                raise MalformedImage(CUT_SHORT)
            left, top, width, height, flags = struct.unpack_from("<4HB", data, at + 1)
            if frames <= (frame or 0) and (
                left + width > size.width or top + height > size.height or not width * height
            ):
                raise MalformedImage(f"frame {frames} does not lie within its {size}")
            at = _skip_blocks(data, at + 11 + _table_length(flags), budget)
            frames += 1
        elif kind == 0x21:
            at = _skip_blocks(data, at + 2, budget)
            if data[start + 1 : start + 14] == b"\xff\x0bICCRGBG1012" and space is None:
                space = limit_profile(_join_blocks(data[start + 14 : at]), limits)
            metadata += at - start
            check_metadata(metadata, limits)
        else:
            raise MalformedImage("a block of unknown type")
    if not frames:
        raise MalformedImage("it holds no picture")
    return Header(size, data, space or ColourSpace(), frames=frames, metadata=metadata, index=frame or 0)


def _table_length(flags: int) -> int:
    """Length of the colour table, by its flags."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _join_blocks(blocks: bytes) -> bytes:
    """The content of data blocks."""
    joined, at = [], 0
    while at < len(blocks) and blocks[at]:
        joined.append(blocks[at + 1 : at + 1 + blocks[at]])
        at += 1 + blocks[at]
    return b"".join(joined)


def _skip_blocks(data: bytes, at: int, budget: list[int]) -> int:
    """The end of the data blocks that start at `at`; `budget` is the number of blocks left."""
    while at < len(data) and data[at]:
        at += 1 + data[at]
        budget[0] -= 1
        if budget[0] < 0:
            raise MalformedImage(f"more than {_BLOCKS} blocks")
    if at >= len(data):
        raise MalformedImage(CUT_SHORT)
    return at + 1
