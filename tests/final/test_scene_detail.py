"""An enlarged scene: how soft and noisy the answer is, by the product that was sent, and what is done about it."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from photio_prep.final.interior import compare_interior
from photio_prep.final.scene_detail import Grain, apply_grain, measure_grain, refine_scene
from photio_prep.intake.load import load
from photio_prep.orders.store import SANDBOX
from photio_prep.pipeline import finish, prepare
from photio_prep.types import Result
from tests.final.test_restore import FIXTURES

Floats = NDArray[np.float32]
SIDE = 384


def grainy(seed: int, side: int = SIDE) -> Floats:
    """A picture (levels) whose power falls with frequency as a photo's does."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)) + 1 / side
    plane = np.fft.ifft2(np.fft.fft2(rng.standard_normal((side, side))) / frequency**1.2).real
    levels = 128 + 40 * plane[..., None] / plane.std() * np.array([1.0, 0.9, 0.8])
    return np.asarray(np.clip(levels, 0, 255), dtype=np.float32)


def answered(softness: float, noise: float, scene: float | None = None) -> tuple[Floats, Floats, Floats]:
    """A canvas, its answer (the scene of another softness where one is given), and the scene as sharp as it was."""
    alpha = np.zeros((SIDE, SIDE, 1), np.float32)
    alpha[90:290, 90:290] = 1
    sharp, product = grainy(1), grainy(2)
    sent = np.concatenate([product, 255 * alpha], 2)
    layers = [
        picture if sigma == 0 else cv2.GaussianBlur(picture, (0, 0), sigma)
        for picture, sigma in ((product, softness), (sharp, softness if scene is None else scene))
    ]
    answer = layers[0] * alpha + layers[1] * (1 - alpha)
    dirt = np.random.default_rng(3).standard_normal((SIDE, SIDE, 1)) * noise
    return sent, np.clip(np.rint(answer + dirt), 0, 255).astype(np.float32), sharp


def error(picture: Floats, truth: Floats) -> float:
    return float(((picture - truth)[:80] ** 2).mean())


@pytest.mark.parametrize("softness", [0.6, 0.9])
def test_softness_and_noise_are_measured_and_the_scene_comes_nearer_to_what_it_was(softness: float):
    sent, answer, sharp = answered(softness, noise=1.5)
    grain = measure_grain(sent, answer, (0, 0))
    assert grain.sigma == pytest.approx(softness, abs=0.2)
    assert 0.7 <= grain.light <= 1.7
    finer = np.asarray(apply_grain(Image.fromarray(answer.astype(np.uint8)), grain), dtype=np.float32)
    assert error(finer, sharp) < 0.85 * error(answer, sharp)


@pytest.mark.parametrize(("softness", "scene"), [(0.0, 0.0), (0.9, 0.0), (0.0, 0.9)])
def test_a_scene_stays_where_product_or_scene_is_sharp(softness: float, scene: float):
    sent, answer, _ = answered(softness, 0.0, scene)
    grain = measure_grain(sent, answer, (0, 0))
    assert grain.sigma < 0.45
    picture = Image.fromarray(answer.astype(np.uint8))
    assert apply_grain(picture, grain._replace(sigma=0.0)) is picture


def test_no_edge_gets_a_halo():
    step = np.full((64, 64, 3), 60, np.uint8)
    step[:, 32:] = 200
    soft = np.asarray(cv2.GaussianBlur(step, (0, 0), 1.0), dtype=np.uint8)
    finer = np.asarray(apply_grain(Image.fromarray(soft), Grain(1.0, 0.0, 0.0)))
    assert finer.min() >= 60
    assert finer.max() <= 200
    assert np.abs(np.diff(finer[32, :, 0].astype(int))).max() > np.abs(np.diff(soft[32, :, 0].astype(int))).max()


@pytest.mark.filterwarnings("error")
def test_a_grey_scene_with_some_colour_has_no_noise() -> None:
    """Box sums of the flat part, beside a rough one, are a little below 0."""
    sent, answer, _ = answered(0.0, 0.0)
    answer[sent[..., 3] == 0] = 128
    answer[:40] += np.random.default_rng(0).normal(0, 20, (40, SIDE, 3))
    assert measure_grain(sent, answer, (0, 0))[1:] == pytest.approx((0, 0), abs=0.01)


def test_the_note_names_only_what_was_done() -> None:
    sent, answer, _ = answered(0.0, 3.0)
    answer[..., :] = np.where(sent[..., 3:] > 0, answer, 180 + answer - answered(0.0, 0.0)[1])
    inside = compare_interior(sent[..., 3] / np.float32(255), sent[..., :3], answer, (0.0, 0.0, True))
    canvas, picture = (Image.fromarray(np.rint(np.clip(levels, 0, 255)).astype(np.uint8)) for levels in (sent, answer))
    _, done = refine_scene(picture, canvas, picture, inside)
    assert done == "the enlarged scene was made finer: its noise was lowered"


@pytest.mark.soak
def test_only_a_scene_that_is_enlarged_twice_is_made_finer_and_the_proof_says_so():
    with Image.open(FIXTURES / "truth" / "mug.webp") as truth:
        mask = truth.convert("RGBA").getchannel("A")
    photo = load(FIXTURES / "photos" / "mug.jpg")
    order = prepare(photo, description="-", mask=mask, endpoint=SANDBOX)
    canvas = order.canvas.image
    scene = Image.fromarray(grainy(1, 1152).astype(np.uint8)).resize(canvas.size)
    scene.paste(canvas, mask=canvas.getchannel("A"))
    soft = cv2.GaussianBlur(np.asarray(scene), (0, 0), 0.9)
    result = Result(b"", Image.fromarray(soft), order.placement)
    small, large = (finish(order, result, product="original", output_size=size) for size in ("original", "long:2400"))
    assert small.proof
    assert large.proof
    assert small.proof.refined == ""
    assert large.proof.refined == "the enlarged scene was made finer: its detail was raised"
    left = (slice(None, None), slice(None, 200))
    plain = finish(order, result, product="generated", output_size="long:2400")
    change = [np.abs(np.diff(np.asarray(final.image, dtype=int)[left], axis=1)).mean() for final in (plain, large)]
    assert change[1] > 1.05 * change[0]
