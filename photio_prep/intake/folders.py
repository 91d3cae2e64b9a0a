"""Walk folders and glob patterns for photos. Skips links, hidden files, order folders and the output folder."""

import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from photio_prep.errors import PhotoRefused, UsageError
from photio_prep.intake.item import Item, OnSkip, has_photo_name
from photio_prep.intake.names import FORMATS


def is_pattern(name: str) -> bool:
    """Whether a name holds `*`, `?` or `[`."""
    return any(sign in name for sign in "*?[")


def walk_folder(folder: Path, out: Path, on_skip: OnSkip) -> Iterator[Item]:
    """Yield the photos below a folder in sorted order, without those below `out`."""
    empty = True
    for item in _walk(folder, out, on_skip):
        empty = False
        yield item
    if empty:
        suffixes = f"Looked for {', '.join(sorted(FORMATS))}"
        on_skip(PhotoRefused("no photos in this folder", suffixes, subject=str(folder)), False)


def match_pattern(pattern: str, out: Path, on_skip: OnSkip) -> Iterator[Item]:
    """Yield the photos that a quoted pattern matches: `*` and `?` within a name, `**` for any folders.

    Raises:
        UsageError: The folder before the first wildcard does not exist.
    """
    parts = Path(pattern).parts
    first = next(number for number, part in enumerate(parts) if is_pattern(part))
    base, pattern_parts = Path(*parts[:first]), parts[first:]
    if not base.is_dir():
        raise UsageError(f"no such folder as {str(base)!r}", "Check the pattern", subject=pattern)
    max_depth = None if "**" in pattern_parts else len(pattern_parts)
    matched = False
    for item in _walk(base, out, on_skip, max_depth):
        if _matches(Path(item.name).relative_to(base).parts, pattern_parts):
            matched = True
            yield item
    if not matched:
        on_skip(PhotoRefused("no photo fits this pattern", "Check it, and quote it", subject=pattern), False)


def _matches(name: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    if not pattern:
        return not name
    if pattern[0] == "**":
        return _matches(name, pattern[1:]) or (bool(name) and _matches(name[1:], pattern))
    return bool(name) and fnmatchcase(name[0], pattern[0]) and _matches(name[1:], pattern[1:])


def _walk(folder: Path, out: Path, on_skip: OnSkip, max_depth: int | None = None) -> Iterator[Item]:
    """Yield the photos below `folder`. Those directly in it have depth 1; None is any depth."""
    output = out.stat() if out.is_dir() else None
    pending = [folder]
    while pending:
        current = pending.pop()
        try:
            with os.scandir(current) as listing:
                entries = sorted((e for e in listing if not e.name.startswith(".")), key=lambda entry: entry.name)
        except OSError as error:
            reason = f"the folder cannot be read ({error.strerror})"
            on_skip(PhotoRefused(reason, "Check its permissions", subject=str(current)), False)
            continue
        if any(entry.name == "order.json" for entry in entries):
            continue  # an order of this or an earlier run, with --out in or at the input folder
        if max_depth is None or len(current.parts) - len(folder.parts) + 1 < max_depth:
            folders = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
            pending += reversed([current / entry.name for entry in folders if not _is_same(entry, output)])
        for entry in entries:
            path = current / entry.name
            if refusal := _refuse_entry(entry, path):
                on_skip(refusal, True)
            elif has_photo_name(path) and not entry.is_dir():
                yield Item(path, str(path), path.relative_to(folder).with_suffix("").as_posix(), follow=False)


def _is_same(entry: os.DirEntry[str], folder: os.stat_result | None) -> bool:
    """Whether two folders are one, by device and inode: resolving a path costs a look-up for every part of it."""
    return folder is not None and entry.inode() == folder.st_ino and entry.stat().st_dev == folder.st_dev


def _refuse_entry(entry: os.DirEntry[str], path: Path) -> PhotoRefused | None:
    """Return the reason to skip an entry that looks like a photo or a folder of photos."""
    if entry.is_symlink():
        if has_photo_name(path) or entry.is_dir():
            return PhotoRefused("a link in a folder is not followed", "Name it to use it", subject=str(path))
    elif has_photo_name(path) and not entry.is_file() and not entry.is_dir():
        return PhotoRefused("not a regular file", "Give pictures", subject=str(path))
    return None
