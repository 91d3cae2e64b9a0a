"""Plain records of quality: the gate's judgement of a cutout, the proof of a final, the drift of an answer."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple


class Verdict(StrEnum):
    """`ok` says nothing, `warn` tells, `stop` is not paid for unless the gate is off."""

    OK = "ok"
    WARN = "warn"
    STOP = "stop"


class Level(StrEnum):
    """How strict the gate is: `off` stops nothing, `warn` stops what is to be stopped, `strict` stops warnings too."""

    OFF = "off"
    WARN = "warn"
    STRICT = "strict"

    def stops(self, verdict: Verdict) -> bool:
        """Whether a cutout of this verdict is kept from being paid for."""
        return self is not Level.OFF and (verdict is Verdict.STOP or (self is Level.STRICT and verdict is Verdict.WARN))


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that is wrong: its short name for programs, and for people what was found and what to do."""

    name: str
    verdict: Verdict
    text: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """The reasons, worst first, and every figure that was measured, whether it was a reason or not."""

    reasons: tuple[Reason, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """The worst of the reasons' verdicts."""
        found = {each.verdict for each in self.reasons}
        return next((each for each in (Verdict.STOP, Verdict.WARN) if each in found), Verdict.OK)

    def facts(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            "verdict": self.verdict,
            "reasons": [{"reason": each.name, "verdict": each.verdict, "text": each.text} for each in self.reasons],
            "figures": dict(self.figures),
        }


def judgement(facts: Mapping[str, Any]) -> Judgement:
    """The judgement that `Judgement.facts` wrote down."""
    reasons = tuple(
        Reason(str(each["reason"]), Verdict(each["verdict"]), str(each["text"])) for each in facts["reasons"]
    )
    return Judgement(reasons, {str(name): float(value) for name, value in facts["figures"].items()})


class Figures(NamedTuple):
    """How the product of an answer differs from the one that was sent; lengths in pixels of the canvas.

    `right`, `down`: shift of its place. `rim`: how far its outline moved outwards, at least half of it; negative where
    it shrank. `grown`: the same as a share of its area. `colour`: CIE 1976 difference (delta E) of the mean colours of
    its inside. `detail`: energy of gradients inside, as a share of what was sent.
    """

    right: float
    down: float
    rim: float
    grown: float
    colour: float
    detail: float


@dataclass(frozen=True, slots=True)
class Proof:
    """Whose pixels a final's product has.

    `product`: "generated", "detail" or "original". `core`: opaque pixels of the product; `equal`: share of those that
    are the photo's to the bit, before the final is encoded (at another size: those of the resized photo). `seam`: mean
    width in pixels of the soft rim around it. The three are None where the photo was not at hand to compare.
    `size` of the final; `photo_scale`, `answer_scale`: its pixels to one of the photo, and of the answer. `moved`: how
    far right and down, in its pixels, the product was put to cover the one that the generator had moved.
    """

    product: str
    size: tuple[int, int]
    photo_scale: float
    answer_scale: float
    core: int | None = None
    equal: float | None = None
    seam: float | None = None
    moved: tuple[int, int] = (0, 0)

    def facts(self) -> dict[str, Any]:
        """As they are written into the order's folder."""
        return asdict(self)


class Outline(NamedTuple):
    """What a model finds in an answer beside what was sent, as shares of the area that was sent.

    `added`: joined to the product, and farther from the sent mask than the model can err. `missing`: of the sent mask,
    farther from anything found. `model`: who looked.
    """

    added: float
    missing: float
    model: str


# From these values on a buyer could see the change; measured in docs/design/measurements/finals.md.
SHIFT, GROWN, SHRUNK, RIM, COLOUR, DETAIL = 1.25, 0.012, 0.02, 0.13, 4.0, 0.75
# Of the product's area, as a model finds it in the answer: what it may add or miss where nothing was changed.
ADDED, MISSING = 0.03, 0.2


@dataclass(frozen=True, slots=True)
class Drift:
    """How far the generator changed the product. `score` is 1 where the largest change begins to be one.

    `outline` is what a model found in the answer, None where none was asked.
    """

    figures: Figures
    outline: Outline | None = None

    @property
    def parts(self) -> dict[str, float]:
        """The score of each kind of change."""
        found = self.figures
        size = found.grown / GROWN if found.grown > 0 else -found.grown / SHRUNK
        # A product that grew on all sides fits nearly as well a little beside its place.
        aside = max(0.0, (found.right**2 + found.down**2) ** 0.5 - max(0.0, found.rim))
        looked = self.outline
        seen = {} if looked is None else {"added": looked.added / ADDED, "missing": looked.missing / MISSING}
        return seen | {
            "shift": aside / SHIFT,
            "size": min(size, abs(found.rim) / RIM),
            "colour": found.colour / COLOUR,
            "detail": max(0.0, 1 - found.detail) / (1 - DETAIL),
        }

    @property
    def score(self) -> float:
        """The largest of them: above 1 a buyer could see it."""
        return round(max(self.parts.values()), 2)

    @property
    def sentence(self) -> str:
        """What a seller should know."""
        found = self.figures
        said = {
            "shift": f"moved it by {found.right:+.1f} (right) and {found.down:+.1f} (down) pixels",
            "size": f"made it {'larger' if found.grown > 0 else 'smaller'}, by {abs(found.grown):.0%} of its area",
            "colour": f"changed its colour (delta E {found.colour:.1f})",
            "detail": f"lost {max(0.0, 1 - found.detail):.0%} of its fine detail",
        }
        if self.outline is not None:
            said["added"] = f"added something to it, {self.outline.added:.0%} of its area"
            said["missing"] = f"left {self.outline.missing:.0%} of it out, or hid it"
        told = [said[name] for name, value in self.parts.items() if value > 1]
        if not told:
            return "the generator left the product as it was"
        return "the generator " + ", ".join(told)

    def facts(self) -> dict[str, Any]:
        """As they are written into the order's folder."""
        parts = {name: round(value, 2) for name, value in self.parts.items()}
        return {
            "score": self.score,
            "sentence": self.sentence,
            "parts": parts,
            "figures": self.figures._asdict(),
            **({"outline": self.outline._asdict()} if self.outline else {}),
        }
