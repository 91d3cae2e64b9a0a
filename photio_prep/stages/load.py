"""Source -> Photo.

Takes a path, bytes, a file object or a picture in memory; gives a Photo: upright, sRGB, within limits.
Touches the disk for a path. Raises PhotoRefused.
"""

import io
import os
import warnings
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from PIL import ExifTags, Image

from photio_prep.data import Photo
from photio_prep.decode import DEFAULT_LIMITS, Limits, picture
from photio_prep.errors import PhotoRefused
from photio_prep.files import read_input, too_long

Source = str | os.PathLike[str] | bytes | BinaryIO | Image.Image


def load(source: Source, *, name: str = "", limits: Limits = DEFAULT_LIMITS) -> Photo:
    """The photo at `source`, as people see it.

    Args:
        source: A path, the bytes of a file, an open binary file, or a Pillow picture (taken with its EXIF and profile).
        name: What messages call it; the path where there is one.
        limits: What it may be at most.

    Raises:
        PhotoRefused: It cannot be read, is no picture of a known format, is damaged, or is outside the limits.
    """
    name = name or name_of(source)
    try:
        if isinstance(source, Image.Image):
            return _from_memory(source, name, limits)
        data = _read(source, limits)
        image, format_, notes = picture(data, limits)
    except PhotoRefused as error:
        raise error.about(name) from None
    suffix = Path(name).suffix.lower()
    if suffix in _SUFFIXES and _SUFFIXES[suffix] != format_:
        notes += (f"named {suffix}, but is a {format_} file",)
    return Photo(image, name, sha256(data).hexdigest(), format_, notes)


_SUFFIXES = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".gif": "GIF",
    ".bmp": "BMP",
}


def name_of(source: Source) -> str:
    """What messages call `source` when nobody said."""
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    if isinstance(source, Image.Image):
        return str(getattr(source, "filename", "") or "picture")
    if isinstance(source, bytes):
        return "bytes"
    return str(getattr(source, "name", "file"))


def _read(source: str | os.PathLike[str] | bytes | BinaryIO, limits: Limits) -> bytes:
    if isinstance(source, bytes):
        data = source
    elif isinstance(source, (str, os.PathLike)):
        data = read_input(Path(source), limits.file_bytes)
    else:
        # A pipe or a socket gives what it has, not what was asked for.
        data = b""
        while len(data) <= limits.file_bytes and (chunk := source.read(limits.file_bytes + 1 - len(data))):
            data += chunk
    if len(data) > limits.file_bytes:
        raise too_long(len(data), limits.file_bytes, "")
    return data


def _from_memory(image: Image.Image, name: str, limits: Limits) -> Photo:
    # A lossless file and back: one way in for pictures from anywhere, with the same checks. TIFF holds every mode.
    format_ = image.format if image.format in ("JPEG", "PNG", "WEBP") else "PNG"
    holder = io.BytesIO()
    file_format = "TIFF" if image.mode in ("CMYK", "LAB", "I", "F", "YCbCr") else "PNG"
    extra = {"exif": _orientation(image), "icc_profile": image.info.get("icc_profile")}
    try:
        image.save(holder, file_format, compress_level=1, **extra)
    except (OSError, ValueError, KeyError) as error:
        raise PhotoRefused(
            f"a picture of mode {image.mode} that cannot be read ({error})", "Convert it to RGB"
        ) from None
    data = holder.getvalue()
    photo = load(data, name=name, limits=replace(limits, file_bytes=max(limits.file_bytes, len(data))))
    return replace(photo, format=format_, notes=())


def _orientation(image: Image.Image) -> Image.Exif:
    """Of a picture's EXIF, only how it is turned; nothing where the EXIF is damaged."""
    kept = Image.Exif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            turned = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # noqa: BLE001  EXIF is foreign bytes, and a parser may raise anything on them
        return kept
    if turned in range(1, 9):
        kept[ExifTags.Base.Orientation] = turned
    return kept
