"""The gate before payment: reasons to warn about a cutout, or to stop.

Where a network's own output is known, a calibrated probability says whether the cutout is wrong (`gate_model`), and
what the mask looks like only warns, or is a note. The limits were set on real and rendered photos and on broken inputs;
docs/reference/gate.md has the figures.
"""

from collections.abc import Iterator
from dataclasses import replace

from PIL import Image

from photio_prep.cutout.gate_model import Risk, estimate_risk, measure_doubts
from photio_prep.cutout.locate import locate
from photio_prep.cutout.matte import flatten
from photio_prep.cutout.measure import measure_cutout
from photio_prep.quality import DOUBTFUL, STOP_AT, WARN_AT, Judgement, Reason, Verdict, sort_reasons
from photio_prep.types import OWN_MASKS, Cutout, Photo

# Each limit as (warn, stop).
_NEVER = float("inf")
_COVERS = (0.75, 0.88)
_CUT_SIDE = 0.015
_ALL_SIDES = 4
_PARTS = 2
_RIM = (15, _NEVER)
_GLASS = (0.12, _NEVER)
_EXTENT = (256, 128)
_REACH = (0.2, 0.05)
_SCALE = (4.0, _NEVER)
_BLUR = (2.2, 3.5)
_WHITE = (0.3, 0.7)
_BLACK = (0.4, 0.8)
_BRIGHTEST = (40, 16)
_OUTLINE = (0.5, 0.45)
_CONFIDENCE = (0.8, 0.6)
_AGREEMENT = (0.6, 0.3)
# Reasons of which the probability of a wrong mask knows more; and those whose warning helps only where it is wrong.
_OF_THE_MASK = ("cut", "parts", "soft", "outline", "unsure", "disputed")
_HINTS = ("covers", "far", "dark", "scaled_up")
_MENDED = {
    "line": Reason(
        "line", Verdict.WARN, "a thin straight line across the photo was removed. If it is product, use --holes keep"
    ),
    "print": Reason(
        "print", Verdict.OK, "a hole without the background's colour was filled. If it is a hole, use --holes keep"
    ),
}
_LOOKED = {
    "closer": Reason(
        "look", Verdict.OK, "the model was in doubt, and a closer look was kept. --looks 1 keeps the first"
    ),
    "mirrored": Reason(
        "look", Verdict.OK, "the model was in doubt, and a look at its mirror image was counted in. --looks 1 does not"
    ),
}
_CAUSES = {
    "first_risk": "the model's first look was in doubt",
    "agreement": "a second model finds something else",
    "mirrored": "the model finds something else in the mirrored photo",
    "mixed": "to the model it is more than one kind of thing",
    "rival": "to the model something beside it looks alike",
    "vague": "the model half believes in something in it or beside it",
}
_CAUSES |= dict.fromkeys(("rim_doubt", "rim_worst"), "the model is unclear about its outline")
_CAUSES |= dict.fromkeys(("confidence", "weak"), "the model is not sure what belongs to it")


def assess(photo: Photo, cutout: Cutout, second: Cutout | None = None) -> Judgement:
    """Assess a cutout at the canvas's scale before it is paid for; stopping reasons come first.

    `second`: a second model's cutout of the same size.
    """
    size = cutout.image.size
    view = flatten_to(photo, size)
    values = measure_cutout(view, cutout.image, size[0] / photo.size.width) | measure_doubts(cutout, second)
    if cutout.model == "alpha":
        # A photo that came as a cutout has no background, so its outline runs along no edge of the photo.
        values.pop("outline", None)
    reasons = find_reasons(values, cutout.model)
    if risk := estimate_risk(values, cutout.model):
        values["risk"] = risk.probability
        reasons = [*soften(reasons, risk.probability), *_risk_reasons(risk)]
    places = [replace(reason, area=locate(reason.name, view, cutout, second)) for reason in reasons]
    return Judgement(sort_reasons([*places, *_mended_reasons(cutout)]), values)


def find_reasons(values: dict[str, float], model: str) -> list[Reason]:
    """Find the reasons in the figures of a cutout, without its probability."""
    return [
        *_frame_reasons(values),
        *_shape_reasons(values, model),
        *_photo_reasons(values),
        *_model_reasons(values, model),
    ]


def soften(reasons: list[Reason], risk: float) -> list[Reason]:
    """Soften the reasons of which the probability knows more: they warn where it warns, and else are notes."""
    softest = Verdict.WARN if risk >= WARN_AT else Verdict.OK

    def is_soft(reason: Reason) -> bool:
        return reason.name in _OF_THE_MASK or (reason.name in _HINTS and reason.verdict is Verdict.WARN)

    return [replace(reason, verdict=softest) if is_soft(reason) else reason for reason in reasons]


def flatten_to(photo: Photo, size: tuple[int, int]) -> Image.Image:
    """Scale the photo to `size`, transparency flattened onto white (RGB)."""
    image = photo.image
    return flatten(image if image.size == size else image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3))


def _above(value: float, limits: tuple[float, float]) -> Verdict:
    warn, stop = limits
    return Verdict.STOP if value > stop else Verdict.WARN if value > warn else Verdict.OK


def _below(value: float, limits: tuple[float, float]) -> Verdict:
    warn, stop = limits
    return _above(-value, (-warn, -stop))


def _reason(name: str, verdict: Verdict, text: str) -> Iterator[Reason]:
    if verdict is not Verdict.OK:
        yield Reason(name, verdict, text)


def _risk_reasons(risk: Risk) -> Iterator[Reason]:
    """The reason that the mask is probably wrong, with its two main causes."""
    causes = "; ".join(list(dict.fromkeys(_CAUSES[figure] for figure in risk.causes))[:2])
    probability = risk.probability
    yield from _reason(
        DOUBTFUL,
        Verdict.STOP if probability >= STOP_AT else Verdict.WARN if probability >= WARN_AT else Verdict.OK,
        f"the cutout is wrong with a probability of {probability:.0%}{f' ({causes})' if causes else ''}."
        " Look at overlay.png; crop the photo, try another --model, or mend mask.png and give it back with --mask",
    )


def _mended_reasons(cutout: Cutout) -> list[Reason]:
    """What was changed in the model's mask, and whether it was of another look."""
    look = cutout.prediction.info.get("look") if cutout.prediction else None
    mended = [replace(_MENDED[name], area=area) for name, area in cutout.mended.items()]
    return [*mended, _LOOKED[look]] if look in _LOOKED else mended


def _frame_reasons(values: dict[str, float]) -> Iterator[Reason]:
    """Reasons from the product's position and size in the photo."""
    covers = values["covers"]
    yield from _reason(
        "covers",
        _above(covers, _COVERS),
        f"the segmented area covers {covers:.0%} of the photo. Photograph it with more room around it, or"
        " give a --mask",
    )
    sides = [side for side in ("left", "right", "top", "bottom") if values.get(f"cut_{side}", 0) > _CUT_SIDE]
    if sides:
        # An inverted mask meets all four sides.
        yield Reason(
            "cut",
            Verdict.STOP if len(sides) >= _ALL_SIDES else Verdict.WARN,
            f"the product is cut off by the photo's edge ({', '.join(sides)}; {values['cut']:.0%} of its outline)."
            " If that is not intended, photograph all of it",
        )
    if "extent" not in values:
        return
    extent, reach = values["extent"], values["reach"]
    yield from _reason(
        "small",
        _below(extent, _EXTENT),
        f"the product is only {extent:.0f} pixels long in the photo. Use a larger photo, or go closer",
    )
    yield from _reason(
        "far",
        _below(reach, _REACH),
        f"the product takes only {reach:.0%} of the photo's length. Crop the photo around it",
    )


def _shape_reasons(values: dict[str, float], model: str) -> Iterator[Reason]:
    """Reasons from the cutout's shape."""
    if "parts" not in values:
        return
    parts, rim, glass = int(values["parts"]), values["rim"], values["glass"]
    yield from _reason(
        "parts",
        _above(parts, (_PARTS - 1, _NEVER)),
        f"{parts} separate things were cut out. If only one of them is the product, crop the photo or give a --mask",
    )
    yield from _reason(
        "glass",
        _above(glass, _GLASS),
        # Faint pixels around a small core may be more than the product's own.
        f"{min(glass, 1):.0%} of the product is half transparent. Right for glass or mesh; otherwise look at cutout.png"
        " and give a --mask",
    )
    if values["line"] > 0:
        yield Reason(
            "line",
            Verdict.OK if model in OWN_MASKS else Verdict.WARN,
            "a thin straight line runs to the photo's edge. Right for a cord, strap or leg; otherwise crop the photo,"
            " or mend mask.png and give it back with --mask",
        )
    if glass <= _GLASS[0]:
        yield from _reason(
            "soft",
            _above(rim, _RIM),
            f"the product's edge is soft over {rim:.0f} pixels. Right for hair or fur; otherwise look at cutout.png and"
            " give a --mask",
        )


def _photo_reasons(values: dict[str, float]) -> Iterator[Reason]:
    """Reasons from the photo's quality."""
    scale = values["scale"]
    yield from _reason(
        "scaled_up",
        _above(scale, _SCALE),
        f"the photo is so small that it is enlarged {scale:.1f} times. Use the original, not a thumbnail",
    )
    if "blur" not in values:
        return
    blur, white, black, brightest = (values[name] for name in ("blur", "white", "black", "brightest"))
    if values["covers"] <= _COVERS[0]:  # else the background was probably segmented as the product
        yield from _reason(
            "blurred",
            _above(blur, _BLUR),
            f"the product is out of focus or shaken (its sharpest edges are {2.35 * blur:.0f} pixels wide). Use a"
            " sharp photo",
        )
    yield from _reason(
        "overexposed",
        _above(white, _WHITE),
        f"{white:.0%} of the product is pure white, without any detail. Use a darker exposure",
    )
    yield from _reason(
        "dark",
        max(_above(black, _BLACK), _below(brightest, _BRIGHTEST), key=[*Verdict].index),
        f"the product is almost black ({black:.0%} without any detail). Use a brighter exposure, if it is not black",
    )


def _model_reasons(values: dict[str, float], model: str) -> Iterator[Reason]:
    """Reasons to doubt that the cutout is the product."""
    if "outline" in values:
        outline = values["outline"]
        subject = "the --mask" if model == "mask" else "the segmented outline"
        fix = "Give the mask of this very photo" if model == "mask" else "Use a plainer ground, or give a --mask"
        yield from _reason(
            "outline",
            _below(outline, _OUTLINE),
            f"{subject} does not follow the edges in the photo (only {outline:.0%} of its outline runs along an edge)."
            f" {fix}",
        )
    if "confidence" in values:
        confidence = values["confidence"]
        yield from _reason(
            "unsure",
            _below(confidence, _CONFIDENCE),
            f"the model is only {confidence:.0%} sure of the product. Look at cutout.png; try another --model, or"
            " give a --mask",
        )
    if "agreement" in values:
        agreement = values["agreement"]
        yield from _reason(
            "disputed",
            _below(agreement, _AGREEMENT),
            f"two models agree on only {agreement:.0%} of the product. Look at cutout.png; try another --model, or"
            " give a --mask",
        )
