"""Parse the boxes of an AVIF or HEIC."""

import struct
from collections.abc import Iterator

from photio_prep.geometry import Size
from photio_prep.imaging.colour import profile_of
from photio_prep.imaging.headers.header import CUT_SHORT, MANY, Header, MalformedImage, raise_if_hole
from photio_prep.imaging.limits import Limits, check_size

_AVIF = frozenset({b"avif", b"avis"})
_HEIC = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis"})
# Coded pictures and parts of pictures. Neither coder writes more than a few zeros in a row.
_CODED = frozenset({b"av01", b"hvc1", b"lhv1"})
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
    """Parse the size of the largest picture, the frames of an animation, and the colours."""
    sizes: list[Size] = []
    frames, profile = 1, None
    notes: tuple[str, ...] = ()
    for kind, body in _boxes(data):
        if kind == b"ispe" and len(body) >= 12:
            sizes.append(Size(*struct.unpack_from(">II", body, 4)))
        elif kind == b"stsz" and len(body) >= 12:
            frames = max(frames, int.from_bytes(body[8:12], "big"))
        elif kind == b"tkhd" and len(body) >= 84:  # width and height of a track, 16.16
            wide, high = struct.unpack_from(">II", body, len(body) - 8)
            sizes.append(Size(wide >> 16, high >> 16))
        elif kind == b"colr" and body[:4] == b"nclx" and len(body) >= 10 and profile is None:
            profile, notes = profile_of(*struct.unpack_from(">HH", body, 4))
    if not sizes:
        raise MalformedImage("it does not say how large it is")
    size = max(sizes, key=lambda candidate: candidate.area)
    if max(size) > limits.side or size.area > limits.pixels:
        check_size(size, limits)
    _check_items(data)
    # An animation and a still picture may share a file: a decoder without animations shows the still one.
    if data[8:12] not in (b"avis", b"hevc", b"msf1"):
        frames = 1
    return Header(size, data, frames=frames, profile=profile, index=frame or 0, notes=notes)


def _check_items(data: bytes) -> None:
    """Refuse coded items that reach beyond the file's end, or have a hole of zero bytes."""
    bodies = [(kind, body) for kind, body in _boxes(data) if kind in (b"infe", b"iloc")]
    coded = {_coded_item(body) for kind, body in bodies if kind == b"infe"}
    total = 0
    for item, at, length in (extent for kind, body in bodies if kind == b"iloc" for extent in _extents(body)):
        if item in coded:
            total += length or len(data)
            if total > 2 * len(data):  # an attack: overlapping items
                raise MalformedImage("its pieces overlap")
            if at + length > len(data):
                raise MalformedImage(CUT_SHORT)
            raise_if_hole(data, at, at + length if length else len(data))


def _coded_item(body: bytes) -> int | None:
    """The number of the item of an infe box, if it is a coded picture."""
    long = body[:1] >= b"\3"
    if body[:1] < b"\2" or body[8 + 2 * long : 12 + 2 * long] not in _CODED:
        return None
    return int.from_bytes(body[4 : 6 + 2 * long], "big")


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


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and body of each box that contains no boxes; nested ones come after their level."""
    todo, walked = [(0, len(data))], 0
    while todo:
        at, end = todo.pop()
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
                todo.append((body + _prefix_length(kind, data[body : body + 1]), stop))
            elif kind != b"mdat":
                yield kind, data[body : stop if kind == b"iloc" else min(stop, body + 4096)]
            at = stop


def _prefix_length(kind: bytes, version: bytes) -> int:
    """Bytes before the boxes in a box: version and flags, and a count in iinf."""
    return {b"meta": 4, b"iinf": 6 if version == b"\0" else 8}.get(kind, 0)
