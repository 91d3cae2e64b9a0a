"""Encode a picture as a file without metadata."""

import io
from typing import Any

import numpy as np
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from photio_prep.errors import UsageError
from photio_prep.imaging.filters import load_opencv
from photio_prep.imaging.icc_profiles import SRGB_PROFILE
from photio_prep.types import Credit

# Pillow's format -> the suffix of a final. A photo in another format gets a PNG.
SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp"}
# Marks a final of the sandbox, so that it is never taken for a paid one.
SANDBOX_MARK = b"photio-prep sandbox: not a paid result"
# Of zlib: Z_RLE.
_RUN_LENGTHS = 3
_NAMES = {"jpg": "JPEG", "jpeg": "JPEG", "png": "PNG", "webp": "WEBP"}


def final_format(photo_format: str, name: str | None = None) -> str:
    """The Pillow format of a final: that of `name` ("jpg", "png", "webp"), else the photo's own, else PNG."""
    if name is None:
        return photo_format if photo_format in SUFFIXES else "PNG"
    if name.lower() not in _NAMES:
        raise UsageError(f"{name!r} is not a format of finals", f"Choose {', '.join(_NAMES)}")
    return _NAMES[name.lower()]


def encode_clean(image: Image.Image, format_: str, **options: Any) -> bytes:  # noqa: ANN401  Pillow's own options
    """Encode without the metadata in `image.info`; `options` as in Pillow's save."""
    holder = io.BytesIO()
    # Pillow would write EXIF, profile and text from `info`.
    clean = image
    if image.info:
        clean = image.copy()
        clean.info = {}
    clean.save(holder, format_, **options)
    return holder.getvalue()


def encode_png(image: Image.Image) -> bytes:
    """Encode RGB or RGBA as PNG: pixels only, no EXIF, no profile, no text.

    By OpenCV in five sixths of Pillow's time and 1 % more bytes: it tries one filter (measurements/speed.md).
    MemoryError where there is too little memory.
    """
    if image.mode not in ("RGB", "RGBA"):
        raise ValueError(f"a picture of mode {image.mode} instead of RGB or RGBA")
    cv2 = load_opencv()
    options = {
        cv2.IMWRITE_PNG_COMPRESSION: 4,
        cv2.IMWRITE_PNG_STRATEGY: cv2.IMWRITE_PNG_STRATEGY_FILTERED,
        cv2.IMWRITE_PNG_FILTER: cv2.IMWRITE_PNG_FILTER_PAETH,
    }
    order = cv2.COLOR_RGBA2BGRA if image.mode == "RGBA" else cv2.COLOR_RGB2BGR
    try:
        pixels = cv2.cvtColor(np.asarray(image), order)
        complete, data = cv2.imencode(".png", pixels, [number for option in options.items() for number in option])
    except cv2.error as error:
        raise MemoryError(str(error)) from error
    if not complete:  # without memory it returns the first part of a file
        raise MemoryError("the PNG could not be encoded")
    return bytes(data)


def encode_png_fast(image: Image.Image) -> bytes:
    """Encode as PNG in half the time, at most a tenth longer: for files that are stored and never sent."""
    return encode_clean(image, "PNG", compress_level=1, compress_type=_RUN_LENGTHS)


def encode_picture(
    image: Image.Image,
    format_: str,
    *,
    sandbox: bool = False,
    credit: Credit | None = None,
    xmp: bytes | None = None,
    quality: int = 95,
) -> bytes:
    """Encode a final: JPEG with full colour resolution, WebP, or PNG.

    The only metadata are SANDBOX_MARK with `sandbox`, EXIF's Artist and Copyright with an sRGB profile for a `credit`,
    and a packet of `xmp` (provenance.py).
    """
    metadata: dict[str, Any] = {}
    if credit is not None:
        exif = Image.Exif()
        for tag, text in ((ExifTags.Base.Artist, credit.artist), (ExifTags.Base.Copyright, credit.copyright)):
            if text:
                exif[tag] = text.encode()  # Pillow writes str as ASCII, and © as ?
        metadata = {"icc_profile": SRGB_PROFILE, "exif": exif.tobytes() if any(credit) else b""}
    if format_ == "JPEG":
        metadata |= {"comment": SANDBOX_MARK} if sandbox else {}
        metadata |= {"xmp": xmp} if xmp else {}
        return encode_clean(image, "JPEG", quality=quality, subsampling=0, optimize=True, **metadata)
    if format_ == "WEBP":
        # WebP has room for one packet; the packet of a sandbox's final names the sandbox.
        packet = xmp or (SANDBOX_MARK if sandbox else None)
        return encode_clean(image, "WEBP", quality=quality, method=4, **metadata, **({"xmp": packet} if packet else {}))
    note = PngInfo()
    if sandbox:
        note.add_text("Comment", SANDBOX_MARK.decode())
    if xmp:
        note.add_itxt("XML:com.adobe.xmp", xmp.decode())
    return encode_clean(image, "PNG", compress_level=4, pnginfo=note, **metadata)
