"""Order folders -> the entries of the review page, one for each photo, the most urgent first.

Order folders are untrusted: one that differs from what photio-prep writes becomes an entry that names the fault.
"""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from photio_prep.errors import PhotioError, UsageError
from photio_prep.geometry import Box, Placement, Size
from photio_prep.orders import records
from photio_prep.orders.folder import DIED, OrderFolder, find_orders
from photio_prep.orders.marks import Marks
from photio_prep.orders.origin import Origin
from photio_prep.orders.preflight import image_url_note
from photio_prep.orders.state import State
from photio_prep.orders.store import Order, parse_order
from photio_prep.quality import Judgement, Verdict
from photio_prep.types import Canvas, Request

LONGEST = 4000  # letters of one text: a server's error, a scene description
_KEY = re.compile(r"[0-9a-f]{64}")
_STATE_SEVERITY = {None: 9, State.UNKNOWN: 8, State.PAID_UNUSABLE: 7, State.REJECTED: 6}
_VERDICT_SEVERITY = {Verdict.STOP: 5, Verdict.WARN: 3}


# The order of an entry whose own is damaged.
_CANVAS = Canvas(b"", Placement(Size(1, 1), Size(1, 1), Box(0, 0, 1, 1)))
UNREADABLE = Order(Request(_CANVAS, "", 0), "", Origin("", "", ""))


@dataclass(frozen=True, slots=True)
class ReviewEntry:
    """One photo of one order. `state` is None for a damaged order; `why` then names the fault.

    `order` is not verified, and has no canvas. `key` is the recorded one. `billed`, `perhaps`: the number of its calls
    that were billed for certain, and perhaps. `final` is the path of the final when it was written, `measured` pairs of
    name and value about it.
    """

    folder: Path
    state: State | None
    source: str
    why: str = ""
    key: str = ""
    order: Order = UNREADABLE
    created: str = ""
    lost: bool = False
    billed: int = 0
    perhaps: int = 0
    final: str = ""
    final_digest: str = ""
    measured: tuple[tuple[str, str], ...] = ()
    altered: bool = False

    @property
    def gate(self) -> Judgement | None:
        """The gate's judgement of the cutout."""
        return self.order.origin.gate

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings about the photo and the request."""
        return tuple(filter(None, (image_url_note(self.order.request.image_url), *self.order.origin.warnings)))

    @property
    def flags(self) -> tuple[str, ...]:
        """What the page can filter by besides the state, the worst first; the gate's reasons by their names."""
        reasons = dict.fromkeys((reason.name for reason in self.gate.defects), True) if self.gate else {}
        flags = {"damaged": self.state is None, "drift": self.altered, "warning": bool(self.warnings), **reasons}
        return tuple(name for name, is_set in {**flags, "sandbox": self.order.sandbox}.items() if is_set)

    @property
    def risk(self) -> float:
        """The probability that the cutout is wrong; 0 where it is not known."""
        return self.gate.risk if self.gate else 0.0

    @property
    def severity(self) -> int:
        """How urgently the user should look at it, from 0 (not at all) to 9."""
        gate = _VERDICT_SEVERITY.get(self.gate.verdict, 0) if self.gate else 0
        return max(_STATE_SEVERITY.get(self.state, 0), gate, 4 if self.altered else 0, 1 if self.warnings else 0)


def load_entries(orders: str | os.PathLike[str] | Iterable[Order]) -> list[ReviewEntry]:
    """Return an entry for each photo of each order, the most urgent and the most doubtful first; UsageError if none.

    Superseded orders only when named.
    """

    def is_superseded(folder: Path) -> bool:
        with suppress(PhotioError):  # a damaged order gets an entry
            return OrderFolder(folder).is_superseded
        return False

    subject = ""
    if isinstance(orders, (str, os.PathLike)):
        subject, folders = os.fspath(orders), find_orders(Path(orders))
        if folders != [Path(orders)]:
            folders = [folder for folder in folders if not is_superseded(folder)]
    else:
        folders = [order.folder for order in orders if order.folder is not None]
    if not folders:
        raise UsageError("no orders found", "Name an output folder: run `prepare` first", subject=subject)
    entries = [entry for folder in dict.fromkeys(folders) for entry in _read_order(folder)]
    return sorted(
        entries,
        key=lambda entry: (-entry.severity, -entry.risk, -len(entry.flags), entry.source, entry.folder.name),
    )


def _read_order(folder: Path) -> Iterator[ReviewEntry]:
    source = ""
    try:
        plan, state = records.read_record(folder / "order.json"), OrderFolder(folder).state
        plan |= {name: _text(plan[name]) for name in ("endpoint", "description", "model")}
        # Without any photo record the name of a missing one gives the error.
        for path in sorted(folder.glob("photo-*.json")) or [folder / "photo-.json"]:
            source = _text(records.read_record(path)["source"])
            yield _build_entry(folder, plan, state, parse_order(path, plan))
    except PhotioError as error:
        yield ReviewEntry(folder, None, source or folder.name, f"{error.problem}. {error.fix}")
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OSError) as error:
        fault = f"a damaged order ({type(error).__name__}: {str(error)[:80]})"
        yield ReviewEntry(folder, None, source or folder.name, f"{fault}. {records.AGAIN}")


def _build_entry(folder: Path, plan: dict[str, Any], state: State, order: Order) -> ReviewEntry:
    if not _KEY.fullmatch(plan["key"]) or not plan["key"].startswith(folder.name):
        raise ValueError("its key is not that of its folder")
    outcome, finished = OrderFolder(folder).outcome or {}, Marks(folder, order.origin).final() or {}
    measured, altered = _read_measures(folder, order.origin.id)
    billed, perhaps = (0, 0) if order.sandbox else OrderFolder(folder).count_calls(state)
    return ReviewEntry(
        folder,
        state,
        _text(order.origin.source),
        why=_text(outcome.get("why", DIED if state is State.UNKNOWN else "")),
        key=plan["key"],
        order=order,
        created=_text(plan.get("created", "")),
        lost=outcome.get("resolved") == "lost",
        billed=billed,
        perhaps=perhaps,
        final=_text(finished.get("path", "")),
        final_digest=_text(finished.get("sha256", "")),
        measured=measured,
        altered=altered,
    )


def _read_measures(folder: Path, photo_id: str) -> tuple[tuple[tuple[str, str], ...], bool]:
    """Return the recorded drift and proof as pairs of name and value, and whether the drift is visible (score > 1)."""
    measures: list[tuple[str, str]] = []
    altered = False
    for name in ("drift.json", f"drift-{photo_id}.json", f"proof-{photo_id}.json"):
        kind = name[:5]
        record = records.find_record(folder / name) or {}
        score = record.get("score")
        altered |= kind == "drift" and isinstance(score, (int, float)) and score > 1
        for field, value in record.items():
            if isinstance(value, (str, int, float)) and value != "":
                text = f"{value:.4g}" if isinstance(value, float) else _text(value)
                measures.append((kind if field == "sentence" else _text(field).replace("_", " "), text))
    return tuple(measures), altered


def _text(value: object) -> str:
    return str(value)[:LONGEST]


def output_root(folder: Path) -> Path:
    """Return the output folder of an order's folder: the parent of `orders`, or the folder that holds the orders."""
    root = folder.parent
    return root.parent if root.name == "orders" or root.resolve().name == "orders" else root
