"""Parse a BMP's header."""

import struct

import numpy as np

from photio_prep.geometry import Size
from photio_prep.imaging.headers.header import CUT_SHORT, Header, MalformedImage, check_rows, limit_profile
from photio_prep.imaging.icc_profiles import ColourSpace, space_of_endpoints
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
    space = _space(data, length, limits) if len(data) >= 14 + length >= 122 else ColourSpace()
    return Header(Size(width, abs(height)), data, space)


def _space(data: bytes, length: int, limits: Limits) -> ColourSpace:
    """The colour space of a header of version 4 or 5: numbers, or a profile."""
    kind = data[70:74][::-1]
    if kind == bytes(4):  # red, green, blue: X, Y, Z as 2.30, then three gammas as 16.16
        points = np.reshape(struct.unpack_from("<9i", data, 74), (3, 3)) / 2**30
        gammas = [value / 65536 or None for value in struct.unpack_from("<3I", data, 110)]
        return space_of_endpoints(points, *gammas)
    if kind == b"LINK":
        return ColourSpace(None, ("its colour profile is another file, which was not read; taken as sRGB",))
    if kind == b"MBED" and length == 124:
        start, size = struct.unpack_from("<II", data, 14 + 112)
        return limit_profile(data[14 + start : 14 + start + min(size, limits.profile + 1)], limits)
    return ColourSpace()
