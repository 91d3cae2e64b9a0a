"""Means of an answer along its product's outline, by arc and distance, and how likely each displacement makes them."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from photio_prep.imaging.filters import Floats, gaussian_blur, percentile

Doubles = NDArray[np.float64]
Indices = NDArray[np.int64]

# Bins inside and outside of the outline, in pixels of the canvas.
IN, OUT = 14, 32
AT = np.arange(IN + OUT) - IN + 0.5
# Candidates of the displacement in pixels, outwards.
STEPS = np.concatenate((np.arange(-10, -4), np.arange(-4, 4, 0.5), np.arange(4, 21))).astype(np.float32)
ZERO = int(np.flatnonzero(STEPS == 0)[0])
# Softness of a generator's decoder: sigma in pixels.
SOFT = 0.9
# Share of the pixels beside an outline that is free, below which it is a wire's or a mesh's.
_WIDE = 0.6
# Sigmas of softness that are tried; share of what the best explains that a less soft one may leave.
_SOFTNESS, _ENOUGH = (0.1, 0.3, 0.5, 0.7, 0.9, 1.1, 1.4, 1.8), 0.1
# Fit of the rim, chosen on the even photos of bench.finals: pixels around the outline that are looked at, in two steps;
# neighbours on each side whose scenes are averaged; times that a scene must differ from theirs by more than its texture
# to count for itself; share of an arc that is independent of its neighbours; fewest arcs.
_CLEAR, AROUND, _DIFFERENT, ALIKE, FEW = (5.0, 3.0), 7, 10.0, 0.4, 6
# Least certainty of a growth or shift (squared standard errors) where at least a share of the arcs moved, and where
# not. There no arc differs from growth and shift by more than so many pixels.
_RIGID, _STILL, _MOVING, _WITHIN = 9.0, 16.0, 0.1, 0.3
# The smooth scene is fitted from the displacement on, or from so many pixels farther on: something may be in between.
_FARTHER = [np.minimum(np.searchsorted(STEPS, STEPS + farther), len(STEPS) - 1) for farther in (0, 2, 5, 9)]
# The course of a scene: reach in pixels of the light beside a product, and how firmly the course is held to a constant.
_SHADE, _FIRM = 6.0, 8.0
# Largest share of a scene's pixel that the product may cover; and at 8 pixels outside, of an edge that has a place.
FREE, _SOFTEST = 0.04, 0.1
# Contrast in levels from which a displacement is seen.
FAINT = 10.0
# Bins (distances) where a scene's texture is measured, and those of the product's noise.
FAR, _INNER = AT > 12, (AT < -2) & (AT > -9)
# Share of the pixels that counts, as neighbours repeat each other: at most, also where texture repeats less.
_INDEPENDENT = 0.08
# Log density of colours that neither product nor scene explains: uniform over sRGB, for 2 % of the pixels. A generator
# draws such colours less often onto a product's wider rim.
_STRANGE, _STRANGER = float(np.log(0.02) - 3 * np.log(256)), 8.0
# Least variance of a channel (levels squared), and share of the contrast's square that a mixed pixel varies by.
_LEAST, _MIXED = 16.0, 0.1
# Least coverage of pixels that show nothing but a product's noise.
_HIDING = 0.97
# Most by which a drawn product's variance beside an arc exceeds the median: there its light or pattern is another one.
_NOISIER = 4.0
# Arcs that are computed at once: their tables stay in the processor's cache.
_CHUNK = 16


class Profiles(NamedTuple):
    """Per arc and bin: number of pixels, means of the answer's (y) and the product's colours (q), and of products."""

    pixels: Doubles
    y: Doubles
    q: Doubles
    yy: Doubles
    yq: Doubles
    qq: Doubles
    cover: Doubles


def measure_profiles(
    alpha: Floats, product: Floats, answer: Floats, arc: Indices, nearest: Indices, distance: Floats, total: int
) -> Profiles:
    """Measure the profiles of `total` arcs; the planes are those of `Outline` and of `fit_outline`."""
    near = np.flatnonzero((distance >= -IN) & (distance < OUT))
    away = distance.take(near)
    y = answer.reshape(-1, 3).take(near, 0)
    q = product.reshape(-1, 3).take(np.where(away < 0, near, nearest.take(near)), 0)
    cell = arc.take(near) * len(AT) + np.floor(away).astype(np.int64) + IN

    def mean(values: NDArray[Any]) -> Doubles:
        return np.bincount(cell, values, total * len(AT)).reshape(total, -1) / some

    pixels = np.bincount(cell, minlength=total * len(AT)).reshape(total, -1).astype(np.float64)
    some = np.maximum(pixels, 1)
    means = [np.stack([mean(planes[:, at]) for at in range(3)], -1) for planes in (y, q)]
    yy, yq, qq = (mean(np.einsum("nc,nc->n", a, b)) for a, b in ((y, y), (y, q), (q, q)))
    return Profiles(pixels, means[0], means[1], yy, yq, qq, mean(gaussian_blur(alpha, SOFT).take(near)))


def compute_likelihoods(profiles: Profiles) -> tuple[Doubles, Floats]:
    """Log likelihood (N, steps) of each displacement of each arc; texture of the scene beside it, in levels."""
    pixels, y, yy, cover = profiles.pixels, profiles.y, profiles.yy, profiles.cover
    drawn = _measure_noise(profiles)
    course = fit_scene(profiles, cover, 12.0)
    mass = (pixels * FAR).sum(1)
    scatter = yy - 2 * (y * course).sum(-1) + (course**2).sum(-1)
    scene = np.maximum((scatter * pixels * FAR).sum(1) / np.maximum(mass, 1) / 3, _LEAST)[:, None]
    # Others have no scene in reach, or an edge without a place.
    judged = np.flatnonzero((mass >= 10) & ~find_soft_edges(profiles))
    likelihood = np.zeros((len(pixels), len(STEPS)))
    for first in range(0, len(judged), _CHUNK):
        part = judged[first : first + _CHUNK]
        likelihood[part] = _sum_likelihoods(Profiles(*(means[part] for means in profiles)), scene[part], drawn[part])
    likelihood *= min(1 / max(_measure_repetition(profiles, course, scene), 1e-6), _INDEPENDENT)
    return likelihood, np.sqrt(scene[:, 0]).astype(np.float32)


def _measure_noise(profiles: Profiles) -> Doubles:
    """Variance (N, 1) of a drawn product's colours beside each arc, of which many are like the median."""
    noise = (profiles.yy - 2 * profiles.yq + profiles.qq)[:, _INNER] / 3
    some = (profiles.pixels[:, _INNER] > 0) & (profiles.cover[:, _INNER] > _HIDING)
    middle = max(percentile(noise[some], 50), _LEAST) if some.any() else 4 * _LEAST
    own = (noise * some).sum(1) / np.maximum(some.sum(1), 1)
    return np.asarray(np.clip(own, middle, _NOISIER * middle)[:, None])


def _sum_likelihoods(profiles: Profiles, scene: Doubles, drawn: Doubles) -> Doubles:
    """Log likelihood (N, steps) if pixels were independent, by variances of the scene and the drawn product (N, 1)."""
    share = _displace(profiles.cover, STEPS, each=True)
    pixels, y, q, yy, yq, qq, cover = profiles = Profiles(*(means[:, None] for means in profiles))
    rest, power = 1 - share, (q**2).sum(-1)
    y, q, course = (
        np.ascontiguousarray(np.swapaxes(m, -1, -2)) for m in (y, q, fit_scene(profiles, share, STEPS[:, None]))
    )
    powers, with_q, with_y = (np.einsum("...ck,...ck->...k", course, means) for means in (course, q, y))
    mixed = _MIXED * share * rest * (power - 2 * with_q + powers)
    variance = share**2 * drawn[..., None] + rest**2 * scene[..., None] + mixed
    # Of the density of a pixel: what does not depend on the scene, and factors of what does.
    fixed = -1.5 * np.log(2 * np.pi * variance) - (yy - 2 * share * yq + share**2 * qq) / (2 * variance)
    linear = rest / variance
    square, cross, floor = linear * rest / 2, linear * share, _STRANGE - _STRANGER * np.clip(share - cover, 0, 1)
    sums = []
    for at in _FARTHER:
        density = fixed + linear * with_y[:, at] - cross * with_q[:, at] - square * powers[:, at]
        sums.append((pixels @ np.swapaxes(np.maximum(density, floor), 1, 2))[:, 0])
    return np.asarray(np.max(sums, 0))


def fit_rim(
    profiles: Profiles, moved: Floats, normal: Floats, loops: list[tuple[int, int]], texture: Floats
) -> tuple[Floats, Doubles, Doubles]:
    """Refine displacements (N) to parts of a pixel; returns them, and seen and full coverage (N, bins)."""
    wide = find_wide(profiles)
    by, rough = moved, smooth_loops(np.maximum(texture, np.median(texture))[:, None] ** 2, loops, AROUND)[:, 0]
    for reach in _CLEAR:
        excess, contrast, seen, full = _measure_excess(profiles, by, rough, loops, reach)
        usable = wide & (contrast > FAINT**2) & ~find_soft_edges(profiles)
        by = _smooth_displacements(by + excess, np.where(usable, contrast / rough, 0), moved, normal, loops)
        by = np.where(wide, by, moved)
    return by, seen * wide[:, None], full * wide[:, None]


def find_wide(profiles: Profiles) -> NDArray[np.bool_]:
    """Arcs with enough product inside and scene outside; wires and meshes have neither."""
    least = _WIDE * profiles.pixels[:, IN - 1]
    inside, outside = profiles.pixels[:, IN - 8 : IN].sum(1), profiles.pixels[:, IN : IN + 6].sum(1)
    wide = (inside > 8 * least) & (outside > 6 * least)
    return np.asarray(wide & (wide.mean() > 0.5))


def _measure_excess(
    profiles: Profiles, by: Floats, rough: Doubles, loops: list[tuple[int, int]], reach: float
) -> tuple[Doubles, Doubles, Doubles, Doubles]:
    """Pixels that the product covers beyond a displacement `by` (N); contrast (levels squared); seen, full coverage.

    Coverage is measured in the direction of the neighbours' scenes: noise of an arc's own scene would stand in both
    factors, and be taken for growth.
    """
    course = fit_scene(profiles, np.zeros_like(profiles.cover), by[:, None] + reach)
    inner = profiles.pixels * ((AT < -4) & (AT > -13))
    gain = (inner * profiles.yq).sum(1) / np.maximum((inner * profiles.qq).sum(1), 1)
    q = profiles.q * np.clip(smooth_loops(gain[:, None], loops, 1), 0.85, 1.15)[:, None]
    apart = q - average_scenes(course[:, IN], rough, loops)[:, None]
    weight = profiles.pixels * (np.abs(AT - by[:, None]) < reach)
    seen, full = (((planes - course) * apart).sum(-1) * weight for planes in (profiles.y, q))
    contrast = ((apart**2).sum(-1) * weight).sum(1) / np.maximum(weight.sum(1), 1)
    excess = (seen - full * _displace(profiles.cover, by)).sum(1) / np.maximum(weight.sum(1) / (2 * reach), 1)
    return np.clip(excess / np.maximum(contrast, FAINT**2), -reach, reach), contrast, seen, full


def _smooth_displacements(
    by: Doubles, scale: Doubles, moved: Floats, normal: Floats, loops: list[tuple[int, int]]
) -> Floats:
    """Growth and shift fitted to all arcs, and a local rest as far as it exceeds their scatter.

    1 / `scale` (N) is proportional to the variance of `by`; 0 is unknown. Arcs that `moved` keep their own.
    """
    if (scale > 0).sum() < FEW:
        return moved
    model: Doubles = np.column_stack((np.ones(len(by)), normal.astype(np.float64)))
    weights, rigid, square, spread = scale, np.zeros(3), np.eye(3), 1.0
    for _ in range(6):
        square = model.T @ (weights[:, None] * model)
        rigid = np.linalg.solve(square + np.eye(3) * 1e-3 * np.trace(square), model.T @ (weights * by))
        rest = by - model @ rigid
        spread = max(percentile((rest**2 * scale)[scale > 0], 50) / 0.455, 1e-9)
        weights = scale / np.maximum(1, np.sqrt(rest**2 * scale / spread) / 1.5)
    # Squared length in standard errors: 3 on average where nothing moved.
    sure = float(rigid @ square @ rigid) / spread * ALIKE
    still = (moved != 0).mean() < _MOVING
    least = _STILL if still else _RIGID
    rigid *= max(0.0, 1 - least / max(sure, least))
    base = np.where(moved == 0, model @ rigid, moved)
    mass = smooth_loops(scale[:, None], loops, 2)[:, 0]
    local = smooth_loops(((by - base) * scale)[:, None], loops, 2)[:, 0] / np.maximum(mass, 1e-9)
    around = percentile(((by - base - local) ** 2 * scale)[scale > 0], 50) / 0.455
    noise = around / np.maximum(ALIKE * mass, 1e-9)
    local *= np.clip(1 - noise / np.maximum(local**2, 1e-9), 0, 1)
    if still:
        local = np.clip(local, -_WITHIN, _WITHIN)
    return np.asarray(base + local, dtype=np.float32)


def measure_softness(seen: Doubles, full: Doubles, by: Floats, alpha: Floats, arc: Indices, distance: Floats) -> float:
    """Least sigma of a filter of alpha that explains the coverage along the outline, displaced `by` (N)."""
    near = np.flatnonzero(np.abs(distance) < IN)
    cell = arc.take(near) * len(AT) + np.floor(distance.take(near)).astype(np.int64) + IN
    pixels = np.maximum(np.bincount(cell, minlength=full.size), 1)
    misfit = np.zeros(len(_SOFTNESS))
    for column, sigma in enumerate(_SOFTNESS):
        cover = (np.bincount(cell, gaussian_blur(alpha, sigma).take(near), full.size) / pixels).reshape(full.shape)
        misfit[column] = np.square((seen - full * _displace(cover, by)).sum(0)).sum()
    enough = misfit.min() + _ENOUGH * (misfit[0] - misfit.min())
    return _SOFTNESS[int(np.argmax(misfit <= enough))]


def average_scenes(scene: Doubles, rough: Doubles, loops: list[tuple[int, int]]) -> Doubles:
    """Colours (N, 3) beside arcs, the mean of their neighbours as far as those differ by no more than texture."""
    near = smooth_loops(scene, loops, AROUND)
    spread = smooth_loops(np.square(scene - near).sum(1, keepdims=True), loops, AROUND)
    own = np.clip(1 - _DIFFERENT * rough[:, None] / np.maximum(spread, 1e-6), 0, 1)
    return own * scene + (1 - own) * near


def smooth_loops(values: Doubles, loops: list[tuple[int, int]], reach: int) -> Doubles:
    """Means of the values (N, C) of closed lines' arcs over 2 · reach + 1 arcs."""
    parts = []
    for first, end in loops:
        near = min(reach, (end - first - 1) // 2)
        around = np.arange(end - first)[:, None] + np.arange(-near, near + 1)
        parts.append(values[first:end].take(around, 0, mode="wrap").mean(1))
    return np.concatenate(parts)


def find_soft_edges(profiles: Profiles) -> NDArray[np.bool_]:
    """Arcs whose edge is too soft to have a place."""
    return np.asarray(profiles.cover[:, IN + 8] > _SOFTEST)


def read_bins(values: Doubles, arc: Indices, distance: Floats) -> Floats:
    """Values (N, bins) of arcs at the distances of pixels (H, W), interpolated; 0 out of reach."""
    at = distance + (IN - 0.5)
    near = np.flatnonzero((at > 0) & (at < len(AT) - 1))
    low, rows = at.take(near).astype(np.int64), arc.take(near)
    share = at.take(near) - low
    out = np.zeros(distance.shape, np.float32)
    out.ravel()[near] = values[rows, low] * (1 - share) + values[rows, low + 1] * share
    return out


def _displace(cover: Doubles, step: Floats, *, each: bool = False) -> Doubles:
    """Coverage (N, bins) of a product whose outline is displaced outwards by `step` (N).

    `each`: every arc is displaced by each step (S): (N, S, bins).
    """
    at = np.clip(np.arange(len(AT)) - step[:, None], 0, len(AT) - 1)
    low = at.astype(int)
    high, rows = np.minimum(low + 1, len(AT) - 1), slice(None) if each else np.arange(len(cover))[:, None]
    return np.asarray(cover[rows, low] * (1 - (at - low)) + cover[rows, high] * (at - low))


def fit_scene(profiles: Profiles, share: Doubles, step: Floats | float) -> Doubles:
    """Smooth course (…, bins, 3) of the scene's mean colours outside of a displaced outline, continued inwards."""
    away = AT - step
    base = np.stack((np.ones_like(away), away / OUT, np.exp(-np.maximum(away, 0) / _SHADE)), -2)
    held = base * (profiles.pixels * (share < FREE) * (away > 0))[..., None, :]
    normal = held @ np.swapaxes(base, -1, -2) + np.diag([1e-3, _FIRM, _FIRM])
    return np.swapaxes(np.swapaxes(np.linalg.solve(normal, held @ profiles.y), -1, -2) @ base, -1, -2)


def _measure_repetition(profiles: Profiles, course: Doubles, scene: Doubles) -> float:
    """Variance of a texture's means over four bins, against that of as many independent pixels."""
    blocks = np.flatnonzero(FAR)[: FAR.sum() // 4 * 4].reshape(-1, 4)
    counts = profiles.pixels[:, blocks].sum(-1)
    sums = (profiles.pixels[..., None] * (profiles.y - course))[:, blocks].sum(2)
    squares = (sums**2).sum(-1) / np.maximum(counts, 1)
    return float(squares.sum() / max(float((3 * scene * (counts > 0)).sum()), 1.0))
