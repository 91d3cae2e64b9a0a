"""Files of any format whose end was never written, or that have a hole of zeros: refused; their like, read."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from PIL import Image

from photio_prep.api.wire import parse_answer
from photio_prep.errors import PaidUnusable, PhotoRefused
from photio_prep.geometry import Size
from photio_prep.imaging.decode import decode_picture
from tests.hostile.test_cut_pictures import BUSY, HERE, api_answer, ground, refusal
from tests.support.photos import encoded

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


@cache
def whole(what: str) -> bytes:
    """A sound file; encoding one takes up to half a second."""
    return {**OTHERS, **UNPACKED}[what]()


def zeroed(data: bytes, start: float, stop: float = 1.0) -> bytes:
    """With zeros in place of the blocks of 512 bytes between two shares of the file."""
    first, last = (int(share * len(data)) // 512 * 512 for share in (start, stop))
    last = len(data) if stop == 1.0 else last
    return data[:first] + bytes(last - first) + data[last:]


@pytest.mark.parametrize("what", [*OTHERS, *UNPACKED])
@pytest.mark.parametrize("share", [0.15, 0.4, 0.7, 0.9])
def test_a_file_of_full_length_whose_end_was_never_written(what: str, share: float) -> None:
    data = whole(what)
    assert decode_picture(data, HERE).image.size[0] == BUSY.width
    with pytest.raises(PhotoRefused):
        decode_picture(zeroed(data, share), HERE)


@pytest.mark.parametrize("what", OTHERS)
@pytest.mark.parametrize("share", [0.2, 0.45, 0.7])
def test_a_file_with_a_hole(what: str, share: float) -> None:
    data = whole(what)
    with pytest.raises(PhotoRefused):
        decode_picture(zeroed(data, share, share + max(0.1, 1100 / len(data))), HERE)


def test_an_animation_whose_frame_was_never_written() -> None:
    webp = encoded(BUSY, "WEBP", save_all=True, append_images=[BUSY.rotate(180)])
    assert decode_picture(webp, HERE, 1).image.size == BUSY.size
    assert "hole" in refusal(zeroed(webp, 0.7), frame=1)


def test_heic_with_a_hole_or_an_unwritten_end() -> None:
    heif: Any = pytest.importorskip("pillow_heif")
    holder = io.BytesIO()
    heif.from_pillow(BUSY).save(holder)
    heic = holder.getvalue()
    assert decode_picture(heic, HERE).image.size == BUSY.size
    for stop in (0.5, 1.0):
        assert "hole" in refusal(zeroed(heic, 0.3, stop))


def test_an_item_or_a_strip_beyond_the_file() -> None:
    avif = encoded(BUSY, "AVIF", speed=10)
    at = avif.index(b"mdat")
    # The box that holds the picture reaches to the end of the file, wherever that is.
    open_end = avif[: at - 4] + bytes(4) + avif[at:]
    assert decode_picture(open_end, HERE).image.size == BUSY.size
    assert "cut short" in refusal(open_end[:-700])
    for packing in ("packbits", "tiff_lzw"):
        data = encoded(BUSY, "TIFF", compression=packing)
        strip = int.from_bytes(data[4:8], "little")
        entries = int.from_bytes(data[strip : strip + 2], "little")
        for entry in (data[strip + 2 + 12 * each :][:12] for each in range(entries)):
            if entry[:2] == b"\x11\x01" and entry[4:8] == b"\1\0\0\0":  # its only strip
                assert "cut short" in refusal(data.replace(entry, entry[:8] + (len(data) - 9).to_bytes(4, "little")))


@pytest.mark.soak
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
            assert decode_picture(data, HERE).image.size == image.size, (kind, options)
            if kind == "WEBP":
                assert decode_picture(data + bytes(5000), HERE).image.size == image.size


def test_a_plain_area_of_a_webp_may_be_zeros() -> None:
    data = encoded(Image.new("RGB", (2400, 1800), "white"), "WEBP", quality=100, method=0)
    assert b"\0" * 4096 in data
    assert decode_picture(data, HERE).image.size == (2400, 1800)


def test_a_deflated_plain_area_may_be_zeros() -> None:
    data = encoded(Image.new("RGB", (3000, 3000)), "TIFF", compression="tiff_adobe_deflate", strip_size=2**25)
    assert b"\0" * 256 in data
    assert decode_picture(data, HERE).image.size == (3000, 3000)


def test_an_answer_that_was_never_written_to_its_end_is_paid_and_unusable() -> None:
    webp = encoded(BUSY, "WEBP")
    assert parse_answer(api_answer(webp), Size(640, 480)).size == (640, 480)
    with pytest.raises(PaidUnusable, match="hole of zero bytes"):
        parse_answer(api_answer(zeroed(webp, 0.5)), Size(640, 480))
