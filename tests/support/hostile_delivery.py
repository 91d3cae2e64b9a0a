"""Ways to deliver a good answer badly: `cut_short(ok())`, `dribbled(ok(), interval=0.01)`, bombs.

Takes an `Answer`, gives a `Behaviour` that bills as the answer does; touches nothing until a request comes.
"""

from __future__ import annotations

import random
import zlib
from dataclasses import replace

from tests.support.hostile_exchange import Behaviour, Exchange, Headers, Request
from tests.support.hostile_faults import Answer, Reply, answering


def cut_short(answer: Answer, keep: float | int = 0.5) -> Behaviour:
    """Announces the whole length, sends a part (a fraction below 1, or a number of body bytes) and hangs up."""

    def act(exchange: Exchange) -> None:
        reply = answer.make(exchange.request)
        count = int(len(reply.body) * keep) if isinstance(keep, float) else keep
        exchange.send(reply.head(length=len(reply.body)) + reply.body[:count])
        exchange.close()

    return Behaviour(f"{answer.name} cut short", act, answer.charges)


def chunked(answer: Answer, *, last_chunk: bool = True, step: int = 1000) -> Behaviour:
    """The answer in chunks; without the last one the client cannot know that it has everything."""

    def act(exchange: Exchange) -> None:
        reply = answer.make(exchange.request)
        parts = [reply.body[at : at + step] for at in range(0, len(reply.body), step)]
        wire = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + (b"0\r\n\r\n" if last_chunk else b"")
        head = reply.head(length=None).replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n")
        exchange.send(head + wire)
        exchange.close()

    return Behaviour(f"{answer.name} chunked" + ("" if last_chunk else ", no last chunk"), act, answer.charges)


def unframed(answer: Answer, keep: float = 1.0) -> Behaviour:
    """Neither length nor chunks: the end of the connection is the end of the body, cut or not."""

    def act(exchange: Exchange) -> None:
        reply = answer.make(exchange.request)
        exchange.send(reply.head(length=None) + reply.body[: int(len(reply.body) * keep)])
        exchange.close()

    return Behaviour(f"{answer.name} without a length", act, answer.charges)


def dribbled(answer: Answer, *, interval: float = 1.0, step: int = 1) -> Behaviour:
    """`step` bytes per `interval` seconds: each read succeeds in time and the whole never ends."""

    def act(exchange: Exchange) -> None:
        wire = answer.make(exchange.request).wire()
        for at in range(0, len(wire), step):
            exchange.send(wire[at : at + step])
            exchange.sleep(interval)

    return Behaviour(f"{answer.name} dribbled", act, answer.charges)


def sliced(answer: Answer, *, step: int = 1) -> Behaviour:
    """The whole answer at once, in segments of one byte (the server sets TCP_NODELAY)."""

    def act(exchange: Exchange) -> None:
        wire = memoryview(answer.make(exchange.request).wire())
        for at in range(0, len(wire), step):
            exchange.send(wire[at : at + step])

    return Behaviour(f"{answer.name} sliced", act, answer.charges)


def slow(answer: Answer, *, latency: float = 5.0, jitter: float = 0.0, bandwidth: float = 50_000) -> Behaviour:
    """A bad line: `latency` +- `jitter` seconds before the answer, `bandwidth` bytes a second both ways."""

    def act(exchange: Exchange) -> None:
        exchange.read_rate = bandwidth
        wire = answer.make(exchange.request).wire()
        exchange.sleep(max(0.0, latency + random.uniform(-jitter, jitter)))
        step = max(1, int(bandwidth / 50))
        for at in range(0, len(wire), step):
            exchange.send(wire[at : at + step])
            exchange.sleep(step / bandwidth)

    return Behaviour(f"{answer.name} slow", act, answer.charges)


def kept_alive(answer: Answer, idle: float = 0.05) -> Behaviour:
    """Promises keep-alive, and hangs up after `idle` seconds of it."""

    def act(exchange: Exchange) -> None:
        reply = answer.make(exchange.request)
        exchange.send(reply.head(length=len(reply.body), connection="keep-alive") + reply.body)
        exchange.keep_open = idle

    return Behaviour(f"{answer.name} kept alive", act, answer.charges)


def announced(answer: Answer, *codes: int, headers: Headers = (), forever: bool = False) -> Behaviour:
    """1xx answers before the answer; `forever` repeats them (http.client reads 100s for as long as they come)."""

    def act(exchange: Exchange) -> None:
        request = exchange.request
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        interim = "".join(f"HTTP/1.1 {code} Interim\r\n{lines}\r\n" for code in codes).encode()
        exchange.send(interim)
        while forever:
            exchange.sleep(0.01)
            exchange.send(interim)
        exchange.send(answer.make(request).wire())

    return Behaviour(f"{answer.name} after {codes}", act, answer.charges)


def big_body(size: int, *, declared: int | None = -1, filler: bytes = b" ") -> Behaviour:
    """A body of `size` bytes; `declared` is its Content-Length: -1 the truth, None no length, else a lie."""

    def act(exchange: Exchange) -> None:
        _ = exchange.request
        exchange.send(Reply().head(length=size if declared == -1 else declared))
        block = filler * (1 << 16)
        for at in range(0, size, len(block)):
            exchange.send(block[: size - at])

    return Behaviour(f"{size} bytes of body", act)


def gzip_bomb(decoded: int = 1 << 30, *, layers: int = 1, body: bytes = b"") -> Answer:
    """A small gzip body that unpacks to `decoded` blanks (then `body`); layers are named in Content-Encoding."""
    squeeze = zlib.compressobj(9, wbits=31)
    block = b" " * (1 << 20)
    packed = b"".join([*(squeeze.compress(block) for _ in range(decoded >> 20)), squeeze.compress(body)])
    packed += squeeze.flush()
    for _ in range(layers - 1):
        again = zlib.compressobj(9, wbits=31)
        packed = again.compress(packed) + again.flush()
    reply = Reply(packed, headers=(("Content-Encoding", ", ".join(["gzip"] * layers)),))
    return answering(f"gzip bomb of {decoded} bytes", lambda _: reply)


def header_bomb(answer: Answer, *, count: int = 10_000, size: int = 10) -> Answer:
    """The answer under `count` headers of `size` bytes (http.client stops at 100 headers and 65,536 bytes a line)."""
    extra = tuple((f"X-Filler-{index}", "x" * size) for index in range(count))

    def make(request: Request) -> Reply:
        reply = answer.make(request)
        return replace(reply, headers=(*reply.headers, *extra))

    return answering(f"{answer.name} under {count} headers", make, charges=answer.charges)
