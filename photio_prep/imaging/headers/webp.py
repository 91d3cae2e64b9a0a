"""Parse a WebP's chunks."""

import struct
from collections.abc import Iterator

from photio_prep.geometry import Size
from photio_prep.imaging.headers import exif
from photio_prep.imaging.headers.header import CUT_SHORT, MANY, Header, MalformedImage, find_hole, limit_profile
from photio_prep.imaging.icc_profiles import choose_space
from photio_prep.imaging.limits import Limits, check_metadata, check_size

_PICTURE = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF"})
_ANIMATED = 0x02
# Encoders end with up to 3 bytes that carry nothing, decoders look up to 8 ahead.
_NEEDED = 32


def parse_webp(data: bytes, limits: Limits, frame: int | None = None) -> Header:
    """Parse a WebP; data after its end are ignored."""
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data) or end < 20:
        raise MalformedImage(CUT_SHORT)
    chunks: dict[bytes, bytes] = {}
    at, metadata, frames = 12, 0, 0
    for _ in range(MANY):
        if at + 8 > end:
            break
        kind, length = struct.unpack_from("<4sI", data, at)
        if at + 8 + length > end:
            raise MalformedImage(CUT_SHORT)
        body = data[at + 8 : at + 8 + length] if kind not in chunks and kind != b"ANMF" else b""
        at += 8 + length + length % 2
        frames += kind == b"ANMF"
        if kind in (b"VP8 ", b"VP8L", b"VP8X") and kind not in chunks:
            check_size(_size(kind, body), limits)
        if kind not in _PICTURE:
            metadata += 8 + length
            check_metadata(metadata, limits)
        chunks.setdefault(kind, body)
    else:
        raise MalformedImage(f"more than {MANY} chunks")
    first = next((kind for kind in (b"VP8X", b"VP8 ", b"VP8L") if kind in chunks), None)
    if first is None:
        raise MalformedImage("it holds no picture")
    animated = first == b"VP8X" and chunks[first][0] & _ANIMATED
    tags = exif.read_exif(chunks.get(b"EXIF"), chunks.get(b"XMP "))
    space = choose_space(limit_profile(chunks[b"ICCP"], limits) if b"ICCP" in chunks else None, tags.space)
    frames = max(frames, 1) if animated else 1
    size = _size(first, chunks[first])
    return Header(size, data[:end], space, tags, frames=frames, metadata=metadata, index=frame or 0)


def without_ends(data: bytes) -> Iterator[bytes]:
    """For each coded picture with a long run of zeros: a WebP of only that picture, without its last bytes.

    The zeros are a plain area, or a hole. An encoder writes no byte that its decoder does not need: if the shorter file
    decodes, the zeros are a hole.
    """
    at, end = 12, min(8 + int.from_bytes(data[4:8], "little"), len(data))
    while at + 8 <= end:
        kind, length = struct.unpack_from("<4sI", data, at)
        if kind in (b"VP8 ", b"VP8L") and find_hole(data, at + 8, at + 8 + length) is not None:
            body = data[at + 8 : at + 8 + length - _NEEDED]
            body += bytes(len(body) % 2)
            yield b"RIFF" + struct.pack("<I", 12 + len(body)) + b"WEBP" + kind + struct.pack("<I", len(body)) + body
        at += 24 if kind == b"ANMF" else 8 + length + length % 2  # a frame's header, and then its chunks


def _size(kind: bytes, body: bytes) -> Size:
    if len(body) < 10 - 5 * (kind == b"VP8L"):
        raise MalformedImage(CUT_SHORT)
    if kind == b"VP8X":
        return Size(int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1)
    if kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return Size((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    width, height = struct.unpack_from("<HH", body, 6)
    return Size(width & 0x3FFF, height & 0x3FFF)
