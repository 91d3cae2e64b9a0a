"""ICC profiles made of numbers: colour spaces that a file names without a profile of its own."""

import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# CIE x, y of white, red, green and blue.
Chromaticities = tuple[float, float, float, float, float, float, float, float]
# Of a channel: a gamma, a table of 16 bits, or sRGB's curve.
Curve = float | tuple[int, ...] | None

D65 = (0.3127, 0.3290)
_SRGB: Chromaticities = (*D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
# Codes of ITU-T H.273: colour primaries, and the gammas of transfer characteristics. Those of television (1, 6, 14,
# 15) are shown as sRGB, as browsers do.
_PRIMARIES: dict[int, tuple[str, Chromaticities]] = {
    1: ("sRGB", _SRGB),
    4: ("BT.470 M", (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08)),
    5: ("BT.470 BG", (*D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06)),
    6: ("BT.601", (*D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070)),
    7: ("SMPTE 240M", (*D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070)),
    8: ("film", (0.310, 0.316, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049)),
    9: ("BT.2020", (*D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046)),
    11: ("DCI-P3", (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)),
    12: ("Display P3", (*D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)),
    22: ("EBU 3213", (*D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077)),
}
_GAMMAS: dict[int, float] = {4: 2.2, 5: 2.8, 8: 1.0, 17: 2.6}
_HDR = {16: "PQ", 18: "HLG"}
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_D50 = np.array([0.9642, 1.0, 0.8249])
_UNUSABLE = "the numbers of its colour space make no sense and were ignored"


class ColourSpace(NamedTuple):
    """A colour space: an ICC profile, None for sRGB and unknown ones; and notes."""

    profile: bytes | None = None
    notes: tuple[str, ...] = ()


def choose_space(*spaces: ColourSpace | None) -> ColourSpace:
    """The first colour space, or sRGB; with the notes of those before it that could not be used."""
    notes: tuple[str, ...] = ()
    for space in spaces:
        notes += space.notes if space else ()
        if space and (space.profile or not space.notes):
            return ColourSpace(space.profile, notes)
    return ColourSpace(None, notes)


def space_of_codes(primaries: int, transfer: int) -> ColourSpace:
    """The colour space of two codes of ITU-T H.273 (AVIF, HEIC, PNG's cICP). An unknown or unspecified code is sRGB."""
    notes: tuple[str, ...] = ()
    if transfer in _HDR:
        notes = (f"it is an HDR picture ({_HDR[transfer]}); its brightness is shown as sRGB's",)
    if primaries not in _PRIMARIES and primaries != 2:
        notes += (f"its colour primaries (code {primaries}) are unknown; taken as sRGB",)
    name, chromaticities = _PRIMARIES.get(primaries, _PRIMARIES[1])
    gamma = _GAMMAS.get(transfer)
    if gamma is not None:  # a profile that is called sRGB counts as sRGB
        name += f", gamma {gamma:g}"
    return ColourSpace(None if name == "sRGB" else _of(name, chromaticities, gamma), notes)


def space_of_numbers(chromaticities: Sequence[float] | None, *curves: Curve) -> ColourSpace:
    """The colour space of x, y of white, red, green and blue (None: sRGB's), and of one curve or three.

    Without a curve: sRGB's for its own primaries, else a gamma of 2.2 (TIFF 6.0).
    """
    try:
        if chromaticities is not None and np.abs(np.subtract(chromaticities, _SRGB)).max() < 0.002:
            chromaticities = None
        curves = curves or ((None,) if chromaticities is None else (2.2,))
        if chromaticities is None and set(curves) <= {None}:
            return ColourSpace()
        return ColourSpace(_of("calibrated RGB", chromaticities or _SRGB, *curves))
    except (ValueError, ArithmeticError, struct.error):  # LinAlgError is a ValueError
        return ColourSpace(None, (_UNUSABLE,))


def space_of_endpoints(xyz: NDArray[np.float64], *gammas: float | None) -> ColourSpace:
    """The colour space of the XYZ, or the x, y, z, of red, green and blue: rows of a 3 × 3 matrix."""
    sums = xyz.sum(1)
    if xyz.min() < 0 or not sums.all():
        return ColourSpace()
    white = xyz.sum(0) / xyz.sum()
    points = np.vstack([white if np.abs(sums - 1).max() > 0.01 else (*D65, 0), xyz / sums[:, None]])
    return space_of_numbers(tuple(points[:, :2].ravel()), *gammas)


def _of(name: str, chromaticities: Sequence[float], *curves: Curve) -> bytes:
    """An ICC profile (4.2) of primaries, adapted to D50 by Bradford's matrix, and curves."""
    xy = np.reshape(np.asarray(chromaticities, float), (4, 2))
    if not (np.isfinite(xy).all() and (xy[:, 1] > 1e-6).all()):
        raise ValueError(_UNUSABLE)
    white, *columns = np.stack([xy[:, 0], xy[:, 1], 1 - xy.sum(1)], 1) / xy[:, 1:]
    adaptation = np.linalg.inv(_BRADFORD) @ np.diag(_BRADFORD @ _D50 / (_BRADFORD @ white)) @ _BRADFORD
    matrix = np.transpose(columns)
    matrix = adaptation @ matrix * np.linalg.solve(matrix, white)
    if np.abs(matrix).max() > 10:
        raise ValueError(_UNUSABLE)
    tags = {b"desc": _text(name), b"cprt": _text("CC0"), b"wtpt": b"XYZ \0\0\0\0" + _fixed(_D50)}
    tags[b"chad"] = b"sf32\0\0\0\0" + _fixed(adaptation.ravel())
    for key, column, curve in zip(
        (b"r", b"g", b"b"), matrix.T, curves * 3 if len(curves) < 3 else curves, strict=False
    ):
        tags |= {key + b"XYZ": b"XYZ \0\0\0\0" + _fixed(column), key + b"TRC": _curve(curve)}
    table, data, start = b"", b"", 132 + 12 * len(tags)
    for key, value in tags.items():
        table += key + struct.pack(">II", start + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    head = struct.pack(">I4sI4s4s4s", start + len(data), b"\0\0\0\0", 0x04200000, b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + _fixed(_D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def _curve(curve: Curve) -> bytes:
    if curve is None:
        return b"para\0\0\0\0\0\3\0\0" + _fixed((2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))
    if isinstance(curve, tuple):
        return b"curv\0\0\0\0" + struct.pack(f">I{len(curve)}H", len(curve), *curve)
    if not 0.1 <= curve <= 10:
        raise ValueError(_UNUSABLE)
    return b"para\0\0\0\0\0\0\0\0" + _fixed((curve,))


def _text(text: str) -> bytes:
    coded = text.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II4sII", 1, 12, b"enUS", len(coded), 28) + coded


def _fixed(values: Sequence[float] | NDArray[np.float64]) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(float(value) * 65536) for value in values))


# A profile that a final carries. Pillow's own would hold its time of creation.
SRGB_PROFILE = _of("sRGB", _SRGB, None)
DISPLAY_P3 = ColourSpace(_of(*_PRIMARIES[12], None))
# 563/256: https://www.adobe.com/digitalimag/pdfs/AdobeRGB1998.pdf
ADOBE_RGB = ColourSpace(_of("Adobe RGB", (*D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06), 563 / 256))
