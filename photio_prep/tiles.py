"""Work only where something happens: a picture's edge lies in few of its tiles.

Takes and gives arrays of planes (C, H, W). Touches nothing. Raises nothing.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

_SIDE = 64
# Tiles that are worked on at once: 16 of them with ten planes stay in a processor's cache.
_BATCH = 16


def box_mean(planes: Floats, radius: int) -> Floats:
    """The mean over squares of 2 · radius + 1 pixels; a border repeats its last pixel."""
    from scipy.ndimage import uniform_filter1d

    across = uniform_filter1d(planes, 2 * radius + 1, axis=-1, mode="nearest")
    return np.asarray(uniform_filter1d(across, 2 * radius + 1, axis=-2, mode="nearest"), dtype=np.float32)


def over_tiles(where: Bools, margin: int, work: Callable[[Floats], Floats], planes: Floats, out: Floats) -> Floats:
    """`out` with `work(planes)` in every tile in which `where` is true somewhere; the other tiles stay as they are.

    Args:
        where: (H, W).
        margin: How many pixels around a tile `work` looks at.
        work: (N, C, S, S) -> (N, K, S, S).
        planes: (C, H, W).
        out: (K, H, W); changed in place.
    """
    height, width = where.shape
    below, right = -height % _SIDE, -width % _SIDE
    inner = ((0, below), (0, right))
    outer = ((margin, margin + below), (margin, margin + right))
    busy = np.pad(where, inner).reshape((height + below) // _SIDE, _SIDE, (width + right) // _SIDE, _SIDE)
    tiles = np.argwhere(busy.any((1, 3)))
    side = _SIDE + 2 * margin
    padded = np.pad(planes, ((0, 0), *outer), mode="edge")
    views = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(1, 2))[:, ::_SIDE, ::_SIDE]
    for first in range(0, len(tiles), _BATCH):
        some = tiles[first : first + _BATCH]
        stack = np.ascontiguousarray(views[:, some[:, 0], some[:, 1]].transpose(1, 0, 2, 3))
        done = work(stack)[..., margin : margin + _SIDE, margin : margin + _SIDE]
        for (row, column), tile in zip(some * _SIDE, done, strict=True):
            place = out[:, row : row + _SIDE, column : column + _SIDE]
            place[...] = tile[:, : place.shape[1], : place.shape[2]]
    return out
