"""What was sent and what came back -> how far the generator changed the product.

No model is asked: the sent mask says where the product must be, and the answer is looked at there. What each figure is
when nothing was changed, and when something was, stands in measurements/finals.md.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photio_prep.imaging.tiles import Bools, Floats
from photio_prep.quality import Figures

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
# Means on both sides of an outline: their sigma, how far they look, and how many are worked out at once.
_MEAN, _SEEN, _WINDOWS = 1.5, 3, 16384
# Energy (levels squared) of what has no detail that could be lost.
_FLAT = 0.01


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
    sent, seen = _planes(canvas.crop(box)), _planes(answer.crop(box))
    alpha: Floats = sent[3] / np.float32(255)
    product, greys = sent[:3], (sent[:3].mean(0), seen.mean(0))
    core = _inside(alpha)
    right, down = _shift(alpha, *greys, core)
    found, grey = (_moved(each, -round(right), -round(down)) for each in (seen, greys[1]))
    around = _Outline(alpha, core, product, found)
    rim, grown = around.grown(_RIM)
    if abs(rim) < _WIDE:
        rim, grown = around.grown(_NARROW)
    colour = float(np.linalg.norm(_lab(around.colours[1]) - _lab(around.colours[0])))
    before, after = _detail(np.stack((greys[0], grey)), core) + _FLAT
    return Figures(*(round(float(each), 3) for each in (right, down, rim, grown, colour, after / before)))


def _planes(picture: Image.Image) -> Floats:
    """(C, H, W), in levels."""
    return np.array([np.asarray(each) for each in picture.split()], dtype=np.float32)


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
    """Right and down: where the product's gradients, and any edge along its outline, fit the answer best.

    Args:
        alpha: (H, W), as it was sent.
        product: (H, W), the mean of its channels.
        seen: The same of the answer.
        core: Where the product is opaque, a little inside.
    """
    from scipy.ndimage import gaussian_filter

    planes = np.stack((product, seen, alpha))
    soft = gaussian_filter(planes, (0, 0.7, 0.7))
    # Shading says little of a place, and an edge of the scene must not outshout the inside.
    ours, theirs = np.moveaxis(_slopes(soft[:2] - gaussian_filter(planes[:2], (0, 4, 4))), 1, 0)
    ours = ours * core
    loudest = 3 * float(np.hypot(*ours)[core].std()) + 1e-6
    steep, line = np.hypot(*_slopes(soft[1:]))
    found = _fits(np.stack((*ours, line)), np.stack((*np.clip(theirs, -loudest, loudest), np.minimum(steep, 24))))
    # Each speaks as loudly as it says something: its peak over what it says of places that are wrong.
    fit = _loud(found[0] + found[1]) + _loud(found[2])
    if float(np.ptp(fit)) < 1e-3:
        return 0.0, 0.0  # neither says anything of a place
    row, column = np.unravel_index(int(fit.argmax()), fit.shape)
    return _peak(fit[row], int(column)) - _REACH, _peak(fit[:, column], int(row)) - _REACH


def _slopes(planes: Floats) -> Floats:
    """Of (N, H, W): (2, N, H, W), across and down."""
    return np.stack((np.gradient(planes, axis=2), np.gradient(planes, axis=1)))


def _fits(templates: Floats, seen: Floats) -> Floats:
    """Correlation of each of (N, H, W) with its own, for each shift of at most _REACH pixels: (N, down, right)."""
    from scipy.fft import irfft2, next_fast_len, rfft2

    size = [next_fast_len(each + 2 * _REACH, real=True) for each in templates.shape[1:]]
    found = irfft2(rfft2(seen, size) * np.conj(rfft2(templates, size)), size)
    shifts = np.arange(-_REACH, _REACH + 1)  # those to the left, and up, lie at the far ends
    return np.asarray(found[:, shifts[:, None], shifts], dtype=np.float32)


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


def _moved(planes: Floats, right: int, down: int) -> Floats:
    """(..., H, W) moved, edges repeated."""
    height, width = planes.shape[-2:]
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    return planes[..., rows[:, None], columns] if right or down else planes


class _Outline:
    """What is known of a product's outline in an answer, whatever reach it is looked at with.

    Args:
        alpha: (H, W), as it was sent.
        core: Where the product is opaque, a little inside.
        sent: (3, H, W), the product as it was sent.
        seen: The answer there.
    """

    def __init__(self, alpha: Floats, core: Bools, sent: Floats, seen: Floats) -> None:
        from scipy.ndimage import binary_erosion, distance_transform_edt

        self._in: NDArray[np.float64]
        self._nearest: NDArray[np.int32]
        self._alpha, self._core, self._sent, self._seen = alpha, core, sent, seen
        self._solid = alpha >= 0.5
        self._line = self._solid & ~binary_erosion(self._solid, np.ones((3, 3)), border_value=1)
        self._middle = [float(each.mean()) for each in np.nonzero(self._solid)]
        self._length = np.bincount(self._sectors(self._line), minlength=_SECTORS)
        self._out = distance_transform_edt(alpha < 0.02)
        self._in, self._nearest = distance_transform_edt(~core, return_indices=True)
        # Mean colours of the inside, as it was sent and as it came back.
        self.colours = _mean(sent, core), _mean(seen, core)
        through = (alpha > 0) & (alpha < 1)
        self._soft = through.sum() / max(self._line.sum(), 1)
        # A server that only gives back what it was sent leaves alpha out.
        self._plain = through.any() and float(np.abs(seen[:, through] - sent[:, through]).mean()) < _SAME

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
        product = _mean_at(self._seen, self._core, self._nearest[:, ring])
        scene = _mean_at(self._seen, far, beyond[:, ring])
        contrast = ((product - scene) ** 2).sum(0)
        tint = (self.colours[1] - self.colours[0])[:, None]
        share = self._alpha[ring]
        share = np.ceil(share) if self._plain else share
        expected = share * (self._sent[:, ring] + tint) + (1 - share) * scene
        extra = ((self._seen[:, ring] - expected) * (product - scene)).sum(0)
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
        """In which sector around the product's middle each place lies."""
        rows, columns = np.nonzero(where)
        turn = np.arctan2(rows - self._middle[0], columns - self._middle[1])
        return np.asarray(np.minimum(((turn + np.pi) / (2 * np.pi) * _SECTORS).astype(int), _SECTORS - 1))


def _mean_at(planes: Floats, where: Bools, places: NDArray[np.int32]) -> Floats:
    """(3, H, W) smoothed, counting only what lies in `where`, at places (2, N), rows and columns: (3, N).

    Few places are the nearest ones of many, so only those are worked out, window by window.
    """
    width = where.shape[1]
    flat, whose = np.unique(places[0] * width + places[1], return_inverse=True)
    found = np.empty((3, len(flat)), np.float32)
    steps = np.arange(-_SEEN, _SEEN + 1)
    bell = np.exp(-0.5 * (steps / _MEAN) ** 2, dtype=np.float32)
    bell = np.outer(bell, bell) / bell.sum() ** 2
    for first in range(0, len(flat), _WINDOWS):
        rows, columns = np.divmod(flat[first : first + _WINDOWS], width)
        window = (
            _mirrored(rows[:, None] + steps, where.shape[0])[:, :, None],
            _mirrored(columns[:, None] + steps, width)[:, None],
        )
        weight = where[window] * bell
        sums = [np.einsum("nij,nij->n", plane[window], weight) for plane in planes]
        found[:, first : first + _WINDOWS] = sums / (weight.sum((1, 2)) + np.float32(1e-6))
    return np.asarray(found[:, whose])


def _mirrored(places: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Places beyond the first and the last pixel, reflected there."""
    reflected = np.minimum(np.maximum(places, -1 - places), 2 * length - 1 - places)
    return np.asarray(np.clip(reflected, 0, length - 1))


def _mean(planes: Floats, where: Bools) -> Floats:
    """(3, H, W) -> (3,)."""
    return np.asarray((planes * where).sum((1, 2)) / np.float32(where.sum()))


def _detail(planes: Floats, core: Bools) -> NDArray[np.float64]:
    """Energy of the gradients of what a lens could still see, of each of (N, H, W)."""
    from scipy.ndimage import gaussian_filter

    energy = (_slopes(gaussian_filter(planes, (0, _FINE, _FINE))) ** 2).sum(0)
    return np.array([float(each[core].mean()) for each in energy])


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
