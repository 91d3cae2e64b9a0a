"""Parse a PNG's chunks, and rebuild the PNG without metadata."""

import binascii
import struct
import zlib
from collections.abc import Iterator

from photio_prep.geometry import Size
from photio_prep.imaging.headers import exif
from photio_prep.imaging.headers.header import CUT_SHORT, MANY, Header, MalformedImage, limit_profile
from photio_prep.imaging.icc_profiles import ColourSpace, choose_space, space_of_codes, space_of_numbers
from photio_prep.imaging.limits import Limits, check_metadata, check_size

_PICTURE = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_ANIMATION = frozenset({b"acTL", b"fcTL", b"fdAT"})
# At most this much EXIF or XMP is unpacked.
_LONGEST_TEXT = 2**20


def parse_png(data: bytes, limits: Limits, frame: int | None = None) -> Header:
    """Parse a PNG; data after its end are ignored. The check sums of its picture must be right."""
    chunks: dict[bytes, bytes] = {}
    pieces, metadata, hidden = [data[:8]], 0, True
    picture = _PICTURE if frame is None else _PICTURE | _ANIMATION
    size = Size(0, 0)
    for kind, chunk in _chunks(data):
        if not chunks:
            size = _size(kind, chunk)
            check_size(size, limits)
        if kind in picture:
            _check_sum(kind, chunk)
            pieces.append(chunk)
        if kind not in _PICTURE | _ANIMATION:
            metadata += len(chunk)
            check_metadata(metadata, limits)
        if kind == b"fcTL" and b"IDAT" not in chunks:
            hidden = False
        name = kind if kind not in (b"tEXt", b"zTXt", b"iTXt") else chunk[8 : chunk.find(b"\0", 8, 88)]
        if name not in chunks:
            chunks[name] = b"" if kind in (b"IDAT", b"fdAT") else chunk[8:-4]
    if b"IDAT" not in chunks:
        raise MalformedImage("it holds no picture")
    tags = exif.read_exif(_exif(chunks), _xmp(chunks.get(b"XML:com.adobe.xmp")))
    return Header(
        size,
        b"".join(pieces),
        _space(chunks, limits, tags.space),
        tags,
        frames=_frames(chunks.get(b"acTL"), hidden=hidden),
        metadata=metadata,
        index=frame or 0,
        odd="several frames" if frame is not None and b"acTL" in chunks else "",
    )


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and bytes of each chunk, up to IEND."""
    at = 8
    for _ in range(MANY):
        length, kind = struct.unpack_from(">I4s", data, at) if at + 12 <= len(data) else (len(data), b"")
        end = at + 12 + length
        if end > len(data):
            raise MalformedImage(CUT_SHORT)
        yield kind, data[at:end]
        if kind == b"IEND":
            return
        at = end
    raise MalformedImage(f"more than {MANY} chunks")


def _size(kind: bytes, chunk: bytes) -> Size:
    if kind != b"IHDR" or len(chunk) != 25:
        raise MalformedImage("its header cannot be read")
    _check_sum(kind, chunk)
    width, height = struct.unpack_from(">II", chunk, 8)
    if not 0 < width < 2**31 or not 0 < height < 2**31:
        raise MalformedImage(f"it cannot be {width}x{height}")
    return Size(width, height)


def _check_sum(kind: bytes, chunk: bytes) -> None:
    if zlib.crc32(memoryview(chunk)[4:-4]) != int.from_bytes(chunk[-4:], "big"):
        raise MalformedImage(f"the check sum of {kind.decode('latin-1')!r} is wrong", "Copy or download it again")


def _frames(control: bytes | None, *, hidden: bool) -> int:
    """Number of frames to choose from; a `hidden` first picture is only for programs without APNG."""
    if control is None or len(control) != 8:
        return 1
    count = int.from_bytes(control[:4], "big")
    return 1 if count <= 1 and not hidden else count + hidden


def _space(chunks: dict[bytes, bytes], limits: Limits, by_exif: ColourSpace | None) -> ColourSpace:
    """The colour space, in the order of precedence of PNG's third edition; EXIF comes last."""
    codes = chunks.get(b"cICP", b"")
    by_codes = space_of_codes(codes[0], codes[1]) if len(codes) == 4 else None
    if by_codes and not codes[3]:
        by_codes = by_codes._replace(notes=(*by_codes.notes, "its values are of limited range, which was ignored"))
    by_profile = None
    if b"iCCP" in chunks:  # name, NUL, compression method 0, the profile
        chunk = chunks[b"iCCP"]
        profile = _unpack(chunk[chunk.find(b"\0", 0, 80) + 2 :], limits.profile + 1)
        by_profile = ColourSpace(None, ("its colour profile cannot be unpacked and was ignored",))
        by_profile = limit_profile(profile, limits) if profile else by_profile
    named = ColourSpace() if b"sRGB" in chunks else None
    gamma, points = chunks.get(b"gAMA", b""), chunks.get(b"cHRM", b"")
    by_numbers = None
    if len(gamma) == 4 or len(points) == 32:
        # White, red, green, blue: in this order.
        xy = tuple(value / 100_000 for value in struct.unpack(">8I", points)) if len(points) == 32 else None
        exponent = int.from_bytes(gamma, "big") / 100_000
        by_numbers = space_of_numbers(xy, 1 / exponent if exponent else None)
        if abs(exponent - 0.45455) < 0.01 and space_of_numbers(xy, None) == ColourSpace():
            by_numbers = ColourSpace()  # what programs write for sRGB
    return choose_space(by_codes, by_profile, named, by_numbers, by_exif)


def _exif(chunks: dict[bytes, bytes]) -> bytes | None:
    if b"eXIf" in chunks:
        return chunks[b"eXIf"]
    for name in (b"Raw profile type exif", b"Raw profile type APP1"):
        if name in chunks:  # ImageMagick: a line with the kind, one with the length, then hexadecimal digits
            body = chunks[name][len(name) + 1 :]
            text = _unpack(body[1:], _LONGEST_TEXT) if body[:1] == b"\0" else body[:_LONGEST_TEXT]
            digits = b"".join(text.split()[2:])
            try:
                return binascii.unhexlify(digits[: len(digits) // 2 * 2])
            except binascii.Error:
                return b"\0"
    return None


def _xmp(chunk: bytes | None) -> bytes | None:
    if chunk is None:
        return None
    packed = chunk[18:19] == b"\1"
    body = chunk[20:].split(b"\0", 2)[-1]
    return _unpack(body, _LONGEST_TEXT) if packed else body[:_LONGEST_TEXT]


def _unpack(packed: bytes, most: int) -> bytes:
    """At most `most` unpacked bytes of zlib data; empty if they are damaged."""
    try:
        return zlib.decompressobj().decompress(packed, most)
    except zlib.error:
        return b""
