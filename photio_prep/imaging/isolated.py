"""Decode in a child process: a decoder that crashes, hangs or exhausts memory costs one picture, not the batch.

Each decoding thread uses one child at a time, started at the first need and reused until this process ends (or
`close_workers` is called). It gets no secrets, and can neither open nor write a file.
"""

import atexit
import contextlib
import json
import os
import signal
import sys
import threading
from dataclasses import asdict
from typing import IO

from PIL import Image

from photio_prep.errors import PhotoRefused, UsageError
from photio_prep.imaging.decoders import DecodedImage, DecodeTask
from photio_prep.imaging.limits import Limits, raise_limit
from photio_prep.system import environment, threads
from photio_prep.system.processes import Child

_LONGEST_REPLY = 2**16
_BANDS = {"RGB": 3, "RGBA": 4}
# On POSIX the system limits the child's processor time, so the clock waits longer: the machine may be busy.
_PATIENCE = 3 if os.name == "posix" else 1
# Return code of a child that has used up its processor time.
_TIME_IS_UP = -getattr(signal, "SIGXCPU", 0)
# F_SETPIPE_SZ of Linux, and 1 MiB instead of 64 KiB: fewer context switches for a picture.
_SET_PIPE_SIZE, _PIPE_BYTES = 1031, 2**20


class _WorkerDied(Exception):
    """The child ended before its reply."""


class _Decoder(Child):
    """One decoding process, for one job at a time."""

    def __init__(self) -> None:
        variables = environment.child_environment()  # not the caller's environment
        super().__init__("photio_prep.imaging.isolated_child", "serve_tasks", variables, quiet=True)
        self.late = self.used = False
        if sys.platform == "linux":
            import fcntl

            for pipe in (self.tasks, self.replies):
                with contextlib.suppress(OSError):
                    fcntl.fcntl(pipe, _SET_PIPE_SIZE, _PIPE_BYTES)

    def decode(self, job: DecodeTask, limits: Limits) -> DecodedImage:
        """Send a job and read the reply; _WorkerDied if the child ended, or was stopped after its time."""
        profile = job.profile or b""
        header = asdict(job) | {"profile": len(profile), "data": len(job.data), "limits": asdict(limits)}
        head = json.dumps(header).encode()
        with threads.deadline(limits.seconds * _PATIENCE, self._stop):
            try:
                self.tasks.write(len(head).to_bytes(4, "big") + head + profile)
                self.tasks.write(job.data)
                self.tasks.flush()
                return _receive(self.replies, limits)
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise _WorkerDied from error
            finally:
                self.used = True

    def _stop(self) -> None:
        self.late = True
        self.process.kill()


class _WorkerPool:
    """The idle children."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._children: list[_Decoder] = []
        atexit.register(self.close)

    def take(self) -> _Decoder:
        """An idle child, or a new one."""
        with self._lock:
            while self._children:
                child = self._children.pop()
                if child.owner == os.getpid():
                    return child
                child.close()
        return _Decoder()

    def give_back(self, child: _Decoder) -> None:
        with self._lock:
            self._children.append(child)

    def close(self) -> None:
        with self._lock:
            children, self._children = self._children, []
        for child in children:
            child.close()


_IDLE = _WorkerPool()


def close_workers() -> None:
    """End the idle children; the next job starts a new one."""
    _IDLE.close()


def decode_isolated(job: DecodeTask, limits: Limits, *, retry: bool = True) -> DecodedImage:
    """Decode as `decode_pixels` does, in a child process, within `limits.seconds` and `limits.memory`.

    Raises:
        PhotoRefused: Refused by the decoder, or the child crashed, took too long, or cannot be started.
    """
    try:
        threads.ready()
        child = _IDLE.take()
    except (OSError, ValueError, UsageError) as error:
        raise PhotoRefused(
            f"the decoder of {job.format} runs in a process of its own, which cannot be started ({error})",
            'Export it as JPEG or PNG, or, if you trust the file, set isolate = "none" under [limits] in photio.toml',
        ) from None
    was_used, healthy = child.used, False
    try:
        decoded = child.decode(job, limits)
        healthy = True
    except PhotoRefused:
        healthy = True
        raise
    except _WorkerDied:
        code = child.close()
        if child.late or (code == _TIME_IS_UP and code):
            raise PhotoRefused(
                f"its decoder was stopped after {limits.seconds:g} s",
                f"Export it again as JPEG or PNG, or {raise_limit('seconds')}",
            ) from None
        # It died while idle, or was killed from outside when memory ran out: not because of the picture.
        if retry and (was_used or code == -9):
            return decode_isolated(job, limits, retry=False)
        reason = f"signal {-code}" if code < 0 else f"code {code}"
        raise PhotoRefused(
            f"the decoder of {job.format} crashed on it ({reason})", "Export it again as JPEG or PNG"
        ) from None
    finally:
        if healthy and not child.late:
            _IDLE.give_back(child)
        else:
            child.close()
    return decoded


def _receive(pipe: IO[bytes], limits: Limits) -> DecodedImage:
    """Read a reply and check all of it: hostile bytes may have taken the child over."""
    length = int.from_bytes(_read_exactly(pipe, 4), "big")
    if length > _LONGEST_REPLY:
        raise ValueError("the reply is too long")
    reply = json.loads(_read_exactly(pipe, length))
    if "refused" in reply:
        raise PhotoRefused(str(reply["refused"])[:500], str(reply["fix"])[:200])
    mode, (width, height) = reply["mode"], reply["size"]
    if mode not in _BANDS or type(width) is not int or type(height) is not int:
        raise ValueError("the reply is not valid")
    if min(width, height) < 1 or width * height > limits.pixels:
        raise ValueError("the reply is not valid")
    notes = tuple(str(note)[:200] for note in reply["notes"])
    body = _read_exactly(pipe, width * height * _BANDS[mode])
    return DecodedImage(Image.frombytes(mode, (width, height), body), notes)


def _read_exactly(pipe: IO[bytes], length: int) -> bytes:
    data = pipe.read(length)
    if len(data) != length:
        raise ValueError("the reply is incomplete")
    return data
