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
from hashlib import sha256
from importlib import resources
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image

from photio_prep.errors import PhotioError, UsageError
from photio_prep.imaging.encode import encode_clean
from photio_prep.imaging.limits import DEFAULT_LIMITS
from photio_prep.orders.state import State
from photio_prep.review.entries import ReviewEntry, output_root
from photio_prep.review.thumbnails import Thumbnails, read_picture
from photio_prep.system.text import escape_controls
from photio_prep.system.threads import Pool

# Photos in one file -> the longer side of its pictures: about 30 MB at the end of each line.
_SIDES = ((60, 960), (200, 640), (500, 400), (1000, 280))
_WORKERS = 4
_GUARD = threading.Lock()
# Fields that differ in every row.
_OWN = frozenset({"n", "key", "name", "folder", "seed", "pictures", "figures", "here"})
_NAMES = ("photo", "shown", "overlay", "cutout", "canvas", "answer", "final", "drift", "thumb")


def render_page(
    entries: list[ReviewEntry],
    pictures: Iterable[Thumbnails],
    path: Path,
    *,
    embed: bool = False,
    price: float | None = None,
) -> bytes:
    """Return the HTML of the page.

    Args:
        entries: In the order of their numbers.
        pictures: Those of each entry.
        path: The page's path: the URLs of pictures are relative to it.
        embed: Embed small copies of all pictures in the page.
        price: Price per call.

    Raises:
        UsageError: More photos than fit into one file.
    """
    side = _embedded_side(len(entries)) if embed else None

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
    parts = {
        "policy": policy,
        "title": html.escape(f"Review of {title}"),
        "style": style,
        "script": script,
        "data": _dump_json(data),
    }
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


def _embedded_side(photos: int) -> int:
    for limit, side in _SIDES:
        if photos <= limit:
            return side
    raise UsageError(
        f"{photos} photos are too many for one file (at most {_SIDES[-1][0]})",
        "Leave --embed out: the page then shows the pictures in the output folder",
    )


def _build_row(
    number: int, entry: ReviewEntry, pictures: Thumbnails, path: Path, side: int | None, price: float | None
) -> dict[str, Any]:
    """Return the page's data of an entry, with control characters in texts escaped."""
    here = f"{_url(entry.folder, path, None)}/"
    urls = {name: _url(file, path, side) for name in _NAMES if (file := getattr(pictures, name)) is not None}
    urls = {name: url.replace(here, "~/", 1) if url.startswith(here) else url for name, url in urls.items()}
    if side:
        urls.pop("shown" if "photo" in urls else "overlay", None)
    placement, gate = entry.placement, entry.gate
    reasons, figures = (gate.reasons, gate.figures) if gate else ((), {})
    return {
        "n": number,
        "key": entry.key,
        "name": escape_controls(entry.source),
        "state": state_label(entry),
        "why": escape_controls(entry.why),
        "flags": entry.flags,
        "sandbox": entry.sandbox,
        "provider": "sandbox" if entry.sandbox else escape_controls(entry.endpoint),
        "folder": escape_controls(_relative_path(entry.folder, path)),
        "here": here,
        "model": escape_controls(entry.model),
        "device": escape_controls(entry.device),
        "description": escape_controls(entry.description),
        "negative": escape_controls(entry.negative_prompt or ""),
        "seed": entry.seed,
        "url": escape_controls(entry.image_url),
        "drawn": entry.seed_drawn,
        "created": escape_controls(entry.created),
        "format": escape_controls(entry.format),
        "tag": entry.tag,
        "cost": describe_cost(entry, price),
        "size": list(placement.source) if placement else [1, 1],
        "canvas": list(placement.canvas) if placement else [1, 1],
        "box": list(placement.box) if placement else [0, 0, 1, 1],
        "lost": f"{1 - placement.used:.1%}" if placement and placement.used < 0.9995 else "",
        "product": list(pictures.product) if pictures.product else None,
        "judged": gate is not None,
        "reasons": [
            {"name": escape_controls(reason.name), "verdict": reason.verdict, "text": escape_controls(reason.text)}
            for reason in reasons
        ],
        "measures": [escape_controls(name) for name in figures],
        "figures": [f"{value:.4g}" for value in figures.values()],
        "warnings": [escape_controls(warning) for warning in entry.warnings],
        "measured": [[escape_controls(name), escape_controls(value)] for name, value in entry.measured],
        "pictures": urls,
    }


def describe_cost(entry: ReviewEntry, price: float | None = None) -> str:
    """Return in words what an entry's calls cost so far."""
    if entry.sandbox:
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
    """Return the percent-encoded URL of `path` relative to the page; with `side` a data URL of a small copy."""
    if side:
        return _embed(path, side)
    relative = _relative_path(path, page)
    if Path(relative).is_absolute():
        return path.resolve().as_uri()
    return "./" + quote(os.fsencode(relative.replace(os.sep, "/")))


def _embed(path: Path, side: int) -> str:
    """Return a small copy as a data URL; empty where the picture cannot be read."""
    try:
        with _GUARD:  # a photo or a final takes up to 150 MB while it is downscaled
            image = read_picture(path, DEFAULT_LIMITS)
            image.thumbnail((side, side), Image.Resampling.BOX, reducing_gap=2)
    except (PhotioError, OSError):
        return ""
    data = encode_clean(image, "WEBP", quality=78, method=2)
    return f"data:image/webp;base64,{base64.b64encode(data).decode()}"


def _dump_json(data: dict[str, Any]) -> str:
    """Return ASCII JSON without characters that an HTML parser acts on."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _read_template(suffix: str) -> str:
    """Return the template files of one kind, joined in the order of their names."""
    folder = resources.files("photio_prep") / "review" / "template"
    parts = sorted(folder.iterdir(), key=lambda part: part.name)
    return "".join(part.read_text(encoding="utf-8") for part in parts if part.name.endswith(suffix))


def _csp_hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"
