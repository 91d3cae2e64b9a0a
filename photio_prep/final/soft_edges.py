"""Edges that are too soft to have a place: how far they are displaced, and how much more or less of them is covered."""

import numpy as np

from photio_prep.final.outline_profiles import (
    ALIKE,
    AT,
    FAINT,
    FEW,
    FREE,
    IN,
    Doubles,
    Profiles,
    average_scenes,
    find_soft_edges,
    fit_scene,
    smooth_loops,
)
from photio_prep.imaging.filters import Bools, Floats

# Error of an edge whose contrast is too small. Least displacement that counts, beyond three standard errors; cosine up
# to which an arc faces a side.
LOST, _VAGUE, _FACING = 9.0, 1.25, 0.7
# Pixels from a soft edge on which the scene is fitted, and in how many it must be seen free of the product: within
# haze or a narrow gap it is not known.
_BESIDE, _OUTWARDS = 8.0, 4.0
# Neighbours on each side whose coverage is averaged; squared standard errors from which a change of it is believed.
# Chosen on the even photos of bench.finals.
_NEIGHBOURS, _BELIEVED = 7, 16.0


def measure_soft_edges(
    profiles: Profiles, texture: Floats, loops: list[tuple[int, int]]
) -> tuple[Doubles, Doubles, Floats, Doubles]:
    """Displacement of arcs by their mean coverage, its error, and its weight; 0 of arcs whose edge has a place.

    The last is the change of coverage (N, bins), averaged over neighbours, 0 where it is not certain.

    It is measured in the direction of the neighbours' scenes, as in `measure_excess`.
    """
    soft, cover = find_soft_edges(profiles), profiles.cover
    course = fit_scene(profiles, cover, _BESIDE)
    free = (profiles.pixels * (cover < FREE) * (AT > _BESIDE)).sum(1)
    known = soft & (free > _OUTWARDS * profiles.pixels[:, IN - 1])
    weight = profiles.pixels * ((AT > -IN + 2) & (AT < 20)) * known[:, None]
    apart = profiles.q - average_scenes(course[:, IN], texture.astype(np.float64) ** 2, loops)[:, None]
    extra, full, contrast = (
        ((planes * apart).sum(-1)) * weight for planes in (profiles.y - course, profiles.q - course, apart)
    )
    extra -= cover * full
    width = weight.sum(1) / np.maximum(profiles.pixels[:, IN - 1], 1)
    total = np.maximum(contrast.sum(1), 1e-6)
    faint = ~known | (total < FAINT**2 * weight.sum(1))
    by = extra.sum(1) / total * width
    error = np.where(faint, LOST, 1.0)
    vague = np.where(faint, 0, total / np.maximum(width, 1)).astype(np.float32)
    return by, error, vague, _average_changes(extra, contrast, soft, ~faint, loops)


def _average_changes(
    extra: Doubles, contrast: Doubles, soft: Bools, known: Bools, loops: list[tuple[int, int]]
) -> Doubles:
    """Change of coverage (N, bins) of soft edges: of each line, and of neighbours beyond that.

    It counts as far as the scatter of the known arcs allows, and where there are several of them.
    """
    change = np.zeros_like(extra)
    for reach in (len(extra), _NEIGHBOURS):
        rest = extra - change * contrast
        near = np.maximum(smooth_loops(contrast, loops, reach), 1e-6)
        by = smooth_loops(rest, loops, reach) / near
        count = np.array([min(2 * reach + 1, end - first) for first, end in loops for _ in range(first, end)])
        several = count * smooth_loops(known[:, None].astype(np.float64), loops, reach)[:, 0] >= FEW
        scatter = smooth_loops((rest - by * contrast) ** 2, loops, reach) / near**2
        scatter /= np.maximum(count * ALIKE, 1)[:, None]
        by *= (soft & several)[:, None]
        change += by * np.clip(1 - _BELIEVED * scatter.sum(1) / np.maximum((by**2).sum(1), 1e-9), 0, 1)[:, None]
    return np.clip(change, -1, 1)


def measure_mean(by: Floats, weight: Floats) -> tuple[float, float]:
    """Weighted mean of the displacements of soft edges, and its standard error."""
    total = max(float(weight.sum()), 1e-6)
    mean = float((weight * by).sum()) / total
    return mean, float(np.sqrt(np.square(weight * (by - mean)).sum() / ALIKE)) / total


def judge_soft_sides(by: Floats, weight: Floats, normal: Floats) -> tuple[float, float]:
    """Mean displacement of soft edges on all sides, and on the one where it is largest; 0 where it is not certain."""
    means = []
    for side in ((0, 0), (0, -1), (1, 0), (0, 1), (-1, 0)):
        share = weight * (normal @ np.array(side, np.float32) > _FACING if any(side) else 1)
        mean, error = measure_mean(by, share)
        means.append(mean if np.count_nonzero(share) >= FEW and abs(mean) > _VAGUE + 3 * error else 0.0)
    return means[0], max(means[1:], key=abs)
