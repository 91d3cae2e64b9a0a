"""Colour profiles of our own and what they must do, worked out by the formulas: no colour engine is asked.

Takes plain values, gives profiles, pixels and differences. Touches nothing.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

Columns = dict[str, tuple[float, float, float]]
Array = NDArray[Any]

D50 = (0.9642, 1.0, 0.8249)
# XYZ of the primaries, adapted to D50: http://www.brucelindbloom.com/index.html?Eqn_RGB_XYZ_Matrix.html
SRGB: Columns = {"r": (0.4361, 0.2225, 0.0139), "g": (0.3851, 0.7169, 0.0971), "b": (0.1431, 0.0606, 0.7141)}
P3: Columns = {"r": (0.5151, 0.2412, -0.0011), "g": (0.2920, 0.6922, 0.0419), "b": (0.1571, 0.0666, 0.7841)}
ADOBE: Columns = {"r": (0.6097, 0.3111, 0.0195), "g": (0.2053, 0.6257, 0.0609), "b": (0.1492, 0.0632, 0.7446)}
PROPHOTO: Columns = {"r": (0.7977, 0.2880, 0.0), "g": (0.1352, 0.7119, 0.0), "b": (0.0313, 0.0001, 0.8249)}


def _xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


def _whole(tags: dict[bytes, bytes], kind: bytes, space: bytes, connection: bytes, version: int) -> bytes:
    table, data, start = b"", b"", 128 + 4 + 12 * len(tags)
    for key, value in tags.items():
        value += bytes(-len(value) % 4)
        table += key + struct.pack(">II", start + len(data), len(value))
        data += value
    head = struct.pack(">I4sI4s4s4s", start + len(data), b"test", version, kind, space, connection)
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    head += struct.pack(">3i", *(round(value * 65536) for value in D50)) + bytes(128 - 80)
    return head + struct.pack(">I", len(tags)) + table + data


def _told(name: str) -> dict[bytes, bytes]:
    told = name.encode() + b"\0"
    text = b"desc\0\0\0\0" + struct.pack(">I", len(told)) + told + bytes(4 + 4 + 2 + 1 + 67)
    return {b"desc": text, b"cprt": b"text\0\0\0\0none\0", b"wtpt": _xyz(D50)}


def matrix_profile(name: str, columns: Columns, gamma: float) -> bytes:
    """A display profile (ICC 2.1): XYZ (D50) of the primaries, and one gamma."""
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    tags = _told(name)
    tags |= {key.encode() + b"XYZ": _xyz(column) for key, column in columns.items()}
    tags |= {key.encode() + b"TRC": curve for key in columns}
    return _whole(tags, b"mntr", b"RGB ", b"XYZ ", 0x02100000)


def matrix_profile_4(name: str, columns: Columns) -> bytes:
    """A display profile of version 4, with sRGB's curve as a formula."""
    coded = name.encode("utf-16-be")
    text = b"mluc\0\0\0\0" + struct.pack(">II4sII", 1, 12, b"enUS", len(coded), 28) + coded
    numbers = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    curve = b"para\0\0\0\0\0\3\0\0" + struct.pack(">5i", *(round(each * 65536) for each in numbers))
    tags = {b"desc": text, b"cprt": text, b"wtpt": _xyz(D50)}
    tags |= {key.encode() + b"XYZ": _xyz(column) for key, column in columns.items()}
    tags |= {key.encode() + b"TRC": curve for key in columns}
    return _whole(tags, b"mntr", b"RGB ", b"XYZ ", 0x04200000)


def grey_profile(gamma: float) -> bytes:
    """A profile of one channel."""
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    return _whole(_told("grey") | {b"kTRC": curve}, b"mntr", b"GRAY", b"XYZ ", 0x02100000)


def inks_as_lab(inks: Array) -> Array:
    """The Lab of four inks (0..1) on an imaginary press, on which each ink does the same wherever it lands."""
    cyan, magenta, yellow, black = np.moveaxis(np.asarray(inks, float), -1, 0)
    light = 100 - 12 * cyan - 20 * magenta - 5 * yellow - 63 * black
    return np.stack([light, 22 * magenta - 18 * cyan, 24 * yellow - 14 * cyan], -1)


def press_profile() -> bytes:
    """An output profile (ICC 2.1) of that press: a table of two points for each ink, Lab as 16 bits."""
    corners = np.stack(np.meshgrid(*[[0.0, 1.0]] * 4, indexing="ij"), -1).reshape(16, 4)
    lab = inks_as_lab(corners)
    coded = np.stack([lab[:, 0] * 652.8, (lab[:, 1] + 128) * 256, (lab[:, 2] + 128) * 256], -1)
    straight = struct.pack(">2H", 0, 65535)
    table = b"mft2\0\0\0\0" + bytes([4, 3, 2, 0])
    table += struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536) + struct.pack(">HH", 2, 2) + straight * 4
    table += np.rint(coded).astype(">u2").tobytes() + straight * 3
    return _whole(_told("press") | {b"A2B0": table, b"A2B1": table}, b"prtr", b"CMYK", b"Lab ", 0x02100000)


# --- the formulas ----------------------------------------------------------------------------------------------------


def curved(linear: Array) -> Array:
    """sRGB's curve, 0..1 to 0..255."""
    linear = np.clip(linear, 0, 1)
    return np.asarray(255 * np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055))


def straightened(pixels: Array) -> Array:
    """The inverse: 0..255 to light, 0..1."""
    share = np.asarray(pixels, float) / 255
    return np.asarray(np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4))


def _matrix(columns: Columns) -> Array:
    return np.array(list(columns.values())).T


def linear_srgb(xyz: Array) -> Array:
    """Linear sRGB, not clipped, of XYZ (D50)."""
    return np.asarray(xyz @ np.linalg.inv(_matrix(SRGB)).T)


def through(pixels: Array, columns: Columns, gamma: float | None) -> Array:
    """Linear sRGB, not clipped, of pixels in a space of these primaries; gamma None is sRGB's curve."""
    light = straightened(pixels) if gamma is None else (np.asarray(pixels, float) / 255) ** gamma
    return linear_srgb(light @ _matrix(columns).T)


def lab_to_xyz(lab: Array) -> Array:
    """XYZ (D50) of CIE Lab."""
    middle = (lab[..., 0] + 16) / 116
    roots = np.stack([middle + lab[..., 1] / 500, middle, middle - lab[..., 2] / 200], -1)
    shares = np.where(roots > 6 / 29, roots**3, 3 * (6 / 29) ** 2 * (roots - 4 / 29))
    return np.asarray(shares * np.array(D50))


def lab(pixels: Array) -> Array:
    """CIE Lab (D50) of sRGB, 0..255."""
    share = straightened(pixels) @ _matrix(SRGB).T / np.array(D50)
    roots = np.where(share > (6 / 29) ** 3, np.cbrt(share), share / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(roots, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def difference(found: Array, expected: Array) -> Array:
    """Delta E of 1976, pixel by pixel, of two pictures in sRGB."""
    return np.asarray(np.linalg.norm(lab(found) - lab(expected), axis=-1))


def to_srgb(pixels: Array, columns: Columns, gamma: float | None) -> Array:
    """sRGB, 0..255, of pixels in a space of these primaries, clipped to what sRGB holds."""
    return curved(through(pixels, columns, gamma))
