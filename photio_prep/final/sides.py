"""Find a side of a product that grew as a whole: the strip beside it has the product's colours, and not the scene's.

An outline is followed arc by arc (outline.py). Wires lie too near to each other for that, and soft edges have no place;
but over a whole side the evidence adds up.
"""

from typing import NamedTuple

import numpy as np

from photio_prep.final.shadows import SHADED, misfit_of_shade
from photio_prep.imaging.filters import Floats, gaussian_blur, load_opencv

# Width of a strip in pixels of the canvas, which are so many per pixel of the pictures compared; those of a tile.
_WIDTH, _SHRINK, _TILE = 8, 4, 8
# Least share of a strip in tiles where growth is likelier than the scene, mean of the log of how much per pixel, and
# how much of the difference between scene and product there is (1: the strip is the product's). The shadow and the
# mirror image below a product have its colours too, in part: there more is asked.
_SHARE, _LIKELIER, _BETWEEN = 0.7, 1.5, (0.65, 1.8)
_SHARE_BELOW, _BETWEEN_BELOW = 0.95, (0.8, 1.3)
# Coverage by the product up to which the scene is seen, and from which no more is; least that growth adds.
_FREE, _FULL, _MORE = 0.3, 0.9, 0.03
# Pixels of a strip in a tile that counts.
_LEAST = 2.0
# Variance (levels squared) of the product's colours, least of the scene's; largest log of the likelihood of a pixel.
_DRAWN, _SMOOTH, _MOST = 64.0, 9.0, 6.0


class Side(NamedTuple):
    """A side: its strip (left, top, right, bottom) in pixels; by how many it moved outwards; how surely (0..1)."""

    box: tuple[float, float, float, float]
    amount: float
    sure: float


class _Small(NamedTuple):
    """Small pictures: coverage by the product, its colours carried outwards, the answer; sums of scene per tile.

    `scene` (H, W, 5): weight, weighted colours and square of what shows the scene.
    """

    cover: Floats
    colours: Floats
    answer: Floats
    scene: Floats


def find_grown_side(alpha: Floats, product: Floats, answer: Floats) -> Side | None:
    """Find the side that grew, if one did.

    Args:
        alpha: (H, W) 0..1, as sent.
        product: (H, W, 3) levels, as sent, in the light of the answer.
        answer: (H, W, 3) levels.
    """
    small = _shrink(alpha, product, answer)
    sides = [_judge_side(small, normal) for normal in ((0, -1), (1, 0), (0, 1), (-1, 0))]
    return max((side for side in sides if side), key=lambda side: side.sure, default=None)


def _shrink(alpha: Floats, product: Floats, answer: Floats) -> _Small:
    cv2 = load_opencv()
    # Whole tiles; the margin repeats the edge.
    step = _SHRINK * _TILE
    height, width = (-(-length // step) * _TILE for length in alpha.shape)
    size = max(1, alpha.shape[1] // _SHRINK), max(1, alpha.shape[0] // _SHRINK)
    planes = [cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part in (alpha, product, answer)]
    edges = 0, height - size[1], 0, width - size[0]
    solid, drawn, seen = (cv2.copyMakeBorder(part, *edges, cv2.BORDER_REPLICATE) for part in planes)
    spread = gaussian_blur(cv2.merge([*cv2.split(drawn * solid[..., None]), solid]), 0.6 * _WIDTH / _SHRINK)
    colours = np.asarray(spread[..., :3] / np.maximum(spread[..., 3:], 1e-5), dtype=np.float32)
    cover = gaussian_blur(solid, 0.45)
    free = 1 - cover[..., None]
    weight = np.where(free > 1 - _FREE, free**2, 0)
    scene = (seen - (1 - free) * colours) / np.maximum(free, np.float32(1 - _FREE))
    return _Small(cover, colours, seen, np.dstack((weight * scene, weight, weight[..., 0] * (scene * scene).sum(-1))))


def _judge_side(small: _Small, normal: tuple[int, int]) -> Side | None:
    """The side that faces `normal` (right, down), if the strip beside it is the product's."""
    cv2, reach = load_opencv(), _WIDTH // _SHRINK
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.uint8)
    line = slice(reach, None) if sum(normal) < 0 else slice(0, reach + 1)
    kernel[(reach, line) if normal[0] else (line, reach)] = 1
    added = cv2.dilate(small.cover, kernel) - small.cover
    beside = added > _MORE
    course = _follow_scene(small.scene * ~beside[..., None])
    strip = np.flatnonzero(beside & (small.cover < _FULL))
    if not strip.size:
        return None
    more, cover = added.ravel()[strip], small.cover.ravel()[strip]
    course = course.reshape(-1, 4)[strip]
    apart = small.colours.reshape(-1, 3)[strip] - course[:, :3]
    rest = small.answer.reshape(-1, 3)[strip] - course[:, :3] - cover[:, None] * apart
    odds = np.zeros(len(strip), np.float32)
    for sign, share, error in ((1, cover, rest), (-1, np.minimum(cover + more, 1), rest - more[:, None] * apart)):
        variance = share**2 * _DRAWN + (1 - share) ** 2 * course[:, 3] + 4
        odds += sign * (1.5 * np.log(variance) + np.square(error).sum(1) / (2 * variance))
    rows, columns = np.divmod(strip, small.cover.shape[1])
    tiles = rows // _TILE * small.cover.shape[1] + columns // _TILE
    evidence, mass = (np.bincount(tiles, values) for values in (np.clip(odds, -_MOST, _MOST), more))
    counts = mass > _LEAST
    if not counts.any():
        return None
    share = float(mass[counts & (evidence > 0)].sum() / mass[counts].sum())
    between = float((more * (rest * apart).sum(1)).sum() / max((more**2 * (apart**2).sum(1)).sum(), 1e-6))
    least, (low, high) = (_SHARE_BELOW, _BETWEEN_BELOW) if normal == (0, 1) else (_SHARE, _BETWEEN)
    if normal == (0, 1):
        scene = (1 - cover)[:, None] * course[:, :3]
        shadow, product = misfit_of_shade(rest + scene, scene), np.square(rest - more[:, None] * apart).sum(1)
        if (more * shadow).sum() < SHADED * (more * product).sum():
            return None
    if share < least or evidence[counts].sum() < _LIKELIER * mass[counts].sum() or not low < between < high:
        return None
    box = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    edges = tuple(float(edge * _SHRINK) for edge in box)
    return Side((edges[0], edges[1], edges[2], edges[3]), _WIDTH * min(between, 1.0), share)


def _follow_scene(scene: Floats) -> Floats:
    """Colours and variance (H, W, 4) of the scene around a place, by the planes of `_Small`."""
    cv2, size = load_opencv(), scene.shape[1::-1]
    grid = cv2.resize(scene, (size[0] // _TILE, size[1] // _TILE), interpolation=cv2.INTER_AREA)
    near = cv2.blur(grid, (3, 3)) + 0.01 * cv2.blur(grid, (9, 9))
    mean = near / np.maximum(near[..., 3:4], np.float32(1e-7))
    mean[..., 3] = np.maximum((mean[..., 4] - np.square(mean[..., :3]).sum(-1)) / 3, _SMOOTH)
    return np.asarray(cv2.resize(mean[..., :4], size, interpolation=cv2.INTER_LINEAR))
