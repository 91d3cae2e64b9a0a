"""Open closed standard streams (daemon, `>&-`, pythonw) on the null device before any other file."""

import os
import sys


def open_closed() -> None:
    """Open the null device as each of standard input, output and error that is closed.

    Else the next opened file, for instance an answer, gets descriptor 1 or 2, and a library prints into it.
    """
    for number, (name, mode, flags) in enumerate(_STREAMS):
        _open_null(number, flags)
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode, encoding="utf-8", errors="replace")  # noqa: SIM115  open as long as we run
            setattr(sys, name, stream)


_STREAMS = (("stdin", "r", os.O_RDONLY), ("stdout", "w", os.O_WRONLY), ("stderr", "w", os.O_WRONLY))


def _open_null(number: int, flags: int) -> None:
    """Open the null device as descriptor `number`, unless that is open."""
    try:
        os.fstat(number)
    except OSError:
        null = os.open(os.devnull, flags)
        if null != number:
            os.dup2(null, number)
            os.close(null)
        os.set_inheritable(number, True)
