"""Archive the final of another order of a photo before it is replaced.

A photo has one final: of its newest paid answer, or of the one that the user chose since (`keep`). If the photo was
changed, or changed back, the final is of its present bytes. The replaced file is archived in the folder of its order.
"""

from pathlib import Path

from photio_prep.imaging.limits import DEFAULT_LIMITS
from photio_prep.orders import index
from photio_prep.orders.index import IndexEntry
from photio_prep.orders.marks import matches_record
from photio_prep.orders.store import Order
from photio_prep.system import files


def find_superseded(order: Order, target: Path, preset: str = "") -> IndexEntry | None:
    """Find the other order of the same photo that wrote the file at `target`, if the file is unchanged."""
    if order.folder is None or not target.is_file():
        return None
    for entry in index.index_of(order.folder.parent).of_photo(order):
        if entry.origin.place == order.origin.place:
            mark = entry.listing(preset) if preset else entry.final(target.suffix)
            if mark is not None and not mark.get("by") and matches_record(target, mark):
                return entry
    return None


def is_current(incumbent: IndexEntry, order: Order, *, overwrite: bool = False) -> bool:
    """Whether the incumbent remains the final: chosen or paid for later, or of the photo's present bytes.

    With `overwrite`, among orders of the same bytes only one that the user kept remains.
    """
    ours = order.origin.digest
    if incumbent.sandbox != order.sandbox:
        return False
    if incumbent.origin.digest != ours:
        now = files.input_digest(Path(order.origin.path), DEFAULT_LIMITS.file_bytes)
        return now == incumbent.origin.digest or (now != ours and _is_later(incumbent, order))
    is_user_choice = incumbent.choice.get("by") == "keep"
    return _is_later(incumbent, order) and (is_user_choice or not overwrite)


def _is_later(incumbent: IndexEntry, order: Order) -> bool:
    """Whether the incumbent was chosen or paid for after `order`."""
    return order.folder is not None and incumbent.claimed_since > order.marks.claimed_since


def archive_superseded(order: Order, target: Path, preset: str = "") -> tuple[str, ...]:
    """Archive the file at `target` in the folder of its order; returns a note for the user, or none."""
    incumbent = find_superseded(order, target, preset)
    if incumbent is None or order.folder is None:
        return ()
    name = "-".join(filter(None, ("final", incumbent.origin.id, preset)))
    path, data = incumbent.folder / f"{name}{target.suffix}", files.read_nofollow(target, files.OUTPUT)
    files.write_atomic(path, data)
    if preset:
        incumbent.mark_listed(preset, path, data)
    else:
        incumbent.mark_finished(path, data, str((incumbent.final(target.suffix) or {}).get("made", "")))
        if _is_later(incumbent, order):  # by --overwrite, or because the photo was changed back
            order.marks.mark_chosen(by="overwrite")
    return (f"the file that this photo had before is kept as {path}",)
