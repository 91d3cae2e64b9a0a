"""Read the samples of a TIFF's page, in any layout. Of these Pillow knows few, and garbles some without an error."""

import io
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import TiffImagePlugin

from photio_prep.imaging.headers.exif import ExifEntry
from photio_prep.imaging.headers.header import CUT_SHORT, MalformedImage
from photio_prep.imaging.headers.tiff import Directory

Samples = NDArray[Any]

# Pillow mode and number of channels of each photometric interpretation whose samples are read here.
GREY, CMYK, LAB, ICC_LAB = 1, 5, 8, 9
COLOURS = {0: ("L", 1), GREY: ("L", 1), 2: ("RGB", 3), CMYK: ("CMYK", 4), LAB: ("LAB", 3), ICC_LAB: ("LAB", 3)}
# Packings that know bytes only: none, LZW, deflate, PackBits, LZMA, Zstandard.
BYTE_PACKINGS = frozenset({1, 5, 8, 32773, 32946, 34925, 50000})
_NAMES = {0: "grey", 1: "grey", 2: "RGB", 3: "palette colours", 4: "a mask", 5: "CMYK", 6: "YCbCr", 8: "CIELab"}
_NAMES |= {9: "ICC Lab", 10: "ITU Lab", 32803: "raw sensor data", 32844: "LogL", 32845: "LogLuv"}
_PACKING_NAMES = {1: "no compression", 2: "CCITT", 3: "CCITT", 4: "CCITT", 5: "LZW", 6: "old JPEG", 7: "JPEG"}
_PACKING_NAMES |= {8: "deflate", 32773: "PackBits", 34712: "JPEG 2000", 34887: "LERC", 50001: "WebP", 50002: "JPEG XL"}
# Each byte with its bits in the other order.
_REVERSED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))
# Rows of bits that are unpacked at once.
_ROWS = 128


@dataclass(frozen=True, slots=True)
class Layout:
    """How the samples of a page are stored; `kind` is numpy's u, i or f, `extra` the meaning of each further sample."""

    width: int
    height: int
    photometric: int
    packing: int
    samples: int
    bits: int
    kind: str
    extra: tuple[int, ...] | None
    planar: bool
    predictor: int
    tile: int

    def is_read(self) -> bool:
        """Whether the samples can be read by numpy."""
        _, colours = COLOURS.get(self.photometric, ("", 0))
        if not self.kind or not 0 < colours <= self.samples or self.packing not in BYTE_PACKINGS:
            return False
        if self.photometric in (LAB, ICC_LAB) and (self.kind != "u" or self.bits not in (8, 16)):
            return False
        if self.kind == "f":
            return self.bits in (16, 32, 64) and self.predictor in (1, 3)
        whole_bytes = self.bits in (8, 16, 32, 64)
        return self.predictor in ((1, 2) if whole_bytes else (1,)) and (whole_bytes or 0 < self.bits < 16)

    def __str__(self) -> str:
        kind = {"u": "", "i": " (signed)", "f": " (floating point)"}.get(self.kind, " (mixed)")
        colours = _NAMES.get(self.photometric, f"photometric interpretation {self.photometric}")
        packing = _PACKING_NAMES.get(self.packing, f"compression {self.packing}")
        planes = ", in separate planes" if self.planar else ""
        return f"{colours} with {self.samples} samples of {self.bits or 'mixed'} bits{kind}, {packing}{planes}"


def read_layout(page: Directory) -> Layout:
    """The layout of a page by its tags, with TIFF's defaults."""
    bits, formats = {*page.numbers(258, (1,))}, {*page.numbers(339, (1,))}
    extra = page.numbers(338) if 338 in page.entries else None
    return Layout(
        width=page.number(256),
        height=page.number(257),
        photometric=page.number(262, 1),
        packing=page.number(259, 1),
        samples=page.number(277, 1),
        bits=bits.pop() if len(bits) == 1 else 0,
        kind={1: "u", 2: "i", 3: "f", 4: "u"}.get(formats.pop() if len(formats) == 1 else 0, ""),
        extra=extra,
        planar=page.number(284, 1) == 2 and page.number(277, 1) > 1,
        predictor=page.number(317, 1),
        tile=page.number(322),
    )


def read_samples(data: bytes, page: Directory, layout: Layout, memory: int) -> Samples:
    """The samples (H, W, S), as stored, put together from strips or tiles.

    MemoryError if one strip or tile would need more than a quarter of `memory` bytes.
    """
    planes = layout.samples if layout.planar else 1
    per_pixel = layout.samples // planes
    width = layout.tile or layout.width
    rows = page.number(323) if layout.tile else min(page.number(278, layout.height), layout.height)
    if not rows:
        raise MalformedImage("its strips have no rows")
    across, down = -(-layout.width // width), -(-layout.height // rows)
    starts, lengths = (page.numbers(tag) for tag in ((324, 325) if 324 in page.entries else (273, 279)))
    if min(len(starts), len(lengths)) < planes * across * down:
        raise MalformedImage("it does not locate its picture")
    row = -(-width * per_pixel * layout.bits // 8)
    if rows * row > memory // 4:
        raise MemoryError
    kind = "u2" if layout.bits % 8 else f"{layout.kind}{layout.bits // 8}"
    samples = np.empty((down * rows, across * width, layout.samples), kind)
    for number in range(planes * across * down):
        plane, place = divmod(number, across * down)
        top, left = place // across * rows, place % across * width
        # The last strip may be shorter, a tile may not.
        high = rows if layout.tile else min(rows, layout.height - top)
        packed = memoryview(data)[
            starts[number] : starts[number] + (lengths[number] if layout.packing != 1 else high * row)
        ]
        part = _unpack_bytes(bytes(packed), layout.packing, row, high, reverse=page.number(266, 1) == 2)
        if len(part) < high * row:
            raise MalformedImage(CUT_SHORT)
        block = np.frombuffer(part, np.uint8, high * row).reshape(high, row)
        channels = slice(plane * per_pixel, (plane + 1) * per_pixel)
        samples[top : top + high, left : left + width, channels] = _unpack(block, layout, page.order, per_pixel)
    return samples[: layout.height, : layout.width]


def _unpack_bytes(packed: bytes, packing: int, row: int, rows: int, *, reverse: bool) -> bytes:
    """The bytes of a strip or tile; `reverse`: the lowest bit of each byte comes first."""
    packed = packed.translate(_REVERSED) if reverse else packed
    if packing == 1:
        return packed
    if packing in (8, 32946):
        return zlib.decompressobj().decompress(packed, rows * row)
    # Through libtiff, as a grey picture of bytes.
    tags = {256: row, 257: rows, 258: 8, 259: packing, 262: 1, 273: 8, 277: 1, 278: rows, 279: len(packed)}
    entries = {tag: ExifEntry(tag, 4, 1, struct.pack("<I", value)) for tag, value in tags.items()}
    with TiffImagePlugin.TiffImageFile(rebuild_tiff(bytes(8) + packed, "<", entries)) as opened:
        return opened.tobytes()


def rebuild_tiff(data: bytes, order: str, entries: dict[int, ExifEntry]) -> io.BytesIO:
    """The file with this one directory instead of its own, behind its end."""
    start = len(data) + len(data) % 2
    table, values = b"", b""
    place = start + 6 + 12 * len(entries)
    for tag, entry in sorted(entries.items()):
        value = entry.value or b""
        if len(value) > 4:
            table += struct.pack(order + "HHII", tag, entry.kind, entry.many, place + len(values))
            values += value + bytes(len(value) % 2)
        else:
            table += struct.pack(order + "HHI", tag, entry.kind, entry.many) + value.ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", start)
    directory = struct.pack(order + "H", len(entries)) + table + bytes(4) + values
    return io.BytesIO(b"".join([head, memoryview(data)[8:], bytes(len(data) % 2), directory]))


def _unpack(rows: NDArray[np.uint8], layout: Layout, order: str, per_pixel: int) -> Samples:
    """Samples (H, W, S) of the rows of a strip or tile."""
    height, length = rows.shape
    if layout.bits % 8:
        pixels = (layout.tile or layout.width) * per_pixel
        values: Samples = np.empty((height, pixels), np.uint16)
        weights = (1 << np.arange(layout.bits, dtype=np.uint16))[::-1]
        for top in range(0, height, _ROWS):
            bits = np.unpackbits(rows[top : top + _ROWS], axis=1)[:, : pixels * layout.bits]
            values[top : top + _ROWS] = bits.reshape(len(bits), pixels, layout.bits) @ weights
        return values.reshape(height, -1, per_pixel)
    size = layout.bits // 8
    if layout.predictor == 3:  # differences of bytes, those of the highest order of all samples first
        rows = np.cumsum(rows.reshape(height, -1, per_pixel), axis=1, dtype=np.uint8)
        rows = np.ascontiguousarray(rows.reshape(height, size, -1).swapaxes(1, 2)).reshape(height, length)
        order = ">"
    values = rows.view(f"{order}u{size}").reshape(height, -1, per_pixel)
    if layout.predictor == 2:
        values = np.cumsum(values, axis=1, dtype=f"u{size}")
        order = "="
    return values.view(f"{order}{layout.kind}{size}")
