"""A picture on white paper -> how white the paper is, and how much of the frame the product fills."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# From this darkest channel on a pixel may be paper, dirty or clean; below it something is there.
_LIGHT = 244
# Of the frame's outermost pixels, this share must be clean paper, or it is no packshot at all; a product may touch it.
_PAPER = 0.5
# Where nobody said what the product is, dirt is dirt from this share of the paper on.
_ALL = 0.999
# Around the product a JPEG rings, and its own rim is soft: nearer than this share of the longer side, and than two
# blocks of a JPEG, nothing is said about the paper.
_NEAR, _BLOCKS = 0.01, 16


class Seen(NamedTuple):
    """What white paper shows.

    `white`: it is white paper at all. `share` of the paper that is exactly (255, 255, 255), away from the product.
    `fill` is the product's longer side as a share of the frame, that of the axis which it fills most.
    """

    white: bool
    share: float
    fill: float
    faults: tuple[str, ...]
    notes: tuple[str, ...]


def seen(image: Image.Image, product: Image.Image | None = None) -> Seen:
    """What an RGB picture shows, if it is a product on white paper.

    Args:
        image: As it was read back from its file.
        product: Where the product is known to lie: mode L of the same size, above 0 there. Without it, what is not
            light is the product; then a few light pixels may be its own rim or a highlight, and are noted only.
    """
    from scipy import ndimage

    darkest = np.asarray(image).min(axis=2)
    clean, light = darkest == 255, darkest >= _LIGHT
    edge = _frame(light)
    if product is not None:
        light &= np.asarray(product) == 0
    fill = _fill(~light)
    if clean[edge].mean() < _PAPER:
        dirty = light[edge].mean() >= _PAPER
        found = f"not pure white but about {_colour(image, edge)}" if dirty else "no white paper"
        return Seen(
            False, float(clean[edge].mean()), fill, (f"its background is {found}; 255, 255, 255 is asked for",), ()
        )
    parts, _ = ndimage.label(light)
    paper = np.isin(parts, np.unique(parts[edge & light]))
    near = max(_BLOCKS, round(_NEAR * max(image.size)))
    away = paper & ~ndimage.maximum_filter(~light, 2 * near + 1)
    share = float(clean[away].mean()) if away.any() else 1.0
    faults: list[str] = []
    notes: list[str] = []
    if share < 1:
        many = int((away & ~clean).sum())
        found = f"{many:,} pixels of its background are not pure white ({share:.3%} are)"
        (faults if product is not None or share < _ALL else notes).append(found)
    touching = [side for side, line in _sides(light) if (~line).any()]
    if touching:
        notes.append(f"the product touches the frame ({', '.join(touching)}); all of it should be in the picture")
    return Seen(True, share, fill, tuple(faults), tuple(notes))


def _frame(like: NDArray[np.bool_]) -> NDArray[np.bool_]:
    frame = np.ones(like.shape, dtype=bool)
    frame[1:-1, 1:-1] = False
    return frame


def _sides(light: NDArray[np.bool_]) -> tuple[tuple[str, NDArray[np.bool_]], ...]:
    return (("left", light[:, 0]), ("right", light[:, -1]), ("top", light[0]), ("bottom", light[-1]))


def _colour(image: Image.Image, edge: NDArray[np.bool_]) -> str:
    return ", ".join(str(int(each)) for each in np.median(np.asarray(image)[edge], axis=0))


def _fill(there: NDArray[np.bool_]) -> float:
    """The longer side of what is there, as a share of the frame; a line of one or two pixels is a speck."""
    shares = []
    for axis in (0, 1):
        lines = np.flatnonzero(there.sum(axis=axis) > 2)
        shares.append((lines[-1] - lines[0] + 1) / there.shape[1 - axis] if lines.size else 0.0)
    return float(max(shares))
