"""Places on loopback where no request can arrive: nobody listening, nobody accepting, TLS that cannot be trusted.

Takes nothing, gives URLs and TLS contexts; touches loopback sockets and one folder for certificates.
A refusing proxy needs nothing of its own: `HostileServer(status(407))` with `server.port` as the proxy, since a CONNECT
is a request without a body. An unknown host is any name under `.invalid` (RFC 2606).
"""

from __future__ import annotations

import datetime
import select
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import trustme

from tests.support.hostile import PATH
from tests.support.hostile_exchange import Behaviour, Exchange

UNKNOWN_HOST = f"http://no-such-host.invalid{PATH}"


@contextmanager
def closed_port() -> Iterator[int]:
    """A port that refuses; it is kept bound, so that no other process gets it. A `HostileServer` may open it."""
    with socket.socket() as place:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.bind(("127.0.0.1", 0))
        yield place.getsockname()[1]


@contextmanager
def full_backlog() -> Iterator[int]:
    """A port whose queue of unaccepted connections is full: the kernel drops further SYNs, connecting times out."""
    waiting: list[socket.socket] = []
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        place.listen(0)
        try:
            # Linux lets one or two in beyond the number asked for; the first that hangs shows that it is full.
            for _ in range(8):
                waiting.append(socket.socket())
                waiting[-1].setblocking(False)
                with suppress(BlockingIOError):
                    waiting[-1].connect(place.getsockname())
                if not select.select([], [waiting[-1]], [], 0.1)[1]:
                    break
            else:
                raise RuntimeError("the backlog does not fill on this kernel")
            yield place.getsockname()[1]
        finally:
            for one in waiting:
                one.close()


class Certificates:
    """A certificate authority of our own, and server contexts that are wrong in one way each."""

    def __init__(self, folder: Path) -> None:
        trusted = trustme.CA()
        self.authority = folder / "authority.pem"  # what the client is told to trust
        trusted.cert_pem.write_to_path(str(self.authority))
        past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=2)
        before = past - datetime.timedelta(days=30)
        here = ("127.0.0.1", "localhost")
        self.good = self._context(trusted.issue_cert(*here))
        self.unknown_authority = self._context(trustme.CA().issue_cert(*here))
        self.wrong_host = self._context(trusted.issue_cert("elsewhere.invalid"))
        self.expired = self._context(trusted.issue_cert(*here, not_before=before, not_after=past))

    def _context(self, certificate: trustme.LeafCert) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        return context


def half_handshake(context: ssl.SSLContext, keep: float = 0.5) -> Behaviour:
    """Cuts TLS half-way: answers the client's hello with a part of our own and hangs up.

    For a server *without* `tls`, reached by `server.url_as("https")`.
    """

    def act(exchange: Exchange) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        deadline = time.monotonic() + 10
        while not outgoing.pending and time.monotonic() < deadline:
            incoming.write(exchange.read_some())
            with suppress(ssl.SSLWantReadError):
                tls.do_handshake()
        hello = outgoing.read()
        exchange.send(hello[: int(len(hello) * keep)])
        exchange.close()

    return Behaviour("half a TLS handshake", act)
