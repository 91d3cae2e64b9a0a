"""Deliver Ctrl-C, SIGTERM and a closed terminal to a listener thread at once."""

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from photio_prep.errors import UsageError
from photio_prep.system import threads

_STOP = ("SIGINT", "SIGTERM", "SIGHUP")


@contextmanager
def heard(stop: Callable[[int], None]) -> Iterator[None]:
    """While entered, `stop` is called with the number of every signal that means "stop", in a thread of its own.

    A handler would run in the main thread, and only between two steps of Python: that thread may be inside a model for
    seconds, while others go on paying. A signal that the caller chose to ignore (nohup) stays ignored.
    """
    found = [getattr(signal, name) for name in _STOP if hasattr(signal, name)]
    before = {each: signal.getsignal(each) for each in found if signal.getsignal(each) != signal.SIG_IGN}
    reader, writer = socket.socketpair()
    writer.setblocking(False)

    def listen() -> None:
        while numbers := reader.recv(64):
            for number in numbers:
                if number in before:
                    stop(number)

    try:
        ears = threads.start(listen, "signals")
    except UsageError:
        reader.close()
        writer.close()
        raise
    # The system's own handler writes the number; the one of Python has nothing to do, but must be there.
    for each in before:
        signal.signal(each, lambda *_: None)
    earlier = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(earlier)
        for each, handler in before.items():
            signal.signal(each, handler)
        writer.close()
        ears.join()
        reader.close()
