"""Bytes -> an upright sRGB picture, by a short list of formats and within limits.

Takes bytes that nobody vouches for: a user's file or a server's answer. Touches nothing.
Raises PhotoRefused for everything that is not a picture we trust ourselves to show.
"""

import io
import warnings
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from photio_prep.errors import PhotoRefused
from photio_prep.geometry import Size

# Only these parsers are ever entered, and only by a file's own first bytes, never by its name.
_SIGNATURES = (
    ("JPEG", 0, b"\xff\xd8\xff"),
    ("PNG", 0, b"\x89PNG\r\n\x1a\n"),
    ("WEBP", 8, b"WEBP"),
    ("TIFF", 0, b"II*\0"),
    ("TIFF", 0, b"MM\0*"),
    ("GIF", 0, b"GIF87a"),
    ("GIF", 0, b"GIF89a"),
    ("BMP", 0, b"BM"),
)
_SRGB = ImageCms.createProfile("sRGB")
# Profiles that need no conversion, by exact name: "sRGB-elle-V2-g10" is linear.
_SRGB_NAMES = frozenset({"sRGB", "sRGB built-in", "sRGB IEC61966-2.1", "sRGB IEC61966-2-1"})
# The last chunk of every whole PNG. Pillow does not miss it.
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a picture may be at most, read from its header before anything is decoded.

    `file_bytes` is the length of the file; `pixels` and `side` are of the picture as stored; `aspect` is the long side
    over the short one; `small` is the shortest side that can still be cut out.
    """

    file_bytes: int = 100 * 2**20
    pixels: int = 50_000_000
    side: int = 16_384
    aspect: int = 20
    small: int = 16


DEFAULT_LIMITS = Limits()


class Picture(NamedTuple):
    """A decoded picture (RGB, or RGBA where the file had transparency), its format, and what was remarkable."""

    image: Image.Image
    format: str
    notes: tuple[str, ...]


def sniff(data: bytes) -> str | None:
    """The Pillow name of the format that `data` starts like, or None."""
    for name, offset, magic in _SIGNATURES:
        if data[offset : offset + len(magic)] == magic and (name != "WEBP" or data[:4] == b"RIFF"):
            return name
    return None


def picture(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Picture:
    """The picture in `data`: upright by its EXIF orientation, sRGB, 8 bits a channel.

    Raises:
        PhotoRefused: Empty, not one of the known formats, damaged, cut short, several frames, or outside `limits`.
    """
    if not data:
        raise PhotoRefused("the file is empty", "Copy or download it again")
    name = sniff(data)
    if name is None:
        raise PhotoRefused(
            f"not a picture (it starts with {data[:12]!r})", "JPEG, PNG, WebP, TIFF, BMP and GIF are read"
        )
    if name == "PNG" and _PNG_END not in data:
        raise PhotoRefused("a damaged PNG file (it is cut short)", "Export it again")
    try:
        # Pillow warns about what it half understands (broken EXIF, a palette with odd bytes); we note and go on.
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=[name]) as opened:
                _check(opened, limits)
                opened.load()
                image, notes = _upright(opened)
                image, more = _srgb(image, opened.info.get("icc_profile"))
    except PhotoRefused:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise PhotoRefused(f"more than {limits.pixels / 1e6:.0f} megapixels", "Save it smaller and try again") from None
    except UnidentifiedImageError:
        raise PhotoRefused(f"a damaged {name} file (its header cannot be read)", "Export it again") from None
    except Exception as error:  # noqa: BLE001  a parser may raise anything on bytes made to hurt
        raise PhotoRefused(
            f"a damaged {name} file ({str(error)[:120] or type(error).__name__})", "Export it again"
        ) from None
    notes += more + tuple(f"{name}: {str(each.message)[:120]}" for each in heard[:3])
    return Picture(_opaque_as_rgb(image), name, notes)


def _check(opened: Image.Image, limits: Limits) -> None:
    size = Size(*opened.size)
    if size.area > limits.pixels:
        raise PhotoRefused(
            f"{size} is {size.area / 1e6:.0f} megapixels, the limit is {limits.pixels / 1e6:.0f}", "Save it smaller"
        )
    if max(size) > limits.side:
        raise PhotoRefused(f"{size} has a side of more than {limits.side} px", "Save it smaller")
    if min(size) < limits.small:
        raise PhotoRefused(
            f"{size} is too small, the shorter side must have at least {limits.small} px", "Use a larger photo"
        )
    if max(size) > limits.aspect * min(size):
        raise PhotoRefused(f"{size} is longer than {limits.aspect}:1", "Crop it around the product")
    frames = getattr(opened, "n_frames", 1)
    if frames != 1:
        raise PhotoRefused(f"it holds {frames} frames or pages", "Save the one you want as a picture of its own")


def _upright(opened: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    try:
        turned = ImageOps.exif_transpose(opened)
    except Exception as error:  # noqa: BLE001  EXIF is foreign bytes; a picture with broken EXIF is still a picture
        return opened.copy(), (f"its EXIF cannot be read ({type(error).__name__}); taken as upright",)
    return turned, ()


def _srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, tuple[str, ...]]:
    """RGB or RGBA in sRGB, from every mode that the known formats decode to."""
    if "transparency" in image.info and image.mode in ("1", "L", "P", "RGB"):
        image = image.convert("LA" if image.mode in ("1", "L") else "RGBA")
    if image.mode in _STRAIGHT:
        image = image.convert(_STRAIGHT[image.mode])
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    if alpha is not None:
        image = image.convert("L" if image.mode == "LA" else "RGB")
    if image.mode.startswith(("I", "F")):
        image = _eight_bits(image)
    notes: tuple[str, ...] = ()
    if profile:
        image, notes = _through(image, profile)
    image = image.convert("RGB")
    if alpha is not None:
        image.putalpha(alpha)
    return image, notes


_STRAIGHT = {"PA": "RGBA", "La": "LA", "RGBa": "RGBA"}


def _through(image: Image.Image, profile: bytes) -> tuple[Image.Image, tuple[str, ...]]:
    """`image` converted from its own ICC profile to sRGB, relative colorimetric with black point compensation."""
    if image.mode in ("1", "P"):
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
        return image, ("its colour profile is damaged or does not fit and was ignored",)
    return (out or image), ()


def _eight_bits(image: Image.Image) -> Image.Image:
    """16- and 32-bit greyscale scaled, not clipped, to 8 bits.

    Integers are taken as 0..65535. Floats are taken as 0..1 where they fit, else scaled by their range.
    """
    values = np.nan_to_num(np.asarray(image, dtype=np.float64))
    if image.mode == "F":
        low, high = (0.0, 1.0) if values.min() >= 0 and values.max() <= 1 else (values.min(), values.max())
    else:
        low, high = 0.0, 65535.0
    scaled = (values - low) * (255 / max(high - low, 1e-12))
    return Image.fromarray(np.clip(np.rint(scaled), 0, 255).astype(np.uint8))


def _opaque_as_rgb(image: Image.Image) -> Image.Image:
    """RGB where the alpha channel says nothing (255 everywhere)."""
    if image.mode == "RGBA" and image.getchannel("A").getextrema() == (255, 255):
        return image.convert("RGB")
    return image
