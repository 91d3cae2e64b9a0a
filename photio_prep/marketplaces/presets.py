"""The marketplaces: what each asks of a picture, rule by rule, with the source of each rule."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from typing import Any, Literal

from photio_prep.errors import UsageError
from photio_prep.geometry import Size


@dataclass(frozen=True, slots=True)
class Source:
    """Where a rule was read, and when; `how` is "own page", "quoted" (by others) or "ours"."""

    title: str
    url: str
    read: date
    how: Literal["own page", "quoted", "ours"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. Below `least` or above `most` a file breaks it, below `good` there is a note.

    `name` says what is measured: weight in bytes; width, longest and shortest side in pixels; pixels in all; ratio as
    width over height; fill as the product's share of the frame, 0..1. format, background and generated are one of
    `any`. An `advice` is never broken, only noted.
    """

    name: str
    source: Source
    least: float | None = None
    most: float | None = None
    good: float | None = None
    any: tuple[str, ...] = ()
    advice: bool = False

    def __str__(self) -> str:
        number = _NUMBERS.get(self.name, "{:g}")
        parts = [" ".join(self.any)] if self.any else []
        for word, value in (("at least", self.least), ("at most", self.most), ("better", self.good)):
            parts += [f"{word} {number.format(value)}"] if value is not None else []
        return f"{', '.join(parts)}{' (advice)' if self.advice else ''}"


_NUMBERS = {"weight": "{:,} bytes", "pixels": "{:,}", "fill": "{:.0%}", **dict.fromkeys(["longest", "width"], "{} px")}
_NUMBERS["shortest"] = _NUMBERS["longest"]


@dataclass(frozen=True, slots=True)
class Preset:
    """One kind of picture for one marketplace.

    `picture`: "packshot" is the product on pure white, made without the API; "scene" is the final, laid out. `size` is
    what is made where the photo has the pixels; `aim` the share of the frame that a packshot's product is given.
    """

    name: str
    title: str
    picture: Literal["packshot", "scene"]
    size: Size
    rules: tuple[Rule, ...]
    aim: float = 0.0

    @property
    def white(self) -> bool:
        """Whether it is made of the photo alone: free, no API, nothing generated."""
        return self.picture == "packshot"

    def rule(self, name: str) -> Rule | None:
        """The rule of that name, if there is one."""
        return next((each for each in self.rules if each.name == name), None)

    def least(self, size: Size) -> float:
        """How many times a picture of `size` has to be enlarged at least to keep the rules on its sides."""
        sides = {"longest": max(size), "shortest": min(size), "width": size.width}
        wanted = ((self.rule(name), side) for name, side in sides.items())
        return max((rule.least / side for rule, side in wanted if rule and rule.least), default=0.0)


@cache
def catalogue() -> tuple[Preset, ...]:
    """The presets, sorted by name."""
    told = tomllib.loads((resources.files("photio_prep.marketplaces") / "presets.toml").read_text(encoding="utf-8"))
    sources = {key: Source(**row) for key, row in told["sources"].items()}
    return tuple(_preset(row, sources) for row in sorted(told["preset"], key=lambda row: str(row["name"])))


def _preset(row: dict[str, Any], sources: dict[str, Source]) -> Preset:
    rules = tuple(
        Rule(**{**rule, "any": tuple(rule.get("any", ())), "source": sources[rule["source"]]})
        for rule in row.pop("rules")
    )
    return Preset(**{**row, "size": Size(*row["size"])}, rules=rules)


def names() -> tuple[str, ...]:
    """The names of all presets."""
    return tuple(each.name for each in catalogue())


def by_name(name: str) -> Preset:
    """The preset called `name`.

    Raises:
        UsageError: There is none of that name.
    """
    for each in catalogue():
        if each.name == name:
            return each
    raise UsageError(f"there is no preset {name!r}", f"Choose from: {', '.join(names())}", subject="--preset")


def chosen(wanted: Iterable[str]) -> tuple[Preset, ...]:
    """The presets of these names, each once, in this order.

    Raises:
        UsageError: There is none of a name.
    """
    return tuple(by_name(name) for name in dict.fromkeys(wanted))
