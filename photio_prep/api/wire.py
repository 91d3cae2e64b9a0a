"""The JSON of the Instant API, both ways: the only file that knows it."""

import base64
import binascii
import json
import re
import zlib
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any, NoReturn

from PIL import Image

from photio_prep.errors import KeyRefused, OutcomeUnknown, PaidUnusable, PhotoRefused, Rejected
from photio_prep.geometry import Size
from photio_prep.imaging.decode import DEFAULT_LIMITS, picture
from photio_prep.types import Request

# An answer is base64 of one picture of about one megapixel; 64 MiB is twenty times the largest sensible one.
LONGEST_ANSWER = 64 * 2**20
_ANSWER_LIMITS = replace(DEFAULT_LIMITS, file_bytes=LONGEST_ANSWER, pixels=20_000_000)


def key(sent: Request, endpoint: str) -> str:
    """The order's key: SHA-256 (hex) over the endpoint, the request's fields and the exact bytes of the canvas."""
    fields = [endpoint, sent.description, sent.negative_prompt, sent.seed, sent.image_url, sent.canvas.digest]
    return sha256(json.dumps([*fields, list(sent.size)], ensure_ascii=True).encode()).hexdigest()


def body(sent: Request) -> bytes:
    """The exact bytes of the POST: JSON, the picture last, raw base64 without a prefix."""
    if sent.image_url is not None:
        return head(sent)[:-1] + json.dumps(sent.image_url).encode() + b"}"
    return b"".join((head(sent), base64.b64encode(sent.canvas.png), b'"}'))


def head(sent: Request) -> bytes:
    """The JSON up to and including the quotation mark that opens the picture."""
    fields: dict[str, Any] = {"product_description": sent.description, "seed": sent.seed}
    if sent.negative_prompt is not None:
        fields["negative_prompt"] = sent.negative_prompt
    return json.dumps(fields, ensure_ascii=True)[:-1].encode() + b', "product_image": "'


def answer(
    raw: bytes, size: Size, *, clean: Callable[[str], str] = str, server_error_is_free: bool = False
) -> Image.Image:
    """The picture (RGB) in the body of a complete HTTP 200 answer.

    Copes with what the API leaves open: `status_code` as 200 or "200"; a data: prefix; white space, missing padding
    and the URL-safe alphabet in the base64; any picture format that we read; a gzip that we did not ask for.

    Args:
        raw: The body.
        size: Of the picture that was asked for.
        clean: Takes the key out of a text that is quoted.
        server_error_is_free: The vendor's word that a failure of the server is never billed.

    Raises:
        OutcomeUnknown: Not the JSON of an answer, or one that says that something failed: perhaps billed.
        KeyRefused: The answer says status 401: not billed.
        Rejected: The answer says 500, and that is free.
        PaidUnusable: The answer says 200, but holds no picture of the shape of `size`, or too small a one.
    """
    found = _members(raw)
    status = found.get("status_code")
    if status == 401 and type(status) is int:
        raise KeyRefused(
            "the API refused the key (status_code 401 in the answer)", "Check the key with: photio-prep check"
        )
    if not (status == "200" or (type(status) is int and status == 200)):
        said = found.get("body")
        text = f": {clean(said)[:500]!r}" if isinstance(said, str) else ""
        if server_error_is_free and type(status) is int and status == 500:
            raise Rejected(f"the API failed, which is not billed: status_code 500{text}", "Run again to send it again")
        raise OutcomeUnknown(f"the API answered with status_code {str(status)[:40]!r} in the answer{text}", _PERHAPS)
    return _picture(found.get("body"), size)


_MEMBERS = 100_000
# A text with one letter outside of Latin 1 takes four bytes for each of its letters.
_LONGEST_WIDE = 16 * 2**20
_WIDE = re.compile(rb"[\x80-\xff]|\\u(?!00)")
_BLANKS = {ord(each): None for each in " \t\n\r\x0b\x0c"}
_PERHAPS = "It is perhaps billed, so it is not sent again by itself"


def _members(raw: bytes) -> dict[str, Any]:
    try:
        if raw[:2] == b"\x1f\x8b":  # no JSON starts like this: somebody on the way compressed it
            raw = zlib.decompressobj(wbits=31).decompress(raw, LONGEST_ANSWER)
        _check_form(raw)
        found = json.loads(raw, object_pairs_hook=_no_twins, parse_constant=_no_constant)
    except (ValueError, RecursionError, zlib.error) as error:
        raise OutcomeUnknown(
            f"the answer is not the JSON of an answer ({str(error)[:120]}; it starts with {raw[:60]!r})", _PERHAPS
        ) from None
    if not isinstance(found, dict):
        raise OutcomeUnknown(f"the answer is not a JSON object ({str(found)[:60]!r})", _PERHAPS)
    return found


def _check_form(raw: bytes) -> None:
    """Refuse JSON that would take many times its own length as objects: an answer is a few members and one picture."""
    if sum(raw.count(each) for each in (b",", b"[", b"{")) > _MEMBERS:
        raise ValueError(f"more than {_MEMBERS} members")
    if len(raw) > _LONGEST_WIDE and _WIDE.search(raw):
        raise ValueError("letters in it that no base64 has")


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in it")
    return found


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def _picture(text: object, size: Size) -> Image.Image:
    if not isinstance(text, str) or not text.strip():
        raise PaidUnusable(f"the answer says 200 but its body is {str(text)[:40]!r}, not a picture", _KEPT)
    stripped = re.sub(r"\s+", "", text) if len(text) < _LONGEST_WIDE else text.translate(_BLANKS)
    if stripped[:5].lower() == "data:":
        stripped = stripped.partition(",")[2]
    stripped = stripped.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        data = base64.b64decode(stripped + "=" * (-len(stripped) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise PaidUnusable(f"the answer's picture is not base64 ({error})", _KEPT) from None
    try:
        image = picture(data, _ANSWER_LIMITS).image
    except PhotoRefused as error:
        raise PaidUnusable(f"the answer's picture cannot be used: {error.found}", _KEPT) from None
    if image.size != size and not _larger(Size(*image.size), size):
        raise PaidUnusable(f"the answer is {image.width}x{image.height}, {size} was asked for", _KEPT)
    if image.mode == "RGBA":
        if image.getchannel("A").getextrema()[1] == 0:
            raise PaidUnusable("the answer's picture is fully transparent", _KEPT)
        paper = Image.new("RGB", image.size, "white")
        paper.paste(image, mask=image.getchannel("A"))
        image = paper
    return image


def _larger(given: Size, asked: Size) -> bool:
    """Whether a picture is the asked one at a larger scale, to half a pixel of rounding."""
    across, down = given.width / asked.width, given.height / asked.height
    rounded = abs(given.width - asked.width * down) <= 0.5 or abs(given.height - asked.height * across) <= 0.5
    return rounded and min(across, down) >= 1


_KEPT = "It is paid and the raw answer is kept; send it to Photio's support"
