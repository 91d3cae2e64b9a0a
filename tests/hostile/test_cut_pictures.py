"""Pictures of which a part never arrived, and which their decoders show all the same: refused; their like, read."""

from __future__ import annotations

import base64
import io
import json
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from photio_prep.api.wire import parse_answer
from photio_prep.errors import PaidUnusable, PhotoRefused
from photio_prep.geometry import Size
from photio_prep.imaging.decode import Limits, decode_picture
from tests.support.photos import encoded

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
        decode_picture(data, limits, **options)
    assert "download it again" in caught.value.fix
    return caught.value.problem


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
    assert decode_picture(jpeg, HERE).image.size == BUSY.size
    refusal(ended(jpeg, share))
    refusal(ended(jpeg, share), at=lambda size: Size(size.width // 4, size.height // 4))


@pytest.mark.parametrize(("share", "missing"), [(0.1, 90), (0.5, 50), (0.9, 10)])
def test_the_refusal_says_how_much_of_it_is_missing(share: float, missing: int) -> None:
    reason = refusal(ended(encoded(BUSY, "JPEG"), share))
    percent = re.search(r"the last (\d+) % of its rows are missing", reason)
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
    assert decode_picture(jpeg, HERE).image.getpixel((5, 900)) == (255, 255, 255)
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
    levels = np.asarray(decode_picture(one[:-2] + more + b"\xff\xd9", HERE).image)
    assert levels.std() > 20  # all three are the grey one: a picture of other colours, but all of it


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
                assert np.array_equal(np.asarray(decode_picture(jpeg, HERE).image), np.asarray(plain.convert("RGB")))


def test_what_follows_or_pads_the_data_is_no_damage() -> None:
    jpeg = encoded(BUSY, "JPEG")
    intact = np.asarray(decode_picture(jpeg, HERE).image)
    for data in (
        jpeg + b"more" * 1000,
        jpeg + bytes(5000),
        jpeg[:-2] + b"\x11\x22\x33" + jpeg[-2:],  # some bytes of a camera's
        jpeg[:-2] + bytes(3000) + jpeg[-2:],
        jpeg[:-2] + b"\xff" * 3000 + jpeg[-2:],
    ):
        assert np.array_equal(np.asarray(decode_picture(data, HERE).image), intact)


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
    assert decode_picture(encoded(image.convert(mode), "JPEG", **options), HERE).image.size == size


def api_answer(data: bytes) -> bytes:
    return json.dumps({"status_code": 200, "body": base64.b64encode(data).decode()}).encode()


def test_an_answer_that_was_cut_and_closed_is_paid_and_unusable() -> None:
    jpeg = encoded(BUSY, "JPEG")
    assert parse_answer(api_answer(jpeg), Size(640, 480)).size == (640, 480)
    with pytest.raises(PaidUnusable, match="of its rows are missing"):
        parse_answer(api_answer(ended(jpeg, 0.5)), Size(640, 480))
