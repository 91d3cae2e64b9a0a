"""How orders and pictures look in a notebook: a line of text, a picture."""

import io
from pathlib import Path

import pytest
from PIL import Image

from photio_prep import prepare
from photio_prep.api.request import request_from_url
from photio_prep.orders.store import Order
from photio_prep.types import Cutout, Final
from tests.support.photos import SCENE, cutout, encoded


def shown(png: bytes | None) -> Image.Image:
    assert png is not None
    return Image.open(io.BytesIO(png), formats=["PNG"])


@pytest.fixture
def order(tmp_path: Path) -> Order:
    return prepare(encoded(cutout()), description=SCENE * 5, orders=tmp_path)


def test_an_order_is_one_short_line_without_bytes(order: Order) -> None:
    for text in (repr(order), repr(order.canvas), repr(order.request)):
        assert len(text) < 800
        assert "PNG" not in text
    assert len(repr(order)) < 300
    assert repr(order).startswith("Order('bytes', 'on a marble table")
    assert str(order.folder) in repr(order)


def test_orders_and_canvases_are_shown_as_what_is_sent(order: Order) -> None:
    assert order._repr_png_() == order.canvas._repr_png_() == order.canvas.png
    assert request_from_url("https://example.com/a.png", "Square", SCENE).canvas._repr_png_() is None


def test_cutouts_and_finals_are_shown_small_and_without_metadata() -> None:
    large = Image.new("RGB", (3000, 2000), "red")
    large.info["exif"] = b"Exif\0\0secret"
    final = shown(Final(large, "a.jpg", "JPEG")._repr_png_())
    assert (final.size, final.mode, final.info) == ((1024, 683), "RGB", {})
    clear = shown(Cutout(Image.new("RGBA", (300, 200)), "mask")._repr_png_())
    assert (clear.size, clear.mode) == ((300, 200), "RGBA")
