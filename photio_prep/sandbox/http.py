"""HTTP server of the sandbox: read a request, hand it to the sandbox, send the answer, close."""

import logging
import os
import socket
import struct
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from socketserver import BaseServer, TCPServer, ThreadingMixIn
from threading import Thread
from time import monotonic
from typing import Any, Protocol

from photio_prep.sandbox import contract
from photio_prep.sandbox.contract import ContractError
from photio_prep.sandbox.fault_player import LINGER, encode_json, encode_response
from photio_prep.sandbox.faults import BEFORE_THE_BODY

logger = logging.getLogger("photio_prep.sandbox")

_PIECE = 65_536
_DRAIN_S = 10.0


class Endpoint(Protocol):
    """The sandbox, as the server needs it."""

    http_status_always_200: bool

    def count_call(self) -> tuple[int, str | None]:
        """Return the number of a new call, from 1, and its fault."""
        ...

    def log_failure(self, number: int, path: str, key: str, body: bytes, status: int) -> None:
        """Log a call that was refused, or broke off (`status` 0)."""
        ...

    def play_early_fault(self, number: int, path: str, key: str, fault: str, connection: socket.socket) -> None:
        """Log a call and play its fault before its body is read."""
        ...

    def answer(self, number: int, path: str, key: str, body: bytes, connection: socket.socket) -> None:
        """Count a call whose last byte has arrived, then answer it or play its fault; ContractError to refuse it."""
        ...


class Server(ThreadingMixIn, TCPServer):
    """A TCP server on loopback with a thread for each connection, all of which end with it."""

    allow_reuse_address = os.name == "posix"  # elsewhere it would let two servers share a port
    request_queue_size = 128
    daemon_threads = True

    def __init__(self, port: int, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._running: dict[Thread, socket.socket] = {}
        super().__init__(("127.0.0.1", port), Handler)

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
            lingering, seconds = struct.unpack(
                LINGER, request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.calcsize(LINGER))
            )
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


class Handler(BaseHTTPRequestHandler):
    """One request, one answer."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a byte that is sent alone travels alone
    timeout = 120
    server: BaseServer

    @property
    def endpoint(self) -> Endpoint:
        """The sandbox behind the server."""
        assert isinstance(self.server, Server)  # noqa: S101 - for the type checker
        return self.server.endpoint

    def handle(self) -> None:
        """One request only; the connection is closed after it."""
        self.close_connection = True
        with suppress(OSError):
            self.handle_one_request()

    def do_POST(self) -> None:
        """The one method of the API."""
        number, fault = self.endpoint.count_call()
        key = (self.headers.get(contract.KEY_HEADER) or "").strip()
        if fault in BEFORE_THE_BODY and fault is not None:
            self.endpoint.play_early_fault(number, self.path, key, fault, self.connection)
            return
        body = b""
        try:
            body = self._read_body()
            contract.check_path(self.path)
            contract.check_key(key)
            contract.check_content_type(self.headers.get("Content-Type"))
            self.endpoint.answer(number, self.path, key, body, self.connection)
        except ContractError as error:
            self.endpoint.log_failure(number, self.path, key, body, error.status)
            self._refuse(error)
        except OSError:
            self.endpoint.log_failure(number, self.path, key, b"", 0)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """Answer in JSON where http.server would answer in HTML: a malformed request, or a method that is not POST."""
        number, _ = self.endpoint.count_call()
        path = getattr(self, "path", "")
        if code == 501:
            code, message = (405, "Only POST is allowed") if path == contract.PATH else (404, "there is nothing here")
            with suppress(ContractError):
                self._read_body()
        self.endpoint.log_failure(number, path, "", b"", int(code))
        self._refuse(ContractError(int(code), message or "the request is malformed"))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401
        """To the log, not to stderr."""
        logger.debug(format, *args)

    def _read_body(self) -> bytes:
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

    def _refuse(self, error: ContractError) -> None:
        http_status = 200 if self.endpoint.http_status_always_200 else error.status
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
