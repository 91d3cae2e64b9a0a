"""Parse a JPEG's markers, and rebuild the JPEG without metadata."""

import re
import struct

from photio_prep.geometry import Size
from photio_prep.imaging.headers import exif
from photio_prep.imaging.headers.header import CUT_SHORT, MANY, Header, MalformedImage, limit_profile
from photio_prep.imaging.headers.scans import ARITHMETIC, FRAMES, SCAN, check_scans
from photio_prep.imaging.icc_profiles import ColourSpace, choose_space
from photio_prep.imaging.limits import Limits, check_metadata, check_size

# A marker: not a stuffed 0xFF of the picture's data, a restart or a fill byte.
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")
# Tables, frame, scan; JFIF and Adobe define how colours are stored. All other segments are metadata.
_PICTURE = FRAMES | {0xC4, 0xCC, SCAN, 0xDB, 0xDC, 0xDD, 0xE0, 0xEE}
_END = 0xD9
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
# Segments of MPO and of gain maps.
_MORE_PICTURES = (b"MPF\0", b"urn:iso:std:iso:ts:21496:-1\0")
# https://libjpeg-turbo.org/pmwiki/uploads/About/TwoIssueswiththeJPEGStandard.pdf: a few KB of empty scans keep a
# decoder busy for minutes. Photo editors write 1 to 12.
_USUAL_SCANS = 32


def parse_jpeg(data: bytes, limits: Limits, frame: int | None = None) -> Header:  # noqa: ARG001
    """Parse a JPEG. In a file with several pictures (MPO, gain map) the first one is the base picture."""
    segments, end = _segments(data, limits)
    size = next(_size(data, start) for kind, start, _ in segments if kind in FRAMES)
    check_scans(data, segments)
    metadata = sum(stop - start for kind, start, stop in segments if kind not in _PICTURE)
    check_metadata(metadata, limits)
    pieces = [data[start:stop] for kind, start, stop in segments if kind in _PICTURE]
    apps = [(kind, data[start + 4 : stop]) for kind, start, stop in segments if kind in (0xE1, 0xE2)]
    exif_block = next((body[6:] or b"\0" for kind, body in apps if kind == 0xE1 and body.startswith(b"Exif\0")), None)
    xmp = next((body[len(_XMP) :] for kind, body in apps if kind == 0xE1 and body.startswith(_XMP)), None)
    tags = exif.read_exif(exif_block, xmp)
    space = choose_space(_profile([body for kind, body in apps if kind == 0xE2], limits), tags.space)
    if len(data) > end + 2 and any(kind == 0xE2 and body.startswith(_MORE_PICTURES) for kind, body in apps):
        more = "it holds more pictures (HDR gain map or stereo); its base picture is used"
        space = space._replace(notes=(*space.notes, more))
    scans = sum(kind == SCAN for kind, _, _ in segments)
    arithmetic = any(kind == 0xCC or kind in ARITHMETIC for kind, _, _ in segments)
    return Header(
        size,
        b"".join([b"\xff\xd8", *pieces, b"\xff\xd9"]),
        space,
        tags,
        metadata=metadata,
        odd=f"{scans} scans" if scans > _USUAL_SCANS else "arithmetic coding" if arithmetic else "",
    )


def _segments(data: bytes, limits: Limits) -> tuple[list[tuple[int, int, int]], int]:
    """Marker, start and end of each segment of the first picture (a scan with its data), and the picture's end."""
    segments: list[tuple[int, int, int]] = []
    at, framed = 2, False
    while len(segments) < MANY:
        match = _MARKER.search(data, at)
        if match is None:
            raise MalformedImage(CUT_SHORT)
        start, kind = match.start(), data[match.start() + 1]
        if segments and segments[-1][0] == SCAN:
            segments[-1] = (SCAN, segments[-1][1], start)
        if kind == _END:
            if not framed or not any(segment[0] == SCAN for segment in segments):
                raise MalformedImage("it ends before its picture")
            return segments, start
        if start + 4 > len(data):
            raise MalformedImage(CUT_SHORT)
        (length,) = struct.unpack_from(">H", data, start + 2)
        at = start + 2 + length
        if length < 2 or at > len(data):
            raise MalformedImage(CUT_SHORT if length >= 2 else "a segment without length")
        if kind in FRAMES:
            if framed:
                raise MalformedImage("it has two frames")
            framed = True
            check_size(_size(data, start), limits)
        segments.append((kind, start, at))
    raise MalformedImage(f"more than {MANY} segments")


def find_scans(plain: bytes) -> tuple[int, list[tuple[int, int]]]:
    """The marker of the frame, and start and end of each scan's data, in a JPEG rebuilt by `parse_jpeg`."""
    frame, scans, at = 0, [], 2
    while (match := _MARKER.search(plain, at)) and (kind := plain[match.start() + 1]) != _END:
        at = match.start() + 2 + int.from_bytes(plain[match.start() + 2 : match.start() + 4], "big")
        if kind in FRAMES:
            frame = kind
        elif kind == SCAN and (following := _MARKER.search(plain, at)):
            scans.append((at, following.start()))
            at = following.start()
    return frame, scans


def _size(data: bytes, start: int) -> Size:
    if start + 9 > len(data):
        raise MalformedImage(CUT_SHORT)
    height, width = struct.unpack_from(">HH", data, start + 5)
    if not height and width:
        raise MalformedImage("its height comes after the picture, which few programs write")
    if not height or not width:
        raise MalformedImage("it has no size")
    return Size(width, height)


def _profile(segments: list[bytes], limits: Limits) -> ColourSpace | None:
    """The colour space of an ICC profile in numbered pieces."""
    pieces = {body[12]: body for body in segments if body.startswith(b"ICC_PROFILE\0") and len(body) > 14}
    if not pieces:
        return None
    if {*pieces} != {*range(1, len(pieces) + 1)} or any(body[13] != len(pieces) for body in pieces.values()):
        return ColourSpace(None, ("its colour profile is incomplete and was ignored",))
    return limit_profile(b"".join(pieces[number][14:] for number in sorted(pieces)), limits)
