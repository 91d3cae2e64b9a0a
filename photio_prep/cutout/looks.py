"""A second look at a photo about which a network is in doubt; the less probably wrong one is kept."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial

import numpy as np
from PIL import Image

from photio_prep.cutout.gate_model import estimate_risk, measure_doubts
from photio_prep.cutout.models.registry import CatalogModel
from photio_prep.cutout.models.segmenter import OnnxSegmenter, segment
from photio_prep.cutout.models.two_pass import crop_box
from photio_prep.errors import NoProduct, SegmenterFailed
from photio_prep.quality import WARN_AT
from photio_prep.types import Cutout, Segmenter

# Margin of a crop, as a share of the product's longer side; a crop of more than a share of the photo is nothing new.
_MARGIN, _NOTHING_NEW = 0.1, 0.8


def look_again(matter: Segmenter, view: Image.Image, first: Image.Image) -> Image.Image:
    """Return the less probably wrong of a network's prediction `first` of `view` (RGB) and its second look.

    Only networks look again, and only where the gate would warn of `first`. A prediction that is not the first tells in
    `info["look"]` which it is, in `info["first_risk"]` how doubtful the first was, and, of a crop, in `info["box"]`
    where its belief lies.
    """
    network = matter.open() if isinstance(matter, CatalogModel) else matter
    if not isinstance(network, OnnxSegmenter) or network.family not in _SECOND_LOOKS:
        return first
    if (doubt := _estimate_risk(first, network.name)) < WARN_AT:  # the gate would not warn of it
        return first
    with suppress(NoProduct, SegmenterFailed):
        second = _SECOND_LOOKS[network.family](network, view, first)
        if _estimate_risk(second, network.name) < doubt:
            second.info["first_risk"] = doubt
            return second
    return first


def _estimate_risk(prediction: Image.Image, network: str) -> float:
    """The gate's probability that a cutout would be wrong, of the prediction before refinement; 0 if not known."""
    cutout = Cutout(prediction, network, confidence=prediction.info["confidence"], prediction=prediction)
    risk = estimate_risk(measure_doubts(cutout, None), network)
    return risk.probability if risk else 0.0


def _average_mirrored(network: Segmenter, view: Image.Image, first: Image.Image) -> Image.Image:
    """The mean of the predictions of the photo and of its mirror image."""
    flip = Image.Transpose.FLIP_LEFT_RIGHT
    mirrored = segment(network, view.transpose(flip))
    levels = np.asarray(first, np.float32) + np.asarray(mirrored.transpose(flip))
    mean = Image.fromarray(np.rint(levels * (255 / levels.max())).astype(np.uint8))
    belief = Image.blend(first.info["belief"], mirrored.info["belief"].transpose(flip), 0.5)
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
    closer = segment(partial(network, answer=answer) if second == box else network, view.crop(box))
    levels = np.asarray(closer)
    # A product that the crop cuts goes on beyond it.
    sides = (left > 0, levels[:, 0]), (top > 0, levels[0]), (right < view.width, levels[:, -1])
    if any(inside and side.max() >= 128 for inside, side in (*sides, (bottom < view.height, levels[-1]))):
        raise NoProduct("a crop that cuts the product")
    framed = Image.new("L", view.size)
    framed.paste(closer, box[:2])
    shares = (left / view.width, top / view.height, right / view.width, bottom / view.height)
    framed.info = {**closer.info, "box": shares, "look": "closer"}
    return framed


# Other families have no second look.
_SECOND_LOOKS = {"isnet": _average_mirrored, "u2net": look_closer}
