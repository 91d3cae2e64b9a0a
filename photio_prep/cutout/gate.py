"""Is this cutout worth paying for? Reasons, not one opaque number.

The limits were set on real and rendered photos and on inputs broken on purpose; docs/reference/gate.md has the figures.
"""

from collections.abc import Iterator

import numpy as np
from PIL import Image

from photio_prep.cutout.measure import figures
from photio_prep.quality import Judgement, Reason, Verdict
from photio_prep.types import Cutout, Photo

# Each limit as (warn, stop): a figure beyond it is a reason. Where a second number is infinite, it never stops.
_NEVER = float("inf")
_COVERS = (0.75, 0.88)
_CUT_SIDE = 0.015
_CUT = 0.2
_CUT_SIDES = 3
_PARTS = (2, 12)
_RIM = (15, _NEVER)
_GLASS = (0.12, _NEVER)
_EXTENT = (256, 128)
_REACH = (0.2, 0.05)
_SCALE = (2.0, 4.0)
_BLUR = (2.2, 3.5)
_WHITE = (0.3, 0.7)
_BLACK = (0.4, 0.8)
_BRIGHTEST = (40, 16)
_OUTLINE = (0.5, 0.45)
_CONFIDENCE = (0.8, 0.6)
_AGREEMENT = (0.6, 0.3)


def judge(photo: Photo, cutout: Cutout, agreement: float | None = None) -> Judgement:
    """What is wrong with the cutout, before it is paid for.

    Args:
        photo: The photo it was made from.
        cutout: At the canvas's scale.
        agreement: How far another model agrees, 0..1; None where none was asked.
    """
    size = cutout.image.size
    found = figures(shown(photo, size), cutout.image, size[0] / photo.size.width)
    if cutout.confidence is not None:
        found["confidence"] = round(float(cutout.confidence), 3)
    if cutout.model == "alpha":
        # Outside a cutout that came as one there is no photo along whose edges its outline could run.
        found.pop("outline", None)
    if agreement is not None:
        found["agreement"] = round(agreement, 3)
    reasons = [*_frame(found), *_product(found), *_light(found), *_doubt(found, cutout.model)]
    return Judgement(tuple(sorted(reasons, key=lambda each: each.verdict is not Verdict.STOP)), found)


def shown(photo: Photo, size: tuple[int, int]) -> Image.Image:
    """The photo as RGB at `size`; what hides under transparency is shown white."""
    image = photo.image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3)
    if image.mode == "RGB":
        return image
    paper = Image.new("RGB", image.size, "white")
    paper.paste(image, mask=image.getchannel("A"))
    return paper


def _above(value: float, limits: tuple[float, float]) -> Verdict:
    warn, stop = limits
    return Verdict.STOP if value > stop else Verdict.WARN if value > warn else Verdict.OK


def _below(value: float, limits: tuple[float, float]) -> Verdict:
    warn, stop = limits
    return _above(-value, (-warn, -stop))


def _said(name: str, verdict: Verdict, text: str) -> Iterator[Reason]:
    if verdict is not Verdict.OK:
        yield Reason(name, verdict, text)


def _frame(found: dict[str, float]) -> Iterator[Reason]:
    """How the product lies in the picture."""
    covers = found["covers"]
    yield from _said(
        "covers",
        _above(covers, _COVERS),
        f"what was taken for the product covers {covers:.0%} of the photo. Photograph it with more room around it, or"
        " give a --mask",
    )
    sides = [each for each in ("left", "right", "top", "bottom") if found.get(f"cut_{each}", 0) > _CUT_SIDE]
    if sides:
        much = found["cut"] > _CUT or len(sides) >= _CUT_SIDES
        yield Reason(
            "cut",
            Verdict.STOP if much else Verdict.WARN,
            f"the product is cut off by the photo's edge ({', '.join(sides)}; {found['cut']:.0%} of its outline)."
            " Photograph all of it, if that is not meant",
        )
    if "extent" not in found:
        return
    extent, reach = found["extent"], found["reach"]
    yield from _said(
        "small",
        _below(extent, _EXTENT),
        f"the product is only {extent:.0f} pixels long in the photo. Use a larger photo, or go closer",
    )
    yield from _said(
        "far",
        _below(reach, _REACH),
        f"the product takes only {reach:.0%} of the photo's length. Crop the photo around it",
    )


def _product(found: dict[str, float]) -> Iterator[Reason]:
    """What the cutout's shape says."""
    if "parts" not in found:
        return
    parts, rim, glass = int(found["parts"]), found["rim"], found["glass"]
    yield from _said(
        "parts",
        _above(parts, (_PARTS[0] - 1, _PARTS[1] - 1)),
        f"{parts} separate things were cut out. If only one of them is the product, crop the photo or give a --mask",
    )
    yield from _said(
        "glass",
        _above(glass, _GLASS),
        f"{glass:.0%} of the product is half transparent. Right for glass or mesh; otherwise look at mask.png and give"
        " a --mask",
    )
    if glass <= _GLASS[0]:
        yield from _said(
            "soft",
            _above(rim, _RIM),
            f"the product's edge is soft over {rim:.0f} pixels. Right for hair or fur; otherwise look at mask.png and"
            " give a --mask",
        )


def _light(found: dict[str, float]) -> Iterator[Reason]:
    """Whether the photo itself is good enough."""
    scale = found["scale"]
    yield from _said(
        "scaled_up",
        _above(scale, _SCALE),
        f"the photo is so small that it is enlarged {scale:.1f} times. Use the original, not a thumbnail",
    )
    if "blur" not in found:
        return
    blur, white, black, brightest = (found[each] for each in ("blur", "white", "black", "brightest"))
    if found["covers"] <= _COVERS[0]:  # of a wall or a floor taken for the product nobody wants to know
        yield from _said(
            "blurred",
            _above(blur, _BLUR),
            f"the product is out of focus or shaken (its sharpest edges are {2.35 * blur:.0f} pixels wide). Use a"
            " sharp photo",
        )
    yield from _said(
        "overexposed",
        _above(white, _WHITE),
        f"{white:.0%} of the product is pure white, without any detail. Use a darker exposure",
    )
    yield from _said(
        "dark",
        max(_above(black, _BLACK), _below(brightest, _BRIGHTEST), key=[*Verdict].index),
        f"the product is almost black ({black:.0%} without any detail). Use a brighter exposure, if it is not black",
    )


def _doubt(found: dict[str, float], model: str) -> Iterator[Reason]:
    """Whether this is the product at all."""
    if "outline" in found:
        outline = found["outline"]
        what = "the --mask" if model == "mask" else "what was taken for the product"
        wrong = "Give the mask of this very photo" if model == "mask" else "Use a plainer ground, or give a --mask"
        yield from _said(
            "outline",
            _below(outline, _OUTLINE),
            f"{what} does not follow anything in the photo (only {outline:.0%} of its outline runs along an edge)."
            f" {wrong}",
        )
    if "confidence" in found:
        sure = found["confidence"]
        yield from _said(
            "unsure",
            _below(sure, _CONFIDENCE),
            f"the model is only {sure:.0%} sure of the product. Look at overlay.png; try another --model, or give a"
            " --mask",
        )
    if "agreement" in found:
        agreement = found["agreement"]
        yield from _said(
            "disputed",
            _below(agreement, _AGREEMENT),
            f"two models agree on only {agreement:.0%} of the product. Look at overlay.png; try another --model, or"
            " give a --mask",
        )


def agreement(one: Cutout, other: Cutout) -> float:
    """Intersection over union of two cutouts of one size, each from half opaque on."""
    ours, theirs = (np.asarray(each.image.getchannel("A")) >= 128 for each in (one, other))
    return float((ours & theirs).sum() / max((ours | theirs).sum(), 1))
