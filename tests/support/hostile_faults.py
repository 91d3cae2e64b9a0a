"""What a hostile server can do to a request: each function gives a `Behaviour` for `HostileServer`.

Two kinds: faults that never answer, and refusals and other statuses (bad deliveries: `hostile_delivery`).
Takes plain values; touches nothing until a request comes.
Whether a behaviour bills is the worst case that RELIABILITY.md allows: a refusal before work bills nothing,
everything else bills as soon as the request is complete.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from http import HTTPStatus

from tests.support.hostile_exchange import Behaviour, Exchange, Headers, Request

# Refused before any work: the vendor has no reason to bill these, and the client may count on it.
UNBILLED = frozenset({400, 401, 402, 403, 404, 407, 413, 415, 422, 429})
REASONS = {one.value: one.phrase for one in HTTPStatus}


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer before it is put on the wire."""

    body: bytes = b""
    status: int = 200
    headers: Headers = ()
    content_type: str = "application/json"

    def head(self, *, length: int | None, connection: str = "close") -> bytes:
        """The status line and the headers; no Content-Length where `length` is None."""
        lines = [
            f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'Whatever')}",
            f"Content-Type: {self.content_type}",
            f"Connection: {connection}",
        ]
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines += [] if length is None else [f"Content-Length: {length}"]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def wire(self) -> bytes:
        return self.head(length=len(self.body)) + self.body


@dataclass(frozen=True, slots=True)
class Answer(Behaviour):
    """A behaviour that answers properly; `make` lets a delivery below send the same answer badly."""

    make: Callable[[Request], Reply] = field(kw_only=True)


def answering(name: str, make: Callable[[Request], Reply], *, charges: bool = True) -> Answer:
    """An answer that is worked out from the request."""

    def act(exchange: Exchange) -> None:
        exchange.send(make(exchange.request).wire())

    return Answer(name, act, charges, make=make)


# Faults that never answer.


def close_at_once() -> Behaviour:
    """Accepts, and hangs up before it has read a byte."""
    return Behaviour("close at once", Exchange.close)


def drop_after(count: int) -> Behaviour:
    """Reads `count` raw bytes of the request and hangs up."""

    def act(exchange: Exchange) -> None:
        exchange.read_bytes(count)
        exchange.close()

    return Behaviour(f"drop after {count} bytes", act)


def reset_after(count: int) -> Behaviour:
    """Reads `count` raw bytes of the request and sends RST while the rest is on its way."""

    def act(exchange: Exchange) -> None:
        exchange.read_bytes(count)
        exchange.reset()

    return Behaviour(f"reset after {count} bytes", act)


def never_read() -> Behaviour:
    """Accepts and never reads, so that the window closes and the client's write stalls.

    Give the server a small `receive_buffer` and the client a body beyond its own send buffer (2 MB do).
    """
    return Behaviour("never read", Exchange.hold)


def close_after_reading() -> Behaviour:
    """Reads everything, bills, hangs up without a word."""

    def act(exchange: Exchange) -> None:
        _ = exchange.request
        exchange.close()

    return Behaviour("close after reading", act)


def reset_after_reading() -> Behaviour:
    """Reads everything, bills, sends RST."""

    def act(exchange: Exchange) -> None:
        _ = exchange.request
        exchange.reset()

    return Behaviour("reset after reading", act)


def never_answer() -> Behaviour:
    """Reads everything, bills, and stays silent until the client gives up."""

    def act(exchange: Exchange) -> None:
        _ = exchange.request
        exchange.hold()

    return Behaviour("never answer", act)


def raw(data: bytes, *, name: str = "raw bytes", charges: bool = True) -> Behaviour:
    """Reads everything, then says exactly these bytes and hangs up: for what is no HTTP at all."""

    def act(exchange: Exchange) -> None:
        _ = exchange.request
        exchange.send(data)

    return Behaviour(name, act, charges)


# Statuses.


def status(
    code: int,
    body: bytes = b"",
    *,
    headers: Headers = (),
    content_type: str = "application/json",
    charges: bool | None = None,
) -> Answer:
    """Any status with any body; bills as the code suggests unless told."""
    unbilled = code in UNBILLED or (code == 503 and any(name.lower() == "retry-after" for name, _ in headers))
    reply = Reply(body, code, headers, content_type)
    return answering(f"status {code}", lambda _: reply, charges=not unbilled if charges is None else charges)


def busy(retry_after: str | float | None = 1, *, code: int = 429) -> Answer:
    """429 or 503; `retry_after` in seconds, or any text (an HTTP date, nonsense), or None for no header at all."""
    headers = () if retry_after is None else (("Retry-After", str(retry_after)),)
    answer = status(code, b'{"status_code": %d, "body": "busy"}' % code, headers=headers)
    return replace(answer, name=f"{code}, Retry-After {retry_after}")


def busy_until(seconds: float, *, code: int = 429) -> Answer:
    """429 or 503 with Retry-After as an HTTP date, `seconds` after the answer (dates have whole seconds)."""

    def make(_: Request) -> Reply:
        return Reply(b"", code, (("Retry-After", formatdate(time.time() + seconds, usegmt=True)),))

    return answering(f"{code}, Retry-After date in {seconds} s", make, charges=False)


def redirect(code: int, to: str) -> Answer:
    """A redirect; point it at a second `HostileServer` and its `connections` must stay 0."""
    return status(code, headers=(("Location", to),), charges=True)


def before_reading(answer: Answer, *, head_only: bool = True) -> Behaviour:
    """Answers once the head is read (or at accept) and does not want the body: a gateway's 413, 401 or 429."""

    def act(exchange: Exchange) -> None:
        if head_only:
            seen = 1
            while b"\r\n\r\n" not in exchange.read_bytes(seen):
                seen += 1
        reply = answer.make(Request(exchange.number, 0, 0, 0.0, 0.0, "", "", (), b"", ""))
        exchange.send(reply.wire())
        exchange.half_close()
        # Closing over unread bytes would send RST, and that can overtake the answer: give the client time to read it.
        exchange.hold(1.0)

    return Behaviour(f"{answer.name} before reading", act, charges=False)


@dataclass(slots=True)
class TokenBucket:
    """A script: `per_second` requests pass, the rest get 429; keeps book of clients that come back too early.

    `early` holds, in seconds, how much too early: the same body before its own Retry-After was over, or any request
    opened while the last refusal's Retry-After was still running. The latter is one pace for all workers, so requests
    already on their way when the refusal left (within `grace`) are not held against them.
    """

    passing: Behaviour
    per_second: float = 5.0
    burst: int = 5
    retry_after: int = 1
    grace: float = 0.05
    early: list[float] = field(default_factory=list)
    refused: int = 0
    _tokens: float = field(default=-1.0, init=False)
    _filled: float = field(default=0.0, init=False)
    _refused_at: float = field(default=float("-inf"), init=False)
    _not_before: dict[str, float] = field(default_factory=dict, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __call__(self, n: int, exchange: Exchange) -> Behaviour:
        request = exchange.request
        now = time.monotonic()
        with self._lock:
            self._judge(request)
            full = float(self.burst)
            grown = (now - self._filled) * self.per_second
            self._tokens = full if self._tokens < 0 else min(full, self._tokens + grown)
            self._filled = now
            if self._tokens >= 1:
                self._tokens -= 1
                return self.passing
            self.refused += 1
            self._refused_at = now
            self._not_before[request.digest] = now + self.retry_after
        return busy(self.retry_after)

    def _judge(self, request: Request) -> None:
        own = self._not_before.get(request.digest, float("-inf")) - request.opened
        since = request.opened - self._refused_at
        shared = self.retry_after - since if since > self.grace else 0.0
        if (early := max(own, shared)) > 0.05:
            self.early.append(early)
