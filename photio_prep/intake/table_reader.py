"""Read job tables (CSV, TSV, JSON lines, a JSON array) into rows with line numbers."""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from photio_prep.errors import PhotioError, UsageError
from photio_prep.system.files import read_input
from photio_prep.system.text import STRICT_JSON, decode_text, parse_json

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
# Recognised in order to say what to do.
WORKBOOKS = (".xlsx", ".xlsm", ".xls", ".ods", ".numbers")
COLUMNS = (
    *("source", "description", "negative_prompt", "append_negative", "seed", "sku", "size", "preset", "output"),
    "mask",
)
# Other names of columns, as other tools and shops write them.
_ALIASES = {
    **dict.fromkeys(
        ("file", "filename", "file_name", "image", "image_url", "path", "photo", "picture", "url"), "source"
    ),
    **dict.fromkeys(("scene", "scene_description", "product_description", "prompt"), "description"),
    **dict.fromkeys(("marketplace", "marketplaces", "presets"), "preset"),
    "negative": "negative_prompt",
}
_LONGEST = 64 * 2**20
_DELIMITERS = ",;\t"
_AS_UTF8 = "Save it as UTF-8 (in Excel: `CSV UTF-8`)"
_ONE_OBJECT = "One object a line, or an array of objects"
_SEPARATOR = re.compile(r'"?sep=([,;\t|])"?\r?\n?', re.IGNORECASE)
_BETWEEN = re.compile(r"[\s,]*")


class RowError(Exception):
    """A line that cannot be read: its number, the problem and the fix."""

    def __init__(self, line: int, problem: str, fix: str) -> None:
        super().__init__(line, problem, fix)
        self.line, self.problem, self.fix = line, problem, fix


class TableRow(NamedTuple):
    """The cells of one row by column, and the number of its first line."""

    line: int
    cells: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """The text of a table.

    `header` holds the columns in their order, "" for one without a name. It is empty for JSON, whose rows name their
    own. `start` is the number of its line.
    """

    path: Path
    text: str = field(repr=False)
    header: tuple[str, ...] = ()
    delimiter: str = ""
    marked: bool = False  # as Excel writes it: UTF-16, or UTF-8 with a byte order mark
    start: int = 1

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns with a name."""
        return tuple(name for name in self.header if name)


def is_table(name: str) -> bool:
    """Whether an input is a job table: by its suffix, or (Excel's "Unicode text") by its header."""
    suffix = Path(name).suffix.lower()
    if "://" in name or suffix != ".txt":
        return "://" not in name and suffix in (*SUFFIXES, *WORKBOOKS)
    try:
        header = decode_text(read_input(Path(name), _LONGEST)).partition("\n")[0]
    except (PhotioError, ValueError):
        return False
    columns = [_name_column(cell) for cell in header.split("\t")]
    return len(columns) > 1 and "source" in columns


def open_table(path: Path) -> Table:
    """Read a table and its header.

    Raises:
        RowError: The file is not text, or has no header.
        UsageError: It is a workbook.
        PhotoRefused: The file cannot be read.
    """
    data = read_input(path, _LONGEST)
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise UsageError("a workbook, not a table of text", "In Excel: Save As > `CSV UTF-8`, and give that file")
    try:
        text = decode_text(data)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise RowError(line, f"not UTF-8 (byte {data[error.start]:#04x})", _AS_UTF8) from None
    if "\0" in text:
        raise RowError(text.count("\n", 0, text.index("\0")) + 1, "a zero byte: this is not text", _AS_UTF8)
    marked = data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"))
    suffix = path.suffix.lower()
    if suffix in (".jsonl", ".ndjson", ".json"):
        return Table(path, text, marked=marked)
    separator = _SEPARATOR.match(text)  # a line of Excel's, above the header
    text = text[separator.end() :] if separator else text
    start = 2 if separator else 1
    # The delimiter that gives the most columns: a comma in a column's name of Excel's `;` table is rare.
    first = next(iter(text.splitlines()), "")
    delimiter = separator[1] if separator else "\t" if suffix == ".tsv" else max(_DELIMITERS, key=first.count)
    try:
        names = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise RowError(start, f"the header cannot be read ({error})", "Name the columns, with commas between") from None
    header = [_name_column(name) for name in names]
    while header and not header[-1]:
        header.pop()
    if not header and text.strip():
        raise RowError(start, "the first line names no columns", "Begin with a line such as: source,description,seed")
    return Table(path, text, tuple(header), delimiter, marked, start)


def _name_column(name: str) -> str:
    name = "_".join(name.lower().replace("-", " ").split())
    return _ALIASES.get(name, name)


def iter_rows(table: Table) -> Iterator[TableRow | RowError]:
    """Iterate over the rows that are not blank; a RowError stands for each row that cannot be read."""
    if table.header:
        return _iter_csv(table)
    whole = table.path.suffix.lower() == ".json" or table.text.lstrip().startswith("[")
    return _iter_values(table.text) if whole else _iter_lines(table.text)


def _iter_csv(table: Table) -> Iterator[TableRow | RowError]:
    reader = csv.reader(io.StringIO(table.text, newline=""), delimiter=table.delimiter, strict=True)
    next(reader)
    while True:
        line = reader.line_num + table.start  # a quoted cell may hold line breaks: this is where the row begins
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield RowError(line, f"the row cannot be read ({error})", "Correct its quotation marks")
            continue
        if not any(value.strip() for value in values):
            continue
        while len(values) > len(table.header) and not values[-1].strip():
            values.pop()
        if len(values) != len(table.header):
            count = f"{len(values)} {'cell' if len(values) == 1 else 'cells'}"
            long = f"Put text that holds {table.delimiter!r} in quotes"
            fix = long if len(values) > len(table.header) else "Write its empty cells, too"
            yield RowError(line, f"{count} instead of {len(table.header)}", fix)
            continue
        pairs = [*zip(table.header, values, strict=True)]
        nameless = next((value for name, value in pairs if not name and value.strip()), None)
        if nameless is None:
            yield TableRow(line, {name: value for name, value in pairs if name})
        else:
            yield RowError(line, f"the column of {nameless[:40]!r} has no name", "Name it in the first line")


def _iter_lines(text: str) -> Iterator[TableRow | RowError]:
    for line, value in enumerate(text.split("\n"), 1):
        if value.strip():
            try:
                yield _read_object(line, parse_json(value))
            except ValueError as error:
                yield RowError(line, f"not a JSON object ({str(error)[:80]})", _ONE_OBJECT)


def _iter_values(text: str) -> Iterator[TableRow | RowError]:
    """Iterate over JSON objects with blanks or commas between them, perhaps in an array."""
    array = text.lstrip().startswith("[")
    at, line = text.index("[") + 1 if array else 0, 1
    counted = 0
    while True:
        following = _BETWEEN.match(text, at)
        at = following.end() if following else at
        line, counted = line + text.count("\n", counted, at), at
        if at == len(text) and not array:
            return
        if array and text.startswith("]", at):
            if rest := text[at + 1 :].strip():
                yield RowError(line, f"text after the array ({rest[:40]!r})", _ONE_OBJECT)
            return
        try:
            value, at = STRICT_JSON.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            yield RowError(line, f"not a JSON object ({str(error)[:80]})", _ONE_OBJECT)
            return
        yield _read_object(line, value)


def _read_object(line: int, value: object) -> TableRow | RowError:
    if not isinstance(value, dict):
        return RowError(line, f"not a JSON object but {type(value).__name__}", _ONE_OBJECT)
    cells = {_name_column(name): cell for name, cell in value.items()}
    if len(cells) < len(value):
        return RowError(line, "two names of the same column", "Remove one")
    return TableRow(line, cells)
