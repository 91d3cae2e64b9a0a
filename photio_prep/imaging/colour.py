"""Convert a decoded picture of any mode to RGB or RGBA in sRGB, 8 bits a channel."""

import io
import struct

import numpy as np
from PIL import Image, ImageCms

_SRGB = ImageCms.createProfile("sRGB")
# Profiles that need no conversion, by exact name: "sRGB-elle-V2-g10" is linear.
_SRGB_NAMES = frozenset({"sRGB", "sRGB built-in", "sRGB IEC61966-2.1", "sRGB IEC61966-2-1"})
_STRAIGHT = {"PA": "RGBA", "La": "LA", "RGBa": "RGBA"}
_CLEAR_BY_COLOUR = ("1", "L", "P", "RGB")
# Tags of tables and programs. A profile without them is a matrix and curves, which cannot hide anything.
_TABLES = (b"A2B", b"B2A", b"D2B", b"B2D", b"pre", b"gam", b"ncl", b"psi")
_IGNORED = "its colour profile is damaged or does not fit and was ignored"

# Codes of ITU-T H.273 in AVIF and HEIC. XYZ (D50) of red, green and blue.
_PRIMARIES = {
    9: ("BT.2020", ((0.67348, 0.27904, -0.00194), (0.16566, 0.67534, 0.02998), (0.12505, 0.04561, 0.79686))),
    12: ("Display P3", ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))),
}
_HDR = {16: "PQ", 18: "HLG"}
# Bradford's adaptation of D65, their common white, to ICC's D50.
_FROM_D65 = (1.04788, 0.02292, -0.05022, 0.02959, 0.99048, -0.01707, -0.00924, 0.01508, 0.75168)


def to_srgb(
    image: Image.Image, profile: bytes | None, *, inverted: bool = False
) -> tuple[Image.Image, tuple[str, ...]]:
    """Convert `image` to sRGB; return it with notes.

    Without an ICC `profile` RGB is taken as sRGB, and CMYK as plain inks. `inverted`: 0 is white, in an image of more
    than 8 bits.
    """
    clear = image.info.get("transparency")
    alpha = None
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image)
        if isinstance(clear, int):
            alpha = Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8))
        image = _eight_bits(image, inverted=inverted)
    elif clear is not None and image.mode in _CLEAR_BY_COLOUR:
        image = image.convert("LA" if image.mode in ("1", "L") else "RGBA")
    if image.mode in _STRAIGHT:
        image = image.convert(_STRAIGHT[image.mode])
    if image.mode in ("LA", "RGBA"):
        alpha = image.getchannel("A")
        image = image.convert("L" if image.mode == "LA" else "RGB")
    image, notes = _convert_profile(image, profile) if profile else (image, ())
    image = image if image.mode == "RGB" else image.convert("RGB")
    if alpha is not None and alpha.getextrema() != (255, 255):
        image.putalpha(alpha)
    return image, notes


def is_plain(profile: bytes | None) -> bool:
    """Whether a profile is only a matrix and curves, or missing."""
    if not profile:
        return True
    if len(profile) < 132 or profile[36:40] != b"acsp" or profile[16:20] not in (b"RGB ", b"GRAY"):
        return False
    count = int.from_bytes(profile[128:132], "big")
    tags = profile[132 : 132 + 12 * count]
    return (
        count <= 100
        and len(tags) == 12 * count
        and not any(tags[at : at + 3] in _TABLES for at in range(0, len(tags), 12))
    )


def is_srgb(profile: bytes | None) -> bool:
    """Whether a profile is sRGB by its name, or missing, which means the same."""
    if not profile:
        return True
    try:
        named = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.profile_description or ""
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return False
    return named in _SRGB_NAMES


def profile_of(primaries: int, transfer: int) -> tuple[bytes | None, tuple[str, ...]]:
    """The profile of two codes of ITU-T H.273, None for sRGB and unknown codes; and notes."""
    notes = (f"it is an HDR picture ({_HDR[transfer]}); its brightness is shown as sRGB's",) if transfer in _HDR else ()
    if primaries not in _PRIMARIES:
        return None, notes
    name, columns = _PRIMARIES[primaries]
    return _matrix_profile(name, columns), notes


def _matrix_profile(name: str, columns: tuple[tuple[float, ...], ...]) -> bytes:
    """An ICC profile (4.2) of three primaries and sRGB's curve."""

    def fixed(*values: float) -> bytes:
        return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))

    def text(value: str) -> bytes:
        coded = value.encode("utf-16-be")
        return b"mluc\0\0\0\0" + struct.pack(">II4sII", 1, 12, b"enUS", len(coded), 28) + coded

    curve = b"para\0\0\0\0\0\3\0\0" + fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    white = (0.9642, 1.0, 0.8249)
    tags = {b"desc": text(name), b"cprt": text("CC0"), b"wtpt": b"XYZ \0\0\0\0" + fixed(*white)}
    tags[b"chad"] = b"sf32\0\0\0\0" + fixed(*_FROM_D65)
    for key, column in zip((b"r", b"g", b"b"), columns, strict=True):
        tags |= {key + b"XYZ": b"XYZ \0\0\0\0" + fixed(*column), key + b"TRC": curve}
    table, data, start = b"", b"", 132 + 12 * len(tags)
    for key, value in tags.items():
        table += key + struct.pack(">II", start + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    head = struct.pack(">I4sI4s4s4s", start + len(data), b"\0\0\0\0", 0x04200000, b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + fixed(*white)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def _convert_profile(image: Image.Image, profile: bytes) -> tuple[Image.Image, tuple[str, ...]]:
    """Convert from an ICC profile to sRGB: relative colorimetric, with black point compensation."""
    if image.mode == "LAB":
        return image, ()  # device-independent already
    if image.mode in ("1", "P") or (image.mode == "L" and profile[16:20] == b"RGB "):
        image = image.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.profile_description in _SRGB_NAMES and image.mode == "RGB":
            return image, ()
        flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
        out = ImageCms.profileToProfile(
            image, source, _SRGB, ImageCms.Intent.RELATIVE_COLORIMETRIC, outputMode="RGB", flags=flags
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image, (_IGNORED,)
    return (out or image), ()


def _eight_bits(image: Image.Image, *, inverted: bool) -> Image.Image:
    """Scale 16- and 32-bit greyscale to 8 bits, without clipping.

    The range is 0..65535 for integers and 0..1 for floats if the values fit, else the range of the values.
    """
    values = np.asarray(image)
    if values.dtype.itemsize == 2:
        levels = np.rint(np.arange(65536) / 257).astype(np.uint8)[values]
    else:
        values = np.nan_to_num(values.astype(np.float32))
        low, high = float(values.min()), float(values.max())
        if low >= 0 and high <= (full := 1.0 if image.mode == "F" else 65535.0):
            low, high = 0.0, full
        # Halve first: the difference of two large floats of opposite sign overflows.
        values /= 2
        values -= low / 2
        values *= 255 / max(high / 2 - low / 2, 1e-30)
        levels = np.clip(np.rint(values, out=values), 0, 255, out=values).astype(np.uint8)
    return Image.fromarray(255 - levels if inverted else levels)


# The profile of a final that carries one. Pillow's own would hold its time of creation.
SRGB_PROFILE = _matrix_profile(
    "sRGB", ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
)
