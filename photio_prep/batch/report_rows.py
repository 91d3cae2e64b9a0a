"""The rows of a report, packed while the command runs: of ten thousand photos each takes some 100 bytes, not 1,000."""

import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

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
            yield from _unpack(block)
        yield from self._last

    def append(self, row: ReportRow) -> None:
        """Add a row at the end."""
        self._last.append(row)
        if len(self._last) == 2 * _BLOCK:
            self._packed.append(_pack(self._last[:_BLOCK]))
            del self._last[:_BLOCK]

    def set_presets(self, source: str, output: str, presets: tuple[str, ...]) -> None:
        """Set the files for marketplaces in the last row of a photo."""
        if _set_presets(self._last, source, output, presets):
            return
        for at in reversed(range(len(self._packed))):
            rows = _unpack(self._packed[at])
            if _set_presets(rows, source, output, presets):
                self._packed[at] = _pack(rows)
                return


def _set_presets(rows: list[ReportRow], source: str, output: str, presets: tuple[str, ...]) -> bool:
    """Set the presets of the photo's last row; False if none of `rows` is of the photo."""
    for at in reversed(range(len(rows))):
        if (rows[at].source, rows[at].output) == (source, output):
            rows[at] = replace(rows[at], presets=presets)
            return True
    return False


def _pack(rows: Iterable[ReportRow]) -> bytes:
    values = [[getattr(row, name) for name in ROW_FIELDS] for row in rows]
    return zlib.compress(json.dumps(values).encode(), 1)


def _unpack(block: bytes) -> list[ReportRow]:
    return [ReportRow(*map(_tuple_of_list, row)) for row in json.loads(zlib.decompress(block))]


def _tuple_of_list(value: Any) -> Any:  # noqa: ANN401  any value of a row
    return tuple(value) if isinstance(value, list) else value
