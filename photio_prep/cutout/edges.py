"""Mix an edge's alpha, pixel by pixel, of what was sharpened, the belief as it is, and a wide filter of it.

Sharpening is right for the outline of a solid thing and wrong for hair, fur and foliage, where the belief is soft over
many pixels. The weights are a softmax of figures of the belief and of the photo around each pixel. They lie in
edge_model.toml, with how `python -m bench.edges` fitted them.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from photio_prep.cutout.guided import guided_filter_small
from photio_prep.imaging.filters import (
    Bools,
    Bytes,
    Floats,
    box_blur,
    dilate,
    length_of,
    load_opencv,
    local_maximum,
    local_minimum,
)

# Radius of the figures' windows, in pixels of a picture half as large; of the doubt, which is measured farther around.
_REACH, _AROUND = 8, 16
# Radii of the windows in which an alpha explains the colours, in pixels of a picture a quarter as large.
_FINE, _BROAD = 2, 5
# Window of the belief's width, in pixels of the network.
_CELLS = 1.5
# The wide filter: its radius in pixels, its epsilon, and how much smaller the picture is on which it is fitted.
_WIDE, _EPS, _SHRINK = 24, 2e-4, 4
# A share up to this is none: on solid outlines the softmax leaves a little to the filters that harm them.
FIRM = 0.1
# Belief below and above these values is none and certain.
_ENDS = (0.02, 0.98)
# Pixels of the half-size picture within which the rim and the product must be near for the mixture to count, and over
# which it fades out. Farther from the product a faint belief is a ghost, which sharpening removes.
_NEAR, _BESIDE, _FADE = 6, 10, 3


@dataclass(frozen=True, slots=True)
class EdgeModel:
    """Log-odds of the belief and of the wide filter, each against the sharpened alpha, from the clipped figures."""

    least: Floats
    most: Floats
    bias: Floats
    weights: Floats

    def shares(self, figures: Floats) -> Floats:
        """Softmax, less what is not firm: shares (…, 2) of belief and wide filter for `figures` (…, N)."""
        odds = np.exp(np.clip(figures, self.least, self.most) @ self.weights + self.bias)
        shares = odds / (1 + odds.sum(-1, keepdims=True))
        return np.asarray(np.maximum(shares - FIRM, 0) / (1 - FIRM), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Alphas (H, W), 0..1, of one window of a picture; how near (H / 2, W / 2) a rim is; and figures (…, …, N)."""

    sharpened: Floats
    belief: Floats
    wide: Floats
    near: Floats
    figures: Floats

    def mix(self) -> Floats:
        """Mix them by the shares that the figures tell."""
        small, where = np.zeros((*self.near.shape, 2), np.float32), np.flatnonzero(self.near)
        figures = self.figures.reshape(-1, self.figures.shape[-1]).take(where, 0)
        small.reshape(-1, 2)[where] = load_model().shares(figures)
        shares = load_opencv().resize(small, self.belief.shape[::-1])
        alpha = self.sharpened + shares[..., 0] * (self.belief - self.sharpened)
        return np.asarray(alpha + shares[..., 1] * (self.wide - self.sharpened), dtype=np.float32)


def make_candidates(pixels: Bytes, belief: Floats, sharpened: Floats, rim: Bools, grain: float) -> Candidates:
    """Make the alphas of an edge from the picture (sRGB) and the belief (0..1), which is neither 0 nor 1 at the `rim`.

    `grain`: see `refine_alpha`.
    """
    cv2, (low, high) = load_opencv(), _ENDS
    plain, wide = (
        np.asarray(np.clip((plane - low) / (high - low), 0, 1), dtype=np.float32)
        for plane in (belief, guided_filter_small(pixels, belief, _WIDE, _EPS, _SHRINK))
    )
    figures = _measure(pixels, belief, sharpened, wide, grain)
    beside = dilate(_halve(rim) > 0, _NEAR) & dilate(_halve(sharpened) >= 0.5, _BESIDE)
    near = box_blur(beside.astype(np.float32), _FADE)
    weight = cv2.resize(near, belief.shape[::-1])
    plain, wide = (sharpened + weight * (plane - sharpened) for plane in (plain, wide))
    return Candidates(sharpened, plain, wide, near, figures)


def _measure(pixels: Bytes, belief: Floats, sharpened: Floats, wide: Floats, grain: float) -> Floats:
    """Figures (H / 2, W / 2, 11) of the surroundings of each pixel, in the order of edge_model.toml.

    density: mean slope of the photo over its steepest; high in texture and between strands. contrast: slope of the
    photo along the outline over that of the surroundings. doubt: mean uncertainty of the belief. width: of the belief's
    edge, in pixels of the network. length: of the belief's outline in the window, 1 for a straight one. sharpening,
    widening: mean change by the filters. fine_belief, fine_wide, broad_belief, broad_wide: what the belief and the wide
    filter explain of the colours, less what the sharpened alpha does.
    """
    cv2 = load_opencv()
    grey = _halve(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)) / np.float32(255)
    share, sharp, far = (_halve(plane) for plane in (belief, sharpened, wide))
    slope, steepness = _slope(grey), _slope(share)
    reach = max(3, round(_CELLS * grain))
    span = local_maximum(share, reach) - local_minimum(share, reach)
    outline = box_blur(steepness, _REACH)
    figures = (
        box_blur(slope, _REACH) / (local_maximum(slope, _REACH) + 2e-3),
        box_blur(slope * steepness, _REACH) / (outline + 1e-3) / (box_blur(slope, _AROUND) + 2e-3),
        box_blur(4 * share * (1 - share), _AROUND),
        2 * span / (local_maximum(steepness, reach) + 1e-3) / max(grain, 1),
        2 * _REACH * outline,
        box_blur(np.abs(sharp - share), _REACH),
        box_blur(np.abs(far - sharp), _REACH),
        *_explain(pixels, (sharp, share, far)),
    )
    return np.asarray(cv2.merge(figures))


def _explain(pixels: Bytes, halves: tuple[Floats, ...]) -> list[Floats]:
    """How much more of the colours' variance, 0..1, the second and third alpha (half size) explain than the first.

    In windows of both radii, by the linear regression of the colours on the alpha: a mixture of two colours follows the
    right alpha, be it a sharp outline or strands. Where no edge of the photo lies under the belief, none explains it.
    """
    cv2 = load_opencv()
    alphas = [_halve(half) for half in halves]
    height, width = alphas[0].shape
    small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA) / np.float32(255)
    colours, gains = cv2.split(small), []
    for reach in (_FINE, _BROAD):
        means = [box_blur(colour, reach) for colour in colours]
        variance = sum(box_blur(colour * colour, reach) for colour in colours) - sum(mean * mean for mean in means)
        limit, explained = np.maximum(variance, 0) + np.float32(1e-4), []
        for alpha in alphas:
            middle = box_blur(alpha, reach)
            spread = np.maximum(box_blur(alpha * alpha, reach) - middle * middle, 0)
            pairs = zip(colours, means, strict=True)
            common = sum((box_blur(alpha * colour, reach) - middle * mean) ** 2 for colour, mean in pairs)
            explained.append(common / (spread * limit + np.float32(1e-7)))
        first, *others = explained
        gains += [cv2.resize(other - first, halves[0].shape[::-1]) for other in others]
    return gains


def _halve(plane: NDArray[np.generic]) -> Floats:
    cv2 = load_opencv()
    height, width = plane.shape
    size = max(1, (width + 1) // 2), max(1, (height + 1) // 2)
    return np.asarray(cv2.resize(plane.astype(np.float32), size, interpolation=cv2.INTER_AREA))


def _slope(plane: Floats) -> Floats:
    cv2 = load_opencv()
    right, down = (cv2.Sobel(plane, cv2.CV_32F, *axis, ksize=1, scale=0.5) for axis in ((1, 0), (0, 1)))
    return length_of(right, down)


@cache
def load_model() -> EdgeModel:
    """Read the weights."""
    text = (resources.files("photio_prep.cutout") / "edge_model.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)
    least, most, *weights = np.array([*table["figures"].values()], dtype=np.float32).T
    return EdgeModel(least, most, np.array(table["bias"], dtype=np.float32), np.stack(weights, axis=-1))
