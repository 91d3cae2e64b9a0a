"""Words -> Mood: which surface, backdrop, colours and light a scene description asks for."""

import re
from dataclasses import dataclass

from numpy.random import Generator

from photio_prep.sandbox.noise import Colour

COLOURS: dict[str, Colour] = {
    "white": (240, 238, 234), "ivory": (240, 233, 216), "cream": (240, 228, 204), "beige": (220, 203, 178),
    "sand-coloured": (222, 202, 168), "tan": (205, 174, 136), "brown": (120, 84, 60), "chocolate": (88, 58, 42),
    "black": (34, 33, 35), "charcoal": (58, 59, 62), "grey": (150, 150, 150), "gray": (150, 150, 150),
    "silver": (190, 193, 197), "red": (178, 52, 48), "burgundy": (110, 34, 46), "coral": (232, 134, 112),
    "terracotta": (190, 108, 78), "orange": (226, 138, 66), "peach": (240, 190, 160), "apricot": (238, 182, 138),
    "yellow": (236, 198, 92), "mustard": (204, 158, 62), "gold": (200, 160, 84), "olive": (128, 128, 78),
    "green": (104, 140, 100), "sage": (164, 176, 150), "mint": (176, 214, 192), "emerald": (34, 108, 84),
    "teal": (52, 120, 124), "turquoise": (98, 182, 180), "aqua": (150, 208, 212), "cyan": (120, 200, 216),
    "blue": (98, 140, 184), "navy": (38, 54, 88), "indigo": (66, 68, 128), "violet": (136, 112, 172),
    "purple": (124, 92, 150), "lavender": (196, 184, 222), "lilac": (206, 184, 218), "magenta": (190, 70, 136),
    "pink": (234, 178, 186), "rose": (222, 160, 164), "blush": (238, 208, 200), "neutral": (214, 206, 196),
}  # fmt: skip


def _lookup(table: dict[str, str]) -> dict[str, str]:
    return {word: name for name, words in table.items() for word in words.split()}


SURFACE_OF = _lookup({
    "marble": "marble quartz granite onyx countertop counter worktop vanity",
    "wood": "wood wooden oak walnut pine teak timber plank planks bamboo rustic desk bench cabin barrel floorboards",
    "concrete": "concrete cement asphalt pavement street industrial sidewalk microcement",
    "sand": "sand sandy beach desert dune dunes seaside shore",
    "grass": "grass lawn meadow garden park picnic backyard field",
    "moss": "moss forest woodland jungle woods",
    "linen": "linen cloth fabric cotton bed bedding blanket silk satin velvet towel tablecloth textile wool",
    "stone": "stone slate rock rocks rocky cliff terrazzo travertine sandstone cobblestone",
    "snow": "snow snowy ice icy winter frost",
    "gloss": "glass mirror acrylic glossy water wet reflective lacquer reflection pool",
    "paper": "studio seamless podium pedestal plinth paper cyclorama packshot minimal minimalist minimalistic",
})  # fmt: skip

BACKDROP_OF = _lookup({
    "sea": "beach sea ocean seaside coast shore island lagoon tropical",
    "foliage": "garden park forest jungle meadow woodland woods nature leaves foliage trees outdoors picnic lawn",
    "tiles": "kitchen bathroom spa tiles tiled shower bath",
    "bricks": "brick bricks loft warehouse",
    "city": "city street urban neon club bar skyline downtown bokeh christmas festive party lights",
    "room": "room bedroom office cafe coffee restaurant library home interior shop store shelf lounge hotel",
    "sky": "sky cloud clouds desert dunes field",
    "hills": "mountain mountains hill hills landscape valley snow snowy alpine winter",
    "sweep": "studio seamless cyclorama packshot podium pedestal plinth acrylic minimal minimalist gradient",
    "plaster": "wall plaster stucco limewash marble concrete linen",
})  # fmt: skip

_WOODS: dict[str, Colour] = {
    "oak": (196, 156, 112), "walnut": (118, 82, 58), "pine": (216, 182, 138), "teak": (168, 114, 70),
    "bamboo": (222, 192, 138), "rustic": (134, 98, 70), "ash": (206, 188, 162),
}  # fmt: skip
_SURFACE_COLOUR: dict[str, Colour] = {
    "marble": (236, 233, 229), "concrete": (172, 170, 166), "sand": (226, 202, 166), "grass": (98, 130, 60),
    "moss": (78, 96, 48), "linen": (230, 222, 208), "stone": (150, 143, 135), "snow": (238, 243, 250),
}  # fmt: skip
_WALLS: tuple[Colour, ...] = (
    (226, 218, 207), (206, 211, 212), (219, 203, 189), (198, 206, 192), (224, 205, 198), (201, 208, 219),
    (236, 231, 223), (189, 178, 166), (214, 196, 172), (180, 190, 186),
)  # fmt: skip
_PLAIN = frozenset({"wall", "background", "backdrop", "studio", "plaster", "sweep", "tones", "colours", "colors"})
_TRIM = frozenset({"veins", "vein", "accents", "details", "trim", "light", "hour", "lights"})
_DECORATION = frozenset({"tropical", "leaves", "foliage", "bokeh", "christmas", "festive", "party", "lights"})
_PALE = frozenset({"pastel", "pale", "soft", "light", "powder", "baby"})
_DEEP = frozenset({"dark", "deep", "moody", "rich"})


@dataclass(frozen=True, slots=True)
class Light:
    """`tint` multiplies linear light; `side` is where it comes from (-1 left, 1 right); `height` 0 low … 1 high.

    `hard` 0 overcast … 1 sun; `level` is exposure; `gobo` is what it falls through: "", "window" or "leaves".
    """

    tint: Colour
    side: int
    height: float
    hard: float
    level: float
    gobo: str


@dataclass(frozen=True, slots=True)
class Mood:
    """Everything the painters need to know of the words."""

    surface: str
    surface_colour: Colour
    backdrop: str
    wall_colour: Colour
    light: Light
    night: bool


def mood_of(description: str, rng: Generator) -> Mood:
    """What `description` asks for; `rng` decides the rest, and draws the same number of times whatever the words."""
    words = re.findall(r"[a-z]+", description.lower())
    luck = [float(each) for each in rng.random(12)]
    surface = _first(words, SURFACE_OF) or ("wood", "marble", "linen", "concrete", "stone", "paper")[int(luck[0] * 6)]
    backdrop = _backdrop(words, surface, luck[1])
    wall, ground = _coloured(words)
    night = any(each in words for each in ("night", "neon", "midnight", "club"))
    wall_colour = wall or _WALLS[int(luck[2] * len(_WALLS))]
    if wall is None and (words_dark := [each for each in words if each in ("dark", "moody", "night", "black")]):
        wall_colour = _shade(wall_colour, 0.36 if "black" not in words_dark else 0.25)
    return Mood(
        surface=surface,
        surface_colour=ground or _surface_colour(words, surface, wall_colour, luck[3]),
        backdrop=backdrop,
        wall_colour=wall_colour,
        light=_light(words, backdrop, luck[4:]),
        night=night,
    )


def _first(words: list[str], table: dict[str, str]) -> str | None:
    return next((table[each] for each in words if each in table), None)


def _backdrop(words: list[str], surface: str, luck: float) -> str:
    # A place outranks "wall" and the materials, which come along with everything; decoration makes no place of a wall.
    named = [BACKDROP_OF[each] for each in words if each in BACKDROP_OF]
    places = [each for each in words if BACKDROP_OF.get(each, "plaster") not in ("plaster", "sweep")]
    if solid := [each for each in places if each not in _DECORATION]:
        return BACKDROP_OF[solid[0]]
    if places and "wall" not in words:
        return BACKDROP_OF[places[0]]
    named = [each for each in named if each in ("plaster", "sweep")]
    if surface in ("sand", "snow", "grass", "moss"):
        return {"sand": "sea", "snow": "hills"}.get(surface, "foliage")
    if "sunset" in words or "sunrise" in words:
        return named[0] if named else "sky"
    if named:
        return named[0]
    return "sweep" if surface in ("paper", "gloss") else ("plaster", "plaster", "room")[int(luck * 3)]


def _coloured(words: list[str]) -> tuple[Colour | None, Colour | None]:
    """The colours of wall and surface: a colour belongs to the first material or wall that follows it."""
    wall: Colour | None = None
    ground: Colour | None = None
    for index, word in enumerate(words):
        if word not in COLOURS:
            continue
        colour = COLOURS[word]
        before = words[max(0, index - 2) : index]
        if any(each in _PALE for each in before):
            colour = _toward_white(colour, 0.45)
        elif any(each in _DEEP for each in before):
            colour = _shade(colour, 0.62)
        after = words[index + 1 : index + 4]
        if after and after[0] in _TRIM:
            continue
        meant = next((each for each in after if each in SURFACE_OF or each in _PLAIN), "")
        if meant in SURFACE_OF and meant not in _PLAIN:
            ground = ground or colour
        else:
            wall = wall or colour
    return wall, ground


def _surface_colour(words: list[str], surface: str, wall: Colour, luck: float) -> Colour:
    if surface == "wood":
        named = next((_WOODS[each] for each in words if each in _WOODS), None)
        colour = named or list(_WOODS.values())[int(luck * len(_WOODS))]
    elif surface in ("paper", "gloss"):
        return wall
    else:
        colour = _SURFACE_COLOUR[surface]
    dark = any(each in ("dark", "moody") for each in words)
    return _shade(colour, 0.5) if dark else colour


def _light(words: list[str], backdrop: str, luck: list[float]) -> Light:
    said = set(words)
    side = -1 if "left" in said else 1 if "right" in said else (-1 if luck[0] < 0.6 else 1)
    warm = (1.10, 1.0, 0.84)
    tint: Colour = (1.02, 1.0, 0.97)
    height, hard, level = 0.55 + 0.25 * luck[1], 0.4 + 0.2 * luck[2], 1.0
    if said & {"morning", "breakfast", "sunrise"}:
        tint, height, hard = (1.07, 1.0, 0.90), 0.42, 0.62
    if said & {"sunset", "golden", "evening", "dusk", "candle", "candlelight", "autumn"}:
        tint, height, hard, level = warm, 0.30, 0.72, 0.94
    if said & {"sunny", "sunlight", "sun", "noon", "summer", "bright"}:
        tint, height, hard, level = (1.05, 1.0, 0.92), 0.62, 0.85, 1.06
    if said & {"soft", "diffuse", "diffused", "overcast", "cloudy", "gentle"}:
        hard *= 0.55
    if said & {"winter", "snow", "ice", "cold", "cool"}:
        tint = (0.95, 1.0, 1.07)
    if said & {"dark", "moody", "dramatic"}:
        level, hard = 0.78, 0.7
    if said & {"night", "midnight", "neon"}:
        tint, level, hard = (0.94, 0.97, 1.08), 0.62, 0.6
    indoors = backdrop in ("plaster", "tiles", "bricks")
    gobo = ""
    if indoors and said & {"leaf", "leaves", "palm", "plant", "plants", "tropical", "botanical", "foliage"}:
        gobo = "leaves"
    elif indoors and (said & {"window", "sun", "sunlight", "sunny", "morning", "golden", "sunset"} or luck[3] < 0.25):
        gobo = "window"
    return Light(tint, side, height, hard, level, gobo)


def _shade(colour: Colour, factor: float) -> Colour:
    return (colour[0] * factor, colour[1] * factor, colour[2] * factor)


def _toward_white(colour: Colour, share: float) -> Colour:
    red, green, blue = (each + (248 - each) * share for each in colour)
    return (red, green, blue)
