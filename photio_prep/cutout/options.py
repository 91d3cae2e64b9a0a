"""Options of a cutout: looks, refinement, holes, grow, shrink, feather."""

from dataclasses import dataclass, fields
from typing import Literal

from photio_prep.system.ranges import Range, check_options

Holes = Literal["auto", "keep", "fill"]
Refine = Literal["fast", "off"]
Looks = Literal["auto", "1"]

LENGTH, _SHARE = Range(-64, 64, whole=False), Range(0, 1, whole=False)


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
        check_options(self, grow=LENGTH, feather=LENGTH._replace(low=0), specks=_SHARE)

    def __str__(self) -> str:
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        # 0, 0.0 and -0.0 are the same option, from the command line and from a program.
        return ", ".join(
            f"{name} {value + 0:g}" if type(value) in (int, float) else f"{name} {value}" for name, value in values
        )


DEFAULT_CUTOUT = CutoutOptions()
