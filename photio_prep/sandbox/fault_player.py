"""Play one fault on an open connection; OSError when the client has gone."""

import base64
import gzip
import io
import json
import os
import socket
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from functools import cache
from http import HTTPStatus
from threading import Event
from time import time
from urllib.parse import quote

from PIL import Image

# struct linger: two shorts on Windows, two ints elsewhere.
LINGER = "hh" if os.name == "nt" else "ii"
_JSON = "application/json"
_BOMB_BYTES = 256 * 1024 * 1024
_SLICED_BYTES = 65_536  # of a sliced answer go out one by one; more only costs time
_KEY_ERRORS = {401: "this key is refused", 402: "the credit is used up", 403: "this key may not do that"}


@dataclass(frozen=True, slots=True)
class FaultContext:
    """What a fault needs: the connection, the end of the server, and the honest answer, painted on demand."""

    connection: socket.socket
    stopping: Event
    url: str
    key: str
    retry_after: int
    picture: Callable[[], Image.Image]
    answer: Callable[[], bytes]


def encode_json(status: int, body: str) -> bytes:
    """JSON of an answer, marked as the sandbox's."""
    return json.dumps({"status_code": status, "body": body, "sandbox": True}).encode()


def encode_head(status: int, length: int | None, content_type: str = _JSON, **headers: str) -> bytes:
    """Status line and headers, without Content-Length if `length` is None."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {status} {phrase}", "Server: photio-sandbox", f"Date: {formatdate(usegmt=True)}"]
    lines += [f"Content-Type: {content_type}", "Connection: close"]
    lines += [] if length is None else [f"Content-Length: {length}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def encode_response(status: int, body: bytes, content_type: str = _JSON, **headers: str) -> bytes:
    """Complete HTTP response."""
    return encode_head(status, len(body), content_type, **headers) + body


def fault_status(name: str) -> int:
    """HTTP status of the answer of a fault; 0 without an answer."""
    if name[:3].isdigit():
        return int(name[:3])
    if name == "echo500":
        return 500
    return 0 if name in ("drop", "reset", "stall", "reset-upload", "stall-upload") else 200


def play(name: str, context: FaultContext) -> None:
    """Play the fault `name`."""
    if name in _PLAYERS:
        _PLAYERS[name](context)
    else:
        context.connection.sendall(_encode_fault(name, context))


def _encode_fault(name: str, context: FaultContext) -> bytes:
    """Response of a fault that is one complete, wrong answer."""
    if name[:3].isdigit():
        return _encode_status_fault(name, context)
    if name == "html200":
        return encode_response(200, b"<html><body><h1>502 Bad Gateway</h1></body></html>", "text/html")
    if name == "echo500":
        key = context.key
        text = f"failed for {key}, {quote(key, safe='')}, {base64.b64encode(key.encode()).decode()}"
        return encode_response(500, encode_json(500, text))
    if name == "gzipbomb":
        return encode_response(200, _gzip_bomb(), Content_Encoding="gzip")
    return encode_response(200, _BODIES[name](context))


def _encode_status_fault(name: str, context: FaultContext) -> bytes:
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
    text = _KEY_ERRORS.get(code, HTTPStatus(code).phrase)
    return encode_response(code, encode_json(code, f"{text} (planted fault {name})"), **headers)


def _encode_picture(picture: Image.Image, cut: float = 1.0) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    png = buffer.getvalue()
    return encode_json(200, base64.b64encode(png[: int(len(png) * cut)]).decode())


def _encode_half_size(context: FaultContext) -> bytes:
    picture = context.picture()
    return _encode_picture(picture.resize((max(1, picture.width // 2), max(1, picture.height // 2) + 1)))


_BODIES: dict[str, Callable[[FaultContext], bytes]] = {
    "notjson": lambda _: b'{"status_code": 200, "body": this is not JSON',
    "empty": lambda _: b"",
    "nobody": lambda _: b'{"status_code": 200, "sandbox": true}',
    "badbase64": lambda _: encode_json(200, "!!! this is not base64 !!!"),
    "notpicture": lambda _: encode_json(200, base64.b64encode(b"a text, and no picture at all\n" * 20).decode()),
    "json401": lambda _: encode_json(401, "Unauthorized (planted fault json401)"),
    "json500": lambda _: encode_json(500, "Internal error (planted fault json500)"),
    "wrongsize": _encode_half_size,
    "truncated": lambda context: _encode_picture(context.picture(), 0.6),
    "identity": lambda context: context.answer(),
    "sameanswer": lambda context: context.answer(),
}


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


def _send_half(context: FaultContext) -> None:
    answer = context.answer()
    context.connection.sendall(encode_head(200, len(answer)) + answer[: len(answer) // 2])


def _send_half_chunked(context: FaultContext) -> None:
    answer = context.answer()
    part = answer[: len(answer) // 2]
    context.connection.sendall(
        encode_head(200, None, Transfer_Encoding="chunked") + f"{len(part):x}\r\n".encode() + part + b"\r\n"
    )


_PLAYERS: dict[str, Callable[[FaultContext], object]] = {
    "drop": lambda context: context.connection.shutdown(socket.SHUT_WR),
    "reset": _reset,
    "reset-upload": _reset,
    "stall": lambda context: context.stopping.wait(),
    "stall-upload": _stall_upload,
    "trickle": lambda context: _send_slowly(context, 1, 1.0),
    "slow": lambda context: _send_slowly(context, 5_000, 0.1),
    "slice": _send_bytewise,
    "cut": _send_half,
    "chunk-cut": _send_half_chunked,
}
