"""What was sent and what came back -> how far the generator changed the product.

Takes the canvas and the answer; gives figures. Touches nothing. Raises nothing.

No model is asked: the sent mask says where the product must be, and the answer is looked at there. What each figure is
when nothing was changed, and when something was, stands in docs/finals.md.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photio_prep.tiles import Bools, Floats

# How far a product is looked for, and how far around its outline a new rim (pixels of the canvas).
_REACH, _RIM = 24, 10
# Shade on the scene tells less on a narrow rim; one that moved farther than the second is measured on the wide one.
_NARROW, _WIDE = 5, 5.0
# Levels: an answer that is nearer than this to what was sent, alpha left out, is what was sent.
_SAME = 0.5
# Sectors around the product's middle: a rim that grew in less than half of them is shadow, or a thing beside it.
_SECTORS = 32
# What is finer than this (sigma) a generator's decoder may soften; what is coarser is detail.
_FINE = 1.2
# Energy (levels squared) of what has no detail that could be lost.
_FLAT = 0.01


class Figures(NamedTuple):
    """How the product of an answer differs from the one that was sent; lengths in pixels of the canvas.

    `right`, `down`: shift of its place. `rim`: how far its outline moved outwards, at least half of it; negative where
    it shrank. `grown`: the same as a share of its area. `colour`: CIE 1976 difference (delta E) of the mean colours of
    its inside. `detail`: energy of gradients inside, as a share of what was sent.
    """

    right: float
    down: float
    rim: float
    grown: float
    colour: float
    detail: float


def figures(canvas: Image.Image, answer: Image.Image) -> Figures:
    """The figures of an answer.

    Args:
        canvas: What was sent (RGBA).
        answer: What came back (RGB), of the same size.
    """
    box = canvas.getchannel("A").point([0] * 128 + [255] * 128).getbbox()
    if box is None:
        return Figures(0, 0, 0, 0, 0, 1)
    margin = _REACH + 2 * _RIM
    box = (max(box[0] - margin, 0), max(box[1] - margin, 0), box[2] + margin, box[3] + margin)
    box = (box[0], box[1], min(box[2], canvas.width), min(box[3], canvas.height))
    sent = np.asarray(canvas.crop(box), dtype=np.float32)
    seen = np.asarray(answer.crop(box), dtype=np.float32)
    alpha: Floats = np.asarray(sent[..., 3] / np.float32(255), dtype=np.float32)
    product: Floats = sent[..., :3]
    core = _inside(alpha)
    right, down = _shift(alpha, product, seen, core)
    found = _moved(seen, -round(right), -round(down))
    around = _Outline(alpha, core, product, found)
    rim, grown = around.grown(_RIM)
    if abs(rim) < _WIDE:
        rim, grown = around.grown(_NARROW)
    colour = float(np.linalg.norm(_lab(found[core].mean(0)) - _lab(product[core].mean(0))))
    detail = (_detail(found, core) + _FLAT) / (_detail(product, core) + _FLAT)
    return Figures(*(round(float(each), 3) for each in (right, down, rim, grown, colour, detail)))


def _inside(alpha: Floats) -> Bools:
    """Opaque and away from the edge; of a product of wires, what is opaque at all, or most."""
    from scipy.ndimage import binary_erosion

    solid: Bools = alpha > 0.99
    for times in (4, 2, 1):
        inner: Bools = binary_erosion(solid, iterations=times)
        if inner.sum() > 0.1 * (alpha > 0.5).sum():
            return inner
    return solid if solid.any() else alpha >= alpha.max()


def _shift(alpha: Floats, product: Floats, seen: Floats, core: Bools) -> tuple[float, float]:
    """Right and down: where the product's gradients, and any edge along its outline, fit the answer best."""
    from scipy.ndimage import gaussian_filter

    light = gaussian_filter(seen.mean(-1), 0.7)
    across, down = _slopes(light)
    # Shading says little of a place, and an edge of the scene must not outshout the inside.
    ours = [each * core for each in _slopes(_fine(product.mean(-1)))]
    theirs = _slopes(_fine(seen.mean(-1)))
    loudest = 3 * float(np.hypot(*ours)[core].std()) + 1e-6
    across_fit, down_fit = (
        _fits(each, np.clip(other, -loudest, loudest)) for each, other in zip(ours, theirs, strict=True)
    )
    inside = across_fit + down_fit
    edge_across, edge_down = _slopes(gaussian_filter(alpha, 0.7))
    line, steep = np.hypot(edge_across, edge_down), np.minimum(np.hypot(across, down), 24)
    outline = _fits(line, steep)
    # Each speaks as loudly as it says something: its peak over what it says of places that are wrong.
    fit = _loud(inside) + _loud(outline)
    if float(np.ptp(fit)) < 1e-3:
        return 0.0, 0.0  # neither says anything of a place
    row, column = np.unravel_index(int(fit.argmax()), fit.shape)
    return _peak(fit[row], int(column)) - _REACH, _peak(fit[:, column], int(row)) - _REACH


def _fine(plane: Floats) -> Floats:
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(plane, 0.7) - gaussian_filter(plane, 4), dtype=np.float32)


def _slopes(plane: Floats) -> tuple[Floats, Floats]:
    down, across = np.gradient(plane)
    return np.asarray(across, dtype=np.float32), np.asarray(down, dtype=np.float32)


def _fits(template: Floats, seen: Floats) -> Floats:
    """Correlation for each shift of at most _REACH pixels, [down, right]."""
    from scipy.fft import irfft2, next_fast_len, rfft2

    rows, columns = (next_fast_len(each + 2 * _REACH, real=True) for each in template.shape)
    spectrum = rfft2(seen, (rows, columns)) * np.conj(rfft2(template, (rows, columns)))
    found = np.roll(irfft2(spectrum, (rows, columns)), (_REACH, _REACH), (0, 1))
    return np.asarray(found[: 2 * _REACH + 1, : 2 * _REACH + 1], dtype=np.float32)


def _loud(fit: Floats) -> Floats:
    middle, spread = float(np.median(fit)), float(fit.std())
    return (fit - middle) / max(spread, 1e-6)


def _peak(values: Floats, at: int) -> float:
    """The top of the parabola through a maximum and its neighbours."""
    if not 0 < at < len(values) - 1:
        return float(at)
    before, top, after = (float(each) for each in values[at - 1 : at + 2])
    bend = before - 2 * top + after
    return at + (0.5 * (before - after) / bend if bend < 0 else 0.0)


def _moved(pixels: Floats, right: int, down: int) -> Floats:
    """`pixels` moved, their edges repeated."""
    height, width = pixels.shape[:2]
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    return pixels[rows[:, None], columns]


class _Outline:
    """What is known of a product's outline in an answer, whatever reach it is looked at with.

    Args:
        alpha: (H, W), as it was sent.
        core: Where the product is opaque, a little inside.
        sent: (H, W, 3), the product as it was sent.
        seen: The answer there.
    """

    def __init__(self, alpha: Floats, core: Bools, sent: Floats, seen: Floats) -> None:
        from scipy.ndimage import binary_erosion, distance_transform_edt

        self._in: NDArray[np.float64]
        self._nearest: NDArray[np.int32]
        self._alpha, self._core, self._sent, self._seen = alpha, core, sent, seen
        self._solid = alpha >= 0.5
        self._line = self._solid & ~binary_erosion(self._solid, np.ones((3, 3)), border_value=1)
        self._out = distance_transform_edt(alpha < 0.02)
        self._in, self._nearest = distance_transform_edt(~core, return_indices=True)
        self._product = _mean_in(seen, core)
        self._through = (alpha > 0) & (alpha < 1)
        self._soft = self._through.sum() / max(self._line.sum(), 1)
        # A server that only gives back what it was sent leaves alpha out.
        self._plain = self._through.any() and float(np.abs(seen - sent)[self._through].mean()) < _SAME

    def grown(self, reach: int) -> tuple[float, float]:
        """How far the outline moved outwards, and by what share the area grew.

        Around the outline each pixel lies between the product's colour, a little inside, and the scene's, a little
        outside: how much of the first it has is its coverage in the answer. What that is more than alpha is growth.
        """
        from scipy.ndimage import distance_transform_edt

        far = self._out > reach + 2
        if not (far.any() and self._core.any()):
            return 0.0, 0.0
        ring = ((self._alpha > 0) & ~self._core) | ((self._out <= reach) & ~self._solid)
        ring &= self._in <= reach + 6 + self._soft
        beyond = distance_transform_edt(~far, return_distances=False, return_indices=True)
        product = self._product[tuple(self._nearest[:, ring])]
        scene = _mean_in(self._seen, far)[tuple(beyond[:, ring])]
        contrast = ((product - scene) ** 2).sum(-1)
        tint = self._seen[self._core].mean(0) - self._sent[self._core].mean(0)
        share = self._alpha[ring][:, None]
        share = np.ceil(share) if self._plain else share
        expected = share * (self._sent[ring] + tint) + (1 - share) * scene
        extra = ((self._seen[ring] - expected) * (product - scene)).sum(-1)
        sector, line_sector = self._sectors(ring), self._sectors(self._line)
        area, length = np.bincount(sector, minlength=_SECTORS), np.bincount(line_sector, minlength=_SECTORS)
        extra_all = np.bincount(sector, extra, _SECTORS)
        contrast_all = np.bincount(sector, contrast, _SECTORS)
        speaks = (length > 0) & (contrast_all > 8.0**2 * area) & (area > 0)
        if speaks.sum() < _SECTORS / 8:
            return 0.0, 0.0
        moved = extra_all[speaks] / contrast_all[speaks] * area[speaks] / length[speaks]
        rim = float(np.median(moved))
        return rim, rim * float(length.sum()) / float(self._solid.sum())

    def _sectors(self, where: Bools) -> NDArray[np.int64]:
        """In which sector around the product's middle each place lies."""
        rows, columns = np.nonzero(where)
        top, left = (each.mean() for each in np.nonzero(self._solid))
        turn = np.arctan2(rows - top, columns - left)
        return np.asarray(np.minimum(((turn + np.pi) / (2 * np.pi) * _SECTORS).astype(int), _SECTORS - 1))


def _mean_in(pixels: Floats, where: Bools) -> Floats:
    """Smoothed, each side by itself."""
    from scipy.ndimage import gaussian_filter

    share = where.astype(np.float32)
    weight = gaussian_filter(share, 1.5)[..., None] + np.float32(1e-6)
    return np.asarray(gaussian_filter(pixels * share[..., None], (1.5, 1.5, 0)) / weight, dtype=np.float32)


def _detail(pixels: Floats, core: Bools) -> float:
    """Energy of the gradients of what a lens could still see."""
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(pixels.mean(-1), _FINE)
    down, across = np.gradient(smooth)
    energy = across**2 + down**2
    return float(energy[core].mean())


def _lab(colour: Floats) -> NDArray[np.float64]:
    """CIE L*a*b* (D65) of an sRGB colour in levels."""
    share = np.asarray(colour, dtype=np.float64) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    xyz = _XYZ @ linear / _XYZ.sum(1)
    root = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.asarray([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
