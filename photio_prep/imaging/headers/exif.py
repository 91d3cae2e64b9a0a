"""Parse orientation and credit from EXIF and XMP."""

import re
import struct
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from photio_prep.imaging.headers.header import Exif, MalformedImage
from photio_prep.imaging.icc_profiles import ADOBE_RGB, D65, DISPLAY_P3, ColourSpace, space_of_numbers
from photio_prep.types import Credit

_ORIENTATION, _ARTIST, _COPYRIGHT = 0x0112, 0x013B, 0x8298
_EXIF_DIRECTORY, _INTEROPERABILITY, _COLOUR_SPACE, _GAMMA = 0x8769, 0xA005, 0xA001, 0xA500
_TRANSFER, _WHITE, _RED_TO_BLUE = 301, 318, 319
# Bytes per value of each EXIF type.
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_LONGEST_CREDIT = 200
_LONGEST_XMP = 2**20
_UNNAMED = ColourSpace(None, ("its EXIF says that it is not sRGB, but not what it is; its colours may be wrong",))
_NAMED_SPACES = {b"Adobe RGB (1998)": ADOBE_RGB, b"Display P3": DISPLAY_P3}
_XMP_PROFILE = re.compile(rb"photoshop:ICCProfile(?:=\"|>)([^\"<]{1,80})")
_XMP_SPACE = re.compile(rb"exif:ColorSpace(?:=\"|>)(\d{1,5})\b")
_XMP_ORIENTATION = re.compile(rb"tiff:Orientation(?:=\"|>)([1-8])")


class ExifEntry(NamedTuple):
    """An entry of a directory: tag, type, number of values, and their bytes (None: outside the block)."""

    tag: int
    kind: int
    many: int
    value: bytes | None

    def numbers(self, order: str, most: int = 16) -> tuple[int, ...]:
        """At most so many values of a BYTE, SHORT or LONG entry."""
        letter = {1: "B", 3: "H", 4: "I"}.get(self.kind)
        if letter is None or self.value is None:
            return ()
        return struct.unpack_from(f"{order}{min(self.many, most)}{letter}", self.value)

    def floats(self, order: str) -> tuple[float, ...]:
        """At most 16 values of a RATIONAL or FLOAT entry; x / 0 is 0."""
        if self.value is None or self.kind not in (5, 11):
            return ()
        if self.kind == 11:
            return struct.unpack_from(f"{order}{min(self.many, 16)}f", self.value)
        pairs = struct.iter_unpack(order + "II", self.value[: 8 * 16])
        return tuple(above / below if below else 0.0 for above, below in pairs)


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


def read_exif(block: bytes | None, xmp: bytes | None = None) -> Exif:
    """Parse an EXIF block and an XMP packet. EXIF counts before XMP."""
    block = (block or b"").removeprefix(b"Exif\0\0")
    try:
        return read_tags(block, *_root(block), xmp)
    except (MalformedImage, struct.error):
        notes = ("its EXIF cannot be read; taken as upright",)
        return read_tags(b"", "<", {}, xmp)._replace(orientation=1, notes=notes)


def _root(block: bytes) -> tuple[str, dict[int, ExifEntry]]:
    """Byte order and first directory of an EXIF block."""
    if not block:
        return "<", {}
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None or len(block) < 8:
        raise MalformedImage("not EXIF")
    entries, _ = read_directory(block, order, struct.unpack_from(order + "I", block, 4)[0], 1000)
    return order, {entry.tag: entry for entry in entries}


def read_tags(block: bytes, order: str, tags: dict[int, ExifEntry], xmp: bytes | None) -> Exif:
    """What the directory `tags` of an EXIF block or a TIFF says, else an XMP packet."""
    xmp = (xmp or b"")[:_LONGEST_XMP]
    match = _XMP_ORIENTATION.search(xmp)
    orientation = int(match[1]) if match else 1
    notes: tuple[str, ...] = ()
    if _ORIENTATION in tags:
        values = tags[_ORIENTATION].numbers(order)
        orientation = values[0] if len(values) == 1 and 1 <= values[0] <= 8 else 1
        if values != (orientation,):
            value = str(values[0]) if values else "that is not a number"
            notes = (f"its EXIF has an orientation {value}, which does not exist; taken as upright",)
    space = _space(block, order, tags)
    if space in (None, _UNNAMED):
        space = _xmp_space(xmp) or space
    return Exif(orientation, Credit(decode_text(tags.get(_ARTIST)), decode_text(tags.get(_COPYRIGHT))), space, notes)


def _space(block: bytes, order: str, tags: dict[int, ExifEntry]) -> ColourSpace | None:
    """The colour space in the directory `tags` of EXIF or TIFF and those that it refers to, None without one.

    DCF 2.0: cameras mark Adobe RGB by ColorSpace 65535 ("uncalibrated") and the interoperability index R03.
    """
    details = _subdirectory(block, order, tags.get(_EXIF_DIRECTORY))
    interoperability = _subdirectory(block, order, details.get(_INTEROPERABILITY) or tags.get(_INTEROPERABILITY))
    code = next(iter(details[_COLOUR_SPACE].numbers(order)), None) if _COLOUR_SPACE in details else None
    if code == 1:
        return ColourSpace()
    if code == 2 or decode_text(interoperability.get(1)) == "R03":
        return ADOBE_RGB
    if _RED_TO_BLUE in tags or _TRANSFER in tags:
        white = tags[_WHITE].floats(order) if _WHITE in tags else D65
        points = (*white, *tags[_RED_TO_BLUE].floats(order)) if _RED_TO_BLUE in tags else None
        gamma = details[_GAMMA].floats(order) if _GAMMA in details else ()
        table = tags[_TRANSFER].numbers(order, 3 * 65536) if _TRANSFER in tags else ()
        length = len(table) // 3 if len(table) % 3 == 0 else len(table)
        curves = [table[at : at + length] for at in range(0, len(table), length)] if length > 1 else gamma
        return space_of_numbers(points, *curves)
    return _UNNAMED if code == 65535 else None


def _subdirectory(block: bytes, order: str, pointer: ExifEntry | None) -> dict[int, ExifEntry]:
    """The directory that an entry refers to; empty if it cannot be read."""
    at = next(iter(pointer.numbers(order)), 0) if pointer else 0
    try:
        entries, _ = read_directory(block, order, at, 1000)
        return {entry.tag: entry for entry in entries}
    except (MalformedImage, struct.error):
        return {}


def _xmp_space(xmp: bytes) -> ColourSpace | None:
    if (match := _XMP_PROFILE.search(xmp)) and not match[1].startswith(b"sRGB"):
        note = f"its XMP names the colour profile {clean_exif(match[1].decode('utf-8', 'replace'))!r}, which it lacks"
        return _NAMED_SPACES.get(match[1]) or ColourSpace(None, (note,))
    match = _XMP_SPACE.search(xmp)
    return {b"1": ColourSpace(), b"2": ADOBE_RGB, b"65535": _UNNAMED}.get(match[1]) if match else None


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
