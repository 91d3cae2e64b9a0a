"""INPUT -> the photos it names: a file, a folder's tree, a pattern, a job table, a list, a URL, or standard input."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from photio_prep.errors import PhotoRefused, UsageError
from photio_prep.intake import job_table
from photio_prep.intake.names import Names, by_rank
from photio_prep.intake.url_guard import LONGEST, shown
from photio_prep.system import object_store
from photio_prep.system.files import read_input

# Only these are taken from a folder; a file that is named on the command line is judged by its bytes alone.
PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif", ".heic", ".heif"})
MARK = "-photio"
# How the stems of our own finals end, and of files for marketplaces (`-photio-amazon-main`).
_OUR_OUTPUT = re.compile(rf"{MARK}(-[a-z0-9-]+)?$")
# Bytes of a list of inputs, and letters of one line: 100,000 names of the longest kind that systems allow.
_LONGEST_LIST, _LONGEST_LINE = 64 * 2**20, 4096

# Told of everything in a folder that is left out though it looks like a photo, and whether that is by our choice (a
# link) or a failure (a folder that cannot be read).
PassedOver = Callable[[PhotoRefused, bool], None]


class Item(NamedTuple):
    """One photo to work on.

    `source` is its path (None is standard input), or its URL; `name` what messages and orders call it, a URL without
    its secrets; `output` the place of its final; `follow` says whether it may be a symbolic link: one that the user
    named may, one found in a folder may not; `job` is the row of the job table that names it.
    """

    source: Path | str | None
    name: str
    output: str
    follow: bool = True
    job: job_table.Job | None = None

    @property
    def options(self) -> job_table.RowOptions:
        """The options that this photo's row sets, in place of the command's."""
        return self.job.options if self.job else job_table.DEFAULT_ROW


def expand(
    inputs: tuple[str, ...],
    out: Path,
    format_: str | None = None,
    *,
    passed_over: PassedOver | None = None,
    described: bool = True,
    names: Names | None = None,
    check_preset: job_table.CheckPreset = lambda _name: None,
) -> Iterator[Item]:
    """Each photo that `inputs` name, folders in sorted order with their tree kept; nothing of `out` itself.

    Photos whose finals would have the same name (`x/a.jpg` and `y/a.jpeg`, `A.png` and `a.png`) are kept apart by
    `names`; `RecordedNames(out)` gives each the name that it has in the orders of `out`. All job tables are read before
    the first photo is given; unless `described`, each of their rows must have a scene description of its own.
    `check_preset` raises UsageError for a preset that does not exist.

    Raises:
        UsageError: An input does not exist.
        Mistakes: Every mistake of the job tables.
    """
    names = names or Names(format_)
    names.begin()
    paths = (
        Path(each) for each in inputs if job_table.is_table(each) and os.path.lexists(each) and not Path(each).is_dir()
    )
    tables = job_table.read(paths, described=described, check_preset=check_preset)
    for each in inputs:
        items = _named(each, out, passed_over or (lambda _why, _by_choice: None), tables)
        if _is_list(each):
            listed = list(items)
            numbers = by_rank([(item.source, number) for number, item in enumerate(listed)], Path(each).parent)
            outputs = {number: _name(names, listed[number]) for number in numbers}
            yield from (item._replace(output=outputs[number]) for number, item in enumerate(listed))
        else:
            yield from (item._replace(output=_name(names, item)) for item in items)


def _name(names: Names, item: Item) -> str:
    return names.give(item.output, item.source, item.name)


def _is_list(name: str) -> bool:
    return Path(name).suffix.lower() == ".txt" and Path(name).is_file()


def _named(each: str, out: Path, passed_over: PassedOver, tables: Mapping[Path, list[job_table.Job]]) -> Iterator[Item]:
    """The photos that one input names, with their places in its tree."""
    if each == "-":
        yield Item(None, "-", "stdin")
    elif object_store.is_remote(each) and each.endswith("/"):
        yield from _stored(each, passed_over)
    elif "://" in each or each.lower().startswith(("data:", "javascript:", "//")):
        yield Item(each, shown(each), _stem(each))
    elif not os.path.lexists(each) and any(sign in each for sign in "*?["):
        yield from _matching(each, out, passed_over)
    elif not os.path.lexists(each):
        raise UsageError("no such file or folder", "Check the name", subject=each)
    elif Path(each).is_dir():
        yield from _folder(Path(each), out, passed_over)
    elif Path(each).suffix.lower() == ".txt":
        yield from _listed(Path(each), out, passed_over)
    elif job_table.is_table(each):
        yield from map(_of_row, tables[Path(each)])
    else:
        yield Item(Path(each), each, Path(each).stem)


def _listed(file: Path, out: Path, passed_over: PassedOver) -> Iterator[Item]:
    """The inputs that a text file names, one a line, relative to the file's folder, from where their tree is kept.

    Each is named once. Blank lines and lines that begin with # say nothing. A line that names no input is refused by
    its number.
    """
    text = read_input(file, _LONGEST_LIST).decode("utf-8-sig", "surrogateescape")
    lines = {line.strip(): number for number, line in reversed([*enumerate(text.splitlines(), 1)])}
    for line, number in sorted(lines.items(), key=lambda each: each[1]):
        if not line or line.startswith("#"):
            continue
        there = line if "://" in line else str(file.parent / line)
        outside = Path(line).is_absolute() or ".." in Path(line).parts
        try:
            for item in _named(_one_name(there), out, passed_over, {}):
                if not outside and isinstance(item.source, Path):
                    way = item.source.relative_to(file.parent).with_suffix("")
                    item = item._replace(output=way.as_posix())
                yield item
        except (UsageError, ValueError) as error:
            found = error.found if isinstance(error, UsageError) else str(error)
            passed_over(PhotoRefused(found, "Mend the list", subject=f"{file}, line {number}"), False)


def _one_name(line: str) -> str:
    if len(line) > _LONGEST_LINE or Path(line).suffix.lower() == ".txt" or job_table.is_table(line):
        raise UsageError("no name of a photo", "Name one file, folder or URL a line")
    return line


def _stored(address: str, passed_over: PassedOver) -> Iterator[Item]:
    """The photos below an address in an object store that ends with a slash; their tree is kept."""
    none = True
    for place, name in object_store.listed(address):
        way = PurePosixPath(name)
        hidden = any(part.startswith(".") for part in way.parts)
        if _is_picture(Path(name)) and not hidden and ".." not in way.parts:
            none = False
            yield Item(place, shown(place), str(way.with_suffix("")))
    if none:
        passed_over(PhotoRefused("no photos there", "Check the address", subject=shown(address)), False)


def _of_row(job: job_table.Job) -> Item:
    if isinstance(job.source, str):
        return Item(job.source, shown(job.source), job.output or _stem(job.source), job=job)
    return Item(job.source, str(job.source), job.output, job=job)


def _matching(pattern: str, out: Path, passed_over: PassedOver) -> Iterator[Item]:
    """The photos that a quoted pattern names: `*` and `?` within a name, `**` for any folders; the tree is kept."""
    parts = Path(pattern).parts
    first = next(number for number, each in enumerate(parts) if any(sign in each for sign in "*?["))
    base, wanted = Path(*parts[:first]), parts[first:]
    if not base.is_dir():
        raise UsageError(f"no such folder as {str(base)!r}", "Check the pattern", subject=pattern)
    deepest = None if "**" in wanted else len(wanted)
    found = False
    for item in _tree(base, out, passed_over, deepest):
        if _fits(Path(item.name).relative_to(base).parts, wanted):
            found = True
            yield item
    if not found:
        passed_over(PhotoRefused("no photo fits this pattern", "Check it, and quote it", subject=pattern), False)


def _fits(name: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    """Whether a name, part by part, fits a pattern's parts."""
    if not wanted:
        return not name
    if wanted[0] == "**":
        return _fits(name, wanted[1:]) or (bool(name) and _fits(name[1:], wanted))
    return bool(name) and fnmatchcase(name[0], wanted[0]) and _fits(name[1:], wanted[1:])


def _stem(url: str) -> str:
    """The last part of a URL's path: it names the final, and nothing of it is believed but its letters."""
    path = unquote(urlsplit(url, allow_fragments=True).path) if len(url) < LONGEST else ""
    return PurePosixPath(path.replace("\\", "/")).stem or "photo"


def _folder(folder: Path, out: Path, passed_over: PassedOver) -> Iterator[Item]:
    none = True
    for item in _tree(folder, out, passed_over):
        none = False
        yield item
    if none:
        looked = f"Looked for {', '.join(sorted(PICTURES))}"
        passed_over(PhotoRefused("no photos in this folder", looked, subject=str(folder)), False)


def _tree(folder: Path, out: Path, passed_over: PassedOver, deepest: int | None = None) -> Iterator[Item]:
    """The photos below `folder`, those in it at depth 1, at most `deepest`; None is any depth."""
    ours = out.stat() if out.is_dir() else None
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            with os.scandir(here) as listed:
                # Hidden files and folders are nobody's photos.
                entries = sorted((each for each in listed if not each.name.startswith(".")), key=lambda each: each.name)
        except OSError as error:
            why = f"the folder cannot be read ({error.strerror})"
            passed_over(PhotoRefused(why, "Check its permissions", subject=str(here)), False)
            continue
        if any(each.name == "order.json" for each in entries):
            continue  # an order of this or an earlier run, with --out in or at the input folder
        # Our own output below the input is never input again. By its number: resolving a path costs its whole length.
        folders = [each for each in entries if each.is_dir(follow_symlinks=False)]
        if deepest is None or len(here.parts) - len(folder.parts) + 1 < deepest:
            waiting += reversed([here / each.name for each in folders if not _is(each, ours)])
        for entry in entries:
            path = here / entry.name
            if refused := _no_photo(entry, path):
                passed_over(refused, True)
            elif _is_picture(path) and not entry.is_dir():
                yield Item(path, str(path), path.relative_to(folder).with_suffix("").as_posix(), follow=False)


def _is(entry: os.DirEntry[str], there: os.stat_result | None) -> bool:
    return there is not None and entry.inode() == there.st_ino and entry.stat().st_dev == there.st_dev


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURES and not _OUR_OUTPUT.search(path.stem)


def _no_photo(entry: os.DirEntry[str], path: Path) -> PhotoRefused | None:
    """Why something in a folder is left out though it looks like a photo, or like a folder of photos."""
    if entry.is_symlink():
        if _is_picture(path) or entry.is_dir():
            return PhotoRefused("a link in a folder is not followed", "Name it to use it", subject=str(path))
    elif _is_picture(path) and not entry.is_file() and not entry.is_dir():
        return PhotoRefused("not a regular file", "Give pictures", subject=str(path))
    return None
