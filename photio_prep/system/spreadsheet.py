"""Cells -> the bytes of a CSV file in which no spreadsheet finds a formula."""

import csv
import io
import re
from collections.abc import Iterable

# A spreadsheet takes a cell that begins so for a formula, whoever wrote it, also after white space. It may split a line
# at any of the separators, whatever the file's own is and quotation marks say: what follows one begins a cell, too.
_FORMULAS = re.compile(r"((?:^|[,;|\t\r\n\v\f\x1c-\x1e\x85\u2028\u2029])[\s\"']*)(?=[=+\-@＝＋－＠])")


def cell(value: object) -> str:
    """A value as the text of a cell."""
    if isinstance(value, tuple):
        return "; ".join(map(str, value))
    return "" if value is None else str(value)


def inert(text: str) -> str:
    """`text` as a cell that no spreadsheet takes for a formula, and no part of it either."""
    guarded = _FORMULAS.sub(r"\1'", text)
    return f"'{guarded}" if guarded.startswith(("\t", "\r", "\n")) else guarded


def separated(rows: Iterable[Iterable[str]], delimiter: str, *, marked: bool) -> bytes:
    """The file of some rows; `marked` with what Excel knows UTF-8 by."""
    holder = io.StringIO(newline="")
    csv.writer(holder, delimiter=delimiter).writerows([*map(inert, row)] for row in rows)
    # A file name may hold bytes that are no UTF-8.
    text = holder.getvalue().encode("utf-8", "backslashreplace")
    return b"\xef\xbb\xbf" + text if marked else text
