"""Record, error and checks that all header parsers share."""

from dataclasses import dataclass

from photio_prep.geometry import Size
from photio_prep.types import UNCREDITED, Credit


class MalformedImage(Exception):
    """The file contradicts its own format; the text is the contradiction."""

    def __init__(self, reason: str, fix: str = "") -> None:
        super().__init__(reason)
        self.fix = fix or (ARRIVED_BROKEN if reason == CUT_SHORT else "Export it again")


CUT_SHORT = "it is cut short"
ARRIVED_BROKEN = "Wait until it is written to its end, or copy or download it again"
HOLE = "there is a hole of zero bytes in its picture, {} % into the file"
# Holes from disks and downloads have at least 512 bytes. Coded pictures of some formats never hold as many zeros.
_ZEROS = bytes(256)
# A chain of more blocks is not a picture, but an attack on its parser.
MANY = 65_536


@dataclass(frozen=True, slots=True)
class Header:
    """The parsed header of a file.

    `size` is as stored; `frames` is the number to choose from; `metadata` is the length of all but the pictures, in
    bytes. `plain` is the input of the decoder: if possible, the picture without metadata. `orientation` is EXIF's 1..8,
    None if the decoder applies it. `index` is the decoder's number of the chosen frame. `odd` is the reason for
    decoding it in a process of its own, whatever its format.
    """

    size: Size
    plain: bytes
    frames: int = 1
    metadata: int = 0
    orientation: int | None = None
    profile: bytes | None = None
    index: int = 0
    inverted: bool = False
    odd: str = ""
    credit: Credit = UNCREDITED
    notes: tuple[str, ...] = ()


def find_hole(data: bytes, start: int, stop: int) -> int | None:
    """Offset of 256 zero bytes in a row between `start` and `stop`, or None."""
    at = data.find(_ZEROS, start, stop)
    return at if at >= 0 else None
