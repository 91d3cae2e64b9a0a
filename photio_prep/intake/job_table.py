"""Validate the rows of job tables (.csv, .jsonl); report every mistake."""

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from photio_prep.errors import PhotioError, TableErrors, UsageError
from photio_prep.geometry import Recommended, parse_size
from photio_prep.intake.table_reader import RowError, Table, TableRow, iter_rows, open_table
from photio_prep.system import object_store, seeds

SUFFIXES = (".csv", ".jsonl")
COLUMNS = (
    *("source", "description", "negative_prompt", "append_negative", "seed", "sku", "size", "preset", "output"),
    "mask",
)
# The columns that batch/report.py adds to a copy with results.
_MARKS = ("status", "cost", "flags", "order", "final")
RESULTS = (*_MARKS, "presets")
_COPY = (
    "this is a copy with results of a table, perhaps from another folder",
    "Correct and run the table itself: finished photos cost nothing",
)
_PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif", ".heic", ".heif"})


# Raises UsageError for the name of a preset that does not exist.
CheckPreset = Callable[[str], object]


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

    def wrong(self, table: Table | Path, line: int, found: str, fix: str) -> None:
        path = table.path if isinstance(table, Table) else table
        self.mistakes.append(UsageError(found, fix, subject=f"{path}, line {line}"))


def is_table(name: str) -> bool:
    """Whether an input is a job table, by its suffix."""
    return "://" not in name and name.lower().endswith(SUFFIXES)


def load_jobs(
    paths: Iterable[Path], *, described: bool = True, check_preset: CheckPreset = lambda _name: None
) -> dict[Path, list[TableJob]]:
    """Read the jobs of each table, in order.

    Args:
        paths: Of the tables.
        described: Rows may lack a scene description: the command has one, or it may come later.
        check_preset: Raises UsageError for an unknown preset.

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
    except RowError as fault:
        reading.wrong(path, fault.line, fault.found, fault.fix)
        return
    except PhotioError as error:  # the file cannot be read
        reading.mistakes.append(UsageError(error.problem, error.fix, subject=str(path)))
        return
    if not _check_header(table, reading):
        return
    count = 0
    for row in iter_rows(table):
        count += 1
        if isinstance(row, RowError):
            reading.wrong(table, row.line, row.found, row.fix)
        elif job := _job(table, row, reading):
            yield job
    if not count:
        reading.wrong(table, 1, "the table has no rows", "Give one photo a row")


def _check_header(table: Table, reading: _Reading) -> bool:
    """Record mistakes in the header. Returns whether the rows can be read; JSON lines have no header."""
    if set(_MARKS) <= set(table.columns):
        reading.wrong(table, 1, *_COPY)
        return False
    for name in dict.fromkeys(table.columns):
        if table.columns.count(name) > 1:
            reading.wrong(table, 1, f"the column {name!r} occurs twice", "Remove one")
        if name not in COLUMNS:
            reading.wrong(table, 1, *_unknown(name))
    if table.columns and "source" not in table.columns:
        reading.wrong(table, 1, "there is no column `source`", "Its first line names the columns, `source` among them")
        return False
    return True


def _unknown(name: str) -> tuple[str, str]:
    near = difflib.get_close_matches(name, COLUMNS, 1)
    return f"unknown column {name[:60]!r}", f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(COLUMNS)}"


def _job(table: Table, row: TableRow, reading: _Reading) -> TableJob | None:
    """The job of a row; None if anything in it is wrong, and then every mistake is reported."""
    before = len(reading.mistakes)

    def wrong(found: str, fix: str) -> None:
        reading.wrong(table, row.line, found, fix)

    if not table.columns and set(_MARKS) <= set(row.cells):
        wrong(*_COPY)
        return None
    if not table.columns:
        for name in row.cells:
            if name not in COLUMNS:
                wrong(*_unknown(name))
    cells = _cell_texts(row, wrong)
    options = _options(cells, table.path.parent, wrong)
    presets = _presets(cells.get("preset", ""), reading.check_preset, wrong)
    if not (reading.described or "description" in cells):
        wrong("no scene description", "Fill in `description`, or give one for all with -d")
    place = _source(cells.get("source", ""), table.path.parent, wrong)
    chosen = _output(cells["output"], wrong) if "output" in cells else ""
    if place is None:
        return None
    job = TableJob(table, row, place[0], chosen or place[1], bool(chosen), options, presets)
    _apart(job, reading, wrong)
    return job if len(reading.mistakes) == before else None


def _cell_texts(row: TableRow, wrong: Callable[[str, str], None]) -> dict[str, str]:
    """What the row says, as text; a blank cell says nothing."""
    cells = {}
    for name, value in row.cells.items():
        if isinstance(value, bool) or not isinstance(value, (str, int, type(None))):
            wrong(f"{name} is {str(value)[:40]!r}, which is no text", "Give a text, or a number for the seed")
            continue
        text = "" if value is None else str(value).strip()
        if any(unicodedata.category(each) == "Cs" for each in text):
            wrong(f"{name} holds half a character", "Write it again")
        elif text:
            cells[name] = text
    return cells


def _options(cells: dict[str, str], folder: Path, wrong: Callable[[str, str], None]) -> RowOptions:
    if "negative_prompt" in cells and "append_negative" in cells:
        wrong("both negative_prompt and append_negative", "Give one of them")
    seed, size, mask = None, None, None
    if "seed" in cells:
        seed = int(cells["seed"]) if re.fullmatch(r"-1|[0-9]{1,10}", cells["seed"], re.ASCII) else 0
        if seed != -1 and not 1 <= seed <= seeds.LAST:
            wrong(f"seed {cells['seed'][:40]!r} is no seed", f"Give 1 to {seeds.LAST}, -1 for a fresh one, or nothing")
    elif "sku" in cells:
        seed = seeds.seed_of_sku(cells["sku"])
    if "size" in cells:
        try:
            size = parse_size(cells["size"])
        except UsageError as error:
            wrong(error.problem, error.fix)
    if "mask" in cells:
        mask = folder / cells["mask"]
        _there(mask, "mask", wrong)
    description, replacing, added = (cells.get(name) for name in ("description", "negative_prompt", "append_negative"))
    return RowOptions(description, replacing, added, seed, size, mask)


def _presets(text: str, check: CheckPreset, wrong: Callable[[str, str], None]) -> tuple[str, ...]:
    """Split the names of presets in a cell, separated by spaces, commas or semicolons."""
    names = tuple(dict.fromkeys(name[:40] for name in re.split(r"[\s,;]+", text) if name))
    for name in names:
        try:
            check(name)
        except UsageError as error:
            wrong(error.problem, error.fix)
    return names


def _source(text: str, folder: Path, wrong: Callable[[str, str], None]) -> tuple[Path | str, str] | None:
    """Return the photo of a row, and the default name of its final."""
    if not text:
        wrong("no source", "Name a photo, from the table's folder, or its URL")
        return None
    if "://" in text or text.lower().startswith(("data:", "javascript:", "//")):
        if not (re.match(r"https?://[^\s/]", text, re.IGNORECASE) or object_store.is_remote(text)):
            wrong(f"{text[:60]!r} is not an address of a photo", "Give an http(s) URL or a file")
            return None
        return text, ""
    if not _there(folder / text, "source", wrong):
        return None
    path = PurePosixPath(Path(text).as_posix())
    inside = not path.is_absolute() and ".." not in path.parts
    return folder / text, str(path.with_suffix("")) if inside else path.stem


def _there(path: Path, what: str, wrong: Callable[[str, str], None]) -> bool:
    if path.is_file():
        return True
    if path.is_dir():
        wrong(f"{what} {str(path)!r} is a folder", "Name one photo a row")
    else:
        wrong(f"{what} {str(path)!r}: no such file", "Paths go from the table's folder")
    return False


def _output(text: str, wrong: Callable[[str, str], None]) -> str:
    """Check the name of a final below --out. Returns it without a picture's suffix."""
    path = PurePosixPath(text)
    if path.suffix.lower() in _PICTURES:
        path = path.with_suffix("")
    outside = path.is_absolute() or ".." in path.parts or not path.parts
    if outside or "\\" in text or re.match(r"[A-Za-z]:", text) or text.endswith("/"):
        wrong(f"output {text[:60]!r} is not a name below the output folder", "Give a name such as shoes/red-1")
    elif path.parts[0].casefold() == "orders":
        wrong(f"output {text[:60]!r} is in the folder of the orders", "Give another name")
    return str(path)


def _apart(job: TableJob, reading: _Reading, wrong: Callable[[str, str], None]) -> None:
    """Refuse two rows that write to the same file. Default names of different photos get digits later instead."""
    if not job.output:
        if str(job.source) not in reading.outputs:
            reading.outputs[str(job.source)] = job
            return
        first = reading.outputs[str(job.source)]
    else:
        folded = unicodedata.normalize("NFC", f"/{job.output}").casefold()
        first = reading.outputs.setdefault(folded, job)
        if first is job or not (job.chosen or first.chosen or first.source == job.source):
            return
    where = f"line {first.row.line}" if first.table is job.table else f"{first.table.path}, line {first.row.line}"
    fix = "Give another name in `output`" if job.chosen else "Give each its own name in `output`"
    wrong(f"writes to the same file as {where}", fix)
