"""Files of pictures put together by hand, field by field, where an encoder would refuse or mend them.

Takes plain values, gives bytes. Touches nothing.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

PNG = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def header(width: int, height: int, bits: int = 8, colours: int = 2, interlace: int = 0) -> bytes:
    """The first chunk of a PNG."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, interlace))


def png(pixels: NDArray[Any], *before: bytes, after: bytes = b"") -> bytes:
    """The PNG of (H, W) or (H, W, C) numbers of 8 or 16 bits, with chunks before its data and bytes after its end."""
    height, width = pixels.shape[:2]
    bands = pixels.shape[2] if pixels.ndim == 3 else 1
    bits = pixels.dtype.itemsize * 8
    rows = pixels.astype(pixels.dtype.newbyteorder(">")).reshape(height, -1)
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows), 1)
    first = header(width, height, bits, {1: 0, 2: 4, 3: 2, 4: 6}[bands])
    return PNG + first + b"".join(before) + chunk(b"IDAT", packed) + chunk(b"IEND") + after


def flat_png(width: int = 20, height: int = 20, *before: bytes, after: bytes = b"") -> bytes:
    """A grey PNG of one colour."""
    return png(np.full((height, width), 90, np.uint8), *before, after=after)


Tags = dict[int, tuple[int, Sequence[int]]]


def tiff(pages: list[tuple[Tags, bytes]], order: str = "<", *, following: list[int] | None = None) -> bytes:
    """A TIFF of pages, each of tags (type and values) and the data of its one strip, for which tag 273 is filled in.

    `following` replaces where each directory says that the next one lies.
    """
    body = bytearray({"<": b"II*\0", ">": b"MM\0*"}[order] + bytes(4))
    places: list[int] = []
    ends: list[int] = []
    for tags, data in pages:
        strip = len(body)
        body += data + bytes(len(data) % 2)
        entries = b""
        for tag, (kind, values) in sorted({273: (4, [strip]), 279: (4, [len(data)]), **tags}.items()):
            letter = {1: "B", 2: "B", 3: "H", 4: "I", 5: "I", 7: "B", 11: "f", 16: "Q"}[kind]
            value = struct.pack(f"{order}{len(values)}{letter}", *values)
            if len(value) > 4:
                value, at = struct.pack(order + "I", len(body)), body
                at += struct.pack(f"{order}{len(values)}{letter}", *values)
                at += bytes(len(at) % 2)
            many = len(values) // 2 if kind == 5 else len(values)
            entries += struct.pack(order + "HHI", tag, kind, many) + value.ljust(4, b"\0")
        places.append(len(body))
        body += struct.pack(order + "H", len(entries) // 12) + entries + bytes(4)
        ends.append(len(body) - 4)
    for end, place in zip(ends, following or [*places[1:], 0], strict=True):
        body[end : end + 4] = struct.pack(order + "I", place)
    body[4:8] = struct.pack(order + "I", places[0])
    return bytes(body)


def page(pixels: NDArray[Any], order: str = "<", *, photometric: int | None = None, **more: Any) -> tuple[Tags, bytes]:
    """One page of a TIFF, of (H, W) or (H, W, C) numbers; `t330=(4, [8])` adds or replaces a tag."""
    height, width = pixels.shape[:2]
    bands = pixels.shape[2] if pixels.ndim == 3 else 1
    shown = photometric if photometric is not None else (2 if bands >= 3 else 1)
    tags: Tags = {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [pixels.dtype.itemsize * 8] * bands),
        259: (3, [1]),
        262: (3, [shown]),
        277: (3, [bands]),
        278: (4, [height]),
        339: (3, [{"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]] * bands),
    }
    tags |= {int(name[1:]): value for name, value in more.items()}
    return tags, pixels.astype(pixels.dtype.newbyteorder("<" if order == "<" else ">")).tobytes()


def gif(size: tuple[int, int], frames: list[tuple[int, int, int, int]], *, packed: bytes | None = None) -> bytes:
    """A GIF of frames (left, top, width, height), each a few pixels of one colour however large it says it is."""
    out = b"GIF89a" + struct.pack("<HHBBB", *size, 0x80, 0, 0) + bytes(6)
    for left, top, width, height in frames:
        out += b"\x2c" + struct.pack("<4HB", left, top, width, height, 0)
        out += packed or b"\x02\x02\x44\x01\x00"
    return out + b"\x3b"


def segment(marker: int, body: bytes) -> bytes:
    """A segment of a JPEG."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body
