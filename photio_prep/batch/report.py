"""What one command did to each photo -> report.json, report.csv, and a copy of each job table with its results.

It is told afterwards and read by nobody: the state is what lies in the order folders.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from photio_prep.errors import PhotioError
from photio_prep.intake import own_files
from photio_prep.intake.item import Item
from photio_prep.intake.job_table import RESULTS
from photio_prep.intake.names import variant_output
from photio_prep.intake.table_reader import Fault, Table, cells
from photio_prep.orders import records
from photio_prep.orders import state as states
from photio_prep.orders.state import State
from photio_prep.orders.store import Order
from photio_prep.system import files
from photio_prep.system.spreadsheet import cell, separated

JSON, CSV = "report.json", "report.csv"
Billed = Literal["no", "yes", "perhaps", "shared", "sandbox"]


@dataclass(frozen=True, slots=True)
class Line:
    """One photo of one command.

    `billed` is what this command did: "perhaps" for a call without a whole answer, "shared" for an order that another
    photo of it paid for. `cost` is in the unit of --price, None without one. `exit_code` is this photo's own, `changed`
    whether it was paid for before as other bytes, `presets` where its files for marketplaces lie, `seconds` the time
    from its first step to its last, waiting included.
    """

    source: str
    output: str
    state: str
    order: str | None = None
    final: str | None = None
    exit_code: int = 0
    error: str | None = None
    billed: Billed = "no"
    cost: float | None = None
    gate: str | None = None
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    changed: bool = False
    presets: tuple[str, ...] = ()
    seconds: float | None = None

    @property
    def flags(self) -> str:
        """What a person should look at: the gate's reasons, that the photo changed, what went wrong."""
        changed = ("changed since it was paid for",) if self.changed else ()
        return "; ".join([*self.reasons, *changed, *([self.error] if self.error else [])])


class Report:
    """Collects lines while a command runs, from any thread."""

    def __init__(self, command: str, price: float | None = None) -> None:
        self.command, self.price = command, price
        self.lines: list[Line] = []
        self._time, self._clock = records.now(), time.monotonic()
        self._begun: dict[str, float] = {}
        self._changed: set[str] = set()
        self._paid: set[str] = set()
        self._bases: dict[tuple[str, str], str] = {}
        self._sent: Callable[[str], bool] = lambda _: False
        self._calls = 0
        self._lock = threading.Lock()

    def count_by(self, sent: Callable[[str], bool]) -> None:
        """Ask this whether a call was, or may have been, billed, by 32 digits of an order's key: file times may lie."""
        self._sent = sent

    def begun(self, source: str) -> None:
        """The first step of a photo."""
        with self._lock:
            self._begun[source] = time.monotonic()

    def changed(self, order: Order) -> None:
        """The photo of `order` was paid for before as other bytes."""
        with self._lock:
            self._changed.add(order.origin.id)

    def done(self, order: Order, state: State, final: Path | None, exit_code: int = 0) -> None:
        """The last step of a photo that went well, or that the gate stopped."""
        self._of_order(order, state, final=str(final) if final else None, exit_code=exit_code)

    def shelved(self, order: Order, paths: Iterable[Path]) -> None:
        """The files for marketplaces of a photo that `done` was told of."""
        lines, place = self.lines, (order.origin.source, order.origin.output)
        with self._lock:
            at = next(at for at in range(len(lines) - 1, -1, -1) if (lines[at].source, lines[at].output) == place)
            lines[at] = replace(lines[at], presets=tuple(map(str, paths)))

    def failed(self, source: str, error: PhotioError, order: Order | None, state: State) -> None:
        """The last step of one that went wrong."""
        told: dict[str, Any] = {"exit_code": error.exit_code, "error": error.found}
        if order is not None:
            self._of_order(order, state, **told)
        else:
            self._add(Line(source, "", state, seconds=self._seconds(source), **told))

    def rest(self, items: Iterable[Item], exit_code: int, seeds: int = 1) -> int:
        """The photos whose turn did not come, because the command was stopped, each with all its seeds; how many."""
        with self._lock:
            places = {(each.source, each.output) for each in self.lines}
            sources = {each.source for each in self.lines if not each.output}
            told = len(self.lines)
        why = "stopped before its turn came; run the same again"
        for each in items:
            numbers = range(1, seeds + 1) if seeds > 1 else (0,)
            for output in () if each.name in sources else [variant_output(each.output, number) for number in numbers]:
                if (each.name, output) not in places:
                    self._add(Line(each.name, output, State.PLANNED, exit_code=exit_code, error=why))
        return len(self.lines) - told

    def _of_order(self, order: Order, state: State, **told: Any) -> None:  # noqa: ANN401
        origin, gate = order.origin, order.origin.gate
        with self._lock:
            billed = self._billed(order, state)
            changed = origin.id in self._changed
            if origin.variant:
                self._bases[origin.source, origin.output] = origin.base
        self._add(
            Line(
                origin.source,
                origin.output,
                state,
                str(order.folder) if order.folder else None,
                billed=billed,
                cost=0.0 if billed in ("no", "shared", "sandbox") else self.price,
                gate=gate.verdict if gate else None,
                reasons=tuple(each.text for each in gate.reasons) if gate else (),
                warnings=origin.warnings,
                changed=changed,
                seconds=self._seconds(origin.source),
                **told,
            )
        )

    def _billed(self, order: Order, state: State) -> Billed:
        """Whether this command paid."""
        if order.folder is None or state not in _CALLED or not self._sent(order.key[:32]):
            return "no"
        if order.sandbox:
            return "sandbox"
        if str(order.folder) in self._paid:
            return "shared"
        self._paid.add(str(order.folder))
        return "perhaps" if state in (State.UNKNOWN, State.CLAIMED) else "yes"

    def worked(self, order: Order) -> bool:
        """Whether this command made the order or called for it; else all that it cost was done before."""
        return order.fresh or self._sent(order.key[:32])

    def _seconds(self, source: str) -> float | None:
        with self._lock:
            begun = self._begun.get(source)
        return None if begun is None else round(time.monotonic() - begun, 3)

    def _add(self, line: Line) -> None:
        with self._lock:
            self.lines.append(line)
            self._calls += line.billed in ("yes", "perhaps")

    @property
    def spent(self) -> float | None:
        """What this command paid so far, or perhaps did; None without a price."""
        return None if self.price is None else self._calls * self.price

    def totals(self) -> dict[str, Any]:
        """Photos by state, calls, and what they cost; `cost` is None without a price."""
        billed = Counter(each.billed for each in self.lines)
        return {
            "photos": len(self.lines),
            "states": dict(Counter(each.state for each in self.lines)),
            "calls": billed["yes"],
            "perhaps": billed["perhaps"],
            "sandbox": billed["sandbox"],
            "changed": sum(each.changed for each in self.lines),
            "cost": None if self.price is None else round(billed["yes"] * self.price, 6),
            "perhaps_cost": None if self.price is None else round(billed["perhaps"] * self.price, 6),
        }

    def table(self) -> Iterator[str]:
        """The totals as lines of a table for people: one for each state."""
        yield f"{'state':<14}{'photos':>8}{'calls':>8}{'cost':>12}"
        for state in sorted({each.state for each in self.lines}, key=[*State].index):
            yield self._told(state.replace("_", " "), [each for each in self.lines if each.state == state])
        yield self._told("total", self.lines)

    def _told(self, name: str, lines: list[Line]) -> str:
        called = [each for each in lines if each.billed in ("yes", "perhaps", "sandbox")]
        paid = sum(each.cost or 0 for each in called)
        free = all(each.billed == "sandbox" for each in called)
        cost = "free" if free else "?" if self.price is None else f"{paid:.2f}"
        perhaps = sum(each.billed == "perhaps" for each in called)
        return f"{name:<14}{len(lines):>8}{len(called):>8}{cost:>12}" + (f"  ({perhaps} perhaps)" if perhaps else "")

    def write(self, out: Path, exit_code: int, *, overwrite: bool = False) -> None:
        """Put report.json and report.csv into the output folder.

        Raises:
            OutputExists: A file of somebody else lies there.
            StorageFailed: They cannot be written.
        """
        for name in (JSON, CSV):
            own_files.refuse_foreign(out / name, overwrite=overwrite)
        head = {
            "generator": own_files.GENERATOR,
            "schema": 1,
            "command": self.command,
            "started": self._time,
            "exit_code": exit_code,
        }
        took = {"seconds": round(time.monotonic() - self._clock, 3), "price": self.price}
        told = {**head, **took, "totals": self.totals(), "photos": [asdict(each) for each in self.lines]}
        files.write_whole(out / JSON, json.dumps(told, indent=1, ensure_ascii=True).encode() + b"\n")
        names = [each.name for each in fields(Line)]
        rows = ([cell(getattr(each, name)) for name in names] for each in self.lines)
        files.write_whole(out / CSV, separated([names, *rows], ",", marked=True))

    def write_results(self, out: Path, items: Iterable[Item], *, overwrite: bool = False) -> list[Path]:
        """Put a copy of each job table that `items` came from into the output folder, with columns of results.

        Raises:
            OutputExists: A file of somebody else lies there.
            StorageFailed: One cannot be written.
        """
        items = list(items)
        places: dict[tuple[str, str], list[Line]] = {}
        with self._lock:
            for each in self.lines:
                base = self._bases.get((each.source, each.output), each.output)
                places.setdefault((each.source, base), []).append(each)
        found: dict[Table, dict[int, Line]] = {}
        for item in items:
            if item.job is not None:
                own = places.get((item.name, item.output)) or places.get((item.name, ""))
                found.setdefault(item.job.table, {}).update({item.job.row.line: _one(own)} if own else {})
        copies = results(out, items)
        for table, path in copies.items():
            own_files.refuse_foreign(path, overwrite=overwrite)
            files.write_whole(path, _with_results(table, found[table]))
        return [*copies.values()]


def results(out: Path, items: Iterable[Item]) -> dict[Table, Path]:
    """Where the copy of each job table that `items` came from goes."""
    places: dict[Table, Path] = {}
    for table in dict.fromkeys(item.job.table for item in items if item.job is not None):
        path = out / f"{table.path.stem}-results{table.path.suffix}"
        for number in range(2, 2 + len(places)):
            if path in places.values():
                path = out / f"{table.path.stem}-results-{number}{table.path.suffix}"
        places[table] = path
    return places


_CALLED = states.ANSWERED | {State.UNKNOWN, State.CLAIMED, State.PAID_UNUSABLE}


def _one(lines: list[Line]) -> Line:
    """What became of a row: of a sweep all its finals and the sum of its costs, and what went wrong with any of it."""
    lines = sorted(lines, key=lambda each: (len(each.output), each.output))
    worst = next((each for each in lines if each.error), lines[0])
    costs = [each.cost for each in lines if each.cost is not None]
    finals = "; ".join(each.final for each in lines if each.final)
    cost = round(sum(costs), 6) if len(costs) == len(lines) else None
    presets = tuple(path for each in lines for path in each.presets)
    return replace(worst, cost=cost, final=finals or None, presets=presets)


def _with_results(table: Table, lines: dict[int, Line]) -> bytes:
    rows = [each for each in cells(table) if not isinstance(each, Fault)]
    if not table.columns:
        results = ({**each.cells, **_results(lines.get(each.line))} for each in rows)
        return b"".join(json.dumps(each, ensure_ascii=True).encode() + b"\n" for each in results)
    told = ([*map(str, each.cells.values()), *_results(lines.get(each.line)).values()] for each in rows)
    return separated([[*table.columns, *RESULTS], *told], table.delimiter, marked=table.marked)


def _results(line: Line | None) -> dict[str, str]:
    """What became of a row; all blank where it was not its turn."""
    if line is None:
        return dict.fromkeys(RESULTS, "")
    told = (line.state, line.cost, line.flags, line.order, line.final, line.presets)
    return dict(zip(RESULTS, map(cell, told), strict=True))
