"""Canvas -> Request."""

import re
import secrets

from photio_prep.errors import UsageError
from photio_prep.geometry import named, place
from photio_prep.system import seeds
from photio_prep.types import Canvas, Request

# What the server uses when negative_prompt is left out; kept here only to append to it.
DEFAULT_NEGATIVE = "worst quality, low quality, illustration, 3d, 2d, painting, cartoons, sketch"


def request(
    canvas: Canvas,
    description: str,
    *,
    seed: int | None = None,
    negative_prompt: str | None = None,
    append_negative: str | None = None,
    image_url: str | None = None,
) -> Request:
    """What is asked of the Instant API.

    Args:
        canvas: The picture to send; with `image_url` only its size counts.
        description: The scene wanted, in English, in detail. Not a description of the product, though the API's field
            is called `product_description`. May be empty in a dry run; nothing is sent without one.
        seed: 1 … 4,294,967,296. None draws one from the canvas, so that the same order made again is the same order;
            -1 draws a fresh one each time, which makes each a new order.
        negative_prompt: Replaces the server's default.
        append_negative: Is added to the server's default.
        image_url: An http(s) URL of a PNG whose alpha is 0 outside the product, in place of the canvas's bytes.

    Raises:
        UsageError: The seed is out of range, or both ways of the negative prompt are given.
    """
    if negative_prompt is not None and append_negative is not None:
        raise UsageError("both a negative prompt and an addition to the default are given", "Give one of them")
    if append_negative is not None:
        negative_prompt = f"{DEFAULT_NEGATIVE}, {append_negative}"
    if image_url is not None and not re.fullmatch(r"https?://[^\s/]+\S*", image_url):
        raise UsageError(f"{image_url[:80]!r} is no http(s) URL", "Give the address of a PNG", subject="image_url")
    drawn = seed is None
    if seed is None:
        seed = seeds.drawn(canvas.digest)
    elif seed == -1:
        seed = 1 + secrets.randbelow(seeds.LAST - 1)
    return Request(canvas, description.strip(), checked_seed(seed), negative_prompt, image_url, drawn)


def checked_seed(seed: int) -> int:
    """The seed, if the API takes it.

    Raises:
        UsageError: Not 1 … 4,294,967,296.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 1 <= seed <= seeds.LAST:
        raise UsageError(f"{seed!r} is no seed", f"Give 1 to {seeds.LAST}, or leave it out", subject="--seed")
    return seed


def by_url(
    image_url: str, size: str, description: str, *, seed: int | None = None, negative_prompt: str | None = None
) -> Request:
    """A request for a picture that the API fetches itself: a PNG of a recommended size, alpha 0 outside the product.

    Args:
        image_url: Its http(s) address.
        size: Its size: a tag, ratio or "WxH".
        description: The scene wanted.
        seed: As in `prepare`.
        negative_prompt: Replaces the server's default.

    Raises:
        UsageError: The size, seed, prompt or address cannot be meant.
    """
    whole = named(size).size
    canvas = Canvas(b"", place(whole, whole))
    return request(canvas, description, seed=seed, negative_prompt=negative_prompt, image_url=image_url)


def doubts(description: str) -> list[str]:
    """What is odd about a scene description, in words for the user; empty when nothing is."""
    if not description:
        return []
    said = []
    letters = [each for each in description if each.isalpha()]
    if letters and sum(ord(each) < 0x250 for each in letters) < len(letters) / 2:
        said.append("the description does not look like English; the API expects English")
    words = re.findall(r"[\w'-]+", description.lower())
    if len(words) < 4 and not _SCENE.intersection(words):
        said.append(
            f"the description {description[:60]!r} reads like a product name; it must describe the scene wanted,"
            ' for instance "on a marble table, soft morning light"'
        )
    return said


# A short description that says where, or in what light, is a scene: "on marble", "studio light".
_SCENE = frozenset(
    {"on", "in", "at", "under", "over", "against", "beside", "near", "with", "above", "amid", "among", "from"}
    | {"light", "sunlight", "sunset", "sunrise", "morning", "evening", "night", "studio", "table", "background"}
    | {"backdrop", "beach", "kitchen", "garden", "forest", "desert", "marble", "wooden", "concrete", "room", "shelf"}
)
