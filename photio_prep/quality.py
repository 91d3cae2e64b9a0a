"""Records of quality: the gate's judgement of a cutout, the proof of a final, the drift of an answer."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, NamedTuple

# The reason of a cutout that is probably wrong; the gate warns and stops from these values of the figure `risk` on.
# Chosen on the figures in docs/design/measurements/gate.md.
DOUBTFUL, WARN_AT, STOP_AT = "doubtful", 0.2, 0.3
# Left, top, right and bottom of a box, as shares of the picture's width and height.
Area = tuple[float, float, float, float]


class Verdict(StrEnum):
    """A cutout with `stop` is not paid for unless the gate is off; `warn` is a message, `ok` of a reason a note."""

    OK = "ok"
    WARN = "warn"
    STOP = "stop"


class Level(StrEnum):
    """Strictness of the gate: `off` blocks nothing, `warn` blocks the verdict stop, `strict` also warn."""

    OFF = "off"
    WARN = "warn"
    STRICT = "strict"

    def stops(self, verdict: Verdict) -> bool:
        """Whether a cutout with this verdict must not be paid for."""
        return self is not Level.OFF and (verdict is Verdict.STOP or (self is Level.STRICT and verdict is Verdict.WARN))


@dataclass(frozen=True, slots=True)
class Reason:
    """A defect of a cutout: `name` for programs; `text` for the user: the defect and its remedy; `area`: its place."""

    name: str
    verdict: Verdict
    text: str
    area: Area | None = None

    def to_dict(self) -> dict[str, Any]:
        """A record for JSON."""
        box = {"box": list(self.area)} if self.area else {}
        return {"reason": self.name, "verdict": self.verdict, "text": self.text, **box}


def sort_reasons(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    """Sort the worst first; of one verdict the probability first, and the others as they come."""
    worst = [Verdict.STOP, Verdict.WARN, Verdict.OK]
    return tuple(sorted(reasons, key=lambda reason: (worst.index(reason.verdict), reason.name != DOUBTFUL)))


@dataclass(frozen=True, slots=True)
class Judgement:
    """The reasons, worst first, and all measured figures."""

    reasons: tuple[Reason, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """The worst of the reasons' verdicts."""
        return sort_reasons(self.reasons)[0].verdict if self.reasons else Verdict.OK

    @property
    def defects(self) -> tuple[Reason, ...]:
        """The reasons that stop or warn, without notes."""
        return tuple(reason for reason in self.reasons if reason.verdict is not Verdict.OK)

    @property
    def risk(self) -> float:
        """The probability that the cutout is wrong; 0 where it is not known."""
        return self.figures.get("risk", 0.0)

    def limited(self, at: float | None) -> "Judgement":
        """The judgement where the risk of a wrong cutout stops from `at` on (0..1); None keeps the usual limit."""
        if at is None or "risk" not in self.figures:
            return self
        text = f"the cutout is wrong with a probability of {self.risk:.0%}. Look at overlay.png"
        doubts = [reason for reason in self.reasons if reason.name == DOUBTFUL]
        reasons = [reason for reason in self.reasons if reason.name != DOUBTFUL]
        if self.risk >= min(at, WARN_AT):
            doubtful = doubts[0] if doubts else Reason(DOUBTFUL, Verdict.OK, text)
            reasons.append(replace(doubtful, verdict=Verdict.STOP if self.risk >= at else Verdict.WARN))
        return Judgement(sort_reasons(reasons), self.figures)

    def to_dict(self) -> dict[str, Any]:
        """A record for JSON."""
        return {
            "verdict": self.verdict,
            "reasons": [reason.to_dict() for reason in self.reasons],
            "figures": dict(self.figures),
        }


def judgement_from_dict(record: Mapping[str, Any]) -> Judgement:
    """Read the record of `Judgement.to_dict`."""
    rows = record["reasons"]
    reasons = tuple(
        Reason(str(row["reason"]), Verdict(row["verdict"]), str(row["text"]), _read_area(row.get("box")))
        for row in rows
    )
    return Judgement(reasons, {str(name): float(value) for name, value in record["figures"].items()})


def _read_area(box: Any) -> Area | None:  # noqa: ANN401  any value of JSON
    if box is None:
        return None
    left, top, right, bottom = (min(max(0.0, float(share)), 1.0) for share in box)
    return left, top, max(left, right), max(top, bottom)


class DriftMetrics(NamedTuple):
    """Difference between the product of an answer and the one that was sent; lengths in pixels of the canvas.

    `right`, `down`: shift. `rim`: how far its outline moved outwards on all sides; negative if it shrank. `grown`:
    the same as a share of its area. `side`: how far a 24th of its outline moved outwards, where it moved most.
    `zoom`: growth of the distances inside. `colour`: CIE 1976 difference (delta E) of the mean colours inside.
    `light`: range of the ratio of light inside, less for dark products. `detail`: energy of gradients inside, as a
    share of the sent one's, softened as a generator does. `redrawn`: share of the textured inside with another
    texture. `added`, `missing`: parts, as shares of the area. `brightness`: change of its mean level, as a share
    (of 64 levels at least). `warped`: share of the textured inside that is displaced against the rest of it.
    """

    right: float = 0
    down: float = 0
    rim: float = 0
    grown: float = 0
    side: float = 0
    zoom: float = 0
    colour: float = 0
    light: float = 0
    detail: float = 1
    redrawn: float = 0
    added: float = 0
    missing: float = 0
    brightness: float = 0
    warped: float = 0


# Most regions of an answer's drift.
MOST_REGIONS = 20
# Kinds of regions whose amount is a length; that of the others is a share of the product's area.
LENGTHS = ("outwards", "inwards", "warped")


class Region(NamedTuple):
    """A region where the generator changed the product, in pixels of the photo, or with `--margin` of its crop.

    "outwards", "inwards": a stretch of its outline moved, by `amount` pixels on average. "warped": its pattern is
    displaced against the rest, by `amount` pixels. "redrawn": another pattern; "added": a part beside it; "missing":
    something else is there. Their `amount` is a share of its area. `box`: left, top, right, bottom. `sure`, 0..1: of an
    outline, the probability by its standard error; of a warp, the share of the difference that it explains; 1 less the
    correlation of the pattern; the share of a part's outline that is an edge; of what is missing, by its contrast.
    """

    kind: str
    box: tuple[int, int, int, int]
    amount: float
    sure: float

    @property
    def text(self) -> str:
        """Kind and amount."""
        return f"{self.kind} {self.amount:.1f} px" if self.kind in LENGTHS else f"{self.kind} {self.amount:.0%}"


class Replaced(NamedTuple):
    """A region of a final that is not the answer's: its kind, its share of all pixels, and the box that holds it.

    "product": the photo's pixels. "edge": those mixed with the scene. "rim": scene in place of the generator's product
    that looked out beside the photo's. `box` (left, top, right, bottom) is in pixels of the final.
    """

    kind: str
    share: float
    box: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Proof:
    """Origin of the pixels of a final's product.

    `product`: "generated", "detail" or "original". `core`: opaque pixels of the product. `equal`: share of those that
    equal the photo's (at another size: the resized photo's) before the final is encoded. `seam`: mean width in pixels
    of the soft rim around it. The three are None without the photo to compare with. `size` of the final.
    `photo_scale`, `answer_scale`: its pixels per pixel of the photo, and of the answer. `moved`: shift of the product
    (right, down), in its pixels, that covers the one that the generator had moved. `replaced`: the regions that are not
    the answer's, compared pixel by pixel. `refined`: what was done to an enlarged scene, for the user; "" for nothing.
    """

    product: str
    size: tuple[int, int]
    photo_scale: float
    answer_scale: float
    core: int | None = None
    equal: float | None = None
    seam: float | None = None
    moved: tuple[int, int] = (0, 0)
    replaced: tuple[Replaced, ...] = ()
    refined: str = ""

    def to_dict(self) -> dict[str, Any]:
        """A record for JSON."""
        return asdict(self) | {"replaced": [region._asdict() for region in self.replaced]}


# From these values on a buyer could see the change; measured in docs/design/measurements/finals.md.
SHIFT, RIM, SIDE, ZOOM, COLOUR, LIGHT, BRIGHTNESS, DETAIL = 1.25, 0.7, 3.0, 0.012, 4.0, 0.1, 0.07, 0.82
# A thin product: share of its area, and pixels of its rim.
GROWN, THIN = 0.06, 0.45
# Shares of the product's textured inside, and of its area.
REDRAWN, ADDED, MISSING, WARPED = 0.12, 0.04, 0.03, 0.06


@dataclass(frozen=True, slots=True)
class Drift:
    """Changes of the product by the generator: figures of the whole, and regions of a photo, or its crop, of `size`."""

    figures: DriftMetrics
    regions: tuple[Region, ...] = ()
    size: tuple[int, int] = (0, 0)

    @property
    def parts(self) -> dict[str, float]:
        """The score of each kind of change."""
        figures = self.figures
        return {
            "shift": (figures.right**2 + figures.down**2) ** 0.5 / SHIFT,
            "size": max(
                abs(figures.rim) / RIM,
                abs(figures.zoom) / ZOOM,
                min(abs(figures.grown) / GROWN, abs(figures.rim) / THIN),
            ),
            "side": abs(figures.side) / SIDE,
            "colour": figures.colour / COLOUR,
            "light": max(figures.light / LIGHT, abs(figures.brightness) / BRIGHTNESS),
            "detail": max(0.0, 1 - figures.detail) / (1 - DETAIL),
            "redrawn": figures.redrawn / REDRAWN,
            "added": figures.added / ADDED,
            "missing": figures.missing / MISSING,
            "warped": figures.warped / WARPED,
        }

    @property
    def score(self) -> float:
        """The largest part. Above 1.0 a buyer could see the change."""
        return round(max(self.parts.values()), 2)

    @property
    def sentence(self) -> str:
        """The visible changes, for the user."""
        figures = self.figures
        zoomed = abs(figures.rim) <= RIM and abs(figures.zoom) > ZOOM
        size, amount = figures.rim, f"{abs(figures.rim):.1f} pixels around it on average"
        if zoomed:
            size, amount = figures.zoom, f"{abs(figures.zoom):.1%}"
        texts = {
            "shift": f"moved it by {figures.right:+.1f} (right) and {figures.down:+.1f} (down) pixels",
            "size": f"made it {'larger' if size > 0 else 'smaller'}, by {amount}",
            "side": f"moved a side of it {'outwards' if figures.side > 0 else 'inwards'}, by"
            f" {abs(figures.side):.1f} pixels",
            "colour": f"changed its colour (delta E {figures.colour:.1f})",
            "light": f"lit it unevenly, by {figures.light:.0%}"
            if figures.light > LIGHT
            else f"made it {abs(figures.brightness):.0%} {'brighter' if figures.brightness > 0 else 'darker'}",
            "detail": f"lost {max(0.0, 1 - figures.detail):.0%} of its fine detail",
            "redrawn": f"drew {figures.redrawn:.0%} of its pattern anew",
            "added": f"added something to it, {figures.added:.0%} of its area",
            "missing": f"left {figures.missing:.0%} of it out, or hid it",
            "warped": f"warped {figures.warped:.0%} of its pattern",
        }
        names = [name for name, value in self.parts.items() if value > 1]
        if {"size", "side"} <= {*names} and figures.rim * figures.side > 0 and abs(figures.zoom) <= ZOOM:
            # One change, named once: growth of a side, or all around.
            names.remove("size" if abs(figures.side) >= 2 * abs(figures.rim) else "side")
        visible = [texts[name] for name in names]
        return f"the generator {', '.join(visible) or 'left the product as it was'}"

    def to_dict(self) -> dict[str, Any]:
        """A record for JSON."""
        return {
            "score": self.score,
            "sentence": self.sentence,
            "parts": {name: round(value, 2) for name, value in self.parts.items()},
            "figures": self.figures._asdict(),
            "regions": [region._asdict() for region in self.regions],
            "size": list(self.size),
        }
