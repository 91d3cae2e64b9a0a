"""Parse a TIFF's directories."""

import itertools
import struct
import zlib

from photio_prep.errors import PhotoRefused
from photio_prep.geometry import Size
from photio_prep.imaging.headers import exif
from photio_prep.imaging.headers.exif import ExifEntry
from photio_prep.imaging.headers.header import (
    CUT_SHORT,
    Header,
    MalformedImage,
    check_rows,
    find_hole,
    limit_profile,
    raise_if_hole,
)
from photio_prep.imaging.limits import Limits, check_metadata, check_size
from photio_prep.types import Credit

_KIND, _WIDTH, _HEIGHT, _PHOTOMETRIC, _ARTIST, _COPYRIGHT = 254, 256, 257, 262, 315, 33432
_TILE_WIDTH, _TILE_HEIGHT, _PROFILE, _DNG = 322, 323, 34675, 50706
# Offsets and lengths of strips and tiles.
_PLACES = (273, 279, 324, 325)
_STARTS, _LENGTHS = (273, 324), (279, 325)
_COMPRESSION = 259
# CCITT, LZW, PackBits; deflate by its two numbers.
_PACKED, _DEFLATE = frozenset({2, 3, 4, 5, 32773}), frozenset({8, 32946})
_METADATA = (700, 33723, 34377, 37724, 50341, 50934, _PROFILE)
_THUMBNAIL = 1
_ENTRIES = 4096
_STRIPS = 1_000_000
_RAW = ("it is the raw file of a camera, or holds only a thumbnail", "Export it as JPEG or TIFF first")


def parse_tiff(data: bytes, limits: Limits, frame: int | None = None) -> Header:
    """Parse a TIFF. Thumbnail pages are not counted; raw files of cameras are refused."""
    order = "<" if data[:2] == b"II" else ">"
    pages: list[tuple[int, dict[int, ExifEntry]]] = []
    visited: set[int] = set()
    at, metadata = struct.unpack_from(order + "I", data, 4)[0] if len(data) >= 8 else 0, 0
    while at and len(pages) <= limits.frames:
        if at in visited or len(visited) > 2 * limits.frames:
            raise MalformedImage("its directories form a loop")
        entries, following = exif.read_directory(data, order, at, _ENTRIES)
        page = {entry.tag: entry for entry in entries}
        metadata += sum(page[tag].many for tag in _METADATA if tag in page)
        check_metadata(metadata, limits)
        kinds = page[_KIND].numbers(order) if _KIND in page else ()
        if not (kinds and kinds[0] & _THUMBNAIL):
            pages.append((len(visited), page))
        visited.add(at)
        at = following
    if not visited:
        raise MalformedImage("it has no directory")
    if not pages or any(_DNG in page for _, page in pages):
        raise PhotoRefused(*_RAW)
    # A frame number out of range is refused by the caller.
    index, page = pages[frame] if frame is not None and 0 <= frame < len(pages) else pages[0]
    return _parse_page(page, order, limits, data=data, frames=len(pages), index=index, metadata=metadata)


def _parse_page(
    page: dict[int, ExifEntry], order: str, limits: Limits, *, data: bytes, frames: int, index: int, metadata: int
) -> Header:
    size = Size(_number(page, _WIDTH, order), _number(page, _HEIGHT, order))
    if not size.area:
        raise MalformedImage("it has no size")
    check_size(size, limits)
    tile = Size(_number(page, _TILE_WIDTH, order), _number(page, _TILE_HEIGHT, order))
    if tile.area > limits.pixels or max(tile) > limits.side:
        raise MalformedImage(f"its tiles are {tile}")
    for tag in _PLACES:
        if tag in page and (page[tag].value is None or page[tag].many > _STRIPS):
            raise MalformedImage("it does not locate its picture")
    _check_data(page, order, data, size)
    icc = page[_PROFILE].value if _PROFILE in page else None
    profile, notes = limit_profile(icc, limits) if icc else (None, ())
    return Header(
        size,
        data,
        frames=frames,
        metadata=metadata,
        profile=profile,
        index=index,
        # Pillow reads 16 bits whose 0 is white as if 0 were black.
        inverted=_number(page, _PHOTOMETRIC, order, missing=1) == 0,
        credit=Credit(exif.decode_text(page.get(_ARTIST)), exif.decode_text(page.get(_COPYRIGHT))),
        notes=notes,
    )


def _check_data(page: dict[int, ExifEntry], order: str, data: bytes, size: Size) -> None:
    """Refuse strips or tiles beyond the file, or with a hole: no packer but deflate writes long runs of zeros."""
    places = sorted(zip(*(_all_numbers(page, order, *tags) for tags in (_STARTS, _LENGTHS)), strict=False))
    packing = _number(page, _COMPRESSION, order, missing=1)
    # Uncompressed ones may announce too much; their decoder counts pixels.
    if packing != 1 and any(at + length > len(data) for at, length in places):
        raise MalformedImage(CUT_SHORT)
    if sum(length for _, length in places) > 2 * len(data):
        return  # overlapping strips; their decoder is limited
    if packing in _PACKED or packing in _DEFLATE:
        for at, length in places:
            holed = find_hole(data, at, at + length) is not None
            if holed and not (packing in _DEFLATE and _unpacks(data[at : at + length])):
                raise_if_hole(data, at, at + length)
    joined = all(one[0] + one[1] == other[0] for one, other in itertools.pairwise(places))
    stride, more = divmod(sum(length for _, length in places), size.height)
    if packing == 1 and places and joined and stride and not more and _TILE_WIDTH not in page:
        check_rows(data, places[0][0], sum(places[-1]), stride)


def _all_numbers(page: dict[int, ExifEntry], order: str, *tags: int) -> tuple[int, ...]:
    """All values of the first present tag."""
    entry = next((page[tag] for tag in tags if tag in page), None)
    letter = {3: "H", 4: "I"}.get(entry.kind) if entry else None
    if entry is None or letter is None or entry.value is None:
        return ()
    return struct.unpack_from(f"{order}{entry.many}{letter}", entry.value)


def _unpacks(packed: bytes) -> bool:
    """Whether deflated data are complete, by their check sum; in bounded memory."""
    unpacker = zlib.decompressobj()
    try:
        while packed and not unpacker.eof:
            unpacker.decompress(packed, 2**20)
            packed = unpacker.unconsumed_tail
    except zlib.error:
        return False
    return unpacker.eof


def _number(page: dict[int, ExifEntry], tag: int, order: str, *, missing: int = 0) -> int:
    values = page[tag].numbers(order) if tag in page else ()
    return values[0] if values else missing
