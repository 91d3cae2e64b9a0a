"""Measure how far the generator changed the product.

No network is used: the sent mask tells where the product must be. measurements/finals.md has the figures of unchanged
and of changed products.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photio_prep.imaging.filters import Bools, Floats
from photio_prep.quality import DriftMetrics

# Largest shift of the product, and largest growth of its outline, in pixels of the canvas.
_REACH, _RIM = 24, 10
# Shadows on the scene disturb a narrow rim less; growth beyond the second value is measured on the wide one.
_NARROW, _WIDE = 5, 5.0
# Levels: an answer closer than this to the sent colours, without alpha, is an echo of the request.
_SAME = 0.5
# Sectors around the product's centre: growth in less than half of them is a shadow, or a neighbouring thing.
_SECTORS = 32
# A generator's decoder may soften structures finer than this sigma; coarser ones are detail.
_FINE = 1.2
# Means on both sides of an outline: sigma, radius, and how many are computed at once.
_MEAN, _SEEN, _WINDOWS = 1.5, 3, 16384
# Energy (levels squared) of a product without detail.
_FLAT = 0.01


def measure_drift(canvas: Image.Image, answer: Image.Image) -> DriftMetrics:
    """Measure the drift of an answer (RGB) from the canvas (RGBA, the same size)."""
    box = canvas.getchannel("A").point([0] * 128 + [255] * 128).getbbox()
    if box is None:
        return DriftMetrics(0, 0, 0, 0, 0, 1)
    margin = _REACH + 2 * _RIM
    box = (max(box[0] - margin, 0), max(box[1] - margin, 0), box[2] + margin, box[3] + margin)
    box = (box[0], box[1], min(box[2], canvas.width), min(box[3], canvas.height))
    sent, received = _planes(canvas.crop(box)), _planes(answer.crop(box))
    alpha: Floats = sent[3] / np.float32(255)
    product, greys = sent[:3], (sent[:3].mean(0), received.mean(0))
    core = _select_core(alpha)
    right, down = _measure_shift(alpha, *greys, core)
    aligned, grey = (_move(planes, -round(right), -round(down)) for planes in (received, greys[1]))
    outline = _Outline(alpha, core, product, aligned)
    rim, growth = outline.measure_growth(_RIM)
    if abs(rim) < _WIDE:
        rim, growth = outline.measure_growth(_NARROW)
    colour = float(np.linalg.norm(_to_lab(outline.colours[1]) - _to_lab(outline.colours[0])))
    before, after = _measure_detail(np.stack((greys[0], grey)), core) + _FLAT
    return DriftMetrics(*(round(float(value), 3) for value in (right, down, rim, growth, colour, after / before)))


def _planes(picture: Image.Image) -> Floats:
    """Convert to (C, H, W), in levels."""
    return np.array([np.asarray(channel) for channel in picture.split()], dtype=np.float32)


def _select_core(alpha: Floats) -> Bools:
    """Select opaque pixels away from the edge; of a product of thin wires, the opaque or the most opaque ones."""
    from scipy.ndimage import binary_erosion

    solid: Bools = alpha > 0.99
    for times in (4, 2, 1):
        inner: Bools = binary_erosion(solid, iterations=times)
        if inner.sum() > 0.1 * (alpha > 0.5).sum():
            return inner
    return solid if solid.any() else alpha >= alpha.max()


def _measure_shift(alpha: Floats, product: Floats, received: Floats, core: Bools) -> tuple[float, float]:
    """Shift (right, down) at which the product's gradients, and the edge along its outline, fit the answer best.

    Args:
        alpha: (H, W), as sent.
        product: (H, W), mean of the sent channels.
        received: The same of the answer.
        core: Opaque pixels away from the edge.
    """
    from scipy.ndimage import gaussian_filter

    planes = np.stack((product, received, alpha))
    soft = gaussian_filter(planes, (0, 0.7, 0.7))
    # Shading is removed, and strong edges of the scene are clipped.
    ours, theirs = np.moveaxis(_slopes(soft[:2] - gaussian_filter(planes[:2], (0, 4, 4))), 1, 0)
    ours = ours * core
    loudest = 3 * float(np.hypot(*ours)[core].std()) + 1e-6
    steep, line = np.hypot(*_slopes(soft[1:]))
    correlations = _correlate(
        np.stack((*ours, line)), np.stack((*np.clip(theirs, -loudest, loudest), np.minimum(steep, 24)))
    )
    # Weight each by its peak relative to its spread.
    fit = _normalise(correlations[0] + correlations[1]) + _normalise(correlations[2])
    if float(np.ptp(fit)) < 1e-3:
        return 0.0, 0.0  # neither locates the product
    row, column = np.unravel_index(int(fit.argmax()), fit.shape)
    return _find_peak(fit[row], int(column)) - _REACH, _find_peak(fit[:, column], int(row)) - _REACH


def _slopes(planes: Floats) -> Floats:
    """Gradients of (N, H, W): (2, N, H, W), across and down."""
    return np.stack((np.gradient(planes, axis=2), np.gradient(planes, axis=1)))


def _correlate(templates: Floats, received: Floats) -> Floats:
    """Correlate pairs of planes (N, H, W) for shifts up to _REACH pixels: (N, down, right)."""
    from scipy.fft import irfft2, next_fast_len, rfft2

    size = [next_fast_len(length + 2 * _REACH, real=True) for length in templates.shape[1:]]
    correlations = irfft2(rfft2(received, size) * np.conj(rfft2(templates, size)), size)
    shifts = np.arange(-_REACH, _REACH + 1)  # negative shifts are at the far ends
    return np.asarray(correlations[:, shifts[:, None], shifts], dtype=np.float32)


def _normalise(fit: Floats) -> Floats:
    middle, spread = float(np.median(fit)), float(fit.std())
    return (fit - middle) / max(spread, 1e-6)


def _find_peak(values: Floats, at: int) -> float:
    """Position of the vertex of the parabola through a maximum and its neighbours."""
    if not 0 < at < len(values) - 1:
        return float(at)
    before, top, after = (float(value) for value in values[at - 1 : at + 2])
    bend = before - 2 * top + after
    return at + (0.5 * (before - after) / bend if bend < 0 else 0.0)


def _move(planes: Floats, right: int, down: int) -> Floats:
    """Move planes (..., H, W), edges repeated."""
    height, width = planes.shape[-2:]
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    return planes[..., rows[:, None], columns] if right or down else planes


class _Outline:
    """A product's outline in an answer.

    Args:
        alpha: (H, W), as sent.
        core: Opaque pixels away from the edge.
        sent: (3, H, W), the product as sent.
        received: (3, H, W), the aligned answer.
    """

    def __init__(self, alpha: Floats, core: Bools, sent: Floats, received: Floats) -> None:
        from scipy.ndimage import binary_erosion, distance_transform_edt

        self._in: NDArray[np.float64]
        self._nearest: NDArray[np.int32]
        self._alpha, self._core, self._sent, self._received = alpha, core, sent, received
        self._solid = alpha >= 0.5
        self._line = self._solid & ~binary_erosion(self._solid, np.ones((3, 3)), border_value=1)
        self._middle = [float(places.mean()) for places in np.nonzero(self._solid)]
        self._length = np.bincount(self._sectors(self._line), minlength=_SECTORS)
        self._out = distance_transform_edt(alpha < 0.02)
        self._in, self._nearest = distance_transform_edt(~core, return_indices=True)
        # Mean colours of the core, sent and received.
        self.colours = _mean(sent, core), _mean(received, core)
        through = (alpha > 0) & (alpha < 1)
        self._soft = through.sum() / max(self._line.sum(), 1)
        # A server that echoes the request drops its alpha.
        self._plain = through.any() and float(np.abs(received[:, through] - sent[:, through]).mean()) < _SAME

    def measure_growth(self, reach: int) -> tuple[float, float]:
        """Measure how many pixels the outline moved outwards, and by what share the area grew.

        Near the outline a pixel mixes the product's colour, a little inside, and the scene's, a little outside. The
        product's share is its coverage in the answer; coverage beyond alpha is growth.
        """
        from scipy.ndimage import distance_transform_edt

        far = self._out > reach + 2
        if not (far.any() and self._core.any()):
            return 0.0, 0.0
        ring = ((self._alpha > 0) & ~self._core) | ((self._out <= reach) & ~self._solid)
        ring &= self._in <= reach + 6 + self._soft
        beyond = distance_transform_edt(~far, return_distances=False, return_indices=True)
        product = _mean_at(self._received, self._core, self._nearest[:, ring])
        scene = _mean_at(self._received, far, beyond[:, ring])
        contrast = ((product - scene) ** 2).sum(0)
        tint = (self.colours[1] - self.colours[0])[:, None]
        share = self._alpha[ring]
        share = np.ceil(share) if self._plain else share
        expected = share * (self._sent[:, ring] + tint) + (1 - share) * scene
        extra = ((self._received[:, ring] - expected) * (product - scene)).sum(0)
        sector, length = self._sectors(ring), self._length
        area = np.bincount(sector, minlength=_SECTORS)
        extra_all = np.bincount(sector, extra, _SECTORS)
        contrast_all = np.bincount(sector, contrast, _SECTORS)
        speaks = (length > 0) & (contrast_all > 8.0**2 * area) & (area > 0)
        if speaks.sum() < _SECTORS / 8:
            return 0.0, 0.0
        moved = extra_all[speaks] / contrast_all[speaks] * area[speaks] / length[speaks]
        rim = float(np.median(moved))
        return rim, rim * float(length.sum()) / float(self._solid.sum())

    def _sectors(self, where: Bools) -> NDArray[np.int64]:
        """Sector around the product's centre of each true pixel."""
        rows, columns = np.nonzero(where)
        turn = np.arctan2(rows - self._middle[0], columns - self._middle[1])
        return np.asarray(np.minimum(((turn + np.pi) / (2 * np.pi) * _SECTORS).astype(int), _SECTORS - 1))


def _mean_at(planes: Floats, where: Bools, places: NDArray[np.int32]) -> Floats:
    """Smooth (3, H, W) over the pixels of `where`, at places (2, N), rows and columns: (3, N).

    Many places repeat, so each distinct one is computed once, window by window.
    """
    width = where.shape[1]
    flat, whose = np.unique(places[0] * width + places[1], return_inverse=True)
    means = np.empty((3, len(flat)), np.float32)
    steps = np.arange(-_SEEN, _SEEN + 1)
    bell = np.exp(-0.5 * (steps / _MEAN) ** 2, dtype=np.float32)
    bell = np.outer(bell, bell) / bell.sum() ** 2
    for first in range(0, len(flat), _WINDOWS):
        rows, columns = np.divmod(flat[first : first + _WINDOWS], width)
        window = (
            _reflect(rows[:, None] + steps, where.shape[0])[:, :, None],
            _reflect(columns[:, None] + steps, width)[:, None],
        )
        weight = where[window] * bell
        sums = [np.einsum("nij,nij->n", plane[window], weight) for plane in planes]
        means[:, first : first + _WINDOWS] = sums / (weight.sum((1, 2)) + np.float32(1e-6))
    return np.asarray(means[:, whose])


def _reflect(places: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Reflect places beyond the first and the last pixel."""
    reflected = np.minimum(np.maximum(places, -1 - places), 2 * length - 1 - places)
    return np.asarray(np.clip(reflected, 0, length - 1))


def _mean(planes: Floats, where: Bools) -> Floats:
    """Mean of (3, H, W) over `where`: (3,)."""
    return np.asarray((planes * where).sum((1, 2)) / np.float32(where.sum()))


def _measure_detail(planes: Floats, core: Bools) -> NDArray[np.float64]:
    """Gradient energy of each of (N, H, W), without structures finer than `_FINE`."""
    from scipy.ndimage import gaussian_filter

    energy = (_slopes(gaussian_filter(planes, (0, _FINE, _FINE))) ** 2).sum(0)
    return np.array([float(plane[core].mean()) for plane in energy])


def _to_lab(colour: Floats) -> NDArray[np.float64]:
    """CIE L*a*b* (D65) of an sRGB colour in levels."""
    share = np.asarray(colour, dtype=np.float64) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    xyz = _XYZ @ linear / _XYZ.sum(1)
    root = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.asarray([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
