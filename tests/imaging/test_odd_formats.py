"""Every format and colour space comes out as people see it: pixels against references that the formulas give."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageOps, features

from photio_prep.errors import PhotoRefused
from photio_prep.imaging import colour
from photio_prep.imaging.decode import Limits, decode_picture
from photio_prep.imaging.icc_profiles import space_of_codes
from photio_prep.intake.load import load
from photio_prep.pipeline import prepare
from tests.support import icc
from tests.support.photos import encoded, saved
from tests.support.rasters import chunk, header, page, png, segment, tiff
from tests.support.sampling import sampled

Array = NDArray[Any]
# Colours across the cube, none at its very corners: no display clips them, whatever its space.
PATCHES = np.array([[r, g, b] for r in (40, 100, 160, 215) for g in (40, 100, 160, 215) for b in (40, 120, 215)])
SIDE = 12


def chart(patches: Array) -> Image.Image:
    """Patches (N, C) as squares in rows of 8."""
    rows = patches.astype(np.uint8).reshape(-1, 8, patches.shape[1])
    pixels = np.repeat(np.repeat(rows, SIDE, 0), SIDE, 1)
    return Image.fromarray(pixels, "CMYK" if patches.shape[1] == 4 else "RGB")


def seen(image: Image.Image) -> Array:
    """The colour in the middle of each patch of a chart, at whatever size."""
    pixels = np.asarray(image.convert("RGB")).astype(float)
    rows, columns = len(PATCHES) // 8, 8
    y = ((np.arange(rows) + 0.5) * pixels.shape[0] / rows).astype(int)
    x = ((np.arange(columns) + 0.5) * pixels.shape[1] / columns).astype(int)
    return pixels[np.ix_(y, x)].reshape(-1, 3)


def in_canvas(data: bytes) -> Image.Image:
    """What is sent of a photo, cropped to where it lies."""
    with Image.open(io.BytesIO(data)) as opened:
        size = opened.size
    order = prepare(data, mask=Image.new("L", size, 255), description="x")
    return order.canvas.image.crop(order.placement.box)


def assert_close(data: bytes, linear: Array) -> None:
    """The patches come out within a difference of 2 (photo and canvas) of the linear sRGB that they must have."""
    shown = ((linear > -0.002) & (linear < 1.002)).all(-1)
    assert shown.mean() >= 0.3
    expected = icc.curved(linear)
    for image in (decode_picture(data).image, in_canvas(data)):
        assert icc.difference(seen(image), expected)[shown].max() <= 2


RGB_SPACES = {
    "Display P3 (v2)": (icc.matrix_profile("Display P3", icc.P3, 2.2), icc.P3, 2.2),
    "Display P3 (v4)": (icc.matrix_profile_4("Display P3", icc.P3), icc.P3, None),
    "Adobe RGB (1998)": (icc.matrix_profile("Adobe RGB (1998)", icc.ADOBE, 563 / 256), icc.ADOBE, 563 / 256),
    "ProPhoto": (icc.matrix_profile("ROMM RGB", icc.PROPHOTO, 1.8), icc.PROPHOTO, 1.8008),
}
EXACT: dict[str, dict[str, Any]] = {
    "PNG": {},
    "TIFF": {"compression": "tiff_lzw"},
    "WEBP": {"lossless": True},
    "JPEG": {"quality": 100, "subsampling": 0},
}


@pytest.mark.parametrize("kind", EXACT)
@sampled("space", RGB_SPACES, 1)
def test_i24_a_wide_space_is_converted_to_srgb(space: str, kind: str) -> None:
    profile, columns, gamma = RGB_SPACES[space]
    linear = icc.through(PATCHES, columns, gamma)
    # The test would notice if the profile were dropped.
    assert icc.difference(PATCHES, icc.curved(linear)).max() > 5
    assert_close(encoded(chart(PATCHES), kind, icc_profile=profile, **EXACT[kind]), linear)


def test_i24_no_profile_is_srgb() -> None:
    assert_close(encoded(chart(PATCHES), "PNG"), icc.through(PATCHES, icc.SRGB, None))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize("gamma", [1.0, 1.8])
def test_i24_grey_with_a_grey_profile(kind: str, gamma: float) -> None:
    grey = np.tile(np.linspace(20, 235, len(PATCHES)).astype(np.uint8)[:, None], 3)
    image = chart(grey).convert("L")
    data = encoded(image, kind, icc_profile=icc.grey_profile(gamma), **{**EXACT[kind], "subsampling": -1})
    assert_close(data, (grey / 255) ** gamma)


def test_i24_grey_with_the_profile_of_a_display() -> None:
    grey = np.tile(np.linspace(20, 235, len(PATCHES)).astype(np.uint8)[:, None], 3)
    data = encoded(chart(grey).convert("L"), "PNG", icc_profile=icc.matrix_profile("x", icc.ADOBE, 1.8))
    assert_close(data, icc.through(grey, icc.ADOBE, 1.80078125))


@pytest.mark.parametrize("length", ["4 MB", "broken", "LAB", "empty"])
def test_i24_a_profile_that_cannot_be_used_is_ignored_with_a_note(length: str) -> None:
    good = icc.matrix_profile("P3", icc.P3, 2.2)
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    profile = {"4 MB": good + bytes(4 * 2**20), "broken": good[:200], "LAB": lab, "empty": bytes(128)}[length]
    found = decode_picture(encoded(chart(PATCHES), "PNG", icc_profile=profile))
    assert np.array_equal(seen(found.image), PATCHES)
    assert "profile" in found.notes[0]


def test_a_profile_is_read_up_to_its_limit_and_no_further() -> None:
    profile = icc.matrix_profile("P3", icc.P3, 2.2)
    for kind in ("PNG", "JPEG", "WEBP", "TIFF"):
        data = encoded(chart(PATCHES), kind, icc_profile=profile)
        assert decode_picture(data, Limits(profile=len(profile))).notes == (), kind
        assert "profile" in decode_picture(data, Limits(profile=len(profile) - 1)).notes[0], kind


def test_a_profile_of_matrix_and_curves_is_plain_and_one_of_tables_is_not() -> None:
    assert colour.is_plain(None)
    assert colour.is_plain(icc.matrix_profile("P3", icc.P3, 2.2))
    assert colour.is_plain(icc.grey_profile(1.8))
    assert colour.is_plain(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    assert not colour.is_plain(icc.press_profile())
    assert not colour.is_plain(b"rubbish")


# --- inks ------------------------------------------------------------------------------------------------------------

INKS = (PATCHES[:, [0, 1, 2, 0]] * np.array([0.6, 0.6, 0.6, 0.25])).astype(np.uint8)


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_i23_cmyk_with_a_profile(kind: str) -> None:
    data = encoded(chart(INKS), kind, icc_profile=icc.press_profile(), **EXACT[kind])
    assert_close(data, icc.linear_srgb(icc.lab_to_xyz(icc.inks_as_lab(INKS / 255))))


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_i23_cmyk_without_a_profile(kind: str) -> None:
    expected = (255.0 - INKS[:, :3]) * (255.0 - INKS[:, 3:]) / 255
    assert_close(encoded(chart(INKS), kind, **EXACT[kind]), icc.straightened(expected))


def test_i23_ycck_of_adobe_is_converted_and_not_inverted() -> None:
    # Adobe stores inks inverted. YCCK is defined by 255 - ink as red, green and blue, so that the two cancel out.
    wanted = chart(INKS)
    paper = Image.merge("RGB", wanted.split()[:3])
    stored = Image.merge("CMYK", [*paper.convert("YCbCr").split(), wanted.getchannel("K").point(lambda v: 255 - v)])
    # Pillow inverts once more when it writes.
    data = encoded(Image.eval(stored, lambda value: 255 - value), "JPEG", quality=100, subsampling=0)
    at = data.index(b"Adobe") + 11
    assert data[at] == 0
    expected = (255.0 - INKS[:, :3]) * (255.0 - INKS[:, 3:]) / 255
    assert_close(data[:at] + b"\2" + data[at + 1 :], icc.straightened(expected))


def test_i23_lab_in_a_tiff() -> None:
    lab = icc.lab(PATCHES.astype(float))
    stored = np.stack([lab[:, 0] * 2.55, lab[:, 1], lab[:, 2]], -1).round().astype(np.int16)
    pixels = (stored & 255).astype(np.uint8).reshape(-1, 8, 3).repeat(SIDE, 0).repeat(SIDE, 1)
    again = np.stack([stored[:, 0] / 2.55, stored[:, 1], stored[:, 2]], -1)
    data = tiff([page(pixels, photometric=8)])
    found = seen(decode_picture(data).image)
    assert icc.difference(found, icc.curved(icc.linear_srgb(icc.lab_to_xyz(again)))).max() <= 2
    assert icc.difference(seen(in_canvas(data)), found).max() <= 0.5


# --- deep and shallow ------------------------------------------------------------------------------------------------

RAMP = np.linspace(0, 65535, 60 * 40).reshape(40, 60).astype(np.uint16)


def grey_of(data: bytes) -> Array:
    return np.asarray(decode_picture(data).image.convert("RGB")).astype(float)[..., 0]


def test_i23_sixteen_bits_of_grey() -> None:
    assert np.abs(grey_of(png(RAMP)) - RAMP / 257).max() <= 0.51
    for order in "<>":
        assert np.abs(grey_of(tiff([page(RAMP, order)], order)) - RAMP / 257).max() <= 0.51


def test_i23_sixteen_bits_of_colour() -> None:
    wide = np.dstack([RAMP, RAMP[::-1], RAMP[:, ::-1]])
    for data in (png(wide), tiff([page(wide)]), tiff([page(wide, ">")], ">")):
        assert np.abs(np.asarray(decode_picture(data).image) - wide / 257.0).max() <= 1


def test_i23_sixteen_bits_with_transparency() -> None:
    wide = np.dstack([RAMP, RAMP[::-1], RAMP[:, ::-1], RAMP])
    assert np.abs(np.asarray(decode_picture(png(wide)).image) - wide / 257.0).max() <= 1
    both = np.asarray(decode_picture(png(np.dstack([RAMP, RAMP[::-1]]))).image)
    assert np.abs(both[..., [0, 3]] - np.dstack([RAMP, RAMP[::-1]]) / 257.0).max() <= 1


def test_i23_sixteen_bits_whose_zero_is_white() -> None:
    assert np.abs(grey_of(tiff([page(RAMP, photometric=0)])) - (255 - RAMP / 257)).max() <= 0.51


def test_i23_eight_bits_and_one_bit_whose_zero_is_white() -> None:
    eight = (RAMP >> 8).astype(np.uint8)
    assert np.array_equal(grey_of(tiff([page(eight, photometric=0)])), 255.0 - eight)
    bits = encoded(Image.fromarray(eight).convert("1"), "TIFF", compression="group4")
    assert set(np.unique(grey_of(bits))) == {0.0, 255.0}


def test_i23_one_transparent_colour_of_sixteen_bits() -> None:
    clear = int(RAMP[20, 30])
    found = np.asarray(decode_picture(png(RAMP, chunk(b"tRNS", clear.to_bytes(2, "big")))).image)
    assert np.array_equal(found[..., 3] == 0, clear == RAMP)
    wide = np.dstack([RAMP] * 3)
    noted = decode_picture(png(wide, chunk(b"tRNS", clear.to_bytes(2, "big") * 3)))
    assert noted.image.mode == "RGB"
    assert "transparent colour" in noted.notes[0]


@pytest.mark.parametrize("kind", [np.int16, np.int32])
def test_i23_whole_numbers_beyond_sixteen_bits_are_scaled_by_their_range(kind: type[np.signedinteger[Any]]) -> None:
    known = np.iinfo(kind)
    values = np.linspace(known.min // 2, known.max // 2, 600).reshape(20, 30).astype(kind)
    found = grey_of(tiff([page(values)]))
    low, high = float(values.min()), float(values.max())
    assert np.abs(found - (values.astype(float) - low) / (high - low) * 255).max() <= 1


def test_i23_a_palette_with_transparency_as_webp_and_gif() -> None:
    image = chart(PATCHES).quantize(16)
    clear = image.getpixel((0, 0))
    for kind in ("GIF", "PNG"):
        found = np.asarray(decode_picture(encoded(image, kind, transparency=clear)).image)
        assert np.array_equal(found[..., 3] == 0, np.asarray(image) == clear), kind


# --- newer formats ---------------------------------------------------------------------------------------------------

heif = pytest.importorskip("pillow_heif", reason="the extra photio-prep[heic] is not installed")


def heic(image: Image.Image, **options: Any) -> bytes:
    holder = io.BytesIO()
    heif.from_pillow(image).save(holder, quality=-1, chroma=444, matrix_coefficients=0, **options)
    return holder.getvalue()


@pytest.mark.skipif(not features.check("avif"), reason="a Pillow without AVIF")
def test_avif_is_read_by_pillow_itself() -> None:
    found = decode_picture(encoded(chart(PATCHES), "AVIF", quality=100, subsampling="4:4:4"))
    assert found.format == "AVIF"
    assert icc.difference(seen(found.image), PATCHES.astype(float)).max() <= 2


@pytest.mark.skipif(not features.check("avif"), reason="a Pillow without AVIF")
def test_avif_with_a_profile_and_orientation() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = chart(PATCHES).transpose(Image.Transpose.ROTATE_90)
    options = {"quality": 100, "subsampling": "4:4:4", "exif": exif}
    data = encoded(turned, "AVIF", icc_profile=icc.matrix_profile("P3", icc.P3, 2.2), **options)
    expected = icc.to_srgb(PATCHES, icc.P3, 2.2)
    assert np.median(icc.difference(seen(decode_picture(data).image), expected)) <= 2


def test_heic_is_read_with_the_extra() -> None:
    found = decode_picture(heic(chart(PATCHES)))
    assert (found.format, found.image.mode) == ("HEIC", "RGB")
    assert icc.difference(seen(found.image), PATCHES.astype(float)).max() <= 2


def test_heic_with_a_profile() -> None:
    image = chart(PATCHES)
    image.info["icc_profile"] = icc.matrix_profile("P3", icc.P3, 2.2)
    shown = seen(decode_picture(heic(image)).image)
    assert icc.difference(shown, icc.to_srgb(PATCHES, icc.P3, 2.2)).max() <= 2.5


def test_a_space_that_only_numbers_name_is_converted() -> None:
    profile, notes = space_of_codes(12, 13)
    assert notes == ()
    data = encoded(chart(PATCHES), "PNG", icc_profile=profile)
    assert_close(data, icc.through(PATCHES, icc.P3, None))
    assert space_of_codes(1, 13) == (None, ())
    assert space_of_codes(2, 2) == (None, ())
    assert "HDR" in space_of_codes(9, 16)[1][0]


def test_i31_without_the_extra_heic_is_refused_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    data = heic(chart(PATCHES))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(PhotoRefused, match=r'pip install "photio-prep\[heic\]"'):
        decode_picture(data, Limits(isolate="none"))


def test_i31_heic_is_not_registered_with_pillow(tmp_path: Path) -> None:
    path = tmp_path / "a.heic"
    path.write_bytes(heic(chart(PATCHES)))
    assert load(path).format == "HEIC"
    load(path, limits=Limits(isolate="none"))
    Image.init()
    assert "HEIF" not in Image.OPEN


def test_i04_a_picture_is_read_by_what_it_is_and_not_by_its_name(tmp_path: Path) -> None:
    path = saved(tmp_path / "shoe.png", chart(PATCHES)).rename(tmp_path / "shoe.jpg")
    assert load(path).format == "PNG"
    assert load(path).notes == ("named .jpg, but is a PNG file",)
    path.write_bytes(heic(chart(PATCHES)))
    assert load(path).notes == ("named .jpg, but is a HEIC file",)


# --- several pictures in a file --------------------------------------------------------------------------------------

FRAMES = [Image.new("RGB", (40, 30), colour_) for colour_ in ("red", "lime", "blue", "white")]
KINDS: dict[str, dict[str, Any]] = {
    "GIF": {},
    "PNG": {},
    "WEBP": {"lossless": True},
    "TIFF": {},
    "AVIF": {"quality": 100, "subsampling": "4:4:4"},
}


def animated(kind: str, frames: list[Image.Image] = FRAMES) -> bytes:
    # Pillow leaves the settings of a JPEG in a picture, and a TIFF of it then fails.
    first, *others = [frame.copy() for frame in frames]
    return encoded(first, kind, save_all=True, append_images=others, **KINDS.get(kind, {}))


@pytest.mark.parametrize("kind", KINDS)
def test_i14_a_file_of_several_frames_is_refused_unless_one_is_chosen(kind: str) -> None:
    data = animated(kind)
    with pytest.raises(PhotoRefused, match=r"4 frames or pages\. Choose one with --page 0 to --page 3"):
        decode_picture(data)
    for index, frame in enumerate(FRAMES):
        found = decode_picture(data, frame=index)
        wrong = np.abs(np.asarray(found.image).astype(int) - np.asarray(frame)).max()
        assert wrong <= (3 if kind == "AVIF" else 0), (kind, index)
    for none in (4, -1, 10**9):
        with pytest.raises(PhotoRefused, match=f"no frame {none}"):
            decode_picture(data, frame=none)


def test_i14_a_single_picture_is_its_own_frame_0() -> None:
    for kind in ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP"):
        data = encoded(FRAMES[1], kind)
        assert decode_picture(data, frame=0).image.size == (40, 30), kind
        with pytest.raises(PhotoRefused, match="no frame 1"):
            decode_picture(data, frame=1)


def test_i14_frames_reach_load_and_prepare(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    path.write_bytes(animated("GIF"))
    assert load(path, frame=2).image.getpixel((5, 5)) == (0, 0, 255)
    order = prepare(path, mask=Image.new("L", (40, 30), 255), frame=2, description="x")
    assert order.canvas.image.getpixel((500, 400)) == (0, 0, 255, 255)
    assert order.origin.frame == 2


def test_i14_only_as_many_frames_as_the_limit_says() -> None:
    data = animated("GIF")
    assert decode_picture(data, Limits(frames=4), frame=1)
    with pytest.raises(PhotoRefused, match="more than 3 frames"):
        decode_picture(data, Limits(frames=3), frame=1)


@pytest.mark.parametrize("size", [FRAMES, [chart(PATCHES), FRAMES[2]]], ids=["stereo", "gain map"])
def test_i14_of_a_jpeg_with_more_pictures_the_base_is_used(size: list[Image.Image]) -> None:
    data = encoded(size[0], "MPO", save_all=True, append_images=size[1:], quality=100, subsampling=0)
    found = decode_picture(data)
    assert found.format == "JPEG"
    assert "base picture" in found.notes[0]
    alone = decode_picture(encoded(size[0], "JPEG", quality=100, subsampling=0))
    assert np.array_equal(np.asarray(found.image), np.asarray(alone.image))
    assert decode_picture(data, frame=0).image.size == size[0].size


def test_a_gain_map_of_iso_21496_is_noted() -> None:
    base, gain = encoded(chart(PATCHES), "JPEG"), encoded(chart(PATCHES).convert("L"), "JPEG")
    marked = base[:2] + segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0\0\0\0\0") + base[2:] + gain
    assert "HDR gain map" in decode_picture(marked).notes[0]
    assert decode_picture(base + gain).notes == ()


def test_pages_that_are_thumbnails_are_no_pages() -> None:
    large, small = np.full((40, 60), 200, np.uint8), np.full((20, 30), 10, np.uint8)
    for pages in ([page(large), page(small, t254=(4, [1]))], [page(small, t254=(4, [1])), page(large)]):
        found = decode_picture(tiff(pages)).image
        assert (found.size, found.getpixel((5, 5))) == ((60, 40), (200, 200, 200))


def test_the_raw_file_of_a_camera_is_refused_and_not_its_thumbnail_used() -> None:
    small = np.full((20, 30), 10, np.uint8)
    for raw in (page(small, t254=(4, [1])), page(small, t50706=(1, [1, 4, 0, 0]))):
        with pytest.raises(PhotoRefused, match="raw file of a camera"):
            decode_picture(tiff([raw]))


# --- turned in ways that are not EXIF --------------------------------------------------------------------------------


def test_i20_orientation_in_xmp_or_in_the_text_of_imagemagick() -> None:
    wide = np.zeros((20, 40), np.uint8)
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    block = b"II*\0\x08\0\0\0\1\0\x12\x01\3\0\1\0\0\0\6\0\0\0\0\0\0\0"
    text = b"\nexif\n" + b"%8d\n" % len(block) + block.hex().encode() + b"\n"
    for before in (
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp)),
        chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text)),
        chunk(b"tEXt", b"Raw profile type APP1\0" + text),
        chunk(b"eXIf", block),
    ):
        assert decode_picture(png(wide, before)).image.size == (20, 40), before[:40]
    base = encoded(Image.new("L", (40, 20)), "JPEG")
    told = base[:2] + segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp) + base[2:]
    assert decode_picture(told).image.size == (20, 40)


def test_a_jpeg_of_arithmetic_coding_and_one_of_many_scans_are_decoded_apart() -> None:
    from photio_prep.imaging.headers import parse_header

    plain = encoded(chart(PATCHES), "JPEG", progressive=True)
    assert parse_header(plain, Limits())[1].odd == ""
    scan = plain.index(b"\xff\xda")
    end = plain.index(b"\xff\xda", scan + 2)
    many = plain[:scan] + plain[scan:end] * 40 + plain[end:]
    assert "scans" in parse_header(many, Limits())[1].odd
    assert "arithmetic" in parse_header(plain.replace(b"\xff\xc2", b"\xff\xca", 1), Limits())[1].odd


def test_a_png_in_hdr_is_noted() -> None:
    assert "HDR" in decode_picture(png(RAMP, chunk(b"cICP", bytes([9, 16, 0, 1])))).notes[0]
    assert decode_picture(png(RAMP, chunk(b"cICP", bytes([1, 13, 0, 1])))).notes == ()


def test_an_apng_whose_first_picture_is_no_frame() -> None:
    rows = zlib.compress(bytes(20 * 21))
    start = b"\x89PNG\r\n\x1a\n" + header(20, 20, 8, 0) + chunk(b"acTL", bytes([0, 0, 0, 1, 0, 0, 0, 0]))
    control = chunk(b"fcTL", bytes(4) + (20).to_bytes(4, "big") * 2 + bytes(8) + b"\0\1\0\x0a\0\0")
    data = start + chunk(b"IDAT", rows) + control + chunk(b"fdAT", b"\0\0\0\1" + rows) + chunk(b"IEND")
    with pytest.raises(PhotoRefused, match="2 frames"):
        decode_picture(data)
    assert decode_picture(data, frame=0).image.size == (20, 20)


# --- crop and turn of AVIF and HEIC ----------------------------------------------------------------------------------


def quarters(width: int = 64, height: int = 48) -> Image.Image:
    """Four colours: no turn and no crop looks like another."""
    image = Image.new("RGB", (width, height), (200, 40, 40))
    for shade, at in (((40, 180, 40), (1, 0)), ((40, 40, 200), (0, 1)), ((220, 220, 60), (1, 1))):
        image.paste(shade, (at[0] * width // 2, at[1] * height // 2, width, height if at[1] else height // 2))
    return image


def with_property(data: bytes, kind: bytes, body: bytes) -> bytes:
    """An AVIF of Pillow with one more property, of its only item, behind its `ispe`."""
    new = struct.pack(">I4s", 8 + len(body), kind) + body
    start = data.index(b"ipco") - 4
    count = 0
    at, end = start + 8, start + int.from_bytes(data[start : start + 4], "big")
    while at < end:
        count, at = count + 1, at + int.from_bytes(data[at : at + 4], "big")
    links = data.index(b"ipma") - 4
    table = bytearray(data[links : links + int.from_bytes(data[links : links + 4], "big")])
    table[18] += 1  # number of properties of the first item, in a table of one byte each
    table += bytes([0x80 | (count + 1)])
    out = bytearray(data[:end] + new + table + data[links + len(table) - 1 :])
    grown = len(new) + 1
    for box, length in ((b"ipco", len(new)), (b"ipma", 1), (b"iprp", grown), (b"meta", grown)):
        place = out.index(box) - 4
        out[place : place + 4] = (int.from_bytes(out[place : place + 4], "big") + length).to_bytes(4, "big")
    # The picture lies that much further: its offset in iloc is the file's place of mdat's content.
    old, moved = (data.index(b"mdat") + 4).to_bytes(4, "big"), (data.index(b"mdat") + 4 + grown).to_bytes(4, "big")
    place = out.index(old, out.index(b"iloc"))
    out[place : place + 4] = moved
    return bytes(out)


def avif(image: Image.Image, **options: Any) -> bytes:
    return encoded(image, "AVIF", quality=100, subsampling="4:4:4", **options)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_avif_is_turned_by_its_own_properties(orientation: int) -> None:
    """Pillow writes EXIF's orientation as `irot` and `imir`; its own reader is the truth."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    data = avif(quarters(), exif=exif)
    with Image.open(io.BytesIO(data)) as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    assert np.array_equal(np.asarray(decode_picture(data).image), expected)


def test_xmp_and_exif_do_not_turn_an_avif() -> None:
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    assert decode_picture(avif(quarters(), xmp=xmp)).image.size == (64, 48)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    turned = avif(quarters(), exif=exif)
    assert decode_picture(turned).image.size == (48, 64)
    # With a property of no turn the tag alone does nothing.
    assert decode_picture(turned.replace(b"irot\3", b"irot\0")).image.size == (64, 48)


@pytest.mark.parametrize("offset", [(0, 0), (-8, 6), (16, -12), (15.5, 0)])
def test_an_avif_is_cropped_by_its_clean_aperture(offset: tuple[float, float]) -> None:
    """ISO 14496-12: the offset is from the picture's centre to that of the crop."""
    clap = struct.pack(">4I4i", 32, 1, 24, 1, int(offset[0] * 2), 2, int(offset[1] * 2), 2)
    data = with_property(avif(quarters()), b"clap", clap)
    left, top = int(16 + offset[0]), int(12 + offset[1])
    expected = quarters().crop((left, top, left + 32, top + 24))
    shown = decode_picture(data).image
    assert shown.size == (32, 24)
    assert np.abs(np.asarray(shown).astype(int) - np.asarray(expected)).max() <= 12


@pytest.mark.parametrize(
    "numbers",
    [(32, 1, 24, 1, 99, 1, 0, 1), (0, 1, 24, 1, 0, 1, 0, 1), (32, 0, 24, 1, 0, 1, 0, 1), (65, 1, 48, 1, 0, 1, 0, 1)],
)
def test_a_crop_beyond_the_picture_is_ignored(numbers: tuple[int, ...]) -> None:
    data = with_property(avif(quarters()), b"clap", struct.pack(">4I4i", *numbers))
    assert decode_picture(data).image.size == (64, 48)
