"""Stop signals, delivered to a listener thread at once; closed standard streams."""

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from photio_prep.errors import Interrupted, Terminated, UsageError
from photio_prep.system import threads

_STOP = ("SIGINT", "SIGTERM", "SIGHUP")
_STREAMS = (("stdin", "r", os.O_RDONLY), ("stdout", "w", os.O_WRONLY), ("stderr", "w", os.O_WRONLY))


@contextmanager
def stop_on_signal(
    codes: list[int], info: Callable[[str], None], close: Callable[[Interrupted], None]
) -> Iterator[None]:
    """While entered, Ctrl-C and SIGTERM `close` the work: nothing new is started. A second one ends the process.

    What is then in flight becomes unknown, because the process of its claim is dead. `codes` gets the exit code.

    A Python handler runs in the main thread between two bytecodes: that thread may be inside a model for seconds while
    other threads pay. So a listener thread handles signals. One that the caller ignores (nohup) stays ignored.
    """
    numbers = [getattr(signal, name) for name in _STOP if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers if signal.getsignal(number) != signal.SIG_IGN}
    reader, writer = socket.socketpair()
    writer.setblocking(False)

    def listen() -> None:
        while received := reader.recv(64):
            for number in filter(before.__contains__, received):
                stopped = (Interrupted if number == signal.SIGINT else Terminated)("stopped by the user")
                if stopped.exit_code in codes:
                    os._exit(stopped.exit_code)
                codes.append(stopped.exit_code)
                close(stopped)
                info("stopping: nothing new is sent, what is in flight is waited for; once more to leave at once")

    try:
        listener = threads.start(listen, "signals")
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


def open_closed_streams() -> None:
    """Open the null device as each of standard input, output and error that is closed (daemon, `>&-`, pythonw).

    Else the next opened file, for instance an answer, gets descriptor 1 or 2, and a library prints into it.
    """
    for number, (name, mode, flags) in enumerate(_STREAMS):
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, flags)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode, encoding="utf-8", errors="replace")  # noqa: SIM115  open as long as we run
            setattr(sys, name, stream)
