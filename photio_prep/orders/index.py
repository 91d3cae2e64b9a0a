"""An index of every photo of every order below a folder, for questions across orders.

Whether a photo was paid for with other bytes, which photo a final belongs to, which output names are in use. Damaged
orders are skipped; the commands that process one report it.
"""

import errno
import os
import re
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from photio_prep.errors import PhotioError, PhotoRefused
from photio_prep.orders.folder import OrderFolder
from photio_prep.orders.marks import Marks
from photio_prep.orders.origin import Origin, file_path
from photio_prep.orders.state import ANSWERED, BILLED, State
from photio_prep.orders.store import SANDBOX, Order, load_order, parse_order
from photio_prep.system import files, seeds
from photio_prep.system.near_name import collision_key

# Billed, or perhaps billed.
_PAID = BILLED | {State.UNKNOWN, State.CLAIMED}

# Errors of the system, not of the order: too many open files, no memory, a failing disk.
_PASSING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ESTALE})

# Photos are found by the source as the user named it, an absolute path, an output name (their own, or of all variants;
# case and accents are folded), that without distinguishing digits, or their bytes with the options of the cutout.
Kind = Literal["source", "path", "output", "undistinguished", "cutout"]


def _keys(photo: Origin) -> set[tuple[str, ...]]:
    keys = {("output", collision_key(name)) for name in (photo.base, photo.place)}
    undistinguished = re.sub(r"~[0-9a-f]{6}(?:[0-9a-f]{6})?$", "", photo.base)
    keys |= {("undistinguished", collision_key(undistinguished)), ("source", photo.source)}
    return keys | {("cutout", *photo.identity)} | ({("path", photo.path)} if photo.path else set())


@dataclass(frozen=True, slots=True)
class IndexEntry(Marks):
    """One photo of one order, with the content of order.json."""

    plan: Mapping[str, Any]

    @property
    def sandbox(self) -> bool:
        """Whether the order is for the sandbox, and never billed."""
        return self.plan.get("endpoint") == SANDBOX

    @property
    def state(self) -> State:
        """How far the order got."""
        return OrderFolder(self.folder).state

    def load(self) -> Order:
        """The order, for this photo; StorageFailed if it is damaged."""
        return load_order(self.folder, origin=self.origin)


class OrderIndex:
    """The photos of all orders below `root`; use `index_of`, which shares one index per folder and process.

    It holds only hashes that lead to folders, a few hundred bytes per order; every query reads the records from disk.
    Orders written while a command runs are included by the next `refresh`.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.RLock()
        self._known: set[str] = set()
        self._folders: dict[int, str] = {}  # names with a slash between them

    def refresh(self) -> "OrderIndex":
        """Read the orders added since the last refresh; StorageFailed if one cannot: paid ones may be missed then."""
        with self._lock, files.storage_errors(self._root):
            names = os.listdir(self._root) if self._root.is_dir() else []  # noqa: PTH208  no paths: ten times as fast
            for name in sorted(set(names) - self._known):
                if not name.startswith("."):
                    for key in {key for entry in self._read(name) for key in map(hash, _keys(entry.origin))}:
                        others = self._folders.get(key)
                        self._folders[key] = f"{others}/{name}" if others else name  # mostly one: no string of its own
                self._known.add(name)
        return self

    def find(self, kind: Kind, *value: str) -> list[IndexEntry]:
        """The entries of a source, a path, an output name …, see `Kind`."""
        key = (kind, *map(collision_key, value)) if kind in ("output", "undistinguished") else (kind, *value)
        with self._lock:
            names = self._folders.get(hash(key), "")
        return [e for name in names.split("/") if name for e in self._read(name) if key in _keys(e.origin)]

    def _read(self, name: str) -> list[IndexEntry]:
        """The photos of one order; empty if it is damaged."""
        folder = OrderFolder(self._root / name)
        try:
            plan = folder.plan
            return [IndexEntry(folder.path, origin, plan) for origin in folder.photos(plan)]
        except PhotioError as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in _PASSING:
                raise
            return []

    def of_folder(self, name: str) -> list[IndexEntry]:
        """The photos of the order in the folder of this name; empty if there is none."""
        return self._read(Path(name).name)

    def of_photo(self, order: Order) -> list[IndexEntry]:
        """Other orders of the same photo, with any bytes, words or variant."""
        entries = self.find("output", order.origin.base)
        return [e for e in entries if e.folder.name != order.key[:32] and is_same_photo(e.origin, order.origin)]

    def raise_if_paid(self, order: Order) -> None:
        """Refuse (PhotoRefused) a request that was billed, or perhaps billed, under another order key.

        The same photo with the same words has another key if its canvas has other bytes, from another version of this
        tool, Pillow, zlib or a model.
        """
        for entry in self.find("cutout", *order.origin.identity):
            other = entry.folder.name != order.key[:32]
            if other and _is_same_request(entry, order) and entry.state in _PAID:
                raise PhotoRefused(
                    "the same photo with the same words was already paid for, as other bytes (of an older version), in"
                    f" {entry.folder}",
                    "Finish that order for nothing, or give --pay-again to pay for this one too",
                )

    def is_changed_photo(self, order: Order) -> bool:
        """Whether the photo of `order` was paid for, but not with its present bytes."""
        if order.folder is None or order.origin.source == "-" or order.state in _PAID:
            return False
        paid = [entry.origin for entry in self.of_photo(order) if entry.state in _PAID]
        return bool(paid) and all(origin.digest != order.origin.digest for origin in paid)

    def is_answered(self, source: str, is_asked: Callable[[Order], bool]) -> bool:
        """Whether an order of the photo that was named `source`, and that is the one asked for, has its answer."""
        for entry in self.find("source", source) or self.find("path", file_path(source) or source):
            with suppress(PhotioError, KeyError, TypeError, ValueError, AttributeError):  # a damaged order
                record = entry.folder / f"photo-{entry.origin.id}.json"
                if entry.state in ANSWERED and is_asked(parse_order(record, entry.plan)):
                    return True
        return False


def _is_same_request(entry: IndexEntry, order: Order) -> bool:
    plan, request, number = entry.plan, order.request, entry.origin.number
    words = (plan.get("description"), plan.get("negative_prompt"), plan.get("endpoint"), plan.get("image_url"))
    if words != (request.description, request.negative_prompt, order.endpoint, request.image_url):
        return False
    # A seed that the user chose is part of the request; a default seed and its variants follow from the bytes.
    drawn = bool(plan.get("seed_drawn")) or (
        number > 1 and plan.get("seed") == seeds.derive_seed(seeds.seed_from_canvas(plan["canvas"]["sha256"]), number)
    )
    return (drawn and request.seed_drawn and number == order.origin.number) or plan.get("seed") == request.seed


_INDEXES: dict[Path, OrderIndex] = {}
_GUARD = threading.Lock()


def index_of(root: Path) -> OrderIndex:
    """The index of the orders below `root`, as of its first use or its last `refresh`."""
    with _GUARD:
        path = Path(os.path.realpath(root))  # Path.resolve raises RuntimeError for a loop of links
        if path not in _INDEXES:
            _INDEXES[path] = OrderIndex(root).refresh()
        return _INDEXES[path]


def is_same_photo(one: Origin, other: Origin) -> bool:
    """Whether two records are of one photo: the same output name, and the same path, source or bytes."""
    if collision_key(one.base) != collision_key(other.base):
        return False
    if (one.path and one.path == other.path) or one.digest == other.digest:
        return True
    # Records of version 0.1 before November 2026 have no path; neither has a URL or a pipe.
    return one.source == other.source and one.source != "-" and not (one.path and other.path)
