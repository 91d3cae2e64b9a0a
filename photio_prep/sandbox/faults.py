"""The faults that can be planted: about each, whether it may be billed, and how it is played on an open connection.

A fault plan, such as `429:3,drop:1@7`, says which call gets which.
"""

import base64
import gzip
import io
import re
import socket
import struct
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from email.utils import formatdate
from functools import cache, partial
from http import HTTPStatus
from threading import Event
from time import time
from urllib.parse import quote

from PIL import Image

from photio_prep.errors import UsageError
from photio_prep.sandbox.http import LINGER, encode_head, encode_json, encode_response

_BOMB_BYTES = 256 * 1024 * 1024
_SLICED_BYTES = 65_536  # of a sliced answer go out one by one; more only costs time
_KEY_ERRORS = {401: "this key is refused", 402: "the credit is used up", 403: "this key may not do that"}


@dataclass(frozen=True, slots=True)
class FaultContext:
    """What a fault needs: the connection, the end of the server, and (of a complete request) the honest answer."""

    connection: socket.socket
    stopping: Event
    url: str = ""
    key: str = ""
    retry_after: int = 0
    picture: Callable[[], Image.Image] = lambda: Image.new("RGB", (1, 1))
    answer: Callable[[], bytes] = bytes


Play = Callable[[FaultContext], object]


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to misbehave; playing it raises OSError when the client has gone.

    `charged`: the API may have billed the call. `status`: of the HTTP answer, 0 without one.
    """

    about: str
    charged: bool
    play: Play
    status: int = 200


def _statuses(names: str, charged: bool, about: str) -> dict[str, Fault]:
    return {
        name: Fault(about.format(name=name), charged, partial(_send_status, name), int(name[:3]))
        for name in names.split()
    }


def _send_status(name: str, context: FaultContext) -> None:
    status, _, variant = name.partition("-")
    code, headers = int(status), {}
    if 300 <= code < 400:
        port = context.url.split(":")[2].partition("/")[0]
        headers["Location"] = f"http://localhost:{port}/elsewhere" if variant == "elsewhere" else context.url
    elif name in ("429", "503-retry-after"):
        headers["Retry_After"] = str(context.retry_after)
    elif variant == "date":
        headers["Retry_After"] = formatdate(time() + context.retry_after, usegmt=True)
    elif variant == "absurd":
        headers["Retry_After"] = "86400"
    text = f"{_KEY_ERRORS.get(code, HTTPStatus(code).phrase)} (planted fault {name})"
    context.connection.sendall(encode_response(code, encode_json(code, text), **headers))


def _sends(body: Callable[[FaultContext], bytes], status: int = 200, *headers: str, **named: str) -> Play:
    return lambda context: context.connection.sendall(encode_response(status, body(context), *headers, **named))


def _says(status: int, text: str) -> Play:
    return _sends(lambda _: encode_json(status, text))


def _repeat_key(context: FaultContext) -> bytes:
    key = context.key
    return encode_json(500, f"failed for {key}, {quote(key, safe='')}, {base64.b64encode(key.encode()).decode()}")


def _encode_picture(picture: Image.Image, cut: float = 1.0) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    png = buffer.getvalue()
    return encode_json(200, base64.b64encode(png[: int(len(png) * cut)]).decode())


def _encode_cut_picture(context: FaultContext) -> bytes:
    return _encode_picture(context.picture(), 0.6)


def _encode_half_size(context: FaultContext) -> bytes:
    picture = context.picture()
    return _encode_picture(picture.resize((max(1, picture.width // 2), max(1, picture.height // 2) + 1)))


@cache
def _gzip_bomb() -> bytes:
    """A well-formed gzip member of valid JSON that unpacks to 256 MB."""
    start, end = b'{"status_code": 200, "sandbox": true, "body": "', b'"}'
    piece = b"A" * (1024 * 1024)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    buffer = io.BytesIO(gzip.compress(b"")[:10])
    buffer.seek(0, io.SEEK_END)
    crc, size = 0, 0
    for part in (start, *[piece] * (_BOMB_BYTES // len(piece)), end):
        buffer.write(packer.compress(part))
        crc, size = zlib.crc32(part, crc), size + len(part)
    buffer.write(packer.flush() + struct.pack("<II", crc, size & 0xFFFFFFFF))
    return buffer.getvalue()


def _reset(context: FaultContext) -> None:
    # Linger on, for 0 s: close() then discards what is queued and sends RST instead of FIN.
    context.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(LINGER, 1, 0))


def _close(context: FaultContext) -> None:
    context.connection.shutdown(socket.SHUT_WR)


def _stall_upload(context: FaultContext) -> None:
    # A small window, so that a large request cannot vanish into the kernel's own buffers.
    context.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    context.stopping.wait()


def _send_slowly(context: FaultContext, step: int, pause: float) -> None:
    answer = context.answer()
    context.connection.sendall(encode_head(200, len(answer)))
    for start in range(0, len(answer), step):
        context.connection.sendall(answer[start : start + step])
        if context.stopping.wait(pause):
            return


def _send_bytewise(context: FaultContext) -> None:
    answer = encode_response(200, context.answer())
    for index in range(min(_SLICED_BYTES, len(answer))):
        context.connection.sendall(answer[index : index + 1])
    context.connection.sendall(answer[_SLICED_BYTES:])


def _send_half(context: FaultContext, *, chunked: bool = False) -> None:
    answer = context.answer()
    half = answer[: len(answer) // 2]
    head = encode_head(200, None, Transfer_Encoding="chunked") if chunked else encode_head(200, len(answer))
    context.connection.sendall(head + (f"{len(half):x}\r\n".encode() + half + b"\r\n" if chunked else half))


HONEST = Fault("the picture", True, _sends(lambda context: context.answer()))
_PAGE = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
_TEXT = base64.b64encode(b"a text, and no picture at all\n" * 20).decode()
_CUT_UPLOAD = "resets the connection while the request is being sent"
_ECHO = "HTTP 500 whose text repeats the key it was sent: plain, URL-encoded and in base64"
_ELSEWHERE = "HTTP {name:.3} to another path of this server, under the name localhost"
# What is charged follows the five classes: R is never billed, U and P may have been, and here they are.
FAULTS: dict[str, Fault] = {
    **_statuses("400 401 402 403 404 413 415 422", False, "HTTP {name}: refused before any work"),
    **_statuses("429", False, "HTTP 429 with Retry-After"),
    **_statuses("429-no-retry-after", False, "HTTP 429 without Retry-After"),
    **_statuses("429-date", False, "HTTP 429 with Retry-After as a date"),
    **_statuses("429-absurd", False, "HTTP 429 with a Retry-After of a day"),
    **_statuses("503-retry-after", False, "HTTP 503 with Retry-After"),
    **_statuses("408 409 500 502 503 504", True, "HTTP {name}: it may have been billed"),
    **_statuses("301 302 303 307 308", True, "HTTP {name} to the same URL"),
    **_statuses("301-elsewhere 302-elsewhere 303-elsewhere 307-elsewhere 308-elsewhere", True, _ELSEWHERE),
    "json401": Fault("HTTP 200 whose JSON says 401", False, _says(401, "Unauthorized (planted fault json401)")),
    "json500": Fault("HTTP 200 whose JSON says 500", True, _says(500, "Internal error (planted fault json500)")),
    "echo500": Fault(_ECHO, True, _sends(_repeat_key, 500), 500),
    "reset-upload": Fault(_CUT_UPLOAD, False, _reset, 0),
    "stall-upload": Fault("stops reading in the middle of the request", False, _stall_upload, 0),
    "drop": Fault("reads everything, then closes without an answer", True, _close, 0),
    "reset": Fault("reads everything, then resets the connection", True, _reset, 0),
    "stall": Fault("reads everything, then never answers", True, lambda context: context.stopping.wait(), 0),
    "trickle": Fault("a whole answer, one byte a second", True, partial(_send_slowly, step=1, pause=1.0)),
    "slow": Fault("a whole answer at 50 KB a second", True, partial(_send_slowly, step=5_000, pause=0.1)),
    "slice": Fault("a whole answer in segments of one byte", True, _send_bytewise),
    "cut": Fault("half of the announced Content-Length, then closes", True, _send_half),
    "chunk-cut": Fault("a chunked answer without its last chunk", True, partial(_send_half, chunked=True)),
    "notjson": Fault(
        "HTTP 200 with text that is not JSON", True, _sends(lambda _: b'{"status_code": 200, "body": this is not JSON')
    ),
    "html200": Fault("HTTP 200 with an HTML error page", True, _sends(lambda _: _PAGE, 200, "text/html")),
    "empty": Fault("HTTP 200 with nothing in it", True, _sends(lambda _: b"")),
    "nobody": Fault("JSON 200 without a body member", True, _sends(lambda _: b'{"status_code": 200, "sandbox": true}')),
    "badbase64": Fault("JSON 200 whose body is not base64", True, _says(200, "!!! this is not base64 !!!")),
    "notpicture": Fault("JSON 200 whose body is base64 of a text", True, _says(200, _TEXT)),
    "wrongsize": Fault("JSON 200 with a picture of half the size", True, _sends(_encode_half_size)),
    "truncated": Fault("JSON 200 with a picture that ends too early", True, _sends(_encode_cut_picture)),
    "gzipbomb": Fault(
        "a few hundred KB of gzip that unpack to 256 MB", True, _sends(lambda _: _gzip_bomb(), Content_Encoding="gzip")
    ),
    "identity": replace(HONEST, about="the picture that was sent, without its alpha"),
    "sameanswer": replace(HONEST, about="the first answer that this server ever gave"),
}

BEFORE_THE_BODY = frozenset({"reset-upload", "stall-upload"})
_ENTRY = re.compile(r"(?P<name>[a-z0-9-]+)(?::(?P<count>[0-9]{1,9}))?(?:@(?P<first>[0-9]{1,9}))?")
_NEVER = sys.maxsize


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Names of faults, each with its calls, counted from 1. Where entries overlap the later one counts."""

    entries: tuple[tuple[str, range], ...] = ()

    def at(self, number: int) -> str | None:
        """Name of the fault for call `number`, from 1; None for an honest answer."""
        return next((name for name, calls in reversed(self.entries) if number in calls), None)


def parse_faults(text: str | None) -> FaultPlan:
    """Parse entries of the form `name[:count][@first]`, separated by commas.

    Without a count all calls misbehave. An entry without `@first` begins where the one before it ended, so that
    `429:3,drop:1` is three times 429 and then one drop. UsageError for an unknown name, or one that is never reached.
    """
    entries: list[tuple[str, range]] = []
    for part in (text or "").split(",") if (text or "").strip() else []:
        entries.append(_parse_entry(part.strip().lower(), *(entries[-1] if entries else ("", range(1, 1)))))
    return FaultPlan(tuple(entries))


def _parse_entry(part: str, before: str, calls_before: range) -> tuple[str, range]:
    match = _ENTRY.fullmatch(part)
    if match is None:
        fix = "Write name[:count][@first], for instance 429:3,drop:1@7"
        raise UsageError(f"{part!r} is not a fault", fix, subject="--fault")
    if match["name"] not in FAULTS:
        fix = f"Choose from: {', '.join(FAULTS)}"
        raise UsageError(f"no fault is called {match['name']!r}", fix, subject="--fault")
    count, first = (int(number) if number else None for number in (match["count"], match["first"]))
    if count == 0:
        raise UsageError(f"{part!r} has a count of 0", "Give a count of 1 or more, or none for all", subject="--fault")
    if first == 0:
        raise UsageError(f"{part!r} begins before the first call", "Calls are counted from 1", subject="--fault")
    if first is None and calls_before.stop == _NEVER:
        fix = f"Give that a count ({before}:1), or this a beginning ({part}@7)"
        raise UsageError(f"{part!r} is never reached, as {before!r} before it never ends", fix, subject="--fault")
    first = first or calls_before.stop
    return match["name"], range(first, first + count if count else _NEVER)
