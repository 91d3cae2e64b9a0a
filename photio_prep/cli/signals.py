"""Deliver Ctrl-C, SIGTERM and a closed terminal to a listener thread at once."""

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from photio_prep.errors import UsageError
from photio_prep.system import threads

_STOP = ("SIGINT", "SIGTERM", "SIGHUP")


@contextmanager
def listen(stop: Callable[[int], None]) -> Iterator[None]:
    """While entered, call `stop` with the number of each stop signal, in a listener thread.

    A Python handler runs in the main thread between two bytecodes: that thread may be inside a model for seconds while
    other threads pay. A signal that the caller ignores (nohup) stays ignored.
    """
    numbers = [getattr(signal, name) for name in _STOP if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers if signal.getsignal(number) != signal.SIG_IGN}
    reader, writer = socket.socketpair()
    writer.setblocking(False)

    def receive() -> None:
        while received := reader.recv(64):
            for number in received:
                if number in before:
                    stop(number)

    try:
        listener = threads.start(receive, "signals")
    except UsageError:
        reader.close()
        writer.close()
        raise
    # The handler in C writes the number to the socket, but only where a Python handler is set, even an empty one.
    for number in before:
        signal.signal(number, lambda *_: None)
    earlier = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(earlier)
        for number, handler in before.items():
            signal.signal(number, handler)
        writer.close()
        listener.join()
        reader.close()
