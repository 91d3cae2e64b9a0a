"""Parse the boxes of an AVIF or HEIC."""

import struct
from collections.abc import Iterator

from photio_prep.geometry import Size
from photio_prep.imaging.colour import profile_of
from photio_prep.imaging.headers.header import MANY, Header, MalformedImage
from photio_prep.imaging.headers.items import check_items, coded_items
from photio_prep.imaging.limits import Limits, check_size

_AVIF = frozenset({b"avif", b"avis"})
_HEIC = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis"})
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
    """Parse the size of the largest picture, the frames of an animation, and the colours.

    Raises:
        Damaged: Its boxes do not nest.
        PhotoRefused: Outside the limits.
    """
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
    bodies = [(kind, body) for kind, body in _boxes(data) if kind in (b"infe", b"iloc")]
    coded = coded_items([body for kind, body in bodies if kind == b"infe"])
    for places in (body for kind, body in bodies if kind == b"iloc"):
        check_items(data, places, coded)


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
