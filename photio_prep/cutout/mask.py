"""Mask options applied to alpha: specks, holes, growth, feather."""

import numpy as np
from numpy.typing import NDArray

from photio_prep.cutout.options import CutoutOptions
from photio_prep.cutout.refine import bounding_window

Bytes = NDArray[np.uint8]

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
_EIGHT = np.ones((3, 3), dtype=bool)


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
    from scipy.ndimage import label

    visible = levels >= _FAINT
    if not share or not visible.any():
        return levels
    window = bounding_window(visible, 0)
    parts, count = label(visible[window], _EIGHT)
    if count < 2:
        return levels
    areas = np.bincount(parts[levels[window] >= _HALF], minlength=count + 1)
    areas[0] = 0
    if not areas.any():
        return levels
    is_kept = areas >= max(1, share * areas.max())
    # The faint rim around a speck is removed with it.
    is_kept[0] = True
    alpha = levels.copy()
    alpha[window][~is_kept[parts]] = 0
    return _remove_detached(alpha)


def _remove_detached(levels: Bytes) -> Bytes:
    """Remove faint remains that do not touch the product."""
    from scipy.ndimage import label

    window = bounding_window(levels > 0, 0)
    part = levels[window]
    parts, count = label(part > 0, _EIGHT)
    if count < 2:
        return levels
    is_product = np.zeros(count + 1, dtype=bool)
    is_product[parts[part >= _HALF]] = True
    alpha = levels.copy()
    alpha[window][~is_product[parts]] = 0
    return alpha


def fill_holes(levels: Bytes, *, pinholes_only: bool) -> Bytes:
    """Make holes in the product opaque: all of them, or only pinholes. A gap that reaches the frame is not a hole."""
    from scipy.ndimage import binary_erosion, binary_fill_holes, label, minimum

    product = levels >= _HALF
    if not pinholes_only:
        inner = binary_erosion(binary_fill_holes(product), _EIGHT, iterations=_RIM, border_value=1)
        return np.where(inner, np.uint8(255), levels)
    if not product.any():
        return levels
    window = bounding_window(product, 0)
    holes, count = label(~product[window])
    outside = np.zeros(count + 1, dtype=bool)
    outside[np.concatenate((holes[0], holes[-1], holes[:, 0], holes[:, -1]))] = True
    outside[0] = True
    if outside.all():
        return levels
    areas = np.bincount(holes.ravel(), minlength=count + 1)
    # A real hole is transparent somewhere.
    deepest = np.concatenate(([0], minimum(levels[window], holes, np.arange(1, count + 1))))
    is_pinhole = (areas <= min(_PINHOLE_PIXELS, _PINHOLE * product.sum())) & (deepest > _DOUBT)
    is_pinhole[outside] = False
    # The smallest holes of a mesh are never quite transparent.
    if is_pinhole.sum() > _MESH:
        return levels
    alpha = levels.copy()
    alpha[window][is_pinhole[holes]] = 255
    return alpha


def grow(levels: Bytes, pixels: float) -> Bytes:
    """Move the outline outwards by `pixels` (inwards if negative), with its soft rim."""
    from scipy.ndimage import distance_transform_edt, map_coordinates

    if pixels < 0:
        return np.asarray(255 - grow(255 - levels, -pixels), dtype=np.uint8)
    product = levels >= _HALF
    if not product.any() or product.all():
        return levels
    here = np.indices(levels.shape, dtype=np.float32)
    distance_outside, inwards = distance_transform_edt(~product, return_indices=True)
    distance_inside, outwards = distance_transform_edt(product, return_indices=True)
    # Each pixel samples the alpha `pixels` further inwards, along the line to the nearest pixel across the outline.
    direction = np.where(product, here - outwards, inwards - here) / np.maximum(
        np.where(product, distance_inside, distance_outside), 1
    )
    moved = map_coordinates(levels.astype(np.float32), here + direction * pixels, order=1, mode="nearest")
    return np.asarray(np.maximum(levels, np.rint(moved)), dtype=np.uint8)


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
    from scipy.ndimage import gaussian_filter

    soft = gaussian_filter(levels.astype(np.float32), pixels / 2, mode="nearest", truncate=3)
    return np.asarray(np.rint(soft), dtype=np.uint8)
