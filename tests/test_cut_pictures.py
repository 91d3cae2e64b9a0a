"""Pictures of which a part never arrived, and which their decoders show all the same: refused; their like, read."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from photio_prep.decode import Limits, picture
from photio_prep.errors import PaidUnusable, PhotoRefused
from photio_prep.geometry import Size
from photio_prep.wire import answer
from tests.photos import encoded

HERE = Limits(isolate="none")
Y, X = np.mgrid[:480, :640]
NOISE = np.random.default_rng(7).integers(-20, 20, (480, 640, 3))
BUSY = Image.fromarray((np.dstack([X / 3, Y / 2, (X + Y) / 5]) + 20 + NOISE).clip(0, 255).astype(np.uint8))
JPEGS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "fine": {"quality": 95, "subsampling": 0},
    "optimised": {"optimize": True},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_rows": 1},
    "progressive restarts": {"progressive": True, "restart_marker_blocks": 9},
}


def ground(colour: Any, *, letterbox: bool = False) -> Image.Image:
    """The busy picture above (or amid) as much of one colour."""
    image = Image.new("RGB", (640, 960), colour)
    image.paste(BUSY, (0, 240 if letterbox else 0))
    return image


def data_of(jpeg: bytes) -> int:
    """Where the data of its first scan begin."""
    return jpeg.index(b"\xff\xda") + 14


def refusal(data: bytes, limits: Limits = HERE, **options: Any) -> str:
    with pytest.raises(PhotoRefused) as caught:
        picture(data, limits, **options)
    assert "download it again" in caught.value.fix
    return caught.value.found


def ended(jpeg: bytes, share: float) -> bytes:
    """Cut in its data, and closed with an end marker, as by a program that repairs downloads."""
    at = data_of(jpeg) + int(share * (len(jpeg) - data_of(jpeg)))
    return jpeg[: at - (jpeg[at - 1] == 0xFF)] + b"\xff\xd9"


def holed(jpeg: bytes, share: float, length: int) -> bytes:
    """With zeros in place of some of its data, as in a file whose pieces arrive in any order."""
    at = data_of(jpeg) + int(share * (len(jpeg) - data_of(jpeg)))
    length = min(length, len(jpeg) - 2 - at)
    return jpeg[:at] + bytes(length) + jpeg[at + length :]


@pytest.mark.parametrize("how", JPEGS)
@pytest.mark.parametrize("share", [0.05, 0.3, 0.57, 0.9])
def test_a_jpeg_that_was_cut_and_closed_is_refused(how: str, share: float) -> None:
    jpeg = encoded(BUSY, "JPEG", **JPEGS[how])
    assert picture(jpeg, HERE).image.size == BUSY.size
    refusal(ended(jpeg, share))
    refusal(ended(jpeg, share), at=lambda size: Size(size.width // 4, size.height // 4))


@pytest.mark.parametrize(("share", "missing"), [(0.1, 90), (0.5, 50), (0.9, 10)])
def test_the_refusal_says_how_much_of_it_is_missing(share: float, missing: int) -> None:
    found = refusal(ended(encoded(BUSY, "JPEG"), share))
    percent = re.search(r"the last (\d+) % of its rows are missing", found)
    assert percent
    assert abs(int(percent[1]) - missing) <= 6


@pytest.mark.parametrize("how", JPEGS)
@pytest.mark.parametrize(("share", "length"), [(0.1, 10**9), (0.3, 4096), (0.6, 4096), (0.6, 10**9), (0.8, 2048)])
def test_a_jpeg_with_a_hole_of_zeros_is_refused(how: str, share: float, length: int) -> None:
    refusal(holed(encoded(BUSY, "JPEG", **JPEGS[how]), share, length))


@pytest.mark.parametrize("length", [2048, 4096, 10**9])
def test_a_hole_that_reads_as_a_plain_area_is_refused(length: int) -> None:
    # Optimised tables: zero bits are white blocks, of which this picture has many.
    image = Image.new("RGB", (1200, 6000), "white")
    image.paste(BUSY)
    jpeg = encoded(image, "JPEG", optimize=True)
    assert b"\0" * 256 in jpeg
    assert picture(jpeg, HERE).image.getpixel((5, 900)) == (255, 255, 255)
    refusal(holed(jpeg, 0.2, length))


@pytest.mark.parametrize("how", JPEGS)
def test_a_jpeg_that_lost_a_piece_or_got_one_twice_is_refused(how: str) -> None:
    jpeg = encoded(BUSY, "JPEG", **JPEGS[how])
    at = data_of(jpeg) + (len(jpeg) - data_of(jpeg)) // 3
    refusal(jpeg[:at] + jpeg[at + 4096 :])
    if "progressive" not in how:  # a scan that stands there twice changes nothing
        refusal(jpeg[: at + 4096] + jpeg[at:])


def scans(jpeg: bytes) -> list[int]:
    return [match.start() for match in re.finditer(rb"\xff\xda", jpeg)]


def test_a_progressive_jpeg_without_its_last_scans_is_refused() -> None:
    jpeg = encoded(BUSY, "JPEG", progressive=True)
    for at in scans(jpeg)[1:]:
        before = jpeg.rindex(b"\xff\xc4", 0, at)
        assert "details are missing" in refusal(jpeg[:before] + b"\xff\xd9")


def test_a_jpeg_without_its_colours_is_refused() -> None:
    """Its scans hold one component each, as sequential JPEGs may; the last ones are missing."""
    grey = encoded(BUSY.convert("L"), "JPEG")
    at = grey.index(b"\xff\xc0")
    three = b"\xff\xc0" + (17).to_bytes(2, "big") + grey[at + 4 : at + 9] + b"\3\1\x11\0\2\x11\0\3\x11\0"
    one = grey[:at] + three + grey[at + 13 :]
    assert "2 of its 3 colours are missing" in refusal(one)
    again = grey[grey.index(b"\xff\xda") : -2]
    more = b"".join(again[:5] + bytes([each]) + again[6:] for each in (2, 3))
    found = np.asarray(picture(one[:-2] + more + b"\xff\xd9", HERE).image)
    assert found.std() > 20  # all three are the grey one: a picture of other colours, but all of it


def test_restart_markers_that_are_missing_or_out_of_order() -> None:
    jpeg = encoded(BUSY, "JPEG", restart_marker_rows=1)
    second, third = (re.search(b"\xff" + each, jpeg).start() for each in (b"\xd1", b"\xd2"))  # type: ignore[union-attr]
    assert "restart markers" in refusal(jpeg[:second] + jpeg[third:])
    swapped = bytearray(jpeg)
    swapped[second + 1], swapped[third + 1] = 0xD2, 0xD1
    assert "restart markers" in refusal(bytes(swapped))


COLOURS = ["black", "white", (128, 128, 128), (127, 127, 127), (200, 30, 40)]


@pytest.mark.parametrize("how", JPEGS)
@pytest.mark.parametrize("colour", COLOURS)
def test_plain_areas_are_no_damage(how: str, colour: Any) -> None:
    for image in (ground(colour), ground(colour, letterbox=True), Image.new("RGB", (400, 303), colour)):
        for mode in ("RGB", "L"):
            jpeg = encoded(image.convert(mode), "JPEG", **JPEGS[how])
            with Image.open(io.BytesIO(jpeg)) as plain:
                assert np.array_equal(np.asarray(picture(jpeg, HERE).image), np.asarray(plain.convert("RGB")))


def test_what_follows_or_pads_the_data_is_no_damage() -> None:
    jpeg = encoded(BUSY, "JPEG")
    whole = np.asarray(picture(jpeg, HERE).image)
    for data in (
        jpeg + b"more" * 1000,
        jpeg + bytes(5000),
        jpeg[:-2] + b"\x11\x22\x33" + jpeg[-2:],  # some bytes of a camera's
        jpeg[:-2] + bytes(3000) + jpeg[-2:],
        jpeg[:-2] + b"\xff" * 3000 + jpeg[-2:],
    ):
        assert np.array_equal(np.asarray(picture(data, HERE).image), whole)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    size=st.tuples(st.integers(16, 90), st.integers(16, 90)),
    colour=st.sampled_from(COLOURS),
    plain=st.integers(0, 90),
    quality=st.integers(1, 100),
    how=st.sampled_from([*JPEGS]),
    mode=st.sampled_from(["RGB", "L", "CMYK"]),
)
def test_no_jpeg_that_is_all_there_is_refused(
    size: tuple[int, int], colour: Any, plain: int, quality: int, how: str, mode: str
) -> None:
    image = BUSY.crop((0, 0, *size))
    image.paste(colour, (0, min(plain, size[1]), *size))
    options = {**JPEGS[how], "quality": quality}
    if mode != "RGB":
        options.pop("subsampling", None)
    assert picture(encoded(image.convert(mode), "JPEG", **options), HERE).image.size == size


def said(data: bytes) -> bytes:
    return json.dumps({"status_code": 200, "body": base64.b64encode(data).decode()}).encode()


def test_an_answer_that_was_cut_and_closed_is_paid_and_unusable() -> None:
    jpeg = encoded(BUSY, "JPEG")
    assert answer(said(jpeg), Size(640, 480)).size == (640, 480)
    with pytest.raises(PaidUnusable, match="of its rows are missing"):
        answer(said(ended(jpeg, 0.5)), Size(640, 480))


# --- other formats ---------------------------------------------------------------------------------------------------

CLEAR = BUSY.copy()
CLEAR.putalpha(Image.radial_gradient("L").resize(BUSY.size))
UNPACKED: dict[str, Callable[[], bytes]] = {"TIFF": lambda: encoded(BUSY, "TIFF"), "BMP": lambda: encoded(BUSY, "BMP")}
OTHERS: dict[str, Callable[[], bytes]] = {
    "WebP": lambda: encoded(BUSY, "WEBP"),
    "WebP, fast": lambda: encoded(ground("white"), "WEBP", method=0),
    "WebP, lossless": lambda: encoded(BUSY, "WEBP", lossless=True),
    "WebP with alpha": lambda: encoded(CLEAR, "WEBP"),
    "AVIF": lambda: encoded(BUSY, "AVIF", speed=10),
    "AVIF with alpha": lambda: encoded(CLEAR, "AVIF", speed=10),
    "LZW": lambda: encoded(BUSY, "TIFF", compression="tiff_lzw"),
    "deflate": lambda: encoded(BUSY, "TIFF", compression="tiff_adobe_deflate"),
    "PackBits": lambda: encoded(BUSY, "TIFF", compression="packbits"),
    "G4": lambda: encoded(BUSY.convert("1"), "TIFF", compression="group4"),
    "PNG": lambda: encoded(BUSY, "PNG"),
    "GIF": lambda: encoded(BUSY.quantize(64), "GIF"),
}


def zeroed(data: bytes, start: float, stop: float = 1.0) -> bytes:
    """With zeros in place of the blocks of 512 bytes between two shares of the file."""
    first, last = (int(share * len(data)) // 512 * 512 for share in (start, stop))
    last = len(data) if stop == 1.0 else last
    return data[:first] + bytes(last - first) + data[last:]


@pytest.mark.parametrize("what", [*OTHERS, *UNPACKED])
@pytest.mark.parametrize("share", [0.15, 0.4, 0.7, 0.9])
def test_a_file_of_full_length_whose_end_was_never_written(what: str, share: float) -> None:
    data = {**OTHERS, **UNPACKED}[what]()
    assert picture(data, HERE).image.size[0] == BUSY.width
    with pytest.raises(PhotoRefused):
        picture(zeroed(data, share), HERE)


@pytest.mark.parametrize("what", OTHERS)
@pytest.mark.parametrize("share", [0.2, 0.45, 0.7])
def test_a_file_with_a_hole(what: str, share: float) -> None:
    data = OTHERS[what]()
    with pytest.raises(PhotoRefused):
        picture(zeroed(data, share, share + max(0.1, 1100 / len(data))), HERE)


def test_an_animation_whose_frame_was_never_written() -> None:
    webp = encoded(BUSY, "WEBP", save_all=True, append_images=[BUSY.rotate(180)])
    assert picture(webp, HERE, 1).image.size == BUSY.size
    assert "hole" in refusal(zeroed(webp, 0.7), frame=1)


def test_heic_with_a_hole_or_an_unwritten_end() -> None:
    heif: Any = pytest.importorskip("pillow_heif")
    holder = io.BytesIO()
    heif.from_pillow(BUSY).save(holder)
    heic = holder.getvalue()
    assert picture(heic, HERE).image.size == BUSY.size
    for stop in (0.5, 1.0):
        assert "hole" in refusal(zeroed(heic, 0.3, stop))


def test_an_item_or_a_strip_beyond_the_file() -> None:
    avif = encoded(BUSY, "AVIF", speed=10)
    at = avif.index(b"mdat")
    # The box that holds the picture reaches to the end of the file, wherever that is.
    open_end = avif[: at - 4] + bytes(4) + avif[at:]
    assert picture(open_end, HERE).image.size == BUSY.size
    assert "cut short" in refusal(open_end[:-700])
    for packing in ("raw", "tiff_lzw"):
        data = encoded(BUSY, "TIFF", compression=packing)
        strip = int.from_bytes(data[4:8], "little")
        entries = int.from_bytes(data[strip : strip + 2], "little")
        for entry in (data[strip + 2 + 12 * each :][:12] for each in range(entries)):
            if entry[:2] == b"\x11\x01" and entry[4:8] == b"\1\0\0\0":  # its only strip
                assert "cut short" in refusal(data.replace(entry, entry[:8] + (len(data) - 9).to_bytes(4, "little")))


@pytest.mark.parametrize("colour", ["black", "white", (128, 128, 128)])
def test_plain_areas_are_no_damage_in_other_formats(colour: Any) -> None:
    for image in (ground(colour), ground(colour, letterbox=True), Image.new("RGB", (900, 603), colour)):
        ways: tuple[tuple[str, dict[str, Any]], ...] = (
            ("WEBP", {"method": 0, "quality": 1}),
            ("WEBP", {"method": 4}),
            ("WEBP", {"lossless": True}),
            ("AVIF", {"speed": 10}),
            ("TIFF", {"compression": "tiff_adobe_deflate"}),
            ("TIFF", {"compression": "tiff_lzw"}),
            ("TIFF", {}),
            ("BMP", {}),
            ("GIF", {}),
        )
        for kind, options in ways:
            data = encoded(image, kind, **options)
            assert picture(data, HERE).image.size == image.size, (kind, options)
            if kind == "WEBP":
                assert picture(data + bytes(5000), HERE).image.size == image.size


def test_a_plain_area_of_a_webp_may_be_zeros() -> None:
    data = encoded(Image.new("RGB", (2400, 1800), "white"), "WEBP", quality=100, method=0)
    assert b"\0" * 4096 in data
    assert picture(data, HERE).image.size == (2400, 1800)


def test_a_deflated_plain_area_may_be_zeros() -> None:
    data = encoded(Image.new("RGB", (3000, 3000)), "TIFF", compression="tiff_adobe_deflate", strip_size=2**25)
    assert b"\0" * 256 in data
    assert picture(data, HERE).image.size == (3000, 3000)


def test_an_answer_that_was_never_written_to_its_end_is_paid_and_unusable() -> None:
    webp = encoded(BUSY, "WEBP")
    assert answer(said(webp), Size(640, 480)).size == (640, 480)
    with pytest.raises(PaidUnusable, match="hole of zero bytes"):
        answer(said(zeroed(webp, 0.5)), Size(640, 480))
