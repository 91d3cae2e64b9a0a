"""Parse a TIFF's directories."""

import itertools
import struct
import zlib
from typing import NamedTuple

from photio_prep.errors import PhotoRefused
from photio_prep.geometry import Size
from photio_prep.imaging.headers import exif
from photio_prep.imaging.headers.exif import ExifEntry
from photio_prep.imaging.headers.header import (
    ARRIVED_BROKEN,
    CUT_SHORT,
    Header,
    MalformedImage,
    check_rows,
    find_hole,
    limit_profile,
    raise_if_hole,
)
from photio_prep.imaging.icc_profiles import choose_space
from photio_prep.imaging.limits import Limits, check_metadata, check_size

_KIND, _WIDTH, _HEIGHT, _COMPRESSION, _ORIENTATION, _ARTIST, _COPYRIGHT = 254, 256, 257, 259, 274, 315, 33432
_TILE_WIDTH, _TILE_HEIGHT, _XMP, _PROFILE, _DNG = 322, 323, 700, 34675, 50706
# Offsets and lengths of strips and tiles.
_STARTS, _LENGTHS = (273, 324), (279, 325)
# CCITT, LZW, PackBits; deflate by its two numbers.
_PACKED, _DEFLATE = frozenset({2, 3, 4, 5, 32773}), frozenset({8, 32946})
# Photoshop's layers (37724) are not metadata.
_METADATA = (_XMP, 33723, 34377, 50341, 50934, _PROFILE)
_THUMBNAIL = 1
# CIELab, ICC's and ITU's: no device's colours.
_PHOTOMETRIC, _LABS = 262, frozenset({8, 9, 10})
_ENTRIES = 4096
_STRIPS = 1_000_000
_RAW = ("it is the raw file of a camera, or holds only a thumbnail", "Export it as JPEG or TIFF first")


class Directory(NamedTuple):
    """The entries of a page by tag; `order` is struct's < or >."""

    order: str
    entries: dict[int, ExifEntry]

    def numbers(self, tag: int, missing: tuple[int, ...] = ()) -> tuple[int, ...]:
        """All values of a BYTE, SHORT or LONG entry; `missing` only without the entry."""
        if tag not in self.entries:
            return missing
        values = self.entries[tag].numbers(self.order, self.entries[tag].many)
        if not values:
            raise MalformedImage(f"its entry {tag} cannot be read", ARRIVED_BROKEN)
        return values

    def number(self, tag: int, missing: int = 0) -> int:
        """The first value."""
        return self.numbers(tag, (missing,))[0]

    def value(self, tag: int) -> bytes | None:
        """The bytes of an entry."""
        return self.entries[tag].value if tag in self.entries else None


def read_page(data: bytes, index: int) -> Directory:
    """The directory number `index` of a TIFF, thumbnails counted."""
    order, at = _start(data)
    for _ in range(index + 1):
        entries, at = exif.read_directory(data, order, at, _ENTRIES)
    return Directory(order, {entry.tag: entry for entry in entries})


def _start(data: bytes) -> tuple[str, int]:
    order = "<" if data[:2] == b"II" else ">"
    return order, struct.unpack_from(order + "I", data, 4)[0] if len(data) >= 8 else 0


def parse_tiff(data: bytes, limits: Limits, frame: int | None = None) -> Header:
    """Parse a TIFF. Thumbnail pages are not counted; raw files of cameras are refused."""
    pages: list[tuple[int, Directory]] = []
    visited: set[int] = set()
    order, at = _start(data)
    metadata = 0
    while at and len(pages) <= limits.frames:
        if at in visited or len(visited) > 2 * limits.frames:
            raise MalformedImage("its directories form a loop")
        entries, following = exif.read_directory(data, order, at, _ENTRIES)
        page = Directory(order, {entry.tag: entry for entry in entries})
        metadata += sum(page.entries[tag].many for tag in _METADATA if tag in page.entries)
        check_metadata(metadata, limits)
        if not page.number(_KIND) & _THUMBNAIL:
            pages.append((len(visited), page))
        visited.add(at)
        at = following
    if not visited:
        raise MalformedImage("it has no directory")
    if not pages or any(_DNG in page.entries for _, page in pages):
        raise PhotoRefused(*_RAW)
    # A frame number out of range is refused by the caller.
    index, page = pages[frame] if frame is not None and 0 <= frame < len(pages) else pages[0]
    size = _check_page(page, data, limits)
    tags = exif.read_tags(data, order, page.entries, page.value(_XMP))
    icc = page.value(_PROFILE)
    by_tags = None if page.number(_PHOTOMETRIC) in _LABS else tags.space
    space = choose_space(limit_profile(icc, limits) if icc else None, by_tags)
    return Header(size, data, space, tags, frames=len(pages), metadata=metadata, index=index)


def _check_page(page: Directory, data: bytes, limits: Limits) -> Size:
    """The size of a page whose picture is within the file and the limits."""
    size = Size(page.number(_WIDTH), page.number(_HEIGHT))
    if not size.area:
        raise MalformedImage("it has no size")
    check_size(size, limits)
    tile = Size(page.number(_TILE_WIDTH), page.number(_TILE_HEIGHT))
    if tile.area > limits.pixels or max(tile) > limits.side:
        raise MalformedImage(f"its tiles are {tile}")
    for tag in (*_STARTS, *_LENGTHS):
        entry = page.entries.get(tag)
        if entry and (entry.value is None or entry.many > _STRIPS):
            raise MalformedImage("it does not locate its picture")
    starts, lengths = (page.numbers(strips) or page.numbers(tiles) for strips, tiles in (_STARTS, _LENGTHS))
    _check_data(sorted(zip(starts, lengths, strict=False)), page, data, size.height)
    return size


def _check_data(places: list[tuple[int, int]], page: Directory, data: bytes, height: int) -> None:
    """Refuse strips or tiles beyond the file, or with a hole: no packer but deflate writes long runs of zeros."""
    packing = page.number(_COMPRESSION, 1)
    # Uncompressed ones may announce too much; their decoder counts pixels.
    if packing != 1 and any(at + length > len(data) for at, length in places):
        raise MalformedImage(CUT_SHORT)
    total = sum(length for _, length in places)
    if total > 2 * len(data):
        return  # overlapping strips; their decoder is limited
    if packing in _PACKED or packing in _DEFLATE:
        for at, length in places:
            holed = find_hole(data, at, at + length) is not None
            if holed and not (packing in _DEFLATE and _unpacks(data[at : at + length])):
                raise_if_hole(data, at, at + length)
    joined = all(one[0] + one[1] == other[0] for one, other in itertools.pairwise(places))
    stride, more = divmod(total, height)
    if packing == 1 and places and joined and stride and not more and _TILE_WIDTH not in page.entries:
        check_rows(data, places[0][0], sum(places[-1]), stride)


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
