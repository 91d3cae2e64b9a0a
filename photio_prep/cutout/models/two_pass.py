"""Looking at a picture with a network that sees few pixels: once at the whole, once more at a small product."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photio_prep.cutout.refine import around, softness
from photio_prep.imaging.tiles import Bools, Floats, box_mean, widened

Network = Callable[[Image.Image], Floats]

# Networks with no more pixels than this to a side look twice; with 1024 the second look lost as often as it won.
_FEW_PIXELS = 512
# Of the product's longer side, around the product; and from what share of the picture on a closer look does not pay:
# it costs as much as the first. Measured: measurements/cutouts.md.
_MARGIN = 0.1
_CLOSE_ENOUGH = 0.3
# Within so many of the first look's pixels along its outline, the second look is right about where the edge runs.
_TRUSTED = 3.5
_SMOOTH = 2


@dataclass(frozen=True, slots=True)
class Belief:
    """`share` (H, W), 0..1, of the picture's size; `first`, as the network gave it; `grain`, see `fast` in refine."""

    share: Floats
    first: Floats
    grain: float


def belief(network: Network, image: Image.Image, enough: float, high: float = 0) -> Belief:
    """What the network believes of each pixel, where its peak is 1.

    Args:
        network: An RGB picture in, its belief (H, W) of its own size out.
        image: RGB.
        enough: Without a belief as high as this there is no product, and nothing to look at twice.
        high: By how much of its own pixel the network sees everything too high up, 0..1.
    """
    first = _lowered(_probable(network(image)), high)
    whole = _fit(first, image.size)
    grain = max(image.size) / max(first.shape)
    if max(first.shape) > _FEW_PIXELS or first.max() < enough:
        return Belief(whole, first, grain)
    left, top, right, bottom = box = _around(first, image.size)
    if (right - left) * (bottom - top) > _CLOSE_ENOUGH * image.width * image.height:
        return Belief(whole, first, grain)
    closer = _lowered(_probable(network(image.crop(box))), high)
    if closer.max() < enough:
        return Belief(whole, first, grain)
    both = whole.copy()
    both[top:bottom, left:right] = _agreed(
        np.asarray(image)[top:bottom, left:right],
        whole[top:bottom, left:right],
        _fit(closer, (right - left, bottom - top)),
        round(_TRUSTED * grain),
    )
    return Belief(both, first, max(right - left, bottom - top) / max(closer.shape))


def _agreed(pixels: NDArray[np.uint8], whole: Floats, second: Floats, reach: int) -> Floats:
    """What both looks at a box of the picture come to: along the outline the second is right, within `reach` of it."""
    near = box_mean(_outline(whole >= 0.5, reach).astype(np.float32), _SMOOTH)
    # Elsewhere they differ about whole parts: one that only one look sees is there more often than not.
    both = near * second + (1 - near) * np.maximum(whole, second)
    # Out of focus there is no more to see from nearby, and the surroundings, which tell what the product is, are less.
    window = around(near > 0, reach)
    both[window] += softness(pixels[window], near[window] > 0) * (whole[window] - both[window])
    return np.asarray(both, dtype=np.float32)


def _probable(found: Floats) -> Floats:
    return np.clip(np.nan_to_num(found), 0, 1)


def _lowered(found: Floats, share: float) -> Floats:
    """Moved down by `share` of a pixel."""
    return found if not share else (1 - share) * found + share * np.concatenate((found[:1], found[:-1]))


def _fit(found: Floats, size: tuple[int, int]) -> Floats:
    large = Image.fromarray(found / max(float(found.max()), 1e-6)).resize(size, Image.Resampling.BICUBIC)
    return np.clip(np.asarray(large, dtype=np.float32), 0, 1)


def _around(found: Floats, size: tuple[int, int]) -> tuple[int, int, int, int]:
    product = found > found.max() / 2
    rows, columns = np.flatnonzero(product.any(1)), np.flatnonzero(product.any(0))
    across, down = size[0] / found.shape[1], size[1] / found.shape[0]
    left, right, top, bottom = columns[0] * across, (columns[-1] + 1) * across, rows[0] * down, (rows[-1] + 1) * down
    margin = _MARGIN * max(right - left, bottom - top)
    return (
        max(0, int(left - margin)),
        max(0, int(top - margin)),
        min(size[0], int(right + margin + 1)),
        min(size[1], int(bottom + margin + 1)),
    )


def _outline(product: NDArray[np.bool_], reach: int) -> Bools:
    return widened(product, reach) & widened(~product, reach)
