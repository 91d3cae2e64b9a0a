"""Check that a JPEG has all scans with all restart markers, and no hole in their data."""

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from photio_prep.imaging.headers.header import ARRIVED_BROKEN, MalformedImage, raise_if_hole

Segment = tuple[int, int, int]

SEQUENTIAL, PROGRESSIVE = frozenset({0xC0, 0xC1}), 0xC2
HUFFMAN = SEQUENTIAL | {PROGRESSIVE}
ARITHMETIC = frozenset({*range(0xC9, 0xD0)} - {0xCC})
FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
SCAN = 0xDA
_TABLES, _INTERVAL = 0xC4, 0xDD
_RESTART = re.compile(rb"\xff([\xd0-\xd7])")
_CYCLE = bytes(range(0xD0, 0xD8))


class Component(NamedTuple):
    """A colour channel in the frame header: its blocks per MCU, across and down."""

    across: int
    down: int


class Frame(NamedTuple):
    """The frame header: marker, size of the picture, components by number."""

    kind: int
    width: int
    height: int
    components: dict[int, Component]

    def units(self, members: list[int]) -> int:
        """Number of MCUs in a scan of these components."""
        components = self.components.values()
        most = Component(max(item.across for item in components), max(item.down for item in components))
        if len(members) > 1:
            return -(-self.width // (8 * most.across)) * -(-self.height // (8 * most.down))
        one = self.components[members[0]]
        across, down = -(-self.width * one.across // most.across), -(-self.height * one.down // most.down)
        return -(-across // 8) * -(-down // 8)


class Scan(NamedTuple):
    """A scan's header, and start and end of its data.

    `members` are its components with their tables (DC, AC). It holds their coefficients `first` to `last`, down to the
    bit `low`. `refines`: it adds one bit to an earlier scan.
    """

    members: dict[int, tuple[int, int]]
    first: int
    last: int
    refines: bool
    low: int
    start: int
    stop: int


def read_frame(data: bytes, start: int) -> Frame:
    """Parse the frame header at `start`."""
    height, width, count = struct.unpack_from(">HHB", data, start + 5)
    entries = data[start + 10 : start + 10 + 3 * count]
    components = {
        entries[at]: Component(entries[at + 1] >> 4, entries[at + 1] & 15) for at in range(0, len(entries) - 2, 3)
    }
    if not components or not all(item.across and item.down for item in components.values()):
        raise MalformedImage("its components cannot be read")
    return Frame(data[start + 1], width, height, components)


def read_scan(data: bytes, start: int, stop: int) -> Scan:
    """Parse the scan at `start`, whose data end at `stop`."""
    (length,) = struct.unpack_from(">H", data, start + 2)
    count = data[start + 4] if length > 2 else 0
    if not count or length != 6 + 2 * count:
        raise MalformedImage("a scan whose header cannot be read")
    members = {data[at]: (data[at + 1] >> 4, data[at + 1] & 15) for at in range(start + 5, start + 5 + 2 * count, 2)}
    first, last, bits = data[start + 5 + 2 * count : start + 8 + 2 * count]
    return Scan(members, first, last, bool(bits >> 4), bits & 15, start + 2 + length, stop)


def check_scans(data: bytes, segments: list[Segment]) -> None:
    """Refuse missing scans or restart markers, and a hole of zero bytes in a scan's data."""
    frame: Frame | None = None
    zeros: dict[int, int] = {}
    scans, interval = [], 0
    for kind, start, stop in segments:
        if kind in FRAMES:
            frame = read_frame(data, start)
        elif kind == _TABLES:
            zeros.update(_zero_codes(data[start + 4 : stop]))
        elif kind == _INTERVAL and stop >= start + 6:
            (interval,) = struct.unpack_from(">H", data, start + 4)
        elif kind == SCAN and frame is not None:
            scan = read_scan(data, start, stop)
            if not scan.members.keys() <= frame.components.keys():
                raise MalformedImage("a scan of a component that it does not have")
            scans.append(scan)
            if interval:
                _check_restarts(data, scan, -(-frame.units([*scan.members]) // interval) - 1)
            # At the scan's end zeros may be padding: jpeg_feed.py observes whether the decoder needs them.
            if frame.kind in ARITHMETIC or not _zeros_are_empty(scan, zeros, frame.kind == PROGRESSIVE):
                raise_if_hole(data, scan.start, scan.start + len(data[scan.start : scan.stop].rstrip(b"\0")))
    if frame is not None:
        _check_coverage(frame, scans)


def _zero_codes(body: bytes) -> Iterator[tuple[int, int]]:
    """For each Huffman table of a segment: its class and number (one byte), and the symbol whose code is all zeros."""
    at = 0
    while at + 17 < len(body):
        yield body[at], body[at + 17]
        at += 17 + sum(body[at + 1 : at + 17])


def _check_restarts(data: bytes, scan: Scan, expected: int) -> None:
    present = b"".join(_RESTART.findall(data, scan.start, scan.stop))
    # Some encoders write one more, at the very end.
    if len(present) not in (expected, expected + 1) or present != (_CYCLE * (len(present) // 8 + 1))[: len(present)]:
        raise MalformedImage(f"it has {len(present)} restart markers of {expected}, or not in order", ARRIVED_BROKEN)


def _zeros_are_empty(scan: Scan, zeros: dict[int, int], progressive: bool) -> bool:
    """Whether zero bits may be the codes of a plain area: no step of DC, no AC to the block's end.

    An unknown table counts too.
    """
    if progressive and scan.refines:  # bits of coefficients, which are often zero
        return True
    dc = scan.first > 0 or all(zeros.get(table, 0) == 0 for table, _ in scan.members.values())
    ends = all(zeros.get(0x10 | table, 0) & 15 == 0 for _, table in scan.members.values())
    return dc and (ends or (progressive and scan.first == 0))


def _check_coverage(frame: Frame, scans: list[Scan]) -> None:
    """Refuse a picture with components, coefficients or last bits that no scan contains."""
    if frame.kind in SEQUENTIAL:
        missing = len(frame.components.keys() - {number for scan in scans for number in scan.members})
        if missing:
            raise MalformedImage(
                f"it is cut short: {missing} of its {len(frame.components)} colours are missing", ARRIVED_BROKEN
            )
    if frame.kind != PROGRESSIVE:
        return
    low = {number: [16] * 64 for number in frame.components}
    for scan in scans:
        for number in scan.members:
            low[number][scan.first : scan.last + 1] = [scan.low] * len(range(64)[scan.first : scan.last + 1])
    absent = sum(any(bits) for bits in low.values())
    if absent:
        raise MalformedImage(f"it is cut short after {len(scans)} scans: details are missing", ARRIVED_BROKEN)
