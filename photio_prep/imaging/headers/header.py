"""What a header says: the types that all readers of headers share."""

from dataclasses import dataclass

from photio_prep.geometry import Size
from photio_prep.types import UNCREDITED, Credit


class Damaged(Exception):
    """A file that contradicts its own format; the text says where."""

    def __init__(self, found: str, fix: str = "") -> None:
        super().__init__(found)
        self.fix = fix or (ARRIVED_BROKEN if found == CUT_SHORT else "Export it again")


CUT_SHORT = "it is cut short"
ARRIVED_BROKEN = "Wait until it is written to its end, or copy or download it again"
HOLE = "there is a hole of zero bytes in its picture, {} % into the file"
# Disks and downloads leave holes of 512 bytes at least. Coded pictures of some formats never hold so many zeros.
_ZEROS = bytes(256)
# A chain of so many blocks is no picture, it is a trap for whoever walks along it.
MANY = 65_536


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file says about its picture before it is decoded.

    `size` is as stored; `frames` are those to choose from; `metadata` is what the file holds besides pictures, in
    bytes. `plain` are the bytes for the decoder: the picture without anything else, where we could take it apart.
    `orientation` is EXIF's 1..8, None where the decoder knows better. `index` is where the decoder finds the wanted
    frame. `odd` says why it is decoded in a process of its own, whatever its format.
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


def hole_at(data: bytes, start: int, stop: int) -> int | None:
    """Where 256 zero bytes in a row begin, between `start` and `stop`; None if nowhere."""
    at = data.find(_ZEROS, start, stop)
    return at if at >= 0 else None
