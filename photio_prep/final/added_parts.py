"""Find things that the generator added to a product: regions beside it in its own colours, which the scene lacks."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from photio_prep.imaging.filters import (
    Bools,
    Bytes,
    Floats,
    dilate,
    distance_to,
    drop_thin,
    gaussian_blur,
    label_parts,
    load_opencv,
)

# Longer side of the pictures that are compared; levels of a colour's bin; sigma in bins, and of mixtures in pixels.
_SIDE, _BIN, _SPREAD, _MIXED = 240, 16, 0.7, 8.0
# A colour is the product's where it is so many times as frequent in it as in the scene.
_TIMES = 4.0
# Least alpha of a product's edge. Pixels of the small picture: of the edge's softness in an answer, of the thinnest
# part, and from the edge to a part joined to it.
_VISIBLE, _EDGE, _THIN, _JOINED = 8, 1.5, 1, 4.0
# Levels per pixel of the small picture: least slope at the edge of a part.
_STEEP = 6.0


def find_added(alpha: Bytes, answer: Bytes, grown: float) -> tuple[float, Bools]:
    """Share of the product's area that was added, and its mask (smaller than the answer).

    `alpha` (H, W) is where the product is, `grown` by so many pixels; `answer` (H, W, 3).
    """
    cv2 = load_opencv()
    by = min(1.0, _SIDE / max(alpha.shape))
    size = max(1, round(alpha.shape[1] * by)), max(1, round(alpha.shape[0] * by))
    small, share = (cv2.resize(planes, size, interpolation=cv2.INTER_AREA) for planes in (answer, alpha))
    solid = share >= 128
    away = distance_to(share >= _VISIBLE)
    inside, outside = share > 252, away > _EDGE + grown * by
    empty = np.zeros(solid.shape, bool)
    if inside.sum() < 50 or outside.sum() < 50:
        return 0.0, empty
    count = 256 // _BIN
    code = _encode(small, count)
    # A part has the product's colours, or a mixture of those near it.
    mixed = gaussian_blur(small * inside[..., None].astype(np.float32), _MIXED)
    mixed /= np.maximum(gaussian_blur(inside.astype(np.float32), _MIXED), np.float32(1e-3))[..., None]
    product = np.concatenate([_encode(colours[inside], count) for colours in (small, mixed.clip(0, 255))])
    frequent = [_histogram(codes, count) for codes in (product, code[outside])]
    ratio = (frequent[0] / (frequent[1] + 1e-4))[code]
    soft = gaussian_blur(np.where(outside, np.log(np.clip(ratio, 1e-2, 1e2)), 0).astype(np.float32), 1.0)
    own = outside & (soft > np.log(_TIMES))
    _, labels = label_parts(drop_thin(own, _THIN), diagonal=True)
    # What goes on beyond the frame is the scene's.
    frame = np.concatenate((labels[0], labels[-1], labels[:, 0], labels[:, -1]))
    joined = np.isin(labels, np.setdiff1d(labels[away < _JOINED + grown * by], np.append(frame, 0)))
    # A part has an edge; light on the scene has none.
    blurred = gaussian_blur(small.astype(np.float32).mean(-1), 0.7)
    rim = dilate(joined, 1) & ~joined & (away > _JOINED + grown * by)
    if not rim.any() or np.median(np.hypot(*np.gradient(blurred))[rim]) < _STEEP:
        return 0.0, empty
    return float(joined.sum() / solid.sum()), joined


def _encode(colours: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Number of the bin of colours (..., 3)."""
    bins = colours.astype(np.int64) // _BIN
    return np.asarray((bins[..., 0] * count + bins[..., 1]) * count + bins[..., 2])


def _histogram(codes: NDArray[np.int64], count: int) -> Floats:
    """Smooth density of colours."""
    cube = (np.bincount(codes, minlength=count**3) / max(len(codes), 1)).astype(np.float32).reshape([count] * 3)
    planes = gaussian_blur(cube, _SPREAD)  # the last axis as channels
    return np.asarray(gaussian_blur(planes.transpose(2, 0, 1).copy(), _SPREAD).transpose(1, 2, 0).reshape(-1))
