"""rembg's session classes, without rembg: the only file that knows where they lie.

Takes nothing; gives a module. Touches the installed package. Raises ModelUnavailable where there is none.
"""

import importlib.util
import sys
import threading
from pathlib import Path
from types import ModuleType

from photio_prep.errors import ModelUnavailable


def rembg_sessions() -> ModuleType:
    """The session classes of rembg, without rembg itself.

    `import rembg` loads its compositor, and with it pymatting and numba: 1.2 s and 230 MB each time, and 44 s of
    compiling on a fresh install. Its sub-package `sessions` imports nothing from outside itself, so it is loaded under
    a name of ours; a later `import rembg` by anybody finds rembg untouched.
    """
    with _LOADING:
        if _ALIAS in sys.modules:
            return sys.modules[_ALIAS]
        package = importlib.util.find_spec("rembg")
        if package is None or not package.submodule_search_locations:
            raise ModelUnavailable("rembg is not installed", "Run: pip install rembg")
        folder = Path(package.submodule_search_locations[0], "sessions")
        spec = importlib.util.spec_from_file_location(
            _ALIAS, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        if spec is None or spec.loader is None:
            raise ModelUnavailable(f"no rembg sessions in {folder}", "Run: pip install --upgrade rembg")
        module = importlib.util.module_from_spec(spec)
        sys.modules[_ALIAS] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[_ALIAS]
            raise
        return module


_ALIAS = "_photio_prep_rembg_sessions"
_LOADING = threading.Lock()
