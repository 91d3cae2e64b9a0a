"""Parse a JPEG's markers, and rebuild the JPEG without metadata."""

import re
import struct
from collections.abc import Iterator

from photio_prep.geometry import Size
from photio_prep.imaging.headers import exif
from photio_prep.imaging.headers.header import CUT_SHORT, MANY, Header, MalformedImage
from photio_prep.imaging.headers.scans import check_scans
from photio_prep.imaging.limits import Limits, check_metadata, check_size

# A marker: not a stuffed 0xFF of the picture's data, a restart or a fill byte.
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
# Tables, frame, scan; JFIF and Adobe define how colours are stored. All other segments are metadata.
_PICTURE = _FRAMES | {0xC4, 0xCC, 0xDA, 0xDB, 0xDC, 0xDD, 0xE0, 0xEE}
_SCAN, _END = 0xDA, 0xD9
# https://libjpeg-turbo.org/pmwiki/uploads/About/TwoIssueswiththeJPEGStandard.pdf: a few KB of empty scans keep a
# decoder busy for minutes. Photo editors write 1 to 12.
_USUAL_SCANS = 32


def parse_jpeg(data: bytes, limits: Limits, frame: int | None = None) -> Header:  # noqa: ARG001
    """Parse a JPEG. In a file with several pictures (MPO, gain map) the first one is the base picture.

    Raises:
        Damaged: Not a complete JPEG.
        PhotoRefused: Outside the limits.
    """
    segments, end = _segments(data, limits)
    size = next(_size(data, start) for kind, start, _ in segments if kind in _FRAMES)
    check_scans(data, segments)
    pieces, metadata, app_data = [b"\xff\xd8"], 0, _AppData()
    scans = arithmetic = 0
    for kind, start, stop in segments:
        if kind in _PICTURE:
            pieces.append(data[start:stop])
            scans += kind == _SCAN
            arithmetic += kind == 0xCC or kind in range(0xC9, 0xD0)
        else:
            metadata += stop - start
            app_data.add(kind, data[start + 4 : stop])
    pieces.append(b"\xff\xd9")
    check_metadata(metadata, limits)
    orientation, credit, notes = exif.read_exif(app_data.exif, app_data.xmp)
    profile, more = app_data.profile(limits)
    notes += more
    if app_data.has_pictures and len(data) > end + 2:
        notes += ("it holds more pictures (HDR gain map or stereo); its base picture is used",)
    odd = f"{scans} scans" if scans > _USUAL_SCANS else "arithmetic coding" if arithmetic else ""
    return Header(
        size,
        b"".join(pieces),
        metadata=metadata,
        orientation=orientation,
        profile=profile,
        odd=odd,
        credit=credit,
        notes=notes,
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
        if segments and segments[-1][0] == _SCAN:
            segments[-1] = (_SCAN, segments[-1][1], start)
        if kind == _END:
            if not framed or not any(segment[0] == _SCAN for segment in segments):
                raise MalformedImage("it ends before its picture")
            return segments, start
        if start + 4 > len(data):
            raise MalformedImage(CUT_SHORT)
        (length,) = struct.unpack_from(">H", data, start + 2)
        at = start + 2 + length
        if length < 2 or at > len(data):
            raise MalformedImage(CUT_SHORT if length >= 2 else "a segment without length")
        if kind in _FRAMES:
            if framed:
                raise MalformedImage("it has two frames")
            framed = True
            check_size(_size(data, start), limits)
        segments.append((kind, start, at))
    raise MalformedImage(f"more than {MANY} segments")


def frame_kind(plain: bytes) -> int:
    """The marker of a JPEG's frame, which is its kind of coding; 0 for none."""
    at = 2
    while (match := _MARKER.search(plain, at)) and plain[match.start() + 1] not in _FRAMES:
        at = match.start() + 2 + int.from_bytes(plain[match.start() + 2 : match.start() + 4], "big")
    return plain[match.start() + 1] if match else 0


def scan_data(plain: bytes) -> Iterator[tuple[int, int]]:
    """Start and end of the data of each scan, in a JPEG rebuilt by `facts`."""
    at = 2
    while (match := _MARKER.search(plain, at)) and plain[match.start() + 1] != _END:
        start = match.start()
        at = start + 2 + int.from_bytes(plain[start + 2 : start + 4], "big")
        if plain[start + 1] == _SCAN and (following := _MARKER.search(plain, at)):
            yield at, following.start()
            at = following.start()


def _size(data: bytes, start: int) -> Size:
    if start + 9 > len(data):
        raise MalformedImage(CUT_SHORT)
    height, width = struct.unpack_from(">HH", data, start + 5)
    if not height and width:
        raise MalformedImage("its height comes after the picture, which few programs write")
    if not height or not width:
        raise MalformedImage("it has no size")
    return Size(width, height)


class _AppData:
    """Metadata of the application segments: EXIF, XMP, profile, and whether there are more pictures."""

    def __init__(self) -> None:
        self.exif: bytes | None = None
        self.xmp: bytes | None = None
        self.has_pictures = False
        self._profile: dict[int, bytes] = {}
        self._pieces: set[int] = set()

    def add(self, kind: int, body: bytes) -> None:
        """Add a segment. The first EXIF block counts."""
        if kind == 0xE1 and body.startswith(b"Exif\0") and self.exif is None:
            self.exif = body[6:] or b"\0"
        elif kind == 0xE1 and body.startswith(b"http://ns.adobe.com/xap/1.0/\0") and self.xmp is None:
            self.xmp = body[29:]
        elif kind == 0xE2 and body.startswith(b"ICC_PROFILE\0") and len(body) > 14:
            self._profile[body[12]] = body[14:]
            self._pieces.add(body[13])
        elif kind == 0xE2 and body.startswith((b"MPF\0", b"urn:iso:std:iso:ts:21496:-1\0")):
            self.has_pictures = True

    def profile(self, limits: Limits) -> tuple[bytes | None, tuple[str, ...]]:
        """The colour profile, joined from its pieces, and notes."""
        if not self._profile:
            return None, ()
        if {*self._profile} != {*range(1, len(self._profile) + 1)} or self._pieces != {len(self._profile)}:
            return None, ("its colour profile is incomplete and was ignored",)
        return limit_profile(b"".join(self._profile[number] for number in sorted(self._profile)), limits)


def limit_profile(profile: bytes, limits: Limits) -> tuple[bytes | None, tuple[str, ...]]:
    """`profile` if it is within the limits, else None and a note."""
    if len(profile) > limits.profile:
        return None, (f"its colour profile is of more than {limits.profile} bytes and was ignored",)
    return profile, ()
