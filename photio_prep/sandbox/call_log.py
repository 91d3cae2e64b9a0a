"""Log of the calls, their charges and warnings. It holds no key, only the key's fingerprint."""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Lock

logger = logging.getLogger("photio_prep.sandbox")


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    `key_fingerprint` identifies the key without holding it. `digest` is the SHA-256 of the body, `canvas` that of
    the PNG in it. `seed` is as sent. `status` is the HTTP status of the answer, or the status in its JSON for a
    refusal that stands there only; 0 without an answer. `fault` is the planted fault.
    """

    number: int
    path: str
    key_fingerprint: str
    digest: str
    status: int
    charged: bool = False
    fault: str | None = None
    description: str = ""
    negative_prompt: str | None = None
    seed: int | None = None
    canvas: str = ""


def fingerprint(key: str) -> str:
    """Twelve hex digits that identify a key; empty for no key."""
    return digest(key.encode("utf-8", "surrogateescape"))[:12] if key else ""


def digest(data: bytes) -> str:
    """SHA-256 in hex; empty for no bytes."""
    return hashlib.sha256(data).hexdigest() if data else ""


class CallLog:
    """Calls, their counts and the warnings about them. Only its methods change it; they are thread-safe."""

    def __init__(self, on_call: Callable[[Call], None] | None = None) -> None:
        self._on_call = on_call
        self._lock = Lock()
        self.arrived = 0
        self.charges = 0
        self.calls: dict[int, Call] = {}
        self.warnings: list[str] = []

    def next_number(self) -> int:
        """Count a new call; return its number, from 1."""
        with self._lock:
            self.arrived += 1
            return self.arrived

    def add(self, call: Call, warnings: Sequence[str] = ()) -> None:
        """Add a call whose request is complete, or never will be."""
        lines = [f"call {call.number}: {warning}" for warning in warnings]
        with self._lock:
            self.calls[call.number] = call
            self.charges += call.charged
            self.warnings += lines
        for line in lines:
            logger.warning("%s", line)
        if self._on_call is not None:
            self._on_call(call)

    def add_failure(self, call: Call) -> None:
        """Add a call that was refused or broke off (status 0). One that is logged already gets its status, if any."""
        with self._lock:
            logged = self.calls.get(call.number)
            if logged is not None and call.status:
                self.calls[call.number] = replace(logged, status=call.status)
        if logged is None:
            self.add(call)
