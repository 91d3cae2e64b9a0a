"""Read CSV and JSONL tables into rows with line numbers."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from photio_prep.system.files import read_input

_LONGEST = 64 * 2**20
_DELIMITERS = ",;\t"
_AS_UTF8 = "Save it as UTF-8 (in Excel: `CSV UTF-8`)"


class RowError(Exception):
    """A line that cannot be read: its number, the finding and the fix."""

    def __init__(self, line: int, finding: str, fix: str) -> None:
        super().__init__(line, finding, fix)
        self.line, self.found, self.fix = line, finding, fix


class TableRow(NamedTuple):
    """The cells of one row by column, and the number of its first line."""

    line: int
    cells: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """The text of a table. `columns` is empty for JSON lines, whose rows name their own."""

    path: Path
    text: str = field(repr=False)
    columns: tuple[str, ...] = ()
    delimiter: str = ""
    marked: bool = False  # begins with the byte order mark by which Excel recognises UTF-8


def open_table(path: Path) -> Table:
    """Read a table and its header.

    Raises:
        Fault: The file is not UTF-8 text, or has no header.
        PhotoRefused: The file cannot be read.
    """
    data = read_input(path, _LONGEST)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise RowError(line, f"not UTF-8 (byte {data[error.start]:#04x})", _AS_UTF8) from None
    if "\0" in text:
        raise RowError(text.count("\n", 0, text.index("\0")) + 1, "a zero byte: this is not text", _AS_UTF8)
    marked = data.startswith(b"\xef\xbb\xbf")
    if path.suffix.lower() == ".jsonl":
        return Table(path, text, marked=marked)
    # The delimiter that gives the most columns: a comma in a column's name of Excel's `;` table is rare.
    header = next(iter(text.splitlines()), "")
    delimiter = max(_DELIMITERS, key=header.count)
    try:
        names = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise RowError(1, f"the header cannot be read ({error})", "Name the columns, with commas between") from None
    if not any(name.strip() for name in names):
        raise RowError(1, "the first line names no columns", "Begin with a line such as: source,description,seed")
    return Table(path, text, tuple(name.strip().lower() for name in names), delimiter, marked)


def iter_rows(table: Table) -> Iterator[TableRow | RowError]:
    """Iterate over the rows that are not blank; a Fault stands for each row that cannot be read."""
    return _iter_csv(table) if table.columns else _iter_json(table)


def _iter_csv(table: Table) -> Iterator[TableRow | RowError]:
    reader = csv.reader(io.StringIO(table.text, newline=""), delimiter=table.delimiter, strict=True)
    next(reader)
    while True:
        line = reader.line_num + 1  # a quoted cell may hold line breaks: this is where the row begins
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield RowError(line, f"the row cannot be read ({error})", "Correct its quotation marks")
            continue
        if not any(value.strip() for value in values):
            continue
        if len(values) == len(table.columns):
            yield TableRow(line, dict(zip(table.columns, values, strict=True)))
        else:
            count = f"{len(values)} {'cell' if len(values) == 1 else 'cells'}"
            fix = f"Put text that holds {table.delimiter!r} in quotes"
            yield RowError(line, f"{count} instead of {len(table.columns)}", fix)


def _iter_json(table: Table) -> Iterator[TableRow | RowError]:
    for line, text in enumerate(table.text.split("\n"), 1):
        if not text.strip():
            continue
        try:
            members = json.loads(text, object_pairs_hook=_check_names)
        except (ValueError, RecursionError) as error:
            yield RowError(line, f"not a JSON object ({str(error)[:80]})", "One object a line")
            continue
        if isinstance(members, dict):
            yield TableRow(line, {name.strip().lower(): value for name, value in members.items()})
        else:
            yield RowError(line, f"not a JSON object but {type(members).__name__}", "One object a line")


def _check_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name occurs twice")
    return members
