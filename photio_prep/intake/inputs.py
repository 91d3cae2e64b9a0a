"""Expand command-line inputs into Items: files, folders, patterns, job tables, lists, URLs, standard input."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from photio_prep.errors import PhotoRefused, UsageError
from photio_prep.intake import job_table
from photio_prep.intake.folders import READ, is_pattern, match_pattern, walk_folder
from photio_prep.intake.item import Item, OnSkip, read_stdin
from photio_prep.intake.names import FORMATS, Names, sort_by_place
from photio_prep.intake.own_files import is_final_name
from photio_prep.intake.table_reader import is_table
from photio_prep.intake.url_guard import LONGEST, redact_url
from photio_prep.system import object_store
from photio_prep.system.files import read_input
from photio_prep.system.near_name import find_same, suggest_name
from photio_prep.system.text import decode_text

# Bytes of a list of inputs, and characters of one line: 100,000 names of the longest kind that systems allow.
_LONGEST_LIST, _LONGEST_LINE = 64 * 2**20, 4096


def expand_inputs(
    inputs: tuple[str, ...],
    out: Path,
    format_: str | None = None,
    *,
    passed_over: OnSkip = lambda _reason, _by_design: None,
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
    inputs = tuple(map(_find_input, inputs))
    paths = (Path(name) for name in inputs if is_table(name) and not Path(name).is_dir())
    tables = job_table.load_jobs(paths, described=described, check_preset=check_preset)
    for name in inputs:
        items = _expand_one(name, out, passed_over, tables)
        if Path(name).suffix.lower() == ".txt" and Path(name).is_file():
            listed = list(items)
            outputs = {
                number: names.give(listed[number].output, listed[number].source, listed[number].name)
                for number in sort_by_place([item.source for item in listed], Path(name).parent)
            }
            yield from (item._replace(output=outputs[number]) for number, item in enumerate(listed))
        else:
            yield from (item._replace(output=names.give(item.output, item.source, item.name)) for item in items)


def _is_address(name: str) -> bool:
    return "://" in name or name.lower().startswith(("data:", "javascript:", "//"))


def _find_input(name: str) -> str:
    """Return an address, `-` or a pattern as it is, and the existing path that `name` means.

    Raises:
        UsageError: There is no such path.
    """
    if name == "-" or _is_address(name) or os.path.lexists(name):
        return name
    if name and (path := find_same(Path(name))):
        return str(path)
    if is_pattern(name):
        return name.replace("\\", "/")
    raise UsageError("no such file or folder", suggest_name(Path(name)), subject=name)


def _expand_one(
    name: str, out: Path, on_skip: OnSkip, tables: Mapping[Path, list[job_table.TableJob]]
) -> Iterator[Item]:
    """Yield the photos of one input of `_find_input`, with their places in its tree."""
    if name == "-":
        yield read_stdin()
    elif object_store.is_remote(name) and name.endswith("/"):
        yield from _list_store(name, on_skip)
    elif _is_address(name):
        yield Item(name, redact_url(name), _url_stem(name))
    elif not os.path.lexists(name):
        yield from match_pattern(name, out, on_skip)
    elif Path(name).is_dir():
        yield from walk_folder(Path(name), out, on_skip)
    elif is_table(name):
        for job in tables[Path(name)]:
            url = job.source if isinstance(job.source, str) else ""
            output = job.output or _url_stem(url)
            yield Item(job.source, redact_url(url) if url else str(job.source), output, job=job)
        if not tables[Path(name)]:
            on_skip(PhotoRefused("the table has no rows", "Give one photo a row", subject=name), False)
    elif Path(name).suffix.lower() == ".txt":
        yield from _read_list(Path(name), out, on_skip)
    else:
        yield Item(Path(name), name, Path(name).stem)


def _read_list(file: Path, out: Path, on_skip: OnSkip) -> Iterator[Item]:
    """Yield the photos of a text file with one input a line, relative to the file's folder; their tree starts there.

    Blank lines, comments (#) and repeated lines are ignored. A line that names no input is skipped with its number.
    """
    data = read_input(file, _LONGEST_LIST)
    try:
        text = decode_text(data)
    except UnicodeDecodeError:  # names of files that are not UTF-8
        text = data.decode("utf-8-sig", "surrogateescape")
    lines: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        quoted = len(line.strip()) > 1 and line.strip()[0] == line.strip()[-1] == '"'
        name = line.strip()[1:-1] if quoted else line.strip()
        if name and not name.startswith("#"):
            lines.setdefault(name, number)
    if not lines:
        on_skip(PhotoRefused("the list is empty", "Write one photo, folder or URL a line", subject=str(file)), False)
    for line, number in lines.items():
        name = line if "://" in line else str(file.parent / line)
        outside = Path(line).is_absolute() or ".." in Path(line).parts
        try:
            for item in _expand_one(_find_input(_check_line(name)), out, on_skip, {}):
                if not outside and isinstance(item.source, Path):
                    relative = item.source.relative_to(file.parent).with_suffix("")
                    item = item._replace(output=relative.as_posix())
                yield item
        except UsageError as error:
            on_skip(PhotoRefused(error.problem, error.fix, subject=f"{file}, line {number}"), False)
        except ValueError as error:  # a null byte in a name
            on_skip(PhotoRefused(str(error), "Correct the list", subject=f"{file}, line {number}"), False)


def _check_line(name: str) -> str:
    if len(name) > _LONGEST_LINE or Path(name).suffix.lower() == ".txt" or is_table(name):
        raise UsageError("not the name of a photo", "Name one file, folder or URL a line")
    return name


def _list_store(address: str, on_skip: OnSkip) -> Iterator[Item]:
    """Yield the photos below an address in an object store that ends with a slash, by their names; their tree stays."""
    photos = others = 0
    for url, name in object_store.list_objects(address):
        path = PurePosixPath(name)
        if any(part.startswith(".") for part in path.parts):
            continue
        if path.suffix.lower() in FORMATS and not is_final_name(path.stem):
            photos += 1
            yield Item(url, redact_url(url), str(path.with_suffix("")))
        else:
            others += 1
    if not photos:
        reason = f"no photos there; {others} other files passed over" if others else "no photos there"
        on_skip(PhotoRefused(reason, READ if others else "Check the address", subject=redact_url(address)), False)


def _url_stem(url: str) -> str:
    """Return the stem of a URL's last path segment; it only names the final."""
    path = unquote(urlsplit(url, allow_fragments=True).path) if len(url) < LONGEST else ""
    return PurePosixPath(path.replace("\\", "/")).stem or "photo"
