"""Every photo of every order below a folder, read once and kept up to date.

Answers what one order's folder cannot: was this photo paid for as other bytes, whose final lies there, which name is
given already. Reads the disk; a damaged order is passed over, since whoever reads it for its own sake names it.
"""

import errno
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from photio_prep.errors import PhotioError
from photio_prep.intake.names import fold
from photio_prep.orders import claims, records, state, store
from photio_prep.orders.origin import Origin
from photio_prep.orders.store import SANDBOX, Order
from photio_prep.system import files


@dataclass(frozen=True, slots=True)
class Entry:
    """One photo of one order: its folder, what order.json holds, and the photo."""

    folder: Path
    plan: Mapping[str, Any]
    origin: Origin

    @property
    def sandbox(self) -> bool:
        """Whether the order never costs anything."""
        return self.plan.get("endpoint") == SANDBOX


class OrderIndex:
    """The photos of all orders below `root`; use `of`, which shares one index per folder and process.

    It holds only digests that lead to folders, a few hundred bytes an order: what it answers is read anew. Orders that
    are written while a command runs come in with the next `refresh`.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.RLock()
        self._known: set[str] = set()
        self._folders: dict[int, str] = {}  # names with slashes between them

    def refresh(self) -> "OrderIndex":
        """Read the orders that came since the last time.

        Raises:
            StorageFailed: The folder cannot be listed, or an order not be opened: what was paid for is not known then.
        """
        with self._lock, files.storage(self._root):
            names = {path.name for path in self._root.iterdir()} if self._root.is_dir() else set()
            for name in sorted(names - self._known):
                if not name.startswith("."):
                    for entry in self._read(name):
                        self._add(name, entry.origin)
                self._known.add(name)
        return self

    def _add(self, name: str, origin: Origin) -> None:
        keys = {("wish", *origin.identity), ("source", origin.source), ("path", origin.path)}
        for key in keys | {("base", fold(base)) for base in (origin.base, origin.place, _plain(origin.base))}:
            names = self._folders.get(hash(key))
            if names is None:
                self._folders[hash(key)] = name
            elif name not in names:
                self._folders[hash(key)] = f"{names}/{name}"

    def _entries(self, *key: str, but: str = "") -> Iterator[Entry]:
        with self._lock:
            names = self._folders.get(hash(key), "")
        for name in names.split("/"):
            if name not in ("", but):
                yield from self._read(name)

    def _read(self, name: str) -> list[Entry]:
        """The photos of one order; none for a damaged one."""
        folder = self._root / name
        try:
            plan = records.read(folder / "order.json")
            origins = store.origins(folder, plan)
            return [Entry(folder, plan, origin) for origin in (*origins, *_old_choices(folder, origins))]
        except PhotioError as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in _PASSING:
                raise
            return []

    def with_output(self, base: str) -> list[Entry]:
        """All whose final, or whose photo's, belongs at `base`, by names with case and accents folded."""
        entries = self._entries("base", fold(base))
        return [entry for entry in entries if fold(base) in (fold(entry.origin.base), fold(entry.origin.place))]

    def with_digits(self, base: str) -> list[Entry]:
        """All whose photo's final belongs at `base`, or there with digits behind it that keep photos apart."""
        return [entry for entry in self._entries("base", fold(base)) if fold(_plain(entry.origin.base)) == fold(base)]

    def with_wish(self, order: Order) -> list[Entry]:
        """All other orders of the same bytes, cut out in the same way."""
        wish = order.origin.identity
        return [entry for entry in self._entries("wish", *wish, but=order.key[:32]) if entry.origin.identity == wish]

    def with_source(self, source: str) -> list[Entry]:
        """All of an input as it was given."""
        return [entry for entry in self._entries("source", source) if entry.origin.source == source]

    def of_folder(self, name: str) -> list[Entry]:
        """The photos of the order in the folder of this name; none where there is none."""
        return self._read(Path(name).name)

    def with_path(self, path: str) -> list[Entry]:
        """All of the photo at an absolute path."""
        return [entry for entry in self._entries("path", path) if entry.origin.path == path]

    def of_photo(self, order: Order) -> list[Entry]:
        """All other orders of the same photo: whatever its bytes, its words or its variant."""
        entries = self._entries("base", fold(order.origin.base), but=order.key[:32])
        return [entry for entry in entries if is_same_photo(entry.origin, order.origin)]


def _old_choices(folder: Path, origins: list[Origin]) -> list[Origin]:
    """Finals that early version 0.1 kept of a variant: noted as finished, without a record of the photo."""
    chosen = [replace(origin, output=origin.base, variant=None, record="") for origin in origins if origin.variant]
    ids = {origin.id for origin in origins}
    return [each for each in chosen if each.id not in ids and (folder / f"finished-{each.id}.json").is_file()]


def read_order(entry: Entry) -> Order:
    """The order of an entry, for its photo.

    Raises:
        StorageFailed: It is damaged.
    """
    if (entry.folder / f"photo-{entry.origin.id}.json").exists():
        return store.read(entry.folder, origin=entry.origin)
    order = store.read(entry.folder)
    return replace(order, origin=replace(entry.origin, gate=order.origin.gate, warnings=order.origin.warnings))


# Not the order's fault: too many open files, no memory, a failing disk.
_PASSING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ESTALE})
_INDEXES: dict[Path, OrderIndex] = {}
_GUARD = threading.Lock()


def of(root: Path) -> OrderIndex:
    """The index of the orders below `root`; it was brought up to date by its first use, or the last `refresh`."""
    with _GUARD:
        place = root.resolve()
        if place not in _INDEXES:
            _INDEXES[place] = OrderIndex(root).refresh()
        return _INDEXES[place]


def _plain(base: str) -> str:
    """A name without the digits that keep it apart from another photo's."""
    return re.sub(r"~[0-9a-f]{6}(?:[0-9a-f]{6})?$", "", base)


def is_same_photo(one: Origin, other: Origin) -> bool:
    """Whether two records are of one photo: the same path, name, or bytes; and the same place of its final."""
    if fold(one.base) != fold(other.base):
        return False
    if (one.path and one.path == other.path) or one.digest == other.digest:
        return True
    # A record of version 0.1 before November 2026 has no path; a URL and a pipe have none at all.
    return one.source == other.source and one.source != "-" and not (one.path and other.path)


def paid_at(folder: Path) -> float:
    """When the call of an order was made, in seconds since 1970 by the clock of whoever made it; 0 for none."""
    return _seconds(getattr(claims.read(folder / claims.NAME), "time", None))


def since(folder: Path, origin: Origin) -> float:
    """Since when an order's answer makes its photo's final, in seconds since 1970: it was paid for, or chosen, then."""
    return max(paid_at(folder), chosen_at(folder, origin))


def chosen_at(folder: Path, origin: Origin) -> float:
    """When this order's final was chosen for its photo (`keep`), in seconds since 1970; 0 for never."""
    return _seconds(state.chosen(folder, origin).get("time"))


def _seconds(time: object) -> float:
    try:
        return datetime.fromisoformat(str(time)).timestamp()
    except ValueError:
        return 0.0
