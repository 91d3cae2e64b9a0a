"""Request body -> SceneRequest, validated as strictly as the documentation of the Instant API allows."""

import base64
import binascii
import io
import json
import struct
import zlib
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from PIL import Image

from photio_prep.geometry import SIZES, Size

PATH = "/v1/inference/instant"
KEY_HEADER = "X-Photio-Key"
REFUSED_KEY = "pt-refused"
MAX_BODY = 64 * 1024 * 1024
MAX_PIXELS = 4_000_000  # four times the largest canvas on Photio's list
MAX_SEED = 4_294_967_296

_FIELDS = ("product_description", "product_image", "negative_prompt", "seed")
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class ContractError(Exception):
    """A request that the API would refuse, with the status and the text of its answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(status, text)
        self.status = status
        self.text = text


@dataclass(frozen=True, slots=True)
class SceneRequest:
    """A valid request. `picture` is RGBA. `seed` is None or -1 where the client leaves it to the server."""

    description: str
    picture: Image.Image
    png: bytes
    negative_prompt: str | None = None
    seed: int | None = None
    warnings: tuple[str, ...] = ()

    @property
    def size(self) -> Size:
        """Size of the canvas, which is the size of the answer."""
        return Size(*self.picture.size)


def check_head(path: str, key: str, content_type: str | None) -> None:
    """Refuse any path but that of the API (404), an empty key and REFUSED_KEY (401), any type but JSON (415)."""
    if path != PATH:
        raise ContractError(404, f"there is nothing here; POST to {PATH}")
    if not key:
        raise ContractError(401, f"Unauthorized: the {KEY_HEADER} header is missing or empty")
    if key == REFUSED_KEY:
        raise ContractError(401, "Unauthorized: this key is refused")
    if (content_type or "").partition(";")[0].strip().lower() != "application/json":
        raise ContractError(415, f"Content-Type must be application/json, not {content_type!r}")


def read_request(body: bytes, *, url_image: bytes | None = None) -> SceneRequest:
    """Validate `body`; 422 if it is invalid. `url_image` stands in for any image URL; without it URLs are refused."""
    fields = _parse_fields(body)
    description = _read_text(fields, "product_description")
    negative = _read_text(fields, "negative_prompt") if "negative_prompt" in fields else None
    seed = _read_seed(fields)
    png = _decode_png(_read_text(fields, "product_image"), url_image)
    picture, warnings = _open_picture(png)
    if not description.strip():
        warnings.append("product_description is empty: it should describe the scene that is wanted")
    return SceneRequest(description, picture, png, negative, seed, tuple(warnings))


def _refuse(text: str) -> NoReturn:
    raise ContractError(422, text)


def _refuse_constant(name: str) -> NoReturn:
    _refuse(f"the body is not JSON: {name} is not a JSON value")


def _parse_fields(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        _refuse(f"the body is not JSON: {type(error).__name__}")
    if not isinstance(fields, dict):
        _refuse("the body must be a JSON object")
    if unknown := sorted(set(fields) - set(_FIELDS)):
        _refuse(f"unknown field {unknown[0][:60]!r}; known are {', '.join(_FIELDS)}")
    return fields


def _read_text(fields: dict[str, Any], name: str) -> str:
    if name not in fields:
        _refuse(f"{name} is missing")
    if not isinstance(value := fields[name], str):
        _refuse(f"{name} must be a string, not {type(value).__name__}")
    return value


def _read_seed(fields: dict[str, Any]) -> int | None:
    if "seed" not in fields:
        return None
    seed = fields["seed"]
    if isinstance(seed, bool) or not isinstance(seed, int):
        _refuse(f"seed must be an integer, not {type(seed).__name__}")
    if seed != -1 and not 1 <= seed <= MAX_SEED:
        _refuse(f"seed must be -1 or 1 to {MAX_SEED}")
    return seed


def _decode_png(value: str, url_image: bytes | None) -> bytes:
    if value[:8].lower().startswith(("http://", "https://")):
        if url_image is None:
            _refuse("product_image is a URL: the sandbox never fetches anything; send base64 of a PNG")
        return url_image
    if value[:5].lower() == "data:":
        _refuse("product_image has a data: prefix; send raw base64")
    try:
        png = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        _refuse(f"product_image is not base64: {error}")
    if not png.startswith(_SIGNATURE) or len(png) < 33:
        _refuse("product_image is not a PNG")
    return png


def _open_picture(png: bytes) -> tuple[Image.Image, list[str]]:
    # From the header: nothing is decoded before it is known to be small.
    width, height = struct.unpack(">II", png[16:24])
    if not width * height:
        _refuse("product_image has no pixels")
    if width * height > MAX_PIXELS:
        _refuse(f"product_image is {width}x{height}: more than {MAX_PIXELS} pixels")
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as opened:
            frames = getattr(opened, "n_frames", 1)
            opened.load()
            mode, extra = opened.mode, sorted(str(key) for key in opened.info)
            picture = opened.convert("RGBA")
    except (OSError, ValueError, SyntaxError, struct.error, zlib.error) as error:
        _refuse(f"product_image is a PNG that cannot be read: {type(error).__name__}")
    if frames > 1:
        _refuse("product_image is animated")
    warnings = _alpha_warnings(picture, mode)
    documented = {offer.size: offer.documented for offer in SIZES}
    if not documented.get(size := Size(width, height)):
        undocumented = "a size that Photio does not document"
        unknown = "which is not a size that Photio recommends"
        warnings.append(f"product_image is {size}, {undocumented if size in documented else unknown}")
    if hidden := [name for name in extra if name not in ("gamma", "dpi", "srgb", "transparency")]:
        warnings.append(f"product_image carries metadata: {', '.join(hidden)[:120]}")
    return picture, warnings


def _alpha_warnings(picture: Image.Image, mode: str) -> list[str]:
    if mode not in ("RGBA", "LA", "PA") and "A" not in mode and picture.getchannel("A").getextrema() == (255, 255):
        return [f"product_image has no alpha (mode {mode})"]
    pixels = np.asarray(picture)
    alpha = pixels[..., 3]
    warnings = []
    if not (outside := alpha == 0).any():
        warnings.append("product_image has no pixel with alpha 0: nothing is outside the product")
    if not (alpha == 255).any():
        warnings.append("product_image has no opaque pixel: there is no product core")
    if (hidden := int(pixels[..., :3][outside].any(axis=-1).sum())) > 0:
        warnings.append(f"product_image has colour under alpha 0 in {hidden} pixels")
    return warnings
