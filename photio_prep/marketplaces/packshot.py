"""Order -> its product alone, with as many of the photo's own pixels as can be had."""

from typing import NamedTuple

from PIL import Image

from photio_prep.cutout.framing import box_of, cut_sides
from photio_prep.errors import PhotioError
from photio_prep.final.assemble import product_layer
from photio_prep.geometry import Box, Size
from photio_prep.imaging.limits import DEFAULT_LIMITS, Limits
from photio_prep.orders import original_photo
from photio_prep.orders.store import Order, cutout_of
from photio_prep.types import Photo


class Product(NamedTuple):
    """A product alone: RGBA, no larger than its box.

    `cut` are the sides where the photo's frame cuts it off; `original` says that it has the photo's own pixels, and not
    only those of the canvas; `already` is how many times it is larger than in the photo, at least 1.
    """

    image: Image.Image
    cut: tuple[str, ...]
    original: bool
    already: float = 1.0


def product(order: Order, *, limits: Limits = DEFAULT_LIMITS) -> Product:
    """The product of an order: at the photo's own resolution where the very same photo is still there, else as sent."""
    cutout = cutout_of(order)
    box = box_of(cutout)
    cut = cut_sides(cutout)
    photo = photo_of(order, limits)
    if photo is None or photo.size.area <= Size(*cutout.size).area:
        already = max(1.0, cutout.width / order.placement.source.width)
        return Product(cutout.crop(box), cut, original=photo is not None, already=already)
    across, down = photo.size.width / cutout.width, photo.size.height / cutout.height
    there = Box(*(round(side * by) for side, by in zip(box, (across, down, across, down), strict=True)))
    return Product(product_layer(order, photo, photo.size).crop(there), cut, original=True)


def photo_of(order: Order, limits: Limits = DEFAULT_LIMITS) -> Photo | None:
    """The photo of an order in the frame of its placement, if the very same one can be found again."""
    try:
        photo = original_photo.found(order, limits=limits)
    except PhotioError:
        return None
    return photo if photo.size == order.placement.source else None
