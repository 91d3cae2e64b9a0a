"""Runs the real command line, in this process or in one of its own, and keeps what it said.

Takes arguments as a shell would give them; gives exit code, stdout and stderr.
Touches what the command touches.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from photio_prep import cli, settings
from photio_prep.cutout.models import registry

KEY = "pt-canary-5c1e77b0a9d4"
# What the user's own shell may hold and no test may see.
NAMES = ("PHOTIO_API_KEY", "PHOTIO_API_URL", "PHOTIO_PROXY", "PHOTIO_CA_BUNDLE")


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def paths(self) -> list[Path]:
        return [Path(line) for line in self.lines]

    @property
    def facts(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


Command = Callable[..., Said]


# A process hands down which signals it ignores: under nohup SIGHUP, behind `&` in a script SIGINT. An interpreter that
# resets them and becomes the command has the same number; a preexec_fn would run Python between fork and exec.
_RESET = """
import os, signal, sys
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    if signal.getsignal(number) is not signal.SIG_DFL:
        signal.signal(number, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_SETMASK, [])
os.execv(sys.argv[1], sys.argv[1:])
"""


def with_default_signals(command: list[str]) -> list[str]:
    """`command`, a full path and its arguments, with the signals of a terminal however the tests were started."""
    return [sys.executable, "-I", "-S", "-c", _RESET, *command]


def bare_surroundings(patch: pytest.MonkeyPatch, home: Path) -> None:
    """No key, no URL, an empty configuration folder; weights stay where they are."""
    patch.setenv("PHOTIO_MODELS", str(settings.models_folder()))
    for name in NAMES:
        patch.delenv(name, raising=False)
    patch.setenv("XDG_CONFIG_HOME", str(home))
    patch.setenv("XDG_STATE_HOME", str(home))
    forget()


def forget() -> None:
    """A new process would know nothing of earlier settings and models."""
    settings._file.cache_clear()
    registry.get_model.cache_clear()


def here(capsys: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> Command:
    """A runner of commands in this process: `run("prepare", path, "-o", out, stdin=b"...")`."""

    def run(*arguments: object, stdin: bytes = b"") -> Said:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            cli.main([str(each) for each in arguments])
        said = capsys.readouterr()
        code = left.value.code
        assert isinstance(code, int | None)
        return Said(code or 0, said.out, said.err)

    return run


# Every warning is an error, but for those by which Ray warns of itself.
_STRICT = ("-W", "error", "-W", "ignore::DeprecationWarning:ray.data.context")


def alone(*arguments: object, stdin: bytes = b"", before: str = "", **surroundings: str) -> Said:
    """The command in a process of its own; `before` is Python that runs first there."""
    start = f"{before}\nfrom photio_prep.cli import main\nmain()" if before else ""
    head = ["-c", start] if start else ["-m", "photio_prep"]
    done = subprocess.run(
        # Ray warns of itself.
        [
            sys.executable,
            "-W",
            "error",
            "-W",
            "ignore::DeprecationWarning:ray.data.context",
            *head,
            *map(str, arguments),
        ],
        input=stdin,
        capture_output=True,
        timeout=120,
        env={**os.environ, **surroundings},
        check=False,
    )
    return Said(done.returncode, done.stdout.decode(), done.stderr.decode())
