"""Whose file lies there: the final of the same photo, as it was before it changed?

Takes an order and the place of its final, or of its file for a preset; gives the older order that made what lies there,
and keeps that file when the newer one takes its place. Touches the disk: the photos of all orders are read once, at the
first file that lies in the way. Raises StorageFailed where it cannot be kept.
"""

import contextlib
import threading
from pathlib import Path
from typing import Any, NamedTuple

from photio_prep import files, orders, states
from photio_prep.errors import PhotioError
from photio_prep.orders import Order, Origin


class Earlier(NamedTuple):
    """A file of an older order: of its final, or with `preset` for that marketplace, and what was noted of it."""

    folder: Path
    origin: Origin
    preset: str
    mark: dict[str, Any]


def found(order: Order, target: Path, preset: str = "") -> Earlier | None:
    """The order whose file lies at `target`, byte for byte as it was written: of the same photo, as other bytes."""
    if order.folder is None or not target.is_file():
        return None
    for folder, origin in _of_photo(order.folder.parent, order.origin):
        mark = states.shelved(folder, origin, preset) if preset else states.finished(folder, origin)
        if origin.digest != order.origin.digest and mark is not None and states.same(target, mark):
            return Earlier(folder, origin, preset, mark)
    return None


def keep(it: Earlier, target: Path) -> Path:
    """Keep the file at `target`, whose place another one takes, in the folder of its order; where."""
    name = "-".join(filter(None, ("final", it.origin.id, it.preset)))
    kept, data = it.folder / f"{name}{target.suffix}", files.read_own(target, files.OUTPUT)
    files.write_whole(kept, data)
    if it.preset:
        states.mark_shelved(it.folder, it.origin, it.preset, kept, data)
    else:
        states.mark_finished(it.folder, it.origin, kept, data, str(it.mark.get("made", "")))
    return kept


def note(order: Order) -> None:
    """A file of `order` was written: its photo may change while this process goes on."""
    with _GUARD:
        if order.folder is not None and order.folder.parent.resolve() in _KNOWN:
            _add(_KNOWN[order.folder.parent.resolve()], order.folder, order.origin)


_Photos = dict[tuple[str, str], list[tuple[Path, Origin]]]
# For each folder of orders, those of each photo and place of a final.
_KNOWN: dict[Path, _Photos] = {}
_GUARD = threading.Lock()


def _of_photo(root: Path, origin: Origin) -> list[tuple[Path, Origin]]:
    with _GUARD:
        if root.resolve() not in _KNOWN:
            photos = _KNOWN[root.resolve()] = {}
            for folder in orders.below(root):
                with contextlib.suppress(PhotioError, KeyError):  # a damaged one is named by whoever reads it
                    for each in orders.origins(folder):
                        _add(photos, folder, each)
        return [*_KNOWN[root.resolve()].get((origin.source, origin.output), ())]


def _add(photos: _Photos, folder: Path, origin: Origin) -> None:
    there = photos.setdefault((origin.source, origin.output), [])
    if (folder, origin.id) not in [(other, each.id) for other, each in there]:
        there.append((folder, origin))
