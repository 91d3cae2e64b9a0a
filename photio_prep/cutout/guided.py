"""Guided filter: a plane follows the colours of a picture."""

import numpy as np

from photio_prep.imaging.filters import Bools, Bytes, Floats, Window, box_blur, load_opencv, visit_tiles


def guided_filter_tiles(
    busy: Bools, pixels: Bytes, alpha: Floats, radius: int, eps: float, after: tuple[float, float]
) -> Floats:
    """Filter `alpha` (0..1), guided by the picture (sRGB), in tiles around the `busy` pixels, and stretch it there."""
    filtered, planes = alpha.copy(), [*pixels.transpose(2, 0, 1), alpha]

    def write(inner: Window, outer: Window, part: Window) -> None:
        # Colours stay 0..255; the scaled epsilon gives the same result.
        tile = guided_filter([plane[outer].astype(np.float32) for plane in planes], radius, eps * 255**2)
        filtered[inner] = ramp(tile[part], *after)

    visit_tiles(busy, 2 * radius, write)
    return filtered


def ramp(belief: Floats, low: float, high: float) -> Floats:
    """Linear ramp: 0 up to `low`, 1 from `high` on."""
    share = np.subtract(belief, low, dtype=np.float32)
    share /= high - low
    return np.clip(share, 0, 1, out=share)


def guided_filter(planes: list[Floats], radius: int, eps: float) -> Floats:
    """Guided filter with a colour guide: `planes` are three of the guide, and the filtered one.

    `eps` is added to the variance of each channel.
    """
    slope_r, slope_g, slope_b, offset = _fit_guide(planes, radius, eps)
    red, green, blue, _ = planes
    return np.asarray(slope_r * red + slope_g * green + slope_b * blue + offset)


def fit_guide_small(pixels: Bytes, alpha: Floats, radius: int, eps: float, shrink: int) -> list[Floats]:
    """Fit the same over a wide radius, in a picture `shrink` times smaller; `apply_guide` takes the result.

    He, Sun: Fast Guided Filter, arXiv 1505.00996. `pixels` are sRGB; `alpha` 0..1.
    """
    cv2 = load_opencv()
    height, width = alpha.shape
    size = max(1, width // shrink), max(1, height // shrink)
    guide, small = (cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in (pixels, alpha))
    return _fit_guide([*cv2.split(guide.astype(np.float32)), small], max(1, radius // shrink), eps * 255**2)


def apply_guide(fitted: list[Floats], pixels: Bytes) -> Floats:
    """The filtered plane at the size of `pixels`, not clipped."""
    cv2 = load_opencv()
    *slopes, mixed = (cv2.resize(plane, pixels.shape[1::-1]) for plane in fitted)
    for slope, channel in zip(slopes, cv2.split(pixels), strict=True):
        slope *= channel
        mixed += slope
    return np.asarray(mixed)


def _fit_guide(planes: list[Floats], radius: int, eps: float) -> list[Floats]:
    """Slope of each channel, and offset (He, Sun, Tang: Guided Image Filtering, TPAMI 2013, equations 14 to 16)."""
    red, green, blue, alpha = planes
    r, g, b, share = (box_blur(plane, radius) for plane in planes)
    rr, gg, bb = (
        box_blur(plane * plane, radius) - mean * mean + eps for plane, mean in ((red, r), (green, g), (blue, b))
    )
    rg = box_blur(red * green, radius) - r * g
    rb = box_blur(red * blue, radius) - r * b
    gb = box_blur(green * blue, radius) - g * b
    with_r, with_g, with_b = (
        box_blur(plane * alpha, radius) - mean * share for plane, mean in ((red, r), (green, g), (blue, b))
    )
    # The symmetric 3 x 3 system, by elimination.
    g_by_r, b_by_r = rg / rr, rb / rr
    gg, gb, bb = gg - g_by_r * rg, gb - g_by_r * rb, bb - b_by_r * rb
    with_g, with_b = with_g - g_by_r * with_r, with_b - b_by_r * with_r
    b_by_g = gb / gg
    slope_b = (with_b - b_by_g * with_g) / (bb - b_by_g * gb)
    slope_g = (with_g - gb * slope_b) / gg
    slope_r = (with_r - rg * slope_g - rb * slope_b) / rr
    offset = share - slope_r * r - slope_g * g - slope_b * b
    return [box_blur(plane, radius) for plane in (slope_r, slope_g, slope_b, offset)]
