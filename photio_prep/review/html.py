"""Entries -> the review page: one static HTML file without network access.

Untrusted text (file names, server messages, edited records) reaches the page as JSON only, and its scripts insert it as
text. The page's Content-Security-Policy allows its style and its script by their digests, and pictures; nothing else.
"""

import base64
import html
import json
import os
import re
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import fields
from hashlib import sha256
from importlib import resources
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image

from photio_prep.errors import PhotioError, UsageError
from photio_prep.geometry import snap
from photio_prep.imaging.encode import encode_clean
from photio_prep.imaging.limits import DEFAULT_LIMITS
from photio_prep.intake.url_guard import redact_url
from photio_prep.orders.previews import read_picture
from photio_prep.orders.state import State
from photio_prep.review.entries import LONGEST, ReviewEntry, output_root
from photio_prep.review.thumbnails import Thumbnails
from photio_prep.system.text import escape_controls
from photio_prep.system.threads import Pool

# Photos in one file -> the longer side of its pictures: about 30 MB at the end of each line.
_SIDES = ((60, 960), (200, 640), (500, 400), (1000, 280))
_WORKERS = 4
_GUARD = threading.Lock()
# Fields that differ in every row.
_OWN = frozenset({"n", "key", "name", "folder", "seed", "pictures", "figures", "here"})


def render_page(
    entries: list[ReviewEntry],
    pictures: Iterable[Thumbnails],
    path: Path,
    *,
    embed: bool = False,
    price: float | None = None,
) -> bytes:
    """Return the HTML of the page. The URLs of pictures are relative to `path`, or, with `embed`, hold small copies."""
    side = next((side for limit, side in _SIDES if len(entries) <= limit), None) if embed else None
    if embed and side is None:
        raise UsageError(
            f"{len(entries)} photos are too many for one file (at most {_SIDES[-1][0]})",
            "Leave --embed out: the page then shows the pictures in the output folder",
        )

    def build_row(numbered: tuple[int, ReviewEntry, Thumbnails]) -> dict[str, Any]:
        return _build_row(*numbered, path, side, price)

    with Pool(_WORKERS, "page") as pool:
        pool.fill()
        rows = list(pool.map(build_row, zip(count(1), entries, pictures, strict=False)))
    title = escape_controls(output_root(entries[0].folder.resolve()).name)
    data = {**_pack(rows), "place": title, "totals": summarize_costs(entries, price), "embedded": embed}
    style, script = _read_template(".css"), f'(() => {{\n"use strict";\n{_read_template(".js")}}})();\n'
    sources = "data:" if embed else "'self' file:"
    policy = (
        f"default-src 'none'; img-src {sources}; style-src {_csp_hash(style)};"
        f" script-src {_csp_hash(script)}; base-uri 'none'; form-action 'none'"
    )
    # ASCII JSON without characters that an HTML parser acts on.
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    text = text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    heading = html.escape(f"Review of {title}")
    parts = {"policy": policy, "title": heading, "style": style, "script": script, "data": text}
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _read_template(".html")).encode("utf-8", "replace")


def _pack(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the rows as lists, with shared values stored once: less than half the JSON."""
    shared: dict[str, int] = {}

    def pack(name: str, value: object) -> object:
        return value if name in _OWN else shared.setdefault(json.dumps(value), len(shared))

    packed = [[pack(name, value) for name, value in row.items()] for row in rows]
    names = list(rows[0])
    own = [name in _OWN for name in names]
    return {"names": names, "own": own, "shared": [json.loads(value) for value in shared], "rows": packed}


def summarize_costs(entries: list[ReviewEntry], price: float | None = None) -> str:
    """Return one line: photos by state, paid and perhaps billed calls."""
    orders = {entry.folder: entry for entry in entries}.values()
    counts = Counter(state_label(entry) for entry in orders)
    paid, perhaps = sum(entry.billed for entry in orders), sum(entry.perhaps for entry in orders)
    parts = [f"{len(entries)} photos" if len(entries) != 1 else "1 photo"]
    parts += [f"{number} {name}" for name, number in counts.most_common()]
    parts += [f"paid calls: {paid}" + (f" ({paid * price:.2f})" if price else "")]
    parts += [f"perhaps billed: {perhaps}"] if perhaps else []
    return " · ".join(parts)


def state_label(entry: ReviewEntry) -> str:
    """Return the state in words."""
    if entry.state is None:
        return "damaged"
    return "given up" if entry.lost and entry.state is State.UNKNOWN else entry.state.replace("_", " ")


def _build_row(
    number: int, entry: ReviewEntry, pictures: Thumbnails, path: Path, side: int | None, price: float | None
) -> dict[str, Any]:
    """Return the page's data of an entry, with control characters in texts escaped."""
    here = f"{_url(entry.folder, path, None)}/"
    files = ((field.name, getattr(pictures, field.name)) for field in fields(pictures))
    urls = {name: _url(file, path, side) for name, file in files if isinstance(file, Path)}
    urls = {name: url.replace(here, "~/", 1) if url.startswith(here) else url for name, url in urls.items()}
    if side:
        urls.pop("shown" if "photo" in urls else "overlay", None)
    order, sent, placement, gate = entry.order, entry.order.request, entry.order.placement, entry.gate
    reasons, figures = (gate.reasons, gate.figures) if gate else ((), {})
    row = {
        "n": number,
        "name": entry.source,
        "state": state_label(entry),
        "provider": "sandbox" if order.sandbox else order.endpoint,
        "folder": _relative_path(entry.folder, path),
        "negative": sent.negative_prompt or "",
        "drawn": sent.seed_drawn,
        "url": redact_url(sent.image_url or ""),
        "cost": describe_cost(entry, price),
        "format": order.origin.format,
        "tag": snap(placement.canvas).tag if entry.key else "",
        "size": placement.source,
        "canvas": placement.canvas,
        "box": placement.box,
        "lost": f"{1 - placement.used:.1%}" if placement.used < 0.9995 else "",
        "product": pictures.product,
        "judged": gate is not None,
        "risk": f"{entry.risk:.0%}" if "risk" in figures else "",
        "reasons": [{"name": reason.name, "verdict": reason.verdict, "text": reason.text} for reason in reasons],
        "measures": [*figures],
        "figures": [f"{value:.4g}" for value in figures.values()],
    }
    same = "key why flags created warnings measured", "sandbox model device", "description seed"
    for record, names in zip((entry, order, sent), same, strict=True):
        row |= {name: getattr(record, name) for name in names.split()}
    return {name: _escape(value) for name, value in row.items()} | {"here": here, "pictures": urls}


def _escape(value: Any) -> Any:  # noqa: ANN401  any value of a row
    """Escape the control characters in all texts of a value, and shorten them."""
    if isinstance(value, str):
        return escape_controls(value[:LONGEST])
    if isinstance(value, dict):
        return {name: _escape(member) for name, member in value.items()}
    return [_escape(member) for member in value] if isinstance(value, (list, tuple)) else value


def describe_cost(entry: ReviewEntry, price: float | None = None) -> str:
    """Return in words what an entry's calls cost so far."""
    if entry.order.sandbox:
        return "free (sandbox)"
    amount = f" ({entry.billed * price:g})" if price else ""
    paid = "one paid call" if entry.billed == 1 else f"{entry.billed} paid calls"
    parts = [f"{paid}{amount}"] if entry.billed else []
    if entry.perhaps:
        parts.append(f"{entry.perhaps} {'call' if entry.perhaps == 1 else 'calls'} perhaps billed")
    return ", ".join(parts) or "nothing yet"


def _relative_path(path: Path, page: Path) -> str:
    try:
        return os.path.relpath(path.resolve(), page.resolve().parent)
    except ValueError:  # another drive of Windows
        return str(path.resolve())


def _url(path: Path, page: Path, side: int | None) -> str:
    """Return the percent-encoded URL of `path` relative to the page.

    With `side`, return a data URL of a small copy; "" if the picture cannot be read.
    """
    if side:
        try:
            with _GUARD:  # a photo or a final takes up to 150 MB while it is downscaled
                image = read_picture(path, DEFAULT_LIMITS)
                image.thumbnail((side, side), Image.Resampling.BOX, reducing_gap=2)
        except (PhotioError, OSError):
            return ""
        data = encode_clean(image, "WEBP", quality=78, method=2)
        return f"data:image/webp;base64,{base64.b64encode(data).decode()}"
    relative = _relative_path(path, page)
    if Path(relative).is_absolute():
        return path.resolve().as_uri()
    return "./" + quote(os.fsencode(relative.replace(os.sep, "/")))


def _read_template(suffix: str) -> str:
    """Return the template files of one kind, joined in the order of their names."""
    folder = resources.files("photio_prep") / "review" / "template"
    parts = sorted(folder.iterdir(), key=lambda part: part.name)
    return "".join(part.read_text(encoding="utf-8") for part in parts if part.name.endswith(suffix))


def _csp_hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"
