"""A JPEG's markers -> facts, and the JPEG without anything but its picture."""

import re
import struct
from collections.abc import Iterator

from photio_prep.geometry import Size
from photio_prep.imaging.headers import exif
from photio_prep.imaging.headers.header import CUT_SHORT, MANY, Damaged, Facts
from photio_prep.imaging.headers.scans import check_scans
from photio_prep.imaging.limits import Limits, check_metadata, check_size

# A marker, not a byte 0xFF of the picture's data (stuffed with 0), a restart or a fill byte.
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
# Tables, frame, scan; JFIF and Adobe say how colours are stored. Everything else is no picture.
_KEPT = _FRAMES | {0xC4, 0xCC, 0xDA, 0xDB, 0xDC, 0xDD, 0xE0, 0xEE}
_SCAN, _END = 0xDA, 0xD9
# https://libjpeg-turbo.org/pmwiki/uploads/About/TwoIssueswiththeJPEGStandard.pdf: a few KB of empty scans keep a
# decoder busy for minutes. Photo editors write 1 to 12.
_USUAL_SCANS = 32


def facts(data: bytes, limits: Limits, frame: int | None = None) -> Facts:  # noqa: ARG001
    """What a JPEG says. Of a file with several pictures (MPO, gain map) it is about the first, which is the base.

    Raises:
        Damaged: It is no whole JPEG.
        PhotoRefused: Outside the limits.
    """
    segments, end = _segments(data, limits)
    size = next(_size(data, start) for kind, start, _ in segments if kind in _FRAMES)
    check_scans(data, segments)
    pieces, metadata, told = [b"\xff\xd8"], 0, _Told()
    scans = arithmetic = 0
    for kind, start, stop in segments:
        if kind in _KEPT:
            pieces.append(data[start:stop])
            scans += kind == _SCAN
            arithmetic += kind == 0xCC or kind in range(0xC9, 0xD0)
        else:
            metadata += stop - start
            told.hear(kind, data[start + 4 : stop])
    pieces.append(b"\xff\xd9")
    check_metadata(metadata, limits)
    turned, credit, notes = exif.read(told.exif, told.xmp)
    profile, more = told.profile(limits)
    notes += more
    if told.pictures and len(data) > end + 2:
        notes += ("it holds more pictures (HDR gain map or stereo); its base picture is used",)
    odd = f"{scans} scans" if scans > _USUAL_SCANS else "arithmetic coding" if arithmetic else ""
    return Facts(
        size,
        b"".join(pieces),
        metadata=metadata,
        orientation=turned,
        profile=profile,
        odd=odd,
        credit=credit,
        notes=notes,
    )


def _segments(data: bytes, limits: Limits) -> tuple[list[tuple[int, int, int]], int]:
    """Marker, start and end of each segment of the first picture (a scan with its data), and where it ends."""
    found: list[tuple[int, int, int]] = []
    at, framed = 2, False
    while len(found) < MANY:
        match = _MARKER.search(data, at)
        if match is None:
            raise Damaged(CUT_SHORT)
        start, kind = match.start(), data[match.start() + 1]
        if found and found[-1][0] == _SCAN:
            found[-1] = (_SCAN, found[-1][1], start)
        if kind == _END:
            if not found or not framed or not any(each[0] == _SCAN for each in found):
                raise Damaged("it ends before its picture")
            return found, start
        if start + 4 > len(data):
            raise Damaged(CUT_SHORT)
        (length,) = struct.unpack_from(">H", data, start + 2)
        at = start + 2 + length
        if length < 2 or at > len(data):
            raise Damaged(CUT_SHORT if length >= 2 else "a segment without length")
        if kind in _FRAMES:
            if framed:
                raise Damaged("it has two frames")
            framed = True
            check_size(_size(data, start), limits)
        found.append((kind, start, at))
    raise Damaged(f"more than {MANY} segments")


def frame_kind(plain: bytes) -> int:
    """The marker of a JPEG's frame, which says how its data are coded; 0 for none."""
    at = 2
    while (match := _MARKER.search(plain, at)) and plain[match.start() + 1] not in _FRAMES:
        at = match.start() + 2 + int.from_bytes(plain[match.start() + 2 : match.start() + 4], "big")
    return plain[match.start() + 1] if match else 0


def scan_data(plain: bytes) -> Iterator[tuple[int, int]]:
    """Where the data of each scan begin and end, in a JPEG as `facts` puts it together."""
    at = 2
    while (match := _MARKER.search(plain, at)) and plain[match.start() + 1] != _END:
        start = match.start()
        at = start + 2 + int.from_bytes(plain[start + 2 : start + 4], "big")
        if plain[start + 1] == _SCAN and (following := _MARKER.search(plain, at)):
            yield at, following.start()
            at = following.start()


def _size(data: bytes, start: int) -> Size:
    if start + 9 > len(data):
        raise Damaged(CUT_SHORT)
    height, width = struct.unpack_from(">HH", data, start + 5)
    if not height and width:
        raise Damaged("its height comes after the picture, which few programs write")
    if not height or not width:
        raise Damaged("it has no size")
    return Size(width, height)


class _Told:
    """What the application segments say, as far as anybody wants to know."""

    def __init__(self) -> None:
        self.exif: bytes | None = None
        self.xmp: bytes | None = None
        self.pictures = False
        self._profile: dict[int, bytes] = {}
        self._pieces: set[int] = set()

    def hear(self, kind: int, body: bytes) -> None:
        """Take in one segment; of several EXIF blocks the first one counts."""
        if kind == 0xE1 and body.startswith(b"Exif\0") and self.exif is None:
            self.exif = body[6:] or b"\0"
        elif kind == 0xE1 and body.startswith(b"http://ns.adobe.com/xap/1.0/\0") and self.xmp is None:
            self.xmp = body[29:]
        elif kind == 0xE2 and body.startswith(b"ICC_PROFILE\0") and len(body) > 14:
            self._profile[body[12]] = body[14:]
            self._pieces.add(body[13])
        elif kind == 0xE2 and body.startswith((b"MPF\0", b"urn:iso:std:iso:ts:21496:-1\0")):
            self.pictures = True

    def profile(self, limits: Limits) -> tuple[bytes | None, tuple[str, ...]]:
        """The colour profile, put together from its pieces, and what was wrong with it."""
        if not self._profile:
            return None, ()
        if {*self._profile} != {*range(1, len(self._profile) + 1)} or self._pieces != {len(self._profile)}:
            return None, ("its colour profile is not whole and was ignored",)
        whole = b"".join(self._profile[each] for each in sorted(self._profile))
        return within(whole, limits)


def within(profile: bytes, limits: Limits) -> tuple[bytes | None, tuple[str, ...]]:
    """`profile` if it is within the limits, else None and a note."""
    if len(profile) > limits.profile:
        return None, (f"its colour profile is of more than {limits.profile} bytes and was ignored",)
    return profile, ()
