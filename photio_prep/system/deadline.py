"""Timeouts of one connection, and the deadline that cuts it."""

import socket
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from photio_prep.system import threads


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect, for a stalled write, between two bytes of the answer, and for one whole attempt.

    Too short a time-out makes unknowns of answers that are paid and on their way.
    """

    connect: float = 5.0
    write: float = 60.0
    read: float = 300.0
    overall: float = 600.0


class Watch:
    """What really happened on the one connection of an attempt: was it established, was it cut by the deadline?"""

    def __init__(self, timeouts: Timeouts) -> None:
        self.timeouts = timeouts
        self.connected = False
        self.expired = False
        self._socket: socket.socket | None = None

    def established(self, sock: Any) -> None:  # noqa: ANN401  a socket, or urllib3's TLS-in-TLS wrapper of one
        """The connection stands, with its TLS; from here on something may be sent.

        Raises:
            TimeoutError: The deadline passed meanwhile, and nobody would cut this connection any more.
        """
        sock.settimeout(self.timeouts.write)
        self._socket = sock
        if self.expired:
            sock.close()
            raise TimeoutError("timed out")
        self.connected = True

    def deadline(self) -> AbstractContextManager[None]:
        """While this is entered, the overall time runs; when it is up, the connection is cut.

        Read time-outs are per byte, and a byte a second runs for ever.
        """
        return threads.deadline(self.timeouts.overall, self._expire)

    def _expire(self) -> None:
        self.expired = True
        if self._socket is not None:
            try:
                # Unbound: SSLSocket.shutdown would take the TLS layer from under the thread that reads it.
                socket.socket.shutdown(getattr(self._socket, "socket", self._socket), socket.SHUT_RDWR)
            except OSError:
                return  # it ended by itself meanwhile
