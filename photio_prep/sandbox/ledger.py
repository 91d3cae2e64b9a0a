"""What the sandbox remembers: every call, what it may have cost, and what a careful client would not have sent."""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Lock

logger = logging.getLogger("photio_prep.sandbox")


@dataclass(frozen=True, slots=True)
class Call:
    """One request as the sandbox saw it.

    `key_seen` is a fingerprint of the key, never the key. `digest` is the SHA-256 of the body, `canvas` that of the PNG
    in it. `seed` is as sent. `status` is the HTTP status of the answer (that in the JSON, for a refusal that is
    told there only), 0 where none was sent. `fault` was planted.
    """

    number: int
    path: str
    key_seen: str
    digest: str
    status: int
    charged: bool = False
    fault: str | None = None
    description: str = ""
    negative_prompt: str | None = None
    seed: int | None = None
    canvas: str = ""


def fingerprint(key: str) -> str:
    """Twelve hex digits that tell keys apart without saying them; empty for no key."""
    return digest(key.encode("utf-8", "surrogateescape"))[:12] if key else ""


def digest(data: bytes) -> str:
    """SHA-256 in hex; empty for no bytes."""
    return hashlib.sha256(data).hexdigest() if data else ""


class Ledger:
    """Counts and calls, safe for threads."""

    def __init__(self, on_call: Callable[[Call], None] | None = None) -> None:
        self._on_call = on_call
        self._lock = Lock()
        self._numbers = 0
        self._charges = 0
        self._calls: dict[int, Call] = {}
        self._warnings: list[str] = []

    def number(self) -> int:
        """The number of a call that has just arrived, from 1."""
        with self._lock:
            self._numbers += 1
            return self._numbers

    def record(self, call: Call, warnings: Sequence[str] = ()) -> None:
        """Remembers a call whose request is complete, or will never be."""
        told = [f"call {call.number}: {each}" for each in warnings]
        with self._lock:
            self._calls[call.number] = call
            self._charges += call.charged
            self._warnings += told
        for each in told:
            logger.warning("%s", each)
        if self._on_call is not None:
            self._on_call(call)

    def amend(self, number: int, status: int) -> bool:
        """Gives a recorded call another status, unless that is 0; says whether it was recorded at all."""
        with self._lock:
            if (known := self._calls.get(number)) is None:
                return False
            self._calls[number] = replace(known, status=status or known.status)
            return True

    @property
    def arrived(self) -> int:
        """Requests that have arrived."""
        with self._lock:
            return self._numbers

    @property
    def charges(self) -> int:
        """Calls that may have been billed."""
        with self._lock:
            return self._charges

    @property
    def calls(self) -> tuple[Call, ...]:
        """Every call, in the order in which its request was complete."""
        with self._lock:
            return tuple(self._calls.values())

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a careful client would not have sent."""
        with self._lock:
            return tuple(self._warnings)
