"""The order of a photo whose file lies where another order of the same photo wants to put its own.

A photo has one final: that of its newest paid answer, or of the one that the user chose since (`keep`). A photo that
was changed, or comes back as it was, gets that of its own bytes. The file that gives way is kept, byte for byte, in the
folder of its order.
"""

from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from photio_prep.errors import PhotioError
from photio_prep.imaging.limits import DEFAULT_LIMITS
from photio_prep.orders import index, state
from photio_prep.orders.index import Entry
from photio_prep.orders.store import Order
from photio_prep.system import files


class Incumbent(NamedTuple):
    """The order whose final, or with `preset` whose file for that marketplace, lies at a place; its mark."""

    entry: Entry
    preset: str
    mark: dict[str, Any]


def find(order: Order, target: Path, preset: str = "") -> Incumbent | None:
    """The other order of the photo of `order` whose file lies at `target`, byte for byte as it was written."""
    if order.folder is None or not target.is_file():
        return None
    for entry in index.of(order.folder.parent).of_photo(order):
        folder, origin = entry.folder, entry.origin
        if origin.place == order.origin.place:
            mark = state.shelved(folder, origin, preset) if preset else state.finished(folder, origin, target.suffix)
            if mark is not None and not mark.get("by") and state.same(target, mark):
                return Incumbent(entry, preset, mark)
    return None


def stays(incumbent: Incumbent, order: Order, *, overwrite: bool = False) -> bool:
    """Whether the incumbent remains the final: chosen or paid for since, or of the bytes that the photo has now.

    With `overwrite`, of several orders of the same bytes only one that the user kept does.
    """
    entry, ours = incumbent.entry, order.origin.digest
    if entry.sandbox != order.sandbox:
        return False
    if entry.origin.digest != ours:
        now = _digest_now(order.origin.path)
        return now == entry.origin.digest or (now != ours and is_later(incumbent, order))
    kept = state.chosen(entry.folder, entry.origin).get("by") == "keep"
    return is_later(incumbent, order) and (kept or not overwrite)


def _digest_now(path: str) -> str:
    """SHA-256 of the bytes that a photo has now; "" where it cannot be read."""
    try:
        return sha256(files.read_input(Path(path), DEFAULT_LIMITS.file_bytes)).hexdigest() if path else ""
    except PhotioError:
        return ""


def is_later(incumbent: Incumbent, order: Order) -> bool:
    """Whether the incumbent was chosen, or paid for, after `order` was."""
    entry = incumbent.entry
    return order.folder is not None and index.since(entry.folder, entry.origin) > index.since(
        order.folder, order.origin
    )


def archive(incumbent: Incumbent, target: Path) -> Path:
    """Keep the file at `target`, whose place another one takes, in the folder of its order; its new path."""
    folder, origin = incumbent.entry.folder, incumbent.entry.origin
    name = "-".join(filter(None, ("final", origin.id, incumbent.preset)))
    path, data = folder / f"{name}{target.suffix}", files.read_own(target, files.OUTPUT)
    files.write_whole(path, data)
    if incumbent.preset:
        state.mark_shelved(folder, origin, incumbent.preset, path, data)
    else:
        state.mark_finished(folder, origin, path, data, str(incumbent.mark.get("made", "")))
    return path
