"""An index of every photo of every order below a folder.

For questions across orders: whether a photo was paid for with other bytes, which photo a final belongs to, which output
names are in use. Damaged orders are skipped; the commands that process one report it.
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
from photio_prep.intake.names import collision_key
from photio_prep.orders import claims, records, state, store
from photio_prep.orders.origin import Origin
from photio_prep.orders.store import SANDBOX, Order
from photio_prep.system import files


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One photo of one order: its folder, the content of order.json, and the photo."""

    folder: Path
    plan: Mapping[str, Any]
    origin: Origin

    @property
    def sandbox(self) -> bool:
        """Whether the order is for the sandbox, and never billed."""
        return self.plan.get("endpoint") == SANDBOX


class OrderIndex:
    """The photos of all orders below `root`; use `of`, which shares one index per folder and process.

    It holds only hashes that lead to folders, a few hundred bytes per order; every query reads the records from disk.
    Orders written while a command runs are included by the next `refresh`.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.RLock()
        self._known: set[str] = set()
        self._folders: dict[int, str] = {}  # names with slashes between them

    def refresh(self) -> "OrderIndex":
        """Read the orders that were added since the last refresh.

        Raises:
            StorageFailed: The folder cannot be listed, or an order cannot be opened: paid orders may be missed then.
        """
        with self._lock, files.storage_errors(self._root):
            names = {path.name for path in self._root.iterdir()} if self._root.is_dir() else set()
            for name in sorted(names - self._known):
                if not name.startswith("."):
                    for entry in self._read(name):
                        self._add(name, entry.origin)
                self._known.add(name)
        return self

    def _add(self, name: str, origin: Origin) -> None:
        keys = {("cutout", *origin.identity), ("source", origin.source), ("path", origin.path)}
        for key in keys | {("base", collision_key(base)) for base in (origin.base, origin.place, _plain(origin.base))}:
            names = self._folders.get(hash(key))
            if names is None:
                self._folders[hash(key)] = name
            elif name not in names:
                self._folders[hash(key)] = f"{names}/{name}"

    def _entries(self, *key: str, but: str = "") -> Iterator[IndexEntry]:
        with self._lock:
            names = self._folders.get(hash(key), "")
        for name in names.split("/"):
            if name not in ("", but):
                yield from self._read(name)

    def _read(self, name: str) -> list[IndexEntry]:
        """The photos of one order; empty if it is damaged."""
        folder = self._root / name
        try:
            plan = records.read_record(folder / "order.json")
            origins = store.photos_of(folder, plan)
            return [IndexEntry(folder, plan, origin) for origin in (*origins, *_old_choices(folder, origins))]
        except PhotioError as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in _PASSING:
                raise
            return []

    def with_output(self, base: str) -> list[IndexEntry]:
        """Entries with the output name `base`, their own or their photo's; case and accents are folded."""
        entries = self._entries("base", collision_key(base))
        return [
            entry
            for entry in entries
            if collision_key(base) in (collision_key(entry.origin.base), collision_key(entry.origin.place))
        ]

    def with_digits(self, base: str) -> list[IndexEntry]:
        """Entries whose photo has the output name `base`, with or without distinguishing digits."""
        return [
            entry
            for entry in self._entries("base", collision_key(base))
            if collision_key(_plain(entry.origin.base)) == collision_key(base)
        ]

    def with_wish(self, order: Order) -> list[IndexEntry]:
        """Other orders of the same bytes with the same cutout options."""
        key = order.origin.identity
        return [entry for entry in self._entries("cutout", *key, but=order.key[:32]) if entry.origin.identity == key]

    def with_source(self, source: str) -> list[IndexEntry]:
        """Entries of an input, by its source as the user named it."""
        return [entry for entry in self._entries("source", source) if entry.origin.source == source]

    def of_folder(self, name: str) -> list[IndexEntry]:
        """The photos of the order in the folder of this name; empty if there is none."""
        return self._read(Path(name).name)

    def with_path(self, path: str) -> list[IndexEntry]:
        """Entries of the photo at an absolute path."""
        return [entry for entry in self._entries("path", path) if entry.origin.path == path]

    def of_photo(self, order: Order) -> list[IndexEntry]:
        """Other orders of the same photo, with any bytes, words or variant."""
        entries = self._entries("base", collision_key(order.origin.base), but=order.key[:32])
        return [entry for entry in entries if is_same_photo(entry.origin, order.origin)]


def _old_choices(folder: Path, origins: list[Origin]) -> list[Origin]:
    """Finals of variants that the user kept with early version 0.1: finished marks without a photo record."""
    chosen = [replace(origin, output=origin.base, variant=None, record="") for origin in origins if origin.variant]
    ids = {origin.id for origin in origins}
    return [choice for choice in chosen if choice.id not in ids and (folder / f"finished-{choice.id}.json").is_file()]


def read_order(entry: IndexEntry) -> Order:
    """The order of an entry, for its photo; StorageFailed if it is damaged."""
    if (entry.folder / f"photo-{entry.origin.id}.json").exists():
        return store.load_order(entry.folder, origin=entry.origin)
    order = store.load_order(entry.folder)
    return replace(order, origin=replace(entry.origin, gate=order.origin.gate, warnings=order.origin.warnings))


# Errors of the system, not of the order: too many open files, no memory, a failing disk.
_PASSING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ESTALE})
_INDEXES: dict[Path, OrderIndex] = {}
_GUARD = threading.Lock()


def index_of(root: Path) -> OrderIndex:
    """The index of the orders below `root`, as of its first use or its last `refresh`."""
    with _GUARD:
        path = root.resolve()
        if path not in _INDEXES:
            _INDEXES[path] = OrderIndex(root).refresh()
        return _INDEXES[path]


def _plain(base: str) -> str:
    """An output name without the digits that distinguish photos of the same name."""
    return re.sub(r"~[0-9a-f]{6}(?:[0-9a-f]{6})?$", "", base)


def is_same_photo(one: Origin, other: Origin) -> bool:
    """Whether two records are of one photo: the same output name, and the same path, source or bytes."""
    if collision_key(one.base) != collision_key(other.base):
        return False
    if (one.path and one.path == other.path) or one.digest == other.digest:
        return True
    # Records of version 0.1 before November 2026 have no path; neither has a URL or a pipe.
    return one.source == other.source and one.source != "-" and not (one.path and other.path)


def paid_at(folder: Path) -> float:
    """Time of the call of an order, in seconds since 1970 by the clock of the payer; 0 if there was none."""
    return _seconds(getattr(claims.read_claim(folder / claims.NAME), "time", None))


def claimed_since(folder: Path, origin: Origin) -> float:
    """Time of the call, or of the user's choice if later, in seconds since 1970: the latest order makes the final."""
    return max(paid_at(folder), chosen_at(folder, origin))


def chosen_at(folder: Path, origin: Origin) -> float:
    """Time at which the user chose this order's final for its photo (`keep`), in seconds since 1970; 0 for never."""
    return _seconds(state.is_chosen(folder, origin).get("time"))


def _seconds(time: object) -> float:
    try:
        return datetime.fromisoformat(str(time)).timestamp()
    except ValueError:
        return 0.0
