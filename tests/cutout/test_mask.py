"""Parts: specks go, products and handles stay, holes as wished, and the frame is no edge."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from photio_prep.cutout.mask import apply_mask_options, extend_to_frame, feather, fill_holes, grow, remove_specks
from photio_prep.cutout.options import CutoutOptions

Bytes = NDArray[np.uint8]
LEVELS = arrays.arrays(np.uint8, st.tuples(st.integers(1, 30), st.integers(1, 30)))


def ground(*boxes: tuple[int, int, int, int], size: int = 200) -> Bytes:
    levels = np.zeros((size, size), np.uint8)
    for top, bottom, left, right in boxes:
        levels[top:bottom, left:right] = 255
    return levels


BIG, SECOND, SPECK = (20, 120, 20, 120), (140, 160, 140, 180), (190, 193, 5, 8)


def test_specks_go_and_second_products_stay() -> None:
    assert np.array_equal(remove_specks(ground(BIG, SECOND, SPECK), 0.002), ground(BIG, SECOND))
    assert np.array_equal(remove_specks(ground(BIG, SECOND, SPECK), 0), ground(BIG, SECOND, SPECK))


def test_a_faint_ghost_goes_and_the_products_own_soft_rim_stays() -> None:
    levels = ground(BIG)
    levels[120:126, 20:120] = [[100], [70], [40], [20], [10], [5]]
    ghost = levels.copy()
    ghost[150:190, 150:190] = 90
    assert np.array_equal(remove_specks(ghost, 0.002), levels)


def test_one_part_that_is_soft_everywhere_stays() -> None:
    levels = ground(BIG) // 3
    assert np.array_equal(remove_specks(levels, 0.002), levels)


def test_holes_are_kept_or_filled_and_only_pinholes_by_themselves() -> None:
    levels = ground(BIG)
    levels[50:80, 50:80] = 0
    levels[100:102, 100:102] = 120
    levels[60:62, 100:102] = 0
    whole = ground(BIG)
    assert np.array_equal(fill_holes(levels, pinholes_only=False), whole)
    by_itself = fill_holes(levels, pinholes_only=True)
    # What the network doubts is closed; what is clear all through is seen through, however small.
    assert (by_itself[100:102, 100:102] == 255).all()
    assert (by_itself[50:80, 50:80] == 0).all()
    assert (by_itself[60:62, 100:102] == 0).all()


def test_a_gap_to_the_frame_is_no_hole() -> None:
    levels = ground((0, 100, 0, 200))
    levels[0:40, 80:120] = 0
    assert np.array_equal(fill_holes(levels, pinholes_only=False), levels)


@pytest.mark.parametrize("pixels", [1, 2.5, 7])
def test_growing_moves_the_outline_and_its_rim_and_shrinking_moves_it_back(pixels: float) -> None:
    levels = ground(BIG)
    levels[19, 20:120] = levels[120, 20:120] = 100
    large = grow(levels, pixels)
    width = large[70].astype(float).sum() / 255
    assert width == pytest.approx(100 + 2 * pixels, abs=0.6)
    small = grow(levels, -pixels)[70].astype(float).sum() / 255
    assert small == pytest.approx(100 - 2 * pixels, abs=0.6)


@pytest.mark.parametrize("wish", [CutoutOptions(grow=3), CutoutOptions(grow=-3), CutoutOptions(feather=4)])
def test_a_product_cut_by_the_frame_stays_flush(wish: CutoutOptions) -> None:
    levels = ground((60, 200, 50, 150))
    found = apply_mask_options(levels, wish)
    assert (found[-20:, 70:130] == 255).all()
    assert found[30, 100] == 0


def test_a_fading_border_is_made_flush_and_a_margin_is_not() -> None:
    levels = ground((60, 200, 50, 150))
    levels[-3:, 50:150] = [[220], [180], [110]]
    assert np.array_equal(extend_to_frame(levels), ground((60, 200, 50, 150)))
    near = ground((60, 198, 50, 150))
    assert np.array_equal(extend_to_frame(near), near)


def test_feathering_softens_on_both_sides_and_keeps_the_middle() -> None:
    row = feather(ground(BIG), 4)[70]
    assert row[20 - 8] == 0
    assert row[20 + 8] == 255
    assert 0 < row[18] < 128 < row[22] < 255


@given(LEVELS, st.sampled_from(["keep", "fill", "auto"]), st.floats(-3, 3), st.floats(0, 3))
def test_any_alpha_may_be_shaped(levels: Bytes, holes: str, grow: float, feather: float) -> None:
    before = levels.copy()
    found = apply_mask_options(levels, CutoutOptions(holes=holes, grow=grow, feather=feather))  # type: ignore[arg-type]
    assert found.shape == levels.shape
    assert found.dtype == np.uint8
    assert np.array_equal(levels, before)


@given(LEVELS, st.floats(0, 4))
def test_growing_takes_nothing_away_and_shrinking_adds_nothing(levels: Bytes, pixels: float) -> None:
    assert (grow(levels, pixels) >= levels).all()
    assert (grow(levels, -pixels) <= levels).all()
