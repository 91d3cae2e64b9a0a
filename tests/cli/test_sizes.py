"""sizes PHOTO: what is lost as padding, what the generator sees, what framing anew would gain."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photio_prep import pipeline
from photio_prep.cutout.advice import advise, measure_extent
from photio_prep.cutout.framing import Framing
from photio_prep.cutout.options import DEFAULT_CUTOUT
from photio_prep.cutout.reframe import find_product
from photio_prep.geometry import Size
from photio_prep.intake.load import load
from tests.cutout.test_reframe import SIZE, aside
from tests.support import photos
from tests.support.commands import Command, forget
from tests.support.fakes import BrightMatter


@pytest.mark.soak
def test_the_advice_is_what_prepare_then_does():
    photo = load(photos.encoded(aside()))
    cutout = find_product(photo, BrightMatter(), mask=None, alpha="auto", options=DEFAULT_CUTOUT)
    product = measure_extent(cutout, photo.size)
    assert product.area == pytest.approx(200 * 300, rel=0.01)
    for each in advise(Size(*SIZE), product, Framing(8)):
        for told, framing in ((each.product, None), (each.reframed_product, Framing(8))):
            order = pipeline.prepare(photo, model=BrightMatter(), size=each.size, framing=framing)
            sent = np.asarray(order.canvas.image.getchannel("A"), dtype=float).sum() / 255
            assert told == pytest.approx(sent, rel=0.02)
        assert each.reframed == order.placement.__class__(  # but for the crop, the very same placement
            order.placement.source, order.placement.canvas, order.placement.box
        )
        assert each.gain == pytest.approx((each.reframed_product or 0) / (each.product or 1))
        assert each.padding == pytest.approx(1 - each.way.used)


def test_without_a_product_only_the_placement_is_told():
    told = advise(Size(1200, 900), None, Framing(8))
    assert len(told) == 9
    assert [each.size.tag for each in told if each.chosen] == ["Fullscreen"]
    assert all(each.product is None and each.gain is None for each in told)


def test_on_the_command_line(command: Command, monkeypatch: pytest.MonkeyPatch):
    photos.saved(Path("a.png"), photos.cutout((1600, 900)))
    rows = command("sizes", "a.png", "--margin", "10%", "--json").facts
    square = next(each for each in rows if each["tag"] == "Square")
    assert square["padding"] == pytest.approx(1 - 9 / 16)
    assert square["product"] == pytest.approx(800 * 450 * (1024 / 1600) ** 2, rel=0.02)
    assert square["gain"] == pytest.approx((1600 / 960) ** 2, rel=0.03)
    said = command("sizes", "a.png")
    assert "--reframe --size" in said.err
    assert "px of the product" in said.out
    monkeypatch.setenv("PHOTIO_MODELS", "/nowhere")
    forget()
    photos.saved(Path("b.png"), photos.photo((1600, 900)))
    hint = command("sizes", "b.png")
    assert hint.code == 0
    assert "models pull auto" in hint.err
    assert "px of the product" not in hint.out
    Image.new("L", (1600, 900)).save("empty.png")
    assert command("sizes", "b.png", "--mask", "empty.png").code == 0
    photos.saved(Path("mask.png"), photos.mask((1600, 900)))
    assert "px of the product" in command("sizes", "b.png", "--mask", "mask.png").out
