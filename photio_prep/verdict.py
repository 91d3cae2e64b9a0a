"""What the gate thinks of a cutout: ok, warn or stop, for which reasons, by which figures.

Takes plain values and gives them back, for JSON too. Touches nothing. Raises nothing but KeyError, TypeError and
ValueError for facts that are none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


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
