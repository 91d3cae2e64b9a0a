"""Parse a BMP's header."""

import struct

from photio_prep.geometry import Size
from photio_prep.imaging.headers.header import CUT_SHORT, Header, MalformedImage, check_rows
from photio_prep.imaging.limits import Limits

_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)


def parse_bmp(data: bytes, limits: Limits, frame: int | None = None) -> Header:  # noqa: ARG001
    """Parse a BMP."""
    if len(data) < 26:
        raise MalformedImage(CUT_SHORT)
    start, length = struct.unpack_from("<II", data, 10)
    if length not in _HEADERS:
        raise MalformedImage("its header cannot be read")
    width, height = struct.unpack_from("<HH" if length == 12 else "<ii", data, 18)
    if width <= 0 or not height:
        raise MalformedImage("it has no size")
    bits = struct.unpack_from("<H", data, 24 if length == 12 else 28)[0] if len(data) >= 34 else 0
    packed = length > 16 and data[30:34] not in (bytes(4), b"\3\0\0\0")
    stride = (width * bits + 31) // 32 * 4
    if bits in (8, 16, 24, 32) and not packed and start + abs(height) * stride <= len(data):
        check_rows(data, start, start + abs(height) * stride, stride)
    return Header(Size(width, abs(height)), data)
