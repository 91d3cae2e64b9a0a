"""Bytes -> what a file says about its picture, before any decoder sees it."""

from photio_prep.errors import PhotoRefused
from photio_prep.geometry import Size
from photio_prep.imaging.headers import bmp, gif, heif, jpeg, png, tiff, webp
from photio_prep.imaging.headers.header import Damaged, Facts
from photio_prep.imaging.limits import Limits, check_metadata, check_size

__all__ = ["Damaged", "Facts", "read", "sniff"]

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
_PARSERS = {
    "JPEG": jpeg.facts,
    "PNG": png.facts,
    "WEBP": webp.facts,
    "TIFF": tiff.facts,
    "GIF": gif.facts,
    "BMP": bmp.facts,
    "AVIF": heif.facts,
    "HEIC": heif.facts,
}
# What sellers send that we do not read, by its first bytes: a name says more than twelve bytes do.
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
    """The name of the format that `data` starts like, or None."""
    for name, offset, magic in _SIGNATURES:
        if data[offset : offset + len(magic)] == magic and (name != "WEBP" or data[:4] == b"RIFF"):
            return name
    return heif.sniff(data)


def read(data: bytes, limits: Limits, frame: int | None = None) -> tuple[str, Facts]:
    """The format of `data`, and what its header says; nothing is decoded.

    Args:
        data: A whole file.
        limits: What it may be at most.
        frame: Which frame or page is wanted, from 0; None where there may be only one.

    Raises:
        PhotoRefused: Empty, of no known format, damaged, cut short, of several frames, or outside `limits`.
    """
    if not data:
        raise PhotoRefused("the file is empty", "Copy or download it again")
    name = sniff(data)
    if name is None:
        what = next((told for magic, told in _OTHERS if data.startswith(magic)), "")
        raise PhotoRefused(
            f"{what}, not a picture that is read" if what else f"not a picture (it starts with {data[:12]!r})",
            "JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF and HEIC are read",
        )
    try:
        found = _PARSERS[name](data, limits, frame)
        check_size(Size(*found.size), limits)
    except Damaged as error:
        raise PhotoRefused(f"a damaged {name} file ({error})", error.fix) from None
    check_metadata(found.metadata, limits)
    _check_frame(found, limits, frame)
    return name, found


def _check_frame(found: Facts, limits: Limits, frame: int | None) -> None:
    if found.frames > limits.frames:
        raise PhotoRefused(f"it holds more than {limits.frames} frames or pages", "Save one as a picture of its own")
    if frame is None and found.frames != 1:
        raise PhotoRefused(
            f"it holds {found.frames} frames or pages", f"Choose one with --page 0 to --page {found.frames - 1}"
        )
    if frame is not None and not 0 <= frame < found.frames:
        raise PhotoRefused(
            f"it has no frame {frame}, it holds {found.frames}", f"Choose from 0 to {found.frames - 1}, or give none"
        )
