"""Plays one fault on one open connection, byte by byte."""

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
_LETTERS = 65_536  # this much of a sliced answer goes out byte by byte; more only costs time
_ABOUT_THE_KEY = {401: "this key is refused", 402: "the credit is used up", 403: "this key may not do that"}


@dataclass(frozen=True, slots=True)
class Stage:
    """What a fault needs: the connection, the honest answer (made only when asked for), and when to give up."""

    connection: socket.socket
    stopping: Event
    url: str
    key: str
    retry_after: int
    picture: Callable[[], Image.Image]
    answer: Callable[[], bytes]


def json_answer(status: int, body: str) -> bytes:
    """The vendor's JSON, with the sandbox's mark."""
    return json.dumps({"status_code": status, "body": body, "sandbox": True}).encode()


def head(status: int, length: int | None, content_type: str = _JSON, **headers: str) -> bytes:
    """Status line and headers; `length` None leaves Content-Length out."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {status} {phrase}", "Server: photio-sandbox", f"Date: {formatdate(usegmt=True)}"]
    lines += [f"Content-Type: {content_type}", "Connection: close"]
    lines += [] if length is None else [f"Content-Length: {length}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def whole(status: int, body: bytes, content_type: str = _JSON, **headers: str) -> bytes:
    """A complete HTTP answer."""
    return head(status, len(body), content_type, **headers) + body


def status_of(name: str) -> int:
    """The HTTP status that the fault answers with; 0 where it never answers."""
    if name[:3].isdigit():
        return int(name[:3])
    if name == "echo500":
        return 500
    return 0 if name in ("drop", "reset", "stall", "reset-upload", "stall-upload") else 200


def play(name: str, stage: Stage) -> None:
    """Misbehaves as `name` says."""
    if name in _ACTS:
        _ACTS[name](stage)
    else:
        stage.connection.sendall(_reply(name, stage))


def _reply(name: str, stage: Stage) -> bytes:
    """The faults that are one complete, wrong answer."""
    if name[:3].isdigit():
        return _status_reply(name, stage)
    if name in _BODIES:
        return whole(200, _BODIES[name](stage))
    if name == "html200":
        return whole(200, b"<html><body><h1>502 Bad Gateway</h1></body></html>", "text/html")
    if name == "echo500":
        key = stage.key
        text = f"failed for {key}, {quote(key, safe='')}, {base64.b64encode(key.encode()).decode()}"
        return whole(500, json_answer(500, text))
    if name == "gzipbomb":
        return whole(200, _bomb(), Content_Encoding="gzip")
    raise KeyError(name)


def _status_reply(name: str, stage: Stage) -> bytes:
    status, _, how = name.partition("-")
    code, headers = int(status), {}
    if 300 <= code < 400:
        port = stage.url.split(":")[2].partition("/")[0]
        headers["Location"] = f"http://localhost:{port}/elsewhere" if how == "elsewhere" else stage.url
    elif name in ("429", "503-retry-after"):
        headers["Retry_After"] = str(stage.retry_after)
    elif how == "date":
        headers["Retry_After"] = formatdate(time() + stage.retry_after, usegmt=True)
    elif how == "absurd":
        headers["Retry_After"] = "86400"
    text = _ABOUT_THE_KEY.get(code, HTTPStatus(code).phrase)
    return whole(code, json_answer(code, f"{text} (planted fault {name})"), **headers)


def _picture_body(picture: Image.Image, cut: float = 1.0) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    png = buffer.getvalue()
    return json_answer(200, base64.b64encode(png[: int(len(png) * cut)]).decode())


def _half(stage: Stage) -> bytes:
    picture = stage.picture()
    return _picture_body(picture.resize((max(1, picture.width // 2), max(1, picture.height // 2) + 1)))


_BODIES: dict[str, Callable[[Stage], bytes]] = {
    "notjson": lambda _: b'{"status_code": 200, "body": this is not JSON',
    "empty": lambda _: b"",
    "nobody": lambda _: b'{"status_code": 200, "sandbox": true}',
    "badbase64": lambda _: json_answer(200, "!!! this is not base64 !!!"),
    "notpicture": lambda _: json_answer(200, base64.b64encode(b"a text, and no picture at all\n" * 20).decode()),
    "json401": lambda _: json_answer(401, "Unauthorized (planted fault json401)"),
    "json500": lambda _: json_answer(500, "Internal error (planted fault json500)"),
    "wrongsize": _half,
    "truncated": lambda stage: _picture_body(stage.picture(), 0.6),
    "identity": lambda stage: stage.answer(),
    "sameanswer": lambda stage: stage.answer(),
}


@cache
def _bomb() -> bytes:
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


def _drop(stage: Stage) -> None:
    stage.connection.shutdown(socket.SHUT_WR)


def _reset(stage: Stage) -> None:
    # Linger on, for 0 s: close() then discards what is queued and sends RST instead of FIN.
    stage.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(LINGER, 1, 0))


def _stall_upload(stage: Stage) -> None:
    # A small window, so that a large request cannot vanish into the kernel's own buffers.
    stage.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    stage.stopping.wait()


def _stall(stage: Stage) -> None:
    stage.stopping.wait()


def _pour(stage: Stage, step: int, pause: float) -> None:
    answer = stage.answer()
    stage.connection.sendall(head(200, len(answer)))
    for start in range(0, len(answer), step):
        stage.connection.sendall(answer[start : start + step])
        if stage.stopping.wait(pause):
            return


def _slice(stage: Stage) -> None:
    answer = whole(200, stage.answer())
    for index in range(min(_LETTERS, len(answer))):
        stage.connection.sendall(answer[index : index + 1])
    stage.connection.sendall(answer[_LETTERS:])


def _cut(stage: Stage) -> None:
    answer = stage.answer()
    stage.connection.sendall(head(200, len(answer)) + answer[: len(answer) // 2])


def _chunk_cut(stage: Stage) -> None:
    answer = stage.answer()
    part = answer[: len(answer) // 2]
    stage.connection.sendall(
        head(200, None, Transfer_Encoding="chunked") + f"{len(part):x}\r\n".encode() + part + b"\r\n"
    )


_ACTS: dict[str, Callable[[Stage], None]] = {
    "drop": _drop,
    "reset": _reset,
    "reset-upload": _reset,
    "stall": _stall,
    "stall-upload": _stall_upload,
    "trickle": lambda stage: _pour(stage, 1, 1.0),
    "slow": lambda stage: _pour(stage, 5_000, 0.1),
    "slice": _slice,
    "cut": _cut,
    "chunk-cut": _chunk_cut,
}
