"""Half transparent parts of a user's mask: what the photo's background did to them is taken out, in every channel."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from photio_prep.final.composite import build_layer, composite_product
from photio_prep.final.glass import find_studio
from photio_prep.orders.store import SANDBOX
from photio_prep.pipeline import finish, prepare
from photio_prep.types import Result
from tests.final.test_restore import FIXTURES

Floats = NDArray[np.float32]
SIDE = 480
INSIDE = slice(130, 350), slice(130, 350)
# Share of the background that each channel passes, and levels that are added.
KINDS = {"bottle glass": ((0.3, 0.45, 0.15), 10.0), "veil": ((0.5, 0.5, 0.5), 115.0)}


def laid_over(ground: Floats, passed: tuple[float, ...], added: float) -> Floats:
    """A pane of glass with an opaque lid over a background."""
    picture = ground.copy()
    picture[100:380, 100:380] = ground[100:380, 100:380] * np.array(passed, np.float32) + added
    picture[200:230, 300:360] += np.linspace(0, 30, 60, dtype=np.float32)[:, None]  # a highlight
    picture[60:100, 100:380] = (30, 60, 90)
    return picture


def to_image(levels: Floats) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(levels), 0, 255).astype(np.uint8))


def mask_of(alpha: int) -> Image.Image:
    levels = np.zeros((SIDE, SIDE), np.uint8)
    levels[100:380, 100:380] = alpha
    levels[60:100, 100:380] = 255
    return Image.fromarray(cv2.GaussianBlur(levels, (0, 0), 0.8))


@pytest.mark.parametrize("kind", KINDS)
def test_glass_shows_the_new_scene_and_not_the_studio(kind: str):
    passed, added = KINDS[kind]
    studio = np.full((SIDE, SIDE, 3), (225, 228, 232), np.float32) * np.linspace(1, 0.85, SIDE)[:, None, None]
    ground = np.full((SIDE, SIDE, 3), (120, 80, 50), np.float32)
    ground[:, ::16] = ground[:, 1::16] = (60, 40, 25)
    photo = to_image(laid_over(np.asarray(studio, dtype=np.float32), passed, added))
    mask = mask_of(128)
    layer = build_layer(photo, mask, drawn=True)
    placed = composite_product(to_image(ground), to_image(ground), layer, "original")
    exact = laid_over(ground, passed, added)
    ours = np.abs(np.asarray(placed.image, dtype=np.float32) - exact)[INSIDE].mean()
    plain = composite_product(to_image(ground), to_image(ground), build_layer(photo, mask), "original")
    before = np.abs(np.asarray(plain.image, dtype=np.float32) - exact)[INSIDE].mean()
    assert ours < 7
    assert ours < 0.5 * before


def test_only_a_mask_of_the_user_is_trusted_and_a_soft_edge_is_no_glass():
    with Image.open(FIXTURES / "truth" / "bowls.webp") as truth:
        alpha = truth.convert("RGBA").getchannel("A")  # edges tens of pixels wide
    with Image.open(FIXTURES / "photos" / "bowls.jpg") as photo:
        assert find_studio(photo.convert("RGB"), alpha) is None
    assert all(band.glass is None for band in build_layer(Image.new("RGB", (SIDE, SIDE), "white"), mask_of(128)).bands)


def test_an_order_with_a_half_transparent_mask_keeps_its_lid_to_the_bit():
    rng = np.random.default_rng(0)
    studio = np.full((SIDE, SIDE, 3), 225, np.float32)
    pixels = laid_over(studio, (0.4, 0.42, 0.2), 4.0) + rng.normal(0, 1, (SIDE, SIDE, 3)).astype(np.float32)
    order = prepare(to_image(pixels), description="-", mask=mask_of(140), endpoint=SANDBOX)
    answer = Image.new("RGB", order.canvas.image.size, (90, 60, 40))
    answer.paste(order.canvas.image, mask=order.canvas.image.getchannel("A"))
    for product in ("original", "detail"):
        final = finish(order, Result(b"", answer, order.placement), product=product)
        assert final.proof is not None
        assert final.proof.equal == 1.0 or product == "detail"
        colour = np.asarray(final.image, dtype=np.float32)[INSIDE].mean((0, 1))
        assert np.allclose(colour, np.array([90, 60, 40]) * (0.4, 0.42, 0.2) + 4, atol=5), colour
