"""The canvas: exactly the cutout at its place, and nothing else."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from photio_prep.cutout.pad import pad, scale_cutout
from photio_prep.geometry import SIZES, Placement, Size, place, snap
from photio_prep.types import Cutout
from tests.support import photos


def way(source: tuple[int, int]) -> Placement:
    return place(Size(*source), snap(Size(*source)).size)


@pytest.mark.parametrize("source", [(90, 70), (70, 90), (640, 32), (1216, 832), (3000, 1000)])
def test_the_cutout_lies_untouched_in_its_box(source: tuple[int, int]) -> None:
    placement = way(source)
    cutout = photos.cutout(placement.box.size)
    canvas = pad(Cutout(cutout, "alpha"), placement)
    assert canvas.placement == placement
    assert canvas.image.size == placement.canvas
    assert canvas.image.crop(placement.box).tobytes() == cutout.tobytes()
    outside = np.asarray(canvas.image).copy()
    outside[placement.box.top : placement.box.bottom, placement.box.left : placement.box.right] = 0
    assert not outside.any()


@given(st.sampled_from([each.size for each in SIZES]), st.integers(16, 300), st.integers(16, 300))
def test_a_cutout_of_another_size_is_brought_to_the_box(canvas: Size, width: int, height: int) -> None:
    placement = place(Size(width, height), canvas)
    found = scale_cutout(Image.new("RGBA", (width, height), (200, 100, 50, 255)), placement)
    assert found.size == placement.box.size
    assert found.getextrema() == ((200, 200), (100, 100), (50, 50), (255, 255))


def test_scaling_is_premultiplied_and_leaves_no_haze() -> None:
    # Green hides under alpha 0; a red edge must stay red.
    image = Image.new("RGBA", (90, 70), (0, 255, 0, 0))
    image.paste((255, 0, 0, 255), (30, 20, 60, 50))
    found = np.asarray(pad(Cutout(image, "alpha"), way((90, 70))).image)
    alpha = found[..., 3]
    assert (found[alpha > 0][:, 0] >= 254).all()
    assert (found[alpha > 0][:, 1] <= 1).all()
    assert not found[alpha == 0].any()
    assert not np.isin(alpha, [1, 2, 3]).any()


def test_the_png_is_pixels_only_and_always_the_same() -> None:
    placement = way((90, 70))
    image = photos.cutout(placement.box.size)
    image.info["Comment"] = "canary"
    canvas = pad(Cutout(image, "alpha"), placement)
    assert canvas.png == pad(Cutout(image, "alpha"), placement).png
    assert b"canary" not in canvas.png
    with Image.open(io.BytesIO(canvas.png)) as found:
        found.load()
        assert (found.mode, found.format, found.info) == ("RGBA", "PNG", {})


def test_the_digest_is_that_of_the_png() -> None:
    placement = way((90, 70))
    one = pad(Cutout(photos.cutout(placement.box.size), "alpha"), placement)
    other = pad(Cutout(photos.cutout(placement.box.size, shade=221), "alpha"), placement)
    assert one.digest != other.digest
