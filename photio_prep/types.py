"""The six nouns, in the order in which they flow, and the two protocols that others may implement.

Photo -> Cutout -> Canvas -> Request -> Result -> Final
"""

import io
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import NamedTuple, Protocol

from PIL import Image

from photio_prep.geometry import Placement, Size
from photio_prep.quality import Drift, Proof


class Credit(NamedTuple):
    """Whose picture it is, as its EXIF says: plain text of at most 200 characters, empty where it says nothing."""

    artist: str = ""
    copyright: str = ""


UNCREDITED = Credit()


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo as people see it: upright, sRGB, 8 bits a channel.

    `image` is RGB, or RGBA where the file had transparency. `source` is the name as given, for messages.
    `digest` is the SHA-256 of the file's bytes (of the pixels, for a picture that came in memory). `format` is the
    Pillow name of the file's format. `notes` say what was remarkable about the file. `credit` is whose it is, by EXIF.
    `whole` is the size of the file's picture where `image` is a smaller copy of it, None where `image` is all of it.
    """

    image: Image.Image
    source: str
    digest: str
    format: str
    notes: tuple[str, ...] = ()
    credit: Credit = UNCREDITED
    whole: Size | None = None

    @property
    def size(self) -> Size:
        """Size of the file's picture, upright."""
        return self.whole or Size(*self.image.size)


@dataclass(frozen=True, slots=True)
class Cutout:
    """The product alone, in the photo's own frame at the canvas's scale.

    `image` is RGBA: alpha exactly 0 outside the product and RGB 0 there too, 255 in its core.
    `model` names what made the alpha: a model of the catalogue, "mask" or "alpha". `confidence` is how sure that model
    was, 0..1, before anything was stretched; None where nothing says so. `device` is where it really ran.
    """

    image: Image.Image
    model: str
    notes: tuple[str, ...] = ()
    confidence: float | None = None
    device: str = ""


@dataclass(frozen=True)
class Canvas:
    """The cutout laid out at a recommended size: exactly the PNG that is sent, and the way back."""

    png: bytes
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


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of the Instant API.

    `description` is the *scene wanted*, in English (the API calls it `product_description`). `negative_prompt` replaces
    the server's default when it is not None. `seed` is 1 … 4,294,967,296; `seed_drawn`: we chose it, not the user.
    `image_url` may stand in place of the canvas's bytes, which then only say the size that is expected back.
    """

    canvas: Canvas
    description: str
    seed: int
    negative_prompt: str | None = None
    image_url: str | None = None
    seed_drawn: bool = field(default=False, compare=False)

    @property
    def size(self) -> Size:
        """The size that the answer must have."""
        return self.canvas.placement.canvas


@dataclass(frozen=True, slots=True)
class Result:
    """A paid answer: `raw` is the HTTP body byte for byte, `image` the picture in it (RGB, the canvas's shape)."""

    raw: bytes = field(repr=False)
    image: Image.Image
    placement: Placement


@dataclass(frozen=True, slots=True)
class Final:
    """The finished picture: RGB, the photo's frame in the photo's size or the one that was wished.

    `proof`: whose pixels its product has. `drift`: how far the generator changed the product. `notes` say what was
    remarkable. The two are None for a bare crop.
    """

    image: Image.Image
    source: str
    format: str
    proof: Proof | None = None
    drift: Drift | None = None
    notes: tuple[str, ...] = ()


class Segmenter(Protocol):
    """Finds the product: an RGB picture in, its alpha (mode L, the same size) out. Any callable will do.

    The alpha's `info["confidence"]` may say how sure it is, 0..1; attributes `name` and `device` are recorded.
    """

    def __call__(self, image: Image.Image, /) -> Image.Image:
        """The alpha of the product in `image`: 255 product, 0 background."""
        ...


# The protocol's name before version 2 of the contract.
Matter = Segmenter


class Keep(Protocol):
    """Where a raw answer is put, byte by byte, before anybody looks into it."""

    def write(self, chunk: bytes, /) -> object:
        """Append a piece of the answer."""
        ...

    def commit(self) -> None:
        """The answer is whole: make it durable. Called before it is parsed."""
        ...


class Sender(Protocol):
    """Sends a request and gives the result. `endpoint` is part of an order's key.

    A method `ready()`, where there is one, is called before an order is claimed: it has what a call needs (threads), or
    raises a PhotioError, and then nothing is sent.
    """

    @property
    def endpoint(self) -> str:
        """Who is asked: the URL, or "sandbox"."""
        ...

    def send(self, request: Request, keep: Keep | None = None) -> Result:
        """The answer to `request`, its raw bytes written to `keep` and committed before they are parsed."""
        ...
