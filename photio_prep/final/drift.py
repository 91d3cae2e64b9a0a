"""Measure how far the generator changed the product: inside (interior.py), along its outline (outline.py), beside it.

No network is used: the sent mask tells where the product must be. measurements/finals.md has the figures of unchanged
and of changed products.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photio_prep.final.added_parts import find_added
from photio_prep.final.interior import DARK, Interior, compare_interior, find_shift
from photio_prep.final.outline import Outline, fit_outline, fit_rigid, measure_side
from photio_prep.final.outline_profiles import SOFT
from photio_prep.final.sides import Side, find_grown_side
from photio_prep.imaging.filters import Floats, gaussian_blur, load_opencv, percentile
from photio_prep.quality import SIDE, DriftMetrics

# Pixels of the canvas around the product that are looked at; level of alpha from which glass is looked at.
_MARGIN, _FAINT = 56, 13
# Shift in pixels that the final follows, where the product's texture and its outline agree. Below, the rim is repaired.
_FOLLOWED = 4.0
# They agree within so many pixels; a longer shift than the second is out of the outline's reach.
_NEAR, _FAR = 1.5, 9.0
# Range of the ratio of light on the product from which it counts along the outline, and its most.
_EVEN, _UNEVEN = 0.04, 1.3
# Level of a product below which light is measured by levels, not by shares: a level or two of black are no light.
_DIM = 64.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """A product, and the one in the answer, in the window `box` of the canvas.

    `alpha` (H, W) 0..1 and `product` (H, W, 3) levels are as sent, but in the answer's light, and moved to where the
    answer has them: by `moved` (right, down) pixels, which is (0, 0) unless the texture inside and the outline agree.
    `side` grew as a whole, where its outline does not show it.
    `added`: of the whole canvas, where something was added, and how surely (0..1); its pixels are `unit` pixels long.
    """

    box: tuple[int, int, int, int]
    alpha: Floats
    product: Floats
    moved: tuple[float, float]
    outline: Outline | None
    interior: Interior
    metrics: DriftMetrics
    side: Side | None
    added: Floats
    unit: float


def compare(canvas: Image.Image, answer: Image.Image) -> Comparison | None:
    """Compare an answer (RGB) with the canvas (RGBA, the same size); None for an empty canvas."""
    cv2, levels = load_opencv(), np.asarray(canvas.getchannel("A"))
    inner, glass = (cv2.boundingRect((levels >= least).view(np.uint8)) for least in (128, _FAINT))
    if not inner[2]:
        return None
    left, top = (max(min(inner[at] - _MARGIN, glass[at]), 0) for at in (0, 1))
    right, bottom = (max(inner[at] + inner[at + 2] + _MARGIN, glass[at] + glass[at + 2]) for at in (0, 1))
    box = (left, top, min(right, canvas.width), min(bottom, canvas.height))
    sent, received = (np.asarray(picture.crop(box), dtype=np.float32) for picture in (canvas, answer))
    even = np.ones((1, 1, 1), np.float32)
    alpha, product = _alpha(sent), _light(sent, received, even)
    outline = fit_outline(alpha, product, received)
    moved = (0.0, 0.0)
    shift = find_shift(alpha, sent[..., :3], received)
    whole = round(shift[0]), round(shift[1])
    if outline is not None and any(whole):
        aligned = _move(sent, *whole)
        there = _alpha(aligned), _light(aligned, received, even)
        follows = fit_outline(*there, received)
        if follows is None or not _agree(shift, outline, follows):
            shift, whole = (0.0, 0.0, False), (0, 0)
        elif np.hypot(*shift[:2]) >= _FOLLOWED:
            sent, outline, moved = aligned, follows, (shift[0], shift[1])
            alpha, product = there
    aligned = sent if any(moved) else _move(sent, *whole)
    interior = compare_interior(_alpha(aligned), aligned[..., :3], received, shift)
    if interior.relit > _EVEN and outline is not None:
        # Along an outline in another light the product's colours are other ones.
        back = (0, 0) if any(moved) else (-whole[0], -whole[1])
        light = np.clip(1 + _move(interior.light[..., None] - 1, *back), 1 / _UNEVEN, _UNEVEN)
        product = _light(sent, received, light)
        outline = fit_outline(alpha, product, received)
    offset = tuple(round(by) for by in moved)
    placed = _move(levels[..., None], *offset)[..., 0]
    grown = 0.0 if outline is None else max(0.0, float(outline.moved.max()))
    added, beside = find_added(placed, np.asarray(answer), grown)
    metrics = _summarise(interior, outline, added, alpha)
    side = None
    if outline is not None and abs(metrics.side) <= SIDE and (side := find_grown_side(alpha, product, received)):
        metrics = metrics._replace(side=round(side.amount, 3))
    unit = canvas.width / beside.shape[1]
    return Comparison(box, alpha, product, moved, outline, interior, metrics, side, beside, unit)


def _agree(shift: tuple[float, float, bool], still: Outline, follows: Outline) -> bool:
    """Whether the outline moved as the texture inside did: it fits where the texture is, and not where it was."""
    far, (_, right, down) = np.hypot(*shift[:2]), fit_rigid(still, still.fit)
    near = far > _FAR or np.hypot(right - shift[0], down - shift[1]) < max(_NEAR, 0.35 * far)
    rest = np.hypot(*fit_rigid(follows, follows.fit)[1:])
    better = np.abs(follows.moved).mean() <= 0.6 * np.abs(still.moved).mean()
    return bool(near and rest < _NEAR and better)


def _alpha(planes: Floats) -> Floats:
    return np.asarray(planes[..., 3] / np.float32(255))


def _light(sent: Floats, received: Floats, light: Floats) -> Floats:
    """Colours of the sent picture (H, W, 4), as soft as a generator's and in the answer's light (H, W, 1)."""
    cv2, alpha, colours = load_opencv(), _alpha(sent), np.ascontiguousarray(sent[..., :3])
    soft = gaussian_blur(colours * cv2.merge([alpha] * 3), SOFT)
    soft /= cv2.merge([np.maximum(gaussian_blur(alpha, SOFT), np.float32(1e-3))] * 3)
    solid = np.flatnonzero(alpha > 0.99)
    if not solid.size:
        return np.asarray(soft)
    some = solid[:: max(1, len(solid) // 20_000)]
    lit = np.broadcast_to(light, (*alpha.shape, 1)).reshape(-1, 1)[some]
    ratios = (received.reshape(-1, 3).take(some, 0) + DARK) / ((colours.reshape(-1, 3).take(some, 0) + DARK) * lit)
    soft += np.float32(DARK)
    soft *= light * np.array([percentile(ratio, 50) for ratio in ratios.T], np.float32)
    soft -= np.float32(DARK)
    return np.asarray(soft)


def _move(planes: NDArray[Any], right: int, down: int) -> NDArray[Any]:
    """Move planes (H, W, C); what comes in is empty."""
    if not (right or down):
        return planes
    moved = np.zeros_like(planes)
    height, width = planes.shape[:2]
    moved[max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = planes[
        max(-down, 0) : height + min(-down, 0), max(-right, 0) : width + min(-right, 0)
    ]
    return moved


def _summarise(interior: Interior, outline: Outline | None, added: float, alpha: Floats) -> DriftMetrics:
    area = float(alpha.sum()) + 1e-6
    rim = side = length = 0.0
    shift = (interior.right, interior.down) if interior.sure else (0.0, 0.0)
    if outline is not None:
        # Growth counts as far as both see it: texture misleads the one, a thin line beside the product the other.
        refined = np.where(outline.soft > 0, outline.rim, outline.fit)
        rim = min((fit_rigid(outline, by)[0] for by in (refined, outline.fit)), key=abs)
        rim = max(rim, outline.blurred[0], key=abs)
        side, length = max(measure_side(outline), outline.blurred[1], key=abs), float(outline.length.sum())
        if not interior.sure:
            shift = fit_rigid(outline, outline.moved)[1:]
    level, received = (float(colour.mean()) for colour in interior.colours)
    values = (
        *shift,
        rim,
        rim * length / area,
        side,
        interior.tiles.zoom,
        float(np.linalg.norm(_to_lab(interior.colours[1]) - _to_lab(interior.colours[0]))),
        interior.relit * min(1.0, level / _DIM),
        interior.detail,
        interior.tiles.measure_share(interior.tiles.redrawn),
        added,
        np.count_nonzero(interior.other) / area,
        (received - level) / max(level, _DIM),
        interior.tiles.measure_share(interior.tiles.warped),
    )
    return DriftMetrics(*(round(float(value), 3) for value in values))


def _to_lab(colour: Floats) -> Floats:
    """CIE L*a*b* (D65) of an sRGB colour in levels; OpenCV's own way from sRGB is interpolated, and off by 0.6."""
    cv2, share = load_opencv(), np.float32(colour).reshape(1, 1, 3) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return np.asarray(cv2.cvtColor(linear, cv2.COLOR_LRGB2LAB)[0, 0])
