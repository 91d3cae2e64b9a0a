"""What belongs to the product: its parts, its holes, and how far it reaches."""

import numpy as np
from numpy.typing import NDArray

from photio_prep.cutout.options import CutoutOptions
from photio_prep.cutout.refine import around

Bytes = NDArray[np.uint8]
Bools = NDArray[np.bool_]

# Half covered or more is product.
_HALF = 128
# What is fainter than this holds nothing together: a shadow must not tie a speck to the product.
_FAINT = 16
# A hole of less than this share of its product's area, and no more than this many pixels, is the network's doubt.
_PINHOLE, _PINHOLE_PIXELS, _DOUBT, _MESH = 0.0005, 64, 64, 8
# How many pixels networks fade out over at the frame, and what is still product there.
_FADES, _FAINTLY = 4, 64
# Along the outer outline this many pixels may be softly covered.
_RIM = 3
_EIGHT = np.ones((3, 3), dtype=bool)


def shaped(levels: Bytes, wishes: CutoutOptions) -> Bytes:
    """The alpha with specks dropped, holes as wished, grown or shrunk, feathered."""
    found = without_specks(levels, wishes.specks)
    if wishes.holes != "keep":
        found = filled(found, pinholes_only=wishes.holes == "auto")
    if wishes.grow:
        found = grown(found, wishes.grow)
    if wishes.feather:
        found = feathered(found, wishes.feather)
    return found


def without_specks(levels: Bytes, share: float) -> Bytes:
    """Without the parts whose half-covered area is less than `share` of the largest part's.

    A part that is soft everywhere has no such area: it goes too, unless nothing is left.
    """
    from scipy.ndimage import label

    seen = levels >= _FAINT
    if not share or not seen.any():
        return levels
    window = around(seen, 0)
    parts, count = label(seen[window], _EIGHT)
    if count < 2:
        return levels
    areas = np.bincount(parts[levels[window] >= _HALF], minlength=count + 1)
    areas[0] = 0
    if not areas.any():
        return levels
    keep = areas >= max(1, share * areas.max())
    # The faint rim around a part belongs to it; around a speck it goes with it.
    keep[0] = True
    found = levels.copy()
    found[window][~keep[parts]] = 0
    return _without_lonely(found)


def _without_lonely(levels: Bytes) -> Bytes:
    """Without faint remains that touch nothing of the product."""
    from scipy.ndimage import label

    window = around(levels > 0, 0)
    seen = levels[window]
    parts, count = label(seen > 0, _EIGHT)
    if count < 2:
        return levels
    real = np.zeros(count + 1, dtype=bool)
    real[parts[seen >= _HALF]] = True
    found = levels.copy()
    found[window][~real[parts]] = 0
    return found


def filled(levels: Bytes, *, pinholes_only: bool) -> Bytes:
    """With what is enclosed by the product opaque: everything, or only holes too small to be anything real.

    A gap that reaches the frame is no hole.
    """
    from scipy.ndimage import binary_fill_holes, label, minimum

    product = levels >= _HALF
    if not pinholes_only:
        return np.where(binary_fill_holes(product) & (levels < 255) & _deep(product), 255, levels).astype(np.uint8)
    if not product.any():
        return levels
    # Around its box everything is open.
    window = around(product, 0)
    holes, count = label(~product[window])
    outside = np.zeros(count + 1, dtype=bool)
    outside[np.concatenate((holes[0], holes[-1], holes[:, 0], holes[:, -1]))] = True
    outside[0] = True
    if outside.all():
        return levels
    areas = np.bincount(holes.ravel(), minlength=count + 1)
    # A real hole is seen through somewhere.
    deepest = np.concatenate(([0], minimum(levels[window], holes, np.arange(1, count + 1))))
    chosen = (areas <= min(_PINHOLE_PIXELS, _PINHOLE * product.sum())) & (deepest > _DOUBT)
    chosen[outside] = False
    # A mesh is all holes, and its smallest ones are never quite clear.
    if chosen.sum() > _MESH:
        return levels
    found = levels.copy()
    found[window][chosen[holes]] = 255
    return found


def _deep(product: Bools) -> Bools:
    """Inside the outer outline, the soft rim along it left out."""
    from scipy.ndimage import binary_erosion, binary_fill_holes

    return np.asarray(binary_erosion(binary_fill_holes(product), _EIGHT, iterations=_RIM, border_value=1))


def grown(levels: Bytes, pixels: float) -> Bytes:
    """The product's outline moved outwards by `pixels` (inwards where negative); its soft rim moves along."""
    from scipy.ndimage import distance_transform_edt, map_coordinates

    if pixels < 0:
        return np.asarray(255 - grown(255 - levels, -pixels), dtype=np.uint8)
    product = levels >= _HALF
    if not product.any() or product.all():
        return levels
    here = np.indices(levels.shape, dtype=np.float32)
    far, inwards = distance_transform_edt(~product, return_indices=True)
    deep, outwards = distance_transform_edt(product, return_indices=True)
    # Each pixel shows what lies `pixels` nearer to the product's middle, along the way to the nearest pixel over there.
    way = np.where(product, here - outwards, inwards - here) / np.maximum(np.where(product, deep, far), 1)
    moved = map_coordinates(levels.astype(np.float32), here + way * pixels, order=1, mode="nearest")
    return np.asarray(np.maximum(levels, np.rint(moved)), dtype=np.uint8)


def flush(levels: Bytes) -> Bytes:
    """A product that the frame cuts is opaque up to the frame: networks fade out over the last pixels.

    Where the frame's own pixel is at least faintly product and the product is opaque a few pixels inwards, that goes
    on to the frame.
    """
    found = levels.copy()
    for side in (found, found[::-1], found.T, found.T[::-1]):
        if len(side) > _FADES:
            inner = side[_FADES]
            cut = (inner == 255) & (side[:_FADES] >= _FAINTLY).all(0)
            side[:_FADES, cut] = 255
    return found


def feathered(levels: Bytes, pixels: float) -> Bytes:
    """The rim softened to about `pixels` on either side; at the frame the product goes on, so it stays opaque there."""
    from scipy.ndimage import gaussian_filter

    soft = gaussian_filter(levels.astype(np.float32), pixels / 2, mode="nearest", truncate=3)
    return np.asarray(np.rint(soft), dtype=np.uint8)
