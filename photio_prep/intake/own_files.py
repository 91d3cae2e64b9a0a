"""Is a report, a page or a contact sheet one that this tool wrote? What is not is the user's, and is never replaced.

What is written now says so itself. Files of earlier versions are known by their shape where that is sure.
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
# Of a PNG, its text `Software`; of a page, its meta element.
PNG_MARK = b"tEXtSoftware\0" + GENERATOR.encode()
PAGE_MARK = f'<meta name="generator" content="{GENERATOR}">'
_HEAD = 64 * 2**10
_PAGE = re.compile(
    rb'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" '
    rb"content=\"default-src 'none'; img-src [^\n]+\n(?:<meta [^\n]+\n)+<title>Review of "
)
_REPORT = re.compile(rb'\{\n (?:"generator": "photio-prep",\n )?"schema": 1,\n "command": "[a-z]+",\n "started": "')
_COLUMNS = b"\xef\xbb\xbfsource,output,state,order,final,exit_code,error,billed,cost,gate,reasons,"


def refuse_foreign(path: Path, *, overwrite: bool, old: Callable[[bytes], bool] = lambda _: False) -> None:
    """Do nothing where nothing lies, or what this tool wrote there earlier.

    Args:
        path: Where a report, a copy with results, a page or a contact sheet goes.
        overwrite: The user says that a file of another maker may be replaced.
        old: Knows files of earlier versions, by their first bytes.

    Raises:
        OutputExists: Somebody else's file lies there, or a link, a device.
    """
    if not os.path.lexists(path) or (path.is_dir() and not path.is_symlink()):
        return  # a folder is replaced by nothing: who writes there fails
    head = files.own_head(path, _HEAD)
    if head is None:
        raise OutputExists("no regular file lies there", "Move it away, or give another --out", subject=str(path))
    if not (overwrite or not head or _is_ours(head, path.suffix.lower()) or old(head)):
        found = "a file that photio-prep did not write lies there"
        raise OutputExists(found, "Move it, give another --out, or --overwrite", subject=str(path))


def _is_ours(head: bytes, suffix: str) -> bool:
    if suffix == ".json":
        return _REPORT.match(head) is not None
    if suffix == ".png":
        return head.startswith(b"\x89PNG\r\n\x1a\n") and PNG_MARK in head
    if suffix in (".html", ".htm"):
        return PAGE_MARK.encode() in head or _PAGE.match(head) is not None
    if suffix == ".jsonl":
        return _has_results(_members(head))
    return head.startswith(_COLUMNS) or any(_has_results(_header(head, each)) for each in ",;\t")


def _members(head: bytes) -> list[str]:
    try:
        row = json.loads(head.partition(b"\n")[0])
    except (ValueError, RecursionError):
        return []
    return list(row) if isinstance(row, dict) else []


def _header(head: bytes, delimiter: str) -> list[str]:
    text = head.decode("utf-8-sig", "replace")
    try:
        return next(csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True), [])
    except csv.Error:
        return []


def _has_results(names: list[str]) -> bool:
    """Whether a row ends with the columns that results have; the last came with a later version."""
    return tuple(names[-len(RESULTS) :]) == RESULTS or tuple(names[-len(RESULTS) + 1 :]) == RESULTS[:-1]
