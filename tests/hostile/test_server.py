"""The hostile server does on the wire what its names say, and bills at the last byte and not before."""

from __future__ import annotations

import base64
import http.client
import io
import json
import select
import socket
import ssl
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest
import requests
import urllib3
from PIL import Image

from tests.support import hostile_answers as answers
from tests.support import hostile_delivery as delivery
from tests.support import hostile_faults as faults
from tests.support import hostile_places as places
from tests.support.hostile import PATH, HostileServer
from tests.support.hostile_answers import ok

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.hostile_exchange import Behaviour, Exchange

KEY = {"X-Photio-Key": "pt-canary-0123456789"}
SIZE = (64, 48)


def order(seed: int = 7, *, filler: int = 0) -> bytes:
    picture = base64.b64encode(answers.png(SIZE)).decode()
    return json.dumps({"seed": seed, "product_image": picture, "filler": "x" * filler}).encode()


def wire(body: bytes) -> bytes:
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nX-Photio-Key: pt-canary\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@pytest.fixture
def client() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def post(client: requests.Session, server: HostileServer, body: bytes | None = None, **how: Any) -> requests.Response:
    how = {"headers": KEY, "timeout": 30, "allow_redirects": False, **how}
    return client.post(server.url, data=order() if body is None else body, **how)


def plain(server: HostileServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


def everything(conn: socket.socket) -> bytes:
    parts = []
    while part := conn.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


# Counting.


def test_a_good_call_is_one_connection_one_request_one_charge(client):
    before = time.monotonic()
    with HostileServer(ok()) as server:
        answer = post(client, server)
        assert answer.json()["status_code"] == 200
        assert Image.open(io.BytesIO(base64.b64decode(answer.json()["body"]))).size == SIZE
        assert (server.connections, server.hits, server.charges) == (1, 1, 1)
        (request,) = server.requests
        assert request.body == order()
        assert request.json() == json.loads(order())
        assert (request.method, request.target, request.seed, request.asked) == ("POST", PATH, 7, SIZE)
        assert request.header("x-photio-key") == KEY["X-Photio-Key"]
        assert request.header("Authorization") is None
        assert before < request.opened <= request.at < time.monotonic()
        assert server.charges_by_body == {request.digest: 1}
        assert server.charges_by_seed == {7: 1}
        assert server.received(b"pt-canary")
        assert server.received(b'"product_image"')
        assert not server.received(b"GPS")


def test_the_charge_falls_with_the_last_byte_and_not_before():
    with HostileServer(faults.never_answer()) as server, plain(server) as conn:
        whole = wire(order())
        conn.sendall(whole[:-1])
        time.sleep(0.1)
        assert (server.hits, server.charges) == (0, 0)
        conn.sendall(whole[-1:])
        server.settle()
        assert (server.hits, server.charges) == (1, 1)


def test_a_client_that_dies_is_billed_when_its_last_byte_was_on_the_way():
    with HostileServer(ok()) as server:
        for cut in (0, 1):
            with plain(server) as conn:
                whole = wire(order())
                conn.sendall(whole[: len(whole) - cut])
        server.settle()
        assert (server.connections, server.hits, server.charges) == (2, 1, 1)
        assert server.fragments == [whole[:-1]]


def test_the_same_order_twice_shows_as_charged_twice(client):
    with HostileServer(ok()) as server:
        for seed in (1, 2, 1):
            post(client, server, order(seed))
        assert server.charges_by_seed == {1: 2, 2: 1}
        assert list(server.charged_twice().values()) == [2]
        assert [request.attempt for request in server.requests] == [1, 1, 2]
        server.forget()
        assert (server.charges, server.connections, server.charged_twice()) == (0, 0, {})


def test_counters_hold_under_sixteen_clients_at_once():
    with HostileServer(answers.ok_tiny(), keep_bodies=False) as server, ThreadPoolExecutor(16) as pool:

        def one(seed: int) -> None:
            with plain(server) as conn:
                conn.sendall(wire(order(seed)))
                everything(conn)

        list(pool.map(one, range(400)))
        assert (server.connections, server.hits, server.charges, len(server.charges_by_seed)) == (400, 400, 400, 400)
        assert {request.body for request in server.requests} == {b""}


def test_a_list_runs_through_and_its_last_entry_repeats(client):
    with HostileServer([faults.status(401), faults.busy(1), ok()]) as server:
        assert [post(client, server).status_code for _ in range(4)] == [401, 429, 200, 200]
        assert (server.hits, server.charges) == (4, 2)


def test_a_callable_decides_by_number_or_by_the_request_itself(client):
    def script(n: int, exchange: Exchange) -> Behaviour:
        return faults.status(500) if n == 2 or exchange.request.seed == 9 else ok()

    with HostileServer(script) as server:
        assert [post(client, server, order(seed)).status_code for seed in (1, 2, 9, 3)] == [200, 500, 500, 200]
        assert server.charges == 4


def test_a_mistake_in_a_script_fails_the_test(client):
    with pytest.raises(ZeroDivisionError), HostileServer(lambda n, _: [ok()][n // 0]) as server, plain(server) as conn:
        assert conn.recv(1) == b""


def test_leaving_the_block_frees_clients_threads_and_the_port():
    threads = set(threading.enumerate())
    with HostileServer(faults.never_answer()) as server:
        conn = plain(server)
        conn.sendall(wire(order()))
        server.settle()
    with conn:
        assert conn.recv(1) == b""
    assert set(threading.enumerate()) <= threads  # one of an earlier test may have ended meanwhile
    with HostileServer(ok(), port=server.port) as again:
        assert again.url == server.url


# Faults that never answer.


def test_close_at_once_reads_nothing(client):
    with HostileServer(faults.close_at_once()) as server:
        with pytest.raises(requests.ConnectionError):
            post(client, server)
        server.settle()
        assert (server.connections, server.hits, server.charges, server.fragments) == (1, 0, 0, [])


@pytest.mark.parametrize("count", [1, 60, 1000])
def test_drop_after_takes_exactly_so_many_bytes(client, count):
    with HostileServer(faults.drop_after(count)) as server:
        with pytest.raises(requests.ConnectionError):
            post(client, server, order(filler=5_000_000))
        server.settle()
        assert [len(fragment) for fragment in server.fragments] == [count]
        assert (server.hits, server.charges) == (0, 0)


def test_drop_after_more_bytes_than_there_are_bills(client):
    with HostileServer(faults.drop_after(1_000_000)) as server:
        with pytest.raises(requests.ConnectionError):
            post(client, server)
        assert server.charges == 1


def test_reset_after_is_a_reset_while_the_body_is_under_way():
    with HostileServer(faults.reset_after(1000)) as server, plain(server) as conn:
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            conn.sendall(wire(order(filler=20_000_000)))
        server.settle()
        assert (server.hits, server.charges) == (0, 0)


def test_never_read_stalls_the_client_in_its_write():
    with HostileServer(faults.never_read(), receive_buffer=4096) as server, plain(server) as conn:
        conn.settimeout(0.5)
        with pytest.raises(TimeoutError):
            conn.sendall(wire(order(filler=8_000_000)))
        server.settle()
        assert (server.hits, server.charges) == (0, 0)


def test_close_after_reading_bills_and_sends_fin():
    with HostileServer(faults.close_after_reading()) as server, plain(server) as conn:
        conn.sendall(wire(order()))
        assert conn.recv(1) == b""
        assert server.charges == 1


def test_reset_after_reading_bills_and_sends_rst():
    with HostileServer(faults.reset_after_reading()) as server, plain(server) as conn:
        conn.sendall(wire(order()))
        with pytest.raises(ConnectionResetError):
            conn.recv(1)
        assert server.charges == 1


def test_never_answer_bills_and_says_nothing(client):
    with HostileServer(faults.never_answer()) as server:
        with pytest.raises(requests.ReadTimeout):
            post(client, server, timeout=(30, 0.2))
        server.settle()
        assert server.charges == 1


def test_raw_bytes_need_not_be_http(client):
    with HostileServer(faults.raw(b"SSH-2.0-OpenSSH_9.6\r\n")) as server:
        with pytest.raises(requests.ConnectionError, match="BadStatusLine"):
            post(client, server)
        assert server.charges == 1


# Statuses.


@pytest.mark.parametrize("code", [400, 401, 402, 403, 404, 413, 415, 422, 429])
def test_refusals_bill_nothing(client, code):
    with HostileServer(faults.status(code, b"no")) as server:
        assert post(client, server).status_code == code
        assert (server.hits, server.charges) == (1, 0)


@pytest.mark.parametrize("code", [204, 408, 409, 500, 502, 503, 504, 299, 599])
def test_other_statuses_bill(client, code):
    with HostileServer(faults.status(code)) as server:
        assert post(client, server).status_code == code
        assert server.charges == 1


@pytest.mark.parametrize("value", [2, "Wed, 21 Oct 2015 07:28:00 GMT", "99999999999", "-5", "soon", None])
@pytest.mark.parametrize("code", [429, 503])
def test_busy_says_when_to_come_back(client, value, code):
    with HostileServer(faults.busy(value, code=code)) as server:
        answer = post(client, server)
        assert answer.headers.get("Retry-After") == (None if value is None else str(value))
        assert answer.status_code == code
        assert server.charges == (1 if (code, value) == (503, None) else 0)


def test_busy_until_gives_a_date(client):
    with HostileServer(faults.busy_until(30)) as server:
        before = int(time.time())
        date = parsedate_to_datetime(post(client, server).headers["Retry-After"])
        assert before + 30 <= date.timestamp() <= time.time() + 30


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirects_lead_to_a_sink_that_counts(client, code):
    with HostileServer(ok()) as sink, HostileServer(faults.redirect(code, sink.url)) as server:
        assert post(client, server).headers["Location"] == sink.url
        assert sink.connections == 0
        post(client, server, allow_redirects=True)
        assert sink.connections == 1
        # The leak that the product must not have; it shows here that the sink would notice.
        assert sink.received(b"pt-canary")
        assert sink.received(b"product_image") == (code in {307, 308})


def test_an_early_refusal_arrives_though_the_body_was_not_wanted():
    with HostileServer(faults.before_reading(faults.status(413, b"too large"))) as server:
        with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as conn:
            conn.putrequest("POST", PATH)
            conn.putheader("Content-Length", "50000000")
            conn.endheaders()
            answer = conn.getresponse()
            assert (answer.status, answer.read()) == (413, b"too large")
        server.settle()
        assert (server.hits, server.charges) == (0, 0)


def test_token_bucket_lets_the_allowed_rate_through_and_books_the_impatient(client):
    bucket = faults.TokenBucket(ok(), per_second=0, burst=2, retry_after=30)  # no third, however slowly they come
    with HostileServer(bucket) as server:
        codes = [post(client, server, order(seed)).status_code for seed in (1, 2, 3)]
        assert (codes, server.charges, bucket.early) == ([200, 200, 429], 2, [])
        post(client, server, order(3))
        assert len(bucket.early) == 1
        assert 15 < bucket.early[0] <= 30


def test_token_bucket_has_nothing_against_those_who_wait(client):
    bucket = faults.TokenBucket(ok(), per_second=1, burst=1)
    with HostileServer(bucket) as server:
        assert [post(client, server, order(seed)).status_code for seed in (1, 2)] == [200, 429]
        time.sleep(1)
        assert post(client, server, order(2)).status_code == 200
        assert (bucket.early, bucket.refused, server.charges) == ([], 1, 2)


def test_token_bucket_books_another_order_that_ignores_the_shared_pace(client):
    bucket = faults.TokenBucket(ok(), per_second=1, burst=1, retry_after=30)
    with HostileServer(bucket) as server:
        for seed in (1, 2):
            post(client, server, order(seed))
        time.sleep(1.1)
        assert post(client, server, order(3)).status_code == 200
        assert len(bucket.early) == 1


# Deliveries.


def test_cut_short_announces_more_than_it_sends(client):
    with HostileServer([delivery.cut_short(ok(), 0.5), delivery.cut_short(ok(), 10)]) as server:
        for _ in range(2):
            with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
                post(client, server)
        with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as conn:
            conn.request("POST", PATH, order())
            with pytest.raises(http.client.IncompleteRead) as cut:
                conn.getresponse().read()
        assert len(cut.value.partial) == 10
        assert server.charges == 3


def test_chunks_without_the_last_one_are_incomplete(client):
    with HostileServer([delivery.chunked(ok()), delivery.chunked(ok(), last_chunk=False)]) as server:
        assert post(client, server).json()["status_code"] == 200
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            post(client, server)
        assert server.charges == 2


def test_without_a_length_a_cut_body_looks_complete(client):
    with HostileServer([delivery.unframed(ok()), delivery.unframed(ok(), 0.5)]) as server:
        whole = post(client, server)
        cut = post(client, server)
        assert "Content-Length" not in whole.headers
        assert whole.content.startswith(cut.content)
        assert 0 < len(cut.content) < len(whole.content)


@pytest.mark.soak
def test_dribbled_outlives_every_read_timeout(client):
    with HostileServer(delivery.dribbled(ok(), interval=0.01)) as server:
        started = time.monotonic()
        assert post(client, server, timeout=(30, 1.5)).json()["status_code"] == 200
        assert time.monotonic() - started > 1.5


def test_sliced_arrives_whole(client):
    with HostileServer(delivery.sliced(ok())) as server:
        assert post(client, server).json()["status_code"] == 200
        with plain(server) as conn:
            conn.sendall(wire(order()))
            assert len(conn.recv(1 << 16)) < 100


def test_slow_has_latency_and_a_bandwidth_both_ways(client):
    with HostileServer(delivery.slow(ok(), latency=0.3, jitter=0.1, bandwidth=200_000)) as server:
        started = time.monotonic()
        assert post(client, server, order(filler=50_000)).status_code == 200
        assert 0.2 + 0.25 < time.monotonic() - started < 30


def test_kept_alive_serves_again_and_hangs_up_when_idle():
    with HostileServer(delivery.kept_alive(ok(), idle=0.2)) as server:
        with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as conn:
            for _ in range(2):
                conn.request("POST", PATH, order())
                answer = conn.getresponse()
                assert (answer.getheader("Connection"), answer.status) == ("keep-alive", 200)
                answer.read()
            assert [request.connection for request in server.requests] == [1, 1]
            assert conn.sock.recv(1) == b""
        assert (server.connections, server.hits) == (1, 2)


def test_a_second_request_on_a_kept_connection_can_be_made_a_trap():
    with HostileServer([delivery.kept_alive(ok(), idle=5), faults.reset_after(1)]) as server:
        with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as conn:
            conn.request("POST", PATH, order())
            conn.getresponse().read()

            def again() -> None:  # the reset may be seen while sending or while reading, as it happens
                conn.request("POST", PATH, order())
                conn.getresponse()

            with pytest.raises(ConnectionError):
                again()
        assert server.charges == 1


def test_interim_answers_come_first():
    with HostileServer(delivery.announced(ok(), 100, 103, 102)) as server, plain(server) as conn:
        conn.sendall(wire(order()))
        lines = [line for line in everything(conn).split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
        assert [line.split()[1] for line in lines] == [b"100", b"103", b"102", b"200"]


def test_interim_answers_without_end_hold_a_naive_client_for_ever(client):
    with HostileServer(delivery.announced(ok(), 100, forever=True)) as server, plain(server) as conn:
        conn.sendall(wire(order()))
        seen = b""
        while seen.count(b"HTTP/1.1 100") < 5:
            seen += conn.recv(1 << 16)
        assert b"200 OK" not in seen


@pytest.mark.parametrize(("declared", "header"), [(-1, "5000000"), (None, None), (5_000_001, "5000001")])
def test_big_body_may_be_honest_silent_or_lying(client, declared, header):
    with HostileServer(delivery.big_body(5_000_000, declared=declared)) as server:
        answer = post(client, server, stream=True)
        assert answer.headers.get("Content-Length") == header
        if header == "5000001":
            with pytest.raises(requests.exceptions.ChunkedEncodingError):
                _ = answer.content
        else:
            assert len(answer.content) == 5_000_000
        answer.close()


@pytest.mark.parametrize("layers", [1, 2])
def test_gzip_bomb_is_small_outside_and_large_inside(client, layers):
    with HostileServer(delivery.gzip_bomb(1 << 24, layers=layers, body=b"{}")) as server:
        answer = post(client, server)
        assert len(answer.content) == (1 << 24) + 2
        assert answer.json() == {}
        assert int(answer.headers["Content-Length"]) < 20_000


def test_header_bombs_are_too_many_or_too_long(client):
    bombs = [delivery.header_bomb(ok(), count=101), delivery.header_bomb(ok(), count=1, size=70_000)]
    with HostileServer(bombs) as server:
        with pytest.raises(requests.ConnectionError, match="got more than 100 headers"):
            post(client, server)
        with pytest.raises(requests.ConnectionError, match="when reading header line"):
            post(client, server)
        assert server.charges == 2


# Answers.


def test_two_orders_get_two_pictures_and_one_order_always_the_same(client):
    with HostileServer(ok()) as server:
        first, second, again = (post(client, server, order(seed)).json()["body"] for seed in (1, 2, 1))
        assert first == again != second


def test_echo_gives_back_what_was_sent(client):
    with HostileServer(answers.echo()) as server:
        assert post(client, server).json()["body"] == json.loads(order())["product_image"]


@pytest.mark.parametrize("case", answers.CASES, ids=lambda case: case.name)
def test_each_wrong_answer_arrives_complete_and_is_billed(client, case):
    with HostileServer(case.answer) as server:
        answer = post(client, server)
        assert (answer.status_code, len(answer.content)) == (200, int(answer.headers["Content-Length"]))
        assert server.charges == 1


def test_the_corpus_is_what_it_says(client):
    named = {case.answer.name: case for case in answers.CASES}
    assert len(named) == len(answers.CASES)

    def body(name: str) -> Any:
        with HostileServer(named[name].answer) as server:
            return post(client, server).json()["body"]

    def picture(name: str) -> Image.Image:
        return Image.open(io.BytesIO(base64.b64decode(body(name))))

    assert set(body("URL-safe alphabet")) & set("-_")
    assert len(body("missing padding")) % 4
    assert "\n" in body("line breaks")
    assert getattr(picture("animated"), "n_frames", 1) == 2
    assert picture("transparent").convert("RGBA").getchannel("A").getextrema() == (0, 0)
    assert picture("smaller").size == (32, 24)
    with pytest.raises(OSError, match=r"truncated|Truncated|broken"):
        picture("truncated PNG").load()
    with pytest.raises(Image.DecompressionBombError):
        picture("PNG bomb")
    with HostileServer(named["depth 100,000"].answer) as server, pytest.raises(RecursionError):
        json.loads(post(client, server).content)


# Places.


def test_a_closed_port_refuses(client):
    with places.closed_port() as port, pytest.raises(requests.ConnectionError) as refused:
        client.post(f"http://127.0.0.1:{port}{PATH}", data=order(), timeout=30)
    assert isinstance(refused.value.args[0].reason, urllib3.exceptions.NewConnectionError)


def test_a_full_backlog_lets_connecting_time_out(client):
    with places.full_backlog() as port, pytest.raises(requests.ConnectTimeout):
        client.post(f"http://127.0.0.1:{port}{PATH}", data=order(), timeout=(0.3, 30))


def test_an_unknown_host_does_not_resolve(client):
    with pytest.raises(requests.ConnectionError) as unknown:
        client.post(places.UNKNOWN_HOST, data=order(), timeout=30)
    assert isinstance(unknown.value.args[0].reason, urllib3.exceptions.NameResolutionError)


@pytest.mark.parametrize("code", [407, 403])
def test_a_proxy_can_refuse_connect(client, code):
    with HostileServer(faults.status(code)) as proxy:
        proxies = {"https": f"http://127.0.0.1:{proxy.port}"}
        with pytest.raises(requests.exceptions.ProxyError, match=str(code)):
            client.post("https://api.example.invalid/", data=order(), headers=KEY, proxies=proxies, timeout=30)
        assert [(request.method, request.target) for request in proxy.requests] == [
            ("CONNECT", "api.example.invalid:443")
        ]
        assert proxy.charges == 0
        assert not proxy.received(b"pt-canary")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> places.Certificates:
    return places.Certificates(tmp_path_factory.mktemp("tls"))


def test_good_tls_is_trusted(client, certificates):
    with HostileServer(ok(), tls=certificates.good) as server:
        assert post(client, server, verify=str(certificates.authority)).status_code == 200
        assert (server.charges, server.handshakes_failed) == (1, 0)


@pytest.mark.parametrize(
    ("which", "reason"),
    [
        ("unknown_authority", "unable to get local issuer|self.signed"),
        ("wrong_host", "IP address mismatch"),
        ("expired", "certificate has expired"),
    ],
)
def test_bad_certificates_are_refused_before_the_key_is_sent(client, certificates, which, reason):
    with HostileServer(ok(), tls=getattr(certificates, which)) as server:
        with pytest.raises(requests.exceptions.SSLError, match=reason):
            post(client, server, verify=str(certificates.authority))
        server.settle()
        assert (server.connections, server.hits, server.charges) == (1, 0, 0)
        assert not server.received(b"pt-canary")


def test_faults_work_under_tls_too(client, certificates):
    with HostileServer([faults.reset_after_reading(), ok()], tls=certificates.good) as server:
        with pytest.raises(requests.ConnectionError):
            post(client, server, verify=str(certificates.authority))
        assert post(client, server, verify=str(certificates.authority)).status_code == 200
        assert server.charges == 2


def test_a_handshake_is_cut_half_way(certificates):
    with HostileServer([places.half_handshake(certificates.good), faults.drop_after(20)]) as server:
        context = ssl.create_default_context(cafile=certificates.authority)
        for _ in range(2):
            with plain(server) as conn, pytest.raises((ssl.SSLEOFError, ConnectionResetError, ssl.SSLError)):
                context.wrap_socket(conn, server_hostname="127.0.0.1")
        with plain(server) as conn:
            hello = b"\x16\x03\x01" + struct.pack(">H", 5) + b"\x01\x00\x00\x01\x00"
            conn.sendall(hello * 4)
            assert select.select([conn], [], [], 5)[0]
        server.settle()
        assert (server.hits, server.charges) == (0, 0)
