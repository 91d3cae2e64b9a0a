"""What the user set: flags before the environment before photio.toml. The only file that reads the environment.

Takes flags; gives settings. Touches the environment, `photio.toml` in the user's configuration folder, a key's file.
Raises UsageError for a value that cannot be meant, KeyRefused where a key is needed and there is none.
"""

import math
import os
import stat
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import platformdirs

from photio_prep import limits as bounds
from photio_prep.errors import KeyRefused, UsageError
from photio_prep.secret import Key
from photio_prep.verdict import Level

KEY_NAME = "PHOTIO_API_KEY"
_RANGES: dict[str, tuple[float, float]] = {
    "connect": (0.1, 600),
    "write": (0.1, 3600),
    "read": (0.1, 3600),
    "overall": (0.1, 7200),
}


def models_folder() -> Path:
    """Where weights lie: PHOTIO_MODELS, else `models` in the user's cache."""
    named = os.environ.get("PHOTIO_MODELS", "")
    return Path(named) if named else Path(platformdirs.user_cache_dir("photio-prep", appauthor=False)) / "models"


def api_url(flag: str | None, default: str) -> str:
    """The endpoint: the flag, else PHOTIO_API_URL, else photio.toml, else `default`."""
    return flag or os.environ.get("PHOTIO_API_URL") or _text("api_url") or default


def proxy() -> str | None:
    """The proxy for the API: PHOTIO_PROXY, else photio.toml. The usual HTTPS_PROXY is not obeyed: it is not ours."""
    return os.environ.get("PHOTIO_PROXY") or _text("proxy")


def ca_bundle() -> str | None:
    """A file of certificates to trust in place of certifi's: PHOTIO_CA_BUNDLE, else photio.toml."""
    return os.environ.get("PHOTIO_CA_BUNDLE") or _text("ca_bundle")


def threads() -> int:
    """How many threads a network may use: OMP_NUM_THREADS, which schedulers and Ray set for a worker; 0: any number."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    return int(told) if told.isdecimal() else 0


def gate(flag: str | None) -> Level:
    """How strict the gate is: the flag, else PHOTIO_GATE, else photio.toml's `gate`, else "warn".

    Raises:
        UsageError: It is none of off, warn, strict.
    """
    named = flag or os.environ.get("PHOTIO_GATE") or _text("gate") or Level.WARN
    try:
        return Level(named)
    except ValueError:
        raise UsageError(f"{named!r} is no level of the gate", f"Choose one of: {', '.join(Level)}") from None


def timeouts() -> dict[str, float]:
    """Seconds by name (connect, write, read, overall), as far as photio.toml sets them.

    Raises:
        UsageError: Not a number, or out of its range.
    """
    table = _file().get("timeouts", {})
    found = {}
    for name, value in table.items() if isinstance(table, dict) else [("timeouts", table)]:
        low, high = _RANGES.get(name, (math.inf, -math.inf))
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            choices = ", ".join(f"{each} {start:g} to {end:g}" for each, (start, end) in _RANGES.items())
            raise UsageError(f"timeouts.{name} = {value!r}", f"Give seconds: {choices}", subject=str(config_file()))
        found[name] = float(value)
    return found


def server_error_is_free() -> bool:
    """The vendor's word, in photio.toml, that a 5xx is never billed: `server_error_is_free` under `[billing]`."""
    table = _file().get("billing", {})
    value = table.get("server_error_is_free", False) if isinstance(table, dict) else table
    if not isinstance(value, bool):
        raise UsageError(f"server_error_is_free = {value!r}", "Give true or false", subject=str(config_file()))
    return value


def limits() -> bounds.Limits:
    """What a photo may be at most: the defaults, and what photio.toml sets under `[limits]`.

    Raises:
        UsageError: An unknown limit, or one out of its range.
    """
    table = _file().get("limits", {})
    if not isinstance(table, dict):
        raise UsageError(f"limits = {str(table)[:40]}", "Give a table: [limits]", subject=str(config_file()))
    try:
        for name, value in table.items():
            bounds.checked(name, value)
    except UsageError as error:
        raise UsageError(error.found, error.fix, subject=f"{config_file()}: [limits]") from None
    return bounds.Limits(**table)


# What a program needs to start and find its libraries; never a key.
_HARMLESS = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR", "TEMP")


def for_children() -> dict[str, str]:
    """The environment of a process that decodes pictures: nothing of the user's but where libraries lie."""
    # One thread: a pool for each core takes address space, which is limited, and gives nothing.
    return {"OPENBLAS_NUM_THREADS": "1"} | {name: os.environ[name] for name in _HARMLESS if name in os.environ}


def tell_ray() -> None:
    """What a Ray that we start shall do, unless the user said otherwise.

    It tells its makers nothing about this machine, and keeps a worker that has nothing to do for ten minutes: it would
    end it after a second, and each new one takes a second of processor for its imports.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_idle_worker_killing_time_threshold_ms", "600000")


def key(key_file: Path | None = None, *, from_stdin: bool = False, from_keyring: bool = False) -> Key:
    """The API key: from --key-file (mode 0600), --key-stdin, --keyring, or PHOTIO_API_KEY. Never from a flag's value.

    Raises:
        KeyRefused: There is none, it is malformed, or others may read its file.
    """
    if key_file is not None:
        return Key(_guarded(key_file))
    if from_stdin:
        return Key(_piped())
    if from_keyring:
        return Key(_stored())
    found = os.environ.get(KEY_NAME)
    if found is None:
        raise KeyRefused(
            "there is no API key", f"Set {KEY_NAME}, or use --key-file or --key-stdin; --sandbox needs none"
        )
    return Key(found)


def has_key() -> bool:
    """Whether the environment holds a key. It never changes what a verb does."""
    return bool(os.environ.get(KEY_NAME))


def config_file() -> Path:
    """Where photio.toml lies. Never the current folder: somebody else's photos must not bring an API's URL along."""
    return Path(platformdirs.user_config_dir("photio-prep", appauthor=False)) / "photio.toml"


def _piped() -> str:
    try:
        line = sys.stdin.buffer.readline(4096)
    except OSError as error:
        raise KeyRefused(f"standard input cannot be read ({error.strerror or error})", "Pipe the key into it") from None
    if not line:
        raise KeyRefused("standard input is closed or empty, so it holds no key", "Pipe the key into it")
    return line.decode("ascii", "replace")


def _stored() -> str:
    try:
        import keyring
    except ImportError:
        raise KeyRefused("keyring is not installed", 'Run: pip install "photio-prep[keyring]"') from None
    try:
        found: str | None = keyring.get_password("photio-prep", KEY_NAME)
    except keyring.errors.KeyringError as error:
        raise KeyRefused(f"the system's key store cannot be read ({error})", f"Set {KEY_NAME}") from None
    if found is None:
        raise KeyRefused("the system's key store holds no key", f"Run: keyring set photio-prep {KEY_NAME}")
    return found


def _guarded(path: Path) -> str:
    try:
        # Opened without waiting: a pipe that nobody writes to would hang.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0))) as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise KeyRefused("not a regular file", "Put the key into a file of its own", subject=str(path))
            if os.name == "posix" and mode & 0o077:
                raise KeyRefused("others may read the key's file", f"Run: chmod 600 {path}", subject=str(path))
            return file.read(4096).decode("ascii", "replace")
    except OSError as error:
        raise KeyRefused(
            f"the key's file cannot be read ({error.strerror})", "Check the path", subject=str(path)
        ) from None


def _text(name: str) -> str | None:
    value = _file().get(name)
    if value is not None and not isinstance(value, str):
        raise UsageError(f"{name} = {value!r}", "Give a text", subject=str(config_file()))
    return value


@cache
def _file() -> dict[str, Any]:
    path = config_file()
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot be read ({str(error)[:120]})", "Mend or remove it", subject=str(path)) from None
    known = {"api_url", "proxy", "ca_bundle", "gate", "timeouts", "billing", "limits"}
    if unknown := sorted(set(found) - known):
        raise UsageError(f"unknown setting {unknown[0]!r}", f"Known: {', '.join(sorted(known))}", subject=str(path))
    return found
