"""Find things that the generator added to a product: regions that touch it, in its colours, which the scene lacks."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from photio_prep.imaging.filters import (
    Bools,
    Bytes,
    Floats,
    dilate,
    distance_to,
    drop_thin,
    erode,
    gaussian_blur,
    label_parts,
    length_of,
    load_opencv,
    percentile,
)

# Longer side of the pictures that are compared; levels of a colour's bin; sigma in bins.
_SIDE, _BIN, _SPREAD = 240, 16, 0.7
_BINS = 256 // _BIN
# Sigmas in pixels of mixtures of the product's colours. A part has the colours of the product or such mixtures: nearer
# than so many levels. Levels within which the scene's colours are a part's, or 1.5 times its own spread.
_MIXED, _SAME, _ALIKE = (3.0, 8.0, 30.0), 8.0, 5.0
# A colour is the product's where it is so many times as frequent in it as in the scene.
_TIMES = 4.0
# Least alpha of a product's edge. Pixels of the small picture: of the edge's softness in an answer, of the thinnest
# part, and from the edge to a part joined to it.
_VISIBLE, _EDGE, _THIN, _JOINED = 8, 1.5, 1, 2.5
# Alpha up to which the scene is seen beside a wire, and from which a pixel tells the wires' colours. A product has
# wires if it has so many pixels of the former, as a share of its own. What is seen is carried on behind them by a
# filter of that sigma, from that weight on; it is the scene's at that distance.
_SEEN, _OPAQUE, _WIRES, _BEHIND, _HIDDEN, _APART = 178, 230, 0.3, 0.8, 0.04, 6
# Levels per pixel of the small picture: most in a flat region, least across the edge of a part; as many times as
# inside of it; and share of that which is left four pixels on.
_FLAT, _STEEP, _STEEPER, _GRADUAL = 2.5, 4.5, 2.0, 0.6
# Of a part's outline: least share at the product, most at the frame. Of its area: most of the scene beside it that is
# as flat and of its colour. Smallest and largest part, as shares of the product.
_TOUCHES, _FRAMED, _ELSEWHERE, _LEAST, _MOST = 0.2, 0.8, 2.5, 0.01, 0.8
# Correlation with the product upside down from which a part is its mirror image in the ground; fewest pixels of both.
_MIRRORED, _FEW = 0.5, 20


class _Surroundings(NamedTuple):
    """A small answer: colours, slopes (`usual`: of the scene), flat scene; the product, its colours, rim, distance."""

    colours: Floats
    slope: Floats
    scene: Bools
    solid: Bools
    own: Floats
    rim: Bools
    away: Floats
    edge: float
    usual: float


def find_added(alpha: Bytes, answer: Bytes, grown: float) -> tuple[float, Floats]:
    """Share of the product's area that was added, and where: how sure that is (0..1; smaller than the answer).

    `alpha` (H, W) is where the product is, `grown` by so many pixels; `answer` (H, W, 3).
    """
    cv2 = load_opencv()
    by = min(1.0, _SIDE / max(alpha.shape))
    size = max(1, round(alpha.shape[1] * by)), max(1, round(alpha.shape[0] * by))
    small, share = (cv2.resize(planes, size, interpolation=cv2.INTER_AREA) for planes in (answer, alpha))
    solid, inside = share >= 128, share > 252
    added = np.zeros(solid.shape, np.float32)
    if inside.sum() < 50:
        return 0.0, added
    colours, hidden = small.astype(np.float32), share >= _VISIBLE
    own = _list_colours(colours, inside)
    wires = np.count_nonzero(hidden & (share < _SEEN)) > _WIRES * np.count_nonzero(solid)
    if wires:
        colours, hidden = _look_between(alpha, answer, colours, share)
        small = colours.astype(np.uint8)
    edge, away = 0.0 if wires else _EDGE + grown * by, distance_to(hidden)
    outside = away > edge
    scene = outside & (distance_to(share >= _VISIBLE) > _APART) if wires else outside
    if outside.sum() < 50:
        return 0.0, added
    soft = gaussian_blur(colours, 0.6)
    slope = length_of(cv2.Sobel(soft, -1, 1, 0, scale=0.125), cv2.Sobel(soft, -1, 0, 1, scale=0.125)).max(-1)
    flat = outside & (slope < _FLAT)
    rim = (share >= _VISIBLE) & dilate(away > 0, 1)
    near = _Surroundings(colours, slope, erode(flat, 2), solid, own, rim, away, edge, percentile(slope[outside], 50))
    for candidates in (drop_thin(flat, _THIN), _find_own_colours(small, own, outside, scene)):
        _, labels = label_parts(candidates, diagonal=True)
        areas = np.bincount(labels.ravel())
        for label in np.flatnonzero((areas >= _LEAST * solid.sum()) & (areas <= _MOST * solid.sum())):
            part = labels == label
            if label and (sure := _judge_part(part, near)):
                # Its own edge, and that to the product, belong to it.
                added[dilate(part, 2) & (away > 0)] = sure
    # Between wires, only what they left free was added.
    beside = 1 - share / 255 if wires else np.ones(solid.shape)
    return float(beside[added > 0].sum() / solid.sum()), added


def _look_between(alpha: Bytes, answer: Bytes, colours: Floats, share: Bytes) -> tuple[Floats, Bools]:
    """What is seen between wires (H, W, 3), carried on behind them, and where they hide all."""
    cv2, size = load_opencv(), share.shape[::-1]
    opaque = (alpha >= _OPAQUE).view(np.uint8) * np.uint8(255)
    wires, mass = (
        gaussian_blur(cv2.resize(planes, size, interpolation=cv2.INTER_AREA).astype(np.float32), 1.0)
        for planes in (cv2.bitwise_and(answer, answer, mask=opaque), opaque)
    )
    wires *= 255 / np.maximum(mass, 1)[..., None]
    cover = share[..., None] / np.float32(255)
    weight = np.where(share < _SEEN, np.square(1 - cover[..., 0]), 0)
    between = (colours - cover * wires) / np.maximum(1 - cover, np.float32(1 - _SEEN / 255))
    planes = np.dstack((between * weight[..., None], weight))
    near = gaussian_blur(planes, _BEHIND) + np.float32(0.01) * gaussian_blur(planes, 4 * _BEHIND)
    carried = near[..., :3] / np.maximum(near[..., 3:], np.float32(1e-6))
    return np.clip(carried, 0, 255), drop_thin(near[..., 3] < _HIDDEN, _THIN)


def _judge_part(part: Bools, near: _Surroundings) -> float:
    """Share of a region's outline that is an edge; 0 unless it touches the product and has its colours."""
    around = dilate(part, 1) & ~part
    length, beyond = around.sum(), around & (near.away > near.edge + _JOINED)
    framed = sum(int(line.sum()) for line in (part[0], part[-1], part[:, 0], part[:, -1]))
    if (
        (dilate(part, round(near.edge + _JOINED)) & near.rim).sum() < _TOUCHES * length
        or framed > _FRAMED * length
        or not beyond.any()
    ):
        return 0.0
    steep = percentile(near.slope[beyond], 50)
    if steep < max(_STEEP, _STEEPER * percentile(near.slope[part], 50)):
        return 0.0
    # A shadow gets lighter over many pixels.
    farther = dilate(part, 5) & ~dilate(part, 3) & (near.away > near.edge + _JOINED)
    if farther.any() and percentile(near.slope[farther], 50) > max(_GRADUAL * steep, 2 * near.usual):
        return 0.0
    colour, spread = near.colours[part].mean(0), float(near.colours[part].std(0).max())
    if np.abs(near.own - colour).max(-1).min() > _SAME:
        return 0.0
    alike = np.abs(near.colours - colour).max(-1) < max(_ALIKE, 1.5 * spread)
    if (near.scene & alike & ~dilate(part, 4)).sum() > _ELSEWHERE * max((near.scene & part).sum(), 1):
        return 0.0
    return 0.0 if _is_mirrored(part, near) else float((near.slope[beyond] > _FLAT).mean())


def _is_mirrored(part: Bools, near: _Surroundings) -> bool:
    """Whether a region below the product shows it upside down."""
    foot = int(np.flatnonzero(near.solid.any(1))[-1]) + 1
    depth = min(foot, len(part) - foot)
    below, above = slice(foot, foot + depth), slice(foot - depth, foot)
    both = (dilate(part, 3) & (near.away > near.edge))[below] & near.solid[above][::-1]
    if 2 * part[below].sum() < part.sum() or both.sum() < _FEW:
        return False
    shown, sent = (planes[both] - planes[both].mean(0) for planes in (near.colours[below], near.colours[above][::-1]))
    return float((shown * sent).sum()) > _MIRRORED * float(np.sqrt((shown**2).sum() * (sent**2).sum()))


def _list_colours(colours: Floats, inside: Bools) -> Floats:
    """Colours (N, 3) of the product, and mixtures of those near each other."""
    cv2, weight, where = load_opencv(), inside.astype(np.float32), np.flatnonzero(inside)
    both, listed = (
        cv2.merge([*(plane * weight for plane in cv2.split(colours)), weight]),
        colours.reshape(-1, 3).take(where, 0),
    )
    mixed = np.stack([_blur_coarsely(both, sigma).reshape(-1, 4).take(where, 0) for sigma in _MIXED])
    mixtures = mixed[..., :3] / np.maximum(mixed[..., 3:], np.float32(1e-3))
    return np.concatenate((listed, mixtures.reshape(-1, 3)))


def _blur_coarsely(planes: Floats, sigma: float) -> Floats:
    """Gaussian filter; a wide one on a smaller picture, which takes a hundredth of the time."""
    cv2, shrink = load_opencv(), int(sigma / 6)
    if shrink < 2:
        return gaussian_blur(planes, sigma)
    height, width = planes.shape[:2]
    small = cv2.resize(planes, (-(-width // shrink), -(-height // shrink)), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(gaussian_blur(small, sigma / shrink), (width, height)))


def _find_own_colours(small: Bytes, own: Floats, outside: Bools, scene: Bools) -> Bools:
    """Pixels outside whose colours are much more frequent in the product than in the scene."""
    code = _encode(small)
    frequent = [_histogram(codes) for codes in (_encode(own.clip(0, 255)), code[scene])]
    ratio = (frequent[0] / (frequent[1] + 1e-4))[code]
    soft = gaussian_blur(np.where(outside, np.log(np.clip(ratio, 1e-2, 1e2)), 0).astype(np.float32), 1.0)
    return drop_thin(outside & (soft > np.log(_TIMES)), _THIN)


def _encode(colours: NDArray[Any]) -> NDArray[np.int16]:
    """Number of the bin of colours (..., 3), in levels."""
    bins = (colours.astype(np.uint8) // _BIN).astype(np.int16)
    return np.asarray((bins[..., 0] * _BINS + bins[..., 1]) * _BINS + bins[..., 2])


def _histogram(codes: NDArray[np.int16]) -> Floats:
    """Smooth density of colours."""
    cube = (np.bincount(codes, minlength=_BINS**3) / max(len(codes), 1)).astype(np.float32).reshape([_BINS] * 3)
    planes = gaussian_blur(cube, _SPREAD)  # the last axis as channels
    return np.asarray(gaussian_blur(planes.transpose(2, 0, 1).copy(), _SPREAD).transpose(1, 2, 0).reshape(-1))
