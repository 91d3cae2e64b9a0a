"""Rows -> the review page: one static HTML file that talks to nobody.

Whatever a photo, a name, a server or an edited folder says reaches the page as JSON only, and the page's scripts make
nothing but text of it. Its policy allows the two texts below by their digests, and pictures; nothing else, and no net.
"""

import base64
import html
import io
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
from photio_prep.imaging.limits import DEFAULT_LIMITS
from photio_prep.orders.state import State
from photio_prep.review.entries import Row, home
from photio_prep.review.thumbnails import Pictures, read
from photio_prep.system.text import escaped
from photio_prep.system.threads import Pool

# Photos in one file -> the longer side of its pictures: about 30 MB at the end of each line.
_SIDES = ((60, 960), (200, 640), (500, 400), (1000, 280))
_WORKERS = 4
_GUARD = threading.Lock()
# What no two rows have in common.
_OWN = frozenset({"n", "key", "name", "folder", "seed", "pictures", "figures", "here"})
_NAMES = ("photo", "shown", "overlay", "cutout", "canvas", "answer", "final", "drift", "thumb")


def page(
    found: list[Row],
    pictures: Iterable[Pictures],
    place: Path,
    *,
    embed: bool = False,
    price: float | None = None,
) -> bytes:
    """The whole page.

    Args:
        found: The rows, in the order in which they are numbered.
        pictures: Those of each row.
        place: Where the page will lie: its pictures are named from there.
        embed: Small copies of all pictures lie in the page itself.
        price: Of one call.

    Raises:
        UsageError: More photos than fit into one file.
    """
    side = _side(len(found)) if embed else None

    def say(each: tuple[int, Row, Pictures]) -> dict[str, Any]:
        number, row, seen = each
        return _told(number, row, seen, place, side, price)

    with Pool(_WORKERS, "page") as pool:
        pool.fill()
        told = list(pool.map(say, zip(count(1), found, pictures, strict=False)))
    root = home(found[0].folder.resolve())
    data = {
        **_packed(told),
        "place": escaped(root.name),
        "totals": totals(found, price),
        "embedded": embed,
    }
    style, script = _template(".css"), f'(() => {{\n"use strict";\n{_template(".js")}}})();\n'
    shown = "data:" if embed else "'self' file:"
    policy = (
        f"default-src 'none'; img-src {shown}; style-src {_allowed(style)};"
        f" script-src {_allowed(script)}; base-uri 'none'; form-action 'none'"
    )
    parts = {
        "policy": policy,
        "title": html.escape(f"Review of {escaped(root.name)}"),
        "style": style,
        "script": script,
        "data": _json(data),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _template(".html")).encode("utf-8", "replace")


def _packed(told: list[dict[str, Any]]) -> dict[str, Any]:
    """The rows as lists, and what many of them share once: less than half the text for a browser to read."""
    shared: dict[str, int] = {}

    def kept(name: str, value: object) -> object:
        return value if name in _OWN else shared.setdefault(json.dumps(value), len(shared))

    rows = [[kept(*each) for each in row.items()] for row in told]
    names = list(told[0])
    own = [name in _OWN for name in names]
    return {"names": names, "own": own, "shared": [json.loads(each) for each in shared], "rows": rows}


def totals(found: list[Row], price: float | None = None) -> str:
    """How many photos are in which state, and what they cost, in one line."""
    orders = {row.folder: row for row in found}.values()
    counts = Counter(state_of(row) for row in orders)
    paid, perhaps = sum(row.billed for row in orders), sum(row.perhaps for row in orders)
    parts = [f"{len(found)} photos" if len(found) != 1 else "1 photo"]
    parts += [f"{number} {name}" for name, number in counts.most_common()]
    parts += [f"paid calls: {paid}" + (f" ({paid * price:.2f})" if price else "")]
    parts += [f"perhaps billed: {perhaps}"] if perhaps else []
    return " · ".join(parts)


def state_of(row: Row) -> str:
    """The state as people read it."""
    if row.state is None:
        return "damaged"
    return "given up" if row.lost and row.state is State.UNKNOWN else row.state.replace("_", " ")


def _side(photos: int) -> int:
    for most, side in _SIDES:
        if photos <= most:
            return side
    found = f"{photos} photos are too many for one file (at most {_SIDES[-1][0]})"
    raise UsageError(found, "Leave --embed out: the page then shows the pictures in the output folder")


def _told(number: int, row: Row, seen: Pictures, place: Path, side: int | None, price: float | None) -> dict[str, Any]:
    """What the page knows of a row. Texts that steer (direction overrides and the like) are spelled out."""
    here = f"{_url(row.folder, place, None)}/"
    urls = {name: _url(path, place, side) for name in _NAMES if (path := getattr(seen, name)) is not None}
    urls = {name: url.replace(here, "~/", 1) if url.startswith(here) else url for name, url in urls.items()}
    if side:
        urls.pop("shown" if "photo" in urls else "overlay", None)
    way, judged = row.placement, row.gate
    return {
        "n": number,
        "key": row.key,
        "name": escaped(row.source),
        "state": state_of(row),
        "why": escaped(row.why),
        "flags": row.flags,
        "sandbox": row.sandbox,
        "provider": "sandbox" if row.sandbox else escaped(row.endpoint),
        "folder": escaped(_relative(row.folder, place)),
        "here": here,
        "model": escaped(row.model),
        "device": escaped(row.device),
        "description": escaped(row.description),
        "negative": escaped(row.negative_prompt or ""),
        "seed": row.seed,
        "url": escaped(row.image_url),
        "drawn": row.seed_drawn,
        "created": escaped(row.created),
        "format": escaped(row.format),
        "tag": row.tag,
        "cost": cost(row, price),
        "size": list(way.source) if way else [1, 1],
        "canvas": list(way.canvas) if way else [1, 1],
        "box": list(way.box) if way else [0, 0, 1, 1],
        "lost": f"{1 - way.used:.1%}" if way and way.used < 0.9995 else "",
        "product": list(seen.product) if seen.product else None,
        "judged": judged is not None,
        "reasons": [
            {"name": escaped(each.name), "verdict": each.verdict, "text": escaped(each.text)} for each in judged.reasons
        ]
        if judged
        else [],
        "measures": [escaped(name) for name in judged.figures] if judged else [],
        "figures": [f"{value:.4g}" for value in judged.figures.values()] if judged else [],
        "warnings": [escaped(each) for each in row.warnings],
        "measured": [[escaped(name), escaped(value)] for name, value in row.measured],
        "pictures": urls,
    }


def cost(row: Row, price: float | None = None) -> str:
    """What a row cost so far, in words."""
    if row.sandbox:
        return "free (sandbox)"
    worth = f" ({row.billed * price:g})" if price else ""
    paid = "one paid call" if row.billed == 1 else f"{row.billed} paid calls"
    parts = [f"{paid}{worth}"] if row.billed else []
    if row.perhaps:
        parts.append(f"{row.perhaps} {'call' if row.perhaps == 1 else 'calls'} perhaps billed")
    return ", ".join(parts) or "nothing yet"


def _relative(path: Path, place: Path) -> str:
    try:
        return os.path.relpath(path.resolve(), place.resolve().parent)
    except ValueError:  # another drive of Windows
        return str(path.resolve())


def _url(path: Path, place: Path, side: int | None) -> str:
    """From the page's place, with every letter that a URL could take for more than a name spelled out."""
    if side:
        return _embedded(path, side)
    told = _relative(path, place)
    if Path(told).is_absolute():
        return path.resolve().as_uri()
    return "./" + quote(os.fsencode(told.replace(os.sep, "/")))


def _embedded(path: Path, side: int) -> str:
    """A small copy as a data URL; empty where it cannot be read."""
    try:
        with _GUARD:  # a photo or a final may take 150 MB while it is made small
            image = read(path, DEFAULT_LIMITS)
            image.thumbnail((side, side), Image.Resampling.BOX, reducing_gap=2)
    except (PhotioError, OSError):
        return ""
    holder = io.BytesIO()
    image.save(holder, "WEBP", quality=78, method=2)
    return f"data:image/webp;base64,{base64.b64encode(holder.getvalue()).decode()}"


def _json(facts: dict[str, Any]) -> str:
    """JSON that no HTML parser takes for anything else, in ASCII."""
    text = json.dumps(facts, ensure_ascii=True, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _template(suffix: str) -> str:
    """The template files of one kind, in the order of their names."""
    there = sorted((resources.files("photio_prep") / "review" / "template").iterdir(), key=lambda each: each.name)
    return "".join(each.read_text(encoding="utf-8") for each in there if each.name.endswith(suffix))


def _allowed(text: str) -> str:
    return f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"
