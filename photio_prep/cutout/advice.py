"""A photo and its product -> what each recommended size does to them, and what framing it anew would gain."""

from typing import NamedTuple

import numpy as np

from photio_prep.cutout.framing import Framing, box_of, cut_sides, in_photo
from photio_prep.geometry import Box, Placement, Recommended, Size, offered, place, snap
from photio_prep.types import Cutout


class Product(NamedTuple):
    """A product in its photo: its box and area there, in the photo's pixels, and the sides where the photo cuts it."""

    box: Box
    area: float
    cut: tuple[str, ...]


class Advice(NamedTuple):
    """What one size does: the placement of the photo, and of a frame around the product; pixels of the product sent.

    `product` and `reframed_product` are how many pixels of it the generator really sees.
    """

    size: Recommended
    chosen: bool
    way: Placement
    product: int | None = None
    reframed: Placement | None = None
    reframed_product: int | None = None

    @property
    def padding(self) -> float:
        """Share of the canvas, 0..1, that is padding and cropped away again."""
        return 1 - self.way.used

    @property
    def gain(self) -> float | None:
        """How many times as many pixels of the product the generator sees when the photo is framed anew."""
        return self.reframed_product / self.product if self.reframed_product and self.product else None


def product_of(cutout: Cutout, photo: Size) -> Product:
    """The product of a cutout that was made in the photo's own frame."""
    size, cut = Size(*cutout.image.size), cut_sides(cutout.image)
    covered = float(np.asarray(cutout.image.getchannel("A"), dtype=np.float64).sum()) / 255
    box = in_photo(box_of(cutout.image), size, photo, cut)
    return Product(box, covered * photo.area / size.area, cut)


def advice(photo: Size, product: Product | None, framing: Framing) -> tuple[Advice, ...]:
    """What each size does to a photo of this size, undocumented ones too; without a product the rest is None."""
    chosen = snap(photo)
    found = []
    for each in offered(undocumented=True):
        way = place(photo, each.size)
        if product is None:
            found.append(Advice(each, each == chosen, way))
            continue
        frame = framing.around(product.box, each.size, product.cut)
        again = place(frame.size, each.size)
        seen = (_pixels(product, way), _pixels(product, again))
        found.append(Advice(each, each == chosen, way, seen[0], again, seen[1]))
    return tuple(found)


def _pixels(product: Product, way: Placement) -> int:
    return round(product.area * way.box.size.area / way.source.area)
