"""The report of one command: report.json, report.csv, and a copy of each job table with results.

photio-prep never reads it back: the order folders hold the state.
"""

import json
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from photio_prep.intake import own_files
from photio_prep.intake.item import Item
from photio_prep.intake.job_table import RESULTS
from photio_prep.intake.names import variant_output
from photio_prep.intake.table_reader import RowError, Table, iter_rows
from photio_prep.orders import records
from photio_prep.orders.state import ANSWERED, State
from photio_prep.orders.store import Order
from photio_prep.system import files
from photio_prep.system.text import cell, encode_rows

JSON, CSV = "report.json", "report.csv"
Billed = Literal["no", "yes", "perhaps", "shared", "sandbox"]

# Rows that are packed together.
_BLOCK = 256


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One photo of one command.

    `billed` counts calls of this command: "perhaps" without a complete answer, "shared" if another photo paid for the
    same order. `cost` is in the unit of --price, None without one. `changed`: the photo was paid for before as other
    bytes. `presets` are paths of files for marketplaces. `seconds` is wall time from first to last step.
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
        """The gate's reasons, a changed photo, and the error, for people."""
        changed = ("changed since it was paid for",) if self.changed else ()
        return "; ".join([*self.reasons, *changed, *([self.error] if self.error else [])])


ROW_FIELDS = tuple(field.name for field in fields(ReportRow))


class ReportRows:
    """Rows in their order, packed but for the last few: of ten thousand each takes some 100 bytes, not 1,000."""

    def __init__(self) -> None:
        self._packed: list[bytes] = []
        self._last: list[ReportRow] = []

    def __len__(self) -> int:
        return _BLOCK * len(self._packed) + len(self._last)

    def __iter__(self) -> Iterator[ReportRow]:
        for block in self._packed:
            for values in json.loads(zlib.decompress(block)):
                row: Any = (tuple(value) if isinstance(value, list) else value for value in values)
                yield ReportRow(*row)
        yield from self._last

    def append(self, row: ReportRow) -> None:
        """Add a row at the end."""
        self._last.append(row)
        if len(self._last) == _BLOCK:
            values = [[getattr(row, name) for name in ROW_FIELDS] for row in self._last]
            self._packed.append(zlib.compress(json.dumps(values).encode(), 1))
            self._last.clear()


class RunReport:
    """Collects lines while a command runs; thread-safe."""

    def __init__(self, command: str = "", price: float | None = None) -> None:
        self.command, self.price = command, price
        self.lines = ReportRows()
        self._time, self._clock = records.timestamp(), time.monotonic()
        self._begun: dict[str, float] = {}
        self._changed: set[str] = set()
        self._paid: set[int] = set()
        self._sent: Callable[[str], bool] = lambda _: False
        self._calls = 0
        self._lock = threading.Lock()

    def count_by(self, sent: Callable[[str], bool]) -> None:
        """Set the test whether this command sent an order, by 32 digits of its key: file times are no proof."""
        self._sent = sent

    def start(self, source: str) -> None:
        """Note the start of a photo."""
        with self._lock:
            self._begun[source] = time.monotonic()

    def note_changed(self, order: Order) -> None:
        """Note that the photo of `order` was paid for before as other bytes."""
        with self._lock:
            self._changed.add(order.origin.id)

    def add(self, line: ReportRow, order: Order | None = None) -> None:
        """Add the line of a photo, completed by its order."""
        with self._lock:
            line = self._complete(line, order) if order else line
            if (start := self._begun.get(line.source)) is not None:
                line = replace(line, seconds=round(time.monotonic() - start, 3))
            self.lines.append(line)
            self._calls += line.billed in ("yes", "perhaps")

    def add_pending(self, items: Iterable[Item], exit_code: int, seeds: int = 1) -> int:
        """Add a line for each variant of `items` that the stopped command did not start; return their number."""
        error = "not started: the run was stopped; run the same command to continue"
        with self._lock:
            reported = {(line.source, line.output) for line in self.lines}
            pending = [
                ReportRow(item.name, output, State.PLANNED, exit_code=exit_code, error=error)
                for item in items
                for output in _outputs(item, seeds)
                if not {(item.name, output), (item.name, "")} & reported
            ]
            for line in pending:
                self.lines.append(line)
        return len(pending)

    def _complete(self, line: ReportRow, order: Order) -> ReportRow:
        origin, gate, billed = order.origin, order.origin.gate, self._bill(order, line.state)
        return replace(
            line,
            source=origin.source,
            output=origin.output,
            order=str(order.folder) if order.folder else None,
            billed=billed,
            cost=self.price if billed in ("yes", "perhaps") else 0.0,
            gate=gate.verdict if gate else None,
            reasons=tuple(reason.text for reason in gate.defects) if gate else (),
            warnings=origin.warnings,
            changed=origin.id in self._changed,
        )

    def _bill(self, order: Order, state: str) -> Billed:
        """Return what this command paid for the order; counts a shared order once."""
        if order.folder is None or state not in _CALLED or not self._sent(order.key[:32]):
            return "no"
        if order.sandbox:
            return "sandbox"
        if (folder := hash(order.folder)) in self._paid:
            return "shared"
        self._paid.add(folder)
        return "perhaps" if state in (State.UNKNOWN, State.CLAIMED) else "yes"

    def worked(self, order: Order) -> bool:
        """Whether this command, if it has a name, prepared the order or sent it; else an earlier one did all of it."""
        return not self.command or order.fresh or self._sent(order.key[:32])

    @property
    def spent(self) -> float | None:
        """Cost of this command so far, perhaps billed calls included; None without a price."""
        return None if self.price is None else self._calls * self.price

    def totals(self) -> dict[str, Any]:
        """Return counts of photos and calls, and costs, which are None without a price."""
        states, billed, changed = Counter[str](), Counter[str](), 0
        for line in self.lines:
            states[line.state] += 1
            billed[line.billed] += 1
            changed += line.changed
        calls, perhaps = billed["yes"], billed["perhaps"]
        return {
            "photos": len(self.lines),
            "states": dict(states),
            "calls": calls,
            "perhaps": perhaps,
            "sandbox": billed["sandbox"],
            "changed": changed,
            "cost": None if self.price is None else round(calls * self.price, 6),
            "perhaps_cost": None if self.price is None else round(perhaps * self.price, 6),
        }

    def table(self) -> Iterator[str]:
        """Yield the lines of a table: one for each state, and the total."""
        yield f"{'state':<14}{'photos':>8}{'calls':>8}{'cost':>12}"
        counts = Counter[tuple[str, str, float]]((line.state, line.billed, line.cost or 0) for line in self.lines)
        for state in sorted({state for state, _, _ in counts}, key=[*State].index):
            of_state = Counter({kind: number for kind, number in counts.items() if kind[0] == state})
            yield self._format_totals(state.replace("_", " "), of_state)
        yield self._format_totals("total", counts)

    def _format_totals(self, name: str, counts: Counter[tuple[str, str, float]]) -> str:
        """The line of a table; `counts` of rows by state, how they were billed, and cost."""
        called = {kind: number for kind, number in counts.items() if kind[1] in ("yes", "perhaps", "sandbox")}
        paid = sum(cost * number for (_, _, cost), number in called.items())
        free = all(billed == "sandbox" for _, billed, _ in called)
        cost = "free" if free else "?" if self.price is None else f"{paid:.2f}"
        perhaps = sum(number for (_, billed, _), number in called.items() if billed == "perhaps")
        figures = f"{name:<14}{sum(counts.values()):>8}{sum(called.values()):>8}{cost:>12}"
        return figures + (f"  ({perhaps} perhaps)" if perhaps else "")

    def write(self, out: Path, exit_code: int, *, overwrite: bool = False) -> None:
        """Write report.json and report.csv to the output folder; OutputExists if one of that name is foreign."""
        for name in (JSON, CSV):
            own_files.check_not_foreign(out / name, overwrite=overwrite)
        record: dict[str, Any] = {"generator": own_files.GENERATOR, "schema": 1, "command": self.command}
        record |= {"started": self._time, "exit_code": exit_code}
        record |= {"seconds": round(time.monotonic() - self._clock, 3), "price": self.price}
        photos = [{name: getattr(line, name) for name in ROW_FIELDS} for line in self.lines]
        files.write_atomic(out / JSON, records.encode_record({**record, "totals": self.totals(), "photos": photos}))
        rows = ([cell(getattr(line, name)) for name in ROW_FIELDS] for line in self.lines)
        files.write_atomic(out / CSV, encode_rows([ROW_FIELDS, *rows], ",", marked=True))

    def write_results(self, out: Path, items: Iterable[Item], seeds: int = 1, *, overwrite: bool = False) -> list[Path]:
        """Write a copy of each job table of `items`, with columns of results, below `out`; return the paths."""
        items = [item for item in items if item.job is not None]
        by_photo: dict[tuple[str, str], list[ReportRow]] = {}
        for line in self.lines:
            by_photo.setdefault((line.source, line.output), []).append(line)
        by_table: dict[Table, dict[int, ReportRow]] = {}
        for item in items:
            if item.job is not None:
                lines = [line for output in _outputs(item, seeds) for line in by_photo.get((item.name, output), ())]
                if lines := lines or by_photo.get((item.name, ""), []):
                    by_table.setdefault(item.job.table, {})[item.job.row.line] = _merge_variants(lines)
        copies = results_paths(out, items)
        for table, path in copies.items():
            own_files.check_not_foreign(path, overwrite=overwrite)
            files.write_atomic(path, _encode_results(table, by_table.get(table, {})))
        return [*copies.values()]


def _outputs(item: Item, seeds: int) -> list[str]:
    return [variant_output(item.output, number) for number in (range(1, seeds + 1) if seeds > 1 else (0,))]


def results_paths(out: Path, items: Iterable[Item]) -> dict[Table, Path]:
    """Return the path of the results of each job table of `items`."""
    paths: dict[Table, Path] = {}
    for table in dict.fromkeys(item.job.table for item in items if item.job is not None):
        suffix = ".jsonl" if table.path.suffix.lower() == ".json" else table.path.suffix
        path = out / f"{table.path.stem}-results{suffix}"
        for number in range(2, 2 + len(paths)):
            if path in paths.values():
                path = out / f"{table.path.stem}-results-{number}{suffix}"
        paths[table] = path
    return paths


_CALLED = ANSWERED | {State.UNKNOWN, State.CLAIMED, State.PAID_UNUSABLE}


def _merge_variants(lines: list[ReportRow]) -> ReportRow:
    """Return one line for the variants of a row: the first failed one, with all finals and the sum of costs."""
    worst = next((line for line in lines if line.error), lines[0])
    costs = [line.cost for line in lines if line.cost is not None]
    finals = "; ".join(line.final for line in lines if line.final)
    cost = round(sum(costs), 6) if len(costs) == len(lines) else None
    presets = tuple(path for line in lines for path in line.presets)
    return replace(worst, cost=cost, final=finals or None, presets=presets)


def _encode_results(table: Table, lines: dict[int, ReportRow]) -> bytes:
    rows = [row for row in iter_rows(table) if not isinstance(row, RowError)]
    if not table.columns:
        entries = ({**row.cells, **_result_cells(lines.get(row.line))} for row in rows)
        return b"".join(json.dumps(record, ensure_ascii=True).encode() + b"\n" for record in entries)
    texts = ([*map(str, row.cells.values()), *_result_cells(lines.get(row.line)).values()] for row in rows)
    return encode_rows([[*table.columns, *RESULTS], *texts], table.delimiter, marked=table.marked)


def _result_cells(line: ReportRow | None) -> dict[str, str]:
    """Return the cells of a row's results; blank for a row that was not used."""
    if line is None:
        return dict.fromkeys(RESULTS, "")
    values = (line.state, line.cost, line.flags, line.order, line.final, line.presets)
    return dict(zip(RESULTS, map(cell, values), strict=True))
