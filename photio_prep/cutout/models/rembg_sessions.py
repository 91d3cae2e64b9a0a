"""rembg's session classes, without the rest of rembg: the only file that imports them.

`import rembg` loads its compositor, and with it pymatting, numba and scikit-image: 1.0 s and 221 MB where one session
module takes 0.15 s and 47 MB (nearly all of it onnxruntime's), and its first import on a fresh install compiles for 44
s. Nothing in the sub-package `rembg.sessions` needs the compositor. So the sub-package is loaded from rembg's own files
under a name of ours: a later `import rembg` by the user finds rembg untouched.
"""

import importlib
import importlib.util
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from photio_prep.errors import ModelUnavailable

_ALIAS = "_photio_prep_rembg_sessions"
_LOADING = threading.RLock()


def import_session(module: str, name: str) -> Any:  # noqa: ANN401  rembg has no types
    """One session class of rembg; none of its other sessions is loaded.

    Args:
        module: The file, without its suffix.
        name: The class in it.

    Raises:
        ModelUnavailable: rembg is not installed, or has no such session.
    """
    with _LOADING:
        _package()
        try:
            return getattr(importlib.import_module(f"{_ALIAS}.{module}"), name)
        except (ImportError, AttributeError) as error:
            raise ModelUnavailable(
                f"this rembg has no session {module}.{name} ({error})", "Run: pip install --upgrade rembg"
            ) from error


def import_all() -> dict[str, Any]:
    """Every session class of rembg by its name, from rembg's own registry: 0.5 s, because SAM's needs scipy.

    Raises:
        ModelUnavailable: rembg is not installed, or does not load.
    """
    with _LOADING:
        package = _package()
        try:
            if not hasattr(package, "sessions_names") and package.__spec__ and package.__spec__.loader:
                package.__spec__.loader.exec_module(package)
            registry: dict[str, Any] = dict(package.sessions)
        except (ImportError, AttributeError) as error:
            raise ModelUnavailable(
                f"rembg's sessions do not load ({error})", "Run: pip install --upgrade rembg"
            ) from error
    return registry


def _package() -> ModuleType:
    """The sub-package under our name; its `__init__`, which imports all sessions, is not run."""
    if _ALIAS not in sys.modules:
        rembg = importlib.util.find_spec("rembg")
        if rembg is None or not rembg.submodule_search_locations:
            raise ModelUnavailable("rembg is not installed", "Run: pip install rembg")
        folder = Path(rembg.submodule_search_locations[0], "sessions")
        spec = importlib.util.spec_from_file_location(
            _ALIAS, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        if spec is None:
            raise ModelUnavailable("this rembg has no sessions", "Run: pip install --upgrade rembg")
        sys.modules[_ALIAS] = importlib.util.module_from_spec(spec)
    return sys.modules[_ALIAS]


def with_weights(kind: Any, path: Path) -> Any:  # noqa: ANN401
    """The session class whose constructor loads the weights at `path`, and fetches nothing.

    `download_models` is where rembg's own sessions say which file they load.
    """

    class Session(kind):  # type: ignore[misc]
        @classmethod
        def download_models(cls, *_: object, **__: object) -> str:
            return str(path)

    return Session


def with_networks(kind: Any, **networks: Any) -> Any:  # noqa: ANN401
    """The session class whose constructor takes networks that are open already, by their attributes.

    For what rembg's constructors cannot do: they know onnxruntime only, not OpenVINO, and SAM's takes no providers.
    """

    class Session(kind):  # type: ignore[misc]
        def __init__(self, model_name: str) -> None:
            self.model_name = model_name
            for attribute, network in networks.items():
                setattr(self, attribute, network)

    return Session


def published_hash(kind: Any) -> str | None:  # noqa: ANN401
    """The hash that rembg compares a download with, as "md5:…" or "sha256:…"; None where it gives none.

    rembg has no table of its hashes: each is a constant in the code of a session's `download_models`.
    """
    constants = [text for text in kind.download_models.__func__.__code__.co_consts if isinstance(text, str)]
    return next(filter(re.compile(r"(md5|sha256):[0-9a-f]{32,64}").fullmatch, constants), None)


def weights_paths(kind: Any) -> Iterator[Path]:  # noqa: ANN401
    """Where rembg looks for a session's weights, in its order; it downloads to the first."""
    file = f"{kind.name()}.onnx"
    if hasattr(kind, "model_dir"):
        yield Path(kind.model_dir(), file)
        yield Path(kind.legacy_home(), file)
    else:  # before rembg 2.0.86 all models were in one folder
        yield Path(kind.u2net_home(), file)


def download(kind: Any) -> Path:  # noqa: ANN401
    """Have rembg fetch a session's weights as it does, and compare them with its hash; the path.

    Raises:
        Exception: As rembg's `download_models`: requests' errors, ValueError for another hash, ImportError, OSError.
    """

    class Session(kind):  # type: ignore[misc]
        @classmethod
        def resolve_existing(cls, *_: object, **__: object) -> None:
            """A file that is there is trusted by rembg; without one its download compares it, and replaces it."""

        @classmethod
        def checksum_disabled(cls, *_: object, **__: object) -> bool:
            return False

    return Path((Session if published_hash(kind) else kind).download_models())
