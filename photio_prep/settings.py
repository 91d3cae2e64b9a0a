"""Settings: a flag before an environment variable before photio.toml, as typed values; UsageError for invalid ones."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import platformdirs

from photio_prep.errors import UsageError
from photio_prep.imaging.limits import Limits
from photio_prep.quality import Level
from photio_prep.system import environment
from photio_prep.system.deadline import Timeouts
from photio_prep.system.ranges import check_options


@dataclass(frozen=True, slots=True)
class _Billing:
    server_error_is_free: bool = False

    def __post_init__(self) -> None:
        check_options(self)


_TEXTS = ("api_url", "proxy", "ca_bundle", "gate")
_SECTIONS: dict[str, Any] = {"timeouts": Timeouts, "billing": _Billing, "limits": Limits}


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
    recorded, named = _file().get("gate", Level.WARN), environment.variable("PHOTIO_GATE")  # checked with any flag
    return _parse_level(flag) if flag else _parse_level(named, "PHOTIO_GATE") if named else Level(recorded)


def timeouts() -> Timeouts:
    """The time-outs of a call: the defaults, changed by `[timeouts]` in photio.toml."""
    section: Timeouts = _file()["timeouts"]
    return section


def server_error_is_free() -> bool:
    """`server_error_is_free` under `[billing]` in photio.toml: the vendor's promise that a 5xx is never billed."""
    return bool(_file()["billing"].server_error_is_free)


def limits() -> Limits:
    """Limits of a photo: the defaults, changed by `[limits]` in photio.toml."""
    section: Limits = _file()["limits"]
    return section


def config_file() -> Path:
    """Path of photio.toml. Never in the current folder: downloaded photos must not set the API's URL."""
    return Path(platformdirs.user_config_dir("photio-prep", appauthor=False)) / "photio.toml"


def _parse_level(name: str, subject: str = "") -> Level:
    try:
        return Level(name)
    except ValueError:
        problem = f"{str(name)[:40]!r} is not a level of the gate"
        raise UsageError(problem, f"Choose one of: {', '.join(Level)}", subject=subject) from None


@cache
def _file() -> dict[str, Any]:
    """The content of photio.toml, checked whole: its texts, and each section as its dataclass."""
    path = config_file()
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        table = {}
    except (OSError, ValueError) as error:
        fix = "Correct it" if isinstance(error, ValueError) else "Check the rights, or set HOME to your own folder"
        raise UsageError(f"cannot be read ({str(error)[:120]})", fix, subject=str(path)) from None
    _check_names(table, [*_TEXTS, *_SECTIONS], str(path))
    for name in table.keys() & _TEXTS:
        if not isinstance(table[name], str):
            raise UsageError(f"{name} = {str(table[name])[:40]}", "Give a text", subject=str(path))
    if "gate" in table:
        _parse_level(table["gate"], str(path))
    for name, kind in _SECTIONS.items():
        section, subject = table.get(name, {}), f"{path}: [{name}]"
        if not isinstance(section, dict):
            raise UsageError(f"{name} = {str(section)[:40]}", f"Give a table: [{name}]", subject=str(path))
        _check_names(section, [field.name for field in fields(kind)], subject)
        try:
            table[name] = kind(**section)
        except UsageError as error:
            raise UsageError(error.problem, error.fix, subject=subject) from None
    return table


def _check_names(table: Mapping[str, object], known: Sequence[str], subject: str) -> None:
    if unknown := sorted(table.keys() - known):
        raise UsageError(f"unknown setting {unknown[0][:40]!r}", f"Known: {', '.join(known)}", subject=subject)
