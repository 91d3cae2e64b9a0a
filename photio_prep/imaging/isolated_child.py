"""The child process that decodes untrusted formats: jobs on standard input, pixels on standard output."""

import contextlib
import json
import math
import os
import signal
import sys
import warnings
from typing import IO, Any

from photio_prep.errors import PhotoRefused
from photio_prep.geometry import Size
from photio_prep.imaging.decoders import Job, Pixels, pixels
from photio_prep.imaging.limits import Limits

with contextlib.suppress(ImportError):
    import pillow_heif  # noqa: F401  later no file can be opened any more


def serve() -> None:
    """Work until standard input ends."""
    # Ctrl-C goes to everybody on the terminal; whoever started us decides when we end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore")
    jobs, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # What a C library prints must not run into the replies.
    os.dup2(2, 1)
    limited = False
    while head := jobs.read(4):
        facts = json.loads(jobs.read(int.from_bytes(head, "big")))
        profile = None if facts["profile"] is None else jobs.read(facts["profile"])
        limits = Limits(**facts["limits"])
        if not limited:
            _give_up(limits)
            limited = True
        data = jobs.read(facts["data"])
        _allow(limits.seconds)
        names = ("format", "frame", "index", "orientation", "inverted")
        size = Size(*facts["size"]) if facts["size"] else None
        job = Job(data=data, profile=profile, size=size, **{name: facts[name] for name in names})
        try:
            _reply(replies, pixels(job, limits))
        except PhotoRefused as error:
            _say(replies, {"refused": error.found, "fix": error.fix})


def _give_up(limits: Limits) -> None:
    """Lower what this process may do, as far as the system can: memory, core dumps, files, anything newly opened."""
    try:
        import resource
    except ImportError:  # Windows
        return
    for what, most in (
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 3),
    ):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(what, (most, most))


def _allow(seconds: float) -> None:
    """Let the system end this process when a job has cost so much time of the processor."""
    try:
        import resource
    except ImportError:  # Windows: whoever started us looks at the clock
        return
    spent = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(spent.ru_utime + spent.ru_stime + seconds), hard))


def _reply(replies: IO[bytes], found: Pixels) -> None:
    image = found.image
    _say(
        replies,
        {"mode": image.mode, "size": image.size, "notes": found.notes, "credit": found.credit},
        image.tobytes(),
    )


def _say(replies: IO[bytes], facts: dict[str, Any], body: bytes = b"") -> None:
    head = json.dumps(facts).encode()
    replies.write(len(head).to_bytes(4, "big") + head)
    replies.write(body)
    replies.flush()
