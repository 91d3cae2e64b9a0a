"""Recognise the reports, pages and contact sheets that this tool wrote. Other files are never replaced unasked.

Files carry a mark of their generator. Files of earlier versions are recognised by their form where that is certain.
"""

import csv
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

from photio_prep.errors import OutputExists
from photio_prep.intake.job_table import RESULTS
from photio_prep.system import files

GENERATOR = "photio-prep"
# The text `Software` of a PNG, and the meta element of a page.
PNG_MARK = b"tEXtSoftware\0" + GENERATOR.encode()
PAGE_MARK = f'<meta name="generator" content="{GENERATOR}">'
_HEAD = 64 * 2**10
_PAGE = re.compile(
    rb'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" '
    rb"content=\"default-src 'none'; img-src [^\n]+\n(?:<meta [^\n]+\n)+<title>Review of "
)
_REPORT = re.compile(rb'\{\n (?:"generator": "photio-prep",\n )?"schema": 1,\n "command": "[a-z]+",\n "started": "')
_COLUMNS = b"\xef\xbb\xbfsource,output,state,order,final,exit_code,error,billed,cost,gate,reasons,"


def check_not_foreign(path: Path, *, overwrite: bool, old: Callable[[bytes], bool] = lambda _: False) -> None:
    """Refuse to replace a file that this tool did not write.

    Args:
        path: Of a report, a copy with results, a page or a contact sheet.
        overwrite: The user allows it to replace foreign files.
        old: Recognises files of earlier versions by their first bytes.

    Raises:
        OutputExists: There is a foreign file, a link or a device.
    """
    if not os.path.lexists(path) or (path.is_dir() and not path.is_symlink()):
        return  # writing fails by itself on a folder
    head = files.own_head(path, _HEAD)
    if head is None:
        raise OutputExists("not a regular file", "Move it away, or give another --out", subject=str(path))
    if not (overwrite or not head or _is_ours(head, path.suffix.lower()) or old(head)):
        fix = "Move it, give another --out, or --overwrite"
        raise OutputExists("photio-prep did not write this file", fix, subject=str(path))


def _is_ours(head: bytes, suffix: str) -> bool:
    if suffix == ".json":
        return _REPORT.match(head) is not None
    if suffix == ".png":
        return head.startswith(b"\x89PNG\r\n\x1a\n") and PNG_MARK in head
    if suffix in (".html", ".htm"):
        return PAGE_MARK.encode() in head or _PAGE.match(head) is not None
    if suffix == ".jsonl":
        return _has_results(_json_columns(head))
    return head.startswith(_COLUMNS) or any(_has_results(_csv_columns(head, delimiter)) for delimiter in ",;\t")


def _json_columns(head: bytes) -> list[str]:
    try:
        row = json.loads(head.partition(b"\n")[0])
    except (ValueError, RecursionError):
        return []
    return list(row) if isinstance(row, dict) else []


def _csv_columns(head: bytes, delimiter: str) -> list[str]:
    text = head.decode("utf-8-sig", "replace")
    try:
        return next(csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True), [])
    except csv.Error:
        return []


def _has_results(names: list[str]) -> bool:
    """Whether the columns end with those of results; earlier versions lack the last one."""
    return tuple(names[-len(RESULTS) :]) == RESULTS or tuple(names[-len(RESULTS) + 1 :]) == RESULTS[:-1]
