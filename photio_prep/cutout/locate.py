"""The place in the photo that a reason of the gate is about."""

import numpy as np
from PIL import Image

from photio_prep.cutout.gate_model import map_doubt
from photio_prep.cutout.measure import PART, SIDE, find_edges, outer_pixels
from photio_prep.cutout.mend import find_lines
from photio_prep.imaging.filters import Bools, dilate, drop_thin, erode, measure_parts
from photio_prep.quality import DOUBTFUL, Area
from photio_prep.types import Cutout

# Reasons about the whole photo.
_NOWHERE = ("scaled_up", "covers")
# Pixels of the outline that lie so near to each other are one place.
_GAP = 4


def locate(name: str, view: Image.Image, cutout: Cutout, second: Cutout | None) -> Area | None:
    """Locate the reason `name` in a cutout of `view` (RGB, of its size): the largest such place, else the product.

    `second`: a second model's cutout. None for a reason about the whole photo.
    """
    shrink = min(1.0, SIDE / max(view.size))
    size = max(round(view.width * shrink), 8), max(round(view.height * shrink), 8)
    alpha = np.asarray(cutout.image.getchannel("A").resize(size, Image.Resampling.BOX))
    solid = alpha >= 128
    if name in _NOWHERE or not solid.any():
        return None
    place = np.zeros_like(solid)
    if name in (DOUBTFUL, "disputed", "unsure"):
        place = drop_thin(map_doubt(cutout, second), 1)  # a speck shows nothing
    elif name == "cut":
        place = outer_pixels(solid)
        place[1:-1, 1:-1] = False
    elif name == "parts":
        labels, parts = measure_parts(solid, diagonal=True)
        place = solid & (labels != 1 + int(parts[:, 4].argmax())) & np.isin(labels, 1 + np.flatnonzero(_counts(parts)))
    elif name == "glass":
        place = erode((alpha > 12) & (alpha < 243), 4)
    elif name == "line":
        place = np.logical_or(*find_lines(solid))
    elif name == "outline":
        line, edges = find_edges(np.asarray(view.resize(size, Image.Resampling.BOX), dtype=np.float32), solid)
        place = dilate(line & ~edges, _GAP)
    return _largest(place) or _largest(solid)


def _counts(parts: np.ndarray) -> Bools:
    return np.asarray(parts[:, 4] >= PART * parts[:, 4].max())


def _largest(place: Bools) -> Area | None:
    """The box of the largest connected part."""
    parts = measure_parts(place, diagonal=True)[1]
    if not len(parts):
        return None
    left, top, width, height, _ = parts[parts[:, 4].argmax()]
    rows, columns = place.shape
    box = left / columns, top / rows, (left + width) / columns, (top + height) / rows
    return tuple(round(float(share), 3) for share in box)  # type: ignore[return-value]
