"""One of rembg's session classes, without rembg: the only file that knows where they lie."""

import importlib
import importlib.util
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

from photio_prep.errors import ModelUnavailable


def rembg_session(module: str, name: str) -> Any:  # noqa: ANN401  rembg has no types
    """A session class of rembg, without rembg itself and without its other sessions.

    `import rembg` loads its compositor, and with it pymatting and numba: 1.2 s and 230 MB each time, and 44 s of
    compiling on a fresh install. The files of its sub-package `sessions` need nothing but `base.py` there, so they are
    loaded one by one under a name of ours; a later `import rembg` by anybody finds rembg untouched.

    Args:
        module: The file, without its suffix.
        name: The class in it.
    """
    with _LOADING:
        if _ALIAS not in sys.modules:
            package = importlib.util.find_spec("rembg")
            if package is None or not package.submodule_search_locations:
                raise ModelUnavailable("rembg is not installed", "Run: pip install rembg")
            ours = ModuleType(_ALIAS)
            ours.__path__ = [str(Path(package.submodule_search_locations[0], "sessions"))]
            sys.modules[_ALIAS] = ours
        try:
            return getattr(importlib.import_module(f"{_ALIAS}.{module}"), name)
        except (ImportError, AttributeError) as error:
            raise ModelUnavailable(
                f"this rembg has no session {module}.{name} ({error})", "Run: pip install --upgrade rembg"
            ) from error


_ALIAS = "_photio_prep_rembg_sessions"
_LOADING = threading.Lock()
