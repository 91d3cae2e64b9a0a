"""A second look at a photo about which a network is in doubt; the less probably wrong one is kept."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial

import numpy as np
from PIL import Image

from photio_prep.cutout.gate_model import estimate_risk, knows_mirrored, measure_doubts, mirror_disagreement
from photio_prep.cutout.models.registry import CatalogModel
from photio_prep.cutout.models.segmenter import OnnxSegmenter, segment, translate_faults
from photio_prep.cutout.models.two_pass import crop_box
from photio_prep.errors import NoProduct, SegmenterFailed
from photio_prep.quality import WARN_AT
from photio_prep.types import Cutout, Segmenter

# Margin of a crop, as a share of the product's longer side; a crop of more than a share of the photo is nothing new.
_MARGIN, _NOTHING_NEW = 0.1, 0.8
# Below and above these probabilities the mirrored photo changes no verdict (measurements/gate.md).
UNDECIDED = (0.12, 0.6)
_FLIP = Image.Transpose.FLIP_LEFT_RIGHT


def predict_product(matter: Segmenter, view: Image.Image, *, again: bool) -> Image.Image:
    """Predict the product in `view` (RGB) as `segment` does; with `again` the less probably wrong of two looks.

    Only networks look again, and only where the gate would warn of the first look. A prediction that is not the first
    tells in `info["look"]` which it is, in `info["first_risk"]` how doubtful the first was, and, of a crop, in
    `info["box"]` where its belief lies. `info["mirrored"]`: see `compare_mirrored`.
    """
    first = segment(matter, view)
    network = matter.open() if isinstance(matter, CatalogModel) else matter
    if not isinstance(network, OnnxSegmenter) or network.family not in _SECOND_LOOKS:
        return first
    if not (again or knows_mirrored(network.name)):
        return first
    if (doubt := _weigh_doubt(network, view, first)) < WARN_AT or not again:
        return first
    with suppress(NoProduct, SegmenterFailed):
        second = _SECOND_LOOKS[network.family](network, view, first)
        if _estimate_risk(second, network.name) < doubt:
            second.info["first_risk"] = doubt
            return second
    return first


def _weigh_doubt(network: OnnxSegmenter, view: Image.Image, prediction: Image.Image) -> float:
    """Estimate the risk of a prediction of `view`; the mirrored photo is asked about if it may change the verdict."""
    risk, (low, high) = _estimate_risk(prediction, network.name), UNDECIDED
    if not (low <= risk < high and knows_mirrored(network.name)):
        return risk
    prediction.info["mirrored"] = compare_mirrored(network, view, prediction)
    return _estimate_risk(prediction, network.name)


def compare_mirrored(network: OnnxSegmenter, view: Image.Image, prediction: Image.Image) -> float:
    """Return how far a network's output about the mirrored `view` differs from that about `view`: 1 - IoU."""
    with translate_faults(network.name):
        mirrored = network.probability(view.transpose(_FLIP))
    belief = np.asarray(prediction.info["belief"], np.float32) / np.float32(255)
    return mirror_disagreement(belief, mirrored[:, ::-1])


def _estimate_risk(prediction: Image.Image, network: str) -> float:
    """The gate's probability that a cutout would be wrong, of the prediction before refinement; 0 if not known."""
    cutout = Cutout(prediction, network, confidence=prediction.info["confidence"], prediction=prediction)
    risk = estimate_risk(measure_doubts(cutout, None), network)
    return risk.probability if risk else 0.0


def _average_mirrored(network: Segmenter, view: Image.Image, first: Image.Image) -> Image.Image:
    """The mean of the predictions of the photo and of its mirror image."""
    mirrored = segment(network, view.transpose(_FLIP))
    levels = np.asarray(first, np.float32) + np.asarray(mirrored.transpose(_FLIP))
    mean = Image.fromarray(np.rint(levels * (255 / levels.max())).astype(np.uint8))
    belief = Image.blend(first.info["belief"], mirrored.info["belief"].transpose(_FLIP), 0.5)
    shares = np.asarray(belief, np.float32) / 255
    sure = float(shares[shares >= shares.max() / 2].mean())
    mean.info = {**first.info, "belief": belief, "confidence": round(sure, 3), "look": "mirrored"}
    return mean


def look_closer(network: Callable[..., Image.Image], view: Image.Image, first: Image.Image) -> Image.Image:
    """The prediction of a crop around the product, in the frame of `view`; NoProduct if it shows nothing new."""
    box = left, top, right, bottom = crop_box(np.asarray(first.info["belief"]), view.size, _MARGIN)
    if (right - left) * (bottom - top) > _NOTHING_NEW * view.width * view.height:
        raise NoProduct("a crop that is almost the photo")
    # The second pass of a small network may have seen it already.
    second, answer = first.info.get("second") or (None, None)
    crop = view.crop(box)
    closer = segment(partial(network, answer=answer) if second == box else network, crop)
    levels = np.asarray(closer)
    # A product that the crop cuts goes on beyond it.
    sides = (left > 0, levels[:, 0]), (top > 0, levels[0]), (right < view.width, levels[:, -1])
    if any(inside and side.max() >= 128 for inside, side in (*sides, (bottom < view.height, levels[-1]))):
        raise NoProduct("a crop that cuts the product")
    if isinstance(network, OnnxSegmenter):
        _weigh_doubt(network, crop, closer)
    framed = Image.new("L", view.size)
    framed.paste(closer, box[:2])
    shares = (left / view.width, top / view.height, right / view.width, bottom / view.height)
    framed.info = {**closer.info, "box": shares, "look": "closer"}
    return framed


# Other families have no second look.
_SECOND_LOOKS = {"isnet": _average_mirrored, "u2net": look_closer}
