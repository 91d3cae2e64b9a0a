"""Recognise the reports, pages and contact sheets that this tool wrote. Other files are never replaced unasked."""

import csv
import json
import os
import re
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from photio_prep.errors import OutputExists
from photio_prep.imaging.encode import SANDBOX_MARK, encode_clean
from photio_prep.intake.item import MARK
from photio_prep.intake.job_table import RESULTS
from photio_prep.intake.names import portable_name
from photio_prep.system import files
from photio_prep.system.files import read_packaged
from photio_prep.system.near_name import collision_key

GENERATOR = "photio-prep"
# The text `Software` of a PNG, and the meta element of a page.
PNG_MARK = b"tEXtSoftware\0" + GENERATOR.encode()
PAGE_MARK = f'<meta name="generator" content="{GENERATOR}">'
_HEAD = 64 * 2**10
_REPORT = re.compile(rb'\{\n "generator": "photio-prep",\n "schema": 1,\n "command": "[a-z]+",\n "started": "')
_WRITTEN = (".csv", ".htm", ".html", ".json", ".jsonl", ".ndjson", ".tsv", ".txt")
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


@cache
def _final_name() -> re.Pattern[str]:
    """The stem of a thumbnail, of a final, or of a file for one of the marketplaces."""
    shops = "|".join(preset["name"] for preset in read_packaged("marketplaces/presets.toml")["preset"])
    return re.compile(rf"^(?P<thumbnail>[0-9a-f]{{32}}-[0-9a-f]{{8}}-)?.*{MARK}(-(?P<shop>{shops}))?$", re.DOTALL)


def is_final_name(stem: str) -> bool:
    """Whether a file is named like a final, or like a file for a marketplace."""
    return _final_name().search(stem) is not None


def is_own_output(path: Path) -> bool:
    """Whether a file is a final, a file for a marketplace, a thumbnail, a report, a page or a sheet of this tool."""
    suffix = path.suffix.lower()
    match = _final_name().search(path.stem)
    if match is None:
        return suffix in _WRITTEN and _is_ours(files.own_head(path, _HEAD) or b"", suffix)
    if match["shop"] or match["thumbnail"] or is_recorded(path):
        return True
    marks = (PNG_MARK, SANDBOX_MARK, b"digitalsourcetype/trained", b"digitalsourcetype/compositeWithTrained")
    return any(files.own_holds(path, mark) for mark in marks)


def is_recorded(path: Path) -> bool:
    """Whether an order near `path` has the final of this name."""
    path, stem = path.absolute(), path.stem.removesuffix(MARK)
    for folder in path.parents:
        orders = folder / "orders"
        if orders.is_dir():
            place = path.relative_to(folder).with_name(stem).as_posix()
            if collision_key(place) in _recorded_outputs(orders, orders.stat().st_mtime_ns):
                return True
    return False


@lru_cache(maxsize=8)
def _recorded_outputs(orders: Path, _modified: int) -> frozenset[str]:
    """The collision keys of the output names in all orders of a folder."""
    names: set[str] = set()
    for path in orders.glob("*/photo-*.json"):
        with suppress(ValueError, KeyError, TypeError, RecursionError):
            record = json.loads(files.own_bytes(path, files.RECORD) or b"")
            names.add(record["output"] or portable_name(Path(record["source"]).stem))
            names.add((record.get("variant") or {}).get("of", ""))
    return frozenset(map(collision_key, filter(None, names)))


def is_order_folder(folder: Path) -> bool:
    """Whether a folder with an `order.json` is an order of ours, perhaps a damaged one."""
    try:
        record = json.loads(files.own_bytes(folder / "order.json", files.RECORD) or b"")
    except (ValueError, RecursionError):
        return (folder / "canvas.png").exists() or folder.parent.name == "orders"
    return isinstance(record, dict) and {"schema", "key", "canvas"} <= record.keys()


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
