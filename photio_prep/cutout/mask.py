"""Mask options applied to alpha: specks, holes, growth, feather."""

import numpy as np

from photio_prep.cutout.options import CutoutOptions
from photio_prep.imaging.filters import (
    Bytes,
    bounding_window,
    gaussian_blur,
    label_parts,
    load_opencv,
    local_minimum,
    measure_parts,
)

# Alpha from which a pixel is product.
_HALF = 128
# Alpha from which pixels connect parts: a faint shadow must not join a speck to the product.
_FAINT = 16
# A pinhole: below this share of the product's area, of at most so many pixels, with alpha above _DOUBT everywhere.
# More than _MESH of them are a mesh.
_PINHOLE, _PINHOLE_PIXELS, _DOUBT, _MESH = 0.0005, 64, 64, 8
# Networks fade out over so many pixels at the frame; from this alpha on those are product.
_FADES, _FAINTLY = 4, 64
# Width in pixels of the soft rim along the outer outline.
_RIM = 3


def apply_mask_options(levels: Bytes, options: CutoutOptions) -> Bytes:
    """Apply the options to alpha (H, W): specks, holes, growth, feather, in this order."""
    alpha = remove_specks(levels, options.specks)
    if options.holes != "keep":
        alpha = fill_holes(alpha, pinholes_only=options.holes == "auto")
    if options.grow:
        alpha = grow(alpha, options.grow)
    if options.feather:
        alpha = feather(alpha, options.feather)
    return alpha


def remove_specks(levels: Bytes, share: float) -> Bytes:
    """Remove parts whose half-opaque area is less than `share` of the largest part's.

    A part that is soft everywhere has no such area. It is removed too, unless all parts are soft.
    """
    visible = levels >= _FAINT
    if not share or not visible.any():
        return levels
    window = bounding_window(visible, 0)
    count, parts = label_parts(visible[window], diagonal=True)
    if count < 2:
        return levels
    areas = np.bincount(parts[levels[window] >= _HALF], minlength=count + 1)
    areas[0] = 0
    if not areas.any():
        return levels
    is_kept = areas >= max(1, share * areas.max())
    # The faint rim around a speck is removed with it.
    is_kept[0] = True
    if is_kept.all():
        return _remove_detached(levels)
    alpha = levels.copy()
    alpha[window][~is_kept[parts]] = 0
    return _remove_detached(alpha)


def _remove_detached(levels: Bytes) -> Bytes:
    """Remove faint remains that do not touch the product."""
    window = bounding_window(levels > 0, 0)
    count, parts = label_parts(levels[window] > 0, diagonal=True)
    if count < 2:
        return levels
    is_product = np.zeros(count + 1, dtype=bool)
    is_product[parts[levels[window] >= _HALF]] = True
    alpha = levels.copy()
    alpha[window][~is_product[parts]] = 0
    return alpha


def fill_holes(levels: Bytes, *, pinholes_only: bool) -> Bytes:
    """Make holes in the product opaque: all of them, or only pinholes. A gap that reaches the frame is not a hole."""
    product = levels >= _HALF
    if not product.any():
        return levels
    alpha, box = levels.copy(), bounding_window(product, 1)
    product, levels = product[box], alpha[box]
    labels, boxes = measure_parts(~product, diagonal=False)
    left, top, width, height, area = boxes.T
    right, bottom = left + width, top + height
    is_hole = (left > 0) & (top > 0) & (right < levels.shape[1]) & (bottom < levels.shape[0])
    if not pinholes_only:
        closed = product | np.concatenate(([False], is_hole))[labels]
        # Without the soft rim along the outer outline.
        inner = local_minimum(closed.view(np.uint8), _RIM).view(np.bool_)
        levels[inner] = 255
        return alpha
    pinholes = []
    for part in np.flatnonzero(is_hole & (area <= min(_PINHOLE_PIXELS, _PINHOLE * np.count_nonzero(product)))):
        window = slice(top[part], bottom[part]), slice(left[part], right[part])
        pixels = labels[window] == part + 1
        # A real hole is transparent somewhere.
        if levels[window][pixels].min() > _DOUBT:
            pinholes.append((window, pixels))
    # The smallest holes of a mesh are never quite transparent.
    for window, pixels in pinholes if len(pinholes) <= _MESH else ():
        levels[window][pixels] = 255
    return alpha


def grow(levels: Bytes, pixels: float) -> Bytes:
    """Move the outline outwards by `pixels` (inwards if negative), with its soft rim."""
    if pixels < 0:
        return 255 - grow(255 - levels, -pixels)
    radius = int(pixels)
    less, more = (_dilate_by_disc(levels, reach).astype(np.float32) for reach in (radius, radius + 1))
    return np.asarray(np.rint(less + (pixels - radius) * (more - less)), dtype=np.uint8)


def _dilate_by_disc(levels: Bytes, radius: int) -> Bytes:
    distance = np.hypot(*np.indices((2 * radius + 1, 2 * radius + 1)) - radius)
    return np.asarray(load_opencv().dilate(levels, (distance <= radius).astype(np.uint8)))


def extend_to_frame(levels: Bytes) -> Bytes:
    """Make a product that the frame cuts opaque up to the frame: networks fade out over the last pixels.

    Applies where the last pixels are at least faintly product, and the pixel inside of them is opaque.
    """
    alpha = levels.copy()
    for side in (alpha, alpha[::-1], alpha.T, alpha.T[::-1]):
        if len(side) > _FADES:
            inner = side[_FADES]
            cut = (inner == 255) & (side[:_FADES] >= _FAINTLY).all(0)
            side[:_FADES, cut] = 255
    return alpha


def feather(levels: Bytes, pixels: float) -> Bytes:
    """Soften the rim to about `pixels` on either side; at the frame the product stays opaque."""
    return np.asarray(np.rint(gaussian_blur(levels.astype(np.float32), pixels / 2)), dtype=np.uint8)
