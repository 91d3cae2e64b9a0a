"""Description -> Scene. Known words decide; the random generator decides what they leave open."""

import re
from dataclasses import dataclass, replace

from numpy.random import Generator

from photio_prep.sandbox.scenery.arrays import Colour

SURFACE_WORDS = {
    "marble": "marble quartz granite counter countertop",
    "wood": "wood wooden oak walnut plank planks bench cabin",
    "stone": "stone slate rock concrete",
    "paper": "studio seamless podium paper minimal",
}
BACKDROP_WORDS = {
    "tiles": "kitchen bathroom tiles",
    "sweep": "studio seamless podium minimal",
    "wall": "wall plaster",
}
COLOURS: dict[str, Colour] = {
    "white": (240, 238, 234), "beige": (220, 203, 178), "black": (34, 33, 35), "grey": (150, 150, 150),
    "terracotta": (190, 108, 78), "gold": (200, 160, 84), "green": (104, 140, 100), "sage": (164, 176, 150),
    "mint": (176, 214, 192), "blue": (98, 140, 184), "navy": (38, 54, 88), "pink": (234, 178, 186),
}  # fmt: skip
_MATERIALS: dict[str, Colour] = {
    "marble": (236, 233, 229), "stone": (150, 143, 135), "concrete": (172, 170, 166),
    "wood": (168, 114, 70), "oak": (196, 156, 112), "walnut": (118, 82, 58),
}  # fmt: skip
_WALLS: tuple[Colour, ...] = (
    (226, 218, 207), (206, 211, 212), (219, 203, 189), (198, 206, 192), (224, 205, 198), (201, 208, 219),
    (236, 231, 223), (189, 178, 166), (214, 196, 172), (180, 190, 186),
)  # fmt: skip
_WALL_WORDS = frozenset({"wall", "background", "backdrop", "studio", "plaster"})
_TRIM = frozenset({"veins", "accents", "details", "light", "hour"})  # "golden light" does not colour a wall
_DARK = frozenset({"dark", "moody", "night"})


@dataclass(frozen=True, slots=True)
class Light:
    """Light of a scene."""

    tint: Colour  # factor of linear light
    side: int  # -1 from the left, 1 from the right
    height: float  # 0 low, 1 high
    hardness: float  # 0 overcast, 1 sun
    exposure: float = 1.0
    window: bool = False  # the light falls through a window onto the wall


@dataclass(frozen=True, slots=True)
class Scene:
    """Surface, backdrop, colours and light of a description."""

    surface: str
    surface_colour: Colour
    backdrop: str
    wall_colour: Colour
    light: Light


def parse_scene(description: str, rng: Generator) -> Scene:
    """Read the scene from `description`. `rng` is used equally often for every description."""
    words = re.findall(r"[a-z]+", description.lower())
    choices = rng.random(12).tolist()
    surface = _names(words, SURFACE_WORDS, ("wood", "marble", "stone", "paper")[int(choices[0] * 4)])[0]
    backdrops = ["sweep"] if surface == "paper" else _names(words, BACKDROP_WORDS, "wall")
    backdrop = min(backdrops, key=("tiles", "sweep", "wall").index)  # a kitchen has a wall, too
    wall, surface_colour = _assign_colours(words)
    if wall is None:
        shade = 0.25 if "black" in words else 0.36 if _DARK & {*words} else 1
        wall = _scale(_WALLS[int(choices[2] * len(_WALLS))], shade)
    if surface_colour is None:
        materials = [word for word in words if word in _MATERIALS and word in SURFACE_WORDS[surface].split()]
        surface_colour = _MATERIALS.get((materials or [surface])[0], wall)
        surface_colour = _scale(surface_colour, 0.5 if _DARK & {*words} and surface != "paper" else 1)
    return Scene(surface, surface_colour, backdrop, wall, _parse_light({*words}, backdrop, choices[4:]))


def _names(words: list[str], table: dict[str, str], default: str) -> list[str]:
    """Names in `table` that `words` stand for, in the order of the words; `default` without any."""
    return [name for word in words for name, synonyms in table.items() if word in synonyms.split()] or [default]


def _assign_colours(words: list[str]) -> tuple[Colour | None, Colour | None]:
    """Colours of wall and surface: a colour belongs to the first wall or material that follows it."""
    wall: Colour | None = None
    surface: Colour | None = None
    for index, word in enumerate(words):
        following, preceding = words[index + 1 : index + 4], words[max(0, index - 2) : index]
        if word not in COLOURS or (following and following[0] in _TRIM):
            continue
        pale = bool({"pastel", "pale", "soft", "light"} & {*preceding})
        colour = _scale(COLOURS[word], 0.55 if pale else 0.62 if _DARK & {*preceding} else 1, 111.6 if pale else 0)
        nouns = [noun for noun in following if noun in _WALL_WORDS or _names([noun], SURFACE_WORDS, "")[0]]
        if not nouns or nouns[0] in _WALL_WORDS:
            wall = wall or colour
        else:
            surface = surface or colour
    return wall, surface


def _parse_light(words: set[str], backdrop: str, choices: list[float]) -> Light:
    side = -1 if "left" in words else 1 if "right" in words else (-1 if choices[0] < 0.6 else 1)
    light = Light((1.02, 1.0, 0.97), side, 0.55 + 0.25 * choices[1], 0.4 + 0.2 * choices[2])
    if words & {"morning", "sunrise"}:
        light = replace(light, tint=(1.07, 1.0, 0.90), height=0.42, hardness=0.62)
    if words & {"sunset", "golden", "evening"}:
        light = replace(light, tint=(1.10, 1.0, 0.84), height=0.30, hardness=0.72, exposure=0.94)
    if words & {"sunny", "sunlight", "sun", "noon", "bright", "hard"}:
        light = replace(light, tint=(1.05, 1.0, 0.92), height=0.62, hardness=0.85, exposure=1.06)
    if words & {"soft", "diffuse", "overcast", "cloudy"}:
        light = replace(light, hardness=light.hardness * 0.55)
    if words & {"winter", "cold"}:
        light = replace(light, tint=(0.95, 1.0, 1.07))
    if words & _DARK:
        light = replace(light, exposure=0.78, hardness=0.7)
    through_window = words & {"window", "sun", "sunlight", "sunny", "morning", "golden", "sunset"} or choices[3] < 0.25
    return replace(light, window=bool(through_window) and backdrop in ("wall", "tiles"))


def _scale(colour: Colour, factor: float, lift: float = 0) -> Colour:
    red, green, blue = (level * factor + lift for level in colour)
    return (red, green, blue)
