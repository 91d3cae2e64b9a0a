"""Load a source into a Photo: a path, bytes, an open file, or a Pillow image."""

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
from photio_prep.imaging.decode import DEFAULT_LIMITS, Limits, decode_picture, sniff
from photio_prep.imaging.decoders import shrink
from photio_prep.imaging.headers import exif
from photio_prep.imaging.headers.header import Exif
from photio_prep.imaging.limits import RANGES, check_size
from photio_prep.intake.names import DEVELOP, FORMATS, RAW
from photio_prep.system.files import read_input, too_long_error
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
    """Load a photo: upright, sRGB.

    Args:
        source: A path, the bytes of a file, an open binary file, or a Pillow image (with its EXIF and profile).
        name: For messages; the path by default.
        limits: Of the file, its pixels and its metadata.
        frame: Frame or page of a file with several, from 0; without it such a file is refused.
        at: Maps the size of the file's picture to the size that is needed (`geometry.box_on`). A larger picture is
            reduced to it, a JPEG while it is decoded. None keeps the full size.

    Raises:
        PhotoRefused: It is none of these, cannot be read, has an unknown format, is damaged, or exceeds `limits`.
    """
    name = name or display_name(source)
    suffix = Path(name).suffix.lower()
    try:
        if isinstance(source, Image.Image):
            return downscale(_load_image(source, name, limits), at)
        data = read_bytes(source, limits)
        _refuse_raw(suffix, data)
        image, format_, notes, credit, full_size = decode_picture(data, limits, frame, at)
    except PhotoRefused as error:
        raise error.about(name) from None
    if FORMATS.get(suffix, format_) != format_:
        notes += (f"named {suffix}, but is a {format_} file",)
    reduced_from = full_size if image.size != full_size else None
    return Photo(image, name, sha256(data).hexdigest(), format_, notes, credit, reduced_from, frame)


def _refuse_raw(suffix: str, data: bytes) -> None:
    if suffix in RAW and sniff(data) in (None, "TIFF"):  # most raw files begin like a TIFF
        raise PhotoRefused(f"a raw file of a camera ({suffix})", DEVELOP)


def read_source(source: Source | Photo, limits: Limits = DEFAULT_LIMITS, name: str = "") -> Photo | bytes:
    """The bytes of a file, or the Photo of a Pillow image; PhotoRefused if it is longer than the limit."""
    if isinstance(source, Image.Image):
        return load(source, name=name, limits=limits)
    return source if isinstance(source, Photo) else read_bytes(source, limits, name)


def downscale(photo: Photo, at: Callable[[Size], Size] | None) -> Photo:
    """Reduce a photo's picture to the size that `at` returns, where that is smaller; see `load`."""
    image = photo.image if at is None else shrink(photo.image, at(photo.size))
    return photo if image is photo.image else replace(photo, image=image, whole=photo.size)


def display_name(source: Source) -> str:
    """Return the name of a source for messages."""
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    if isinstance(source, Image.Image):
        return str(getattr(source, "filename", "") or "picture")
    if isinstance(source, bytes):
        return "bytes"
    return str(getattr(source, "name", "file"))


def read_bytes(source: str | os.PathLike[str] | bytes | BinaryIO, limits: Limits, name: str = "") -> bytes:
    """The bytes of a photo that is not a Pillow image; PhotoRefused if it is too long, or nothing to read from."""
    if isinstance(source, bytes):
        data = source
    elif isinstance(source, (str, os.PathLike)):
        data = read_input(Path(source), limits.file_bytes)
    else:
        if not hasattr(source, "read") or hasattr(source, "encoding"):  # a file of text
            problem = f"a photo cannot be read from {type(source).__name__}"
            raise PhotoRefused(problem, "Give a path, bytes, a file opened in binary, or a Pillow image")
        # A pipe or a socket may return less than was requested.
        data = b""
        while len(data) <= limits.file_bytes and (chunk := source.read(limits.file_bytes + 1 - len(data))):
            data += chunk
    if len(data) > limits.file_bytes:
        raise too_long_error(len(data), limits.file_bytes, name)
    return data


def _load_image(image: Image.Image, name: str, limits: Limits) -> Photo:
    # Through a lossless file: every picture passes the same checks. TIFF holds every mode.
    check_size(Size(*image.size), limits)
    format_ = image.format if image.format in ("JPEG", "PNG", "WEBP") else "PNG"
    buffer = io.BytesIO()
    file_format = "TIFF" if image.mode in ("CMYK", "LAB", "I", "F", "YCbCr") else "PNG"
    try:
        tags = _read_exif(image)
        profile = image.info.get("icc_profile") or (tags.space.profile if tags.space else None)
        extra = {"exif": _reduce_exif(tags), "icc_profile": profile}
        image.save(buffer, file_format, compress_level=1, **extra)
    except Exception as error:  # noqa: BLE001  it may be an open file of unchecked bytes
        raise PhotoRefused(
            f"a picture of mode {image.mode} that cannot be read ({str(error)[:120]})", "Convert it to RGB"
        ) from None
    data = buffer.getvalue()
    # We wrote this file, so it is decoded in this process.
    trusted = replace(
        limits,
        file_bytes=min(max(limits.file_bytes, len(data)), int(RANGES["file_bytes"][1])),
        isolate="none",
        metadata=max(limits.metadata, len(extra["icc_profile"] or b"") + 4096),
    )
    photo = load(data, name=name, limits=trusted)
    return replace(photo, format=format_, notes=())


def _read_exif(image: Image.Image) -> Exif:
    """Parse a picture's EXIF; damaged EXIF is dropped."""
    try:
        return exif.read_exif(image.info.get("exif") or image.getexif().tobytes())
    except Exception:  # noqa: BLE001  EXIF is foreign bytes, and a parser may raise anything on them
        return Exif()


def _reduce_exif(tags: Exif) -> Image.Exif:
    """Reduce EXIF to orientation, artist and copyright."""
    reduced = Image.Exif()
    reduced[ExifTags.Base.Orientation] = tags.orientation
    credit = tags.credit
    for tag, text in ((ExifTags.Base.Artist, credit.artist), (ExifTags.Base.Copyright, credit.copyright)):
        if text:
            reduced[tag] = text.encode()
    return reduced
