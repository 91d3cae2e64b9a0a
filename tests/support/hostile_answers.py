"""What a hostile server can say: good answers, and the corpus of wrong ones with the verdict each deserves.

Takes nothing but the request; gives `Answer`s for `HostileServer` and the deliveries of `hostile_faults`.
Touches nothing. The verdicts are the classes of RELIABILITY.md (rows I63 to I69):
`answered`, `paid_unusable`, `unknown`, and `either` where the documented leniency may accept it or not.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from PIL import Image

from tests.support.hostile_faults import Answer, Reply, answering

if TYPE_CHECKING:
    from tests.support.hostile_exchange import Request

Size = tuple[int, int]
Colour = tuple[int, int, int]


@lru_cache(maxsize=256)
def _pixels(size: Size, colour: Colour) -> bytes:
    row = b"\x00" + bytes(colour) * size[0]
    return zlib.compress(row * size[1], 1)


def png(size: Size, colour: Colour = (90, 120, 60), *, note: str = "", declared: Size | None = None) -> bytes:
    """A one-coloured RGB PNG, cheap enough for 10,000 answers; `declared` makes its header lie about the size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", *(declared or size), 8, 2, 0, 0, 0)
    text = chunk(b"tEXt", b"Comment\x00" + note.encode("ascii")) if note else b""
    parts = [chunk(b"IHDR", header), text, chunk(b"IDAT", _pixels(size, colour)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def picture_for(request: Request) -> bytes:
    """The default answer: the asked size, and another picture for another order, as a generator would give."""
    # 64 colours keep the cache of pixels small; the note tells apart the orders that share one.
    shade = bytes.fromhex(request.digest[:6])
    colour = (shade[0] & 192, shade[1] & 192, shade[2] & 192)
    return png(request.asked, colour, note=request.digest)


def said(status_code: object, body: object) -> Reply:
    """The API's own JSON, under HTTP 200."""
    return Reply(json.dumps({"status_code": status_code, "body": body}).encode())


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def ok(picture: Callable[[Request], bytes] = picture_for) -> Answer:
    """A good answer: HTTP 200, `status_code` 200, base64 of a PNG of the asked size."""
    return answering("ok", lambda request: said(200, _encoded(picture(request))))


def ok_tiny() -> Answer:
    """A good answer of one fixed byte string, for servers that need no picture."""
    return answering("ok, tiny", lambda _: said(200, _encoded(png((1, 1)))))


def echo() -> Answer:
    """The identity: `body` is the very picture that was sent."""

    def make(request: Request) -> Reply:
        sent = request.json()
        assert isinstance(sent, dict)
        return said(200, sent["product_image"])

    return answering("echo", make)


def verbatim(name: str, body: bytes | str, content_type: str = "application/json") -> Answer:
    """HTTP 200 over exactly this body."""
    data = body.encode() if isinstance(body, str) else body
    return answering(name, lambda _: Reply(data, content_type=content_type))


def with_code(code: str) -> Answer:
    """A good picture under a `status_code` of this JSON spelling; empty leaves the field out."""

    def make(request: Request) -> Reply:
        part = f'"status_code": {code}, ' if code else ""
        return Reply(f'{{{part}"body": "{_encoded(picture_for(request))}"}}'.encode())

    return answering(f"status_code {code or 'missing'}", make)


def with_body(name: str, spell: Callable[[bytes], object]) -> Answer:
    """`status_code` 200 over whatever `spell` makes of a good PNG's bytes."""
    return answering(name, lambda request: said(200, spell(picture_for(request))))


def _saved(size: Size, kind: str, mode: str = "RGB", *, frames: int = 1, colour: int | Colour = 0) -> bytes:
    images = [Image.new(mode, size, colour if index == 0 else 0) for index in range(frames)]
    buffer = io.BytesIO()
    if frames > 1:
        images[0].save(buffer, kind, save_all=True, append_images=images[1:])
    else:
        images[0].save(buffer, kind)
    return buffer.getvalue()


def _with_picture(name: str, make: Callable[[Size], bytes]) -> Answer:
    return answering(name, lambda request: said(200, _encoded(make(request.asked))))


def _halved(size: Size) -> bytes:
    whole = png(size)
    return whole[: len(whole) // 2]


def _wrapped(data: bytes, width: int = 76) -> str:
    text = _encoded(data)
    return "\n".join(text[at : at + width] for at in range(0, len(text), width))


def _urlsafe(data: bytes) -> str:
    # Any PNG may happen to have neither + nor /; the note's digest is grown until both alphabets differ.
    while base64.urlsafe_b64encode(data) == base64.b64encode(data):
        data += hashlib.sha256(data).digest()
    return base64.urlsafe_b64encode(data).decode("ascii")


def _unpadded(data: bytes) -> str:
    # Bytes after IEND are ignored by decoders; they make the length one that needs padding.
    return _encoded(data + b"\x00" * ((1 - len(data)) % 3)).rstrip("=")


@dataclass(frozen=True, slots=True)
class Case:
    """One wrong (or oddly right) answer and the state in which its order must end."""

    answer: Answer
    verdict: str
    row: str

    @property
    def name(self) -> str:
        return f"{self.row} {self.answer.name}"


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><image href="file:///etc/passwd"/></svg>'


def _corpus() -> list[Case]:
    unreadable = {
        "not JSON": b"\x00\xff\xfe nothing",
        "empty": b"",
        "blank": b"  \r\n ",
        "null": b"null",
        "list": b'[{"status_code": 200}]',
        "number": b"200",
        "string": b'"200"',
        "cut JSON": b'{"status_code": 200, "body": "iVBOR',
        "depth 100,000": b"[" * 100_000 + b"]" * 100_000,
        "depth 100,000 of objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        "NaN": b'{"status_code": NaN, "body": ""}',
        "bad UTF-8": b'{"status_code": 200, "body": "\xff\xfe"}',
        "number of 10,000 digits": b'{"status_code": ' + b"9" * 10_000 + b', "body": ""}',
        "JSON twice": b'{"status_code": 200, "body": ""}{"status_code": 200, "body": ""}',
        "JSON with a BOM": b'\xef\xbb\xbf{"status_code": 500, "body": ""}',
        "duplicate keys": b'{"status_code": 200, "status_code": 500, "body": "", "body": "iVBO"}',
        "vendor's 500": b'{"status_code": 500, "body": "out of memory"}',
    }
    cases = [Case(verbatim(name, body), "unknown", "I63") for name, body in unreadable.items()]
    cases += [Case(verbatim("HTML", "<html><h1>502 Bad Gateway</h1></html>", "text/html"), "unknown", "I63")]
    cases += [Case(with_code('500, "status_code": 200'), "unknown", "I63")]
    codes = ("", "200.0", "2e2", "true", "201", "0", "-1", "null", "[200]")
    cases += [Case(with_code(code), "unknown", "I64") for code in codes]
    cases += [Case(with_code('"200"'), "either", "I64"), Case(with_code('" 200"'), "unknown", "I64")]
    bodies = {"null": "null", "empty": '""', "number": "7", "dict": '{"image": ""}', "list": "[]", "false": "false"}
    empty = {f"body {name}": f'{{"status_code": 200, "body": {body}}}' for name, body in bodies.items()}
    empty["body missing"] = '{"status_code": 200}'
    cases += [Case(verbatim(name, text), "paid_unusable", "I65") for name, text in empty.items()]
    spelled: dict[str, Callable[[bytes], object]] = {
        "data: prefix": lambda data: f"data:image/png;base64,{_encoded(data)}",
        "data: prefix of another type": lambda data: f"data:image/jpeg;base64,{_encoded(data)}",
        "line breaks": _wrapped,
        "white space around": lambda data: f"\n  {_encoded(data)}\r\n",
        "missing padding": _unpadded,
        "URL-safe alphabet": _urlsafe,
    }
    cases += [Case(with_body(name, spell), "either", "I66") for name, spell in spelled.items()]
    cases += [
        Case(with_body("text, not base64", lambda _: "sorry, no picture today"), "paid_unusable", "I67"),
        Case(with_body("base64 of text", lambda _: _encoded(b"no picture")), "paid_unusable", "I67"),
        Case(with_body("base64 twice", lambda data: _encoded(_encoded(data).encode())), "paid_unusable", "I67"),
        Case(with_body("base64 of SVG", lambda _: _encoded(SVG)), "paid_unusable", "I67"),
        Case(with_body("a URL", lambda _: "https://cdn.example.invalid/picture.png"), "paid_unusable", "I67"),
        Case(_with_picture("truncated PNG", _halved), "paid_unusable", "I67"),
        Case(_with_picture("PNG bomb", lambda _: png((8, 8), declared=(60_000, 60_000))), "paid_unusable", "I67"),
        Case(_with_picture("smaller", lambda size: png((size[0] // 2, size[1] // 2))), "paid_unusable", "I68"),
        Case(_with_picture("turned", lambda size: png((size[1] + 8, size[0]))), "paid_unusable", "I68"),
        Case(_with_picture("larger", lambda size: png((size[0] + 8, size[1] + 8))), "either", "I68"),
        Case(_with_picture("animated", lambda size: _saved(size, "GIF", "L", frames=2, colour=200)), "either", "I68"),
        Case(_with_picture("transparent", lambda size: _saved(size, "PNG", "RGBA")), "paid_unusable", "I68"),
        Case(_with_picture("grey", lambda size: _saved(size, "PNG", "L", colour=120)), "either", "I68"),
        Case(_with_picture("JPEG", lambda size: _saved(size, "JPEG", colour=(9, 99, 9))), "answered", "I68"),
        Case(_with_picture("WebP", lambda size: _saved(size, "WEBP", colour=(9, 99, 9))), "answered", "I68"),
        Case(_with_picture("the same for everybody", png), "answered", "I69"),
    ]
    return cases


CASES: tuple[Case, ...] = tuple(_corpus())
