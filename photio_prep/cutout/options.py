"""Options of a cutout: looks, refinement, holes, grow, shrink, feather."""

import math
from dataclasses import dataclass, fields
from typing import Literal

from photio_prep.errors import UsageError

Holes = Literal["auto", "keep", "fill"]
Refine = Literal["fast", "off"]
Looks = Literal["auto", "1"]

_FARTHEST = 64


@dataclass(frozen=True, slots=True)
class CutoutOptions:
    """How the cutout's edge and parts are made. All lengths are pixels of the canvas, that is of what is sent.

    `refine`: what a model believes becomes alpha by a fast colour-guided filter, or only by a stretch ("off"). A mask,
    an alpha or a matter of your own is never refined.
    `holes`: "auto" closes pinholes, and print taken for a hole, "fill" everything that the product encloses;
    both remove a thin straight line across the photo.
    `specks`: parts smaller than this share of the largest part are dropped.
    `grow`: the outline is moved outwards, or inwards where it is negative. `feather`: the rim is softened by as much.
    `colours`: the background's colour is taken out of the soft rim.
    `looks`: "auto" lets a network look again where it is in doubt (`looks.look_again`), "1" never does.
    """

    refine: Refine = "fast"
    holes: Holes = "auto"
    specks: float = 0.002
    grow: float = 0
    feather: float = 0
    colours: bool = True
    looks: Looks = "auto"

    def __post_init__(self) -> None:
        for name, value, choices in (
            ("refine", self.refine, ("fast", "off")),
            ("holes", self.holes, ("auto", "keep", "fill")),
            ("looks", self.looks, ("auto", "1")),
        ):
            if value not in choices:
                raise UsageError(f"--{name} {value!r} is not offered", f"Choose one of: {', '.join(choices)}")
        for name, length, least in (("grow", self.grow, -_FARTHEST), ("feather", self.feather, 0)):
            if not (math.isfinite(length) and least <= length <= _FARTHEST):
                raise UsageError(f"--{name} {length} is not in {least} to {_FARTHEST}", "Give pixels of the canvas")
        if not 0 <= self.specks <= 1:
            raise UsageError(f"specks {self.specks} is no share", "Give a number from 0 to 1")

    def __str__(self) -> str:
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        # 0 and 0.0 are the same option, from the command line and from a program.
        return ", ".join(
            f"{name} {value:g}" if type(value) in (int, float) else f"{name} {value}" for name, value in values
        )


DEFAULT_CUTOUT = CutoutOptions()
