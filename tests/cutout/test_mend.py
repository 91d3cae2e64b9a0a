"""Mended masks: a book's sky and a cupboard's edge; handles, cords and meshes stay as they are."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from photio_prep.cutout.matte import matte
from photio_prep.cutout.mend import find_lines, mend_mask
from photio_prep.cutout.options import CutoutOptions, Holes
from photio_prep.intake.load import load

Bytes = NDArray[np.uint8]
WALL, SKY = (190, 180, 170), (60, 120, 220)
BOOK, HOLE = np.s_[100:500, 150:450], np.s_[140:260, 190:410]


def draw_book(seen: tuple[int, int, int]) -> tuple[Bytes, Bytes]:
    """A picture of a red book before a wall, `seen` in its hole; its alpha."""
    pixels, levels = np.full((600, 600, 3), WALL, np.uint8), np.zeros((600, 600), np.uint8)
    pixels[BOOK], levels[BOOK] = (170, 40, 40), 255
    pixels[HOLE], levels[HOLE] = seen, 0
    return pixels, levels


def test_print_of_a_colour_that_the_background_lacks_is_no_hole() -> None:
    pixels, levels = draw_book(SKY)
    assert (mend_mask(levels, pixels)[BOOK] == 255).all()


@pytest.mark.parametrize("seen", [WALL, (120, 113, 107)], ids=["wall", "shaded wall"])
def test_a_hole_that_shows_the_background_stays(seen: tuple[int, int, int]) -> None:
    pixels, levels = draw_book(seen)
    assert np.array_equal(mend_mask(levels, pixels), levels)


def test_holes_of_a_frame_and_of_a_mesh_stay() -> None:
    pixels, levels = draw_book(SKY)
    levels[480:560, 100:140] = levels[40:140, 420:580] = 255  # far from convex
    assert np.array_equal(mend_mask(levels, pixels), levels)
    _, mesh = draw_book(SKY)
    mesh[140:260:20, 190:410] = 255
    mesh[140:260, 190:410:40] = 255
    assert np.array_equal(mend_mask(mesh, pixels), mesh)


@pytest.mark.parametrize(("holes", "opaque"), [("auto", True), ("keep", False)])
def test_print_is_filled_as_wished(holes: Holes, opaque: bool) -> None:
    pixels, levels = draw_book(SKY)
    belief = Image.fromarray(levels)
    belief.info["grain"] = 1.0
    photo = load(Image.fromarray(pixels))
    cutout = matte(photo, photo.size, lambda _: belief, options=CutoutOptions(holes=holes))
    assert (cutout.image.getpixel((300, 200))[3] == 255) is opaque  # type: ignore[index]


def draw_line(*ends: tuple[int, int]) -> Bytes:
    """A product of 300 x 300 pixels, and lines of 5 pixels at row 300 between columns."""
    levels = np.zeros((640, 640), np.uint8)
    levels[150:450, 170:470] = 255
    for left, right in ends:
        levels[298:303, left:right] = 255
    return levels


@pytest.mark.parametrize("ends", [((0, 640),), ((0, 150),)], ids=["behind the product", "beside it"])
def test_a_line_that_is_no_part_of_the_product_goes(ends: tuple[tuple[int, int], ...]) -> None:
    mended = mend_mask(draw_line(*ends), np.zeros((640, 640, 3), np.uint8))
    assert np.abs(mended.astype(int) - draw_line()).sum() <= 255 * 5 * 4


def test_a_cord_stays_and_is_told() -> None:
    levels = draw_line((0, 200))
    stray, doubtful = find_lines(levels >= 128)
    assert not stray.any()
    assert doubtful[300, 5:160].all()


def test_thin_products_stay() -> None:
    levels = np.zeros((640, 640), np.uint8)
    for row in range(100, 500, 40):
        levels[row : row + 6, 60:] = 255
        levels[60:560, row : row + 6] = 255
    assert np.array_equal(mend_mask(levels, np.zeros((640, 640, 3), np.uint8)), levels)
