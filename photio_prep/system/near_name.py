"""Find the file that a name means: in another case, with other accents or slashes; else suggest the nearest name."""

import difflib
import os
import unicodedata
from functools import lru_cache
from pathlib import Path

# Names in a folder among which a near one is sought: difflib takes 5 ms for these.
_MANY = 2_000


def collision_key(name: str) -> str:
    """Fold case and accents, as the least discerning file system compares names."""
    return unicodedata.normalize("NFC", name).casefold()


def find_same(path: Path) -> Path | None:
    """The existing path that equals `path` but for case, accents or backslashes; None without exactly one."""
    if os.path.lexists(path):
        return path
    current, rest = _descend(path)
    return None if rest else current


def suggest_name(path: Path) -> str:
    """Advice about a path that does not exist: the nearest name in its deepest existing folder."""
    current, rest = _descend(path)
    names = _list_names(current)
    for part in dict.fromkeys((*rest[:1], *rest[-1:])):
        near = names.get(collision_key(part), [])
        if not near and len(names) <= _MANY:
            near = [names[key][0] for key in difflib.get_close_matches(collision_key(part), names, 1)]
        if near:
            return f"Did you mean {str(current / near[0])!r}?"
    return "Check the name"


def _descend(path: Path) -> tuple[Path, tuple[str, ...]]:
    """Follow the parts of a path as far as they exist. Returns the existing path, and the parts after it."""
    parts = Path(str(path).replace("\\", "/")).parts
    current = Path()
    for number, part in enumerate(parts):
        following = current / part
        if not os.path.lexists(following):
            same = _list_names(current).get(collision_key(part), [])
            if len(same) != 1:
                return current, parts[number:]
            following = current / same[0]
        current = following
    return current, ()


def _list_names(folder: Path) -> dict[str, list[str]]:
    """The names in a folder by their collision key; empty for a folder that cannot be read."""
    try:
        return _list_folder(folder, folder.stat().st_mtime_ns)
    except OSError:
        return {}


@lru_cache(maxsize=64)
def _list_folder(folder: Path, _modified: int) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for path in sorted(folder.iterdir()):
        names.setdefault(collision_key(path.name), []).append(path.name)
    return names
