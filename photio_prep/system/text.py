"""Untrusted text: strict JSON, control characters, and CSV in which no spreadsheet finds a formula."""

import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterable
from typing import Any, NoReturn

# A spreadsheet reads a cell that begins so as a formula, also after white space. It may split a line at any of these
# separators, whatever the file's own is and inside quotation marks too: the text after a separator begins a cell.
_FORMULAS = re.compile(r"((?:^|[,;|\t\r\n\v\f\x1c-\x1e\x85\u2028\u2029])[\s\"']*)(?=[=+\-@＝＋－＠])")


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name occurs twice")
    return members


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


STRICT_JSON = json.JSONDecoder(object_pairs_hook=_unique_members, parse_constant=_refuse_constant)


def parse_json(text: str | bytes) -> Any:  # noqa: ANN401  any JSON value
    """Parse strict JSON. ValueError for a name that occurs twice, NaN and Infinity, and too deep nesting."""
    try:
        return json.loads(text, object_pairs_hook=_unique_members, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def decode_text(data: bytes) -> str:
    """Decode UTF-8, or UTF-16 as Excel writes it, without its byte order mark; UnicodeDecodeError for anything else."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16")
    zeros = [at for at in (0, 1) if data[at : at + 2][:1] == b"\0"]
    return data.decode({0: "utf-16-be", 1: "utf-16-le"}[zeros[0]] if len(zeros) == 1 else "utf-8-sig")


def escape_controls(text: str) -> str:
    """`text` with control characters, direction overrides and lone surrogates as hexadecimal escapes."""
    if text.isprintable():
        return text
    unsafe = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    return "".join(f"\\x{ord(char):02x}" if unicodedata.category(char) in unsafe else char for char in text)


def cell(value: object) -> str:
    """The text of a cell: a tuple joined by "; ", "" for None."""
    if isinstance(value, tuple):
        return "; ".join(map(str, value))
    return "" if value is None else str(value)


def escape_formula(text: str) -> str:
    """`text` with an apostrophe before each part that a spreadsheet would read as a formula."""
    guarded = _FORMULAS.sub(r"\1'", text)
    return f"'{guarded}" if guarded.startswith(("\t", "\r", "\n")) else guarded


def encode_rows(rows: Iterable[Iterable[str]], delimiter: str, *, marked: bool) -> bytes:
    """The bytes of the CSV file; `marked` with the byte-order mark by which Excel recognizes UTF-8."""
    holder = io.StringIO(newline="")
    csv.writer(holder, delimiter=delimiter).writerows([*map(escape_formula, row)] for row in rows)
    # A file name may hold bytes that are not UTF-8.
    text = holder.getvalue().encode("utf-8", "backslashreplace")
    return b"\xef\xbb\xbf" + text if marked else text
