"""A table's file -> its columns and rows, each with the line that it begins on."""

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


class Fault(Exception):
    """What is wrong with a line."""

    def __init__(self, line: int, found: str, fix: str) -> None:
        super().__init__(line, found, fix)
        self.line, self.found, self.fix = line, found, fix


class Row(NamedTuple):
    """Cells by column, and the line that they begin on."""

    line: int
    cells: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A table's file: `columns` is empty for JSON lines, whose rows name their own."""

    path: Path
    text: str = field(repr=False)
    columns: tuple[str, ...] = ()
    delimiter: str = ""
    marked: bool = False  # begins with the mark that Excel knows UTF-8 by


def opened(path: Path) -> Table:
    """The table at `path`, its header read.

    Raises:
        Fault: It is no text in UTF-8, or has no header.
        PhotoRefused: It cannot be read.
    """
    data = read_input(path, _LONGEST)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Fault(line, f"not UTF-8 (byte {data[error.start]:#04x})", _AS_UTF8) from None
    if "\0" in text:
        raise Fault(text.count("\n", 0, text.index("\0")) + 1, "a zero byte: this is no text", _AS_UTF8)
    marked = data.startswith(b"\xef\xbb\xbf")
    if path.suffix.lower() == ".jsonl":
        return Table(path, text, marked=marked)
    # As many columns as can be: a comma within a name of Excel's `;` is rarer than a table of one column.
    head = next(iter(text.splitlines()), "")
    delimiter = max(_DELIMITERS, key=head.count)
    try:
        names = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise Fault(1, f"its header cannot be read ({error})", "Name the columns, with commas between") from None
    if not any(each.strip() for each in names):
        raise Fault(1, "its first line names no columns", "Begin with a line such as: source,description,seed")
    return Table(path, text, tuple(each.strip().lower() for each in names), delimiter, marked)


def cells(table: Table) -> Iterator[Row | Fault]:
    """Each row that is not blank; a Fault in place of one that cannot be read."""
    return _separated(table) if table.columns else _objects(table)


def _separated(table: Table) -> Iterator[Row | Fault]:
    reader = csv.reader(io.StringIO(table.text, newline=""), delimiter=table.delimiter, strict=True)
    next(reader)
    while True:
        line = reader.line_num + 1  # a quoted cell may hold line breaks: this is where the row begins
        try:
            found = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Fault(line, f"the row cannot be read ({error})", "Mend its quotation marks")
            continue
        if not any(each.strip() for each in found):
            continue
        if len(found) != len(table.columns):
            count = f"{len(found)} {'cell' if len(found) == 1 else 'cells'}"
            yield Fault(
                line, f"{count} in place of {len(table.columns)}", f"Put text that holds {table.delimiter!r} in quotes"
            )
            continue
        yield Row(line, dict(zip(table.columns, found, strict=True)))


def _objects(table: Table) -> Iterator[Row | Fault]:
    for line, text in enumerate(table.text.split("\n"), 1):
        if not text.strip():
            continue
        try:
            found = json.loads(text, object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            yield Fault(line, f"no JSON object ({str(error)[:80]})", "One object a line")
            continue
        if isinstance(found, dict):
            yield Row(line, {name.strip().lower(): value for name, value in found.items()})
        else:
            yield Fault(line, f"no JSON object but {type(found).__name__}", "One object a line")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands there twice")
    return found
