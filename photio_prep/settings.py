"""Settings: a flag before an environment variable before photio.toml, as typed values; UsageError for invalid ones."""

import math
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import platformdirs

from photio_prep.errors import UsageError
from photio_prep.imaging import limits as bounds
from photio_prep.quality import Level
from photio_prep.system import environment

_TEXTS, _TABLES = ("api_url", "proxy", "ca_bundle", "gate"), ("timeouts", "billing", "limits")
# Seconds that [timeouts] may set.
_RANGES = {"connect": (0.1, 600), "write": (0.1, 3600), "read": (0.1, 3600), "overall": (0.1, 7200)}


def models_folder() -> Path:
    """The folder of the weights: PHOTIO_MODELS, else `models` in the user's cache."""
    named = environment.variable("PHOTIO_MODELS")
    return Path(named) if named else Path(platformdirs.user_cache_dir("photio-prep", appauthor=False)) / "models"


def api_url(flag: str | None, default: str) -> str:
    """The endpoint: the flag, else PHOTIO_API_URL, else photio.toml, else `default`."""
    return flag or environment.variable("PHOTIO_API_URL") or _file().get("api_url") or default


def proxy() -> str | None:
    """The proxy for the API: PHOTIO_PROXY, else photio.toml. HTTPS_PROXY is ignored: it is not this tool's own."""
    return environment.variable("PHOTIO_PROXY") or _file().get("proxy")


def ca_bundle() -> str | None:
    """A file of certificates to trust instead of certifi's: PHOTIO_CA_BUNDLE, else photio.toml."""
    return environment.variable("PHOTIO_CA_BUNDLE") or _file().get("ca_bundle")


def gate(flag: str | None) -> Level:
    """Strictness of the gate: the flag, else PHOTIO_GATE, else photio.toml's `gate`, else "warn"."""
    named = flag or environment.variable("PHOTIO_GATE") or _file().get("gate") or Level.WARN
    try:
        return Level(named)
    except ValueError:
        raise UsageError(f"{named!r} is not a level of the gate", f"Choose one of: {', '.join(Level)}") from None


def timeouts() -> dict[str, float]:
    """The time-outs that photio.toml sets: seconds by name (connect, write, read, overall)."""
    seconds = {}
    for name, value in _file().get("timeouts", {}).items():
        low, high = _RANGES.get(name, (math.inf, -math.inf))
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            choices = ", ".join(f"{key} {start:g} to {end:g}" for key, (start, end) in _RANGES.items())
            raise UsageError(f"timeouts.{name} = {value!r}", f"Give seconds: {choices}", subject=str(config_file()))
        seconds[name] = float(value)
    return seconds


def server_error_is_free() -> bool:
    """`server_error_is_free` under `[billing]` in photio.toml: the vendor's promise that a 5xx is never billed."""
    value = _file().get("billing", {}).get("server_error_is_free", False)
    if not isinstance(value, bool):
        raise UsageError(f"server_error_is_free = {value!r}", "Give true or false", subject=str(config_file()))
    return value


def limits() -> bounds.Limits:
    """Limits of a photo: the defaults, changed by `[limits]` in photio.toml."""
    table = _file().get("limits", {})
    try:
        for name, value in table.items():
            bounds.check_limit(name, value)
    except UsageError as error:
        raise UsageError(error.problem, error.fix, subject=f"{config_file()}: [limits]") from None
    return bounds.Limits(**table)


def config_file() -> Path:
    """Path of photio.toml. Never in the current folder: downloaded photos must not set the API's URL."""
    return Path(platformdirs.user_config_dir("photio-prep", appauthor=False)) / "photio.toml"


@cache
def _file() -> dict[str, Any]:
    path = config_file()
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot be read ({str(error)[:120]})", "Correct or remove it", subject=str(path)) from None
    for name, value in table.items():
        if name not in _TEXTS + _TABLES:
            fix = f"Known: {', '.join(sorted(_TEXTS + _TABLES))}"
            raise UsageError(f"unknown setting {name!r}", fix, subject=str(path))
        if not isinstance(value, str if name in _TEXTS else dict):
            fix = "Give a text" if name in _TEXTS else f"Give a table: [{name}]"
            raise UsageError(f"{name} = {str(value)[:40]}", fix, subject=str(path))
    return table
