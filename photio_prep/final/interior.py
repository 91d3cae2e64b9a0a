"""Compare the inside of a product with the one in an answer: shift, zoom, light, colour, detail, redrawn regions."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photio_prep.imaging.filters import (
    Bools,
    Floats,
    Window,
    bounding_window,
    drop_thin,
    erode,
    gaussian_blur,
    load_opencv,
    mean_channels,
    percentile,
    slopes_of,
)

# Largest shift of the product, and of a tile of it, in pixels of the canvas; side of a tile.
REACH, _NEAR, TILE = 24, 6, 48
# Sigma of the filter before gradients: structures finer than that are not detail. The sent product is filtered as much
# more as a generator's decoder softens it.
_FINE, _FINE_SENT = 1.2, 1.5
# Levels: standard deviation from which a tile has texture that can be compared.
_TEXTURE = 3.0
# Correlation of texture from which a shift of the product is believed, and below which a tile was redrawn.
_BELIEVED, _REDRAWN = 0.6, 0.45
# A tile is warped if it lies so many pixels beside where zoom, turn and shift of all put it, and its texture fits there
# so much better (correlation); it must fit at all. Pixels of a tile's error that the fit of all of them allows.
_WARPED, _BETTER, _FITS, _STEADY = 1.25, 0.04, 0.6, 0.3
# Energy (levels squared) of a product without detail, and levels that are added before a ratio of colours is taken.
_FLAT, DARK = 0.05, 8.0
# Sigma in pixels of light on a product, and its largest ratio to the mean light.
_LIGHT, _MOST = 24.0, 1.3
# Levels by which a region differs that is not the product's any more, and its radius in pixels.
OTHER, _BLOB = 26.0, 4
# Reach of the widest filter on texture in pixels, and one.
_AROUND = 17


@dataclass(frozen=True, slots=True)
class Tiles:
    """Tiles of a product's texture in an answer.

    `zoom`: growth of distances. Per tile: `place` (N, 2), left and top; `pixels` of the product; `fit`, the correlation
    at the best place; `apart`, how many pixels that is from where zoom, turn and shift of all tiles put it; `better`,
    how much better it fits there.
    """

    zoom: float
    place: NDArray[Any]
    pixels: NDArray[Any]
    fit: NDArray[Any]
    apart: NDArray[Any]
    better: NDArray[Any]

    @property
    def redrawn(self) -> Bools:
        """Tiles with another texture."""
        return np.asarray(self.fit < _REDRAWN)

    @property
    def warped(self) -> Bools:
        """Tiles that are displaced against the others."""
        return np.asarray((self.apart > _WARPED) & (self.better > _BETTER) & (self.fit > _FITS))

    def measure_share(self, tiles: Bools) -> float:
        """Share of the textured area."""
        return float(self.pixels[tiles].sum() / max(self.pixels.sum(), 1))


@dataclass(frozen=True, slots=True)
class Interior:
    """Changes of the inside of a product.

    `right`, `down`: shift in pixels; `sure`: whether the product's texture shows it. `gain` (3,): ratio of the mean
    colours. `relit`: range of the ratio of light (5th to 95th percentile). `colours`: mean colours, sent and received
    (levels). `detail`: energy of gradients as a share of the sent one's, softened as by a decoder. `other`: (H, W) by
    how many levels regions differ that are something else, 0 elsewhere. `light`: (H, W) smooth ratio of light to its
    mean.
    """

    right: float
    down: float
    sure: bool
    gain: Floats
    relit: float
    colours: tuple[Floats, Floats]
    detail: float
    tiles: Tiles
    other: Floats
    light: Floats


def select_core(alpha: Floats) -> Bools:
    """Select opaque pixels away from the edge; of a product of thin wires, the opaque or the most opaque ones."""
    solid: Bools = alpha > 0.99
    for steps in (4, 2, 1):
        inner = erode(solid, steps, beyond=True)
        if inner.sum() > 0.1 * (alpha > 0.5).sum():
            return inner
    return solid if solid.any() else alpha >= alpha.max()


def find_shift(alpha: Floats, product: Floats, answer: Floats) -> tuple[float, float, bool]:
    """Shift (right, down) of the product's texture in the answer, and whether it is certain. (H, W, 3) levels."""
    cv2, core = load_opencv(), select_core(alpha)
    grey, received = mean_channels(product), mean_channels(answer)
    factor = max(1, min(round(max(core.shape) / 360), min(core.shape)))
    right = down = 0
    still = rival = -1.0
    for scale, reach in ((factor, -(-REACH // factor)), (1, factor + 1))[: min(factor, 2)]:
        theirs = _texture(np.roll(received, (-down, -right), (0, 1)), scale)
        ours, mask = _texture(grey, scale, alpha), core.astype(np.float32)
        if scale > 1:
            mask = cv2.resize(mask, ours.shape[::-1], interpolation=cv2.INTER_AREA)
            mask = np.where(mask > 0.99, mask, 0).astype(np.float32)
        if mask.sum() < 200 or cv2.meanStdDev(ours, mask=(mask > 0).view(np.uint8))[1][0, 0] < 1.0:
            return 0.0, 0.0, False
        fit = _match(theirs, ours, mask, reach)
        row, column = np.unravel_index(int(fit.argmax()), fit.shape)
        if reach > factor + 1:
            apart = np.hypot(*np.ogrid[-row : len(fit) - row, -column : len(fit) - column])
            still, rival = float(fit[reach, reach]), float(fit[apart > 3].max(initial=-1))
        right, down = right + (int(column) - reach) * scale, down + (int(row) - reach) * scale
    peak = float(fit[row, column])
    x, y = right + _vertex(fit[row], int(column)) - column, down + _vertex(fit[:, column], int(row)) - row
    clear = peak > max(min(still + 0.03, (1 + still) / 2), min(rival + 0.05, (1 + rival) / 2))
    certain = peak > _BELIEVED and (clear or np.hypot(x, y) < 0.5)
    return (x, y, True) if certain else (0.0, 0.0, False)


def _texture(grey: Floats, factor: int, within: Floats | None = None) -> Floats:
    """Fine structure of grey (H, W), in levels; what is outside of `within` (0..1) does not count."""
    cv2 = load_opencv()
    size = grey.shape[1] // factor, grey.shape[0] // factor
    if factor > 1:
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    if within is None:
        return np.asarray(gaussian_blur(grey, 0.7) - gaussian_blur(grey, 4.0))
    share = cv2.resize(within, size, interpolation=cv2.INTER_AREA) if factor > 1 else within
    fine, coarse = (
        gaussian_blur(grey * share, sigma) / np.maximum(gaussian_blur(share, sigma), 1e-3) for sigma in (0.7, 4.0)
    )
    return np.asarray(fine - coarse)


def _match(picture: Floats, template: Floats, mask: Floats, reach: int) -> Floats:
    """Normalised correlation of the masked template for shifts up to `reach`: (down, right)."""
    cv2 = load_opencv()
    rows, columns = bounding_window(mask > 0, 0)
    template, mask = template[rows, columns], mask[rows, columns]
    padded = cv2.copyMakeBorder(picture, *[reach] * 4, cv2.BORDER_REFLECT)
    padded = padded[rows.start : rows.stop + 2 * reach, columns.start : columns.stop + 2 * reach]
    if mask.all():
        return np.asarray(cv2.matchTemplate(padded, template, cv2.TM_CCORR_NORMED))
    ours = template * mask
    top = cv2.matchTemplate(padded, ours, cv2.TM_CCORR)
    power = cv2.matchTemplate(padded**2, mask, cv2.TM_CCORR)
    return np.asarray(top / np.sqrt(np.maximum(power * float((ours**2).sum()), 1e-3)))


def _vertex(values: Floats, at: int) -> float:
    """Position of the vertex of the parabola through a maximum and its neighbours."""
    if not 0 < at < len(values) - 1:
        return float(at)
    before, top, after = (float(value) for value in values[at - 1 : at + 2])
    bend = before - 2 * top + after
    return at + (0.5 * (before - after) / bend if bend < 0 else 0.0)


def compare_interior(alpha: Floats, product: Floats, answer: Floats, shift: tuple[float, float, bool]) -> Interior:
    """Compare the inside of a product (H, W, 3, levels) with the answer, moved back by its whole pixels."""
    full = select_core(alpha)
    window = _find_tiles(full)
    core = np.ascontiguousarray(full[window])
    product, answer = (np.ascontiguousarray(planes[window]) for planes in (product, answer))
    cv2, mask = load_opencv(), core.view(np.uint8)
    colours: tuple[Floats, Floats] = np.array(cv2.mean(product, mask)[:3]), np.array(cv2.mean(answer, mask)[:3])
    gain: Floats = (colours[1] + DARK) / (colours[0] + DARK)
    sent, received = mean_channels(product), mean_channels(answer)
    energy = []
    for grey, sigma in ((sent, _FINE_SENT), (received, _FINE)):
        right, down = slopes_of(gaussian_blur(grey, sigma))
        energy.append(cv2.mean(right * right + down * down, mask)[0] + _FLAT)
    lit = cv2.transform(product, np.column_stack((np.diag(gain), (gain - 1) * DARK)))
    greys = np.zeros((*full.shape, 3), np.float32)
    greys[window] = np.dstack([plane * core for plane in (mean_channels(lit), received)] + [core])
    light = _measure_light(greys)
    low, high = (percentile(light[full], share) for share in (5, 95))
    other = np.zeros(full.shape, np.float32)
    other[window] = _find_other(core, lit, answer, light[window])
    tiles = _compare_tiles(core, sent, received, (window[0].start, window[1].start))
    return Interior(*shift, gain, float(high - low), colours, energy[1] / energy[0], tiles, other, light)


def _find_tiles(core: Bools) -> Window:
    """Window of the tiles within reach of the filters around the core."""
    rows, columns = bounding_window(core, _AROUND)
    return (
        slice(rows.start // TILE * TILE, -(-rows.stop // TILE) * TILE),
        slice(columns.start // TILE * TILE, -(-columns.stop // TILE) * TILE),
    )


def _measure_light(greys: Floats) -> Floats:
    """Smooth ratio of light (H, W): planes of grey, sent and received, within a core, and the core."""
    cv2, size = load_opencv(), greys.shape[1::-1]
    small = max(1, size[0] // 4), max(1, size[1] // 4)
    soft = gaussian_blur(cv2.resize(greys, small, interpolation=cv2.INTER_AREA), _LIGHT / 4)
    soft = cv2.resize(soft, size, interpolation=cv2.INTER_LINEAR)
    dark = DARK * soft[..., 2]
    return np.asarray((soft[..., 1] + dark + 1e-3) / (soft[..., 0] + dark + 1e-3))


def _find_other(core: Bools, product: Floats, answer: Floats, light: Floats) -> Floats:
    """Levels by which regions differ that the ratio of light (H, W) does not explain."""
    light = load_opencv().merge([np.clip(light, 1 / _MOST, _MOST)] * 3)
    apart = mean_channels(np.abs(gaussian_blur(answer - product * light, 1.5)))
    return np.asarray(apart * drop_thin((apart > OTHER) & core, _BLOB))


def _compare_tiles(core: Bools, sent: Floats, received: Floats, start: tuple[int, int]) -> Tiles:
    """Match the texture of tiles of grey, and compare each with the zoom, turn and shift of all; `start`: top, left."""
    cv2, mask = load_opencv(), core.astype(np.float32)
    ours, theirs = _texture(sent, 1, mask), _texture(received, 1, mask)
    rows: list[tuple[float, ...]] = []
    fits = []
    for top in range(0, core.shape[0] - TILE // 2, TILE):
        for left in range(0, core.shape[1] - TILE // 2, TILE):
            part = slice(top, top + TILE), slice(left, left + TILE)
            inner = core[part].view(np.uint8)
            count = float(cv2.countNonZero(inner))
            if count < 0.3 * TILE**2 or cv2.meanStdDev(ours[part], mask=inner)[1][0, 0] < _TEXTURE:
                continue
            fit = _match(theirs[part], ours[part], mask[part], _NEAR)
            row, column = np.unravel_index(int(fit.argmax()), fit.shape)
            across, down = _vertex(fit[row], int(column)) - _NEAR, _vertex(fit[:, column], int(row)) - _NEAR
            rows.append((start[1] + left, start[0] + top, across, down, float(fit.max()), count))
            fits.append(fit)
    if not rows:
        return Tiles(0.0, np.zeros((0, 2)), *np.zeros((4, 0)))
    x, y, across, down, best, count = np.array(rows).T
    place, displaced = np.column_stack((x, y)), across + 1j * down
    zoom, common = _fit_similar((x - percentile(x, 50)) + 1j * (y - percentile(y, 50)), displaced, best >= _REDRAWN)
    at = [np.clip(np.rint(part), -_NEAR, _NEAR).astype(int) + _NEAR for part in (common.imag, common.real)]
    unmoved = np.array([fit[row, column] for fit, row, column in zip(fits, *at, strict=True)])
    # A tile at the end of its reach may belong farther away.
    apart = np.abs(displaced - common) * (np.maximum(np.abs(across), np.abs(down)) < _NEAR)
    return Tiles(zoom, place, count, best, apart, best - unmoved)


def _fit_similar(place: NDArray[Any], displaced: NDArray[Any], good: Bools) -> tuple[float, NDArray[Any]]:
    """Zoom, and the displacements that one zoom, turn and shift give at places (complex: right + 1j * down)."""
    if good.sum() < 4 or np.abs(place[good]).max() == 0:
        middle = displaced[good] if good.any() else np.zeros(1)
        return 0.0, np.full(len(place), np.median(middle.real) + 1j * np.median(middle.imag))
    model, weight = np.column_stack((np.ones_like(place), place)), good.astype(float)
    for _ in range(8):
        root = np.sqrt(weight)
        shift, turn = np.linalg.lstsq(model * root[:, None], displaced * root, rcond=None)[0]
        rest = np.abs(displaced - shift - turn * place)
        weight = good / np.maximum(1, rest / _STEADY)
    return float(turn.real), shift + turn * place
