"""Photos by URL: what is asked, whom, and what never happens. The canary on loopback sees no connection.

No public host can be reached here. So `Net` stands in for the wires: what was checked as PUBLIC ends at our server,
every other address at the canary. The checks are the real ones, whatever the wires do.
"""

from __future__ import annotations

import gzip
import inspect
import itertools
import logging
import random
import socket
import ssl
import threading
import time
import tracemalloc
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import trustme

from photio_prep.errors import PhotoRefused, UsageError
from photio_prep.intake import download as module
from photio_prep.intake.download import fetch
from photio_prep.intake.url_guard import PORTS
from tests.intake.test_url_guard import ADDRESSES, SPELLINGS, TRICKS, bracketed
from tests.support.hostile import HostileServer
from tests.support.hostile_exchange import Behaviour, Exchange
from tests.support.hostile_faults import close_after_reading, close_at_once, never_answer, raw, reset_after_reading
from tests.support.hostile_places import closed_port, full_backlog

PUBLIC = "93.184.216.34"
PHOTO = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
MIB = 2**20
URL = "http://photos.example/shoe.png"


def says(body: bytes = PHOTO, status: int = 200, *headers: str, length: int | None = -1) -> Behaviour:
    """A whole answer; `length` lies about it, None says nothing of it."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *headers]
    lines += [] if length is None else [f"Content-Length: {len(body) if length == -1 else length}"]
    return raw("\r\n".join([*lines, "", ""]).encode("latin-1") + body, name=str(status))


def redirects(to: str, status: int = 302) -> Behaviour:
    return says(b"", status, f"Location: {to}")


class Net:
    """The wires and the name server: PUBLIC leads to our server, every other address to the canary."""

    def __init__(self, server: int, canary: int) -> None:
        self.ports = {PUBLIC: server}
        self.canary = canary
        self.names: dict[str, list[str]] = {"photos.example": [PUBLIC]}
        self.asked: list[str] = []
        self.calls: list[tuple[str, int]] = []

    def resolve(self, host: str, port: int, **_: object) -> list[tuple[Any, ...]]:
        self.asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in self.names.get(host, [PUBLIC])]

    def connect(self, address: str, port: int, seconds: float) -> socket.socket:
        self.calls.append((address, port))
        return socket.create_connection(("127.0.0.1", self.ports.get(address, self.canary)), seconds)

    def fetch(self, url: str = URL, *, limit: int = MIB, **options: Any) -> bytes:
        return fetch(url, limit=limit, **({"resolve": self.resolve, "_connect": self.connect} | options))

    def refusal(self, url: str = URL, **options: Any) -> str:
        """What it was refused for; every refusal has its three parts."""
        with pytest.raises(PhotoRefused) as caught:
            self.fetch(url, **options)
        error = caught.value
        assert error.exit_code == 3
        assert error.subject
        assert error.fix
        assert str(error) == f"{error.subject}: {error.problem}. {error.fix}"
        return error.problem


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[HostileServer, HostileServer]]:
    with HostileServer(says()) as server, HostileServer(says()) as canary:
        yield server, canary


@pytest.fixture
def server(servers: tuple[HostileServer, HostileServer]) -> HostileServer:
    servers[0].script = says()
    servers[0].forget()
    return servers[0]


@pytest.fixture
def net(servers: tuple[HostileServer, HostileServer], server: HostileServer) -> Iterator[Net]:
    """After each test, nobody was at the canary."""
    canary = servers[1]
    canary.forget()
    yield Net(server.port, canary.port)
    canary.settle()
    assert canary.connections == 0


# What is asked.


def test_a_photo_comes_as_it_is(net: Net, server: HostileServer):
    assert net.fetch("http://photos.example/a%20b/schön.png?w=1&sig=a%2Bb#part") == PHOTO
    assert net.calls == [(PUBLIC, 80)]
    [asked] = server.requests
    assert (asked.method, asked.target) == ("GET", "/a%20b/sch%C3%B6n.png?w=1&sig=a%2Bb")
    assert dict(asked.headers) == {
        "Host": "photos.example",
        "User-Agent": "photio-prep",
        "Accept": "image/*,*/*;q=0.1",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }


def test_a_public_address_needs_no_name_server(net: Net, server: HostileServer):
    assert net.fetch(f"http://{PUBLIC}/") == PHOTO
    net.ports["2606:4700::1"] = server.port
    assert net.fetch("http://[2606:4700:0::1]/") == PHOTO
    assert net.asked == []
    assert [each.header("Host") for each in server.requests] == [PUBLIC, "[2606:4700::1]"]


def test_the_environment_changes_nothing(net: Net, server: HostileServer, monkeypatch, tmp_path: Path):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{net.canary}")
        monkeypatch.setenv(name.upper(), f"http://127.0.0.1:{net.canary}")
    (tmp_path / ".netrc").write_text("default login SECRET password SECRET\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    assert net.fetch() == PHOTO
    assert not server.received(b"SECRET")
    assert not server.received(b"Authorization")


def test_cookies_are_neither_kept_nor_sent(net: Net, server: HostileServer):
    server.script = [says(b"", 302, "Location: /b", "Set-Cookie: a=COOKIE"), says(PHOTO, 200, "Set-Cookie: a=COOKIE")]
    assert net.fetch() == PHOTO
    assert net.fetch() == PHOTO
    assert not server.received(b"COOKIE")
    assert not server.received(b"Referer")


# The promise "URLs": 48 addresses, 10 spellings and 7 tricks, each in three ways.

CASES = [
    *((f"http://{bracketed(each)}/x.png", each) for each in ADDRESSES),
    *((f"http://{each}/x.png", each) for each in SPELLINGS),
    *((f"http://{each}x.png", each.rstrip("/")) for each in TRICKS),
]
WAYS = ("direct", "redirect", "dns")


def test_the_cases_are_those_of_the_promise():
    assert len(CASES) * len(WAYS) == 195


@pytest.mark.parametrize(("url", "answer"), CASES, ids=range(len(CASES)))
@pytest.mark.parametrize("way", WAYS)
def test_i48_to_i52_i55_the_canary_is_never_reached(net: Net, server: HostileServer, way: str, url: str, answer: str):
    # A name server that calls everything public: only the URL itself, or the answer, can be what is refused.
    if way == "direct":
        net.refusal(url)
        assert net.calls == []
    elif way == "redirect":
        # Also as a server would really write it: in UTF-8.
        server.script = redirects(url.encode("utf-8").decode("latin-1"))
        assert net.refusal().startswith("it redirects to ")
        assert net.calls == [(PUBLIC, 80)]
    else:
        net.names["photos.example"] = [answer]
        net.refusal()
        assert net.calls == []


def test_without_the_check_the_canary_is_reached(servers, server: HostileServer, monkeypatch):
    """The canary does sing: 48 of 48 addresses, once the table is taken away."""
    canary = servers[1]
    canary.forget()
    net = Net(server.port, canary.port)
    monkeypatch.setattr(module, "reserved_range", lambda address: None)
    for address in ADDRESSES:
        assert net.fetch(f"http://{bracketed(address)}/x.png") == PHOTO
    assert canary.connections == 48


def test_the_default_way_out_has_no_hole(servers, monkeypatch):
    """With nothing replaced, our own addresses are refused; no variable and no setting changes that."""
    canary = servers[1]
    canary.forget()
    parameters = inspect.signature(fetch).parameters
    assert parameters["resolve"].default is socket.getaddrinfo
    assert parameters["_connect"].default is module._connect_tcp
    assert parameters["allow_ports"].default == PORTS == {80, 443}
    assert all(each.kind is each.KEYWORD_ONLY for name, each in parameters.items() if name != "url")
    package = Path(module.__file__).parent
    using = [path.name for path in package.rglob("*.py") if "_connect=" in path.read_text(encoding="utf-8")]
    assert using == []
    assert not {"os", "settings"} & set(vars(module))
    port = canary.port

    def to_us(host: str, port: int, **options: Any) -> list[tuple[Any, ...]]:
        return socket.getaddrinfo("127.0.0.1", port, **options)

    for host in ("127.0.0.1", "0.0.0.0", "localhost", "localhost.localdomain", "[::1]", "[::ffff:127.0.0.1]", "127.1"):
        with pytest.raises(PhotoRefused):
            fetch(f"http://{host}:{port}/", limit=MIB, allow_ports={port}, deadline=5)
    with pytest.raises(PhotoRefused):
        fetch(f"http://photos.example:{port}/", limit=MIB, allow_ports={port}, resolve=to_us)
    canary.settle()
    assert canary.connections == 0
    # The way out itself works: it is the check that refuses.
    module._connect_tcp("127.0.0.1", port, 5).close()
    canary.settle()
    assert canary.connections == 1


def test_the_way_out_speaks_both_families(monkeypatch):
    families = []

    class Wire(socket.socket):
        def __init__(self, family: int, kind: int) -> None:
            families.append(family)
            super().__init__(socket.AF_INET, kind)

        def connect(self, address: Any) -> None:
            raise OSError(address)

    monkeypatch.setattr(socket, "socket", Wire)
    for address in ("1.1.1.1", "2606::1"):
        with pytest.raises(OSError, match=address):
            module._connect_tcp(address, 80, 1)
    assert families == [socket.AF_INET, socket.AF_INET6]


@pytest.mark.parametrize("answers", list(itertools.permutations([PUBLIC, "10.0.0.1", "2606:4700::1"])))
def test_i53_one_private_address_among_public_ones_is_one_too_many(net: Net, answers: tuple[str, ...]):
    net.names["photos.example"] = list(answers)
    assert "leads to 10.0.0.1, not an address of the public internet but private use" in net.refusal()
    assert net.calls == []


@pytest.mark.parametrize("trial", range(100))
def test_i54_the_connection_goes_to_the_address_that_was_checked(net: Net, server: HostileServer, trial: int):
    """A name server that says something else each time; the photo redirects to its own host now and then."""
    chance = random.Random(trial)
    answers = [[PUBLIC]] + [chance.choice([["127.0.0.1"], ["127.0.0.1"], [PUBLIC], [PUBLIC, "::1"]]) for _ in range(5)]
    turns = iter(answers)
    said: list[list[str]] = []

    def rebinding(host: str, port: int, **_: object) -> list[tuple[Any, ...]]:
        said.append(next(turns))
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in said[-1]]

    hops = chance.randrange(4)
    server.script = [*(redirects(f"/{hop}") for hop in range(hops)), says()]
    bad = [answer for answer in answers[: hops + 1] if answer != [PUBLIC]]
    if bad:
        assert "not an address of the public internet" in net.refusal(resolve=rebinding)
    else:
        assert net.fetch(resolve=rebinding) == PHOTO
    reached = said[:-1] if bad else said
    assert net.calls == [(PUBLIC, 80)] * len(reached)  # asked once a hop, and never again to connect
    server.settle()
    assert server.connections == len(reached)


def test_the_next_address_is_tried_where_the_first_does_not_answer(net: Net, server: HostileServer):
    with closed_port() as nobody:
        net.ports["1.1.1.1"] = nobody
        net.names["photos.example"] = ["1.1.1.1", "1.1.1.1", PUBLIC]
        assert net.fetch() == PHOTO
        assert [address for address, _ in net.calls] == ["1.1.1.1", PUBLIC]
        net.names["photos.example"] = ["1.1.1.1"]
        assert net.refusal() == "it could not be fetched: Connection refused"
        net.names["photos.example"] = ["1.1.1.1", *(f"1.1.2.{each}" for each in range(50))]
        net.ports |= {f"1.1.2.{each}": nobody for each in range(50)}
        net.calls.clear()
        net.refusal()
        assert len(net.calls) == 8


# Spelling.


@pytest.mark.parametrize(
    "url",
    [
        *(
            "file:///etc/passwd",
            "ftp://photos.example/",
            "gopher://photos.example/",
            "data:image/png;base64,iVBORw0KGgo=",
        ),
        *("javascript:alert(1)", "//photos.example/", "http:///x.png", "photos.example/x.png", "", "x" * 100_000),
    ],
)
def test_i47_what_is_no_url_of_a_photo_is_refused_before_any_question(net: Net, url: str):
    with pytest.raises(PhotoRefused):
        net.fetch(url)
    assert (net.asked, net.calls) == ([], [])


@pytest.mark.parametrize("port", [22, 25, 6379])
def test_i56_other_ports_are_refused_unless_allowed(net: Net, server: HostileServer, port: int):
    url = f"http://photos.example:{port}/"
    assert net.refusal(url) == f"port {port}, which is not a port for photos"
    assert net.asked == []
    server.script = redirects(url)
    assert "redirects" in net.refusal()
    server.script = says()
    assert net.fetch(url, allow_ports={port}) == PHOTO
    assert server.requests[-1].header("Host") == f"photos.example:{port}"


# Redirects.


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "place", ["http://other.example/b.png", "//other.example/b.png", "/b.png", "b.png", "?b", "./b#c"]
)
def test_a_redirect_is_followed(net: Net, server: HostileServer, status: int, place: str):
    server.script = [redirects(place, status), says()]
    assert net.fetch("http://photos.example/a.png") == PHOTO
    assert len(net.asked) == 2
    assert net.asked[1] == server.requests[1].header("Host")
    assert server.requests[1].method == "GET"


def test_a_redirect_may_be_written_in_utf8(net: Net, server: HostileServer):
    server.script = [redirects("/schön.png".encode().decode("latin-1")), says()]
    assert net.fetch() == PHOTO
    assert server.requests[1].target == "/sch%C3%B6n.png"


@pytest.mark.parametrize(
    "place",
    [
        *(
            "file:///etc/passwd",
            "ftp://photos.example/",
            "data:image/png,x",
            "javascript:alert(1)",
            "http://[",
            "http://x]",
        ),
        *("http://u:p@photos.example/", "/a b", "/a\\b", "/a\x1fb", "\xff\xfe", "//", "http://", "http://localhost/"),
    ],
)
def test_i55_a_redirect_to_what_is_no_url_of_a_photo_is_refused(net: Net, server: HostileServer, place: str):
    server.script = redirects(place)
    assert "redirects" in net.refusal()
    assert len(net.calls) == 1


def test_i55_five_redirects_are_followed_and_not_six(net: Net, server: HostileServer):
    server.script = [*(redirects(f"/{hop}") for hop in range(5)), says()]
    assert net.fetch() == PHOTO
    server.script = [*(redirects(f"/{hop}") for hop in range(6)), says()]
    server.forget()
    assert net.refusal() == "it redirects to http://photos.example/5: more than 5 redirects"
    assert server.hits == 6


@pytest.mark.parametrize(
    "places", [["/shoe.png"], [""], ["#x"], ["HTTP://PHOTOS.EXAMPLE:80/shoe.png"], ["/b", "/shoe.png"]]
)
def test_i55_a_loop_is_refused(net: Net, server: HostileServer, places: list[str]):
    server.script = [redirects(place) for place in places]
    assert "a circle of redirects" in net.refusal()
    assert len(net.calls) == len(places)


@pytest.mark.parametrize("status", [300, 304, 305, 306])
def test_i58_other_redirections_are_none(net: Net, server: HostileServer, status: int):
    server.script = raw(f"HTTP/1.1 {status} X\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n".encode())
    assert net.refusal() == f"HTTP {status} instead of a photo"
    assert len(net.calls) == 1


# Answers.


@pytest.mark.parametrize("status", [201, 202, 203, 204, 206, 304, 400, 404, 410, 416, 418, 429, 500, 502, 503])
def test_i58_only_200_is_a_photo(net: Net, server: HostileServer, status: int):
    server.script = says(PHOTO, status)
    assert net.refusal() == f"HTTP {status} instead of a photo"


@pytest.mark.parametrize("status", [301, 302, 307])
def test_i58_a_redirect_to_nowhere_is_refused(net: Net, server: HostileServer, status: int):
    server.script = says(PHOTO, status)
    assert net.refusal() == f"HTTP {status} instead of a photo"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<!DOCTYPE html><title>Not found</title>", "image/png"),
        (b"\xef\xbb\xbf\r\n <HTML><body>x", "image/jpeg"),
        (b"<!-- hello -->", ""),
        (b"Please sign in", "text/html; charset=utf-8"),
    ],
)
def test_i58_an_error_page_with_200_is_named(net: Net, server: HostileServer, body: bytes, kind: str):
    server.script = says(body, 200, f"Content-Type: {kind}")
    assert net.refusal() == "HTTP 200, but a web page, not a photo"


@pytest.mark.parametrize("kind", ["text/html", "application/octet-stream", "x", ""])
def test_a_photo_is_judged_by_its_bytes_and_not_by_its_type(net: Net, server: HostileServer, kind: str):
    server.script = says(PHOTO, 200, f"Content-Type: {kind}")
    assert net.fetch() == PHOTO


@pytest.mark.parametrize("status", [401, 403, 407])
def test_i62_who_asks_for_credentials_gets_none(net: Net, server: HostileServer, status: int):
    asks = ('WWW-Authenticate: Basic realm="x"', 'Proxy-Authenticate: Basic realm="x"')
    server.script = [redirects("/b"), says(b"", status, *asks), says()]
    found = "it needs credentials, and none are sent"
    assert net.refusal() == f"it redirects to http://photos.example/b: HTTP {status}: {found}"
    assert server.hits == 2
    assert not server.received(b"Authorization")


def test_i60_a_content_disposition_is_ignored(net: Net, server: HostileServer, monkeypatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    server.script = says(PHOTO, 200, 'Content-Disposition: attachment; filename="../../x"')
    assert net.fetch() == PHOTO
    assert list(tmp_path.iterdir()) == []


# Size.


def endless(head: str, chunk: bytes, sent: list[int]) -> Behaviour:
    def act(exchange: Exchange) -> None:
        _ = exchange.request
        exchange.send(head.encode())
        while True:
            exchange.send(chunk)
            sent.append(len(chunk))

    return Behaviour("endless", act)


def test_i57_51_mb_with_an_honest_length_is_not_read(net: Net, server: HostileServer):
    server.script = says(b"", length=51 * MIB)
    assert net.refusal(limit=50 * MIB) == "51.0 MiB or more, the limit is 50 MiB"
    server.script = raw(b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 4000 + b"\r\n\r\n")
    assert "MiB or more, the limit is 50 MiB" in net.refusal(limit=50 * MIB)
    # More digits than Python reads: as if it were not there.
    server.script = raw(b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n")
    assert net.fetch(limit=50 * MIB) == b""


@pytest.mark.parametrize(
    ("head", "frame"),
    [
        ("HTTP/1.1 200 OK\r\n\r\n", "{}"),
        ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "{}"),
        ("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", "{}"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "10000\r\n{}\r\n"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n", "10000\r\n{}\r\n"),
    ],
)
def test_i57_an_endless_stream_is_stopped_at_the_limit(net: Net, server: HostileServer, head: str, frame: str):
    sent: list[int] = []
    server.script = endless(head, frame.format("x" * 2**16).encode(), sent)
    assert net.refusal(limit=2 * MIB) == "2.0 MiB or more, the limit is 2 MiB"
    server.settle()
    assert sum(sent) < 16 * MIB  # what lies in the buffers of two sockets


def test_i57_a_length_that_is_too_small_or_too_large(net: Net, server: HostileServer):
    server.script = says(PHOTO, length=100)
    assert net.fetch() == PHOTO[:100]  # the rest belongs to nobody; decoding finds it cut short
    server.script = says(PHOTO, length=len(PHOTO) + 1)
    assert net.refusal() == "it could not be fetched: the answer is cut short"


def test_i57_the_limit_itself_is_allowed(net: Net, server: HostileServer):
    packed = gzip.compress(PHOTO)
    for script in (says(), says(length=None), says(packed, 200, "Content-Encoding: gzip")):
        server.script = script
        assert net.fetch(limit=len(PHOTO)) == PHOTO
        assert "the limit is" in net.refusal(limit=len(PHOTO) - 1)


def test_a_chunked_photo_comes_whole_or_not_at_all(net: Net, server: HostileServer):
    whole = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (PHOTO[:1], PHOTO[1:3000], PHOTO[3000:]))
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    server.script = raw(head + whole + b"0\r\n\r\n")
    assert net.fetch() == PHOTO
    for cut in (b"", b"5", b"zz\r\n", b"-5\r\n"):
        server.script = raw(head + whole + cut)
        assert net.refusal() == "it could not be fetched: the answer is cut short"


def test_a_photo_in_gzip_is_unpacked(net: Net, server: HostileServer):
    for coding in ("gzip", "x-gzip", "GZIP", "identity, gzip"):
        server.script = says(gzip.compress(PHOTO), 200, f"Content-Encoding: {coding}")
        assert net.fetch() == PHOTO
    server.script = says(gzip.compress(PHOTO)[:-9], 200, "Content-Encoding: gzip")
    assert net.refusal() == "it could not be fetched: the answer is cut short"
    server.script = says(PHOTO, 200, "Content-Encoding: gzip")
    assert net.refusal() == "it could not be fetched: the answer is damaged (error)"


def test_i59_a_bomb_in_gzip_is_stopped_at_the_unpacked_limit(net: Net, server: HostileServer):
    server.script = says(gzip.compress(bytes(200 * MIB), 1), 200, "Content-Encoding: gzip")
    tracemalloc.start()
    try:
        assert net.refusal() == "1.0 MiB or more, the limit is 1 MiB"
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "coding", ["gzip, gzip", "gzip, br", "br", "zstd", "deflate", "compress", "x", "gzip\r\nContent-Encoding: br"]
)
def test_i59_other_and_nested_codings_are_never_unpacked(net: Net, server: HostileServer, coding: str):
    server.script = says(gzip.compress(gzip.compress(bytes(MIB))), 200, f"Content-Encoding: {coding}")
    assert net.refusal() == "an unrequested Content-Encoding"


@pytest.mark.parametrize("coding", ["gzip", "gzip, chunked", "identity"])
def test_a_transfer_encoding_that_nobody_asked_for_is_refused(net: Net, server: HostileServer, coding: str):
    server.script = says(PHOTO, 200, f"Transfer-Encoding: {coding}")
    assert net.refusal() == "an unrequested Transfer-Encoding"


# Time.

# Seconds: without the deadline each of these goes on for 20 and more. A busy machine may take its time to notice one.
SOON = 15


def drips(head: bytes, drop: bytes) -> Behaviour:
    def act(exchange: Exchange) -> None:
        _ = exchange.request
        exchange.send(head)
        while True:
            exchange.send(drop)
            exchange.sleep(0.05)

    return Behaviour("drips", act)


@pytest.mark.parametrize(
    "behaviour",
    [
        never_answer(),
        drips(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x"),
        drips(b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
        drips(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        drips(b"HTTP/1.1 200 OK\r\n", b"x"),
        drips(b"", b"H"),
        drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        drips(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n"),
    ],
    ids=["silence", "length", "no-length", "chunks", "header", "status", "continue", "trailer"],
)
def test_the_deadline_holds_against_a_byte_a_moment(net: Net, server: HostileServer, behaviour: Behaviour):
    server.script = behaviour
    begun = time.monotonic()
    assert net.refusal(deadline=0.4) == "it could not be fetched: not complete within 0.4 s"
    assert time.monotonic() - begun < SOON


def test_a_silent_server_is_not_waited_for_until_the_deadline(net: Net, server: HostileServer, monkeypatch):
    monkeypatch.setattr(module, "_SILENCE", 0.2)
    server.script = never_answer()
    assert net.refusal() == "it could not be fetched: no answer in time"


def test_the_deadline_holds_over_redirects(net: Net, server: HostileServer):
    def slow(n: int, exchange: Exchange) -> Behaviour:
        exchange.sleep(0.2)
        return redirects(f"/{n}")

    server.script = slow
    assert "not complete within 0.5 s" in net.refusal(deadline=0.5)
    assert len(net.calls) < 5


def test_the_deadline_holds_against_a_slow_name_server(net: Net):
    end = threading.Event()

    def slow(*_: object, **__: object) -> list[tuple[Any, ...]]:
        end.wait(20)
        return []

    begun = time.monotonic()
    assert "not complete within 0.2 s" in net.refusal(deadline=0.2, resolve=slow)
    assert time.monotonic() - begun < SOON
    end.set()


def test_the_deadline_holds_while_connecting(net: Net):
    with full_backlog() as port:
        net.ports[PUBLIC] = port
        begun = time.monotonic()
        assert "not complete within 0.3 s" in net.refusal(deadline=0.3)
        assert time.monotonic() - begun < SOON


def test_the_deadline_holds_in_a_handshake(net: Net, server: HostileServer):
    server.script = never_answer()  # it reads the hello and says nothing
    begun = time.monotonic()
    assert "not complete within 0.3 s" in net.refusal("https://photos.example/", deadline=0.3)
    assert time.monotonic() - begun < SOON


def test_no_thread_and_no_socket_is_left_behind(net: Net):
    before = threading.active_count()
    for _ in range(3):
        net.fetch()
    deadline = time.monotonic() + 30
    while threading.active_count() > before + 1 and time.monotonic() < deadline:
        time.sleep(0.01)  # the server's threads end a little after the answer
    assert [each.name for each in threading.enumerate() if each.name == "resolve"] == []
    assert threading.active_count() <= before + 1


# Failures.


@pytest.mark.parametrize(
    ("behaviour", "found"),
    [
        (close_at_once(), "the connection was closed without an answer"),
        (close_after_reading(), "the connection was closed without an answer"),
        (reset_after_reading(), "Connection reset by peer"),
        (raw(b"SSH-2.0-\x1b[31mOpenSSH\r\n"), "the answer is damaged (BadStatusLine)"),
        (raw(b"HTTP/2.0 200 OK\r\n\r\n"), "the answer is damaged (UnknownProtocol)"),
        (raw(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n"), "the answer is damaged (HTTPException)"),
        (raw(b"HTTP/1.1 200 OK\r\na: " + b"b" * 70_000 + b"\r\n\r\n"), "the answer is damaged (LineTooLong)"),
    ],
    ids=range(7),
)
def test_a_failure_is_told_in_our_own_words(net: Net, server: HostileServer, behaviour: Behaviour, found: str):
    server.script = behaviour
    said = net.refusal()
    assert said in (f"it could not be fetched: {found}", "it could not be fetched: Connection reset by peer")


@pytest.mark.parametrize("error", [socket.gaierror(-2, "Name or service not known"), UnicodeError("label too long")])
def test_a_host_that_is_not_found_is_named(net: Net, error: Exception):
    def unknown(*_: object, **__: object) -> list[tuple[Any, ...]]:
        raise error

    assert "its host cannot be found" in net.refusal(resolve=unknown)


def test_a_host_without_an_address_is_refused(net: Net):
    net.names["photos.example"] = []
    assert net.refusal() == "it could not be fetched: its host has no address"


@pytest.mark.parametrize("options", [{"limit": 0}, {"limit": -1}, {"deadline": 0}, {"deadline": -1}])
def test_a_limit_must_be_positive(net: Net, options: dict[str, Any]):
    with pytest.raises(UsageError):
        net.fetch(**options)
    assert net.asked == []


# Secrets.


def test_i61_a_signed_query_is_sent_and_shown_nowhere(net: Net, server: HostileServer, caplog, capfd, monkeypatch):
    monkeypatch.setattr("http.client.HTTPConnection.debuglevel", 1)
    caplog.set_level(logging.DEBUG)
    url = f"{URL}?X-Signature=S3CR3T#S3CR3T"
    assert net.fetch(url) == PHOTO
    assert server.requests[0].target == "/shoe.png?X-Signature=S3CR3T"
    bad: list[Behaviour] = [
        says(b"", 404),
        redirects("/b?S3CR3T", 302),
        redirects("http://u:S3CR3T@photos.example/?S3CR3T"),
        redirects("http://127.0.0.1/?S3CR3T"),
        redirects("https://[S3CR3T@/"),
        redirects("http://photos.example:81/#S3CR3T"),
        raw(b"HTTP/1.1 200 OK\r\nbad header S3CR3T\r\n\r\n<html>"),
        raw(b"S3CR3T"),
        close_at_once(),
    ]
    for behaviour in bad:
        server.script = behaviour
        with pytest.raises(PhotoRefused) as caught:
            net.fetch(url)
        error: BaseException | None = caught.value
        while error is not None:
            assert not isinstance(error, PhotoRefused) or "S3CR3T" not in f"{error}{error!r}{error.args}"
            error = error.__cause__
    out = capfd.readouterr()
    assert "S3CR3T" not in caplog.text + out.out + out.err


def test_i61_a_user_and_password_are_refused_and_not_shown(net: Net, server: HostileServer):
    with pytest.raises(PhotoRefused) as caught:
        net.fetch("https://user:S3CR3T@photos.example/shoe.png")
    assert "S3CR3T" not in str(caught.value)
    assert str(caught.value).startswith("https://***@photos.example/shoe.png: a URL with a user or a password")
    assert (net.asked, server.connections) == ([], 0)


# TLS.


class Tls:
    """Our server behind TLS, with the names that clients asked for."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.trusted = str(folder / "authority.pem")
        authority.cert_pem.write_to_path(self.trusted)
        self.asked: list[str | None] = []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("photos.example", "xn--mller-kva.example", PUBLIC).configure_cert(self.context)
        self.context.sni_callback = lambda _socket, name, _context: self.asked.append(name)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return Tls(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def secure(tls: Tls, net: Net) -> Iterator[HostileServer]:
    tls.asked.clear()
    with HostileServer(says(), tls=tls.context) as server:
        net.ports[PUBLIC] = server.port
        yield server


def test_tls_asks_for_the_name_and_checks_it_while_the_address_is_pinned(net: Net, tls: Tls, secure: HostileServer):
    assert net.fetch("https://photos.example/shoe.png", ca_bundle=tls.trusted) == PHOTO
    assert net.fetch("https://MÜLLER.example/shoe.png", ca_bundle=tls.trusted) == PHOTO
    assert net.fetch(f"https://{PUBLIC}/shoe.png", ca_bundle=tls.trusted) == PHOTO
    assert tls.asked == ["photos.example", "xn--mller-kva.example", None]  # an address is no server name
    assert [each.header("Host") for each in secure.requests] == ["photos.example", "xn--mller-kva.example", PUBLIC]
    assert net.calls == [(PUBLIC, 443)] * 3


@pytest.mark.parametrize(("host", "ours"), [("other.example", True), ("photos.example", False), ("1.1.1.1", True)])
def test_a_certificate_of_another_name_or_authority_is_refused(
    net: Net, tls: Tls, secure: HostileServer, host: str, ours: bool
):
    net.ports["1.1.1.1"] = secure.port
    found = net.refusal(f"https://{host}/", ca_bundle=tls.trusted if ours else None)
    assert "its certificate is not valid" in found
    secure.settle()
    assert secure.hits == 0


def test_plain_http_where_tls_is_asked_is_refused(net: Net):
    def plain(exchange: Exchange) -> None:
        exchange.read_some()
        exchange.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with HostileServer(Behaviour("plain http", plain)) as talking:
        net.ports[PUBLIC] = talking.port
        assert net.refusal("https://photos.example/").startswith("it could not be fetched: TLS failed (")


def test_https_never_falls_back_to_http(net: Net, tls: Tls, secure: HostileServer):
    secure.script = redirects("http://photos.example/b?S3CR3T")
    found = net.refusal("https://photos.example/", ca_bundle=tls.trusted)
    assert found == "it redirects to http://photos.example/b?***: plain http after https"
    assert len(net.calls) == 1


def test_http_may_lead_to_https(net: Net, tls: Tls, secure: HostileServer, server: HostileServer):
    server.script = redirects("https://1.1.1.1/b")
    net.ports |= {PUBLIC: server.port, "1.1.1.1": secure.port}
    assert "certificate" in net.refusal("http://photos.example/", ca_bundle=tls.trusted)  # for another address
    server.script = redirects("https://photos.example/b")

    def way(address: str, port: int, seconds: float) -> socket.socket:
        return socket.create_connection(("127.0.0.1", secure.port if port == 443 else server.port), seconds)

    assert net.fetch("http://photos.example/", ca_bundle=tls.trusted, _connect=way) == PHOTO


def test_the_deadline_holds_over_tls(net: Net, tls: Tls, secure: HostileServer):
    secure.script = drips(b"HTTP/1.1 200 OK\r\n\r\n", b"x")
    begun = time.monotonic()
    found = net.refusal("https://photos.example/", ca_bundle=tls.trusted, deadline=0.8)
    assert found == "it could not be fetched: not complete within 0.8 s"
    assert time.monotonic() - begun < SOON


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_a_bundle_that_cannot_be_read_is_a_setting_to_mend(net: Net, tmp_path: Path, content: bytes | None):
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        net.fetch("https://photos.example/", ca_bundle=str(bundle))
    assert caught.value.subject == str(bundle)
    assert net.calls == []
