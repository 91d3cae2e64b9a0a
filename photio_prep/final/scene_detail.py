"""Measure how soft and noisy an answer is, and give its enlarged scene back what that took: detail, and smooth colours.

The answer holds the product, whose sharp original was sent: it shows softness and noise. The scene must confirm both,
because a generator may redraw a product softer than what is around it. Measured: measurements/finals.md.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image

from photio_prep.final.interior import Interior, select_core
from photio_prep.imaging.filters import (
    Bools,
    Floats,
    box_blur,
    erode,
    gaussian_blur,
    load_opencv,
    mean_channels,
    percentile,
    slopes_of,
)

# Candidates for the softness of the product (sigma, px).
_SIGMAS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5)
# Tiles of the product: side, pixels around it, the least number with texture, and how many of those are looked at.
_TILE, _AROUND, _TILES, _TEXTURED = 24, 8, 3, 40
# Variance of fine structure from which a tile has texture, share of it that the sent product must explain, and variance
# that every comparison has (rounding).
_TEXTURE, _EXPLAINED, _ROUNDING = 2.0, 0.5, 0.3
# Spectrum: side of a window, most windows, and the fall of a sharp scene's power with frequency.
_WINDOW, _WINDOWS, _FALL = 32, 600, 2.4
# Deviation that white noise keeps in a plane less its mean (sigma 1 px), and in the wider one of the comparison.
_KEPT, _KEPT_WIDE = 0.872, 0.97
# What is finer than this (sigma, px) is raised or lowered, in light and in colour.
_FINE, _WIDE = 1.0, 3.0
# Softness (px) from which detail is raised, how much a px more raises it, and the most; noise (levels) from which it is
# lowered, how much more of it than the flattest parts the others may have, and the share of it that is taken for noise.
_SHARP, _RAISED, _MOST = 0.4, 2.6, 1.4
_CLEAN, _ROUGHER, _TRUSTED = 0.5, 1.5, 0.9
# Enlargement from which a scene is treated.
ENLARGED = 2.0


class Grain(NamedTuple):
    """Softness (sigma in px) and noise (levels) of light, and noise of colour, at the answer's scale."""

    sigma: float
    light: float
    colour: float

    @property
    def raised(self) -> float:
        """By which share of itself detail is raised."""
        return min(max(_RAISED * (self.sigma - _SHARP), 0.0), _MOST)

    @property
    def noisy(self) -> bool:
        """Whether noise is lowered."""
        return max(self.light, self.colour) >= _CLEAN


def refine_scene(
    scene: Image.Image, canvas: Image.Image, answer: Image.Image, inside: Interior
) -> tuple[Image.Image, str]:
    """Raise a scene's detail and lower its noise as measured on the answer, and a note about it; the same if neither.

    Args:
        scene: The photo's frame in the answer (RGB), without its product.
        canvas: The same frame as it was sent (RGBA). Of another size than the answer, nothing is measured.
        answer: The same frame as received (RGB).
        inside: The comparison of the product, for its shift.
    """
    if canvas.size != answer.size:
        return scene, ""
    sent, received = (np.asarray(picture, dtype=np.float32) for picture in (canvas, answer))
    grain = measure_grain(sent, received, (round(inside.right), round(inside.down)))
    done = ["its detail was raised"] * (grain.raised > 0) + ["its noise was lowered"] * grain.noisy
    return apply_grain(scene, grain), f"the enlarged scene was made finer: {' and '.join(done)}" if done else ""


def measure_grain(sent: Floats, answer: Floats, shift: tuple[int, int]) -> Grain:
    """Measure the softness and noise of an answer (H, W, 3 levels), as far as product and scene agree.

    `sent` is the canvas (H, W, 4 levels) of the same size; `shift` the product's in the answer (right, down).
    """
    sent = np.roll(sent, shift[::-1], (0, 1))
    alpha = sent[..., 3] / np.float32(255)
    light = mean_channels(answer)
    beside = load_opencv().dilate((alpha > 0).astype(np.uint8), np.ones((17, 17), np.uint8)) == 0
    noise = _flat_noise(light, beside, _FINE)
    colour = max(_flat_noise(plane, beside, _WIDE) for plane in _colour_planes(answer, light))
    own = _measure_product(alpha, sent[..., :3], answer)
    sigma = min(own.sigma, _measure_scene(light, beside, noise)) if own.sigma > _SHARP else 0.0
    return Grain(sigma, _TRUSTED * min(own.light, _ROUGHER * noise), min(own.colour, _ROUGHER * colour))


def apply_grain(scene: Image.Image, grain: Grain) -> Image.Image:
    """Raise detail and lower noise by Wiener's rule; the same picture where neither is needed.

    Light stays within the range of its 3 x 3 neighbours, so no edge gets a halo.
    """
    if grain.raised == 0 and not grain.noisy:
        return scene
    cv2, pixels = load_opencv(), np.asarray(scene, dtype=np.float32)
    light, square = mean_channels(pixels), np.ones((3, 3), np.uint8)
    changed = _weigh_detail(light, grain.light, _FINE, 1 + grain.raised)
    change = np.clip(changed, cv2.erode(light, square), cv2.dilate(light, square)) - light
    out = pixels + cv2.merge([change] * 3)
    if grain.colour >= _CLEAN:
        out += cv2.merge([_weigh_detail(each, grain.colour, _WIDE) - each for each in _colour_planes(pixels, light)])
    return Image.fromarray(np.rint(np.clip(out, 0, 255)).astype(np.uint8))


def _weigh_detail(plane: Floats, noise: float, sigma: float, gain: float = 1.0) -> Floats:
    """Multiply what is finer than `sigma` by `gain`, and by the share of it that is not noise, in squares of 5 px."""
    soft = gaussian_blur(plane, sigma)
    fine = plane - soft
    power = box_blur(fine * fine, 2)
    share = np.maximum(power - (noise * _KEPT) ** 2, 0) / np.maximum(power, np.float32(1e-3))
    return np.asarray(soft + fine * share * np.float32(gain))


def _colour_planes(pixels: Floats, light: Floats) -> list[Floats]:
    return [pixels[..., channel] - light for channel in range(3)]


def _flat_noise(plane: Floats, where: Bools, sigma: float) -> float:
    """Noise of the flattest twentieth of a plane (levels)."""
    fine = plane - gaussian_blur(plane, sigma)
    power = box_blur(fine * fine, 4)[where]
    # Sums of a box filter may be a little below 0.
    return float(np.sqrt(max(percentile(power, 5), 0.0))) / _KEPT if power.size else 0.0


def _measure_product(alpha: Floats, sent: Floats, answer: Floats) -> Grain:
    """Softness and noise by the product's own texture; a softness of 0 where it has too little.

    In each tile the answer's fine structure is fitted by the sent one's, softened by each candidate, with a gain and a
    shift of parts of a pixel. Noise is what no candidate explains, so a redrawn texture counts as noise.
    """
    ours, theirs = _pick_tiles(alpha, sent, answer)
    if not len(ours):
        return Grain(0.0, 0.0, 0.0)
    light = [mean_channels(planes) for planes in (ours, theirs)]
    fine = light[1] - gaussian_blur(light[1], 2.0)
    power, errors = _mean_tiles(fine * fine), []
    for sigma in _SIGMAS:
        soft = gaussian_blur(light[0], sigma)
        soft = soft - gaussian_blur(soft, 2.0)
        parts = (soft, *slopes_of(soft))
        normal = np.stack([np.stack([_mean_tiles(one * other) for other in parts], -1) for one in parts], -2)
        right = np.stack([_mean_tiles(part * fine) for part in parts], -1)
        fit = np.linalg.solve(normal + 1e-6 * np.eye(3), right[..., None])[..., 0]
        errors.append(np.maximum(power - (right * fit).sum(-1), 0))
    least = np.min(errors, 0)
    noise = float(np.sqrt(np.median(least))) / _KEPT_WIDE
    good = (power > _TEXTURE) & (least < (1 - _EXPLAINED) * power)
    likely = (np.array(errors)[:, good] / (least[good] + _ROUNDING)).sum(1)
    sigma, colour = _SIGMAS[int(likely.argmin())], []
    for one, other in zip(_colour_planes(ours, light[0]), _colour_planes(theirs, light[1]), strict=True):
        rest = other - gaussian_blur(one, sigma)
        colour.append(float(np.sqrt(np.median(_mean_tiles((rest - gaussian_blur(rest, _WIDE)) ** 2)))))
    return Grain(sigma if good.sum() >= _TILES else 0.0, noise, max(colour))


def _pick_tiles(alpha: Floats, sent: Floats, answer: Floats) -> tuple[Floats, Floats]:
    """Tiles inside of a product, one below the other, as sent and as received: the most textured, and some others."""
    core, reach = erode(select_core(alpha), 4, beyond=True), _TILE // 2 + _AROUND
    places = np.argwhere(erode(core, _TILE // 2)[reach:-reach:_TILE, reach:-reach:_TILE]) * _TILE
    tiles = [
        np.stack([planes[top : top + 2 * reach, left : left + 2 * reach] for top, left in places])
        for planes in (sent, answer)
        if len(places)
    ]
    if not tiles:
        return np.empty((0, 0, 3), np.float32), np.empty((0, 0, 3), np.float32)
    order = np.argsort(-tiles[0].mean(-1).std((1, 2)))
    order = np.concatenate((order[:_TEXTURED], order[_TEXTURED :: 1 + len(order) // _TEXTURED]))
    first, second = (np.ascontiguousarray(planes[order].reshape(-1, 2 * reach, 3)) for planes in tiles)
    return first, second


def _mean_tiles(plane: Floats) -> Floats:
    """Mean of each tile of a strip, without the pixels around it."""
    side = _TILE + 2 * _AROUND
    return np.asarray(plane.reshape(-1, side, side)[:, _AROUND:-_AROUND, _AROUND:-_AROUND].mean((1, 2)))


def _measure_scene(light: Floats, where: Bools, noise: float) -> float:
    """Softness of a scene (H, W) by its spectrum: how much faster it falls than a sharp picture's (sigma in px)."""
    height, width = (side - side % _WINDOW for side in light.shape)
    shape = height // _WINDOW, _WINDOW, width // _WINDOW, _WINDOW
    inside = where[:height, :width].reshape(shape).all((1, 3))
    tiles = light[:height, :width].reshape(shape).swapaxes(1, 2)[inside]
    tiles = tiles[:: -(-len(tiles) // _WINDOWS)] if len(tiles) else tiles
    if len(tiles) < 8:
        return 0.0
    bell = np.hanning(_WINDOW + 2)[1:-1]
    bell = np.outer(bell, bell) / np.mean(bell**2)
    power = (np.abs(np.fft.fft2((tiles - tiles.mean((1, 2), keepdims=True)) * bell)) ** 2).mean(0) / _WINDOW**2
    axis = 2 * np.pi * np.fft.fftfreq(_WINDOW)
    radius = np.hypot(axis[:, None], axis).ravel()
    bins = np.digitize(radius, np.arange(0.5, 3.15, 0.2))
    frequency, mean = (np.bincount(bins, values)[1:-1] / np.bincount(bins)[1:-1] for values in (radius, power.ravel()))
    signal = mean - noise**2
    shown = signal > max(noise**2, 0.02)
    if shown.sum() < 5:
        return 0.0
    fall = np.log(signal[shown]) + _FALL * np.log(frequency[shown])
    slope = np.polyfit(frequency[shown] ** 2, fall, 1)[0]
    return float(np.sqrt(max(-slope, 0.0)))
