"""A server on loopback that misbehaves to order, byte by byte, and counts what a vendor would bill.

Takes: a script (what to do to the n-th request). Gives: a URL and counters that tests read while it runs.
Touches: loopback sockets and threads of its own, all closed and joined when the `with` block ends.
Raises: whatever a script or behaviour raised, at the end of the block, so that a bug in a test never passes as a fault.

http.server and its kin parse and answer for us, and so can neither stop in the middle of a header nor say when the
last byte of a request arrived. That moment is the whole point: from then on the call is billed, whatever the client
sees.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from tests.support.hostile_exchange import Behaviour, Exchange, HungUpError, Request

PATH = "/v1/inference/instant"

# A script may look at `exchange.request`; that waits for the whole request, so a script that wants to
# misbehave earlier decides by `n` alone.
Script = Callable[[int, "Exchange"], Behaviour]


@dataclass(slots=True)
class _Ledger:
    connections: int = 0
    turns: int = 0
    charges: int = 0
    hits: int = 0
    handshakes_failed: int = 0
    charges_by_body: Counter[str] = field(default_factory=Counter)
    charges_by_seed: Counter[int | None] = field(default_factory=Counter)
    attempts: Counter[str] = field(default_factory=Counter)
    requests: list[Request] = field(default_factory=list)
    fragments: list[bytes] = field(default_factory=list)


class HostileServer:
    """A loopback server under a script; `with HostileServer([drop_after(100), ok()]) as server: server.url`.

    The script is one behaviour for every request, a list (its last entry repeats), or a callable `(n, exchange)`.
    """

    def __init__(
        self,
        script: Behaviour | Sequence[Behaviour] | Script,
        *,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        receive_buffer: int | None = None,
        keep_bodies: bool = True,
    ) -> None:
        self.script = script
        self.stopping = threading.Event()
        self._tls, self._keep_bodies = tls, keep_bodies
        self._lock = threading.Condition()
        self._ledger = _Ledger()
        self._busy = 0
        self._open: set[socket.socket] = set()
        self._waiting: set[socket.socket] = set()  # kept open, between two requests
        self._threads: list[threading.Thread] = []
        self._bugs: list[BaseException] = []
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if receive_buffer is not None:
            # Only before accept: a window that was once advertised can no longer be taken back.
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._listener.bind(("127.0.0.1", port))
        self._listener.listen(1024)
        self.port: int = self._listener.getsockname()[1]
        self._bell, self._clapper = socket.socketpair()

    @property
    def url(self) -> str:
        return self.url_as("https" if self._tls else "http")

    def url_as(self, scheme: str) -> str:
        return f"{scheme}://127.0.0.1:{self.port}{PATH}"

    def __enter__(self) -> HostileServer:
        self._acceptor = threading.Thread(target=self._accept, name="hostile-accept")
        self._acceptor.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self.stopping.set()
        self._clapper.close()
        self._acceptor.join()
        with self._lock:
            for conn in self._open:
                with suppress(OSError):
                    # Unbound: SSLSocket.shutdown would pull the TLS layer from under the thread that reads it.
                    socket.socket.shutdown(conn, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        self._listener.close()
        self._bell.close()
        if alive := [thread.name for thread in self._threads if thread.is_alive()]:
            raise RuntimeError(f"hostile server: {alive} did not end")
        if self._bugs and kind is None:
            raise self._bugs[0]

    # What a test reads.

    @property
    def connections(self) -> int:
        with self._lock:
            return self._ledger.connections

    @property
    def charges(self) -> int:
        with self._lock:
            return self._ledger.charges

    @property
    def hits(self) -> int:
        """How many requests were complete, billed or not."""
        with self._lock:
            return self._ledger.hits

    @property
    def handshakes_failed(self) -> int:
        with self._lock:
            return self._ledger.handshakes_failed

    @property
    def charges_by_body(self) -> Counter[str]:
        with self._lock:
            return Counter(self._ledger.charges_by_body)

    @property
    def charges_by_seed(self) -> Counter[int | None]:
        with self._lock:
            return Counter(self._ledger.charges_by_seed)

    @property
    def requests(self) -> list[Request]:
        with self._lock:
            return list(self._ledger.requests)

    @property
    def fragments(self) -> list[bytes]:
        """The raw bytes of each request that never became complete."""
        with self._lock:
            return list(self._ledger.fragments)

    def charged_twice(self) -> dict[str, int]:
        return {key: count for key, count in self.charges_by_body.items() if count > 1}

    def received(self, needle: bytes) -> bool:
        """Whether these bytes reached the server anywhere: a key, a file name, a GPS position."""
        text = needle.decode("latin-1")
        return any(
            needle in r.body or text in r.target or any(text in part for pair in r.headers for part in pair)
            for r in self.requests
        ) or any(needle in fragment for fragment in self.fragments)

    def settle(self, seconds: float = 10) -> None:
        """Wait until every byte that clients have sent is read and counted; `hold`s may go on."""
        deadline = time.monotonic() + seconds
        with self._lock:
            # Not accepted yet is not settled either: on loopback connect() returns before accept() does.
            while self._busy or select.select([self._listener, *self._waiting], [], [], 0)[0]:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"hostile server: {self._busy} exchanges still busy after {seconds} s")
                self._lock.wait(0.005)

    def forget(self) -> None:
        """Count from nothing again, the script included."""
        self.settle()
        with self._lock:
            self._ledger = _Ledger()

    # What an exchange tells.

    def arrived(self, request: Request) -> Request:
        with self._lock:
            self._ledger.hits += 1
            self._ledger.attempts[request.digest] += 1
            attempt = self._ledger.attempts[request.digest]
            known = replace(request, attempt=attempt)
            self._ledger.requests.append(known if self._keep_bodies else replace(known, body=b""))
            return known

    def charge(self, request: Request) -> None:
        with self._lock:
            self._ledger.charges += 1
            self._ledger.charges_by_body[request.digest] += 1
            self._ledger.charges_by_seed[request.seed] += 1

    @contextmanager
    def idle(self) -> Iterator[None]:
        """Within, a thread that only waits does not count as busy."""
        self._count_busy(-1)
        try:
            yield
        finally:
            self._count_busy(1)

    def _count_busy(self, step: int) -> None:
        with self._lock:
            self._busy += step
            self._lock.notify_all()

    def _accept(self) -> None:
        while True:
            ready, _, _ = select.select([self._listener, self._bell], [], [])
            if self._bell in ready:
                return
            with self._lock:  # so that `settle` sees it either waiting or busy, never in between
                conn, _ = self._listener.accept()
                self._busy += 1
                self._ledger.connections += 1
                connection = self._ledger.connections
                self._open.add(conn)
            thread = threading.Thread(target=self._serve, args=(conn, connection), name=f"hostile-{connection}")
            self._threads = [old for old in self._threads if old.is_alive()] + [thread]
            thread.start()

    def _serve(self, conn: socket.socket, connection: int) -> None:
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if self._tls:
                conn = self._handshake(conn, self._tls)
            while (wait := self._turn(conn, connection)) and self._more(conn, wait):
                pass
        except (OSError, HungUpError, ssl.SSLError):
            pass  # the client did what clients do; what arrived until then is in the ledger
        except BaseException as bug:  # noqa: BLE001 - raised again at the end of the test's block
            self._bugs.append(bug)
        finally:
            conn.close()
            with self._lock:
                self._open = {other for other in self._open if other.fileno() >= 0}
            self._count_busy(-1)

    def _more(self, conn: socket.socket, wait: float) -> bool:
        """Whether a further request begins on this connection; peeks, since its script may not want to read it."""
        with self._lock:
            self._waiting.add(conn)
        try:
            with self.idle():
                return bool(select.select([conn], [], [], wait)[0]) and bool(conn.recv(1, socket.MSG_PEEK))
        finally:
            with self._lock:
                self._waiting.remove(conn)

    def _handshake(self, conn: socket.socket, tls: ssl.SSLContext) -> socket.socket:
        try:
            wrapped = tls.wrap_socket(conn, server_side=True)
        except (OSError, ssl.SSLError):
            with self._lock:
                self._ledger.handshakes_failed += 1
            raise
        with self._lock:
            self._open.add(wrapped)
        return wrapped

    def _turn(self, conn: socket.socket, connection: int) -> float:
        with self._lock:
            self._ledger.turns += 1
            number = self._ledger.turns
        exchange = Exchange(self, conn, number, connection)
        try:
            behaviour = self._decide(number, exchange)
            exchange.decide(behaviour)
            behaviour.act(exchange)
        finally:
            if left := exchange.left_over():
                with self._lock:
                    self._ledger.fragments.append(left)
        return 0.0 if conn.fileno() < 0 or isinstance(conn, ssl.SSLSocket) else exchange.keep_open

    def _decide(self, number: int, exchange: Exchange) -> Behaviour:
        if isinstance(self.script, Behaviour):
            return self.script
        if callable(self.script):
            return self.script(number, exchange)
        return self.script[min(number, len(self.script)) - 1]
