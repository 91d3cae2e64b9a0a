"""Expand command-line inputs into Items: files, folders, patterns, job tables, lists, URLs, standard input."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from photio_prep.errors import PhotoRefused, UsageError
from photio_prep.intake import job_table
from photio_prep.intake.folders import is_pattern, match_pattern, walk_folder
from photio_prep.intake.item import Item, OnSkip, has_photo_name
from photio_prep.intake.names import Names, sort_by_place
from photio_prep.intake.url_guard import LONGEST, redact_url
from photio_prep.system import object_store
from photio_prep.system.files import read_input

# Bytes of a list of inputs, and characters of one line: 100,000 names of the longest kind that systems allow.
_LONGEST_LIST, _LONGEST_LINE = 64 * 2**20, 4096


def expand_inputs(
    inputs: tuple[str, ...],
    out: Path,
    format_: str | None = None,
    *,
    passed_over: OnSkip | None = None,
    described: bool = True,
    names: Names | None = None,
    check_preset: job_table.CheckPreset = lambda _name: None,
) -> Iterator[Item]:
    """Yield the photos of `inputs`. Folders are sorted and keep their tree; `out` itself is left out.

    Photos whose finals would have the same name (`x/a.jpg` and `y/a.jpeg`, `A.png` and `a.png`) get different ones
    from `names`; `RecordedNames(out)` reuses the names in the orders of `out`. All job tables are read before the first
    photo. Unless `described`, every row needs a scene description. `check_preset` raises UsageError for an unknown
    preset.

    Raises:
        UsageError: An input does not exist.
        TableErrors: The job tables have mistakes.
    """
    names = names or Names(format_)
    names.begin()
    tables = job_table.load_jobs(
        (
            Path(name)
            for name in inputs
            if job_table.is_table(name) and os.path.lexists(name) and not Path(name).is_dir()
        ),
        described=described,
        check_preset=check_preset,
    )
    for name in inputs:
        items = _expand_one(name, out, passed_over or (lambda _reason, _by_design: None), tables)
        if _is_list(name):
            listed = list(items)
            outputs = {
                number: names.give(listed[number].output, listed[number].source, listed[number].name)
                for number in sort_by_place([item.source for item in listed], Path(name).parent)
            }
            yield from (item._replace(output=outputs[number]) for number, item in enumerate(listed))
        else:
            yield from (item._replace(output=names.give(item.output, item.source, item.name)) for item in items)


def _is_list(name: str) -> bool:
    return Path(name).suffix.lower() == ".txt" and Path(name).is_file()


def _expand_one(
    name: str, out: Path, on_skip: OnSkip, tables: Mapping[Path, list[job_table.TableJob]]
) -> Iterator[Item]:
    """Yield the photos of one input, with their places in its tree."""
    if name == "-":
        yield Item(None, "-", "stdin")
    elif object_store.is_remote(name) and name.endswith("/"):
        yield from _list_store(name, on_skip)
    elif "://" in name or name.lower().startswith(("data:", "javascript:", "//")):
        yield Item(name, redact_url(name), _url_stem(name))
    elif not os.path.lexists(name) and is_pattern(name):
        yield from match_pattern(name, out, on_skip)
    elif not os.path.lexists(name):
        raise UsageError("no such file or folder", "Check the name", subject=name)
    elif Path(name).is_dir():
        yield from walk_folder(Path(name), out, on_skip)
    elif Path(name).suffix.lower() == ".txt":
        yield from _read_list(Path(name), out, on_skip)
    elif job_table.is_table(name):
        for job in tables[Path(name)]:
            url = job.source if isinstance(job.source, str) else ""
            output = job.output or _url_stem(url)
            yield Item(job.source, redact_url(url) if url else str(job.source), output, job=job)
    else:
        yield Item(Path(name), name, Path(name).stem)


def _read_list(file: Path, out: Path, on_skip: OnSkip) -> Iterator[Item]:
    """Yield the photos of a text file with one input a line, relative to the file's folder; their tree starts there.

    Blank lines, comments (#) and repeated lines are ignored. A line that names no input is skipped with its number.
    """
    text = read_input(file, _LONGEST_LIST).decode("utf-8-sig", "surrogateescape")
    lines: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        lines.setdefault(line.strip(), number)
    for line, number in lines.items():
        if not line or line.startswith("#"):
            continue
        name = line if "://" in line else str(file.parent / line)
        outside = Path(line).is_absolute() or ".." in Path(line).parts
        try:
            for item in _expand_one(_check_line(name), out, on_skip, {}):
                if not outside and isinstance(item.source, Path):
                    relative = item.source.relative_to(file.parent).with_suffix("")
                    item = item._replace(output=relative.as_posix())
                yield item
        except (UsageError, ValueError) as error:
            reason = error.problem if isinstance(error, UsageError) else str(error)
            on_skip(PhotoRefused(reason, "Correct the list", subject=f"{file}, line {number}"), False)


def _check_line(name: str) -> str:
    if len(name) > _LONGEST_LINE or Path(name).suffix.lower() == ".txt" or job_table.is_table(name):
        raise UsageError("not the name of a photo", "Name one file, folder or URL a line")
    return name


def _list_store(address: str, on_skip: OnSkip) -> Iterator[Item]:
    """Yield the photos below an address in an object store that ends with a slash; their tree stays."""
    empty = True
    for url, name in object_store.list_objects(address):
        path = PurePosixPath(name)
        hidden = any(part.startswith(".") for part in path.parts)
        if has_photo_name(Path(name)) and not hidden and ".." not in path.parts:
            empty = False
            yield Item(url, redact_url(url), str(path.with_suffix("")))
    if empty:
        on_skip(PhotoRefused("no photos there", "Check the address", subject=redact_url(address)), False)


def _url_stem(url: str) -> str:
    """Return the stem of a URL's last path segment; it only names the final."""
    path = unquote(urlsplit(url, allow_fragments=True).path) if len(url) < LONGEST else ""
    return PurePosixPath(path.replace("\\", "/")).stem or "photo"
