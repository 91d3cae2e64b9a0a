"""Encode requests and parse answers of the Instant API; the order key. The only file with its JSON format."""

import base64
import binascii
import json
import re
import shlex
import zlib
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from PIL import Image

from photio_prep.errors import KeyRefused, OutcomeUnknown, PaidUnusable, PhotoRefused, Rejected, UsageError
from photio_prep.geometry import Size
from photio_prep.imaging.decode import DEFAULT_LIMITS, decode_picture
from photio_prep.system.text import parse_json
from photio_prep.types import Request

# An answer is the base64 of a picture of about one megapixel; 64 MiB is twenty times the largest sensible answer.
LONGEST_ANSWER = 64 * 2**20
_ANSWER_LIMITS = replace(DEFAULT_LIMITS, file_bytes=LONGEST_ANSWER, pixels=20_000_000)


def order_key(request: Request, endpoint: str) -> str:
    """Compute the order key: SHA-256 (hex) of the endpoint, the request's fields and the exact bytes of the canvas."""
    prompts = [request.description, request.negative_prompt]
    fields = [endpoint, *prompts, request.seed, request.image_url, request.canvas.digest, list(request.size)]
    return sha256(json.dumps(fields, ensure_ascii=True).encode()).hexdigest()


def request_digest(request: Request) -> str:
    """Compute what identifies a request, whatever its endpoint: SHA-256 (hex) of its fields and its canvas."""
    return order_key(request, "")


def encode_request(request: Request) -> bytes:
    """Encode the body of the POST: JSON with the picture last, as base64 without a prefix."""
    if request.image_url is not None:
        return request_prefix(request)[:-1] + json.dumps(request.image_url).encode() + b"}"
    return b"".join((request_prefix(request), base64.b64encode(request.canvas.png), b'"}'))


def request_prefix(request: Request) -> bytes:
    """Encode the JSON up to and including the quotation mark before the picture."""
    fields: dict[str, Any] = {"product_description": request.description, "seed": request.seed}
    if request.negative_prompt is not None:
        fields["negative_prompt"] = request.negative_prompt
    return json.dumps(fields, ensure_ascii=True)[:-1].encode() + b', "product_image": "'


def format_curl(request: Request, url: str, canvas: Path) -> str:
    """Return a shell pipeline around curl that sends the same bytes as `generate` and prints the raw answer.

    The key is in it as $PHOTIO_API_KEY, the picture as the path `canvas`. UsageError for a request without description.
    """
    if not request.description:
        raise UsageError("no scene description", 'Give -d "on a marble table"')
    start = shlex.quote(request_prefix(request).decode())
    picture = shlex.quote(str(canvas))
    produce = f"{{ printf %s {start}; base64 < {picture} | tr -d '\\n'; printf %s '\"}}'; }}"
    if request.image_url is not None:
        produce = f"printf %s {shlex.quote(encode_request(request).decode())}"
    # The key goes through a pipe from printf, a builtin of the shell: as an argument of curl it would show in `ps`.
    return (
        f"{produce} |"
        " { printf 'X-Photio-Key: %s\\n' \"$PHOTIO_API_KEY\" |"
        f" curl --silent --show-error --request POST {shlex.quote(url)} --header @-"
        " --header 'Content-Type: application/json' --data-binary @/dev/fd/3; } 3<&0"
    )


def parse_answer(
    raw: bytes, size: Size, *, clean: Callable[[str], str] = str, server_error_is_free: bool = False
) -> Image.Image:
    """Parse the body of a complete HTTP 200 answer into its picture (RGB).

    Accepts the variants that the API's documentation leaves open: `status_code` as 200 or "200"; a data: prefix; white
    space, missing padding and the URL-safe alphabet in the base64; every picture format we read; an unrequested gzip.

    `size` is that of the request. `clean` removes the key from quoted text.

    Raises:
        OutcomeUnknown: The JSON is malformed, or reports a failure: perhaps billed.
        KeyRefused: The JSON has status 401: not billed.
        Rejected: The JSON has status 500, and that is free.
        PaidUnusable: The JSON has status 200, but no picture with the aspect of `size`, at least as large.
    """
    members = _parse_json(raw)
    status, body = members.get("status_code"), members.get("body")
    code = status if type(status) is int else None  # neither True nor 200.0
    if code == 200 or status == "200":
        return _decode_picture(body, size)
    if code == 401:
        raise KeyRefused(
            "the API refused the key (status_code 401 in the answer)", "Compare it with the key in your account"
        )
    text = f": {clean(body)[:500]!r}" if isinstance(body, str) else ""
    if server_error_is_free and code == 500:
        raise Rejected(f"the API failed, which is not billed: status_code 500{text}", "Run again to send it again")
    raise OutcomeUnknown(f"the API answered with status_code {str(status)[:40]!r} in the answer{text}", _PERHAPS)


_MEMBERS = 100_000
# A str with one character outside of Latin 1 takes four bytes for every character.
_LONGEST_WIDE = 16 * 2**20
_WIDE = re.compile(rb"[\x80-\xff]|\\u(?!00)")
_BLANKS = {ord(char): None for char in " \t\n\r\x0b\x0c"}
_PERHAPS = "It may be billed, so it is not sent again automatically"


def _parse_json(raw: bytes) -> dict[str, Any]:
    try:
        if raw[:2] == b"\x1f\x8b":  # gzip: a proxy compressed the answer
            raw = zlib.decompressobj(wbits=31).decompress(raw, LONGEST_ANSWER)
        _check_form(raw)
        members = parse_json(raw)
    except (ValueError, zlib.error) as error:
        raise OutcomeUnknown(
            f"the answer is not the JSON of an answer ({str(error)[:120]}; it starts with {raw[:60]!r})", _PERHAPS
        ) from None
    if not isinstance(members, dict):
        raise OutcomeUnknown(f"the answer is not a JSON object ({str(members)[:60]!r})", _PERHAPS)
    return members


def _check_form(raw: bytes) -> None:
    """Refuse JSON that needs many times its length in memory. An answer has a few members and one picture."""
    if sum(raw.count(sign) for sign in (b",", b"[", b"{")) > _MEMBERS:
        raise ValueError(f"more than {_MEMBERS} members")
    if len(raw) > _LONGEST_WIDE and _WIDE.search(raw):
        raise ValueError("characters outside of base64")


def _decode_picture(text: object, size: Size) -> Image.Image:
    if not isinstance(text, str) or not text.strip():
        raise PaidUnusable(f"the answer says 200 but its body is {str(text)[:40]!r}, not a picture", _SUPPORT)
    stripped = "".join(text.split()) if len(text) < _LONGEST_WIDE else text.translate(_BLANKS)
    if stripped[:5].lower() == "data:":
        stripped = stripped.partition(",")[2]
    stripped = stripped.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        data = base64.b64decode(stripped + "=" * (-len(stripped) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise PaidUnusable(f"the answer's picture is not base64 ({error})", _SUPPORT) from None
    try:
        image = decode_picture(data, _ANSWER_LIMITS).image
    except PhotoRefused as error:
        raise PaidUnusable(f"the answer's picture cannot be used: {error.problem}", _SUPPORT) from None
    if min(image.width - size.width, image.height - size.height) < 0 or not is_scaled(Size(*image.size), size):
        raise PaidUnusable(f"the answer is {image.width}x{image.height} instead of {size}", _SUPPORT)
    if image.mode == "RGBA":
        if image.getchannel("A").getextrema()[1] == 0:
            raise PaidUnusable("the answer's picture is fully transparent", _SUPPORT)
        flat = Image.new("RGB", image.size, "white")
        flat.paste(image, mask=image.getchannel("A"))
        image = flat
    return image


def is_scaled(size: Size, requested: Size) -> bool:
    """Whether `size` is the requested size times a factor, rounded to half a pixel."""
    across, down = size.width / requested.width, size.height / requested.height
    return abs(size.width - requested.width * down) <= 0.5 or abs(size.height - requested.height * across) <= 0.5


_SUPPORT = "It is paid, and the raw answer is stored; send it to Photio's support"
