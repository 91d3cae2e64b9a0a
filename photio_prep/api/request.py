"""Build and validate the request of a canvas; seeds and negative prompts."""

import re
import secrets

from photio_prep.api.language import guess_language
from photio_prep.errors import UsageError
from photio_prep.geometry import parse_size, place
from photio_prep.system import seeds
from photio_prep.system.ranges import Range
from photio_prep.types import Canvas, Request

# The server's default for negative_prompt; used here only to append to it.
DEFAULT_NEGATIVE = "worst quality, low quality, illustration, 3d, 2d, painting, cartoons, sketch"

SEED = Range(1, seeds.LAST)


def build_request(
    canvas: Canvas,
    description: str,
    *,
    seed: int | None = None,
    negative_prompt: str | None = None,
    append_negative: str | None = None,
    image_url: str | None = None,
) -> Request:
    """Build the request of a canvas; UsageError for an invalid seed or URL, or both negative prompts.

    `description`: the scene in English, not the product; may be empty in a dry run. `seed`: 1 … 4,294,967,296; None
    derives it from the canvas, so that the same input gives the same order; -1 draws one. `negative_prompt` replaces
    the server's default, `append_negative` is added to it. `image_url`: the http(s) URL of a PNG, alpha 0 outside the
    product, instead of the canvas's bytes: only the canvas's size counts then.
    """
    negative_prompt = expand_negative(negative_prompt, append_negative)
    if image_url is not None and not re.fullmatch(r"https?://[^\s/]+\S*", image_url):
        raise UsageError(f"{image_url[:80]!r} is not an http(s) URL", "Give the address of a PNG", subject="image_url")
    drawn = seed is None
    if seed is None:
        seed = seeds.seed_from_canvas(canvas.digest)
    elif seed == -1:
        seed = 1 + secrets.randbelow(seeds.LAST - 1)
    return Request(canvas, description.strip(), validate_seed(seed), negative_prompt, image_url, drawn)


def expand_negative(negative_prompt: str | None, append_negative: str | None) -> str | None:
    """The negative prompt that is sent; UsageError if both are given."""
    if append_negative is None:
        return negative_prompt
    if negative_prompt is not None:
        raise UsageError("both a negative prompt and an addition to the default are given", "Give one of them")
    return f"{DEFAULT_NEGATIVE}, {append_negative}"


def validate_seed(seed: int) -> int:
    """Check that a seed is 1 … 4,294,967,296, the API's range; UsageError if not."""
    SEED.check("seed", seed)
    return int(seed)


def request_from_url(
    image_url: str, size: str, description: str, *, seed: int | None = None, negative_prompt: str | None = None
) -> Request:
    """Build the request of a PNG that the server downloads, with alpha 0 outside the product.

    `size` is a recommended one: a tag, ratio or "WxH". UsageError if it, the seed, prompt or address is invalid.
    """
    pixels = parse_size(size).size
    canvas = Canvas(b"", place(pixels, pixels))
    return build_request(canvas, description, seed=seed, negative_prompt=negative_prompt, image_url=image_url)


def description_warnings(description: str) -> list[str]:
    """Return warnings about a scene description, for the user; none for an empty one."""
    letters = [char for char in description if char.isalpha()]
    other_script = letters and sum(ord(letter) < 0x250 for letter in letters) < len(letters) / 2
    language = "" if other_script else guess_language(description)
    if language is not None:
        guess = f" ({language}?)" if language else ""
        return [f"the description does not look like English{guess}; the API expects English"]
    words = re.findall(r"[\w'-]+", description.lower())
    if description and len(words) < 4 and not _SCENE.intersection(words):
        return [
            f"the description {description[:60]!r} reads like a product name; it must describe the scene,"
            ' for instance "on a marble table, soft morning light"'
        ]
    return []


# A short description with one of these words describes a place or a light: "on marble", "studio light".
_SCENE = frozenset(
    {"on", "in", "at", "under", "over", "against", "beside", "near", "with", "above", "amid", "among", "from"}
    | {"light", "sunlight", "sunset", "sunrise", "morning", "evening", "night", "studio", "table", "background"}
    | {"backdrop", "beach", "kitchen", "garden", "forest", "desert", "marble", "wooden", "concrete", "room", "shelf"}
)
