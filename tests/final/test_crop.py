"""The way back: a server that answers with what it was sent gives back the photo."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from photio_prep.cutout.pad import pad
from photio_prep.final.crop import frame_size, unpad
from photio_prep.geometry import SIZES, Box, Placement, Size, place, snap
from photio_prep.types import Cutout, Result
from tests.support.sampling import sampled

PAPER = (255, 255, 255)


def outline(size: tuple[int, int], inset: int = 0) -> Image.Image:
    width, height = size
    left, top, right, bottom = width // 8 + inset, inset - height // 8, width * 9 // 8 - inset, height * 9 // 8 - inset
    shape = Image.new("L", size)
    if left < right and top < bottom:
        ImageDraw.Draw(shape).ellipse((left, top, right, bottom), fill=255)
    return shape


def product(size: tuple[int, int]) -> Image.Image:
    """A smooth product with a hard outline that reaches three of the photo's edges."""
    width, height = size
    y, x = np.mgrid[:height, :width]
    ramp = np.dstack([x * 200 // width, y * 200 // height, 200 - x * 200 // width, np.full_like(x, 255)])
    image = Image.fromarray(ramp.astype(np.uint8))
    image.putalpha(outline(size))
    clear = np.array(image)
    clear[clear[..., 3] == 0] = 0
    return Image.fromarray(clear)


def on(paper: tuple[int, int, int], image: Image.Image) -> Image.Image:
    sheet = Image.new("RGB", image.size, paper)
    sheet.paste(image, mask=image.getchannel("A"))
    return sheet


def identity(canvas_image: Image.Image, placement: Placement, paper: tuple[int, int, int] = PAPER) -> Image.Image:
    """What comes back from a server that answers with what it was sent."""
    return unpad(Result(b"", on(paper, canvas_image), placement)).image


@given(st.integers(16, 6000), st.integers(16, 4000), st.booleans())
def test_every_photo_has_a_way_back_to_its_own_size(width: int, height: int, turn: bool) -> None:
    source = Size(height, width) if turn else Size(width, height)
    placement = place(source, snap(source).size)
    box = placement.box
    # The box holds at least as much of the canvas as one row or column, whatever the photo.
    assert min(box.size) >= 1
    assert Box(0, 0, *placement.canvas) != box or box.size == placement.canvas
    assert placement.source == source


@settings(max_examples=12)
@given(st.integers(16, 900), st.integers(16, 700))
def test_pixels_of_any_size_come_back_at_exactly_that_size(width: int, height: int) -> None:
    photo = product((width, height))
    placement = place(Size(width, height), snap(Size(width, height)).size)
    canvas = pad(Cutout(photo, "alpha"), placement)
    found = identity(canvas.image, placement)
    assert (found.mode, found.size) == ("RGB", (width, height))
    core = np.asarray(outline((width, height), inset=4)) == 255
    if core.any():
        wrong = np.abs(np.asarray(found).astype(int) - np.asarray(on(PAPER, photo)))
        assert wrong[core].mean() < 1.5


@pytest.mark.parametrize(
    "size", [(16, 16), (320, 16), (16, 320), (97, 61), (600, 400), (1216, 832), (1217, 831), (2400, 1600)]
)
def test_the_product_differs_by_the_resampling_only(size: tuple[int, int]) -> None:
    photo = product(size)
    placement = place(Size(*size), snap(Size(*size)).size)
    found = identity(pad(Cutout(photo, "alpha"), placement).image, placement)
    assert found.size == size
    wrong = np.abs(np.asarray(found).astype(int) - np.asarray(on(PAPER, photo)))
    # Smooth insides are kept; only the hard outline is softened.
    core = np.asarray(outline(size, inset=5)) == 255
    if core.any():
        assert wrong[core].mean() < 1
        assert np.percentile(wrong[core], 99) <= 4
    assert wrong.mean() < 4


def test_the_largest_photo_comes_back_at_its_size() -> None:
    placement = place(Size(6000, 4000), Size(1216, 832))
    assert identity(Image.new("RGBA", (1216, 832), (9, 8, 7, 255)), placement).size == (6000, 4000)


def test_a_photo_of_the_canvas_size_comes_back_byte_for_byte() -> None:
    photo = product((1024, 1024))
    placement = place(Size(1024, 1024), Size(1024, 1024))
    assert identity(pad(Cutout(photo, "alpha"), placement).image, placement).tobytes() == on(PAPER, photo).tobytes()


@sampled("size", [(90, 70), (700, 901), (333, 1000), (2000, 1000), (4000, 1000)], 2)
@pytest.mark.parametrize("canvas_size", [each.size for each in SIZES], ids=str)
def test_nothing_of_the_padding_bleeds_into_the_edge(size: tuple[int, int], canvas_size: Size) -> None:
    placement = place(Size(*size), canvas_size)
    # Red paper where the photo lay, blue around it: one blue pixel at an edge would be seen.
    answer = Image.new("RGB", canvas_size, (0, 0, 255))
    answer.paste((255, 0, 0), placement.box)
    found = unpad(Result(b"", answer, placement)).image
    assert found.size == size
    assert found.getextrema() == ((255, 255), (0, 0), (0, 0))


def test_a_pixel_comes_back_to_where_it_was() -> None:
    """No shift by half a pixel: the centre of a spot stays within a tenth of a pixel of the photo."""
    size = Size(601, 403)
    y, x = np.mgrid[: size.height, : size.width]
    spot = (255 * np.exp(-((x - 137.0) ** 2 + (y - 251.0) ** 2) / 200)).astype(np.uint8)
    photo = Image.fromarray(np.dstack([spot, spot, spot, np.full_like(spot, 255)]))
    placement = place(size, snap(size).size)
    found = np.asarray(identity(pad(Cutout(photo, "alpha"), placement).image, placement))[..., 0].astype(float)
    assert (found * x).sum() / found.sum() == pytest.approx((spot * 1.0 * x).sum() / spot.sum(), abs=0.1)
    assert (found * y).sum() / found.sum() == pytest.approx((spot * 1.0 * y).sum() / spot.sum(), abs=0.1)


def test_the_final_knows_its_source_and_format() -> None:
    placement = place(Size(64, 64), Size(1024, 1024))
    final = unpad(Result(b"", Image.new("RGB", (1024, 1024)), placement), source="shoe.jpg", format_="JPEG")
    assert (final.source, final.format, final.image.size) == ("shoe.jpg", "JPEG", (64, 64))


@sampled("times", [0.77, 0.5, 1.5, 2.0, 3.0], 1)
@pytest.mark.parametrize("size", [(90, 70), (700, 901), (2000, 1000)])
def test_an_answer_of_another_scale_is_cropped_between_its_pixels(times: float, size: tuple[int, int]) -> None:
    placement = place(Size(*size), snap(Size(*size)).size)
    canvas = placement.canvas
    large = Image.new("RGB", (canvas.width * 8, canvas.height * 8), (0, 0, 255))
    left, top, right, bottom = (8 * each for each in placement.box)
    ramp = Image.linear_gradient("L").resize((right - left, bottom - top))  # dark above, light below
    large.paste(Image.merge("RGB", (ramp, ramp, Image.new("L", ramp.size))), (left, top))
    answer = large.resize((round(canvas.width * times), round(canvas.height * times)), Image.Resampling.BOX)
    found = np.asarray(unpad(Result(b"", answer, placement)).image, dtype=int)
    assert found.shape[1::-1] == size
    inside = found[2:-2, 2:-2]
    # Where nothing of the padding shows, blue is the mean of what little of it lies in a pixel of the edge.
    assert inside[..., 2].max() <= 8
    expected = np.asarray(ramp.resize(size, Image.Resampling.BOX), dtype=int)
    slope = 255 / size[1]  # levels a row: an error of the place by half a pixel shows as half of it
    assert abs((found[..., 0] - expected)[2:-2, 2:-2].mean()) < max(0.5 * slope, 0.6)


def test_a_frame_in_an_answer_is_counted_in_its_own_pixels() -> None:
    placement = place(Size(600, 400), Size(1216, 832))
    assert placement.box.size == (1216, 811)
    assert frame_size(Image.new("RGB", (2432, 1664)), placement) == (2432, 1622)
    final = unpad(Result(b"", Image.new("RGB", (1216, 832)), placement), size=Size(300, 200))
    assert final.image.size == (300, 200)
