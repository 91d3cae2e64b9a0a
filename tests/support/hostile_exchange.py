"""One turn of the hostile server: the request as it arrives, and the moves that a behaviour can make.

Takes an accepted connection; gives the request and counts it, and its charge, the moment its last byte is read.
Touches that connection. Raises `HungUpError` where the client goes away first.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

Headers = tuple[tuple[str, str], ...]
CHUNK = 1 << 18


class HungUpError(Exception):
    """The client went away, or the test ended, before the server had done what its script says."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request whose last byte arrived."""

    number: int  # the n of the script: 1 for the first turn the server served
    connection: int
    attempt: int  # 1 for the first time that these very bytes arrived
    opened: float  # time.monotonic() when the turn began: accept, or the first byte on a kept connection
    at: float  # time.monotonic() when the last byte arrived
    method: str
    target: str
    headers: Headers
    body: bytes
    digest: str  # sha256 of the body: the order's key as the server sees it

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def seed(self) -> int | None:
        # By pattern: decoding megabytes of JSON for each of 10,000 orders would make the server the bottleneck.
        found = re.search(rb'"seed"\s*:\s*(-?\d+)', self.body)
        return int(found[1]) if found else None

    @property
    def asked(self) -> tuple[int, int]:
        """Width and height of the PNG in `product_image`; 1024 x 1024 where there is none (an image URL)."""
        found = re.search(rb'"product_image"\s*:\s*"([A-Za-z0-9+/]{32})', self.body)
        start = base64.b64decode(found[1]) if found else b""
        if start[:8] != b"\x89PNG\r\n\x1a\n":
            return 1024, 1024
        width, height = struct.unpack(">II", start[16:24])
        return width, height

    def json(self) -> object:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the server does with one request: a name for the test report, and the act itself."""

    name: str
    act: Callable[[Exchange], None]
    # A refusal (429, 401, ...) reads everything and still bills nothing.
    charges: bool = True


class Book(Protocol):
    """What an exchange needs of its server: somebody who counts, and who says when the test is over."""

    stopping: threading.Event

    def arrived(self, request: Request) -> Request: ...

    def charge(self, request: Request) -> None: ...

    def idle(self) -> AbstractContextManager[None]: ...


class Exchange:
    """The server's side of one turn: what it knows of the request, and the moves it can make."""

    def __init__(self, server: Book, conn: socket.socket, number: int, connection: int) -> None:
        self.number = number
        self.keep_open = 0.0  # seconds to wait for a further request on this connection; not over TLS
        self.read_rate: float | None = None  # bytes a second
        self._server, self.conn, self._connection = server, conn, connection
        self._opened = time.monotonic()
        self._buffer = bytearray()
        self._needed: int | None = None  # length of head and body, once the head is known
        self._request: Request | None = None
        self._charges: bool | None = None  # not known before the script has decided
        self._charged = False

    @property
    def request(self) -> Request:
        """The request, read to its last byte; that read is what is billed."""
        while self._request is None:
            self._pull(CHUNK)
        return self._request

    def read_bytes(self, count: int) -> bytes:
        """Read the first `count` raw bytes of the request and not one more, fewer only where it is shorter."""
        while len(self._buffer) < count and self._request is None:
            self._pull(count - len(self._buffer))
        return bytes(self._buffer[:count])

    def read_some(self) -> bytes:
        """Whatever comes next, unparsed: for a handshake, which is no HTTP."""
        data = self.conn.recv(CHUNK)
        if not data:
            raise HungUpError
        self._buffer += data
        return data

    def send(self, data: bytes | memoryview) -> None:
        self.conn.sendall(data)

    def close(self) -> None:
        """Hang up politely (FIN); the kernel makes it a reset where request bytes were left unread."""
        self.conn.close()

    def half_close(self) -> None:
        """Say that nothing more will come (FIN), and go on listening."""
        self.conn.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Hang up rudely: with linger 0 the kernel drops what is queued and sends RST."""
        self.conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.conn.close()

    def hold(self, seconds: float | None = None) -> None:
        """Do nothing until the client hangs up, `seconds` have passed or the test ends."""
        poll = select.poll()
        poll.register(self.conn, select.POLLRDHUP | select.POLLHUP | select.POLLERR)
        with self._server.idle():
            poll.poll(None if seconds is None else seconds * 1000)

    def sleep(self, seconds: float) -> None:
        """Let time pass while the server counts as busy."""
        if self._server.stopping.wait(seconds):
            raise HungUpError

    def decide(self, behaviour: Behaviour) -> None:
        self._charges = behaviour.charges
        self._charge_once()

    def left_over(self) -> bytes:
        """What arrived of a request that never became complete."""
        return b"" if self._request else bytes(self._buffer)

    def _pull(self, limit: int) -> None:
        data = self.conn.recv(min(limit, CHUNK))
        if not data:
            raise HungUpError
        self._buffer += data
        if self.read_rate:
            self.sleep(len(data) / self.read_rate)
        if self._needed is None and (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            length = re.search(rb"\r\ncontent-length:\s*(\d+)", self._buffer[:end].lower())
            self._needed = end + 4 + (int(length[1]) if length else 0)
        if self._needed is not None and len(self._buffer) >= self._needed:
            self._complete()

    def _complete(self) -> None:
        head, _, body = bytes(self._buffer[: self._needed]).partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        method, target = [*line.split(" "), "", ""][:2]
        headers = tuple((name, value.strip()) for name, _, value in (row.partition(":") for row in fields))
        self._request = self._server.arrived(
            Request(
                number=self.number,
                connection=self._connection,
                attempt=0,
                opened=self._opened,
                at=time.monotonic(),
                method=method,
                target=target,
                headers=headers,
                body=body,
                digest=hashlib.sha256(body).hexdigest(),
            )
        )
        self._charge_once()

    def _charge_once(self) -> None:
        if self._request and self._charges and not self._charged:
            self._charged = True
            self._server.charge(self._request)
