"""The product of an order alone, at the photo's own resolution where the photo still exists."""

from typing import NamedTuple

from PIL import Image

from photio_prep.cutout.framing import box_of, cut_sides
from photio_prep.errors import PhotioError
from photio_prep.final.assemble import build_product_layer
from photio_prep.geometry import Box, Size
from photio_prep.imaging.limits import DEFAULT_LIMITS, Limits
from photio_prep.orders import original_photo
from photio_prep.orders.store import Order, require_cutout
from photio_prep.types import Photo


class Packshot(NamedTuple):
    """A product alone: RGBA, cropped to its box.

    `cut` lists the sides where the photo's frame cuts it off. `original` is true if the photo exists, false if only
    the canvas's pixels are available. `prior_upscale` is its size as a multiple of that in the photo, at least 1.
    """

    image: Image.Image
    cut: tuple[str, ...]
    original: bool
    prior_upscale: float = 1.0


def extract_product(order: Order, *, limits: Limits = DEFAULT_LIMITS) -> Packshot:
    """Crop the product out of the order's photo, or out of the canvas if the photo is gone or changed."""
    cutout = require_cutout(order)
    box = box_of(cutout)
    cut = cut_sides(cutout)
    photo = find_photo(order, limits)
    if photo is None or photo.size.area <= Size(*cutout.size).area:
        prior_upscale = max(1.0, cutout.width / order.placement.source.width)
        return Packshot(cutout.crop(box), cut, original=photo is not None, prior_upscale=prior_upscale)
    across, down = photo.size.width / cutout.width, photo.size.height / cutout.height
    photo_box = Box(*(round(side * by) for side, by in zip(box, (across, down, across, down), strict=True)))
    return Packshot(build_product_layer(order, photo, photo.size).picture().crop(photo_box), cut, original=True)


def find_photo(order: Order, limits: Limits = DEFAULT_LIMITS) -> Photo | None:
    """The order's photo in the frame of its placement; None if the same bytes cannot be found."""
    try:
        photo = original_photo.find_original(order, limits=limits)
    except PhotioError:
        return None
    return photo if photo.size == order.placement.source else None
