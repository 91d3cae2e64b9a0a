"""List where an answer's product differs from the one that was sent, by how much and how surely."""

from collections.abc import Iterator
from math import erf, sqrt

import numpy as np

from photio_prep.final.drift import Comparison
from photio_prep.final.interior import OTHER, TILE
from photio_prep.final.outline import Outline
from photio_prep.final.soft_edges import judge_soft_sides, measure_mean
from photio_prep.geometry import Size
from photio_prep.imaging.filters import Bools, dilate, measure_parts
from photio_prep.quality import LENGTHS, MOST_REGIONS, SIDE, Region

# Pixels beside an outline that show it, and from one missing piece to the next of a region; least displacement in
# pixels.
_BESIDE, _JOINED, _LEAST = 2.0, 8, 1.0

_Edges = tuple[float, float, float, float]
_Change = tuple[str, _Edges, float, float]


def list_regions(comparison: Comparison, canvas: Size, photo: Size) -> tuple[Region, ...]:
    """List the regions in pixels of the photo, the largest first.

    Args:
        comparison: Of the photo's frame.
        canvas: Size of that frame on the canvas.
        photo: Its size in the photo.
    """
    across, down = photo.width / canvas.width, photo.height / canvas.height
    regions = []
    for change in (_list_rims, _list_tiles, _list_parts):
        for kind, (left, top, right, bottom), amount, sure in change(comparison):
            box = (
                max(round(left * across), 0),
                max(round(top * down), 0),
                min(round(right * across), photo.width),
                min(round(bottom * down), photo.height),
            )
            amount *= sqrt(across * down) if kind in LENGTHS else 1
            regions.append(Region(kind, box, round(amount, 3), round(min(max(sure, 0.0), 1.0), 2)))
    regions.sort(key=lambda region: (region.box[0] - region.box[2]) * (region.box[3] - region.box[1]))
    return tuple(regions[:MOST_REGIONS])


def _list_rims(comparison: Comparison) -> Iterator[_Change]:
    """Stretches of the outline that moved."""
    outline = comparison.outline
    if outline is None:
        return
    yield from _list_soft(comparison, outline)
    if comparison.side:
        (left, top, right, bottom), amount, sure = comparison.side
        across, down = comparison.box[:2]
        yield "outwards", (left + across, top + down, right + across, bottom + down), amount, sure
    displaced = outline.runs if abs(comparison.metrics.side) > SIDE else outline.moved
    if not displaced.any():
        return
    beside = np.abs(outline.distance) < _BESIDE
    for kind, sign in (("outwards", 1), ("inwards", -1)):
        moved = displaced * sign
        for here, (left, top, right, bottom) in _split(beside & (moved >= _LEAST)[outline.arc], comparison.box[:2]):
            arcs = np.unique(outline.arc[here])
            amount = float(np.average(moved[arcs], weights=outline.length[arcs] + 1e-6))
            sure = erf(amount / float(outline.error[arcs].mean()) / sqrt(2))
            by = max(0.0, amount * sign)
            yield kind, (left - by, top - by, right + by, bottom + by), amount, sure


def _list_soft(comparison: Comparison, outline: Outline) -> Iterator[_Change]:
    """Parts of the product whose edge is too soft to have a place, and moved."""
    if not any(outline.blurred):
        return
    soft = (np.abs(outline.distance) < _BESIDE) & (outline.vague > 0)[outline.arc]
    for here, box in _split(comparison.alpha >= 0.5, comparison.box[:2]):
        arcs = np.unique(outline.arc[here & soft])
        by, weight = outline.fit[arcs], outline.vague[arcs]
        if any(judge_soft_sides(by, weight, outline.normal[arcs])):
            mean, error = measure_mean(by, weight)
            yield "outwards" if mean > 0 else "inwards", box, abs(mean), erf(abs(mean) / max(error, 1e-6) / sqrt(2))


def _list_tiles(comparison: Comparison) -> Iterator[_Change]:
    """Joined tiles whose texture is displaced, or another."""
    tiles, area = comparison.interior.tiles, float(comparison.alpha.sum())
    if not len(tiles.place):
        return
    column, row = (tiles.place // TILE).astype(int).T
    explained = tiles.better / np.maximum(1 - tiles.fit + tiles.better, 1e-6)
    for kind, chosen in (("warped", tiles.warped), ("redrawn", tiles.redrawn)):
        where = np.zeros((row.max() + 1, column.max() + 1), bool)
        where[row[chosen], column[chosen]] = True
        for here, box in _split(where, comparison.box[:2], TILE):
            inside = here[row, column]
            if kind == "warped":
                yield kind, box, float(tiles.apart[inside].mean()), float(explained[inside].mean())
            else:
                yield kind, box, float(tiles.pixels[inside].sum()) / area, 1 - float(tiles.fit[inside].mean())


def _list_parts(comparison: Comparison) -> Iterator[_Change]:
    """Parts that were added, or are something else now."""
    area = float(comparison.alpha.sum()) + 1e-6
    added, other = comparison.added, comparison.interior.other
    unit = comparison.unit
    for here, box in _split(added > 0, (0, 0), unit):
        yield "added", box, float(here.sum()) * unit**2 / area, float(added[here].mean())
    for near, (left, top, right, bottom) in _split(dilate(other > 0, _JOINED), comparison.box[:2]):
        here, by = near & (other > 0), _JOINED
        edges = left + by, top + by, right - by, bottom - by
        yield "missing", edges, float(here.sum()) / area, erf(float(other[here].mean()) / OTHER / sqrt(2))


def _split(where: Bools, corner: tuple[int, ...], unit: float = 1.0) -> Iterator[tuple[Bools, _Edges]]:
    """The largest connected parts of a mask, and their edges on the canvas; a pixel of it is `unit` pixels long."""
    if not where.any():
        return
    labels, parts = measure_parts(where, diagonal=True)
    for number in np.argsort(-parts[:, 4], kind="stable")[:MOST_REGIONS]:
        left, top, width, height, _ = parts[number].tolist()
        edges = left * unit, top * unit, (left + width) * unit, (top + height) * unit
        yield (
            labels == number + 1,
            (edges[0] + corner[0], edges[1] + corner[1], edges[2] + corner[0], edges[3] + corner[1]),
        )
