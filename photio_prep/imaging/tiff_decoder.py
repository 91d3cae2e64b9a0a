"""Decode a page of a TIFF: its samples by numpy, palettes, YCbCr, JPEG and CCITT by Pillow."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from photio_prep.errors import PhotoRefused
from photio_prep.imaging.headers.tiff import read_page
from photio_prep.imaging.tiff_samples import (
    BYTE_PACKINGS,
    COLOURS,
    ICC_LAB,
    Layout,
    Samples,
    read_layout,
    read_samples,
    rebuild_tiff,
)

_FAX, _JPEG = frozenset({2, 3, 4}), frozenset({6, 7})
_PALETTE, _YCBCR, _SUBSAMPLING = 3, 6, 530
# Tags of a picture that Pillow reads; orientation and metadata are left out.
_PICTURE = (*range(256, 260), 262, 266, 273, *range(277, 280), 284, 292, 293, 317, 320, *range(322, 326))
_PICTURE += (338, 339, 347, *range(512, 522), *range(529, 533))
_ASSOCIATED, _UNASSOCIATED = _ALPHAS = (1, 2)
# Whole numbers of more than 16 bits above this value use all of their bits.
_WIDE = 2.0**24
# Rows that are converted at once: few temporary arrays of large pictures.
_ROWS = 128


class TiffPicture(NamedTuple):
    """A page as stored: a picture of the mode L, RGB, CMYK, LAB, P, 1 or YCbCr; its alpha (L); notes."""

    image: Image.Image
    alpha: Image.Image | None
    notes: tuple[str, ...]


def decode_tiff(data: bytes, index: int, memory: int) -> TiffPicture:
    """Decode the page of directory `index`; PhotoRefused, by its name, for a kind that is not read right.

    MemoryError, before anything is decoded, if its samples would need more than a quarter of `memory` bytes.
    """
    page = read_page(data, index)
    layout = read_layout(page)
    if layout.width * layout.height * layout.samples * layout.bits // 8 > memory // 4:
        raise MemoryError
    if layout.is_read():
        return _convert(read_samples(data, page, layout, memory), layout)
    is_byte = layout.bits == 8 and not layout.planar
    # Pillow reads uncompressed YCbCr as if it were not subsampled.
    is_garbled = layout.packing == 1 and page.numbers(_SUBSAMPLING, (2, 2)) != (1, 1)
    if not (
        (
            layout.photometric == _PALETTE
            and layout.packing in BYTE_PACKINGS
            and layout.samples == 1
            and layout.bits <= 8
        )
        or (layout.packing in _FAX and layout.samples == layout.bits == 1)
        or (layout.packing in _JPEG and is_byte)
        or (layout.photometric == _YCBCR and is_byte and layout.packing in BYTE_PACKINGS and not is_garbled)
    ):
        raise PhotoRefused(f"a TIFF of {layout}, which is not read", "Export it as RGB with 8 or 16 bits")
    tags = {tag: page.entries[tag] for tag in _PICTURE if tag in page.entries}
    with TiffImagePlugin.TiffImageFile(rebuild_tiff(data, page.order, tags)) as opened:
        opened.load()
        return TiffPicture(opened.copy(), None, ())


def _convert(samples: Samples, layout: Layout) -> TiffPicture:
    """Convert to 8 bits a channel and straight alpha."""
    mode, count = COLOURS[layout.photometric]
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


def _finite(values: Samples) -> NDArray[Any]:
    """Values as floats whose differences are finite too."""
    if values.dtype.kind != "f":
        return values.astype(np.float32 if values.dtype.itemsize <= 2 else np.float64)
    floats = values.astype(np.float64 if values.dtype.itemsize > 4 else np.float32)
    return np.clip(np.nan_to_num(floats, copy=False), -1e38, 1e38, out=floats)


def _full(layout: Layout) -> float:
    """The value of white."""
    return 1.0 if layout.kind == "f" else 2.0 ** (layout.bits - (layout.kind == "i")) - 1


def _range(colours: Samples, layout: Layout) -> tuple[float, float]:
    """The values of black and white. Floats, signed and very wide numbers may use their own range."""
    full = _full(layout)
    if layout.kind == "u" and layout.bits <= 16:
        return 0.0, full
    blocks = [_finite(colours[top : top + _ROWS]) for top in range(0, layout.height, _ROWS)]
    low, high = float(min(block.min() for block in blocks)), float(max(block.max() for block in blocks))
    if layout.kind != "f" and layout.bits > 8 and not (layout.kind == "u" and high > _WIDE):
        full = 65535.0
    return (0.0, full) if low >= 0 and high <= full else (low, high)


def _lab_levels(samples: Samples, layout: Layout) -> NDArray[np.uint8]:
    """CIELab as a TIFF of 8 bits stores it: L from 0 to 255, a and b signed."""
    values = samples.astype(np.float64)
    if layout.photometric == ICC_LAB:  # a and b are stored plus 128; of 16 bits, L ends at 0xFF00
        values /= 256 if layout.bits == 16 else 1
        values[..., 1:] -= 128
    elif layout.bits == 16:
        values = np.concatenate([values[..., :1] / 257, samples[..., 1:].astype(np.int16) / 256], axis=2)
    else:
        values[..., 1:] = samples[..., 1:].astype(np.int8)
    lightness, colours = np.clip(values[..., :1], 0, 255), np.clip(np.rint(values[..., 1:]), -128, 127)
    return np.concatenate([np.rint(lightness).astype(np.uint8), colours.astype(np.int8).view(np.uint8)], axis=2)
