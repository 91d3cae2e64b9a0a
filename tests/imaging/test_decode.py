"""Bytes that nobody vouches for: pictures of every mode come out as people see them, everything else is refused."""

import contextlib
import random
import struct
import warnings
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageOps

from photio_prep.errors import PhotoRefused
from photio_prep.imaging.decode import Limits, decode_picture, sniff
from photio_prep.imaging.resize import resize_in_halves
from tests.support.icc import P3, SRGB, matrix_profile, to_srgb
from tests.support.photos import encoded

# What a format needs to change as little as it can.
EXACT: dict[str, dict[str, Any]] = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}
GREY = Image.linear_gradient("L").resize((60, 40))


def coloured(width: int = 60, height: int = 40) -> Image.Image:
    """No two of its corners, rows or columns are alike."""
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(
        np.dstack([x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height)]).astype(np.uint8)
    )


def rgb(image: Image.Image) -> NDArray[np.int_]:
    return np.asarray(image.convert("RGB")).astype(int)


def off(image: Image.Image, reference: Image.Image) -> int:
    """The largest difference of any channel of any pixel."""
    assert image.size == reference.size
    return int(np.abs(rgb(image) - rgb(reference)).max())


def refusal(data: bytes, limits: Limits | None = None) -> str:
    """Why it is refused, in a message that also says what to do."""
    with pytest.raises(PhotoRefused) as caught:
        decode_picture(data, limits or Limits())
    assert caught.value.problem
    assert caught.value.fix
    return caught.value.problem


def turned(orientation: object, kind: str) -> bytes:
    """The file of a camera that was held so: turned pixels, and the tag that says how."""
    # https://sirv.com/help/articles/rotate-photos-to-be-upright/: what the tag undoes was done to the pixels.
    done = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    image = coloured()
    if isinstance(orientation, int) and orientation in done:
        image = image.transpose(done[orientation])
    options = EXACT.get(kind, {})
    return encoded(image, kind, exif=exif, **options)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_i20_every_orientation_comes_out_upright(kind: str, orientation: int) -> None:
    found = decode_picture(turned(orientation, kind))
    assert found.format == kind
    assert found.image.mode == "RGB"
    assert off(found.image, coloured()) <= (4 if kind == "JPEG" else 0)
    # Nobody may turn it a second time.
    assert found.image.getexif().get(ExifTags.Base.Orientation, 1) == 1
    assert ImageOps.exif_transpose(found.image).size == found.image.size


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_i19_an_orientation_that_does_not_exist_is_upright(orientation: int) -> None:
    assert off(decode_picture(turned(orientation, "PNG")).image, coloured()) == 0


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0garbage",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff",
        # Orientation as a text, and with a count of 2^31.
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x02\x36\0\0\0\0\0\0\0",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\x7f\xff\xff\xff\0\x06\0\0\0\0\0\0",
    ],
    ids=["garbage", "endless", "text", "huge count"],
)
def test_i19_broken_exif_is_no_reason_to_refuse(exif: bytes) -> None:
    found = decode_picture(encoded(coloured(), "JPEG", exif=exif, quality=100, subsampling=0))
    assert off(found.image, coloured()) <= 4


# --- modes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"quality": 100, "subsampling": 0}),
        ("JPEG", {"quality": 100, "subsampling": 0, "progressive": True}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"big_tiff": False, "compression": "tiff_adobe_deflate"}),
        ("BMP", {}),
    ],
)
def test_every_format_gives_its_pixels(kind: str, options: dict[str, Any]) -> None:
    found = decode_picture(encoded(coloured(), kind, **options))
    assert (found.format, found.image.mode) == (kind, "RGB")
    assert off(found.image, coloured()) <= (4 if kind == "JPEG" else 0)


def test_gif_gives_the_colours_of_its_palette() -> None:
    reduced = coloured().quantize(64)
    found = decode_picture(encoded(reduced, "GIF"))
    assert found.format == "GIF"
    assert off(found.image, reduced) == 0


def test_grey_is_grey() -> None:
    assert off(decode_picture(encoded(GREY, "PNG")).image, GREY) == 0


def test_i23_one_bit_is_black_and_white() -> None:
    bits = GREY.convert("1")
    found = decode_picture(encoded(bits, "PNG")).image
    assert found.mode == "RGB"
    assert set(np.unique(rgb(found))) == {0, 255}
    assert off(found, bits) == 0


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_i23_sixteen_bits_are_scaled_not_clipped(kind: str) -> None:
    wide = np.linspace(0, 65535, 60 * 40).reshape(40, 60).astype(np.uint16)
    found = rgb(decode_picture(encoded(Image.fromarray(wide), kind)).image)[..., 0]
    assert np.abs(found - wide / 257).max() <= 0.51


def test_sixteen_bits_of_dark_stay_dark() -> None:
    dim = np.full((20, 20), 300, np.uint16)
    assert rgb(decode_picture(encoded(Image.fromarray(dim), "PNG")).image).max() == 1


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-3.0, 7.0), (0.0, 65535.0)])
def test_i23_floats_are_scaled_to_what_they_hold(low: float, high: float) -> None:
    ramp = np.linspace(low, high, 60 * 40).reshape(40, 60).astype(np.float32)
    found = rgb(decode_picture(encoded(Image.fromarray(ramp), "TIFF")).image)[..., 0]
    assert np.abs(found - (ramp - low) / (high - low) * 255).max() <= 0.51


@pytest.mark.parametrize("value", [0.0, 0.5, 7.0, float("nan"), float("inf"), -float("inf")])
def test_a_picture_of_one_float_makes_no_noise(value: float) -> None:
    flat = Image.fromarray(np.full((20, 20), value, np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode_picture(encoded(flat, "TIFF")).image.mode == "RGB"


def test_i23_cmyk_without_a_profile_is_not_inverted() -> None:
    inks = Image.new("CMYK", (20, 20), (0, 0, 0, 0))
    inks.paste((255, 0, 0, 0), (10, 0, 20, 20))
    for kind in ("TIFF", "JPEG"):
        found = decode_picture(encoded(inks, kind, quality=100)).image
        paper, (red, _, blue) = rgb(found)[2, 2], rgb(found)[2, 17]
        assert paper.min() >= 250, kind
        assert red <= 5, kind  # cyan
        assert blue >= 250, kind


def test_ycbcr_in_a_tiff_is_converted() -> None:
    found = decode_picture(encoded(coloured().convert("YCbCr"), "TIFF")).image
    assert off(found, coloured()) <= 3


# --- transparency ----------------------------------------------------------------------------------------------------


def half_clear(mode: str = "RGBA") -> Image.Image:
    image = coloured().convert(mode)
    image.putalpha(Image.linear_gradient("L").resize((60, 40)))
    return image


@pytest.mark.parametrize(("mode", "kind"), [("RGBA", "PNG"), ("LA", "PNG"), ("RGBA", "WEBP"), ("RGBA", "TIFF")])
def test_i23_transparency_is_kept(mode: str, kind: str) -> None:
    image = half_clear("L" if mode == "LA" else "RGB")
    assert image.mode == mode
    options = {"WEBP": {"lossless": True, "exact": True}}.get(kind, {})
    found = decode_picture(encoded(image, kind, **options)).image
    assert found.mode == "RGBA"
    assert np.array_equal(np.asarray(found), np.asarray(image.convert("RGBA")))


def test_i23_a_palette_with_transparency() -> None:
    image = coloured().quantize(16)
    clear = image.getpixel((0, 0))
    found = decode_picture(encoded(image, "PNG", transparency=clear)).image
    assert found.mode == "RGBA"
    expected = np.where(np.asarray(image) == clear, 0, 255)
    assert np.array_equal(np.asarray(found)[..., 3], expected)
    assert off(found, image) == 0


def test_a_palette_with_many_levels_of_transparency() -> None:
    image = coloured().quantize(16)
    found = decode_picture(encoded(image, "PNG", transparency=bytes(range(0, 256, 16)))).image
    assert np.array_equal(np.asarray(found)[..., 3], np.asarray(image) * 16)


@pytest.mark.parametrize(("mode", "clear"), [("L", 7), ("1", 0), ("RGB", (0, 0, 0))])
def test_one_colour_may_mean_transparent(mode: str, clear: Any) -> None:
    image = Image.new(mode, (20, 20), clear)
    image.paste(255 if mode != "RGB" else (1, 0, 0), (0, 0, 10, 20))
    found = np.asarray(decode_picture(encoded(image, "PNG", transparency=clear)).image)
    assert found.shape == (20, 20, 4)
    assert (found[:, :10, 3] == 255).all()
    assert (found[:, 10:, 3] == 0).all()


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("share", [0, 1, 3])
def test_the_transparent_grey_of_a_png_counts_in_its_own_bits(bits: int, share: int) -> None:
    """Pillow scales the pixels to 8 bits, but not the transparent value."""
    full = 2**bits - 1
    clear = full * share // 3
    values = np.arange(20 * 32).reshape(20, 32) * 7 % (full + 1)
    values[0, 0] = clear
    digits = (values[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    rows = np.packbits(digits.reshape(20, -1).astype(np.uint8), axis=1)
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    data = PNG + header(32, 20, bits, 0) + chunk(b"tRNS", struct.pack(">H", clear)) + chunk(b"IDAT", packed)
    shown = np.asarray(decode_picture(data + chunk(b"IEND", b"")).image)
    assert np.array_equal(shown[..., 3] == 0, values == clear)
    assert np.abs(shown[..., 0] - 255.0 * values / full).max() <= 0.51


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_an_alpha_that_says_nothing_is_dropped(mode: str) -> None:
    assert decode_picture(encoded(coloured().convert(mode), "PNG")).image.mode == "RGB"


def test_a_fully_clear_picture_keeps_its_alpha_for_others_to_judge() -> None:
    found = decode_picture(encoded(Image.new("RGBA", (20, 20)), "PNG")).image
    assert found.getchannel("A").getextrema() == (0, 0)


# --- colour profiles -------------------------------------------------------------------------------------------------


def muted() -> Image.Image:
    """Colours that every display shows: nothing is clipped on the way."""
    return Image.fromarray((64 + rgb(coloured()) * 0.5).astype(np.uint8))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_display_p3_is_converted_to_srgb(kind: str) -> None:
    options = EXACT.get(kind, {})
    data = encoded(muted(), kind, icc_profile=matrix_profile("Display P3", P3, 2.2), **options)
    found = decode_picture(data)
    expected = to_srgb(rgb(muted()), P3, 2.2)
    wrong = np.abs(rgb(found.image) - expected)
    assert wrong.mean() <= 1 if kind == "JPEG" else wrong.max() <= 2
    # The test would notice if nothing had been converted.
    assert np.abs(rgb(muted()) - expected).max() >= 15
    assert found.notes == ()


def test_a_linear_profile_that_is_called_srgb_is_converted_all_the_same() -> None:
    data = encoded(muted(), "PNG", icc_profile=matrix_profile("sRGB-elle-V2-g10.icc", SRGB, 1.0))
    assert np.abs(rgb(decode_picture(data).image) - to_srgb(rgb(muted()), SRGB, 1.0)).max() <= 2


def test_srgb_itself_changes_nothing() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert off(decode_picture(encoded(coloured(), "PNG", icc_profile=profile)).image, coloured()) == 0


def test_a_profile_and_transparency_go_together() -> None:
    image = muted()
    image.putalpha(half_clear().getchannel("A"))
    found = decode_picture(encoded(image, "PNG", icc_profile=matrix_profile("Display P3", P3, 2.2))).image
    assert np.abs(rgb(found) - to_srgb(rgb(muted()), P3, 2.2)).max() <= 2
    assert np.array_equal(np.asarray(found)[..., 3], np.asarray(image)[..., 3])


def test_a_palette_with_a_profile_is_converted() -> None:
    image = muted().quantize(32)
    found = decode_picture(encoded(image, "PNG", icc_profile=matrix_profile("Display P3", P3, 2.2))).image
    assert np.abs(rgb(found) - to_srgb(rgb(image), P3, 2.2)).max() <= 2


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_grey_with_a_grey_profile_is_converted(mode: str) -> None:
    grey = matrix_profile("grey", {"k": SRGB["r"]}, 1.8).replace(b"RGB XYZ ", b"GRAYXYZ ").replace(b"kXYZ", b"junk")
    image = GREY.convert(mode)
    if mode == "LA":
        image.putalpha(half_clear().getchannel("A"))
    found = decode_picture(encoded(image, "PNG", icc_profile=grey))
    expected = to_srgb(rgb(GREY), SRGB, 1.8)
    assert np.abs(rgb(GREY) - expected).max() >= 10
    assert found.notes == ()
    assert np.abs(rgb(found.image) - expected).max() <= 2


@pytest.mark.parametrize(
    "profile",
    [b"not a profile", b"\0" * 200, matrix_profile("P3", P3, 2.2)[:150], matrix_profile("P3", P3, 2.2)[:400]],
    ids=["text", "zeros", "half a table", "half the data"],
)
def test_i24_a_damaged_profile_is_ignored_with_a_note(profile: bytes) -> None:
    found = decode_picture(encoded(coloured(), "JPEG", icc_profile=profile, quality=100, subsampling=0))
    assert off(found.image, coloured()) <= 4
    assert any("profile" in note for note in found.notes)


def test_a_profile_for_other_channels_is_ignored_with_a_note() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    found = decode_picture(encoded(coloured(), "PNG", icc_profile=lab))
    assert off(found.image, coloured()) == 0
    assert any("profile" in note for note in found.notes)


# --- what is no picture ----------------------------------------------------------------------------------------------


def test_an_empty_file() -> None:
    assert "empty" in refusal(b"")


@pytest.mark.parametrize("holder", [b"meta", b"iinf", b"iprp", b"ipco", b"moov", b"trak"])
def test_an_avif_that_ends_in_a_box_is_damaged(holder: bytes) -> None:
    with pytest.raises(PhotoRefused):
        decode_picture(b"\0\0\0\x14ftypavif\0\0\0\0avif\0\0\0\x08" + holder)


@pytest.mark.parametrize(
    "data",
    [
        b"\x89",
        b"\xff\xd8",
        bytes(1000),
        random.Random(1).randbytes(2**20),
        b"hello, world\n",
        b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
        b'{"status_code": 500}',
        b"%PDF-1.7\n",
        b"PK\x03\x04" + bytes(100),
        b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="20" height="20"/>',
        b"\x1f\x8b\x08\0",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n(%pipe%touch /tmp/owned) (w) file\n",
        b"8BPS\0\x01" + bytes(40),
        b"SIMPLE  =                    T",
        b"RIFF\x10\0\0\0WAVEfmt ",
        b"\0\0\0\x18ftypisom",
        b"\0\0\0\x0cjP  \r\n\x87\n",
        b"\x01\0\0\0" + bytes(100),
        b"P6 20 20 255\n" + bytes(1200),
    ],
    ids=lambda data: repr(data[:12]),
)
def test_what_is_no_picture_is_refused_by_its_first_bytes(data: bytes) -> None:
    assert sniff(data) is None
    assert "not a picture" in refusal(data)


CUTS: dict[str, Callable[[], bytes]] = {
    "PNG": lambda: encoded(coloured(), "PNG"),
    "interlaced PNG": lambda: interlaced(),
    "JPEG": lambda: encoded(coloured(), "JPEG"),
    "progressive JPEG": lambda: encoded(coloured(), "JPEG", progressive=True),
    "WEBP": lambda: encoded(coloured(), "WEBP"),
    "lossless WEBP": lambda: encoded(coloured(), "WEBP", lossless=True),
    "TIFF": lambda: encoded(coloured(), "TIFF", compression="tiff_lzw"),
    "BMP": lambda: encoded(coloured(), "BMP"),
}


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def header(width: int, height: int, bits: int = 8, colours: int = 2, interlace: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, interlace))


def interlaced() -> bytes:
    """A grey Adam7 PNG of 20x20."""
    rows = b"".join(
        b"\0" + bytes(range(len(range(left, 20, step))))
        for left, top, step, down in [
            (0, 0, 8, 8),
            (4, 0, 8, 8),
            (0, 4, 4, 8),
            (2, 0, 4, 4),
            (0, 2, 2, 4),
            (1, 0, 2, 2),
        ]
        for _ in range(top, 20, down)
    )
    rows += b"".join(b"\0" + bytes(20) for _ in range(1, 20, 2))
    return PNG + header(20, 20, colours=0, interlace=1) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("what", CUTS)
def test_a_file_that_was_cut_anywhere_is_refused(what: str) -> None:
    data = CUTS[what]()
    decode_picture(data)
    points = {round(at) for at in np.linspace(1, len(data) - 1, 25)} | set(range(len(data) - 24, len(data)))
    for at in sorted(points):
        with pytest.raises(PhotoRefused):
            decode_picture(data[:at])


@pytest.mark.parametrize(
    "broken",
    [
        PNG + header(20, 20)[:-4] + b"\0\0\0\0" + chunk(b"IDAT", zlib.compress(bytes(1220))) + chunk(b"IEND", b""),
        PNG + header(20, 20) + chunk(b"IDAT", b"no zlib at all") + chunk(b"IEND", b""),
        PNG + header(20, 20) + chunk(b"IEND", b""),
        PNG + header(20, 20) + chunk(b"IDAT", zlib.compress(bytes(600))) + chunk(b"IEND", b""),
        PNG + header(0, 0) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b""),
        PNG + header(0, 20) + chunk(b"IDAT", zlib.compress(bytes(20))) + chunk(b"IEND", b""),
        PNG + header(2**31 - 1, 2**31 - 1) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b""),
        PNG + header(20, 20, bits=3) + chunk(b"IDAT", zlib.compress(bytes(1220))) + chunk(b"IEND", b""),
        PNG + header(20, 20, colours=3) + chunk(b"IEND", b""),
    ],
    ids=["IHDR CRC", "zlib", "no IDAT", "half the rows", "0x0", "0xN", "2^31", "3 bits", "nothing but a header"],
)
def test_a_broken_png_is_refused(broken: bytes) -> None:
    refusal(broken)


def test_i33_what_follows_the_end_of_a_png_is_not_read() -> None:
    found = decode_picture(encoded(coloured(), "PNG") + b"PK\x03\x04" * 1000)
    assert off(found.image, coloured()) == 0


def animated(kind: str) -> bytes:
    frames = [coloured(), coloured().transpose(Image.Transpose.ROTATE_180)]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:])


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "AVIF"])
def test_i14_several_frames_or_pages_are_refused(kind: str) -> None:
    assert "2 frames" in refusal(animated(kind))


# --- limits ----------------------------------------------------------------------------------------------------------


def flat(width: int, height: int) -> bytes:
    return encoded(Image.new("L", (width, height)), "PNG")


SMALL = Limits(pixels=40 * 40, side=60, aspect=3, small=8)


@pytest.mark.parametrize(
    ("at", "above", "says"),
    [
        ((40, 40), (40, 41), "megapixels"),
        ((60, 20), (61, 21), "side of more than 60"),
        ((24, 8), (25, 8), "3:1"),
        ((8, 24), (8, 25), "3:1"),
        ((8, 8), (8, 7), "too small"),
        ((8, 8), (7, 8), "too small"),
    ],
)
def test_each_limit_holds_at_exactly_its_value(at: tuple[int, int], above: tuple[int, int], says: str) -> None:
    assert decode_picture(flat(*at), SMALL).image.size == at
    assert says in refusal(flat(*above), SMALL)


def test_the_smallest_and_the_longest_photo() -> None:
    assert "too small" in refusal(flat(15, 15))
    assert decode_picture(flat(16, 16)).image.size == (16, 16)
    assert decode_picture(flat(320, 16)).image.size == (320, 16)
    assert "20:1" in refusal(flat(336, 16))


@pytest.mark.parametrize(("width", "height"), [(30_000, 30_000), (10_000, 9_000), (50_000_000, 16), (16_385, 900)])
def test_a_bomb_is_refused_from_its_header(width: int, height: int) -> None:
    # No rows at all: whoever decodes would say "truncated".
    data = PNG + header(width, height, bits=1, colours=0) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    assert any(word in refusal(data) for word in ("megapixels", "side of more"))


def test_a_bomb_in_a_text_or_profile_chunk_is_refused_or_ignored() -> None:
    bomb = zlib.compress(bytes(100 * 2**20), 9)
    for kind, head in ((b"zTXt", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0"), (b"iCCP", b"a\0\0")):
        rows = chunk(b"IDAT", zlib.compress(bytes(20 * 61)))
        try:
            found = decode_picture(PNG + header(20, 20) + chunk(kind, head + bomb) + rows + chunk(b"IEND", b""))
        except PhotoRefused:
            continue
        assert not any(len(str(value)) > 2**20 for value in found.image.info.values())


# --- bytes made to hurt ----------------------------------------------------------------------------------------------

SEEDS = [
    encoded(coloured(), "PNG"),
    encoded(coloured(), "JPEG"),
    encoded(coloured(), "WEBP", lossless=True),
    encoded(coloured(), "BMP"),
    encoded(coloured().quantize(16), "GIF"),
]


@settings(max_examples=300)
@given(st.sampled_from(SEEDS), st.data())
def test_a_mutated_picture_is_a_picture_or_refused(seed: bytes, data: st.DataObject) -> None:
    hurt = bytearray(seed)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(hurt) - 1))
        match data.draw(st.sampled_from(["flip", "insert", "delete"])):
            case "flip":
                hurt[at] = data.draw(st.integers(0, 255))
            case "insert":
                hurt[at:at] = data.draw(st.binary(min_size=1, max_size=8))
            case _:
                del hurt[at : at + data.draw(st.integers(1, 8))]
        if not hurt:
            break
    # Anything but a refusal fails the test.
    with contextlib.suppress(PhotoRefused):
        assert decode_picture(bytes(hurt)).image.mode in ("RGB", "RGBA")


@pytest.mark.parametrize(("size", "wanted"), [((640, 481), (211, 157)), ((90, 300), (30, 99)), ((64, 64), (20, 1))])
def test_the_two_halves_of_a_reduction_meet_without_a_seam(size: tuple[int, int], wanted: tuple[int, int]) -> None:
    noise = Image.fromarray(np.random.default_rng(4).integers(0, 256, (*size[::-1], 3), dtype=np.uint8))
    for box in ((0.0, 0.0, float(size[0]), float(size[1])), (0.0, 0.0, size[0] - 0.5, size[1] - 0.25)):
        whole = np.asarray(noise.resize(wanted, Image.Resampling.LANCZOS, box, reducing_gap=3)).astype(int)
        halves = np.asarray(resize_in_halves(noise, wanted, Image.Resampling.LANCZOS, box, 3)).astype(int)
        # A level, where the place of a row rounds otherwise.
        assert np.abs(halves - whole).max() <= 1
