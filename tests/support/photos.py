"""Small photos for tests: a bright product on a dark ground, as pixels, as files, with or without their cutout.

Takes plain values, gives pictures and bytes. Touches only the paths it is given.
"""

from __future__ import annotations

import io
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from photio_prep.geometry import Size, place
from photio_prep.imaging.encode import encode_png
from photio_prep.orders.origin import Origin
from photio_prep.orders.revise import Wording, continue_as, reword
from photio_prep.orders.store import Order
from photio_prep.types import Canvas, Request

SCENE = "on a marble table, soft morning light, a plain wall behind"


def photo(size: tuple[int, int] = (90, 70), *, shade: int = 220, cut_out: bool = False) -> Image.Image:
    """A product of a gradient around `shade` on black; with `cut_out` the ground is transparent."""
    width, height = size
    pixels = np.zeros((height, width, 4), np.uint8)
    top, bottom, left, right = height // 4, height - height // 4, width // 4, width - width // 4
    ramp = np.linspace(shade - 40, min(shade + 30, 255), right - left).astype(np.uint8)
    pixels[top:bottom, left:right, 0] = ramp
    pixels[top:bottom, left:right, 1] = shade
    pixels[top:bottom, left:right, 2] = ramp[::-1]
    pixels[top:bottom, left:right, 3] = 255
    picture = Image.fromarray(pixels)
    return picture if cut_out else picture.convert("RGB")


def cutout(size: tuple[int, int] = (90, 70), *, shade: int = 220) -> Image.Image:
    """An RGBA photo: no model is needed for it."""
    return photo(size, shade=shade, cut_out=True)


def mask(size: tuple[int, int] = (90, 70)) -> Image.Image:
    """The product of `photo`, white on black."""
    return cutout(size).getchannel("A")


def encoded(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    holder = io.BytesIO()
    picture.save(holder, kind, **options)
    return holder.getvalue()


_KINDS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".tif": "TIFF", ".gif": "GIF", ".bmp": "BMP"}


def saved(path: Path, picture: Image.Image | None = None, **options: Any) -> Path:
    """A file of `picture` (a cutout if none is given), its format by its suffix, its folders made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = cutout() if picture is None else picture
    path.write_bytes(encoded(picture, _KINDS[path.suffix.lower()], **options))
    return path


def request(
    size: tuple[int, int] = (48, 32), *, seed: int = 7, description: str = SCENE, shade: int = 220, **rest: Any
) -> Request:
    """A request with a canvas of any size, far smaller than those that the API recommends."""
    whole = Size(*size)
    return Request(Canvas(encode_png(cutout(size, shade=shade)), place(whole, whole)), description, seed, **rest)


def order(
    size: tuple[int, int] = (48, 32), *, endpoint: str = "https://api.example/x", source: str = "a.png", **words: Any
) -> Order:
    """An order in memory, with a canvas of any size; `source` names its photo, whose bytes are those of the name."""
    digest = sha256(source.encode("utf-8", "surrogateescape")).hexdigest()
    return Order(
        request(size, **words), endpoint, Origin(source, digest, "PNG", Path(source).stem), "mask", cutout(size)
    )


def revise(order: Order, **words: Any) -> Order:
    """The order with other words, beside it on disk if it has a folder, as `generate` makes it."""
    new = reword(order, Wording(**words))
    return new if new is order or order.folder is None else continue_as(order, new)
