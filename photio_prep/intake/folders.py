"""Walk folders and glob patterns for photos. Skips links, hidden files, order folders and the output folder."""

import os
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal, NamedTuple

from photio_prep.errors import PhotoRefused, UsageError
from photio_prep.imaging.headers import sniff
from photio_prep.intake.item import MARK, Item, OnSkip
from photio_prep.intake.names import DEVELOP, FORMATS, RAW
from photio_prep.intake.own_files import is_order_folder, is_own_output, is_recorded
from photio_prep.system.files import own_head
from photio_prep.system.near_name import suggest_name

READ = "JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF and HEIC are read"
# Copies that other programs keep beside a photo, and files that are not complete yet.
_COPIES = frozenset(
    (".bak", ".crdownload", ".download", ".jpg_original", ".lrv", ".old", ".orig", ".part", ".partial", ".thm", ".tmp")
)
# Files of the system; nobody misses them.
_LITTER = frozenset(("desktop.ini", "ehthumbs.db", "thumbs.db"))
# Lengths of the second header of a BMP: other files begin with the letters BM, too.
_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)
_MOST_KINDS = 8  # in one message
_MOST_LINKS = 10


def is_pattern(name: str) -> bool:
    """Whether a name holds `*`, `?` or `[`."""
    return any(sign in name for sign in "*?[")


class _Search(NamedTuple):
    """Where photos are looked for. `subject` is the user's input; `nothing` and `fix` are for an empty result."""

    subject: str
    folder: Path
    nothing: str
    fix: str
    pattern: tuple[str, ...] = ("**",)


def walk_folder(folder: Path, out: Path, on_skip: OnSkip) -> Iterator[Item]:
    """Yield the photos below a folder in sorted order, without those below `out`."""
    return _find_photos(_Search(str(folder), folder, "no photos in this folder", READ), out, on_skip)


def match_pattern(pattern: str, out: Path, on_skip: OnSkip) -> Iterator[Item]:
    """Yield the photos that a quoted pattern matches: `*` and `?` within a name, `**` for any folders.

    Raises:
        UsageError: The folder before the first wildcard does not exist.
    """
    base, parts = Path(), Path(pattern).parts
    # What exists is taken as it is: a folder may be named `shoes [new]`.
    while len(parts) > 1 and (os.path.lexists(base / parts[0]) or not is_pattern(parts[0])):
        base, parts = base / parts[0], parts[1:]
    if not base.is_dir():
        raise UsageError(f"no such folder as {str(base)!r}", suggest_name(base), subject=pattern)
    return _find_photos(
        _Search(pattern, base, "no photo fits this pattern", "Check it, and quote it", parts), out, on_skip
    )


def _find_photos(search: _Search, out: Path, on_skip: OnSkip) -> Iterator[Item]:
    """Yield the photos; then say in one line what was passed over, or that there is nothing."""
    others: list[Path] = []
    links: list[Path] = []
    photos = own = 0
    for path, is_link in _walk(search, out, on_skip):
        place = path.relative_to(search.folder)
        if not _matches(place.parts, search.pattern):
            continue
        kind = "link" if is_link else _classify(path)
        if kind == "photo":
            photos += 1
            yield Item(path, str(path), place.with_suffix("").as_posix(), follow=False)
        elif kind == "own":
            own += 1
        elif kind != "litter":
            (links if kind == "link" else others).append(path)
    parts = [] if photos else [search.nothing]
    parts += [_list_others(others)] if others else []
    if links:
        names = _list_first([path.name for path in sorted(links)], _MOST_LINKS, "more")
        parts.append(f"{len(links)} {'link' if len(links) == 1 else 'links'} not followed ({names})")
    parts += [f"{own} of the files that photio-prep writes"] if own and not photos else []
    if parts:
        raw = any(path.suffix.lower() in RAW for path in others)
        fix = DEVELOP if raw else READ if others else "Name a link to use it" if links else search.fix
        on_skip(PhotoRefused("; ".join(parts), fix, subject=search.subject), photos > 0)


def _list_others(others: list[Path]) -> str:
    counts = Counter(MARK * path.stem.endswith(MARK) + path.suffix.lower() or "no suffix" for path in others)
    kinds = [f"{count} {suffix}" if count > 1 else suffix for suffix, count in sorted(counts.items())]
    files = "file" if len(others) == 1 else "files"
    return f"{len(others)} other {files} passed over: {_list_first(kinds, _MOST_KINDS, 'more kinds')}"


def _list_first(texts: list[str], most: int, rest: str) -> str:
    """The first `most` texts, and how many more there are."""
    return ", ".join(texts[:most] + ([f"{len(texts) - most} {rest}"] if len(texts) > most else []))


def _matches(name: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    if not pattern:
        return not name
    if pattern[0] == "**":
        return any(_matches(name[skip:], pattern[1:]) for skip in range(len(name), -1, -1))
    same = bool(name) and (fnmatchcase(name[0], pattern[0]) or name[0] == pattern[0])
    return same and _matches(name[1:], pattern[1:])


def _classify(path: Path) -> Literal["photo", "own", "other", "litter"]:
    """Judge a file in a folder: by its suffix, or by its first bytes; an output of ours is never a photo."""
    suffix = path.suffix.lower()
    if path.name.lower() in _LITTER or path.parent.name == "orders":
        return "litter"
    if is_own_output(path):
        # Judged by its name and bytes alone, it is named to the user.
        return "own" if is_recorded(path) or not path.stem.endswith(MARK) else "other"
    if suffix in FORMATS and not path.stem.endswith(MARK):
        return "photo"
    if _final_of_neighbour(path):
        return "other"
    head = own_head(path, 256) or b""
    format_ = None if suffix in RAW | _COPIES else sniff(head)
    foreign = format_ == "BMP" and int.from_bytes(head[14:18], "little") not in _BMP_HEADERS
    return "other" if format_ is None or foreign else "photo"


def _final_of_neighbour(path: Path) -> bool:
    """Whether a file is named like the final of a photo beside it."""
    photo = path.with_name(path.name.removesuffix(path.suffix).removesuffix(MARK))
    suffixes = [form for suffix in FORMATS for form in (suffix, suffix.upper())]
    return path.stem.endswith(MARK) and any(photo.with_name(photo.name + suffix).exists() for suffix in suffixes)


def _walk(search: _Search, out: Path, on_skip: OnSkip) -> Iterator[tuple[Path, bool]]:
    """Yield the files below a folder that are not hidden, and (True) links to photos and folders."""
    deepest = None if "**" in search.pattern else len(search.pattern)
    output = out.stat() if out.is_dir() else None
    pending = [search.folder]
    while pending:
        current = pending.pop()
        try:
            with os.scandir(current) as listing:
                entries = sorted((e for e in listing if not e.name.startswith(".")), key=lambda entry: entry.name)
        except OSError as error:
            reason = f"the folder cannot be read ({error.strerror})"
            on_skip(PhotoRefused(reason, "Check its permissions", subject=str(current)), False)
            continue
        if any(entry.name == "order.json" for entry in entries) and is_order_folder(current):
            continue  # of this or an earlier run, with --out in or at the input folder
        if deepest is None or len(current.parts) - len(search.folder.parts) + 1 < deepest:
            folders = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
            pending += reversed([current / entry.name for entry in folders if not _is_same(entry, output)])
        for entry in entries:
            path = current / entry.name
            photo_like = path.suffix.lower() in FORMATS
            is_link = entry.is_symlink()
            if entry.is_file(follow_symlinks=False) or (is_link and (photo_like or entry.is_dir())):
                yield path, is_link
            elif photo_like and not entry.is_dir() and not is_link:
                on_skip(PhotoRefused("not a regular file", "Give pictures", str(path)), True)


def _is_same(entry: os.DirEntry[str], folder: os.stat_result | None) -> bool:
    """Whether two folders are one, by device and inode: resolving a path costs a look-up for every part of it."""
    return folder is not None and entry.inode() == folder.st_ino and entry.stat().st_dev == folder.st_dev
