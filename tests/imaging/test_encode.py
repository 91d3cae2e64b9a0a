"""Files that hold pixels only."""

import io

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from photio_prep.errors import UsageError
from photio_prep.imaging.encode import SANDBOX_MARK, SUFFIXES, encode_picture, encode_png, final_format
from photio_prep.imaging.filters import load_opencv
from tests.support import photos

CANARY = "canary-5c1e77"


def marked() -> Image.Image:
    """A picture that carries everything that a camera and an editor leave, as it lies in memory."""
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = CANARY
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSMapDatum] = CANARY
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", CANARY)
    text.add_itxt("XML:com.adobe.xmp", f"<x>{CANARY}</x>")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    file = photos.encoded(photos.photo(), exif=exif, pnginfo=text, icc_profile=profile, dpi=(300, 300))
    with Image.open(io.BytesIO(file)) as opened:
        opened.load()
        return opened.copy()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_no_metadata_is_written(kind: str) -> None:
    data = encode_picture(marked(), kind)
    assert CANARY.encode() not in data
    assert b"sRGB" not in data
    with Image.open(io.BytesIO(data)) as found:
        found.load()
        assert not dict(found.getexif())
        assert set(found.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density", "loop", "background"} | {
            "timestamp",
            "duration",
        }


def test_a_png_has_only_the_chunks_that_hold_pixels() -> None:
    data, at, kinds = encode_png(marked()), 8, set()
    while at < len(data):
        kinds.add(data[at + 4 : at + 8])
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    assert kinds == {b"IHDR", b"IDAT", b"IEND"}


def test_the_picture_itself_is_left_alone() -> None:
    image = marked()
    before = dict(image.info)
    encode_picture(image, "PNG")
    assert image.info == before


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_only_a_final_of_the_sandbox_says_what_it_is(kind: str) -> None:
    data = encode_picture(marked(), kind, sandbox=True)
    assert SANDBOX_MARK in data
    assert SANDBOX_MARK not in encode_picture(marked(), kind)
    assert CANARY.encode() not in data


@pytest.mark.parametrize("picture", [photos.photo(), photos.cutout()], ids=["RGB", "RGBA"])
def test_png_is_exact_and_always_the_same(picture: Image.Image) -> None:
    for data, again in (
        (encode_png(picture), encode_png(picture)),
        (encode_picture(picture, "PNG"), encode_picture(picture, "PNG")),
    ):
        assert data == again
        with Image.open(io.BytesIO(data)) as found:
            assert found.mode == picture.mode
            assert np.array_equal(np.asarray(found), np.asarray(picture))


def test_a_cut_png_is_never_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without memory OpenCV returns False and the first part of a file, or raises its own error."""

    def fail(*_: object) -> tuple[bool, bytes]:
        raise cv2.error("Failed to allocate")

    cv2 = load_opencv()
    for broken in (lambda *_: (False, b"\x89PNG"), fail):
        monkeypatch.setattr(cv2, "imencode", broken)
        with pytest.raises(MemoryError):
            encode_png(photos.cutout())
    with pytest.raises(ValueError, match="mode L"):
        encode_png(Image.new("L", (8, 8)))


def test_jpeg_keeps_full_colour_resolution() -> None:
    # Red and blue columns, one pixel wide: halved colour would make them all violet.
    stripes = Image.new("RGB", (32, 32), (255, 0, 0))
    for column in range(0, 32, 2):
        stripes.paste((0, 0, 255), (column, 0, column + 1, 32))
    with Image.open(io.BytesIO(encode_picture(stripes, "JPEG"))) as found:
        assert [layer[1:3] for layer in found.layer] == [(1, 1)] * 3  # type: ignore[attr-defined]
        assert np.abs(np.asarray(found).astype(int) - np.asarray(stripes)).max() < 60


@pytest.mark.parametrize(
    ("photo", "wanted", "gives"),
    [
        ("JPEG", None, "JPEG"),
        ("PNG", None, "PNG"),
        ("WEBP", None, "WEBP"),
        ("TIFF", None, "PNG"),
        ("GIF", None, "PNG"),
        ("BMP", None, "PNG"),
        ("", None, "PNG"),
        ("PNG", "jpg", "JPEG"),
        ("PNG", "JPEG", "JPEG"),
        ("JPEG", "png", "PNG"),
        ("TIFF", "WebP", "WEBP"),
    ],
)
def test_the_format_of_a_final(photo: str, wanted: str | None, gives: str) -> None:
    assert final_format(photo, wanted) == gives
    assert gives in SUFFIXES


@pytest.mark.parametrize("wanted", ["", "gif", "tiff", ".jpg", "heic"])
def test_a_format_that_finals_are_not_written_in(wanted: str) -> None:
    with pytest.raises(UsageError, match="is not a format of finals"):
        final_format("JPEG", wanted)
