"""The child process that decodes untrusted files: jobs on standard input, pixels on standard output."""

import contextlib
import json
import math
import os
import signal
import sys
import warnings
from typing import IO, Any

from PIL import Image

from photio_prep.errors import PhotoRefused
from photio_prep.imaging.decoders import DecodeTask, decode_pixels
from photio_prep.imaging.limits import Limits

try:
    import resource
except ImportError:  # Windows: the parent process watches the clock
    resource = None  # type: ignore[assignment]

with contextlib.suppress(ImportError):
    import pillow_heif  # noqa: F401  after the limits no file can be opened


def serve_tasks() -> None:
    """Decode jobs until standard input ends."""
    # Ctrl-C reaches all processes of the terminal; the parent process decides when this one ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore")
    Image.MAX_IMAGE_PIXELS = None  # our limits apply; a strip of a TIFF is unpacked as a grey picture of bytes
    jobs, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # Output of C libraries must not mix with the replies.
    os.dup2(2, 1)
    limited = False
    while head := jobs.read(4):
        header = json.loads(jobs.read(int.from_bytes(head, "big")))
        limits = Limits(**header.pop("limits"))
        if not limited:
            _drop_rights(limits)
            limited = True
        header["profile"] = jobs.read(header["profile"])
        header["data"] = jobs.read(header["data"])
        _limit_processor_time(limits.seconds)
        try:
            image, notes = decode_pixels(DecodeTask(**header), limits)
            _send(replies, {"mode": image.mode, "size": image.size, "notes": notes}, image.tobytes())
        except PhotoRefused as error:
            _send(replies, {"refused": error.problem, "fix": error.fix})


def _drop_rights(limits: Limits) -> None:
    """Limit memory, core dumps, file sizes and open files of this process, as far as the system can."""
    if resource is not None:
        for kind, limit in (
            (resource.RLIMIT_AS, limits.memory),
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_FSIZE, 0),
            (resource.RLIMIT_NOFILE, 3),
        ):
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(kind, (limit, limit))


def _limit_processor_time(seconds: float) -> None:
    """Let the system end this process when the next job has used `seconds` of processor time."""
    if resource is not None:
        spent = resource.getrusage(resource.RUSAGE_SELF)
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(spent.ru_utime + spent.ru_stime + seconds), hard))


def _send(replies: IO[bytes], header: dict[str, Any], body: bytes = b"") -> None:
    head = json.dumps(header).encode()
    replies.write(len(head).to_bytes(4, "big") + head)
    replies.write(body)
    replies.flush()
