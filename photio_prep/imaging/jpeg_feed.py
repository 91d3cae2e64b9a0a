"""Feed a JPEG to its decoder in pieces, to detect scans whose data end before, or after, the picture.

libjpeg fills missing data with grey, skips surplus data, and only counts warnings, which Pillow does not pass on. The
feed observes the decoder: with a complete scan it takes any byte that follows, in search of the next marker; with an
incomplete scan it leaves bytes that do not yet make a block.
"""

import io
from collections.abc import Generator, Iterator

from PIL import ImageFile

from photio_prep.errors import PhotoRefused
from photio_prep.imaging.headers.header import ARRIVED_BROKEN, find_hole
from photio_prep.imaging.headers.jpeg import find_scans
from photio_prep.imaging.headers.scans import HUFFMAN

# A byte of ones, which is not a code of any Huffman table, so the decoder cannot use it as picture data.
_ONES = b"\xff\x00"
# A decoder looks up to 8 bytes ahead: after these it has read all of its scan.
_AHEAD = 10
# A decoder takes at least 6 bytes at once: of these single bytes, a waiting one leaves some.
_STEPS = 8
# Cameras leave some bytes behind a scan; more mean damaged data. After long runs of zeros, which may be a hole that
# decodes as a plain area, a few mean that already.
_EXCESS, _EXCESS_WITH_ZEROS = 256, 16
# No encoder writes more scans; the rest of a hostile file is decoded (in a child process) without this check.
_MOST_SCANS = 100
_SURPLUS = ("a damaged JPEG file (its data do not end with its picture)", ARRIVED_BROKEN)


class _Piece(bytes):
    """Bytes that record how many bytes the decoder had left, when Pillow appends them to those."""

    left = 0

    def __radd__(self, rest: bytes) -> bytes:
        self.left = len(rest)
        return rest + bytes(self)


class Feed(io.BytesIO):
    """A file for Pillow that returns a JPEG in pieces and observes how much its decoder takes."""

    def __init__(self, data: bytes, scans: list[tuple[int, int]], opened: ImageFile.ImageFile) -> None:
        super().__init__()
        self._early = False
        self._pieces = self._cut(data, scans[:_MOST_SCANS], opened)

    def read(self, size: int | None = -1, /) -> bytes:  # noqa: ARG002  pieces end where the picture's parts do
        """The next piece, of any length."""
        return next(self._pieces, b"")

    def raise_if_early(self) -> None:
        """Refuse the picture if the decoder had all of its rows long before the data's end. Call it after decoding."""
        if self._early:
            raise PhotoRefused(*_SURPLUS)

    def _cut(self, data: bytes, scans: list[tuple[int, int]], opened: ImageFile.ImageFile) -> Iterator[bytes]:
        at = 0
        for start, stop in scans:
            for place, too_early in _find_probes(data, start, stop):
                self._early = too_early
                yield data[at:place]
                self._early = False  # a decoder of a single scan stops reading once it has all rows
                hungry, at = yield from _feed_bytewise(data, place)
                if not hungry and too_early:
                    raise PhotoRefused(*_SURPLUS)
                if not hungry:
                    break
            yield data[at:stop] + _AHEAD * _ONES
            hungry, _ = yield from _feed_bytewise(_STEPS * _ONES, 0)
            if hungry:
                raise _missing_error(opened)
            at = stop
        yield data[at:]


def feed_jpeg(opened: ImageFile.ImageFile, data: bytes) -> Feed | None:
    """Let an opened JPEG read from a Feed; None for arithmetic coding, which libjpeg needs in one piece."""
    frame, scans = find_scans(data)
    if frame not in HUFFMAN:
        return None
    opened.fp = feed = Feed(data, scans, opened)
    return feed


def _find_probes(data: bytes, start: int, stop: int) -> Iterator[tuple[int, bool]]:
    """Offsets in a scan at which to test whether the decoder is satisfied, and whether that would be too early."""
    end = start + len(data[start:stop].rstrip(b"\0").rstrip(b"\xff"))
    excess = _EXCESS if find_hole(data, start, stop) is None else _EXCESS_WITH_ZEROS
    places = [(end - excess, True)]
    if stop - end > 4 * _EXCESS_WITH_ZEROS:  # padding if the picture ends before it, else a plain area or a hole
        places += [(end + _EXCESS_WITH_ZEROS, False), (stop - 2 * _EXCESS_WITH_ZEROS, True)]
    for place, too_early in places:
        if place > start:
            yield place + (data[place - 1] == 0xFF), too_early


def _feed_bytewise(data: bytes, at: int) -> Generator[bytes, None, tuple[bool, int]]:
    """Yield a few bytes of `data` one by one; return whether the decoder left any of them, and where they end."""
    hungry = False
    for _ in range(_STEPS):
        piece = _Piece(data[at : at + 1 + (data[at] == 0xFF)])
        yield piece
        hungry |= piece.left > 0
        at += len(piece)
    return hungry, at


def _missing_error(opened: ImageFile.ImageFile) -> PhotoRefused:
    """The error for missing data. With several scans no row is decoded before the last one's end."""
    box = opened.im.getbbox()
    rows = opened.height - box[3] if box else 0
    percent = f"the last {max(100 * rows // opened.height, 1)} % of its rows are missing"
    return PhotoRefused(
        f"it is cut short: {percent if box else 'its data end before its picture does'}", ARRIVED_BROKEN
    )
