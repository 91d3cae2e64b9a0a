"""Parse and check a file's header before any decoder reads it.

header: the record that all parsers return, and checks that they share
bmp, gif, jpeg, png, tiff, webp: one parser per format
heif: AVIF and HEIC
scans: scans of a JPEG
exif: EXIF and XMP
"""

from photio_prep.errors import PhotoRefused
from photio_prep.geometry import Size
from photio_prep.imaging.headers import bmp, gif, heif, jpeg, png, tiff, webp
from photio_prep.imaging.headers.header import Header, MalformedImage
from photio_prep.imaging.limits import Limits, check_metadata, check_size, raise_limit

__all__ = ["Header", "MalformedImage", "parse_header", "sniff"]

# A parser is chosen by the file's first bytes, never by its name.
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
_PARSERS = {
    "JPEG": jpeg.parse_jpeg,
    "PNG": png.parse_png,
    "WEBP": webp.parse_webp,
    "TIFF": tiff.parse_tiff,
    "GIF": gif.parse_gif,
    "BMP": bmp.parse_bmp,
    "AVIF": heif.parse_heif,
    "HEIC": heif.parse_heif,
}
# Common formats that are not read, by their first bytes, for the message.
_OTHERS = (
    (b"%PDF", "a PDF"),
    (b"%!PS", "a PostScript file"),
    (b"8BPS", "a Photoshop document"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 file"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 file"),
    (b"\xff\x0a", "a JPEG XL file"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL file"),
    (b"II+\0", "a BigTIFF file"),
    (b"MM\0+", "a BigTIFF file"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\0\0\x01\0", "an icon"),
    (b"<svg", "an SVG drawing"),
)


def sniff(data: bytes) -> str | None:
    """The format of `data` by its first bytes, or None."""
    for name, offset, magic in _SIGNATURES:
        if data[offset : offset + len(magic)] == magic and (name != "WEBP" or data[:4] == b"RIFF"):
            return name
    return heif.sniff_heif(data)


def parse_header(data: bytes, limits: Limits, frame: int | None = None) -> tuple[str, Header]:
    """Parse the format and the header of a complete file; `frame`, from 0, is for a file with several.

    Raises:
        PhotoRefused: Empty, of no known format, damaged, cut short, of several frames, or outside `limits`.
    """
    if not data:
        raise PhotoRefused("the file is empty", "Copy or download it again")
    name = sniff(data)
    if name is None:
        other = next((text for magic, text in _OTHERS if data.startswith(magic)), "")
        raise PhotoRefused(
            f"{other}, not a picture that it reads" if other else f"not a picture (it starts with {data[:12]!r})",
            "JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF and HEIC are read",
        )
    try:
        header = _PARSERS[name](data, limits, frame)
        check_size(Size(*header.size), limits)
    except MalformedImage as error:
        raise PhotoRefused(f"a damaged {name} file ({error})", error.fix) from None
    check_metadata(header.metadata, limits)
    frames = header.frames
    if frames > limits.frames:
        raise PhotoRefused(
            f"it holds more than {limits.frames} frames or pages",
            f"Save one as a picture of its own, or {raise_limit('frames')}",
        )
    if frame is None and frames != 1:
        raise PhotoRefused(f"it holds {frames} frames or pages", f"Choose one with --page 0 to --page {frames - 1}")
    if frame is not None and not 0 <= frame < frames:
        raise PhotoRefused(f"it has no frame {frame}, only {frames}", f"Choose from 0 to {frames - 1}, or give none")
    return name, header
