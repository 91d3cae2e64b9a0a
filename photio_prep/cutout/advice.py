"""What each recommended canvas size does to a photo and its product, and what reframing would gain."""

from typing import NamedTuple

import numpy as np

from photio_prep.cutout.framing import Framing, box_in_photo, box_of, cut_sides
from photio_prep.geometry import Box, Placement, Recommended, Size, list_sizes, place, snap
from photio_prep.types import Cutout


class ProductExtent(NamedTuple):
    """Box and area (photo pixels) of a product, and the sides on which the photo cuts it off."""

    box: Box
    area: float
    cut: tuple[str, ...]


class Advice(NamedTuple):
    """One canvas size: placement of the photo and of a frame around the product.

    `product` and `reframed_product`: pixels of the product on the canvas.
    """

    size: Recommended
    chosen: bool
    way: Placement
    product: int | None = None
    reframed: Placement | None = None
    reframed_product: int | None = None

    @property
    def padding(self) -> float:
        """Share of the canvas (0..1) that is padding, cropped away from the answer."""
        return 1 - self.way.used

    @property
    def gain(self) -> float | None:
        """Factor by which reframing increases the product's pixels on the canvas."""
        return self.reframed_product / self.product if self.reframed_product and self.product else None


def measure_extent(cutout: Cutout, photo: Size) -> ProductExtent:
    """Measure the product in a cutout of the whole photo."""
    size, cut = Size(*cutout.image.size), cut_sides(cutout.image)
    covered = float(np.asarray(cutout.image.getchannel("A"), dtype=np.float64).sum()) / 255
    box = box_in_photo(box_of(cutout.image), size, photo, cut)
    return ProductExtent(box, covered * photo.area / size.area, cut)


def advise(photo: Size, product: ProductExtent | None, framing: Framing) -> tuple[Advice, ...]:
    """List all canvas sizes, undocumented ones too, for a photo. Without a product the product fields are None."""
    chosen = snap(photo)
    rows = []
    for size in list_sizes(undocumented=True):
        placement = place(photo, size.size)
        if product is None:
            rows.append(Advice(size, size == chosen, placement))
            continue
        frame = framing.around(product.box, size.size, product.cut)
        reframed = place(frame.size, size.size)
        pixels = (_pixels(product, placement), _pixels(product, reframed))
        rows.append(Advice(size, size == chosen, placement, pixels[0], reframed, pixels[1]))
    return tuple(rows)


def _pixels(product: ProductExtent, placement: Placement) -> int:
    return round(product.area * placement.box.size.area / placement.source.area)
