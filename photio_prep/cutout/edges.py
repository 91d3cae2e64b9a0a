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

from photio_prep.cutout.guided import apply_guide, fit_guide_small, ramp
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
    mean_channels,
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


def measure_slopes(pixels: Bytes) -> tuple[Floats, Floats]:
    """Grey (0..1) of a picture (sRGB) at half its size, and its slope there."""
    grey = _halve(mean_channels(pixels))
    grey /= 255
    return grey, _slope(grey)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Alphas (H, W), 0..1, of one window of a picture; how near (H / 2, W / 2) a rim is; and figures of that size."""

    sharpened: Floats
    belief: Floats
    wide: Floats
    near: Floats
    figures: tuple[Floats, ...]

    def mix(self) -> Floats:
        """Mix them by the shares that the figures tell, as far as a rim is near."""
        cv2, where = load_opencv(), np.flatnonzero(self.near)
        near = self.near.take(where)
        shares = load_model().shares(np.stack([figure.take(where) for figure in self.figures], axis=-1))
        alpha = self.sharpened.copy()
        for other, share in zip((self.belief, self.wide), shares.T, strict=True):
            small = np.zeros_like(self.near)
            small.put(where, share * near)
            apart = other - self.sharpened
            apart *= cv2.resize(small, alpha.shape[::-1])
            alpha += apart
        return alpha


def make_candidates(
    pixels: Bytes, slope: Floats, belief: Floats, sharpened: Floats, rim: Bools, grain: float
) -> Candidates:
    """Make the alphas of an edge from the picture (sRGB) and the belief (0..1), which is neither 0 nor 1 at the `rim`.

    `grain`: see `refine_alpha`.
    """
    cv2, size = load_opencv(), slope.shape[::-1]
    half = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    fitted = fit_guide_small(pixels, belief, _WIDE, _EPS, _SHRINK)
    plain, wide, far = (
        ramp(plane, *_ENDS) for plane in (belief, apply_guide(fitted, pixels), apply_guide(fitted, half))
    )
    sharp = _halve(sharpened)
    figures = _measure(pixels, slope, (sharp, _halve(belief), far), grain)
    beside = dilate(_halve(rim) > 0, _NEAR) & dilate(sharp >= 0.5, _BESIDE)
    return Candidates(sharpened, plain, wide, box_blur(beside.astype(np.float32), _FADE), figures)


def _measure(pixels: Bytes, slope: Floats, alphas: tuple[Floats, Floats, Floats], grain: float) -> tuple[Floats, ...]:
    """Figures (H / 2, W / 2 each) of the surroundings of each pixel, in the order of edge_model.toml.

    `alphas`: sharpened, belief, wide; at half size. density: mean slope of the photo over its steepest; high in texture
    and between strands. contrast: slope of the photo along the outline over that of the surroundings. doubt: mean
    uncertainty of the belief. width: of the belief's edge, in pixels of the network. length: of the belief's outline in
    the window, 1 for a straight one. sharpening, widening: mean change by the filters. fine_belief, fine_wide,
    broad_belief, broad_wide: what the belief and the wide filter explain of the colours, less what the sharpened alpha
    does.
    """
    (sharp, share, far), steepness = alphas, _slope(alphas[1])
    reach = max(3, round(_CELLS * grain))
    span = local_maximum(share, reach) - local_minimum(share, reach)
    outline = box_blur(steepness, _REACH)
    return (
        box_blur(slope, _REACH) / (local_maximum(slope, _REACH) + 2e-3),
        box_blur(slope * steepness, _REACH) / (outline + 1e-3) / (box_blur(slope, _AROUND) + 2e-3),
        box_blur(4 * share * (1 - share), _AROUND),
        2 * span / (local_maximum(steepness, reach) + 1e-3) / max(grain, 1),
        2 * _REACH * outline,
        box_blur(np.abs(sharp - share), _REACH),
        box_blur(np.abs(far - sharp), _REACH),
        *_explain(pixels, alphas),
    )


def _explain(pixels: Bytes, halves: tuple[Floats, ...]) -> list[Floats]:
    """How much more of the colours' variance, 0..1, the second and third alpha (half size) explain than the first.

    In windows of both radii, by the linear regression of the colours on the alpha: a mixture of two colours follows the
    right alpha, be it a sharp outline or strands. Where no edge of the photo lies under the belief, none explains it.
    """
    cv2, gains = load_opencv(), []
    alphas = [_halve(half) for half in halves]
    colours = cv2.resize(pixels, alphas[0].shape[::-1], interpolation=cv2.INTER_AREA) / np.float32(255)

    def add_squares(planes: Floats) -> Floats:
        return np.asarray(cv2.transform(planes * planes, np.ones((1, 3), np.float32)))

    for reach in (_FINE, _BROAD):
        means = box_blur(colours, reach)
        variance = box_blur(add_squares(colours), reach) - add_squares(means)
        limit, explained = np.maximum(variance, 0) + np.float32(1e-4), []
        for alpha in alphas:
            middle = box_blur(alpha, reach)
            spread = np.maximum(box_blur(alpha * alpha, reach) - middle * middle, 0)
            common = box_blur(cv2.merge([alpha] * 3) * colours, reach) - cv2.merge([middle] * 3) * means
            explained.append(add_squares(common) / (spread * limit + np.float32(1e-7)))
        first, *others = explained
        gains += [cv2.resize(other - first, halves[0].shape[::-1]) for other in others]
    return gains


def _halve(plane: Floats | Bytes | Bools) -> Floats:
    cv2, (height, width) = load_opencv(), plane.shape
    plane = plane.astype(np.float32, copy=False)
    if height % 2 or width % 2:
        plane = cv2.copyMakeBorder(plane, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(plane, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))


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
