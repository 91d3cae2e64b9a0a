"""Photo -> Cutout -> Canvas -> Request -> Result -> Final, and the protocols that a caller may implement."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import NamedTuple, Protocol

from PIL import Image

from photio_prep.geometry import Placement, Size
from photio_prep.quality import Area, Drift, Proof


class Credit(NamedTuple):
    """Artist and copyright of EXIF: plain text of at most 200 characters, or empty."""

    artist: str = ""
    copyright: str = ""


UNCREDITED = Credit()
# The longest side of a picture in a notebook, in pixels.
_NOTEBOOK = 1024


def notebook_png(image: Image.Image) -> bytes:
    """Encode a small copy of a picture as PNG, as a notebook shows it."""
    small, holder = image.copy(), io.BytesIO()
    small.info = {}
    small.thumbnail((_NOTEBOOK, _NOTEBOOK))
    small.save(holder, "PNG")
    return holder.getvalue()


@dataclass(frozen=True, slots=True)
class Photo:
    """A decoded photo: upright, sRGB, 8 bits a channel, RGB, or RGBA if the file has transparency.

    `source`: the user's name for it. `digest`: SHA-256 of the file's bytes (of the pixels, for a picture in memory).
    `format`: Pillow's name. `notes`: peculiarities of the file. `whole`: size of the file's picture, if `image` is a
    smaller copy of it. `frame`: which one of a file with several.
    """

    image: Image.Image
    source: str
    digest: str
    format: str
    notes: tuple[str, ...] = ()
    credit: Credit = UNCREDITED
    whole: Size | None = None
    frame: int | None = None

    @property
    def size(self) -> Size:
        """Size of the file's picture, upright."""
        return self.whole or Size(*self.image.size)


# Models of cutouts whose alpha is the user's own: a mask, or that of the photo.
OWN_MASKS = ("mask", "alpha")


@dataclass(frozen=True, slots=True)
class Cutout:
    """The product without its background, in the photo's frame at the canvas's scale.

    `image` is RGBA: outside the product alpha and RGB are exactly 0, in its core alpha is 255. `model`: source of the
    alpha, a model of the catalogue, "mask" or "alpha". `confidence`: the model's certainty, 0..1. `device`: where the
    model really ran. `prediction`: the segmenter's alpha before any refinement, with what it says of it in `info`.
    `mended`: places of what was removed from that ("line") or filled ("print").
    """

    image: Image.Image
    model: str
    notes: tuple[str, ...] = ()
    confidence: float | None = None
    device: str = ""
    prediction: Image.Image | None = field(default=None, repr=False)
    mended: Mapping[str, Area] = field(default_factory=dict)

    def _repr_png_(self) -> bytes:
        return notebook_png(self.image)


@dataclass(frozen=True)
class Canvas:
    """The cutout at a recommended size: exactly the PNG that is sent, and its placement."""

    png: bytes = field(repr=False)
    placement: Placement

    @cached_property
    def image(self) -> Image.Image:
        """The canvas as RGBA."""
        with Image.open(io.BytesIO(self.png), formats=["PNG"]) as picture:
            return picture.convert("RGBA")

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the PNG."""
        return sha256(self.png).hexdigest()

    def _repr_png_(self) -> bytes | None:
        return self.png or None


@dataclass(frozen=True, slots=True)
class Request:
    """A request to the Instant API.

    `description` is the scene, in English (the API calls it `product_description`). `negative_prompt` replaces the
    server's default unless it is None. `seed` is 1 … 4,294,967,296; `seed_drawn` means that the user did not choose it.
    With `image_url` the canvas is not sent; only its size is used, for the answer.
    """

    canvas: Canvas
    description: str
    seed: int
    negative_prompt: str | None = None
    image_url: str | None = None
    seed_drawn: bool = field(default=False, compare=False)

    @property
    def size(self) -> Size:
        """Size of the answer."""
        return self.canvas.placement.canvas


@dataclass(frozen=True, slots=True)
class Result:
    """A paid answer: `raw` is the HTTP body byte for byte, `image` the picture in it (RGB, the canvas's shape).

    `request_digest` identifies the request that it answers (`wire.request_digest`); "" if its sender does not say.
    """

    raw: bytes = field(repr=False)
    image: Image.Image
    placement: Placement
    request_digest: str = ""


@dataclass(frozen=True, slots=True)
class Final:
    """The finished picture: RGB, the photo's frame. `proof` and `drift` are None for a bare crop."""

    image: Image.Image
    source: str
    format: str
    proof: Proof | None = None
    drift: Drift | None = None
    notes: tuple[str, ...] = ()

    def _repr_png_(self) -> bytes:
        return notebook_png(self.image)


class Segmenter(Protocol):
    """A callable from an RGB picture to the product's alpha (mode L, same size).

    The alpha's `info["confidence"]` is optional, 0..1. Attributes `name` and `device` are recorded.
    """

    def __call__(self, image: Image.Image, /) -> Image.Image:
        """The alpha of the product in `image`: 255 product, 0 background."""
        ...


# The protocol's name before version 2 of the contract.
Matter = Segmenter


class AnswerSink(Protocol):
    """Sink for the raw bytes of an answer, before they are parsed."""

    def write(self, chunk: bytes, /) -> object:
        """Append a piece of the answer."""
        ...

    def commit(self) -> None:
        """Make the complete answer durable. Called before it is parsed."""
        ...


class Sender(Protocol):
    """Sends requests. `endpoint` is part of an order's key.

    An optional method `ready()` is called before an order is claimed; a PhotioError from it prevents the call.
    """

    @property
    def endpoint(self) -> str:
        """The URL, or "sandbox"."""
        ...

    def send(self, request: Request, keep: AnswerSink | None = None) -> Result:
        """Send `request`; write the raw answer to `keep` and commit it before it is parsed."""
        ...
