"""Frames around products, as numbers and as pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from photio_prep.cutout.framing import SIDES, Framing, box_in_photo, box_of, crop_photo, cut_sides
from photio_prep.errors import UsageError
from photio_prep.geometry import SIZES, Box, Size, place
from photio_prep.intake.load import load
from tests.support import photos


@pytest.mark.parametrize(
    ("text", "margin", "percent"), [("8%", 8, True), ("12.5 %", 12.5, True), ("40px", 40, False), ("0", 0, False)]
)
def test_margins_as_they_are_written(text: str, margin: float, percent: bool):
    assert Framing.of(text) == Framing(margin, percent)


@pytest.mark.parametrize("text", ["", "-3%", "8 percent", "1e3px", "nan", "401%", "99999px", "8%%"])
def test_margins_that_cannot_be_meant(text: str):
    with pytest.raises(UsageError, match="margin"):
        Framing.of(text)


def test_an_alignment_that_cannot_be_meant():
    with pytest.raises(UsageError, match="align"):
        Framing(8, True, "middle")  # type: ignore[arg-type]


def test_the_margin_is_of_the_longer_side_or_in_pixels():
    product = Box(100, 200, 300, 600)
    assert Framing(10).around(product, None) == Box(60, 160, 340, 640)
    assert Framing(25, percent=False).around(product, None) == Box(75, 175, 325, 625)
    assert Framing(10).around(product, None, ("left", "bottom")) == Box(100, 160, 340, 600)


boxes = st.tuples(st.integers(0, 3000), st.integers(0, 3000), st.integers(4, 3000), st.integers(4, 3000)).map(
    lambda each: Box(each[0], each[1], each[0] + each[2], each[1] + each[3])
)


@given(boxes, st.sampled_from(SIZES), st.floats(0, 50), st.sampled_from(["center", "left", "right", "top", "bottom"]))
def test_a_frame_holds_the_product_and_fills_the_canvas(product: Box, size: object, margin: float, align: str):
    canvas = size.size  # type: ignore[attr-defined]
    frame = Framing(margin, align=align).around(product, canvas)  # type: ignore[arg-type]
    room = round(max(product.size) * margin / 100)
    assert frame.left <= product.left - room
    assert frame.top <= product.top - room
    assert frame.right >= product.right + room
    assert frame.bottom >= product.bottom + room
    way = place(frame.size, canvas)
    # A frame has whole pixels: of a side of 11 px one is a lot.
    assert way.used >= 1 - 1 / min(frame.size) - 2 / min(canvas)
    if align == "left" and frame.size.width > product.size.width + 2 * room:
        assert frame.left == product.left - room


@given(boxes, st.sampled_from(SIZES), st.sets(st.sampled_from(SIDES)))
def test_a_side_that_the_photo_cut_stays_flush(product: Box, size: object, cut: set[str]):
    frame = Framing(20).around(product, size.size, cut)  # type: ignore[attr-defined]
    for side, of_frame, of_product in zip(SIDES, frame, product, strict=True):
        if side in cut:
            assert of_frame == of_product


def test_the_product_of_a_cutout_in_the_photos_pixels():
    cutout = Image.new("RGBA", (200, 100))
    cutout.paste((9, 9, 9, 255), (20, 0, 61, 50))
    assert box_of(cutout) == Box(20, 0, 61, 50)
    assert cut_sides(cutout) == ("top",)
    assert box_in_photo(box_of(cutout), Size(200, 100), Size(1001, 500)) == Box(100, 0, 306, 250)
    assert box_in_photo(Box(20, 1, 61, 50), Size(200, 100), Size(1000, 500), ("top",)).top == 0
    assert box_of(Image.new("RGBA", (5, 4))) == Box(0, 0, 5, 4)


def test_what_lies_beyond_the_photo_is_nobodys():
    photo = load(photos.encoded(photos.photo((90, 70))))
    found = crop_photo(photo, Box(-10, 20, 100, 90))
    assert found.size == Size(110, 70)
    assert found.image.crop((10, 0, 100, 50)).tobytes() == photo.image.crop((0, 20, 90, 70)).tobytes()
    assert (found.digest, found.source) == (photo.digest, photo.source)
    assert crop_photo(photo, Box(0, 0, 90, 70)) is photo
    clear = crop_photo(load(photos.encoded(photos.cutout((90, 70)))), Box(-10, -10, 90, 70)).image
    assert clear.mode == "RGBA"
    assert not np.asarray(clear)[:10].any()
    assert not np.asarray(clear)[:, :10].any()
