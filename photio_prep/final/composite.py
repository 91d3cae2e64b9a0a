"""Composite the photo's product onto a generated scene.

Work is done in bands of rows, around the product only: a photo of 24 MP needs less than 1 GB.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image

from photio_prep.cutout.foreground import estimate_foreground
from photio_prep.final.crop import scale_pixels
from photio_prep.final.glass import Glass, Studio, find_studio
from photio_prep.final.upsample_alpha import AlphaUpsampler
from photio_prep.imaging.filters import Bools, Bytes, Window, gaussian_blur, load_opencv, local_minimum

# Pixels in a band of rows, and rows of context around it.
_BAND, _AROUND = 4_000_000, 96
# Sigma in pixels of the answer that separates light (slower) from detail (faster); levels added before the ratio.
_LIGHT, _DARK = 8.0, 2.0


class Composite(NamedTuple):
    """The final's pixels, and figures for the proof.

    `core`: opaque pixels of the product; `equal`: those identical to the photo's; `soft`: pixels of the seam;
    `outline`: its length in pixels; `box`: of the product (left, top, right, bottom).
    """

    image: Image.Image
    core: int
    equal: int
    soft: int
    outline: int
    box: tuple[int, int, int, int]


class _Band(NamedTuple):
    """Rows and columns of a band; the photo's pixels there, the product's colours, its alpha and its glass."""

    window: Window
    pixels: Bytes
    colours: Bytes
    alpha: Bytes
    glass: Glass | None


class ProductLayer(NamedTuple):
    """The photo's product at the size of the final: the photo (RGB), the cutout's alpha (L, smaller), the bands."""

    view: Image.Image
    mask: Image.Image
    bands: list[_Band]

    def picture(self) -> Image.Image:
        """The product alone (RGBA)."""
        out = np.zeros((self.view.height, self.view.width, 4), np.uint8)
        for band in self.bands:
            out[band.window] = np.dstack((band.colours, band.alpha))
        out[out[..., 3] == 0] = 0
        return Image.fromarray(out)


def build_layer(
    view: Image.Image,
    mask: Image.Image,
    *,
    pure: bool = False,
    alpha: Image.Image | None = None,
    drawn: bool = False,
) -> ProductLayer:
    """Cut the product out of a photo at the size of the final.

    Args:
        view: The photo (RGB).
        mask: The product's alpha (L) at the canvas's scale.
        pure: The view's colours are the product's own, because the photo came as a cutout.
        alpha: The product's alpha at the view's size; None enlarges the mask.
        drawn: The mask is the user's: where it is half transparent, so is the product. Networks err there.
    """
    studio = find_studio(view, mask) if drawn else None
    return ProductLayer(view, mask, list(_iter_bands(view, mask, alpha, studio, pure=pure)))


def composite_product(
    answer: Image.Image,
    scene: Image.Image,
    layer: ProductLayer,
    product: Literal["generated", "detail", "original"],
    *,
    moved: tuple[float, float] = (0.0, 0.0),
) -> Composite:
    """Composite the photo's product onto the answer's scene.

    Args:
        answer: The photo's frame in the answer (RGB), at its own scale.
        scene: The same without its product; not used for "generated".
        layer: The photo's product at the size of the final.
        product: "original" uses the photo's pixels, "detail" those in the answer's light; "generated" keeps the
            answer's and only compares.
        moved: Shift of the product in the answer, right and down, as shares of the frame's width and height.
    """
    size, light = layer.view.size, None
    offset = round(moved[0] * size[0]), round(moved[1] * size[1])
    out = scale_pixels(answer if product == "generated" else scene, size)
    if product == "detail":
        mask = move_picture(layer.mask.resize(answer.size, Image.Resampling.BICUBIC), moved)
        light = _light_change(answer, move_picture(layer.view.resize(answer.size, Image.Resampling.BOX), moved), mask)
    core = equal = soft = outline = 0
    corners = []
    for band in layer.bands:
        target, part = _clip_window(band.window, offset, size)
        share, pixels, shown = band.alpha[part], band.pixels[part], out[target]
        if not share.size:
            continue
        if product != "generated":
            colours = band.colours[part]
            glass = band.glass and band.glass.cut(part)
            if light is not None:
                colours = _relight(colours, light, target, size)
                glass = glass and glass._replace(added=_relight(glass.added, light, target, size))
            _paste(shown, colours, share, glass)
        left, top, width, height = load_opencv().boundingRect(np.ascontiguousarray(share))
        left, top = left + target[1].start, top + target[0].start
        corners += [(left, top), (left + width, top + height)] if width else []
        solid, half = share == 255, share >= 128
        core += _count(solid)
        equal += _count_equal(shown, pixels, solid)
        soft += _count(share > 0) - _count(solid)
        outline += _count(half[1:] != half[:-1]) + _count(half[:, 1:] != half[:, :-1])
    # A line at any slope crosses 4/pi times as many pixel edges as it is long.
    across, down = zip(*corners, strict=True) if corners else ((0,), (0,))
    box = min(across), min(down), max(across), max(down)
    return Composite(Image.fromarray(out), core, equal, soft, round(outline * np.pi / 4), box)


def _iter_bands(
    view: Image.Image, mask: Image.Image, alpha: Image.Image | None, studio: Studio | None, *, pure: bool
) -> Iterator[_Band]:
    """Yield the bands of the photo's product; arguments as of `build_layer`."""
    upsampled = AlphaUpsampler(mask, view.size)
    left, first, right, last = upsampled.extent if alpha is None else alpha.getbbox() or (0, 0, 0, 0)
    rows = max(64, _BAND // max(1, right - left))
    start, end = max(left - _AROUND, 0), min(right + _AROUND, view.width)
    for top in range(first, last, rows):
        bottom = min(top + rows, last)
        above, below = max(top - _AROUND, 0), min(bottom + _AROUND, view.height)
        box = (start, above, end, below)
        pixels = np.asarray(view.crop(box))
        levels = upsampled.refine(box, pixels) if alpha is None else np.asarray(alpha.crop(box))
        colours = pixels if pure else estimate_foreground(pixels, levels)
        part = slice(top - above, bottom - above), slice(left - start, right - start)
        window = slice(top, bottom), slice(left, right)
        glass = studio and studio.split(box, view.size, pixels, levels)
        yield _Band(window, pixels[part], colours[part], levels[part], glass and glass.cut(part))


def _clip_window(window: Window, offset: tuple[int, int], size: tuple[int, int]) -> tuple[Window, Window]:
    """A window moved by `offset` and cut to the picture, and the part of it that is left; empty if outside."""
    target, part = [], []
    for span, by, most in zip(window, offset[::-1], size[::-1], strict=True):
        first, last = min(max(span.start + by, 0), most), max(min(span.stop + by, most), 0)
        target.append(slice(first, max(first, last)))
        part.append(slice(first - by - span.start, max(first, last) - by - span.start))
    return (target[0], target[1]), (part[0], part[1])


def _paste(target: Bytes, colours: Bytes, alpha: Bytes, glass: Glass | None) -> None:
    """Paste colours (H, W, 3) by alpha (H, W), but for glass: rounded, and exact where alpha is 0 or 255."""
    if glass:
        glass.lay_over(target)
    solid = (alpha == 255).view(np.uint8)
    load_opencv().copyTo(np.ascontiguousarray(colours), solid, target)
    soft = (alpha > 0) & (alpha < 255)
    if glass:
        soft &= ~glass.where
    share = alpha[soft].astype(np.int32)[:, None]
    mixed = share * colours[soft] + (255 - share) * target[soft]
    target[soft] = (mixed + 127) // 255


def _count(where: Bools) -> int:
    return int(np.count_nonzero(where))


def _count_equal(one: Bytes, other: Bytes, where: Bools) -> int:
    """Number of pixels (H, W, 3) in `where` that are identical."""
    cv2 = load_opencv()
    if cv2.norm(one, other, cv2.NORM_INF, where.view(np.uint8)) == 0:
        return _count(where)
    red, green, blue = (one == other).transpose(2, 0, 1)
    return _count(where & red & green & blue)


def _relight(colours: Bytes, light: list[Image.Image], target: Window, size: tuple[int, int]) -> Bytes:
    rows, columns = target
    width, height = size
    across, down = light[0].width / width, light[0].height / height
    box = (columns.start * across, rows.start * down, columns.stop * across, rows.stop * down)
    target_size = (columns.stop - columns.start, rows.stop - rows.start)
    ratio = np.stack(
        [np.asarray(plane.resize(target_size, Image.Resampling.BILINEAR, box=box)) for plane in light], axis=-1
    )
    return np.asarray(np.rint(np.clip((colours + _DARK) * ratio - _DARK, 0, 255)), dtype=np.uint8)


def _light_change(answer: Image.Image, small: Image.Image, mask: Image.Image) -> list[Image.Image]:
    """Smooth ratio of light between answer and photo: three planes."""
    share = np.asarray(mask, dtype=np.float32) / np.float32(255)
    # At the rim the answer includes the scene, so the rim counts only for products without an inside.
    weight = local_minimum(share, 2) ** 8 + np.float32(1e-4) * share**8
    lit, own = (
        gaussian_blur((np.asarray(picture, dtype=np.float32) + _DARK) * weight[..., None], _LIGHT)
        for picture in (answer, small)
    )
    tiny = np.float32(1e-6)
    return [Image.fromarray((lit[..., channel] + tiny) / (own[..., channel] + tiny)) for channel in range(3)]


def move_picture(picture: Image.Image, moved: tuple[float, float]) -> Image.Image:
    """Move a picture by shares of its width and height; the uncovered edge is empty."""
    right, down = moved[0] * picture.width, moved[1] * picture.height
    if right == 0 and down == 0:
        return picture
    data = (1.0, 0.0, -right, 0.0, 1.0, -down)
    return picture.transform(picture.size, Image.Transform.AFFINE, data, Image.Resampling.BICUBIC)
