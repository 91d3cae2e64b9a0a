"""Fit how far the outline of a product moved in an answer, arc by arc, with its uncertainty.

Along its outline the product is cut into arcs. At each distance from an arc, colours follow a model: the product's up
to a displacement, then the scene's, whose light may change smoothly towards the product, or which something strange
may cover. The likelihood of a displacement takes the texture of the scene beside the arc into account, so that noise
is not growth. A path of least cost along the outline (Viterbi) decides; what is not certain counts as unmoved.
"""

from dataclasses import dataclass, replace

import numpy as np

from photio_prep.final.outline_profiles import (
    STEPS,
    ZERO,
    Doubles,
    Indices,
    compute_likelihoods,
    find_soft_edges,
    find_wide,
    fit_rim,
    measure_profiles,
    measure_softness,
    read_bins,
)
from photio_prep.final.shadows import find_shadows
from photio_prep.final.soft_edges import LOST, judge_soft_sides, measure_soft_edges
from photio_prep.imaging.filters import Floats, erode, gaussian_blur, length_of, load_opencv

# Length of an arc in pixels of the canvas.
_ARC = 20
# Costs: of an arc that moved, of each pixel, and of a difference between neighbours (at most _JUMP pixels count).
_MOVES, _PIXEL, _BEND, _JUMP = 4.0, 0.05, 1.0, 5.0
# A run of arcs moved if it is so much cheaper, and at least one of them moved so many pixels: more, if the run is less
# than half of its line. A redraw that keeps the outline is up to 1.5 px off in places (the sandbox's, small photos).
_SURE, _TINY, _LOCAL = 30.0, 0.9, 2.0
# Arcs of a run that is a change of its own, and share of all arcs that such runs need to make shorter ones credible:
# a single grain of the product's colour looks like one. None is so far inwards, nor a single arc twice so far outwards.
_LONG, _CREDIBLE, _DEEP = 6, 0.1, 4.0
# Growth or shift in pixels from which wires are displaced; of unchanged ones up to 0.3 is measured. From twice that on
# they moved: the scene beside them is filled from farther away.
_MESH = 0.5
# Standard deviation of a scene's texture in levels from which it is rough.
_ROUGH = 9.0
# Displacement in pixels that is one; coverage from which a pixel belongs to the ring, and up to how many pixels inside
# of where the sent product is solid; alpha from which coverage is not doubted, and pixels inwards up to which that of
# soft edges is not.
SOME, _RING, _SOLID, _RIM, _OPAQUE, _LACKING = 0.1, 0.12, 0.98, 3, 0.95, 3.0


@dataclass(frozen=True, slots=True)
class Outline:
    """Arcs of a product's outline in an answer.

    `arc` (H, W): the nearest arc of each pixel, from 0. `nearest` (H, W): flat index of its nearest outline pixel.
    `distance` (H, W): from the outline in pixels, negative inside. Per arc: `moved`, how far it is displaced outwards
    in pixels (0 where that is not certain); `rim`, the same to a part of a pixel; `fit` and `error`, the likeliest
    displacement and its standard error; `normal` (N, 2), the direction outwards; `length` in pixels; `texture`, the
    scene's standard deviation in levels.
    `loops`: first arc and end of each closed line. `soft`: sigma of the answer's softness, in pixels; 0 beside wires.
    `blurred`: displacement of edges that are too soft to have a place, on all sides (as far as the outline is soft) and
    on the one where it is largest; `vague` (N): weight of each such arc, 0 of others.
    `runs` (N): as `moved`, with the short runs that stand alone: enough to report a side, too little to repair it.
    `change` (N, bins): of the coverage of soft edges, by distance; empty without such edges.
    """

    arc: Indices
    nearest: Indices
    distance: Floats
    loops: list[tuple[int, int]]
    moved: Floats
    rim: Floats
    fit: Floats
    error: Floats
    normal: Floats
    length: Floats
    texture: Floats
    soft: Floats
    blurred: tuple[float, float]
    vague: Floats
    runs: Floats
    change: Doubles


def fit_outline(alpha: Floats, product: Floats, answer: Floats) -> Outline | None:
    """Fit the outline of a product in an answer; None for a product without one.

    Args:
        alpha: (H, W) 0..1, as sent.
        product: (H, W, 3) levels, as sent, in the light of the answer.
        answer: (H, W, 3) levels.
    """
    arc, nearest, distance, loops = traced = _trace_arcs(alpha)
    if not loops:
        return None
    total = loops[-1][1]
    profiles = measure_profiles(alpha, product, answer, arc, nearest, distance, total)
    likelihood, texture = compute_likelihoods(profiles)
    weights = np.exp(likelihood - likelihood.max(1, keepdims=True))
    weights /= weights.sum(1, keepdims=True)
    fit = weights @ STEPS
    error = np.sqrt(weights @ STEPS**2 - fit**2 + 0.04)
    soft = find_soft_edges(profiles)
    vague: Floats = np.zeros(total, np.float32)
    change: Doubles = np.zeros((0, 0))
    if soft.any():
        by, unsure, vague, change = measure_soft_edges(profiles, texture, loops)
        fit[soft], error[soft] = by[soft], unsure[soft]
    costs = np.abs(STEPS) * _PIXEL + (STEPS != 0) * _MOVES - likelihood
    normal = _find_normals(alpha, arc, distance, total)
    runs = np.concatenate([_follow(costs[first:end]) for first, end in loops])
    shadow = find_shadows(profiles, np.maximum(runs, fit), normal, loops)
    runs[shadow], error[shadow] = 0, LOST
    moved = _drop_lone(runs.copy(), loops)
    length = np.bincount(arc[(distance > -1) & (distance < 0)], minlength=total).astype(np.float32)
    fit, error = fit.astype(np.float32), error.astype(np.float32)
    around, side = judge_soft_sides(fit, vague, normal)
    blurred = around * float(length[soft].sum() / max(length.sum(), 1)), side
    rim, seen, full = fit_rim(profiles, moved, normal, loops, texture)
    sigma = measure_softness(seen, full, rim, alpha, arc, distance)
    wide = find_wide(profiles)
    softness = np.where(wide, sigma, 0).astype(np.float32)
    outline = Outline(*traced, moved, rim, fit, error, normal, length, texture, softness, blurred, vague, runs, change)
    return outline if wide.any() else _move_mesh(outline)


def _move_mesh(outline: Outline) -> Outline:
    """The outline of wires, which lie too near to each other to be followed arc by arc: moved by growth and shift."""
    rigid = np.array(fit_rigid(outline, outline.fit))
    if np.abs(rigid).max() < _MESH:
        return outline
    rim = (rigid[0] + outline.normal @ rigid[1:]).astype(np.float32)
    return replace(outline, rim=rim, moved=rim if np.abs(rigid).max() > 2 * _MESH else outline.moved)


def _trace_arcs(alpha: Floats) -> tuple[Indices, Indices, Floats, list[tuple[int, int]]]:
    """`arc`, `nearest`, `distance` and `loops` of an Outline."""
    cv2 = load_opencv()
    solid = (alpha >= 0.5).astype(np.uint8)
    line, loops, total = np.zeros(alpha.shape, np.int64), [], 0
    for contour in cv2.findContours(solid, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)[0]:
        if len(contour) >= _ARC // 2:
            arcs = max(1, round(len(contour) / _ARC))
            line[contour[:, 0, 1], contour[:, 0, 0]] = total + 1 + np.arange(len(contour)) * arcs // len(contour)
            loops.append((total, total + arcs))
            total += arcs
    away, label = cv2.distanceTransformWithLabels(
        (line == 0).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    on = np.flatnonzero(line)
    places = np.zeros(int(label.max()) + 1, np.int64)
    places[label.ravel()[on]] = on
    nearest = places.take(label)
    distance = np.where(solid > 0, -(away + 0.5), away - 0.5).astype(np.float32)
    return line.take(nearest) - 1, nearest, distance, loops


def _find_normals(alpha: Floats, arc: Indices, distance: Floats, total: int) -> Floats:
    cv2 = load_opencv()
    soft, near = gaussian_blur(alpha, 2.0), np.abs(distance) < 2
    slopes = [cv2.Sobel(soft, cv2.CV_32F, *order, ksize=3)[near] for order in ((1, 0), (0, 1))]
    normal = -np.stack([np.bincount(arc[near], slope, total) for slope in slopes], 1)
    return np.asarray(normal / np.maximum(np.hypot(*normal.T), 1e-6)[:, None], dtype=np.float32)


def _follow(costs: Doubles) -> Floats:
    """Displacement of each arc of a closed line with the least total cost; 0 where a run of arcs is not certain."""
    bend = _BEND * np.minimum(np.abs(STEPS[:, None] - STEPS[None]), _JUMP)
    count, before, rows = len(costs), (len(costs) + 1) // 2, np.arange(len(STEPS)) * len(STEPS)
    # The line is closed by walking it twice; the middle does not depend on the ends.
    walk = np.arange(-before, count + before) % count
    total, back = costs[walk[0]], []
    for cost in costs[walk[1:]]:
        ways = total + bend
        back.append(ways.argmin(1))
        total = ways.ravel()[back[-1] + rows] + cost
    path = [int(total.argmin())]
    for pointers in reversed(back):
        path.append(int(pointers[path[-1]]))
    return _drop_uncertain(np.array(path[::-1][before : before + count]), costs, bend)


def _drop_uncertain(states: Indices, costs: Doubles, bend: Doubles) -> Floats:
    count, moved = len(states), STEPS[states].copy()
    for run in _split_runs(moved):
        still = states.copy()
        still[run] = ZERO
        sums = [costs[np.arange(count), path].sum() + bend[path, np.roll(path, 1)].sum() for path in (still, states)]
        least = _TINY if 2 * len(run) > count else _LOCAL
        if sums[0] - sums[1] < _SURE or np.abs(moved[run]).max() < least:
            moved[run] = 0
    return moved


def _split_runs(moved: Floats) -> list[Indices]:
    """Indices of each run of arcs of a closed line with displacements of one sign."""
    signs = np.sign(moved)
    changes = np.flatnonzero(signs != np.roll(signs, 1))
    order = np.roll(np.arange(len(moved)), -changes[0] if changes.size else 0)
    return np.split(order, np.flatnonzero(np.diff(signs[order])) + 1)


def _drop_lone(moved: Floats, loops: list[tuple[int, int]]) -> Floats:
    """Displacements without short runs that are not credible, but for those of most of a line: a small part."""
    runs = [
        (first + run, 2 * len(run) > end - first)
        for first, end in loops
        for run in _split_runs(moved[first:end])
        if moved[first + run[0]]
    ]
    rare = sum(len(run) for run, _ in runs if len(run) >= _LONG) < _CREDIBLE * len(moved)
    for run, most in runs:
        far = moved[run].min() < -_DEEP or (len(run) == 1 and moved[run[0]] > 2 * _DEEP)
        if len(run) < _LONG and not most and (rare or far):
            moved[run] = 0
    return moved


def fit_rigid(outline: Outline, displacements: Floats) -> tuple[float, float, float]:
    """Growth and shift (right, down) in pixels that fit the arcs together, by robust least squares.

    An arc with the normal (x, y) is displaced by growth + right * x + down * y. Arcs of one side do not tell it alone.
    """
    model: Doubles = np.column_stack((np.ones(len(displacements)), outline.normal.astype(np.float64)))
    weight = base = outline.length / (outline.error**2 + 0.25) * (outline.error < 3)
    if (base > 0).sum() < 6:
        return 0.0, 0.0, 0.0
    rigid = np.zeros(3)
    for _ in range(8):
        square = model.T @ (weight[:, None] * model)
        rigid[:] = np.linalg.solve(square + np.eye(3) * 3e-3 * np.trace(square), model.T @ (weight * displacements))
        weight = base / np.maximum(1, np.abs(displacements - model @ rigid))
    return float(rigid[0]), float(rigid[1]), float(rigid[2])


def measure_side(outline: Outline) -> float:
    """Largest mean displacement of a stretch of a 24th of the outline, in pixels, with its sign."""
    stretch, most = float(outline.length.sum()) / 24, 0.0
    for first, end in outline.loops:
        lengths = np.tile(outline.length[first:end], 2)
        along = np.concatenate(([0], np.cumsum(lengths)))
        done = np.concatenate(([0], np.cumsum(lengths * np.tile(outline.runs[first:end], 2))))
        if along[end - first] < stretch:
            continue
        starts = np.arange(end - first)
        ends = np.searchsorted(along, along[starts] + stretch)
        means = (done[ends] - done[starts]) / (along[ends] - along[starts])
        most = max(most, float(means[np.abs(means).argmax()]), key=abs)
    return most


def cover_of(outline: Outline, alpha: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Coverage (0..1) of pixels by the answer's product, its displacement outwards, the scene's roughness (0..1).

    The fourth is 1 in the ring that a product moved outwards covers beside the sent one and at its edge; wires have
    none. The last is 1 where coverage is not doubted: within the sent product, and along soft edges that were measured.
    """
    cv2 = load_opencv()
    blurred = gaussian_blur(alpha, max(0.1, float(outline.soft.max())))
    soft = np.where(outline.soft.take(outline.arc) > 0, blurred, alpha)
    by = gaussian_blur(outline.rim.take(outline.arc), 3.0)
    smooth = gaussian_blur(outline.distance, 1.5)
    across, down = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    reach = by / np.maximum(length_of(across, down), np.float32(1e-3))
    rows, columns = np.indices(alpha.shape, dtype=np.float32)
    displaced = cv2.remap(soft, columns - across * reach, rows - down * reach, cv2.INTER_LINEAR)
    moved = gaussian_blur(np.maximum(outline.moved, 0).take(outline.arc), 3.0)
    rough = (outline.texture > _ROUGH).astype(np.float32).take(outline.arc)
    cover = np.where(by > 0, np.maximum(soft, displaced), displaced)
    if outline.change.size:
        cover = np.clip(cover + read_bins(outline.change, outline.arc, outline.distance), 0, 1)
    outwards = (moved > SOME) | (by > _MESH)
    followed = ((outline.soft > 0) & (outline.vague == 0))[outline.arc]
    ring = outwards & followed & (cover > _RING) & ~erode(alpha > _SOLID, _RIM)
    settled = (alpha > _OPAQUE) | ((outline.vague > 0) & (outline.fit > -_LACKING))[outline.arc]
    return cover, moved, rough, ring.astype(np.float32), settled.astype(np.float32)
