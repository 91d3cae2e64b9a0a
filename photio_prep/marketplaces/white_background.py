"""Measure how white a background is, and how much of the frame the product fills."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photio_prep.imaging.filters import dilate, label_parts

# A pixel whose darkest channel is below this belongs to the product; from it on it may be paper, clean or dirty.
_LIGHT = 244
# Of the frame's outermost pixels, this share must be clean paper in a packshot; the product may touch the frame.
_PAPER = 0.5
# Without the product's alpha, the background is dirty when less than this share of the paper is clean.
_ALL = 0.999
# Around the product a JPEG rings, and its own edge is soft: paper nearer than this share of the longer side, or than
# two JPEG blocks, is not judged.
_NEAR, _BLOCKS = 0.01, 16


class BackgroundReport(NamedTuple):
    """The background of a picture.

    `white` says whether it is white paper; `share` is the part of the paper, away from the product, that is exactly
    (255, 255, 255). `fill` is the product's extent as a share of the frame, along the axis that it fills most.
    """

    white: bool
    share: float
    fill: float
    faults: tuple[str, ...]
    notes: tuple[str, ...]


def inspect_background(image: Image.Image, product: Image.Image | None = None) -> BackgroundReport:
    """Inspect the background of an RGB picture, as decoded from its file.

    `product` is the product's alpha (L, same size). Without it, all that is not light counts as the product; a few
    light pixels may then be its edge or a highlight, and are noted only.
    """
    pixels = np.asarray(image)
    darkest = pixels.min(axis=2)
    clean, light = darkest == 255, darkest >= _LIGHT
    edge = np.ones(light.shape, dtype=bool)
    edge[1:-1, 1:-1] = False
    if product is not None:
        light &= np.asarray(product) == 0
    fill = _measure_fill(~light)
    if clean[edge].mean() < _PAPER:
        colour = ", ".join(str(int(channel)) for channel in np.median(pixels[edge], axis=0))
        paper_like = light[edge].mean() >= _PAPER
        text = f"about {colour}, not pure white" if paper_like else "not white paper"
        fault = f"its background is {text}; 255, 255, 255 is required"
        return BackgroundReport(False, float(clean[edge].mean()), fill, (fault,), ())
    _, parts = label_parts(light, diagonal=False)
    paper = np.isin(parts, np.unique(parts[edge & light]))
    near = max(_BLOCKS, round(_NEAR * max(image.size)))
    away = paper & ~dilate(~light, near)
    share = float(clean[away].mean()) if away.any() else 1.0
    faults: list[str] = []
    notes: list[str] = []
    if share < 1:
        count = f"{int((away & ~clean).sum()):,}"
        if product is not None or share < _ALL:
            faults.append(f"{count} pixels of its background are not pure white ({share:.3%} are)")
        else:
            notes.append(f"{count} light pixels are not pure white: of the product, or of the background")
    sides = {"left": light[:, 0], "right": light[:, -1], "top": light[0], "bottom": light[-1]}
    if touching := [side for side, line in sides.items() if not line.all()]:
        notes.append(f"the product touches the frame ({', '.join(touching)}); all of it should be in the picture")
    return BackgroundReport(True, share, fill, tuple(faults), tuple(notes))


def _measure_fill(product: NDArray[np.bool_]) -> float:
    """The larger extent of the product, as a share of the frame; rows and columns of one or two pixels are specks."""
    shares = []
    for axis in (0, 1):
        lines = np.flatnonzero(product.sum(axis=axis) > 2)
        shares.append((lines[-1] - lines[0] + 1) / product.shape[1 - axis] if lines.size else 0.0)
    return float(max(shares))
