"""Parse orientation and credit from EXIF and XMP."""

import re
import struct
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from photio_prep.imaging.headers.header import MalformedImage
from photio_prep.types import Credit

_ORIENTATION, _ARTIST, _COPYRIGHT = 0x0112, 0x013B, 0x8298
# Bytes per value of each EXIF type.
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_LONGEST_CREDIT = 200
_LONGEST_XMP = 2**20
_XMP_ORIENTATION = re.compile(rb"tiff:Orientation(?:=\"|>)([1-8])")


class ExifEntry(NamedTuple):
    """An entry of a directory: tag, type, number of values, and their bytes (None: outside the block)."""

    tag: int
    kind: int
    many: int
    value: bytes | None

    def numbers(self, order: str) -> tuple[int, ...]:
        """At most 16 values of a BYTE, SHORT or LONG entry."""
        letter = {1: "B", 3: "H", 4: "I"}.get(self.kind)
        if letter is None or self.value is None:
            return ()
        count = min(self.many, 16)
        return struct.unpack_from(f"{order}{count}{letter}", self.value)


def read_directory(block: bytes, order: str, at: int, most: int) -> tuple[Iterator[ExifEntry], int]:
    """The entries, at most `most`, of the directory at `at`, and the offset of the next directory (0: none)."""
    if not 8 <= at <= len(block) - 2:
        raise MalformedImage("a directory lies outside the file")
    (count,) = struct.unpack_from(order + "H", block, at)
    end = at + 2 + 12 * count
    if count > most or end > len(block):
        raise MalformedImage("a directory is longer than the file")
    (following,) = struct.unpack_from(order + "I", block, end) if end + 4 <= len(block) else (0,)
    return (_entry(block, order, at + 2 + 12 * index) for index in range(count)), following


def _entry(block: bytes, order: str, at: int) -> ExifEntry:
    tag, kind, count = struct.unpack_from(order + "HHI", block, at)
    length = SIZES.get(kind, 1) * count
    start = at + 8 if length <= 4 else struct.unpack_from(order + "I", block, at + 8)[0]
    return ExifEntry(tag, kind, count, block[start : start + length] if start + length <= len(block) else None)


def read_exif(block: bytes | None, xmp: bytes | None = None) -> tuple[int, Credit, tuple[str, ...]]:
    """The orientation (1..8), the credit and notes of an EXIF block and an XMP packet."""
    block = (block or b"").removeprefix(b"Exif\0\0")
    orientation, credit = 0, Credit()
    notes: tuple[str, ...] = ()
    if block:
        try:
            orientation, credit, notes = _read(block)
        except (MalformedImage, struct.error):
            notes = ("its EXIF cannot be read; taken as upright",)
    if not orientation and not notes and xmp and (match := _XMP_ORIENTATION.search(xmp[:_LONGEST_XMP])):
        orientation = int(match[1])
    return orientation or 1, credit, notes


def _read(block: bytes) -> tuple[int, Credit, tuple[str, ...]]:
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None or len(block) < 8:
        raise MalformedImage("not EXIF")
    entries, _ = read_directory(block, order, struct.unpack_from(order + "I", block, 4)[0], 1000)
    by_tag = {entry.tag: entry for entry in entries if entry.tag in (_ORIENTATION, _ARTIST, _COPYRIGHT)}
    credit = Credit(decode_text(by_tag.get(_ARTIST)), decode_text(by_tag.get(_COPYRIGHT)))
    if _ORIENTATION not in by_tag:
        return 0, credit, ()
    values = by_tag[_ORIENTATION].numbers(order)
    if len(values) == 1 and 1 <= values[0] <= 8:
        return values[0], credit, ()
    value = str(values[0]) if values else "that is not a number"
    return 1, credit, (f"its EXIF has an orientation {value}, which does not exist; taken as upright",)


def decode_text(entry: ExifEntry | None) -> str:
    """The text of an EXIF entry, cleaned; "" without one."""
    if entry is None or entry.kind != 2 or not entry.value:
        return ""
    # ASCII by the standard, UTF-8 in practice. A NUL separates the photographer's copyright from the editor's.
    value = entry.value[: 4 * _LONGEST_CREDIT].rstrip(b"\0 ").replace(b"\0", b"; ")
    return clean_exif(value.decode("utf-8", "replace"))


def clean_exif(line: str) -> str:
    """`line` without control characters and direction overrides, its white space collapsed, at most 200 characters."""
    spaced = "".join(" " if char.isspace() else char for char in line)
    plain = "".join(char for char in spaced if unicodedata.category(char)[0] != "C" and char != "\ufffd")
    return " ".join(plain.split())[:_LONGEST_CREDIT]
