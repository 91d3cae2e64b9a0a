"""Fault plans, such as `429:3,drop:1@7`: which call misbehaves, and how."""

import re
from dataclasses import dataclass

from photio_prep.errors import UsageError
from photio_prep.sandbox.faults import FAULTS

_ENTRY = re.compile(r"(?P<name>[a-z0-9-]+)(?::(?P<count>[0-9]{1,9}))?(?:@(?P<first>[0-9]{1,9}))?")


@dataclass(frozen=True, slots=True)
class Planned:
    """A fault for the calls `first` … `last`, counted from 1. Without `last` it has no end."""

    name: str
    first: int
    last: int | None

    def covers(self, number: int) -> bool:
        """Whether call `number` is one of them."""
        return self.first <= number and (self.last is None or number <= self.last)


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Fault of each call. Where entries overlap the later one counts."""

    entries: tuple[Planned, ...] = ()

    def at(self, number: int) -> str | None:
        """Name of the fault for call `number`, from 1; None for an honest answer."""
        return next((entry.name for entry in reversed(self.entries) if entry.covers(number)), None)


def parse_faults(text: str | None) -> FaultPlan:
    """Parse entries of the form `name[:count][@first]`, separated by commas.

    Without a count all calls misbehave. An entry without `@first` begins where the one before it ended, so that
    `429:3,drop:1` is three times 429 and then one drop. UsageError for an unknown name, or one that is never reached.
    """
    entries: list[Planned] = []
    for part in (text or "").split(",") if (text or "").strip() else []:
        entries.append(_parse_entry(part.strip().lower(), entries[-1] if entries else None))
    return FaultPlan(tuple(entries))


def _parse_entry(part: str, before: Planned | None) -> Planned:
    match = _ENTRY.fullmatch(part)
    if match is None:
        raise UsageError(
            f"{part!r} is not a fault", "Write name[:count][@first], for instance 429:3,drop:1@7", subject="--fault"
        )
    name = match["name"]
    if name not in FAULTS:
        raise UsageError(f"no fault is called {name!r}", f"Choose from: {', '.join(FAULTS)}", subject="--fault")
    count, first = (int(number) if number else None for number in (match["count"], match["first"]))
    if count == 0:
        raise UsageError(f"{part!r} has a count of 0", "Give a count of 1 or more, or none for all", subject="--fault")
    if first == 0:
        raise UsageError(f"{part!r} begins before the first call", "Calls are counted from 1", subject="--fault")
    if first is None and before is not None and before.last is None:
        raise UsageError(
            f"{part!r} is never reached, as {before.name!r} before it never ends",
            f"Give that a count ({before.name}:1), or this a beginning ({part}@7)",
            subject="--fault",
        )
    first = first or (before.last or 0 if before else 0) + 1
    return Planned(name, first, None if count is None else first + count - 1)
