"""Fault plans, such as `429:3,drop:1@7`: which call misbehaves, and how."""

import re
from dataclasses import dataclass

from photio_prep.errors import UsageError


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to misbehave. `charged`: the API may have billed the call."""

    about: str
    charged: bool


def _statuses(text: str, charged: bool, about: str) -> dict[str, Fault]:
    return {name: Fault(about.format(name=name), charged) for name in text.split()}


# What is charged follows the five classes: R is never billed, U and P may have been, and here they are.
FAULTS: dict[str, Fault] = {
    **_statuses("400 401 402 403 404 413 415 422", False, "HTTP {name}: refused before any work"),
    "429": Fault("HTTP 429 with Retry-After", False),
    "429-no-retry-after": Fault("HTTP 429 without Retry-After", False),
    "429-date": Fault("HTTP 429 with Retry-After as a date", False),
    "429-absurd": Fault("HTTP 429 with a Retry-After of a day", False),
    "503-retry-after": Fault("HTTP 503 with Retry-After", False),
    **_statuses("408 409 500 502 503 504", True, "HTTP {name}: it may have been billed"),
    **_statuses("301 302 303 307 308", True, "HTTP {name} to the same URL"),
    **_statuses(
        "301-elsewhere 302-elsewhere 303-elsewhere 307-elsewhere 308-elsewhere",
        True,
        "HTTP {name:.3} to another path of this server, under the name localhost",
    ),
    "json401": Fault("HTTP 200 whose JSON says 401", False),
    "json500": Fault("HTTP 200 whose JSON says 500", True),
    "echo500": Fault("HTTP 500 whose text repeats the key it was sent: plain, URL-encoded and in base64", True),
    "reset-upload": Fault("resets the connection while the request is being sent", False),
    "stall-upload": Fault("stops reading in the middle of the request", False),
    "drop": Fault("reads everything, then closes without an answer", True),
    "reset": Fault("reads everything, then resets the connection", True),
    "stall": Fault("reads everything, then never answers", True),
    "trickle": Fault("a whole answer, one byte a second", True),
    "slow": Fault("a whole answer at 50 KB a second", True),
    "slice": Fault("a whole answer in segments of one byte", True),
    "cut": Fault("half of the announced Content-Length, then closes", True),
    "chunk-cut": Fault("a chunked answer without its last chunk", True),
    "notjson": Fault("HTTP 200 with text that is not JSON", True),
    "html200": Fault("HTTP 200 with an HTML error page", True),
    "empty": Fault("HTTP 200 with nothing in it", True),
    "nobody": Fault("JSON 200 without a body member", True),
    "badbase64": Fault("JSON 200 whose body is not base64", True),
    "notpicture": Fault("JSON 200 whose body is base64 of a text", True),
    "wrongsize": Fault("JSON 200 with a picture of half the size", True),
    "truncated": Fault("JSON 200 with a picture that ends too early", True),
    "gzipbomb": Fault("a few hundred KB of gzip that unpack to 256 MB", True),
    "identity": Fault("the picture that was sent, without its alpha", True),
    "sameanswer": Fault("the first answer that this server ever gave", True),
}

BEFORE_THE_BODY = frozenset({"reset-upload", "stall-upload"})

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
