"""The probability that a cutout is wrong, from the network's own output before any refinement.

Refinement hides doubt: it makes an edge of whatever it is given. A logistic model weighs the figures. Its weights lie
in gate_model.toml, with how `python -m bench.gate` fitted them.
"""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from PIL import Image

from photio_prep.imaging.filters import Bools, Floats, box_blur, dilate, drop_thin, percentile
from photio_prep.quality import Area
from photio_prep.types import Cutout

# Beliefs and alphas are compared at this size (square, as the networks see a photo).
_SIDE = 256
# Pixels to both sides of the outline: the rim, and what is too near to it to be a doubt of its own.
_RIM, _BESIDE = 2, 4
# An area counts where a square reaches so far around a pixel; what is narrower is the edge of a sure thing.
_WIDE, _WIDER = 1, 2
# Half of the stretch of outline over which doubt is averaged.
_ALONG = 7
# Entropy of each level of a belief: of 255, bits.
_ENTROPY = [0, *(round(-255 * (p * math.log2(p) + (1 - p) * math.log2(1 - p))) for p in np.arange(1, 255) / 255), 0]
# Belief that differs so much from what was kept is doubt.
_DOUBT = 0.25
# Less agreement with a second model says nothing more: that one may have found another thing.
_LEAST_AGREEMENT = 0.6
# Added to a share before its logarithm: below one percent, less says nothing more.
_FLOOR = 0.01
_LINEAR = ("rim_doubt", "rim_worst", "mixed", "rival")


def measure_doubts(cutout: Cutout, second: Cutout | None) -> dict[str, float]:
    """Measure what is known of a network's doubt about its cutout, and other opinions.

    Of the network's output: `measure_belief`; what the segmenter tells as it is: `measure_likeness`.
    agreement: IoU with what a second model finds. mirrored: 1 - IoU of what it finds in the photo and in its mirror
    image. first_risk: the probability of the first look, where another was kept.
    """
    doubts = {} if cutout.confidence is None else {"confidence": float(cutout.confidence)}
    if second is not None:
        doubts["agreement"] = overlap(_kept(cutout), _kept(second))
    if (belief := _belief(cutout)) is not None and cutout.prediction:
        info = cutout.prediction.info
        doubts |= measure_belief(belief, _kept(cutout, info.get("box")))
        doubts |= {name: float(info[name]) for name in ("mirrored", "mixed", "rival", "first_risk") if name in info}
    return {name: round(value, 3) for name, value in doubts.items()}


def map_doubt(cutout: Cutout, second: Cutout | None) -> Bools:
    """Where a network half believes in something else than the cutout, or a second model finds something else.

    Of the size at which beliefs are compared; not along the outline.
    """
    kept, doubt = _kept(cutout), np.zeros((_SIDE, _SIDE), bool)
    if (belief := _belief(cutout)) is not None and cutout.prediction:
        framed = frame_belief(belief, cutout.prediction.info.get("box"), (_SIDE, _SIDE))
        doubt |= np.abs(_square(framed) - kept) > _DOUBT
    if second is not None:
        doubt |= kept != _kept(second)
    return doubt & ~_around(kept, _BESIDE)


def _kept(cutout: Cutout, box: Area | None = None) -> Bools:
    alpha = cutout.image.getchannel(cutout.image.getbands()[-1])
    return _square(alpha.crop(_box_within(alpha.size, box)) if box else alpha) >= 0.5


def frame_belief(belief: Image.Image, box: Area | None, size: tuple[int, int]) -> Image.Image:
    """Put a network's output (L) about a crop, `box` in shares of the photo, into a frame of `size`."""
    if box is None:
        return belief
    left, top, right, bottom = _box_within(size, box)
    framed = Image.new("L", size)
    framed.paste(belief.resize((right - left, bottom - top), Image.Resampling.BICUBIC), (left, top))
    return framed


def _box_within(size: tuple[int, int], box: Area) -> tuple[int, int, int, int]:
    """A box in shares, of at least one pixel."""
    left, top = (min(round(share * side), side - 1) for share, side in zip(box[:2], size, strict=True))
    return left, top, max(round(box[2] * size[0]), left + 1), max(round(box[3] * size[1]), top + 1)


def _belief(cutout: Cutout) -> Image.Image | None:
    belief = cutout.prediction.info.get("belief") if cutout.prediction else None
    return belief if isinstance(belief, Image.Image) and belief.mode == "L" else None


def _around(kept: Bools, reach: int) -> Bools:
    """The pixels up to `reach` from the outline, to both sides."""
    return dilate(kept, reach) & dilate(~kept, reach)


def overlap(first: Bools, second: Bools) -> float:
    """Intersection over union."""
    return float((first & second).sum()) / max(float((first | second).sum()), 1.0)


def measure_belief(belief: Image.Image, kept: Bools) -> dict[str, float]:
    """Measure a network's output (L, of its own size) beside the mask (256 x 256) that was made of it.

    All is measured in the network's own pixels: in larger ones a thin thing is half of ground, and looks like doubt.
    rim_doubt: mean entropy (bits) along the outline; rim_worst: the same where it is highest, in its worst twentieth.
    weak, vague: areas in which the belief is half to 0.95, and 0.1 to 0.9, of its peak; as shares of the product.
    """
    levels = np.asarray(belief)
    peak = max(int(levels.max()), 1)
    area = max(int(np.count_nonzero(levels > 0.5 * peak)), 1)

    def measure_wide(low: float, high: float, width: int) -> float:
        radius = max(1, round(width * max(belief.size) / _SIDE))
        wide = drop_thin((levels > low * peak) & (levels < high * peak), radius)
        return int(np.count_nonzero(wide)) / area

    entropy, rim = _square(belief.point(_ENTROPY)), _around(kept, _RIM)
    along = box_blur(entropy * rim, _ALONG)[rim] / np.maximum(box_blur(rim.astype(np.float32), _ALONG)[rim], 1e-3)
    return {
        "rim_doubt": float(entropy[rim].mean()) if rim.any() else 1.0,
        "rim_worst": percentile(along, 95) if rim.any() else 1.0,
        "weak": measure_wide(0.5, 0.95, _WIDE),
        "vague": measure_wide(0.1, 0.9, _WIDER),
    }


def mirror_disagreement(belief: Floats, mirrored: Floats) -> float:
    """Return 1 - IoU of what a network finds in a photo and in its mirror image, turned back; both (H, W), 0..1."""
    return 1 - overlap(belief > 0.5, mirrored > 0.5)


def _square(image: Image.Image) -> Floats:
    shrinks = max(image.size) > _SIDE
    resampling = Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR
    return np.asarray(image.resize((_SIDE, _SIDE), resampling), dtype=np.float32) / np.float32(255)


@dataclass(frozen=True, slots=True)
class Weight:
    """A term of the logistic model: the weight of a figure's logarithm after `middle` and `spread` are taken out."""

    figure: str
    middle: float
    spread: float
    weight: float

    def apply(self, figures: Mapping[str, float]) -> float:
        """The term's share of the log-odds."""
        return self.weight * (transform(self.figure, figures[self.figure]) - self.middle) / self.spread


@dataclass(frozen=True, slots=True)
class RiskModel:
    """Log-odds of IoU < 0.85: `bias` and a sum of terms."""

    bias: float
    weights: tuple[Weight, ...]

    def risk(self, figures: Mapping[str, float]) -> float:
        """The probability, 0..1."""
        odds = self.bias + sum(weight.apply(figures) for weight in self.weights)
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, odds))))


def transform(figure: str, value: float) -> float:
    """Make a figure fit for a linear model: shares by their logarithm."""
    if figure in ("confidence", "agreement"):
        value = 1 - min(max(value, _LEAST_AGREEMENT if figure == "agreement" else 0.0), 1.0)
    return value if figure in _LINEAR else math.log(max(value, 0.0) + _FLOOR)


@dataclass(frozen=True, slots=True)
class Risk:
    """The probability of IoU < 0.85, and the figures that raise it most, the worst first."""

    probability: float
    causes: tuple[str, ...]


def estimate_risk(figures: Mapping[str, float], network: str) -> Risk | None:
    """Estimate how probably a cutout is wrong; None where no network's output was measured.

    A second model's agreement counts where it is among the figures. `network` is a name of the catalogue; one without
    weights of its own takes those that were fitted on all networks together.
    """
    models = load_models()
    for model in (*models.get(network, ()), *models["any"]):
        if all(weight.figure in figures for weight in model.weights):
            terms = sorted(((weight.apply(figures), weight.figure) for weight in model.weights), reverse=True)
            causes = [figure for term, figure in terms if term > 0]
            probability = model.risk(figures)
            # Of several looks the lowest is too low; the mean with the first look's is true (measurements/gate.md).
            if "first_risk" in figures:
                probability = (probability + figures["first_risk"]) / 2
                causes.append("first_risk")
            return Risk(round(probability, 3), tuple(causes))
    return None


def knows_mirrored(network: str) -> bool:
    """Whether weights of a network know what it finds in the mirrored photo."""
    return any(weight.figure == "mirrored" for model in load_models().get(network, ()) for weight in model.weights)


@cache
def load_models() -> dict[str, tuple[RiskModel, ...]]:
    """Read the weights of each network, those that know a second model's agreement first."""
    text = (resources.files("photio_prep.cutout") / "gate_model.toml").read_text(encoding="utf-8")
    return {
        name: tuple(
            RiskModel(row["bias"], tuple(Weight(figure, *numbers) for figure, numbers in row["weights"].items()))
            for row in rows
        )
        for name, rows in tomllib.loads(text)["model"].items()
    }
