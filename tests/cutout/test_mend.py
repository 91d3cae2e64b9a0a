"""Mended masks: a book's sky and a cupboard's edge; handles, cords and meshes stay as they are."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from photio_prep.cutout.gate import assess
from photio_prep.cutout.matte import matte
from photio_prep.cutout.mend import find_lines, mend_mask
from photio_prep.cutout.options import CutoutOptions, Holes
from photio_prep.intake.load import load
from photio_prep.quality import Judgement, Verdict

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
    mended, places = mend_mask(levels, pixels)
    assert (mended[BOOK] == 255).all()
    assert places["print"] == pytest.approx((0.31, 0.23, 0.69, 0.44), abs=0.01)


@pytest.mark.parametrize(
    "seen", [WALL, (120, 113, 107), (60, 57, 54), (205, 155, 145)], ids=["wall", "shade", "deep shade", "red light"]
)
def test_a_hole_that_shows_the_background_stays(seen: tuple[int, int, int]) -> None:
    pixels, levels = draw_book(seen)
    assert np.array_equal(mend_mask(levels, pixels)[0], levels)


def test_holes_of_a_frame_and_of_a_mesh_stay() -> None:
    pixels, levels = draw_book(SKY)
    levels[480:560, 100:140] = levels[40:140, 420:580] = 255  # far from convex
    assert np.array_equal(mend_mask(levels, pixels)[0], levels)
    _, mesh = draw_book(SKY)
    mesh[140:260:20, 190:410] = 255
    mesh[140:260, 190:410:40] = 255
    assert np.array_equal(mend_mask(mesh, pixels)[0], mesh)


@pytest.mark.parametrize(("holes", "opaque"), [("auto", True), ("keep", False)])
def test_print_is_filled_as_wished(holes: Holes, opaque: bool) -> None:
    pixels, levels = draw_book(SKY)
    belief = Image.fromarray(levels)
    belief.info["grain"] = 1.0
    photo = load(Image.fromarray(pixels))
    cutout = matte(photo, photo.size, lambda _: belief, options=CutoutOptions(holes=holes))
    assert (cutout.image.getpixel((300, 200))[3] == 255) is opaque  # type: ignore[index]
    assert find_verdicts(assess(photo, cutout), "print") == [Verdict.OK] * opaque


def draw_line(*ends: tuple[int, int]) -> Bytes:
    """A product of 300 x 300 pixels, and lines of 5 pixels at row 300 between columns."""
    levels = np.zeros((640, 640), np.uint8)
    levels[150:450, 170:470] = 255
    for left, right in ends:
        levels[298:303, left:right] = 255
    return levels


def draw_strokes(*strokes: tuple[int, int, int, int]) -> Bytes:
    """A round product of 260 pixels in the middle of 640, and straight strokes of 6 pixels."""
    picture = Image.new("L", (640, 640))
    draw = ImageDraw.Draw(picture)
    for stroke in strokes:
        draw.line(stroke, 255, 6)
    draw.ellipse((190, 190, 450, 450), 255)
    return np.asarray(picture)


def cut_out(levels: Bytes, holes: Holes = "auto", mask: Image.Image | None = None) -> tuple[Bytes, Judgement]:
    """The alpha that is cut out of a picture for which a network predicts `levels`, and the gate's judgement."""
    belief = Image.fromarray(levels)
    belief.info["grain"] = 1.0
    photo = load(Image.fromarray(np.where(levels[..., None] >= 128, (40, 60, 90), WALL).astype(np.uint8)))
    cutout = matte(photo, photo.size, lambda _: belief, mask=mask, options=CutoutOptions(holes=holes))
    return np.asarray(cutout.image.getchannel("A")), assess(photo, cutout)


def find_verdicts(judgement: Judgement, name: str) -> list[Verdict]:
    """The verdicts of the reasons called `name`."""
    return [reason.verdict for reason in judgement.reasons if reason.name == name]


@pytest.mark.parametrize("holes", ["auto", "fill"])
def test_a_line_that_crosses_the_photo_is_removed_and_told(holes: Holes) -> None:
    alpha, judgement = cut_out(draw_line((0, 640)), holes)
    assert np.count_nonzero(alpha >= 128) == pytest.approx(300 * 300, rel=0.01)
    (reason,) = [each for each in judgement.reasons if each.name == "line"]
    assert reason.verdict is Verdict.WARN
    assert "removed" in reason.text
    assert reason.area == pytest.approx((0, 0.46, 1, 0.48), abs=0.01)


@pytest.mark.parametrize(
    "strokes",
    [
        ((320, 320, 0, 0),),
        ((320, 320, 0, 0), (320, 320, 639, 0)),
        ((320, 180, 280, 0),),
        ((560, 200, 560, 639),),
        tuple((0, row, 639, row) for row in range(230, 420, 40)),
    ],
    ids=["strap to a corner", "chain to both corners", "broken strap", "spoon beside it", "rack"],
)
def test_thin_parts_that_end_in_the_picture_stay_and_are_told(strokes: tuple[tuple[int, int, int, int], ...]) -> None:
    levels = draw_strokes(*strokes)
    assert np.array_equal(mend_mask(levels, np.zeros((640, 640, 3), np.uint8))[0], levels)
    assert find_verdicts(cut_out(levels)[1], "line") == [Verdict.WARN]


def test_a_leg_along_the_frame_stays() -> None:
    levels = np.zeros((640, 640), np.uint8)
    levels[200:330, 3:500] = levels[330:, 1:9] = 255
    assert np.array_equal(mend_mask(levels, np.zeros((640, 640, 3), np.uint8))[0], levels)


def test_a_line_that_was_kept_is_told_and_only_noted_of_a_mask_of_ones_own() -> None:
    levels = draw_line((0, 640))
    alpha, judgement = cut_out(levels, "keep")
    assert (alpha[300] == 255).all()
    assert find_verdicts(judgement, "line") == [Verdict.WARN]
    assert find_verdicts(cut_out(levels, mask=Image.fromarray(levels))[1], "line") == [Verdict.OK]


def test_a_cord_stays() -> None:
    stray, doubtful = find_lines(draw_line((0, 200)) >= 128)
    assert not stray.any()
    assert doubtful[300, 5:160].all()


@pytest.mark.parametrize(("first", "meets"), [(0, True), (1, True), (2, False)])
@pytest.mark.parametrize("turns", range(4))
def test_a_line_meets_the_frame_up_to_its_second_row_of_pixels(first: int, meets: bool, turns: int) -> None:
    line = np.rot90(draw_line((first, 200)) >= 128, turns)
    assert find_lines(np.ascontiguousarray(line))[1].any() == meets


def test_thin_products_stay() -> None:
    levels = np.zeros((640, 640), np.uint8)
    for row in range(100, 500, 40):
        levels[row : row + 6, 60:] = 255
        levels[60:560, row : row + 6] = 255
    assert np.array_equal(mend_mask(levels, np.zeros((640, 640, 3), np.uint8))[0], levels)
