"""Parse the boxes of an AVIF or HEIC."""

import math
import struct
from collections.abc import Iterator

from photio_prep.geometry import Size
from photio_prep.imaging.headers import exif
from photio_prep.imaging.headers.header import CUT_SHORT, MANY, Header, MalformedImage, raise_if_hole
from photio_prep.imaging.icc_profiles import ColourSpace, choose_space, space_of_codes
from photio_prep.imaging.limits import Limits, check_size

_AVIF = frozenset({b"avif", b"avis"})
_HEIC = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis"})
# Coded pictures and parts of pictures. Neither coder writes more than a few zeros in a row.
_CODED = frozenset({b"av01", b"hvc1", b"lhv1"})
_LONGEST_EXIF = 2**20
# Parent, kind and body.
_Box = tuple[bytes, bytes, bytes]
# Boxes that contain boxes.
_HOLDERS = frozenset({b"meta", b"iinf", b"iprp", b"ipco", b"moov", b"trak", b"mdia", b"minf", b"stbl"})


def sniff_heif(data: bytes) -> str | None:
    """AVIF or HEIC by the file's brands, or None."""
    if data[4:8] != b"ftyp":
        return None
    length = int.from_bytes(data[:4], "big")
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, min(length, len(data), 256), 4))}
    return "AVIF" if brands & _AVIF else "HEIC" if brands & _HEIC else None


def parse_heif(data: bytes, limits: Limits, frame: int | None = None) -> Header:
    """Parse the size of the largest picture, the frames of an animation, colours and EXIF, crop and turn.

    As libheif does, only the properties `clap`, `irot` and `imir` crop and turn a picture, not EXIF or XMP.
    """
    boxes = list(_boxes(data))
    sizes: list[Size] = []
    frames = 1
    by_codes: ColourSpace | None = None
    has_profile = False  # which its decoder reads
    for _, kind, body in boxes:
        if kind == b"ispe" and len(body) >= 12:
            sizes.append(Size(*struct.unpack_from(">II", body, 4)))
        elif kind == b"stsz" and len(body) >= 12:
            frames = max(frames, int.from_bytes(body[8:12], "big"))
        elif kind == b"tkhd" and len(body) >= 84:  # width and height of a track, 16.16
            wide, high = struct.unpack_from(">II", body, len(body) - 8)
            sizes.append(Size(wide >> 16, high >> 16))
        elif kind == b"colr" and body[:4] in (b"prof", b"rICC"):
            has_profile = True
        elif kind == b"colr" and body[:4] == b"nclx" and len(body) >= 10 and not (by_codes and by_codes.profile):
            codes = struct.unpack_from(">HH", body, 4)
            by_codes = by_codes if codes == (2, 2) else space_of_codes(*codes)  # 2: unspecified
    if not sizes:
        raise MalformedImage("it does not say how large it is")
    size = max(sizes, key=lambda candidate: candidate.area)
    if max(size) > limits.side or size.area > limits.pixels:
        check_size(size, limits)
    tags = exif.read_exif(_check_items(data, boxes))
    space = choose_space(by_codes, None if has_profile else tags.space)
    # An animation and a still picture may share a file: a decoder without animations shows the still one.
    if data[8:12] not in (b"avis", b"hevc", b"msf1"):
        frames = 1
    # The decoder of HEIC crops and turns by itself, that of AVIF does neither.
    crop, orientation = _transformation(boxes) if sniff_heif(data) == "AVIF" else (None, 1)
    tags = tags._replace(orientation=orientation, notes=())
    return Header(size, data, space, tags, frames=frames, crop=crop, index=frame or 0)


def _transformation(boxes: list[_Box]) -> tuple[tuple[int, int, int, int] | None, int]:
    """The crop of the primary picture (left, top, right, bottom), and its turn as an orientation of EXIF."""
    first = {kind: body for _, kind, body in reversed(boxes)}
    shared = [(kind, body) for parent, kind, body in boxes if parent == b"ipco"]
    primary, links = first.get(b"pitm", b""), first.get(b"ipma", b"")
    own = dict(shared[at] for at in _links(primary[4:], links) if at < len(shared))
    # Turned anticlockwise in steps of 90 degrees, then mirrored: top with bottom (0), or left with right (1).
    turn = (own.get(b"irot") or b"\0")[0] & 3
    mirror = own[b"imir"][0] & 1 if own.get(b"imir") else None
    orientation = {None: (1, 8, 3, 6), 0: (4, 5, 2, 7), 1: (2, 7, 4, 5)}[mirror][turn]
    if len(own.get(b"clap", b"")) < 32 or len(own.get(b"ispe", b"")) < 12:
        return None, orientation
    width, height = struct.unpack_from(">II", own[b"ispe"], 4)
    wide, wide_unit, high, high_unit, right, right_unit, down, down_unit = struct.unpack_from(">4I iI iI", own[b"clap"])
    if not wide_unit * high_unit * right_unit * down_unit:
        return None, orientation
    left = math.floor(right / right_unit + (width - wide / wide_unit) / 2)
    top = math.floor(down / down_unit + (height - high / high_unit) / 2)
    crop = (left, top, left + round(wide / wide_unit), top + round(high / high_unit))
    fits = 0 <= left < crop[2] <= width and 0 <= top < crop[3] <= height
    return crop if fits else None, orientation


def _links(item: bytes, body: bytes) -> Iterator[int]:
    """Numbers of the properties, from 0, of an item, by the body of the file's ipma box."""
    wide, long = 4 if body[:1] >= b"\1" else 2, 2 if body[3:4] and body[3] & 1 else 1
    at = 8
    for _ in range(min(int.from_bytes(body[4:8], "big"), MANY)):
        count = body[at + wide] if at + wide < len(body) else 0
        start, at = at + wide + 1, at + wide + 1 + count * long
        if int.from_bytes(body[start - wide - 1 : start - 1], "big") == int.from_bytes(item, "big"):
            for place in range(start, min(at, len(body)), long):
                yield (int.from_bytes(body[place : place + long], "big") & (0x7FFF if long == 2 else 0x7F)) - 1


def _check_items(data: bytes, boxes: list[_Box]) -> bytes:
    """Refuse coded items that reach beyond the file's end, or have a hole of zero bytes; return the EXIF item."""
    kinds = dict(_item_kind(body) for _, kind, body in boxes if kind == b"infe")
    block, total = b"", 0
    for item, at, length in (extent for _, kind, body in boxes if kind == b"iloc" for extent in _extents(body)):
        if kinds.get(item) in _CODED:
            total += length or len(data)
            if total > 2 * len(data):  # an attack: overlapping items
                raise MalformedImage("its pieces overlap")
            if at + length > len(data):
                raise MalformedImage(CUT_SHORT)
            raise_if_hole(data, at, at + length if length else len(data))
        elif kinds.get(item) == b"Exif" and not block:
            block = data[at + 4 + int.from_bytes(data[at : at + 4], "big") : at + min(length, _LONGEST_EXIF)]
    return block


def _item_kind(body: bytes) -> tuple[int, bytes]:
    """Number and kind of the item of an infe box."""
    long = body[:1] >= b"\3"
    kind = body[8 + 2 * long : 12 + 2 * long] if body[:1] >= b"\2" else b""
    return int.from_bytes(body[4 : 6 + 2 * long], "big"), kind


def _extents(body: bytes) -> Iterator[tuple[int, int, int]]:
    """Item, offset and length of each piece with an offset from the file's start."""
    at = 4

    def number(length: int) -> int:
        nonlocal at
        at += length
        if at > len(body):
            raise MalformedImage("it does not locate its picture")
        return int.from_bytes(body[at - length : at], "big")

    version, sizes = body[:1], number(2)
    offset, length, base, index = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15, sizes & 15
    wide = 4 if version >= b"\2" else 2
    pieces = 0
    for _ in range(number(wide)):
        item = number(wide)
        method = number(2) & 15 if version >= b"\1" else 0
        number(2)
        start = number(base)
        for _ in range(number(2)):
            pieces += 1
            if pieces > MANY:
                raise MalformedImage(f"more than {MANY} pieces")
            number(index if version >= b"\1" else 0)
            place, long = start + number(offset), number(length)
            if method == 0:
                yield item, place, long


def _boxes(data: bytes) -> Iterator[_Box]:
    """Parent, kind and body of each box that contains no boxes; nested ones come after their level."""
    todo, walked = [(b"", 0, len(data))], 0
    while todo:
        parent, at, end = todo.pop()
        while at + 8 <= end:
            walked += 1
            length, kind = struct.unpack_from(">I4s", data, at)
            body = at + 8
            if length == 1 and at + 16 <= end:
                length, body = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
            stop = at + length if length else end
            if stop > end or stop < body or walked > MANY:
                raise MalformedImage("its boxes do not fit into each other")
            if kind in _HOLDERS:
                # Before its boxes: version and flags, and a count in iinf.
                prefix = {b"meta": 4, b"iinf": 6 if data[body : body + 1] == b"\0" else 8}.get(kind, 0)
                todo.append((kind, body + prefix, stop))
            elif kind != b"mdat":
                yield parent, kind, data[body : stop if kind in (b"iloc", b"ipma") else min(stop, body + 4096)]
            at = stop
