"""Convert a decoded picture of any mode to RGB or RGBA in sRGB, 8 bits a channel."""

import io

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


def to_srgb(
    image: Image.Image, profile: bytes | None, alpha: Image.Image | None = None
) -> tuple[Image.Image, tuple[str, ...]]:
    """Convert `image` to sRGB; return it, with `alpha` (L) if it has none of its own, and notes.

    Without an ICC `profile` RGB is taken as sRGB, and CMYK as plain inks.
    """
    clear = image.info.get("transparency")
    if image.mode.startswith("I"):  # 16 bits
        values = np.asarray(image)
        if isinstance(clear, int):
            alpha = Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8))
        image = Image.fromarray(np.rint(np.arange(65536) / 257).astype(np.uint8)[values])
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
