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
# Blur fusion on a picture reduced by this factor, from means that reach beyond the widest rim on, and then on its own
# pixels, which bring the detail back. Radii in pixels of each. Measured: measurements/cutouts.md.
_SMALLER, _WIDE, _COARSE, _NARROW = 4, 12, (4, 2), (2, 1)
_TINY = 1e-5
# Rows that are reduced at once, so that they stay in a processor's cache.
_STRIP = 64


def snap_alpha(levels: Bytes, *, haze: bool = False) -> Bytes:
    """Snap alpha (H, W) to exactly 0 outside and exactly 255 in the core.

    `haze`: also remove faint alpha that is not near the product (alpha of 128 or more).
    """
    snapped = np.asarray(load_opencv().LUT(levels, _SNAPPED))
    if haze and (faint := (snapped > 0) & (snapped <= _HAZE)).any():
        window = bounding_window(faint, _NEAR)
        part = snapped[window]
        part[faint[window] & ~dilate(part >= 128, _NEAR)] = 0
    return snapped


def estimate_foreground(pixels: Bytes, levels: Bytes) -> Bytes:
    """Estimate the product's own colours: remove the background from the soft rim.

    Blur fusion (Forte, "Approximate Fast Foreground Colour Estimation", ICIP 2021) from coarse to fine: the colours of
    both sides are means weighted with alpha, and the residual of a pixel is added to both. Opaque pixels keep their
    colour exactly. `pixels` are sRGB values, not linear light: viewers and generators mix those.
    """
    cv2, soft = load_opencv(), (levels > 0) & (levels < 255)
    if not soft.any():
        return pixels
    colours, window = pixels.copy(), bounding_window(soft, _SMALLER * _WIDE)
    pixels, levels, soft, target = pixels[window], levels[window], soft[window], colours[window]
    sides, flags = _estimate_sides(pixels, levels), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP

    def write(inner: Window, outer: Window, part: Window) -> None:
        picture, alpha = pixels[outer].astype(np.float32), levels[outer].astype(np.float32) / np.float32(255)
        corner = [(edge.start + 0.5) / _SMALLER - 0.5 for edge in (outer[1], outer[0])]
        enlarge = np.array([[1 / _SMALLER, 0, corner[0]], [0, 1 / _SMALLER, corner[1]]])
        product, background = (
            cv2.warpAffine(side, enlarge, alpha.shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)
            for side in sides
        )
        product, _ = _fuse(picture, product, background, alpha, _NARROW)
        np.copyto(target[inner], cv2.convertScaleAbs(product[part]), where=soft[inner][..., None])

    visit_tiles(soft, sum(_NARROW), write)
    return colours


def _fuse(
    picture: Floats, product: Floats, background: Floats, levels: Floats, radii: tuple[int, ...]
) -> tuple[Floats, Floats]:
    """Picture, product, background (H, W, 3 each), alpha (H, W) -> better colours of product and background."""
    cv2 = load_opencv()
    alpha = cv2.merge([levels] * 3)
    rest = 1 - alpha

    def correct(colour: Floats, share: Floats) -> Floats:
        excess = product - background  # of their mixture over the picture
        excess *= alpha
        excess += background
        excess -= picture
        excess *= share
        np.subtract(colour, excess, out=excess)
        return np.clip(excess, 0, 255, out=excess)

    for radius in radii:
        share = cv2.merge([box_blur(levels, radius)] * 3)
        product = correct(product, alpha)
        product *= alpha
        product = box_blur(product, radius) / (share + _TINY)
        background = box_blur(background * rest, radius) / (1 - share + _TINY)
        background = correct(background, rest)
    return correct(product, alpha), background


def _estimate_sides(pixels: Bytes, levels: Bytes) -> tuple[Floats, Floats]:
    """Colours of the product and of the background around each pixel, on a reduced picture."""
    strips = [_reduce(pixels[row : row + _STRIP], levels[row : row + _STRIP]) for row in range(0, len(levels), _STRIP)]
    picture, product, share = (np.concatenate(planes) for planes in zip(*strips, strict=True))
    # Where one side is not in the window, the mean of the picture is better than black.
    share /= 255
    mean_of, sides = load_opencv().mean, []
    for colours, weight in ((product, share), (picture - product, 1 - share)):
        mean, total = (
            box_blur(plane, _WIDE) + np.float32(_TINY) * np.float32(mean_of(plane)[:3]) for plane in (colours, weight)
        )
        sides.append(mean / (total + _TINY**2))
    product, background = sides
    return _fuse(picture, product, background, share[..., 0], _COARSE)


def _reduce(pixels: Bytes, levels: Bytes) -> tuple[Floats, ...]:
    """Reduce a strip's picture, the same times alpha, and alpha in three channels (levels)."""
    cv2 = load_opencv()
    beyond = 0, -len(levels) % _SMALLER, 0, -levels.shape[1] % _SMALLER
    picture, share = (
        cv2.copyMakeBorder(plane, *beyond, cv2.BORDER_REPLICATE) for plane in (pixels, cv2.merge([levels] * 3))
    )
    planes = picture, cv2.multiply(picture, share, scale=1 / 255), share
    return tuple(
        cv2.resize(plane, None, fx=1 / _SMALLER, fy=1 / _SMALLER, interpolation=cv2.INTER_AREA).astype(np.float32)
        for plane in planes
    )
