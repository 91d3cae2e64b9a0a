"""Counts the calls whose order on disk and wire a crash can cut, and kills the process right before a chosen one.

Takes: a target `module:function`, called with a list of strings, and a plan. Gives: its exit status, or SIGKILL.
Touches: the running interpreter (audit hook, a few functions wrapped), so never import it into a test process;
`tests.crash.harness` starts it, forked (fast) or alone: `PHOTIO_CRASH='{"root": ...}' python -m ...bootstrap TARGET`.

A point is a call on a file below `root` or on an internet socket. Where the interpreter audits a call (open, rename,
mkdir, link, unlink, connect, lock), the audit hook sees it even out of C code; what it does not audit (write, fsync,
send, recv) is wrapped. The kill always comes *before* the call: after the n-th is before the n+1st, and a last point
`exit` stands behind the last call. `torn` lets half of a write or send happen first, as a real SIGKILL may.
"""

from __future__ import annotations

import _socket
import builtins
import functools
import importlib
import io
import json
import os
import signal
import socket
import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

AUDITED = {
    "open": "open",
    "os.rename": "rename",
    "os.remove": "unlink",
    "os.mkdir": "mkdir",
    "os.rmdir": "rmdir",
    "os.link": "link",
    "os.symlink": "symlink",
    "os.truncate": "truncate",
    "fcntl.flock": "lock",
    "fcntl.lockf": "lock",
}
# With the position of the data in the arguments where half of it can be written.
ON_DESCRIPTORS = {
    "write": 1,
    "pwrite": 1,
    "fsync": None,
    "fdatasync": None,
    "writev": None,
    "sendfile": None,
    "copy_file_range": None,
}
ON_SOCKETS = {"send": 1, "sendall": 1, "sendmsg": None, "recv": None, "recv_into": None, "recvmsg": None}


@dataclass(slots=True)
class Plan:
    """Where to die: at point `at` (0: nowhere, only count), before the call or in the middle of it.

    With `error` (an errno: a full disk, a broken one) nobody dies: from that point on, what fills the disk fails.
    """

    root: str
    at: int = 0
    torn: bool = False
    error: int = 0
    seen: list[tuple[str, str, bool]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


FILLING = frozenset({"write", "pwrite", "writev", "fsync", "fdatasync", "sendfile", "copy_file_range"})
_plan: Plan | None = None


def _point(kind: str, detail: str, half: Callable[[], object] | None = None) -> None:
    plan = _plan
    if plan is None:
        return
    with plan.lock:
        plan.seen.append((kind, detail, half is not None))
        if plan.error:
            if kind in FILLING and 0 < plan.at <= len(plan.seen):
                raise OSError(plan.error, os.strerror(plan.error), detail)
            return
        if len(plan.seen) != plan.at:
            return
        if plan.torn and half is not None:
            half()
        os.kill(os.getpid(), signal.SIGKILL)


def _below(name: Any) -> str | None:
    """The path within the plan's root, or None where this call is none of ours."""
    plan = _plan
    if plan is None:
        return None
    try:
        path = os.readlink(f"/proc/self/fd/{name}") if isinstance(name, int) else os.fsdecode(name)  # noqa: PTH115
    except (OSError, TypeError):
        return None
    if not path.startswith("/"):
        # Relative, perhaps to a dir_fd that the audit does not tell; imports only ever open absolute paths.
        return path
    path = os.path.normpath(path)
    return path[len(plan.root) :].lstrip("/") or "." if (path + "/").startswith(plan.root + "/") else None


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _plan is None:
        return
    if (kind := AUDITED.get(event)) and (path := _below(arguments[0])) is not None:
        _point(kind, path)
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        _point("connect", f"{arguments[1][0]}")


def _half(data: Any) -> memoryview:
    view = memoryview(data).cast("B")
    return view[: len(view) // 2]


def _wrap_descriptor_call(name: str, data_at: int | None) -> None:
    real = getattr(os, name)

    @functools.wraps(real)
    def counted(*arguments: Any, **named: Any) -> Any:
        # sendfile and copy_file_range name the target first or second; writing is what counts, so look at both.
        path = next((p for fd in arguments[:2] if isinstance(fd, int) and (p := _below(fd)) is not None), None)
        if path is not None:
            half = None
            if data_at is not None:
                shorter = (*arguments[:data_at], _half(arguments[data_at]), *arguments[data_at + 1 :])
                half = functools.partial(real, *shorter, **named)
            _point(name, path, half)
        return real(*arguments, **named)

    setattr(os, name, counted)


def _wrap_socket_call(name: str, data_at: int | None) -> None:
    real = getattr(socket.socket, name)

    @functools.wraps(real)
    def counted(*arguments: Any, **named: Any) -> Any:
        if _plan is not None and arguments[0].family in (socket.AF_INET, socket.AF_INET6):
            half = None
            if data_at is not None:
                half = functools.partial(_socket.socket.sendall, arguments[0], _half(arguments[1]))
            _point("send" if "send" in name else "recv", name, half)
        return real(*arguments, **named)

    setattr(socket.socket, name, counted)


class CountedFile(io.FileIO):
    """The raw layer under `open(..., "w")`: the buffers above it are C, but call `write` by name."""

    def write(self, data: Any, /) -> int:
        if (path := _below(self.fileno())) is not None:
            _point("write", path, functools.partial(super().write, _half(data)))
        return super().write(data)

    def truncate(self, size: int | None = None, /) -> int:
        if (path := _below(self.fileno())) is not None:
            _point("truncate", path)
        return super().truncate(size)


def _wrap_open() -> None:
    real = io.open

    @functools.wraps(real)
    def counted(
        file: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,
        opener: Any = None,
    ) -> Any:
        if _plan is None or not set(mode) & set("wax+"):
            return real(file, mode, buffering, encoding, errors, newline, closefd, opener)
        raw = CountedFile(file, mode.replace("b", "").replace("t", ""), closefd, opener)
        if buffering == 0:
            return raw
        size = buffering if buffering > 1 else io.DEFAULT_BUFFER_SIZE
        buffered = io.BufferedRandom(raw, size) if "+" in mode else io.BufferedWriter(raw, size)
        if "b" in mode:
            return buffered
        text = io.TextIOWrapper(buffered, encoding, errors, newline, line_buffering=buffering == 1)
        text.mode = mode  # type: ignore[misc]
        return text

    # pathlib and os.fdopen look it up in io, tempfile in _io, everybody else in builtins.
    for module in (builtins, io, importlib.import_module("_io")):
        module.open = counted  # type: ignore[attr-defined]


def install() -> None:
    """Put the counters in place, asleep; before the target is imported, since it may keep `from os import fsync`."""
    sys.addaudithook(_audit)
    for name, data_at in ON_DESCRIPTORS.items():
        _wrap_descriptor_call(name, data_at)
    for name, data_at in ON_SOCKETS.items():
        _wrap_socket_call(name, data_at)
    _wrap_open()


def load(target: str) -> Callable[[list[str]], object]:
    module, _, name = target.partition(":")
    function: Callable[[list[str]], object] = getattr(importlib.import_module(module), name)
    return function


def call(function: Callable[[list[str]], object], arguments: list[str], plan: Plan) -> int:
    """Run the target under the plan and give its exit status, as the interpreter would."""
    global _plan
    _plan = plan
    try:
        code = function(arguments)
    except SystemExit as end:
        code = end.code
    finally:
        _point("exit", "")
        _plan = None
    if code is None or isinstance(code, int):
        return int(code or 0)
    print(code, file=sys.stderr)
    return 1


def main() -> int:
    given = json.loads(os.environ["PHOTIO_CRASH"])
    trace = given.pop("trace", None)
    install()
    plan = Plan(**given)
    code = call(load(sys.argv[1]), sys.argv[2:], plan)
    if trace:
        with open(trace, "w", encoding="utf-8") as file:
            json.dump(plan.seen, file)
    return code


if __name__ == "__main__":
    sys.exit(main())
