"""Order -> its product alone, with as many of the photo's own pixels as can be had.

Takes orders, answered or not; gives RGBA pictures. Touches the order's folder, and the photo where it still lies.
Raises StorageFailed for a cutout that cannot be read.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from photio_prep import files
from photio_prep.data import Photo
from photio_prep.errors import PhotioError, StorageFailed
from photio_prep.facts import AGAIN
from photio_prep.framing import box_of, cropped, cut_sides
from photio_prep.geometry import Box, Size
from photio_prep.limits import DEFAULT_LIMITS, Limits
from photio_prep.orders import Order
from photio_prep.stages.load import load


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
    return Product(full_size(cutout, box, photo), cut, original=True)


def full_size(cutout: Image.Image, box: Box, photo: Photo) -> Image.Image:
    """What `box` of the cutout holds, as RGBA at the photo's resolution.

    The product's core has the photo's own pixels, its rim the cutout's colours, which are free of the background.
    """
    across, down = photo.size.width / cutout.width, photo.size.height / cutout.height
    there = Box(*(round(side * by) for side, by in zip(box, (across, down, across, down), strict=True)))
    seen = (there.left / across, there.top / down, there.right / across, there.bottom / down)
    seen = (seen[0], seen[1], min(seen[2], cutout.width), min(seen[3], cutout.height))
    rough = np.asarray(cutout.resize(there.size, Image.Resampling.LANCZOS, box=seen)).copy()
    own = np.asarray(photo.image.convert("RGB").crop(there))
    core = rough[..., 3] >= 254
    rough[..., :3][core] = own[core]
    return Image.fromarray(rough)


def cutout_of(order: Order) -> Image.Image:
    """The cutout of an order: RGBA, in the photo's own frame at the canvas's scale.

    Raises:
        StorageFailed: It cannot be read from its folder.
    """
    if order.cutout is not None:
        return order.cutout
    if order.folder is None:
        raise StorageFailed("the order has no cutout", AGAIN, subject=order.origin.source)
    try:
        return load(files.read_own(order.folder / "cutout.png"), name=str(order.folder)).image.convert("RGBA")
    except (OSError, PhotioError) as error:
        raise StorageFailed(f"its cutout.png cannot be read ({error})", AGAIN, subject=str(order.folder)) from None


def photo_of(order: Order, limits: Limits = DEFAULT_LIMITS) -> Photo | None:
    """The photo of an order in the frame of its placement, if a file of the very same bytes still lies where it was."""
    named = order.origin.source
    if "://" in named or named == "-":
        return None
    try:
        photo = load(files.read_input(Path(named), limits.file_bytes), name=named, limits=limits)
    except (PhotioError, OSError, ValueError):
        return None
    if photo.digest != order.origin.digest:
        return None
    crop = order.placement.crop
    photo = cropped(photo, crop) if crop else photo
    return photo if photo.size == order.placement.source else None
