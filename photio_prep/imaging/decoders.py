"""Decode the pixels of a file after its header was checked, with the one decoder of its format."""

import contextlib
import io
import math
from dataclasses import dataclass
from typing import NamedTuple

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
)

from photio_prep.errors import PhotoRefused
from photio_prep.geometry import Size
from photio_prep.imaging import colour
from photio_prep.imaging.headers import exif, webp
from photio_prep.imaging.headers.header import ARRIVED_BROKEN
from photio_prep.imaging.jpeg_feed import feed_jpeg
from photio_prep.imaging.limits import Limits, check_size, raise_limit
from photio_prep.imaging.resize import resize_in_halves
from photio_prep.imaging.tiff_decoder import decode_tiff

# The classes themselves: Image.open tries other parsers too, and warns of large pictures through `warnings`, which are
# not thread-safe.
_DECODERS: dict[str, type[ImageFile.ImageFile]] = {
    "AVIF": AvifImagePlugin.AvifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
}
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# A JPEG is decoded at least this many times larger than requested. Scaled by its decoder alone, it differs by up to
# 1.4 levels (mean, wickerwork) from a fair reduction; with this margin by 0.55 on our fixtures.
_MARGIN = 1.5


@dataclass(frozen=True, slots=True)
class DecodeTask:
    """Input of a decoder; most fields are those of the Header.

    `size`, upright, is for a JPEG only: it is decoded no larger than needed and returned in this size.
    """

    format: str
    data: bytes
    frame: int | None = None
    index: int = 0
    crop: tuple[int, int, int, int] | None = None
    orientation: int = 1
    profile: bytes | None = None
    size: Size | None = None


class DecodedImage(NamedTuple):
    """An upright picture (RGB or RGBA, sRGB), and notes."""

    image: Image.Image
    notes: tuple[str, ...]


def decode_pixels(job: DecodeTask, limits: Limits) -> DecodedImage:
    """Decode the picture of a job; PhotoRefused if it is damaged, or its size is not the header's and out of limits."""
    try:
        if job.format == "TIFF":
            image, alpha, notes = decode_tiff(job.data, job.index, limits.memory)
            image, more = colour.to_srgb(image, job.profile, alpha)
        else:
            with _open(job) as opened:
                check_size(Size(*opened.size), limits)
                notes = _seek(opened, job)
                image, profile = _load(opened, job), job.profile
                if job.format == "PNG":
                    notes += _scale_transparency(image, bits=job.data[24])
                if job.format in ("AVIF", "HEIC") and 0 < len(opened.info.get("icc_profile") or b"") <= limits.profile:
                    profile = opened.info["icc_profile"]
                if job.crop is not None:
                    image = image.crop(job.crop)
                image, more = colour.to_srgb(image, profile)
        if job.orientation in _TURNS:
            image = image.transpose(_TURNS[job.orientation])
    except PhotoRefused:
        raise
    except MemoryError:
        raise PhotoRefused(
            "it needs more memory than the limit", f"Save it smaller, or {raise_limit('memory')}"
        ) from None
    except Exception as error:  # noqa: BLE001  a parser may raise anything on hostile bytes
        reason = exif.clean_exif(str(error))[:120] or type(error).__name__
        raise PhotoRefused(f"a damaged {job.format} file ({reason})", "Export it again") from None
    # The object of a plugin keeps its file and its metadata. Its pixels are shared, not copied: 4 bytes each.
    clean = image if type(image) is Image.Image else image._new(image.im)  # noqa: SLF001
    clean.info = {}
    return DecodedImage(clean, notes + more)


def _load(opened: ImageFile.ImageFile, job: DecodeTask) -> Image.Image:
    """Decode all of a picture; a JPEG at the size of its job."""
    image: Image.Image = opened
    feed = feed_jpeg(opened, job.data) if job.format == "JPEG" else None
    if job.size is not None:
        image = _decode_at(opened, job.size[::-1] if job.orientation > 4 else job.size)
    opened.load()
    if feed is not None:
        feed.raise_if_early()
    if job.format == "WEBP":
        _check_webp(job.data)
    return image


def _scale_transparency(image: Image.Image, bits: int) -> tuple[str, ...]:
    """Scale a PNG's one transparent colour as Pillow scales its pixels; return a note if it cannot be."""
    clear = image.info.get("transparency")
    if clear is not None and image.mode == "RGB" and bits == 16:  # Pillow halves the bits of the pixels
        image.info.pop("transparency")
        return ("its transparent colour was ignored",)
    if isinstance(clear, int) and image.mode == "L" and bits < 8:
        image.info["transparency"] = clear * 255 // (2**bits - 1)
    return ()


def _check_webp(data: bytes) -> None:
    """Refuse a WebP whose decoder does not need all of it; see `webp.without_ends`."""
    for shorter in webp.without_ends(data):
        with contextlib.suppress(OSError, ValueError, EOFError):
            WebPImagePlugin.WebPImageFile(io.BytesIO(shorter)).load()
            raise PhotoRefused("a damaged WEBP file (there is a hole of zero bytes in its picture)", ARRIVED_BROKEN)


def shrink(image: Image.Image, size: Size) -> Image.Image:
    """Resize `image` to `size`, if that is smaller: first by whole factors, as the decoder of JPEG does."""
    if size.area >= image.width * image.height:
        return image
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=_MARGIN)


def _decode_at(opened: ImageFile.ImageFile, size: tuple[int, ...]) -> Image.Image:
    """Decode a JPEG at `size`, as stored: first scaled by its decoder (1/2, 1/4 or 1/8), then by Lanczos.

    The decoder rounds up: `box` is the picture's extent in fractions of a pixel.
    """
    _, box = opened.draft(None, (math.ceil(_MARGIN * size[0]), math.ceil(_MARGIN * size[1]))) or (None, None)
    opened.load()
    return resize_in_halves(opened, (size[0], size[1]), Image.Resampling.LANCZOS, box, reducing_gap=3)


def _open(job: DecodeTask) -> ImageFile.ImageFile:
    file = io.BytesIO(job.data)
    if job.format == "HEIC":
        try:
            from pillow_heif import HeifImageFile  # not registered with Pillow, which would affect other code
        except ImportError:
            raise PhotoRefused(
                "a HEIC file, and its decoder is not installed", 'Run: pip install "photio-prep[heic]"'
            ) from None
        decoder: type[ImageFile.ImageFile] = HeifImageFile
        return decoder(file)
    if job.format == "AVIF" and not AvifImagePlugin.SUPPORTED:
        raise PhotoRefused("an AVIF file, which this Pillow cannot read", "Run: pip install --upgrade pillow")
    return _DECODERS[job.format](file)


def _seek(opened: ImageFile.ImageFile, job: DecodeTask) -> tuple[str, ...]:
    """Go to the job's frame; return notes. Frames are counted only if the decoder has counted them already."""
    if job.format in ("AVIF", "HEIC", "WEBP"):
        frames = getattr(opened, "n_frames", 1)
        if job.frame is None and frames != 1:
            if job.format != "HEIC":
                raise PhotoRefused(
                    f"it holds {frames} frames or pages", f"Choose one with --page 0 to --page {frames - 1}"
                )
            return (f"it holds {frames} pictures; the primary one is used",)
    if job.index or job.frame is not None:
        opened.seek(job.index)
    return ()
