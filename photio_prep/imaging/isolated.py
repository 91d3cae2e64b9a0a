"""A job -> its pixels, decoded in a process of its own.

A decoder that crashes, hangs or eats memory there costs one picture and not the batch. Takes jobs; gives pictures.
Touches processes: one child at a time for each thread that decodes, started at the first need and kept until this
process ends (or `close` is called). It is started like any program, not forked and not by `multiprocessing`, so that
nothing of the caller's is run twice; it gets no secrets, and can neither open nor write a file. Raises PhotoRefused.
"""

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import asdict
from typing import IO

from PIL import Image

from photio_prep.errors import PhotoRefused, UsageError
from photio_prep.imaging.decoders import Job, Pixels
from photio_prep.imaging.limits import Limits
from photio_prep.system import environment, threads
from photio_prep.types import Credit

# Without the caller's environment the child would not find us where we are not installed: it is told sys.path.
_START = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from photio_prep.imaging.isolated_child import serve
serve()
"""
_LONGEST_REPLY = 2**16
_BANDS = {"RGB": 3, "RGBA": 4}
# Where the system counts a child's time on the processor, the clock waits longer: the machine may be busy.
_PATIENCE = 3 if os.name == "posix" else 1
# What the system ends a child with that has used up its time: SIGXCPU.
_TIME_IS_UP = -getattr(signal, "SIGXCPU", 0)
# F_SETPIPE_SZ of Linux, and 1 MiB in place of 64 KiB: pictures pass with fewer changes of process.
_PIPE_SIZE, _WIDE = 1031, 2**20


class _Died(Exception):
    """The child ended before it answered; whether another one should be asked, because this one may not be to blame."""

    def __init__(self, found: str = "", *, again: bool = False) -> None:
        super().__init__(found)
        self.again = again


class _Child:
    """One process that decodes, one job after the other."""

    def __init__(self) -> None:
        paths = json.dumps([each for each in sys.path if isinstance(each, str)])
        self.owner = os.getpid()
        self.late = False
        self.used = False
        self.process = subprocess.Popen(  # noqa: S603  our own interpreter and our own text
            [sys.executable, "-I", "-c", _START, paths],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment.for_children(),
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        if sys.platform == "linux":
            import fcntl

            for pipe in self._pipes():
                with contextlib.suppress(OSError):
                    fcntl.fcntl(pipe, _PIPE_SIZE, _WIDE)

    def ask(self, job: Job, limits: Limits) -> Pixels:
        """The child's reply to a job.

        Raises:
            PhotoRefused: What it says.
            _Died: It ended, or was ended because it took too long.
        """
        with threads.deadline(limits.seconds * _PATIENCE, self._stop):
            try:
                jobs, replies = self._pipes()
                _send(jobs, job, limits)
                return _received(replies, limits)
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise _Died from error
            finally:
                self.used = True

    def _pipes(self) -> list[IO[bytes]]:
        return [pipe for pipe in (self.process.stdin, self.process.stdout) if pipe is not None]

    def _stop(self) -> None:
        self.late = True
        self.process.kill()

    def close(self) -> int:
        """End it; its return code."""
        self.process.kill()
        self._hang_up()
        return self.process.wait()

    def leave(self) -> None:
        """Leave it to the process that we were forked from."""
        self._hang_up()
        self.process.returncode = 0  # or its end would be warned of

    def _hang_up(self) -> None:
        for pipe in self._pipes():
            with contextlib.suppress(OSError):
                pipe.close()


class _Idle:
    """The children that wait for work."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._children: list[_Child] = []
        self._watched = False

    def take(self) -> _Child:
        """A child that waits, or a new one."""
        with self._lock:
            if not self._watched:
                atexit.register(self.close)
                self._watched = True
            while self._children:
                child = self._children.pop()
                # After a fork the pipes belong to the process that made them.
                if child.owner == os.getpid():
                    return child
                child.leave()
        return _Child()

    def give_back(self, child: _Child) -> None:
        """Keep a child for the next job."""
        with self._lock:
            self._children.append(child)

    def close(self) -> None:
        """End the children that wait."""
        with self._lock:
            children, self._children = self._children, []
        for child in children:
            if child.owner == os.getpid():
                child.close()


_IDLE = _Idle()


def close() -> None:
    """End the children that wait for work; the next odd picture starts a new one."""
    _IDLE.close()


def pixels(job: Job, limits: Limits) -> Pixels:
    """As `pixels.pixels`, in a process of its own, within `limits.seconds` and `limits.memory`.

    Raises:
        PhotoRefused: What the decoder finds; it crashed, took too long, or cannot be started.
    """
    try:
        try:
            return _asked(job, limits)
        except _Died as error:
            if not error.again:
                raise
            return _asked(job, limits)
    except _Died as error:
        raise PhotoRefused(
            f"the decoder of {job.format} crashed on it ({error})", "Export it again as JPEG or PNG"
        ) from None


def _asked(job: Job, limits: Limits) -> Pixels:
    try:
        threads.ready()
        child = _IDLE.take()
    except (OSError, ValueError, UsageError) as error:
        raise PhotoRefused(
            f"the decoder of {job.format} runs in a process of its own, which cannot be started ({error})",
            'Export it as JPEG or PNG, or, if you trust the file, set isolate = "none" under [limits] in photio.toml',
        ) from None
    used, fit = child.used, False
    try:
        found = child.ask(job, limits)
        fit = True
    except PhotoRefused:
        fit = True
        raise
    except _Died:
        if child.late:
            raise _too_slow(limits) from None
        code = child.close()
        if code == _TIME_IS_UP and code:
            raise _too_slow(limits) from None
        # Waited and died meanwhile, or killed from outside when memory ran out: the picture is not to blame.
        raise _Died(_ended(code), again=used or code == -9) from None
    finally:
        if fit and not child.late:
            _IDLE.give_back(child)
        else:
            child.close()
    return found


def _too_slow(limits: Limits) -> PhotoRefused:
    return PhotoRefused(f"its decoder was stopped after {limits.seconds:g} s", "Export it again as JPEG or PNG")


def _ended(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"code {code}"


def _send(pipe: IO[bytes], job: Job, limits: Limits) -> None:
    facts = {
        "format": job.format,
        "frame": job.frame,
        "index": job.index,
        "orientation": job.orientation,
        "inverted": job.inverted,
        "size": job.size,
        "profile": None if job.profile is None else len(job.profile),
        "data": len(job.data),
        "limits": asdict(limits),
    }
    head = json.dumps(facts).encode()
    pipe.write(len(head).to_bytes(4, "big") + head + (job.profile or b""))
    pipe.write(job.data)
    pipe.flush()


def _received(pipe: IO[bytes], limits: Limits) -> Pixels:
    """What the child says. It has read bytes that were made to hurt: nothing of it is believed unseen."""
    length = int.from_bytes(_exactly(pipe, 4), "big")
    if length > _LONGEST_REPLY:
        raise ValueError("a reply that is too long")
    reply = json.loads(_exactly(pipe, length))
    if "refused" in reply:
        raise PhotoRefused(str(reply["refused"])[:500], str(reply["fix"])[:200])
    mode, (width, height) = reply["mode"], reply["size"]
    if mode not in _BANDS or type(width) is not int or type(height) is not int:
        raise ValueError("a reply that cannot be")
    if min(width, height) < 1 or width * height > limits.pixels:
        raise ValueError("a reply that cannot be")
    notes = tuple(str(each)[:200] for each in reply["notes"])
    credit = Credit(*(str(each)[:200] for each in reply["credit"]))
    body = _exactly(pipe, width * height * _BANDS[mode])
    return Pixels(Image.frombytes(mode, (width, height), body), credit, notes)


def _exactly(pipe: IO[bytes], length: int) -> bytes:
    data = pipe.read(length)
    if len(data) != length:
        raise ValueError("it ended in the middle of its reply")
    return data
