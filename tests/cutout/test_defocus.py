"""A product out of focus as a whole: alpha is how much of its colour each pixel of the wide rim shows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from scipy import ndimage

from photio_prep.cutout.defocus import blurred_alpha
from photio_prep.cutout.refine import refine_alpha

Floats = NDArray[np.float32]
PRODUCT, GROUND = np.array((200.0, 90, 60)), np.array((70.0, 90, 140))


def blurred_square(sigma: float, side: int = 320) -> Floats:
    """The exact alpha of a square behind a lens out of focus."""
    sharp = np.zeros((side, side), np.float32)
    sharp[100:220, 80:240] = 1
    return np.asarray(ndimage.gaussian_filter(sharp, sigma), dtype=np.float32)


def photo(alpha: Floats, product: NDArray[np.float64] = PRODUCT, grain: float = 4) -> NDArray[np.uint8]:
    mixed = alpha[..., None] * product + (1 - alpha[..., None]) * GROUND
    seen = np.clip(mixed + np.random.default_rng(7).normal(0, grain, mixed.shape), 0, 255)
    return np.asarray(np.rint(seen), dtype=np.uint8)


def drawn_outside(alpha: Floats) -> Floats:
    """What networks make of it: the whole rim is product, and the outline is hard."""
    return np.asarray(ndimage.gaussian_filter((alpha > 0.08).astype(np.float32), 1), dtype=np.float32)


def rim(belief: Floats) -> NDArray[np.bool_]:
    return np.asarray((belief > 0.1) & (belief < 0.9))


@pytest.mark.parametrize("sigma", [5.0, 8.0, 11.0])
def test_the_rim_becomes_as_wide_as_the_lens_made_it(sigma: float) -> None:
    alpha = blurred_square(sigma)
    belief = drawn_outside(alpha)
    band = (alpha > 0.02) & (alpha < 0.98)
    before = np.abs(belief - alpha)[band].mean()
    for found in (blurred_alpha(photo(alpha), belief, rim(belief)), refine_alpha(photo(alpha), belief)):
        assert np.abs(found - alpha)[band].mean() < before / 3


def test_what_is_far_from_the_rim_is_decided() -> None:
    alpha = blurred_square(6)
    found = blurred_alpha(photo(alpha), drawn_outside(alpha), rim(drawn_outside(alpha)))
    assert found[130:190, 120:200].min() > 0.999
    assert found[:40].max() < 0.001


def test_where_both_sides_look_the_same_the_belief_stays() -> None:
    alpha = blurred_square(8)
    belief = alpha**2
    found = blurred_alpha(photo(alpha, product=GROUND, grain=0), belief, rim(belief))
    assert np.array_equal(found, belief)


@given(arrays.arrays(np.float32, st.tuples(st.integers(1, 60), st.integers(1, 60)), elements=st.floats(0, 1, width=32)))
def test_any_belief_becomes_an_alpha(belief: Floats) -> None:
    pixels = np.full((*belief.shape, 3), 90, np.uint8)
    found = blurred_alpha(pixels, belief, rim(belief))
    assert found.shape == belief.shape
    assert np.isfinite(found).all()
    assert found.min() >= 0
    assert found.max() <= 1
