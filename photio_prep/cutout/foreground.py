"""Foreground colours of a cutout's soft rim, and alpha without haze."""

import numpy as np

from photio_prep.imaging.filters import (
    Bytes,
    Floats,
    Window,
    bounding_window,
    box_blur,
    dilate,
    load_opencv,
    visit_tiles,
)

# Resampling overshoots by a level or two: below this is 0, within as much of 255 is opaque.
_SNAP = 4
_SNAPPED = np.array([0 if level < _SNAP else 255 if level > 255 - _SNAP else level for level in range(256)], np.uint8)
# Alpha up to this level is haze unless the product itself is near: 8 px to each side is less than 12 px diagonally.
_HAZE = 8
_NEAR = 8
# Passes of the blur fusion. The wide one reaches beyond the widest rim, on a picture reduced by this factor; the narrow
# ones (radii) bring the detail back. Measured: measurements/cutouts.md.
_SMALLER, _WIDE, _NARROW = 8, 6, (8, 3, 1)
_TINY = 1e-5
# Rows that are reduced at once, so that they stay in a processor's cache.
_STRIP = 64


def snap_alpha(levels: Bytes, *, haze: bool = False) -> Bytes:
    """Snap alpha (H, W) to exactly 0 outside and exactly 255 in the core.

    `haze`: also remove faint alpha that is not near the product (alpha of 128 or more).
    """
    snapped = np.asarray(load_opencv().LUT(levels, _SNAPPED))
    if haze and (faint := (snapped > 0) & (snapped <= _HAZE)).any():
        snapped[faint & ~dilate(snapped >= 128, _NEAR)] = 0
    return snapped


def estimate_foreground(pixels: Bytes, levels: Bytes) -> Bytes:
    """Estimate the product's own colours: remove the background from the soft rim.

    Blur fusion (Forte, "Approximate Fast Foreground Colour Estimation", ICIP 2021) from coarse to fine: the colours of
    both sides are means weighted with alpha, and the residual of a pixel is added to both. Opaque pixels keep their
    colour exactly. `pixels` are sRGB values, not linear light: viewers and generators mix those.
    """
    soft = (levels > 0) & (levels < 255)
    if not soft.any():
        return pixels
    cv2, colours = load_opencv(), pixels.copy()
    window = bounding_window(soft, _SMALLER * _WIDE)
    pixels, levels, soft, target = pixels[window], levels[window], soft[window], colours[window]
    sides, flags = _mean_sides(pixels, levels), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP

    def write(inner: Window, outer: Window, part: Window) -> None:
        picture = pixels[outer].astype(np.float32)
        alpha = levels[outer].astype(np.float32) / np.float32(255)
        corner = [(edge.start + 0.5) / _SMALLER - 0.5 for edge in (outer[1], outer[0])]
        enlarge = np.array([[1 / _SMALLER, 0, corner[0]], [0, 1 / _SMALLER, corner[1]]])
        product, background = (
            cv2.warpAffine(side, enlarge, alpha.shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)
            for side in sides
        )
        estimate = _fuse(picture, product, background, alpha)
        where = soft[inner]
        target[inner][where] = np.rint(estimate[part][where]).astype(np.uint8)

    visit_tiles(soft, sum(_NARROW), write)
    return colours


def _fuse(picture: Floats, product: Floats, background: Floats, levels: Floats) -> Floats:
    """Picture, product and background colour (H, W, 3 each), alpha (H, W) -> product colour."""
    cv2 = load_opencv()
    alpha = cv2.merge([levels] * 3)
    rest = 1 - alpha

    def correct(colour: Floats, share: Floats) -> Floats:
        residual = picture - alpha * product - rest * background
        return np.asarray(np.clip(colour + share * residual, 0, 255), dtype=np.float32)

    for radius in _NARROW:
        share = cv2.merge([box_blur(levels, radius)] * 3)
        product = correct(product, alpha)
        product = box_blur(product * alpha, radius) / (share + _TINY)
        background = box_blur(background * rest, radius) / (1 - share + _TINY)
        background = correct(background, rest)
    return correct(product, alpha)


def _mean_sides(pixels: Bytes, levels: Bytes) -> tuple[Floats, Floats]:
    """Mean colours of the product and of the background around each pixel, on a reduced picture."""
    cv2 = load_opencv()
    strips = []
    for first in range(0, len(levels), _STRIP):
        colours, alpha = pixels[first : first + _STRIP].astype(np.float32), levels[first : first + _STRIP]
        beyond = 0, -len(alpha) % _SMALLER, 0, -alpha.shape[1] % _SMALLER
        share = cv2.merge([alpha.astype(np.float32) / np.float32(255)] * 3)
        planes = (
            cv2.copyMakeBorder(plane, *beyond, cv2.BORDER_REPLICATE) for plane in (colours, colours * share, share)
        )
        reduced = (
            cv2.resize(plane, None, fx=1 / _SMALLER, fy=1 / _SMALLER, interpolation=cv2.INTER_AREA) for plane in planes
        )
        strips.append(np.dstack(list(reduced)))
    small = np.concatenate(strips)
    totals, products, share = small[..., :3], small[..., 3:6], small[..., 6:7]
    small = np.dstack((products, totals - products, share))
    # Where one side is not in the window, the mean of the picture is better than black.
    means = box_blur(small, _WIDE) + _TINY * small.mean((0, 1))
    share = means[..., 6:]
    return means[..., :3] / (share + _TINY**2), means[..., 3:6] / (1 + _TINY - share + _TINY**2)
