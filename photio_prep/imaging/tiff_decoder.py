"""Decode a page of a TIFF: samples by numpy, the rest by Pillow.

Of the layouts that samples may have, Pillow reads few, and garbles some without an error.
"""

import io
import struct
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from photio_prep.errors import PhotoRefused
from photio_prep.imaging.headers.exif import ExifEntry
from photio_prep.imaging.headers.header import MalformedImage
from photio_prep.imaging.headers.tiff import Directory, read_page

# Pillow mode and number of channels of each photometric interpretation whose samples are read here.
_GREY, _CMYK, _LAB, _ICC_LAB = 1, 5, 8, 9
_COLOURS = {0: ("L", 1), _GREY: ("L", 1), 2: ("RGB", 3), _CMYK: ("CMYK", 4), _LAB: ("LAB", 3), _ICC_LAB: ("LAB", 3)}
# Packings that know bytes only: none, LZW, deflate, PackBits, LZMA, Zstandard.
_BYTES = frozenset({1, 5, 8, 32773, 32946, 34925, 50000})
# CCITT, JPEG: with what Pillow reads of them.
_FAX, _JPEG = frozenset({2, 3, 4}), frozenset({6, 7})
_PALETTE, _YCBCR = 3, 6
_NAMES = {0: "grey", 1: "grey", 2: "RGB", 3: "palette colours", 4: "a mask", 5: "CMYK", 6: "YCbCr", 8: "CIELab"}
_NAMES |= {9: "ICC Lab", 10: "ITU Lab", 32803: "raw sensor data", 32844: "LogL", 32845: "LogLuv"}
_PACKING_NAMES = {1: "no compression", 2: "CCITT", 3: "CCITT", 4: "CCITT", 5: "LZW", 6: "old JPEG", 7: "JPEG"}
_PACKING_NAMES |= {8: "deflate", 32773: "PackBits", 34712: "JPEG 2000", 34887: "LERC", 50001: "WebP", 50002: "JPEG XL"}
# Tags of a picture that Pillow reads; orientation and metadata are left out.
_PICTURE = (
    256,
    257,
    258,
    259,
    262,
    266,
    273,
    277,
    278,
    279,
    284,
    292,
    293,
    317,
    320,
    322,
    323,
    324,
    325,
    338,
    339,
    347,
)
_PICTURE += (*range(512, 522), *range(529, 533))
_ASSOCIATED, _UNASSOCIATED = _ALPHAS = (1, 2)
# Whole numbers of more than 16 bits above this value use all of their bits.
_WIDE = 2.0**24
# Rows that are converted at once: few temporary arrays of large pictures.
_ROWS = 128

Samples = NDArray[Any]


class TiffPicture(NamedTuple):
    """A page as stored: a picture of the mode L, RGB, CMYK, LAB, P, 1 or YCbCr; its alpha (L); notes."""

    image: Image.Image
    alpha: Image.Image | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Layout:
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

    @property
    def colours(self) -> int:
        return _COLOURS[self.photometric][1]

    def is_read(self) -> bool:
        """Whether the samples can be read by numpy."""
        if self.photometric not in _COLOURS or self.packing not in _BYTES or self.samples < self.colours:
            return False
        if self.photometric in (_LAB, _ICC_LAB) and (self.kind != "u" or self.bits not in (8, 16)):
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


def decode_tiff(data: bytes, index: int, memory: int) -> TiffPicture:
    """Decode the page of directory `index`; PhotoRefused, by its name, for a kind that is not read right.

    MemoryError, before anything is decoded, if its samples would need more than a quarter of `memory` bytes.
    """
    page = read_page(data, index)
    layout = _read_layout(page)
    if layout.width * layout.height * layout.samples * layout.bits // 8 > memory // 4:
        raise MemoryError
    if layout.is_read():
        return _convert(_read_samples(data, page, layout), layout)
    is_byte = layout.bits == 8 and not layout.planar
    if not (
        (layout.photometric == _PALETTE and layout.packing in _BYTES and layout.samples == 1 and layout.bits <= 8)
        or (layout.packing in _FAX and layout.samples == layout.bits == 1)
        or (layout.packing in _JPEG and is_byte)
        or (layout.photometric == _YCBCR and is_byte and layout.packing in _BYTES)
    ):
        raise PhotoRefused(f"a TIFF of {layout}, which is not read", "Export it as RGB with 8 or 16 bits")
    tags = {tag: page.entries[tag] for tag in _PICTURE if tag in page.entries}
    with TiffImagePlugin.TiffImageFile(_rebuild(data, page.order, [tags])) as opened:
        opened.load()
        return TiffPicture(opened.copy(), None, ())


def _read_layout(page: Directory) -> _Layout:
    bits, formats = {*page.numbers(258, (1,))}, {*page.numbers(339, (1,))}
    extra = page.numbers(338) if 338 in page.entries else None
    return _Layout(
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


def _read_samples(data: bytes, page: Directory, layout: _Layout) -> Samples:
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
    with TiffImagePlugin.TiffImageFile(_rebuild(data, page.order, directories)) as opened:
        for plane in range(planes):
            opened.seek(plane)
            opened.load()
            rows = np.frombuffer(opened.tobytes(), np.uint8).reshape(layout.height, across, row)
            samples.append(_unpack(rows, layout, page.order, per_pixel)[:, : layout.width])
    return samples[0] if planes == 1 else np.concatenate(samples, axis=2)


def _entry(order: str, tag: int, values: tuple[int, ...]) -> ExifEntry:
    return ExifEntry(tag, 4, len(values), struct.pack(f"{order}{len(values)}I", *values))


def _rebuild(data: bytes, order: str, directories: list[dict[int, ExifEntry]]) -> io.BytesIO:
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


def _unpack(rows: NDArray[np.uint8], layout: _Layout, order: str, per_pixel: int) -> Samples:
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


def _convert(samples: Samples, layout: _Layout) -> TiffPicture:
    """Convert to 8 bits a channel and straight alpha."""
    mode, count = _COLOURS[layout.photometric]
    extra = layout.extra
    if extra is None:  # not stated: alpha, as other programs take it, but not beside inks
        extra = ((0 if mode == "CMYK" else _UNASSOCIATED),) * (layout.samples - count)
    meaning, at = next(((extra[at], count + at) for at in range(len(extra)) if extra[at] in _ALPHAS), (0, 0))
    ignored = layout.samples - count - bool(at)
    notes: tuple[str, ...] = ()
    if ignored:
        notes = (f"{ignored} more channel(s), which it does not call transparency, were ignored",)
    colours = samples[..., :count]
    low, high = _range(colours, layout)
    if layout.kind == "f" and mode != "L" and (low, high) != (0, 1):
        notes += (f"its values are from {low:.3g} to {high:.3g} and were scaled to 0 to 1",)
    levels = np.empty(colours.shape, np.uint8)
    alpha = np.empty(samples.shape[:2], np.uint8) if at else None
    for top in range(0, layout.height, _ROWS):
        rows = slice(top, top + _ROWS)
        if mode == "LAB":
            levels[rows] = _lab_levels(colours[rows], layout)
        elif layout.bits == 8 and layout.kind == "u" and meaning != _ASSOCIATED:
            levels[rows] = colours[rows]
        else:
            shares = (_finite(colours[rows]) - low) / max(high - low, 1e-30)
            if meaning == _ASSOCIATED:
                shares /= np.maximum(_finite(samples[rows, :, at : at + 1]) / _full(layout), 1e-6)
            levels[rows] = np.rint(255 * np.clip(shares, 0, 1))
        if alpha is not None:
            alpha[rows] = np.rint(255 * np.clip(_finite(samples[rows, :, at]) / _full(layout), 0, 1))
    if layout.photometric == 0:
        levels = 255 - levels
    image = Image.frombytes(mode, (layout.width, layout.height), levels.tobytes())
    return TiffPicture(image, None if alpha is None else Image.fromarray(alpha), notes)


def _finite(values: Samples) -> NDArray[np.float64]:
    return np.clip(np.nan_to_num(values.astype(np.float64)), -3e38, 3e38)


def _full(layout: _Layout) -> float:
    """The value of white."""
    return 1.0 if layout.kind == "f" else 2.0 ** (layout.bits - (layout.kind == "i")) - 1


def _range(colours: Samples, layout: _Layout) -> tuple[float, float]:
    """The values of black and white. Floats, signed and very wide numbers may use their own range."""
    full = _full(layout)
    if layout.kind == "u" and layout.bits <= 16:
        return 0.0, full
    blocks = [_finite(colours[top : top + _ROWS]) for top in range(0, layout.height, _ROWS)]
    low, high = float(min(block.min() for block in blocks)), float(max(block.max() for block in blocks))
    if layout.kind != "f" and layout.bits > 8 and not (layout.kind == "u" and high > _WIDE):
        full = 65535.0
    return (0.0, full) if low >= 0 and high <= full else (low, high)


def _lab_levels(samples: Samples, layout: _Layout) -> NDArray[np.uint8]:
    """CIELab as a TIFF of 8 bits stores it: L from 0 to 255, a and b signed."""
    values = samples.astype(np.float64)
    if layout.photometric == _ICC_LAB:  # a and b are stored plus 128; of 16 bits, L ends at 0xFF00
        values /= 256 if layout.bits == 16 else 1
        values[..., 1:] -= 128
    elif layout.bits == 16:
        values = np.concatenate([values[..., :1] / 257, samples[..., 1:].astype(np.int16) / 256], axis=2)
    else:
        values[..., 1:] = samples[..., 1:].astype(np.int8)
    lightness, colours = np.clip(values[..., :1], 0, 255), np.clip(np.rint(values[..., 1:]), -128, 127)
    return np.concatenate([np.rint(lightness).astype(np.uint8), colours.astype(np.int8).view(np.uint8)], axis=2)
