"""Record, error and checks that all header parsers share."""

from dataclasses import dataclass
from typing import NamedTuple

from photio_prep.geometry import Size
from photio_prep.imaging.icc_profiles import ColourSpace
from photio_prep.imaging.limits import Limits
from photio_prep.types import UNCREDITED, Credit

CUT_SHORT = "it is cut short"
ARRIVED_BROKEN = "Wait until it is written to its end, or copy or download it again"
# Holes from disks and downloads have at least 512 bytes. Coded pictures of some formats never hold as many zeros.
_ZEROS = bytes(256)
# A chain of more blocks is not a picture, but an attack on its parser.
MANY = 65_536
# Files are written in blocks of this size; the last bytes before a block's end may be zeros of the picture.
_BLOCK, _NEAR = 512, 8
# The rest of the row in which the zeros begin: its least length, and the share of it that is not zero in the row above.
_LEAST_REST, _BRIGHT = 48, 0.6


class MalformedImage(Exception):
    """The file contradicts its own format; the text is the contradiction."""

    def __init__(self, reason: str, fix: str = "") -> None:
        super().__init__(reason)
        self.fix = fix or (ARRIVED_BROKEN if reason == CUT_SHORT else "Export it again")


class Exif(NamedTuple):
    """What EXIF and XMP say: the orientation (1..8), the credit, the colour space (None: nothing), and notes."""

    orientation: int = 1
    credit: Credit = UNCREDITED
    space: ColourSpace | None = None
    notes: tuple[str, ...] = ()


_SRGB, _NO_TAGS = ColourSpace(), Exif()


@dataclass(frozen=True, slots=True)
class Header:
    """The parsed header of a file.

    `size` is as stored; `frames` is the number to choose from; `metadata` is the length of all but the pictures, in
    bytes. `plain` is the input of the decoder: if possible, the picture without metadata. `space` is the colour space
    that counts, by profile, numbers or `tags`. `crop` (left, top, right, bottom) is applied before the orientation.
    `index` is the decoder's number of the chosen frame. `odd` is the reason for decoding it in a process of its own,
    whatever its format.
    """

    size: Size
    plain: bytes
    space: ColourSpace = _SRGB
    tags: Exif = _NO_TAGS
    frames: int = 1
    metadata: int = 0
    crop: tuple[int, int, int, int] | None = None
    index: int = 0
    odd: str = ""


def limit_profile(profile: bytes, limits: Limits) -> ColourSpace:
    """The colour space of an ICC profile; sRGB and a note if it exceeds the limit."""
    if len(profile) > limits.profile:
        return ColourSpace(None, (f"its colour profile is of more than {limits.profile} bytes and was ignored",))
    return ColourSpace(profile)


def find_hole(data: bytes, start: int, stop: int) -> int | None:
    """Offset of 256 zero bytes in a row between `start` and `stop`, or None."""
    at = data.find(_ZEROS, start, stop)
    return at if at >= 0 else None


def raise_if_hole(data: bytes, start: int, stop: int) -> None:
    """Raise MalformedImage for 256 zero bytes in a row between `start` and `stop`."""
    hole = find_hole(data, start, stop)
    if hole is not None:
        percent = 100 * hole // len(data)
        raise MalformedImage(f"there is a hole of zero bytes in its picture, {percent} % into the file", ARRIVED_BROKEN)


def check_rows(data: bytes, start: int, stop: int, stride: int) -> None:
    """Refuse uncompressed rows, `stride` bytes each, that are zeros from a block of the file to their end.

    The zeros must begin inside a row that is not black above: a black background begins at the product's edge, not at
    a block.
    """
    end = start + len(data[start:stop].rstrip(b"\0"))
    block = -(-end // _BLOCK) * _BLOCK
    if block - end >= _NEAR or stop - block < _BLOCK or block - start <= stride:
        return
    rest = stride - (block - start) % stride
    above = data[block - stride : block - stride + rest]
    if rest >= _LEAST_REST and len(above) - above.count(0) >= _BRIGHT * rest:
        raise MalformedImage(
            f"{100 * (stop - block) // (stop - start)} % of its rows were never written", ARRIVED_BROKEN
        )
