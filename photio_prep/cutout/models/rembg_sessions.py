"""rembg's session classes, imported without the rest of rembg.

`import rembg` loads its compositor with pymatting, numba and scikit-image: 1.0 s and 221 MB, where one session module
takes 0.15 s and 47 MB (nearly all of it onnxruntime's). Its first import on a fresh install compiles for 44 s. The
sub-package `rembg.sessions` does not need the compositor. So it is loaded from rembg's files under an alias, and a
later `import rembg` by the user is not affected.
"""

import importlib
import importlib.util
import re
import sys
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from photio_prep.errors import ModelUnavailable
from photio_prep.system import environment

_ALIAS = "_photio_prep_rembg_sessions"
_LOADING = threading.RLock()
_UPGRADE = "Run: pip install --upgrade rembg"


@cache
def load_onnxruntime() -> ModuleType:
    """Import onnxruntime, with its reports to its makers off. Importing photio_prep does not do it."""
    environment.disable_telemetry()
    return importlib.import_module("onnxruntime")


def import_session(module: str, name: str) -> Any:  # noqa: ANN401  rembg has no types
    """Import one session class of rembg; ModelUnavailable if rembg is not installed, or has none of that name."""
    with _LOADING:
        _register_alias()
        try:
            return getattr(importlib.import_module(f"{_ALIAS}.{module}"), name)
        except (ImportError, AttributeError) as error:
            raise ModelUnavailable(f"this rembg has no session {module}.{name} ({error})", _UPGRADE) from error


def import_all() -> dict[str, Any]:
    """Import all session classes of rembg, by name, from its registry: 0.5 s, because SAM's needs scipy."""
    with _LOADING:
        package = _register_alias()
        try:
            if not hasattr(package, "sessions_names") and package.__spec__ and package.__spec__.loader:
                package.__spec__.loader.exec_module(package)
            registry: dict[str, Any] = dict(package.sessions)
        except (ImportError, AttributeError) as error:
            raise ModelUnavailable(f"rembg's sessions do not load ({error})", _UPGRADE) from error
    return registry


def _register_alias() -> ModuleType:
    """Register the sub-package under the alias; its `__init__`, which imports all sessions, is not run."""
    if _ALIAS not in sys.modules:
        load_onnxruntime()
        rembg = importlib.util.find_spec("rembg")
        if rembg is None or not rembg.submodule_search_locations:
            raise ModelUnavailable("rembg is not installed", "Run: pip install rembg")
        folder = Path(rembg.submodule_search_locations[0], "sessions")
        spec = importlib.util.spec_from_file_location(
            _ALIAS, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        if spec is None:
            raise ModelUnavailable("this rembg has no sessions", _UPGRADE)
        sys.modules[_ALIAS] = importlib.util.module_from_spec(spec)
    return sys.modules[_ALIAS]


def with_weights(kind: Any, path: Path) -> Any:  # noqa: ANN401
    """Derive a session class that loads the weights at `path`: the file that its `download_models` returns."""

    class Session(kind):  # type: ignore[misc]
        @classmethod
        def download_models(cls, *_: object, **__: object) -> str:
            return str(path)

    return Session


def with_networks(kind: Any, **networks: Any) -> Any:  # noqa: ANN401
    """Derive a session class on opened networks: rembg's own open no OpenVINO, and SAM's takes no providers."""

    class Session(kind):  # type: ignore[misc]
        def __init__(self, model_name: str) -> None:
            self.model_name = model_name
            for attribute, network in networks.items():
                setattr(self, attribute, network)

    return Session


def published_hash(kind: Any) -> str | None:  # noqa: ANN401
    """Read the hash of rembg's download, "md5:…" or "sha256:…", from the constants of `download_models`, or None."""
    constants = [text for text in kind.download_models.__func__.__code__.co_consts if isinstance(text, str)]
    return next(filter(re.compile(r"(md5|sha256):[0-9a-f]{32,64}").fullmatch, constants), None)


def weights_paths(kind: Any) -> Iterator[Path]:  # noqa: ANN401
    """List the paths where rembg looks for a session's weights; it downloads to the first."""
    file = f"{kind.name()}.onnx"
    if hasattr(kind, "model_dir"):
        yield Path(kind.model_dir(), file)
        yield Path(kind.legacy_home(), file)
    else:  # before rembg 2.0.86 all models were in one folder
        yield Path(kind.u2net_home(), file)


def download(kind: Any) -> Path:  # noqa: ANN401
    """Have rembg download a session's weights and verify its hash; any error of its libraries passes."""

    class Session(kind):  # type: ignore[misc]
        @classmethod
        def resolve_existing(cls, *_: object, **__: object) -> None:
            """Hide an existing file, which rembg would trust, so that the download verifies and replaces it."""

        @classmethod
        def checksum_disabled(cls, *_: object, **__: object) -> bool:
            return False

    return Path((Session if published_hash(kind) else kind).download_models())
