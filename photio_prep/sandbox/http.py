"""HTTP of the sandbox: one request and one answer a connection, and the bytes of an answer."""

import json
import logging
import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from threading import Thread
from time import monotonic
from typing import Any

from photio_prep.sandbox import contract
from photio_prep.sandbox.contract import ContractError

logger = logging.getLogger("photio_prep.sandbox")

# struct linger: two shorts on Windows, two ints elsewhere.
LINGER = "hh" if os.name == "nt" else "ii"
_JSON = "application/json"
_PIECE = 65_536
_DRAIN_S = 10.0


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


class Server(ThreadingMixIn, TCPServer):
    """A TCP server on loopback with a thread for each connection, all of which end with it.

    `serve` handles each request; its second argument is the error of one that is refused as it stands.
    """

    allow_reuse_address = os.name == "posix"  # elsewhere it would let two servers share a port
    request_queue_size = 128
    daemon_threads = True

    def __init__(self, port: int, serve: Callable[["Exchange", ContractError | None], None]) -> None:
        self.serve = serve
        self._running: dict[Thread, socket.socket] = {}
        super().__init__(("127.0.0.1", port), Exchange)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - socketserver's own types
        """Handle the connection in a new thread."""
        thread = Thread(target=self.process_request_thread, args=(request, client_address), daemon=True)
        self._running = {other: sock for other, sock in self._running.items() if other.is_alive()} | {thread: request}
        try:
            thread.start()
        except RuntimeError:  # the system gives no thread: one after the other, then
            self._running.pop(thread)
            self.process_request_thread(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401
        """Close the connection, without a FIN if a fault asked for a reset."""
        with suppress(OSError):
            option = request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.calcsize(LINGER))
            lingering, seconds = struct.unpack(LINGER, option)
            if lingering and not seconds:
                self.close_request(request)
                return
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002
        """Log a failure of the sandbox; a library never prints."""
        logger.exception("the sandbox failed on a connection")

    def close_connections(self) -> None:
        """Close all connections and wait for their threads."""
        for connection in self._running.values():
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in list(self._running):
            thread.join(timeout=10)


class Exchange(BaseHTTPRequestHandler):
    """One request, one answer."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a byte that is sent alone travels alone
    timeout = 120
    server: Server
    path = ""  # of a request that cannot be read

    def handle(self) -> None:
        """One request only; the connection is closed after it."""
        self.close_connection = True
        with suppress(OSError):
            self.handle_one_request()

    def do_POST(self) -> None:
        """The one method of the API."""
        self.server.serve(self, None)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """Answer in JSON where http.server would answer in HTML: a malformed request, or a method that is not POST."""
        if code == 501:
            code, message = (
                (405, "Only POST is allowed") if self.path == contract.PATH else (404, "there is nothing here")
            )
            with suppress(ContractError):
                self.read_body()
        self.server.serve(self, ContractError(int(code), message or "the request is malformed"))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401
        """To the log, not to stderr."""
        logger.debug(format, *args)

    def read_body(self) -> bytes:
        """Read the body; ContractError for its headers, ConnectionError if the client leaves before its end."""
        if self.headers.get("Transfer-Encoding"):
            raise ContractError(411, "send a Content-Length, not a Transfer-Encoding")
        announced = self.headers.get("Content-Length")
        if announced is None:
            raise ContractError(411, "Content-Length is missing")
        if not (announced.isascii() and announced.isdigit()):
            raise ContractError(400, "Content-Length is not a number")
        if (length := int(announced)) > contract.MAX_BODY:
            raise ContractError(413, f"the body is larger than {contract.MAX_BODY} bytes")
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionError("the client left in the middle of its request")
        return body

    def refuse(self, error: ContractError, http_status: int) -> None:
        """Answer with an error."""
        headers = {"Allow": "POST"} if error.status == 405 else {}
        reply = encode_response(http_status, encode_json(error.status, error.text), **headers)
        if getattr(self, "command", None) == "HEAD":
            reply = reply.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        with suppress(OSError):
            self.connection.sendall(reply)
            if error.status in (400, 411, 413):
                self._drain()

    def _drain(self) -> None:
        """Read what the client still sends: closing on unread bytes would reset the answer away."""
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(1.0)
        end = monotonic() + _DRAIN_S
        while monotonic() < end and self.rfile.read1(_PIECE):
            pass
