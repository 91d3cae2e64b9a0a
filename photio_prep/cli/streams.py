"""Standard streams that a daemon, `>&-` or pythonw left closed: opened on the null device before anything else."""

import os
import sys


def open_closed() -> None:
    """Put the null device where standard input, output or error is closed.

    Else the next file that is opened, an order's or an answer's, would get the number 1 or 2, and whatever a library
    prints would go into it.
    """
    for number, (name, mode, way) in enumerate(_STREAMS):
        _occupy(number, way)
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode, encoding="utf-8", errors="replace")  # noqa: SIM115  open as long as we run
            setattr(sys, name, stream)


_STREAMS = (("stdin", "r", os.O_RDONLY), ("stdout", "w", os.O_WRONLY), ("stderr", "w", os.O_WRONLY))


def _occupy(number: int, way: int) -> None:
    """Open the null device as file `number`, unless that is open."""
    try:
        os.fstat(number)
    except OSError:
        null = os.open(os.devnull, way)
        if null != number:
            os.dup2(null, number)
            os.close(null)
        os.set_inheritable(number, True)
