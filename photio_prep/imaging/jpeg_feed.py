"""A JPEG -> its decoder, piece by piece: each scan's data must end exactly where its picture does.

libjpeg fills what is missing with grey and skips what is too much, and only counts warnings, which Pillow does not pass
on. Told here from outside: a decoder that has all it needs takes any byte that follows, in search of the next marker;
one that waits for more of its scan leaves bytes that do not yet make a block.
"""

import io
from collections.abc import Generator, Iterator

from PIL import ImageFile

from photio_prep.errors import PhotoRefused
from photio_prep.imaging.headers.header import ARRIVED_BROKEN, hole_at
from photio_prep.imaging.headers.jpeg import frame_kind, scan_data
from photio_prep.imaging.headers.scans import HUFFMAN

# One byte of ones: in no Huffman table a code, so nothing of a picture can be made of it.
_ONES = b"\xff\x00"
# A decoder looks up to 8 bytes ahead: after so many it has seen all of its scan.
_AHEAD = 10
# It takes at least 6 bytes at once: of so many single ones, one that waits leaves some.
_STEPS = 8
# Cameras leave some bytes behind a scan. More, and the decoder lost its way; a few say so where there are long runs of
# zeros, which may be a hole that reads as a plain area.
_EXCESS, _EXCESS_WITH_ZEROS = 256, 16
# No encoder writes so many scans; what is made to hurt is decoded (in a process of its own) and not looked at.
_MOST_SCANS = 100


class _Piece(bytes):
    """Bytes that see how many the decoder had left over, when Pillow puts them behind those."""

    left = 0

    def __radd__(self, rest: bytes) -> bytes:
        self.left = len(rest)
        return rest + bytes(self)


class Feed(io.BytesIO):
    """A file for Pillow that hands out a JPEG so that its decoder's hunger can be seen."""

    def __init__(self, data: bytes, opened: ImageFile.ImageFile) -> None:
        super().__init__()
        self._early = False
        self._pieces = self._cut(data, opened)

    def read(self, size: int | None = -1, /) -> bytes:  # noqa: ARG002  pieces end where the picture's parts do
        """The next piece, however long."""
        return next(self._pieces, b"")

    def raise_if_early(self) -> None:
        """Refuse the picture if the decoder had all of its rows long before the data's end: to be called after it.

        Raises:
            PhotoRefused: So it was.
        """
        if self._early:
            raise _surplus()

    def _cut(self, data: bytes, opened: ImageFile.ImageFile) -> Iterator[bytes]:
        at = 0
        for number, (start, stop) in enumerate(scan_data(data)):
            if number >= _MOST_SCANS:
                break
            for place, too_early in _places(data, start, stop):
                self._early = too_early
                yield data[at:place]
                self._early = False  # a decoder of a single scan asks for nothing once it has all rows
                hungry, at = yield from _stepwise(data, place)
                if not hungry and too_early:
                    raise _surplus()
                if not hungry:
                    break
            yield data[at:stop] + _AHEAD * _ONES
            hungry, _ = yield from _stepwise(_STEPS * _ONES, 0)
            if hungry:
                raise _short(opened)
            at = stop
        yield data[at:]


def feed_jpeg(opened: ImageFile.ImageFile, data: bytes) -> Feed | None:
    """Let an opened JPEG read from a Feed; None where it reads on as it is: libjpeg wants arithmetic coding at once."""
    if frame_kind(data) not in HUFFMAN:
        return None
    opened.fp = feed = Feed(data, opened)
    return feed


def _places(data: bytes, start: int, stop: int) -> Iterator[tuple[int, bool]]:
    """Where in a scan's data to look whether the decoder has all it needs, and whether that is too early there."""
    end = start + len(data[start:stop].rstrip(b"\0").rstrip(b"\xff"))
    excess = _EXCESS if hole_at(data, start, stop) is None else _EXCESS_WITH_ZEROS
    places = [(end - excess, True)]
    if (
        stop - end > 4 * _EXCESS_WITH_ZEROS
    ):  # padding, if the picture ends where it begins; else a plain area, or a hole
        places += [(end + _EXCESS_WITH_ZEROS, False), (stop - 2 * _EXCESS_WITH_ZEROS, True)]
    for place, too_early in places:
        if place > start:
            yield place + (data[place - 1] == 0xFF), too_early


def _stepwise(data: bytes, at: int) -> Generator[bytes, None, tuple[bool, int]]:
    """A few bytes of `data` one by one; whether the decoder left any of them, and where they end."""
    hungry = False
    for _ in range(_STEPS):
        piece = _Piece(data[at : at + 1 + (data[at] == 0xFF)])
        yield piece
        hungry |= piece.left > 0
        at += len(piece)
    return hungry, at


def _surplus() -> PhotoRefused:
    return PhotoRefused("a damaged JPEG file (its data do not end with its picture)", ARRIVED_BROKEN)


def _short(opened: ImageFile.ImageFile) -> PhotoRefused:
    """What is missing; of several scans no row is decoded before the last one's end."""
    box = opened.im.getbbox()
    rows = opened.height - box[3] if box else 0
    percent = f"the last {max(100 * rows // opened.height, 1)} % of its rows are missing"
    return PhotoRefused(
        f"it is cut short: {percent if box else 'its data end before its picture does'}", ARRIVED_BROKEN
    )
