"""The marketplaces: the rules of each for a picture, with the source of each rule."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Literal

from photio_prep.errors import UsageError
from photio_prep.geometry import Size
from photio_prep.system.files import read_packaged


@dataclass(frozen=True, slots=True)
class Citation:
    """Where and when a rule was read; `how` is the marketplace's "own page", "quoted" by others, or "ours"."""

    title: str
    url: str
    read: date
    how: Literal["own page", "quoted", "ours"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. A file below `least` or above `most` breaks it; below `good` there is a note.

    `name` is the measurement: weight in bytes; width, longest and shortest side in pixels; pixels in total; ratio as
    width over height; fill as the product's share of the frame, 0..1. format, background and generated are one of
    `any`. A rule with `advice` gives notes only.
    """

    name: str
    source: Citation
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

    `picture`: "packshot" is the product on pure white, made without the API; "scene" is the final, laid out.
    `size` is the file's size where the photo has enough pixels; `aim` is the product's share of a packshot's frame.
    """

    name: str
    title: str
    picture: Literal["packshot", "scene"]
    size: Size
    rules: tuple[Rule, ...]
    aim: float = 0.0

    @property
    def white(self) -> bool:
        """Whether it is made from the photo alone: free, without the API, nothing generated."""
        return self.picture == "packshot"

    def rule(self, name: str) -> Rule | None:
        """The rule of that name, or None."""
        return next((rule for rule in self.rules if rule.name == name), None)

    def least(self, size: Size) -> float:
        """The smallest enlargement of a picture of `size` that satisfies the rules on its sides."""
        sides = {"longest": max(size), "shortest": min(size), "width": size.width}
        rules = ((self.rule(name), side) for name, side in sides.items())
        return max((rule.least / side for rule, side in rules if rule and rule.least), default=0.0)


@cache
def all_presets() -> tuple[Preset, ...]:
    """The presets, sorted by name."""
    document = read_packaged("marketplaces/presets.toml")
    sources = {key: Citation(**row) for key, row in document["sources"].items()}
    presets = []
    for row in document["preset"]:
        rules = [
            Rule(**{**rule, "any": tuple(rule.get("any", ())), "source": sources[rule["source"]]})
            for rule in row["rules"]
        ]
        presets.append(Preset(**{**row, "size": Size(*row["size"]), "rules": tuple(rules)}))
    return tuple(sorted(presets, key=lambda preset: preset.name))


def find_preset(name: str) -> Preset:
    """The preset called `name`, in any case; UsageError for an unknown name."""
    presets = {preset.name: preset for preset in all_presets()}
    folded = name.lower()
    if folded not in presets:
        near = [known for known in presets if known.startswith(f"{folded}-")]
        near = near or difflib.get_close_matches(folded, presets, 1)
        fix = f"Did you mean {' or '.join(near)}?" if near else f"Choose from: {', '.join(presets)}"
        raise UsageError(f"there is no preset {name!r}", fix)
    return presets[folded]


def find_presets(names: Iterable[str]) -> tuple[Preset, ...]:
    """The presets of these names, each once, in this order; UsageError for an unknown name."""
    return tuple(dict.fromkeys(map(find_preset, names)))
