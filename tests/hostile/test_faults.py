"""F1 to F17 of the list of faults, each through the real command line and the orders on disk.

Per row: what the server may have billed, the state on disk, what happens by itself, what the user reads, and what a
plain second run does. A few orders each; fifty with the marker `soak`. Eight workers.
"""

import re
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest

from photio_prep.orders.state import State
from tests.support.batches import WORKERS, Plan, configure, planner, surroundings
from tests.support.commands import KEY, here
from tests.support.hostile import PATH, HostileServer
from tests.support.hostile_answers import ok
from tests.support.hostile_delivery import chunked, cut_short, dribbled, kept_alive, sliced, slow
from tests.support.hostile_exchange import Behaviour
from tests.support.hostile_faults import (
    close_after_reading,
    never_answer,
    never_read,
    reset_after,
    reset_after_reading,
    status,
)
from tests.support.hostile_places import Certificates, closed_port, full_backlog, half_handshake


@pytest.fixture(params=[3, pytest.param(50, marks=pytest.mark.soak)])
def count(request: pytest.FixtureRequest) -> int:
    """How many orders."""
    return int(request.param)


@pytest.fixture
def plan(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Plan:
    surroundings(monkeypatch, tmp_path)
    return planner(here(capsys, monkeypatch), tmp_path / "out")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


# Not sent.


def test_f1_a_name_that_does_not_resolve_is_tried_four_times(plan: Plan, monkeypatch: pytest.MonkeyPatch, count: int):
    asked = []

    def stub(host: str, *rest: object, **more: object) -> list[object]:
        asked.append(host)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    with HostileServer(ok()) as server:
        batch = plan(f"http://localhost:{server.port}{PATH}", count)
        with monkeypatch.context() as patch:
            patch.setattr(socket, "getaddrinfo", stub)
            batch.not_sent("Temporary failure in name resolution", "4 tries")
        assert 4 <= len(asked) <= 4 * WORKERS
        assert set(asked) == {"localhost"}
        assert server.connections == 0
        batch.goes_on(server)


def test_f2_a_refused_connection_goes_on_when_the_port_opens(plan: Plan, count: int):
    with closed_port() as port:
        batch = plan(f"http://127.0.0.1:{port}{PATH}", count)
        batch.not_sent("refused", "4 tries")
        with HostileServer(ok(), port=port) as server:
            batch.goes_on(server)


def test_f3_a_connect_timeout_goes_on_when_the_port_opens(plan: Plan, tmp_path: Path, count: int):
    configure(tmp_path, connect=0.15)
    with full_backlog() as port:
        batch = plan(f"http://127.0.0.1:{port}{PATH}", count)
        start = time.monotonic()
        batch.not_sent("timed out", "4 tries")
        assert time.monotonic() - start >= 4 * 0.15
    configure(tmp_path)
    with HostileServer(ok(), port=port) as server:
        batch.goes_on(server)


@pytest.mark.parametrize(
    ("kind", "cause"),
    [("unknown_authority", "local issuer"), ("wrong_host", "'127.0.0.1'"), ("expired", "expired")],
)
def test_f4_a_certificate_that_is_not_trusted_stops_the_batch_and_the_key_stays(
    plan: Plan, certificates: Certificates, monkeypatch: pytest.MonkeyPatch, kind: str, cause: str, count: int
):
    monkeypatch.setenv("PHOTIO_CA_BUNDLE", str(certificates.authority))
    with HostileServer(ok(), tls=getattr(certificates, kind)) as server:
        batch = plan(server.url, count)
        replace(batch, workers=1).not_sent("certificate", cause, "1 tries")
        assert server.connections == 1
        batch.not_sent("certificate", cause, "1 tries")
        server.settle()
        assert server.connections <= 1 + WORKERS  # those that were on their way together; none twice
        assert server.hits == 0
        assert not server.received(KEY.encode())
    with HostileServer(ok(), tls=certificates.good, port=server.port) as mended:
        batch.goes_on(mended)


def test_f5_half_a_handshake_is_tried_four_times(
    plan: Plan, certificates: Certificates, monkeypatch: pytest.MonkeyPatch, count: int
):
    monkeypatch.setenv("PHOTIO_CA_BUNDLE", str(certificates.authority))
    with HostileServer(half_handshake(certificates.good)) as server:
        batch = plan(server.url_as("https"), count)
        batch.not_sent("4 tries")
        server.settle()
        assert 4 <= server.connections <= 4 * WORKERS
        assert server.hits == 0
        assert not server.received(KEY.encode())
    with HostileServer(ok(), tls=certificates.good, port=server.port) as mended:
        batch.goes_on(mended)


@pytest.mark.parametrize("code", [407, 403])
def test_f6_a_proxy_that_refuses_is_a_matter_of_settings(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, code: int, count: int
):
    with HostileServer(status(code)) as proxy:
        monkeypatch.setenv("PHOTIO_PROXY", f"http://me:hidden@127.0.0.1:{proxy.port}")
        batch = plan(f"https://api.photio.invalid{PATH}", count)
        replace(batch, workers=1).not_sent(str(code), "PHOTIO_PROXY", code=2)
        assert proxy.connections == 1  # the others would hear the same
        batch.not_sent(str(code), "PHOTIO_PROXY", code=2)
        assert proxy.connections <= 1 + WORKERS
        assert {each.method for each in proxy.requests} == {"CONNECT"}
        assert not proxy.received(KEY.encode())


@pytest.mark.parametrize("address", ["ftp://127.0.0.1:9", "http://", "http://[::1", "socks5://127.0.0.1:9"])
def test_f6_a_proxy_s_address_that_cannot_be_used_is_a_matter_of_settings(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, address: str
):
    monkeypatch.setenv("PHOTIO_PROXY", address)
    plan(f"https://api.photio.invalid{PATH}", 2).not_sent("PHOTIO_PROXY", code=2)


def test_f6_a_missing_file_of_certificates_is_a_matter_of_settings(plan: Plan, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PHOTIO_CA_BUNDLE", "/nowhere/ca.pem")
    with HostileServer(ok()) as server:
        said = plan(server.url, 2).generate()
        assert (said.code, server.connections) == (2, 0)
    assert "/nowhere/ca.pem" in said.err


def test_a_proxy_is_used_for_https_only_and_the_key_goes_through_it_unread(
    plan: Plan, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
):
    """Plain http is for this machine alone; through a proxy the key would travel in the clear."""
    with HostileServer(status(403)) as proxy, HostileServer(ok()) as server:
        monkeypatch.setenv("PHOTIO_PROXY", f"http://127.0.0.1:{proxy.port}")
        plan(server.url, 2).goes_on(server)
        assert proxy.connections == 0


def test_the_environment_s_proxies_and_netrc_are_not_obeyed(
    plan: Plan, tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password hidden\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PHOTIO_CA_BUNDLE", str(certificates.authority))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    with closed_port() as port, HostileServer(ok(), tls=certificates.good) as server:
        for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        plan(server.url, 2).goes_on(server)
        for each in server.requests:
            assert each.header("Authorization") is each.header("Proxy-Authorization") is each.header("Cookie") is None


# Sent, and no whole answer.


@pytest.mark.soak
def test_f7_a_reset_while_the_picture_is_sent_says_how_far_it_got(plan: Plan, count: int):
    with HostileServer(reset_after(20_000), receive_buffer=8192, keep_bodies=False) as server:
        told = plan(server.url, count, big=True).all_unknown(server, r"\d+ of \d+ bytes were sent", charges=0)
    for sent, whole in re.findall(r"(\d+) of (\d+) bytes were sent", told):
        assert 0 < int(sent) < int(whole)


@pytest.mark.soak
def test_f8_a_write_that_stalls_is_unknown(plan: Plan, tmp_path: Path, count: int):
    configure(tmp_path, write=0.4)
    with HostileServer(never_read(), receive_buffer=4096) as server:
        batch = plan(server.url, count, big=True)
        start = time.monotonic()
        batch.all_unknown(server, r"\d+ of \d+ bytes were sent", charges=0)
        assert time.monotonic() - start >= 0.4


LOST = {
    "F9_read_all_then_close": (close_after_reading(), "bytes were sent, then", False),
    "F10_read_all_then_reset": (reset_after_reading(), "bytes were sent, then", False),
    "F12_a_body_cut_short": (cut_short(ok()), "bytes of an answer came, then", True),
    "F12_a_body_cut_at_its_last_byte": (cut_short(ok(), 0.999), "bytes of an answer came, then", True),
    "F12_a_body_of_nothing": (cut_short(ok(), 0), "HTTP 200, 0 bytes of an answer came, then", False),
    "F13_no_final_chunk": (chunked(ok(), last_chunk=False), "bytes of an answer came, then", True),
}


@pytest.mark.parametrize("row", LOST)
def test_f9_f10_f12_f13_a_lost_answer_is_unknown_and_what_came_of_it_is_kept(plan: Plan, row: str, count: int):
    behaviour, word, part = LOST[row]
    with HostileServer(behaviour) as server:
        batch = plan(server.url, count)
        batch.all_unknown(server, word, charges=1, part=part)
    for each in batch.parts:
        assert each.read_bytes().startswith(b'{"status_code": 200, "body": "')


def test_f11_silence_is_unknown_after_the_read_timeout(plan: Plan, tmp_path: Path, count: int):
    configure(tmp_path, read=0.3)
    with HostileServer(never_answer()) as server:
        batch = plan(server.url, count)
        start = time.monotonic()
        batch.all_unknown(server, "bytes were sent, then .*timed out", charges=1)
        assert time.monotonic() - start >= 0.3


def test_f14_a_byte_at_a_time_ends_at_the_deadline(plan: Plan, tmp_path: Path, count: int):
    configure(tmp_path, read=5.0, overall=0.8)
    with HostileServer(dribbled(ok(), interval=0.05)) as server:
        batch = plan(server.url, count)
        start = time.monotonic()
        batch.all_unknown(server, "within 1 s", charges=1)
        assert 0.8 <= time.monotonic() - start < 2.8 * (count // WORKERS + 1) + 20


def test_f9_resolve_as_retry_sends_once_more_and_as_lost_never(plan: Plan):
    def script(n: int, exchange: object) -> Behaviour:
        return close_after_reading() if n <= 2 else ok()

    with HostileServer(script) as server:
        batch = plan(server.url, 2)
        assert batch.generate().code == 4
        again, lost = batch.folders
        assert batch.run("resolve", again, "--as", "retry").code == 0
        assert batch.run("resolve", lost, "--as", "lost").code == 0
        assert batch.generate().code == 4  # the lost one is named, and not sent
        assert batch.states == {State.ANSWERED: 1, State.UNKNOWN: 1}
        assert sorted(server.charges_by_body.values()) == [1, 2]
        assert "perhaps billed: 2" in batch.run("status", batch.out).err


# However it comes, a whole answer is an answer.


@pytest.mark.parametrize("row", ["F15_slices_of_one_byte", "F16_a_slow_line"])
def test_f15_f16_a_whole_answer_is_finished_however_it_comes(plan: Plan, row: str, count: int):
    real = slow(ok(), latency=5, jitter=3, bandwidth=50_000) if count > 10 else slow(ok(), latency=0.4, jitter=0.2)
    with HostileServer(sliced(ok()) if row.startswith("F15") else real) as server:
        batch = plan(server.url, count)
        batch.goes_on(server)
        assert batch.run("finish", batch.out).code == 0
        assert batch.states == {State.FINISHED: count}
        assert batch.generate().code == 0
        assert server.connections == count


@pytest.mark.soak
def test_f17_a_server_that_closes_idle_connections_leaves_no_unknown(plan: Plan):
    posts = 300
    with HostileServer(kept_alive(ok(), idle=0.01), keep_bodies=False) as server:
        batch = plan(server.url, posts)
        batch.goes_on(server)
        assert server.connections == posts  # none was used twice, so none could be found closed
