"""Timeouts of one connection, and the deadline that cuts it."""

import socket
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from photio_prep.system import threads
from photio_prep.system.ranges import Range, check_options

_SECONDS = Range(0.01, 7200, whole=False)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect, for a stalled write, between two bytes of the answer, and for one attempt.

    A time-out that is too short turns a paid answer on its way into an unknown outcome. UsageError for no time-out.
    """

    connect: float = 5.0
    write: float = 60.0
    read: float = 300.0
    overall: float = 600.0

    def __post_init__(self) -> None:
        check_options(self, "timeouts", connect=_SECONDS, write=_SECONDS, read=_SECONDS, overall=_SECONDS)


class Watch:
    """State of the one connection of an attempt: `connected`, and `expired` if the deadline cut it."""

    def __init__(self, timeouts: Timeouts) -> None:
        self.timeouts = timeouts
        self.connected = False
        self.expired = False
        self._socket: socket.socket | None = None

    def established(self, sock: Any) -> None:  # noqa: ANN401  a socket, or urllib3's TLS-in-TLS wrapper of one
        """Register the connected socket, after its TLS handshake; TimeoutError if the deadline has passed already."""
        sock.settimeout(self.timeouts.write)
        self._socket = sock
        if self.expired:
            sock.close()
            raise TimeoutError("timed out")
        self.connected = True

    def deadline(self) -> AbstractContextManager[None]:
        """Cut the connection if the block takes longer than `timeouts.overall`.

        Read time-outs count per byte: a server that sends a byte a second would never meet one.
        """
        return threads.deadline(self.timeouts.overall, self._expire)

    def _expire(self) -> None:
        self.expired = True
        if self._socket is not None:
            try:
                # Unbound: SSLSocket.shutdown would take the TLS layer from under the thread that reads it.
                socket.socket.shutdown(getattr(self._socket, "socket", self._socket), socket.SHUT_RDWR)
            except OSError:
                return  # the connection has ended already
