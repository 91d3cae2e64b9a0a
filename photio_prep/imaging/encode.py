"""A picture -> the bytes of a file that holds pixels only."""

import io
from typing import Any

from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from photio_prep.errors import UsageError
from photio_prep.imaging.colour import SRGB_PROFILE
from photio_prep.types import Credit

# Pillow's format -> the suffix of a final. A photo in another format gets a PNG.
SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp"}
# What a final of the stand-in carries, so that it is never taken for a paid one.
SANDBOX_MARK = b"photio-prep sandbox: not a paid result"
# Of zlib: Z_RLE.
_RUN_LENGTHS = 3
_NAMES = {"jpg": "JPEG", "jpeg": "JPEG", "png": "PNG", "webp": "WEBP"}


def final_format(photo_format: str, wanted: str | None = None) -> str:
    """The Pillow format of a final: as `wanted` ("jpg", "png", "webp"), else the photo's own, else PNG.

    Raises:
        UsageError: Finals are not written in `wanted`.
    """
    if wanted is None:
        return photo_format if photo_format in SUFFIXES else "PNG"
    if wanted.lower() not in _NAMES:
        raise UsageError(f"{wanted!r} is no format of finals", f"Choose {', '.join(_NAMES)}", subject="--format")
    return _NAMES[wanted.lower()]


def png(image: Image.Image) -> bytes:
    """The PNG of a picture: pixels only, no EXIF, no profile, no text."""
    return _saved(image, "PNG", compress_level=4)


def quick_png(image: Image.Image) -> bytes:
    """The same, in half the time and at most a tenth longer: for what is kept and never sent."""
    return _saved(image, "PNG", compress_level=1, compress_type=_RUN_LENGTHS)


def encoded(
    image: Image.Image,
    format_: str,
    *,
    sandbox: bool = False,
    credit: Credit | None = None,
    xmp: bytes | None = None,
    quality: int = 95,
) -> bytes:
    """The file of a final: JPEG at quality 95 with full colour resolution, WebP at 95, or PNG.

    It holds no metadata, but for a final of the sandbox, which says that it is one, one with a `credit`, which
    carries that (EXIF's Artist and Copyright) and a profile of sRGB, and one with a packet of `xmp` (provenance.py).
    """
    kept: dict[str, Any] = {} if credit is None else {"icc_profile": SRGB_PROFILE, "exif": _exif(credit)}
    if format_ == "JPEG":
        kept |= {"comment": SANDBOX_MARK} if sandbox else {}
        kept |= {"xmp": xmp} if xmp else {}
        return _saved(image, "JPEG", quality=quality, subsampling=0, optimize=True, **kept)
    if format_ == "WEBP":
        # A packet of a sandbox's final says itself that it is one: there is room for one packet.
        packet = xmp or (SANDBOX_MARK if sandbox else None)
        return _saved(image, "WEBP", quality=quality, method=4, **kept, **({"xmp": packet} if packet else {}))
    note = PngInfo()
    if sandbox:
        note.add_text("Comment", SANDBOX_MARK.decode())
    if xmp:
        note.add_itxt("XML:com.adobe.xmp", xmp.decode())
    return _saved(image, "PNG", compress_level=4, pnginfo=note, **kept)


def _exif(credit: Credit) -> bytes:
    """An EXIF block of the credit alone; empty where nothing is known."""
    exif = Image.Exif()
    for tag, said in ((ExifTags.Base.Artist, credit.artist), (ExifTags.Base.Copyright, credit.copyright)):
        if said:
            exif[tag] = said.encode()  # as text Pillow would write ASCII, and © as ?
    return exif.tobytes() if any(credit) else b""


def _saved(image: Image.Image, format_: str, **options: Any) -> bytes:  # noqa: ANN401  Pillow's own options
    holder = io.BytesIO()
    # Without `info`: Pillow would write EXIF, profile and text that it finds there.
    clean = image
    if image.info:
        clean = image.copy()
        clean.info = {}
    clean.save(holder, format_, **options)
    return holder.getvalue()
