"""Recognise the reports, pages and contact sheets that this tool wrote. Other files are never replaced unasked."""

import csv
import json
import os
import re
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from photio_prep.errors import OutputExists
from photio_prep.imaging.encode import encode_clean
from photio_prep.intake.job_table import RESULTS
from photio_prep.system import files

GENERATOR = "photio-prep"
# The text `Software` of a PNG, and the meta element of a page.
PNG_MARK = b"tEXtSoftware\0" + GENERATOR.encode()
PAGE_MARK = f'<meta name="generator" content="{GENERATOR}">'
_HEAD = 64 * 2**10
_REPORT = re.compile(rb'\{\n "generator": "photio-prep",\n "schema": 1,\n "command": "[a-z]+",\n "started": "')
_COLUMNS = b"\xef\xbb\xbfsource,output,state,order,final,exit_code,error,billed,cost,gate,reasons,"


def encode_own_png(picture: Image.Image) -> bytes:
    """Encode as PNG with our mark."""
    note = PngInfo()
    note.add_text("Software", GENERATOR)
    return encode_clean(picture, "PNG", optimize=True, pnginfo=note)


def check_not_foreign(path: Path, *, overwrite: bool) -> None:
    """Raise OutputExists at a link, a device, or (unless `overwrite`) a file that this tool did not write."""
    if not os.path.lexists(path) or (path.is_dir() and not path.is_symlink()):
        return  # writing fails by itself on a folder
    head = files.own_head(path, _HEAD)
    if head is None:
        raise OutputExists("not a regular file", "Move it away, or give another --out", subject=str(path))
    if not (overwrite or not head or _is_ours(head, path.suffix.lower())):
        fix = "Move it, give another --out, or --overwrite"
        raise OutputExists("photio-prep did not write this file", fix, subject=str(path))


def _is_ours(head: bytes, suffix: str) -> bool:
    if suffix == ".json":
        return _REPORT.match(head) is not None
    if suffix == ".png":
        return head.startswith(b"\x89PNG\r\n\x1a\n") and PNG_MARK in head
    if suffix in (".html", ".htm"):
        return PAGE_MARK.encode() in head
    return head.startswith(_COLUMNS) or any(_columns(head, sign)[-len(RESULTS) :] == [*RESULTS] for sign in "{,;\t")


def _columns(head: bytes, sign: str) -> list[str]:
    """The column names of a table: JSON lines ("{"), or CSV with the delimiter `sign`."""
    try:
        if sign == "{":
            row = json.loads(head.partition(b"\n")[0])
            return list(row) if isinstance(row, dict) else []
        lines = head.decode("utf-8-sig", "replace").splitlines(keepends=True)
        return next(csv.reader(lines, delimiter=sign, strict=True), [])
    except (csv.Error, ValueError, RecursionError):
        return []
