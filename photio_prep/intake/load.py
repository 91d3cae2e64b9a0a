"""Source -> Photo."""

import io
import os
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from PIL import ExifTags, Image

from photio_prep.errors import PhotoRefused
from photio_prep.geometry import Size
from photio_prep.imaging.decode import DEFAULT_LIMITS, Limits, picture
from photio_prep.imaging.decoders import shrunk
from photio_prep.imaging.headers import exif
from photio_prep.imaging.limits import RANGES, check_size
from photio_prep.system.files import read_input, too_long
from photio_prep.types import Photo

Source = str | os.PathLike[str] | bytes | BinaryIO | Image.Image


def load(
    source: Source,
    *,
    name: str = "",
    limits: Limits = DEFAULT_LIMITS,
    frame: int | None = None,
    at: Callable[[Size], Size] | None = None,
) -> Photo:
    """The photo at `source`, as people see it.

    Args:
        source: A path, the bytes of a file, an open binary file, or a Pillow picture (taken with its EXIF and profile).
        name: What messages call it; the path where there is one.
        limits: What it may be at most.
        frame: Which frame or page of a file with several, from 0; without one such a file is refused.
        at: From the size of the file's picture, the size at which it is wanted (`geometry.box_on`); a smaller picture
            stays as it is. A JPEG is then decoded at a fraction of its size. None gives all of it.

    Raises:
        PhotoRefused: It cannot be read, is no picture of a known format, is damaged, or is outside the limits.
    """
    name = name or name_of(source)
    try:
        if isinstance(source, Image.Image):
            return fitted(_from_memory(source, name, limits), at)
        data = read(source, limits)
        image, format_, notes, credit, whole = picture(data, limits, frame, at)
    except PhotoRefused as error:
        raise error.about(name) from None
    suffix = Path(name).suffix.lower()
    if suffix in _SUFFIXES and _SUFFIXES[suffix] != format_:
        notes += (f"named {suffix}, but is a {format_} file",)
    smaller = whole if image.size != whole else None
    return Photo(image, name, sha256(data).hexdigest(), format_, notes, credit, smaller)


def unread(source: Source | Photo, limits: Limits = DEFAULT_LIMITS, name: str = "") -> Photo | bytes:
    """The whole of a source, as small as it can be held: the bytes of a file, or the photo of a picture in memory.

    Raises:
        PhotoRefused: It cannot be read, or is longer than the limit.
    """
    if isinstance(source, Image.Image):
        return load(source, name=name, limits=limits)
    return source if isinstance(source, Photo) else read(source, limits, name)


def fitted(photo: Photo, at: Callable[[Size], Size] | None) -> Photo:
    """The photo with its picture at the size at which it is wanted, where that is smaller; see `load`."""
    image = photo.image if at is None else shrunk(photo.image, at(photo.size))
    return photo if image is photo.image else replace(photo, image=image, whole=photo.size)


_SUFFIXES = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".gif": "GIF",
    ".bmp": "BMP",
    ".avif": "AVIF",
    ".heic": "HEIC",
    ".heif": "HEIC",
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


def read(source: str | os.PathLike[str] | bytes | BinaryIO, limits: Limits, name: str = "") -> bytes:
    """The bytes of a photo that is no picture in memory, `limits.file_bytes` at most.

    Raises:
        PhotoRefused: It cannot be read, or is longer.
    """
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
        raise too_long(len(data), limits.file_bytes, name)
    return data


def _from_memory(image: Image.Image, name: str, limits: Limits) -> Photo:
    # A lossless file and back: one way in for pictures from anywhere, with the same checks. TIFF holds every mode.
    check_size(Size(*image.size), limits)
    format_ = image.format if image.format in ("JPEG", "PNG", "WEBP") else "PNG"
    holder = io.BytesIO()
    file_format = "TIFF" if image.mode in ("CMYK", "LAB", "I", "F", "YCbCr") else "PNG"
    try:
        extra = {"exif": _kept(image), "icc_profile": image.info.get("icc_profile")}
        image.save(holder, file_format, compress_level=1, **extra)
    except Exception as error:  # noqa: BLE001  it may still be an open file, of bytes that nobody vouches for
        raise PhotoRefused(
            f"a picture of mode {image.mode} that cannot be read ({str(error)[:120]})", "Convert it to RGB"
        ) from None
    data = holder.getvalue()
    # We wrote that file a moment ago: whoever gives a picture in memory shall find no process of ours.
    trusted = replace(
        limits,
        file_bytes=min(max(limits.file_bytes, len(data)), int(RANGES["file_bytes"][1])),
        isolate="none",
        metadata=max(limits.metadata, len(extra["icc_profile"] or b"") + 4096),
    )
    photo = load(data, name=name, limits=trusted)
    return replace(photo, format=format_, notes=())


def _kept(image: Image.Image) -> Image.Exif:
    """Of a picture's EXIF, only how it is turned and whose it is; nothing where the EXIF is damaged."""
    kept = Image.Exif()
    try:
        block = image.info.get("exif") or image.getexif().tobytes()
    except Exception:  # noqa: BLE001  EXIF is foreign bytes, and a parser may raise anything on them
        return kept
    turned, credit, _ = exif.read(block)
    kept[ExifTags.Base.Orientation] = turned
    for tag, said in ((ExifTags.Base.Artist, credit.artist), (ExifTags.Base.Copyright, credit.copyright)):
        if said:
            kept[tag] = said.encode()
    return kept
