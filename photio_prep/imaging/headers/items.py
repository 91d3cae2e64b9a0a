"""Check that the coded items of an AVIF or HEIC are within the file and have no hole of zero bytes."""

from collections.abc import Iterator

from photio_prep.imaging.headers.header import ARRIVED_BROKEN, CUT_SHORT, HOLE, MANY, MalformedImage, find_hole

# Coded pictures and parts of pictures. Neither coder writes more than a few zeros in a row.
_CODED = frozenset({b"av01", b"hvc1", b"lhv1"})


def coded_items(entries: list[bytes]) -> set[int]:
    """Numbers of the items that are coded pictures, from the bodies of the infe boxes."""
    numbers = set()
    for body in entries:
        long = body[:1] >= b"\3"
        kind = body[8 + 2 * long : 12 + 2 * long]
        if body[:1] >= b"\2" and kind in _CODED:
            numbers.add(int.from_bytes(body[4 : 6 + 2 * long], "big"))
    return numbers


def check_items(data: bytes, places: bytes, coded: set[int]) -> None:
    """Check the items numbered `coded`; `places` is the body of the file's iloc box.

    Raises:
        Damaged: A coded item reaches beyond the file's end, or has a hole.
    """
    total = 0
    for item, at, length in _extents(places):
        if item not in coded:
            continue
        total += length or len(data)
        if total > 2 * len(data):  # an attack: overlapping items
            raise MalformedImage("its pieces overlap")
        if at + length > len(data):
            raise MalformedImage(CUT_SHORT, ARRIVED_BROKEN)
        hole = find_hole(data, at, at + length if length else len(data))
        if hole is not None:
            raise MalformedImage(HOLE.format(100 * hole // len(data)), ARRIVED_BROKEN)


def _extents(body: bytes) -> Iterator[tuple[int, int, int]]:
    """Item, offset and length of each piece with an offset from the file's start."""
    at = 4

    def number(length: int) -> int:
        nonlocal at
        at += length
        if at > len(body):
            raise MalformedImage("it does not locate its picture")
        return int.from_bytes(body[at - length : at], "big")

    version, sizes = body[:1], number(2)
    offset, length, base, index = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15, sizes & 15
    wide = 4 if version >= b"\2" else 2
    pieces = 0
    for _ in range(number(wide)):
        item = number(wide)
        method = number(2) & 15 if version >= b"\1" else 0
        number(2)
        start = number(base)
        for _ in range(number(2)):
            pieces += 1
            if pieces > MANY:
                raise MalformedImage(f"more than {MANY} pieces")
            number(index if version >= b"\1" else 0)
            place, long = start + number(offset), number(length)
            if method == 0:
                yield item, place, long
