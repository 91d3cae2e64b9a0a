"""The rows of a report, packed while the command runs: of ten thousand photos each takes some 100 bytes, not 1,000."""

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Literal

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
    """Rows in their order. Only the last few are objects; the others are unpacked when they are read."""

    def __init__(self) -> None:
        self._packed: list[bytes] = []
        self._last: list[ReportRow] = []

    def __len__(self) -> int:
        return _BLOCK * len(self._packed) + len(self._last)

    def __iter__(self) -> Iterator[ReportRow]:
        for block in self._packed:
            for row in json.loads(zlib.decompress(block)):
                yield ReportRow(*(tuple(value) if isinstance(value, list) else value for value in row))
        yield from self._last

    def append(self, row: ReportRow) -> None:
        """Add a row at the end."""
        self._last.append(row)
        if len(self._last) == _BLOCK:
            values = [[getattr(row, name) for name in ROW_FIELDS] for row in self._last]
            self._packed.append(zlib.compress(json.dumps(values).encode(), 1))
            self._last.clear()
