"""Restore the photo's product in the generated scene.

Large pictures are processed in bands of rows: a photo of 24 MP needs less than 1 GB.
"""

import math
from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photio_prep.cutout.foreground import estimate_foreground
from photio_prep.final.drift import Comparison
from photio_prep.final.outline import cover_of
from photio_prep.final.profiles import SOFT
from photio_prep.final.upsample_alpha import AlphaUpsampler
from photio_prep.imaging.filters import Bools, Floats, gaussian_blur, load_opencv, local_maximum, local_minimum

Bytes = NDArray[np.uint8]

# Pixels in a band of rows, and rows of context around it.
_BAND, _AROUND = 2_000_000, 96
# Coverage of a pixel by the answer's product: from the first on it is product; up to the second the scene is unmixed
# below a soft edge; up to the third (twice that in a rough scene) it is scene beside an outline that moved.
_PRODUCT, _UNMIXED, _FAINT = 0.02, 0.8, 0.12
# Sigma in pixels of the answer that separates light (slower) from detail (faster); levels added before the ratio.
_LIGHT, _DARK = 8.0, 2.0
_TINY = 1e-4


class Composite(NamedTuple):
    """The final's pixels, and figures for the proof.

    `core`: opaque pixels of the product; `equal`: those identical to the photo's; `soft`: pixels of the seam;
    `outline`: its length in pixels.
    """

    image: Image.Image
    core: int
    equal: int
    soft: int
    outline: int


def composite_product(
    answer: Image.Image,
    scene: Image.Image,
    view: Image.Image,
    cutout: Image.Image,
    product: Literal["generated", "detail", "original"],
    *,
    size: tuple[int, int],
    moved: tuple[float, float] = (0.0, 0.0),
    pure: bool = False,
    alpha: Image.Image | None = None,
) -> Composite:
    """Composite the photo's product onto the answer's scene.

    Args:
        answer: The photo's frame in the answer (RGB), at its own scale.
        scene: The same without its product; not used for "generated".
        view: The photo (RGB) at `size`.
        cutout: The product (RGBA) at the canvas's scale.
        product: "original" uses the photo's pixels, "detail" those in the answer's light; "generated" keeps the
            answer's and only compares.
        size: Of the final.
        moved: Shift of the product in the answer, right and down, as shares of the frame's width and height.
        pure: The view's colours are the product's own, because the photo came as a cutout.
        alpha: The product's alpha at `size`; None enlarges the cutout's.
    """
    offset = round(moved[0] * size[0]), round(moved[1] * size[1])
    light = None
    out = answer if product == "generated" else scene
    out = out if out.size == size else out.resize(size, Image.Resampling.LANCZOS)
    if product == "detail":
        mask = _move(cutout.getchannel("A").resize(answer.size, Image.Resampling.BICUBIC), moved)
        light = _light_change(answer, _move(view.resize(answer.size, Image.Resampling.BOX), moved), mask)
    core = equal = soft = outline = 0
    for first, last, colours, levels, pixels in _iter_bands(
        view, AlphaUpsampler(cutout.getchannel("A"), size), alpha, pure=pure
    ):
        here = _clip_band(first, last, offset, size)
        if here is None:
            continue
        (rows, columns), part = here
        share = levels[part]
        if product != "generated":
            above = colours[part] if light is None else _relight(colours[part], light, (rows, columns), size)
            # Rounded, and exact where alpha is 0 or 255.
            out.paste(Image.fromarray(above), (columns.start, rows.start), Image.fromarray(share))
        shown = np.asarray(out.crop((columns.start, rows.start, columns.stop, rows.stop)))
        red, green, blue = (shown == pixels[part]).transpose(2, 0, 1)
        solid, half = share == 255, share >= 128
        core += _count(solid)
        equal += _count(solid & red & green & blue)
        soft += _count(share > 0) - _count(solid)
        outline += _count(half[1:] != half[:-1]) + _count(half[:, 1:] != half[:, :-1])
    # A line at any slope crosses 4/pi times as many pixel edges as it is long.
    return Composite(out, core, equal, soft, round(outline * np.pi / 4))


def product_layer(
    view: Image.Image, cutout: Image.Image, *, pure: bool = False, alpha: Image.Image | None = None
) -> Image.Image:
    """Cut the product (RGBA) out of `view`, at its size, with refined alpha and pure colours."""
    out = np.zeros((view.height, view.width, 4), np.uint8)
    bands = _iter_bands(view, AlphaUpsampler(cutout.getchannel("A"), view.size), alpha, pure=pure)
    for first, last, colours, levels, _ in bands:
        out[first:last, :, :3], out[first:last, :, 3] = colours, levels
    out[out[..., 3] == 0] = 0
    return Image.fromarray(out)


def _iter_bands(
    view: Image.Image, upsampled: AlphaUpsampler, alpha: Image.Image | None, *, pure: bool
) -> Iterator[tuple[int, int, Bytes, Bytes, Bytes]]:
    """Yield bands: first row, last row (exclusive), the product's colours, its alpha, the photo's pixels."""
    width, height = view.size
    rows = max(64, _BAND // width)
    for first in range(0, height, rows):
        last = min(first + rows, height)
        above, below = max(first - _AROUND, 0), min(last + _AROUND, height)
        pixels = np.asarray(view.crop((0, above, width, below)))
        if alpha is None:
            levels = upsampled.rows(above, below, pixels)
        else:
            levels = np.asarray(alpha.crop((0, above, width, below)))
        colours = pixels if pure else estimate_foreground(pixels, levels)
        band = slice(first - above, last - above)
        yield first, last, colours[band], levels[band], pixels[band]


def _clip_band(
    first: int, last: int, offset: tuple[int, int], size: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]] | None:
    """Rows and columns of a band moved by `offset`, and the part of it inside the picture; None if outside."""
    (right, down), (width, height) = offset, size
    top, bottom = max(first + down, 0), min(last + down, height)
    left, end = max(right, 0), min(width + right, width)
    if top >= bottom or left >= end:
        return None
    inner = slice(top - down - first, bottom - down - first), slice(left - right, end - right)
    return (slice(top, bottom), slice(left, end)), inner


def _count(where: Bools) -> int:
    return int(np.count_nonzero(where))


def _relight(colours: Bytes, light: list[Image.Image], target: tuple[slice, slice], size: tuple[int, int]) -> Bytes:
    rows, columns = target
    width, height = size
    across, down = light[0].width / width, light[0].height / height
    box = (columns.start * across, rows.start * down, columns.stop * across, rows.stop * down)
    target_size = (columns.stop - columns.start, rows.stop - rows.start)
    ratio = np.stack(
        [np.asarray(plane.resize(target_size, Image.Resampling.BILINEAR, box=box)) for plane in light], axis=-1
    )
    return np.asarray(np.rint(np.clip((colours + _DARK) * ratio - _DARK, 0, 255)), dtype=np.uint8)


def inpaint_product(answer: Image.Image, comparison: Comparison, scale: tuple[float, float]) -> Image.Image:
    """Continue the scene of an answer (RGB) below its product, and over what of it looks out beside the photo's.

    Where the product covers a pixel only in part, the scene is unmixed; the rest is filled from around (push-pull:
    Gortler and others, "The Lumigraph", 1996). Pixels beside the sent product stay as they are, unless its outline
    moved outwards somewhere.

    Args:
        answer: The photo's frame in the answer.
        comparison: Of the same frame, at the canvas's scale.
        scale: Pixels of the answer per pixel of the canvas, across and down.
    """
    if comparison.outline is None:
        return answer
    cover, moved, rough = cover_of(comparison.outline, comparison.alpha)
    if not (comparison.outline.moved > 0).any():
        cover = np.where(comparison.alpha > 0, cover, 0)  # nothing beside the product is touched
    nearest = comparison.outline.nearest
    beyond = comparison.product.reshape(-1, 3)[nearest]
    product = np.where((gaussian_blur(comparison.alpha, SOFT) > _PRODUCT)[..., None], comparison.product, beyond)
    left, top = (math.floor(edge * by) for edge, by in zip(comparison.box[:2], scale, strict=True))
    right, bottom = (math.ceil(edge * by) for edge, by in zip(comparison.box[2:], scale, strict=True))
    right, bottom = min(right, answer.width), min(bottom, answer.height)
    if scale != (1.0, 1.0):
        cv2 = load_opencv()
        corner = [(at + 0.5) / by - 0.5 for at, by in zip((left, top), scale, strict=True)]
        to = np.array(
            [[1 / scale[0], 0, corner[0] - comparison.box[0]], [0, 1 / scale[1], corner[1] - comparison.box[1]]]
        )
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        cover, moved, rough, product = (
            cv2.warpAffine(plane, to, (right - left, bottom - top), flags=flags, borderMode=cv2.BORDER_REPLICATE)
            for plane in (cover, moved, rough, product)
        )
    pixels = np.array(answer)
    window = pixels[top:bottom, left:right]
    window[...] = _clear(window.astype(np.float32), cover, moved > 0.1, rough, product)
    return Image.fromarray(pixels)


def _clear(received: Floats, cover: Floats, moved: Bools, rough: Floats, product: Floats) -> Bytes:
    """Remove the product (H, W, 3) that covers the answer's pixels by `cover` (0..1)."""
    # In a smooth scene means from a little farther away are nearer to it than what can be unmixed.
    near = moved & (rough < 0.5)
    least = np.where(moved, np.where(near, _FAINT, 2 * _FAINT), _UNMIXED)
    known = np.clip(1 - np.where(near, local_maximum(cover, 1), cover) / least, 0, 1)
    known[~moved] **= 2
    known[~moved & (cover < _PRODUCT)] = 1
    share = np.where(near | (known == 1), 0, cover)[..., None]
    scene = np.clip((received - share * product) / np.maximum(1 - share, 0.1), 0, 255) * known[..., None]
    planes = np.concatenate((scene, known[..., None]), -1).transpose(2, 0, 1)
    hidden = known < 1
    received[hidden] = np.clip(_push_pull(planes.astype(np.float32, order="C"))[:, hidden].T, 0, 255)
    return np.rint(received).astype(np.uint8)


def _push_pull(planes: Floats) -> Floats:
    """Fill colours from coarser levels: planes are colours times weight (3, H, W), and the weight."""
    weight = planes[3:]
    if min(weight.shape[1:]) <= 2 or (weight > 1 - _TINY).all():
        own = planes[:3] / np.maximum(weight, _TINY)
        return np.asarray(np.where(weight > _TINY, own, own.mean((1, 2), keepdims=True)), dtype=np.float32)
    height, width = weight.shape[1:]
    small = _halve(planes)
    # A partly known pixel counts as known: means use known pixels only.
    full = np.minimum(1, small[3:] * 4)
    small[:3] *= full / np.maximum(small[3:], _TINY)
    small[3:] = full
    around = _double(_push_pull(small))[:, :height, :width]
    return np.asarray(planes[:3] + (1 - weight) * around)


def _halve(planes: Floats) -> Floats:
    """Halve the size by means of 2 x 2 pixels; at a far border of fewer."""
    if planes.shape[1] % 2:
        planes = np.concatenate((planes, planes[:, -1:]), 1)
    if planes.shape[2] % 2:
        planes = np.concatenate((planes, planes[:, :, -1:]), 2)
    rows = planes[:, ::2] + planes[:, 1::2]
    return np.asarray((rows[..., ::2] + rows[..., 1::2]) * np.float32(0.25))


def _double(planes: Floats) -> Floats:
    """Double height and width, bilinear."""
    for axis in (1, 2):
        doubled = np.empty((*planes.shape[: axis + 1], 2, *planes.shape[axis + 1 :]), np.float32)
        pairs, lines = np.moveaxis(doubled, (axis, axis + 1), (0, 1)), np.moveaxis(planes, axis, 0)
        near, far = np.float32(0.75) * lines, np.float32(0.25) * lines
        np.add(near[1:], far[:-1], out=pairs[1:, 0])
        np.add(near[:-1], far[1:], out=pairs[:-1, 1])
        pairs[0, 0], pairs[-1, 1] = lines[0], lines[-1]
        planes = doubled.reshape([side * (2 if at == axis else 1) for at, side in enumerate(planes.shape)])
    return planes


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


def _move(picture: Image.Image, moved: tuple[float, float]) -> Image.Image:
    """Move a picture by shares of its width and height; the uncovered edge is empty."""
    right, down = moved[0] * picture.width, moved[1] * picture.height
    if right == 0 and down == 0:
        return picture
    data = (1.0, 0.0, -right, 0.0, 1.0, -down)
    return picture.transform(picture.size, Image.Transform.AFFINE, data, Image.Resampling.BICUBIC)
