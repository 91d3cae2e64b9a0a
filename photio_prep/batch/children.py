"""Processes of our own that exchange pickles over their pipes. They have no key and never pay.

Ctrl-C does not reach them: they end when their pipe is closed, also where the process that started them was killed.
"""

import os
import pickle
import signal
import sys
import traceback
from typing import IO, Any

from photio_prep.errors import PhotioError, UsageError, of_photo
from photio_prep.system import environment
from photio_prep.system.processes import Child

# Seconds for the return code of a process whose pipe has closed.
LAST_WORDS = 5.0


class PickleChild(Child):
    """A process that calls `function` of `module`, with `threads` threads for a network; `block`: see `SharedSession`.

    Raises UsageError if no process can be started.
    """

    def __init__(self, module: str, function: str, threads: int, block: int | None) -> None:
        try:
            inherited = () if block is None else (block,)
            super().__init__(module, function, environment.worker_environment(threads), inherited=inherited)
        except OSError as error:
            problem = f"no process can be started ({error.strerror})"
            raise UsageError(problem, "Raise the limit on processes, or leave --workers out", "--workers") from None

    def send(self, message: bytes) -> None:
        """Send a pickle; EOFError if the process died."""
        try:
            self.tasks.write(message)
            self.tasks.flush()
        except (OSError, ValueError) as error:  # ValueError: closed meanwhile
            raise EOFError from error

    def receive(self) -> Any:  # noqa: ANN401  what the process sent
        """The next object that it sends; EOFError if it died."""
        try:
            return pickle.load(self.replies)  # noqa: S301  from our own process
        except (OSError, ValueError, pickle.UnpicklingError) as error:
            raise EOFError from error


def pack(message: object) -> bytes:
    """Pickle a message."""
    return pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)


def take_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """The pipes of tasks and replies; runs in a child."""
    # They reach all processes of a terminal or a service; the parent decides, and ends this process.
    for name in ("SIGINT", "SIGHUP", "SIGTERM"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    tasks, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # Output of libraries must not mix with the replies.
    os.dup2(2, 1)
    return tasks, replies


def portable_error(error: Exception) -> PhotioError:
    """The error of a photo as another process gets it: a cause does not travel, so its traceback is a note."""
    outcome = of_photo(error)
    if outcome is not error:
        outcome.add_note("".join(traceback.format_exception(error)))
    return outcome
