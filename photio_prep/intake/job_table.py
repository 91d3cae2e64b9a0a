"""Validate the rows of job tables; report every mistake."""

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple, TypeVar

from photio_prep.errors import PhotioError, TableErrors, UsageError
from photio_prep.geometry import Recommended, parse_size
from photio_prep.intake.names import FORMATS
from photio_prep.intake.table_reader import COLUMNS, RowError, Table, TableRow, iter_rows, open_table
from photio_prep.system import object_store, seeds
from photio_prep.system.near_name import collision_key, find_same, suggest_name

# The columns that batch/report.py adds to a copy with results.
_MARKS = ("status", "cost", "flags", "order", "final")
RESULTS = (*_MARKS, "presets")
_COPY = (
    "this is a copy with results of a table, perhaps from another folder",
    "Correct and run the table itself: finished photos cost nothing",
)

_T = TypeVar("_T")
# Raises UsageError for the name of a preset that does not exist.
CheckPreset = Callable[[str], object]
# Records what is wrong in a row, and the fix.
_Wrong = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class RowOptions:
    """The options of `prepare` that one row sets in place of the command's; None where it sets none."""

    description: str | None = None
    negative_prompt: str | None = None
    append_negative: str | None = None
    seed: int | None = None
    size: Recommended | None = None
    mask: Path | None = None


DEFAULT_ROW = RowOptions()


class TableJob(NamedTuple):
    """One row: `source` is a path or a URL, `output` the final's name below --out without suffix.

    `chosen`: the table sets it. `options` and `presets` (names) come before those of the command line. `row` is the row
    as it stands in its table.
    """

    table: Table
    row: TableRow
    source: Path | str
    output: str
    chosen: bool
    options: RowOptions
    presets: tuple[str, ...] = ()


@dataclass
class _Reading:
    """The mistakes and outputs of all tables of one command so far."""

    described: bool
    check_preset: CheckPreset
    mistakes: list[UsageError] = field(default_factory=list)
    outputs: dict[str, TableJob] = field(default_factory=dict)

    def wrong(self, path: Path, line: int, problem: str, fix: str) -> None:
        self.mistakes.append(UsageError(problem, fix, subject=f"{path}, line {line}"))


def load_jobs(
    paths: Iterable[Path], *, described: bool = True, check_preset: CheckPreset = lambda _name: None
) -> dict[Path, list[TableJob]]:
    """Read the jobs of each table, in order. Unless `described`, every row needs a scene description.

    `check_preset` raises UsageError for an unknown preset.

    Raises:
        TableErrors: Every mistake of all tables, with its line.
    """
    reading = _Reading(described, check_preset)
    jobs = {path: list(_read_table(path, reading)) for path in dict.fromkeys(paths)}
    if reading.mistakes:
        count = len(reading.mistakes)
        message = f"{count} {'mistake' if count == 1 else 'mistakes'} in job tables, so nothing was started"
        raise TableErrors(message, "Correct them all, then run the same command again", each=reading.mistakes)
    return jobs


def _read_table(path: Path, reading: _Reading) -> Iterator[TableJob]:
    try:
        table = open_table(path)
    except RowError as error:
        reading.wrong(path, error.line, error.problem, error.fix)
        return
    except PhotioError as error:  # the file cannot be read
        reading.mistakes.append(UsageError(error.problem, error.fix, subject=str(path)))
        return
    if not _check_header(table, reading):
        return
    for row in iter_rows(table):
        if isinstance(row, RowError):
            reading.wrong(path, row.line, row.problem, row.fix)
        elif job := _read_row(table, row, reading):
            yield job


def _check_header(table: Table, reading: _Reading) -> bool:
    """Record mistakes in the header. Returns whether the rows can be read; JSON has no header."""
    wrong = partial(reading.wrong, table.path, table.start)
    if set(_MARKS) <= set(table.columns):
        wrong(*_COPY)
        return False
    for name in dict.fromkeys(table.columns):
        if table.columns.count(name) > 1:
            wrong(f"the column {name!r} occurs twice", "Remove one")
    _check_columns(table.columns, wrong)
    if table.columns and "source" not in table.columns:
        wrong("there is no column `source`", "Its first line names the columns, `source` among them")
        return any(name in COLUMNS for name in table.columns)
    return True


def _check_columns(names: Iterable[str], wrong: _Wrong) -> None:
    for name in dict.fromkeys(names):
        if name not in COLUMNS:
            near = difflib.get_close_matches(name, COLUMNS, 1)
            fix = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(COLUMNS)}"
            wrong(f"unknown column {name[:60]!r}", fix)


def _read_row(table: Table, row: TableRow, reading: _Reading) -> TableJob | None:
    """The job of a row; None if anything in it is wrong, and then every mistake is reported."""
    before, folder = len(reading.mistakes), table.path.parent
    wrong = partial(reading.wrong, table.path, row.line)

    def attempt(parse: Callable[[str], _T], text: str | None) -> _T | None:
        try:
            return None if text is None else parse(text)
        except UsageError as error:
            wrong(error.problem, error.fix)
            return None

    if not table.columns:
        if set(_MARKS) <= set(row.cells):
            wrong(*_COPY)
            return None
        _check_columns(row.cells, wrong)
    cells = _cell_texts(row, wrong)
    if {"negative_prompt", "append_negative"} <= cells.keys():
        wrong("both negative_prompt and append_negative", "Give one of them")
    seed = attempt(_parse_seed, cells.get("seed"))
    if "seed" not in cells and "sku" in cells:
        seed = seeds.seed_of_sku(cells["sku"])
    options = RowOptions(
        cells.get("description"),
        cells.get("negative_prompt"),
        cells.get("append_negative"),
        seed,
        attempt(parse_size, cells.get("size")),
        attempt(partial(_find_file, folder, "mask"), cells.get("mask")),
    )
    presets = tuple(dict.fromkeys(name[:40] for name in re.split(r"[\s,;]+", cells.get("preset", "")) if name))
    for name in presets:
        attempt(reading.check_preset, name)
    if not (reading.described or "description" in cells):
        wrong("no scene description", "Fill in `description`, or give one for all with -d")
    headless = bool(table.columns) and "source" not in table.columns  # which is told already
    source = None if headless else attempt(partial(_parse_source, folder), cells.get("source", ""))
    output = attempt(_parse_output, cells.get("output", ""))
    if output is None or not (source or output):
        return None
    photo, name = source or ("", "")  # a row without its photo still takes its output from others
    job = TableJob(table, row, photo, output or name, bool(output), options, presets)
    _check_output_clash(job, reading, wrong)
    return job if len(reading.mistakes) == before else None


def _cell_texts(row: TableRow, wrong: _Wrong) -> dict[str, str]:
    """The cells of a row as text, without the blank ones."""
    cells = {}
    for name, value in row.cells.items():
        if isinstance(value, bool) or not isinstance(value, (str, int, type(None))):
            wrong(f"{name} is {str(value)[:40]!r}, which is not a text", "Give a text, or a number for the seed")
            continue
        text = "" if value is None else str(value).strip()
        if any(unicodedata.category(char) == "Cs" for char in text):
            wrong(f"{name} contains an invalid character (lone surrogate)", "Write it again")
        elif text:
            cells[name] = text
    return cells


def _parse_seed(text: str) -> int:
    seed = int(text) if re.fullmatch(r"-1|[0-9]{1,10}", text, re.ASCII) else 0
    if seed != -1 and not 1 <= seed <= seeds.LAST:
        raise UsageError(f"seed {text[:40]!r} is not a seed", f"Give 1 to {seeds.LAST}, -1 for a fresh one, or nothing")
    return seed


def _parse_source(folder: Path, text: str) -> tuple[Path | str, str]:
    """Return the photo of a row, and the default name of its final."""
    if not text:
        raise UsageError("no source", "Name a photo, from the table's folder, or its URL")
    if "://" in text or text.lower().startswith(("data:", "javascript:", "//")):
        if not (re.match(r"https?://[^\s/]", text, re.IGNORECASE) or object_store.is_remote(text)):
            raise UsageError(f"{text[:60]!r} is not an address of a photo", "Give an http(s) URL or a file")
        return text, ""
    path = _find_file(folder, "source", text)
    inside = not Path(text).is_absolute() and ".." not in path.parts and path.is_relative_to(folder)
    return path, path.relative_to(folder).with_suffix("").as_posix() if inside else path.stem


def _find_file(folder: Path, what: str, text: str) -> Path:
    path = folder / text
    existing = find_same(path)
    if existing is not None and existing.is_dir():
        raise UsageError(f"{what} {str(path)!r} is a folder", "Name one photo a row")
    if existing is None or not existing.is_file():
        near = suggest_name(path)
        fix = near if near.endswith("?") else "Paths go from the table's folder"
        raise UsageError(f"{what} {str(path)!r}: no such file", fix)
    return existing


def _parse_output(text: str) -> str:
    """Check the name of a final below --out, if any. Returns it without a picture's suffix."""
    if not text:
        return ""
    path = PurePosixPath(text)
    if path.suffix.lower() in FORMATS:
        path = path.with_suffix("")
    outside = path.is_absolute() or ".." in path.parts or not path.parts
    if outside or "\\" in text or re.match(r"[A-Za-z]:", text) or text.endswith("/"):
        fix = "Give a name such as shoes/red-1"
        raise UsageError(f"output {text[:60]!r} is not a name below the output folder", fix)
    if path.parts[0].casefold() == "orders":
        raise UsageError(f"output {text[:60]!r} is in the folder of the orders", "Give another name")
    return str(path)


def _check_output_clash(job: TableJob, reading: _Reading, wrong: _Wrong) -> None:
    """Refuse two rows that write to the same file. Default names of different photos get digits later instead."""
    if not job.output:
        if str(job.source) not in reading.outputs:
            reading.outputs[str(job.source)] = job
            return
        first = reading.outputs[str(job.source)]
    else:
        first = reading.outputs.setdefault(collision_key(f"/{job.output}"), job)
        if first is job or not (job.chosen or first.chosen or first.source == job.source):
            return
    where = f"line {first.row.line}" if first.table is job.table else f"{first.table.path}, line {first.row.line}"
    fix = "Give another name in `output`" if job.chosen else "Give each its own name in `output`"
    wrong(f"writes to the same file as {where}", fix)
