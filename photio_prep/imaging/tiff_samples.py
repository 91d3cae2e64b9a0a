"""Read the samples of a TIFF's page, in any layout. Of these Pillow knows few, and garbles some without an error."""

import io
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import TiffImagePlugin

from photio_prep.imaging.headers.exif import ExifEntry
from photio_prep.imaging.headers.header import MalformedImage
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


def read_samples(data: bytes, page: Directory, layout: Layout) -> Samples:
    """The samples (H, W, S), as stored: libtiff unpacks the rows as a grey picture of bytes, one for each plane."""
    planes = layout.samples if layout.planar else 1
    per_pixel = layout.samples // planes
    across = -(-layout.width // layout.tile) if layout.tile else 1
    row = -(-(layout.tile or layout.width) * per_pixel * layout.bits // 8)
    starts, lengths = page.numbers(324) or page.numbers(273), page.numbers(325) or page.numbers(279)
    many, more = divmod(len(starts), planes)
    if more or len(starts) != len(lengths) or not starts:
        raise MalformedImage("it does not locate its picture")
    first, second = (324, 325) if layout.tile else (273, 279)
    tags: dict[int, tuple[int, ...]] = {
        256: (across * row,),
        257: (layout.height,),
        258: (8,),
        259: (layout.packing,),
        262: (1,),
        277: (1,),
    }
    tags |= {tag: page.numbers(tag) for tag in (266, 278, 323) if tag in page.entries}
    tags |= {322: (row,)} if layout.tile else {}
    parts = [slice(many * plane, many * (plane + 1)) for plane in range(planes)]
    pages = [tags | {first: starts[part], second: lengths[part]} for part in parts]
    directories = [{tag: _entry(page.order, tag, values) for tag, values in tags.items()} for tags in pages]
    samples = []
    with TiffImagePlugin.TiffImageFile(rebuild_tiff(data, page.order, directories)) as opened:
        for plane in range(planes):
            opened.seek(plane)
            opened.load()
            rows = np.frombuffer(opened.tobytes(), np.uint8).reshape(layout.height, across, row)
            samples.append(_unpack(rows, layout, page.order, per_pixel)[:, : layout.width])
    return samples[0] if planes == 1 else np.concatenate(samples, axis=2)


def _entry(order: str, tag: int, values: tuple[int, ...]) -> ExifEntry:
    return ExifEntry(tag, 4, len(values), struct.pack(f"{order}{len(values)}I", *values))


def rebuild_tiff(data: bytes, order: str, directories: list[dict[int, ExifEntry]]) -> io.BytesIO:
    """The file with these directories instead of its own, behind its end."""
    start = len(data) + len(data) % 2
    head, tail = data[:4] + struct.pack(order + "I", start), b""
    for number, entries in enumerate(directories):
        table, values = b"", b""
        place = start + len(tail) + 6 + 12 * len(entries)
        for tag, entry in sorted(entries.items()):
            value = entry.value or b""
            if len(value) > 4:
                table += struct.pack(order + "HHII", tag, entry.kind, entry.many, place + len(values))
                values += value + bytes(len(value) % 2)
            else:
                table += struct.pack(order + "HHI", tag, entry.kind, entry.many) + value.ljust(4, b"\0")
        following = place + len(values) if number + 1 < len(directories) else 0
        tail += struct.pack(order + "H", len(entries)) + table + struct.pack(order + "I", following) + values
    return io.BytesIO(b"".join([head, memoryview(data)[8:], bytes(len(data) % 2), tail]))


def _unpack(rows: NDArray[np.uint8], layout: Layout, order: str, per_pixel: int) -> Samples:
    """Samples (H, W, S) of packed rows (H, tiles across, bytes); a predictor counts within each tile."""
    height, across, length = rows.shape
    if layout.bits % 8:
        pixels = 8 * length // (per_pixel * layout.bits)
        used = per_pixel * pixels * layout.bits
        values = np.empty((height, across, pixels * per_pixel), np.uint16)
        weights = (1 << np.arange(layout.bits, dtype=np.uint16))[::-1]
        for top in range(0, height, _ROWS):
            bits = np.unpackbits(rows[top : top + _ROWS], axis=2)[..., :used]
            values[top : top + _ROWS] = bits.reshape(*bits.shape[:2], -1, layout.bits) @ weights
        return values.reshape(height, across * pixels, per_pixel)
    size = layout.bits // 8
    if layout.predictor == 3:  # differences of bytes, those of the highest order of all samples first
        rows = np.cumsum(rows.reshape(height, across, -1, per_pixel), axis=2, dtype=np.uint8)
        rows = np.ascontiguousarray(rows.reshape(height, across, size, -1).swapaxes(2, 3))
        order = ">"
    values = rows.reshape(height, across, -1).view(f"{order}u{size}").reshape(height, across, -1, per_pixel)
    if layout.predictor == 2:
        values = np.cumsum(values, axis=2, dtype=f"u{size}").view(f"u{size}")
        order = "="
    return values.reshape(height, -1, per_pixel).view(f"{order}{layout.kind}{size}")
