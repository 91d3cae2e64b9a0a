"""How alike the places of a photo are to a network: by drawn features, and by ISNet's own on both runtimes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photio_prep.cutout.likeness import is_telling, measure_likeness
from photio_prep.cutout.models import openvino
from photio_prep.cutout.models.devices import Device
from photio_prep.cutout.models.registry import get_model
from photio_prep.imaging.filters import Floats

FIXTURES = Path(__file__).parents[2] / "fixtures" / "photos"
GROUND, PRODUCT, THING = np.eye(3, dtype=np.float32)


def drawn(*things: tuple[slice, np.ndarray]) -> list[Floats]:
    """Features of ground with things in columns of the middle rows, for a network of 1024 px, of two scales."""
    coarse = np.tile(GROUND[:, None, None], (1, 16, 16))
    for columns, kind in things:
        coarse[:, 4:12, columns] = kind[:, None, None]
    return [coarse.repeat(4, 1).repeat(4, 2), coarse]


def believed(columns: slice) -> Floats:
    belief = np.zeros((16, 16), np.float32)
    belief[4:12, columns] = 0.9
    return belief.repeat(64, 0).repeat(64, 1)


LEFT, RIGHT = slice(1, 5), slice(10, 14)


def test_one_thing_on_a_ground_is_of_one_kind_and_has_no_rival() -> None:
    figures = measure_likeness(believed(LEFT), drawn((LEFT, PRODUCT)))
    assert figures == {"mixed": pytest.approx(0, abs=1e-5), "rival": pytest.approx(-1, abs=1e-5)}


def test_two_kinds_of_thing_in_a_mask_are_mixed() -> None:
    figures = measure_likeness(believed(slice(1, 9)), drawn((LEFT, PRODUCT), (slice(5, 9), THING)))
    assert figures["mixed"] == pytest.approx(1 - np.sqrt(0.5), abs=1e-4)
    assert figures["rival"] < -0.5


def test_a_second_product_that_was_left_out_is_a_rival() -> None:
    figures = measure_likeness(believed(LEFT), drawn((LEFT, PRODUCT), (RIGHT, PRODUCT)))
    assert figures["rival"] > 0.5
    other = measure_likeness(believed(LEFT), drawn((LEFT, PRODUCT), (RIGHT, THING)))
    assert other["rival"] < 0 < figures["rival"]


def test_what_fills_the_photo_has_no_rival() -> None:
    figures = measure_likeness(np.ones((1024, 1024), np.float32), drawn((LEFT, PRODUCT)))
    assert figures["rival"] <= 0 < figures["mixed"]


def test_without_both_scales_nothing_is_measured() -> None:
    features = drawn((LEFT, PRODUCT))
    assert measure_likeness(believed(LEFT), features[:1]) == measure_likeness(believed(LEFT), []) == {}
    assert all(is_telling(shape, 1024) for shape in ((1, 256, 64, 64), (1, 512, 16, 16)))
    others = (1, 1, 64, 64), (1, 128, 128, 128), ("batch", 1, "height", "width"), (1, 64)
    assert not any(is_telling(shape, 1024) for shape in others)


@pytest.mark.isnet
@pytest.mark.soak
@pytest.mark.parametrize(
    "device", ["cpu", pytest.param("openvino", marks=pytest.mark.skipif(not openvino.is_available(), reason="extra"))]
)
def test_isnet_tells_the_same_on_both_runtimes(device: Device) -> None:
    with Image.open(FIXTURES / "mug.jpg") as opened:
        alpha = get_model("isnet-imgly", device=device)(opened.convert("RGB"))
    assert alpha.info["mixed"] == pytest.approx(0.166, abs=0.01)
    assert alpha.info["rival"] == pytest.approx(-0.278, abs=0.03)
