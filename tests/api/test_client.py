"""One paid call over real sockets: which of the five classes, by what evidence, and never a second charge."""

import base64
import gc
import io
import json
import logging
import pickle
import threading
import time
import traceback
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from photio_prep.api import retry
from photio_prep.api.client import InstantClient
from photio_prep.api.credentials import API_URL, check_url
from photio_prep.api.retry import RateLimiter
from photio_prep.errors import (
    ApiUnavailable,
    Interrupted,
    KeyRefused,
    OutcomeUnknown,
    PaidUnusable,
    PhotioError,
    Rejected,
    UsageError,
)
from photio_prep.sandbox import FAULTS, Sandbox, fingerprint
from photio_prep.system.deadline import Timeouts
from tests.support.fakes import TellingKeep
from tests.support.hostile import PATH, HostileServer
from tests.support.hostile_answers import CASES, Case, echo, ok, verbatim, with_code
from tests.support.hostile_delivery import announced, chunked, cut_short, dribbled, kept_alive, sliced, unframed
from tests.support.hostile_exchange import Behaviour
from tests.support.hostile_faults import (
    before_reading,
    busy,
    busy_until,
    close_after_reading,
    close_at_once,
    never_answer,
    never_read,
    redirect,
    reset_after,
    reset_after_reading,
    status,
)
from tests.support.hostile_places import UNKNOWN_HOST, Certificates, closed_port, full_backlog, half_handshake
from tests.support.photos import request

KEY = "pt-canary-5c1e77b0a9d4"
QUICK = Timeouts(connect=2, write=2, read=2, overall=4)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The back-off between tries of what was never sent; its real length is a matter of retry's own tests."""
    monkeypatch.setattr(retry, "_FIRST_WAIT", 0.01)
    monkeypatch.setattr(retry, "_LAST_WAIT", 0.02)


def client(url: str, timeouts: Timeouts = QUICK, **options: Any) -> InstantClient:
    return InstantClient(KEY, api_url=url, timeouts=timeouts, **options)


def failure(sender: InstantClient, keep: TellingKeep | None = None) -> PhotioError:
    """What one send of one order ends with."""
    with pytest.raises(PhotioError) as caught:
        sender.send(request(), keep)
    return caught.value


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


# Success, and what is sent.


def test_what_is_sent_is_the_api_s_own_wire_format():
    asked = request(seed=4_294_967_296, negative_prompt="text")
    with HostileServer(echo()) as server:
        result = client(server.url).send(asked)
    (sent,) = server.requests
    assert (sent.method, sent.target) == ("POST", PATH)
    assert sent.header("X-Photio-Key") == KEY
    assert sent.header("Content-Type") == "application/json"
    assert sent.header("Content-Length") == str(len(sent.body))
    assert sent.header("Authorization") is None
    assert sent.header("Cookie") is None
    assert sent.header("Transfer-Encoding") is None
    assert sent.json() == {
        "product_description": asked.description,
        "seed": 4_294_967_296,
        "negative_prompt": "text",
        "product_image": base64.b64encode(asked.canvas.png).decode(),
    }
    assert result.image.size == (48, 32)
    assert result.image.mode == "RGB"
    assert result.placement == asked.canvas.placement


def test_an_unset_negative_prompt_is_left_out():
    with HostileServer(ok()) as server:
        client(server.url).send(request())
    assert b"negative_prompt" not in server.requests[0].body


def test_the_raw_answer_is_kept_and_committed_before_it_is_parsed():
    keep = TellingKeep()
    with HostileServer(verbatim("no picture", b'{"status_code": 200, "body": "bm8="}')) as server:
        found = failure(client(server.url), keep)
    assert isinstance(found, PaidUnusable)
    assert keep.told[-1] == "commit"
    assert keep.told.count("commit") == 1
    assert bytes(keep.raw) == b'{"status_code": 200, "body": "bm8="}'


def test_a_good_answer_is_kept_byte_for_byte():
    keep = TellingKeep()
    with HostileServer(ok()) as server:
        result = client(server.url).send(request(), keep)
    assert bytes(keep.raw) == result.raw
    assert keep.told[-1] == "commit"


class _FullKeep:
    """A keep on a disk that is full at the first byte."""

    def write(self, chunk: bytes, /) -> None:
        raise PhotioError("the disk is full")

    def commit(self) -> None:
        raise AssertionError("nothing was written, and yet it was committed")


def test_what_the_keep_says_is_not_taken_for_the_network_s_word():
    with HostileServer(ok()) as server, pytest.raises(PhotioError, match="the disk is full"):
        client(server.url).send(request(), _FullKeep())
    assert server.hits == 1


def test_an_empty_description_is_never_sent():
    with HostileServer(ok()) as server, pytest.raises(UsageError, match="description"):
        client(server.url).send(request(description=""))
    assert server.connections == 0


# N: not sent.


def test_a_closed_port_is_not_sent_and_tried_four_times():
    with closed_port() as port:
        found = failure(client(f"http://127.0.0.1:{port}{PATH}"))
    assert isinstance(found, ApiUnavailable)
    assert "4 tries" in found.problem
    assert "refused" in found.problem
    assert "nothing billed" in found.problem


def test_a_port_that_opens_meanwhile_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(retry, "_FIRST_WAIT", 1)  # three waits: time enough to open the port on a busy machine
    monkeypatch.setattr(retry, "_LAST_WAIT", 1)
    found: list[object] = []
    with closed_port() as port:
        url = f"http://127.0.0.1:{port}{PATH}"
        sending = threading.Thread(target=lambda: found.append(client(url).send(request())))
        sending.start()
        time.sleep(0.2)
        with HostileServer(ok(), port=port) as server:
            sending.join()
    assert len(found) == 1
    assert server.charges == 1


def test_a_connect_timeout_is_not_sent():
    with full_backlog() as port:
        found = failure(client(f"http://127.0.0.1:{port}{PATH}", Timeouts(connect=0.1, write=2, read=2, overall=4)))
    assert isinstance(found, ApiUnavailable)
    assert "timed out" in found.problem
    assert "4 tries" in found.problem


def test_an_unknown_host_is_not_sent():
    found = failure(client(UNKNOWN_HOST.replace("http:", "https:")))
    assert isinstance(found, ApiUnavailable)
    assert "nothing billed" in found.problem


@pytest.mark.parametrize(
    ("kind", "cause"), [("unknown_authority", "certificate"), ("wrong_host", "127.0.0.1"), ("expired", "expired")]
)
def test_a_certificate_that_is_not_trusted_is_final_and_the_key_never_leaves(
    certificates: Certificates, kind: str, cause: str
):
    with HostileServer(ok(), tls=getattr(certificates, kind)) as server:
        found = failure(client(server.url, ca_bundle=str(certificates.authority)))
        server.settle()
        assert server.connections == 1  # not tried again
        assert server.hits == 0
        assert not server.received(KEY.encode())
    assert isinstance(found, ApiUnavailable)
    assert cause in found.problem
    assert "1 tries" in found.problem


def test_a_trusted_certificate_is_enough(certificates: Certificates):
    with HostileServer(ok(), tls=certificates.good) as server:
        assert client(server.url, ca_bundle=str(certificates.authority)).send(request()).image.size == (48, 32)
        assert server.charges == 1


def test_half_a_handshake_is_not_sent_and_tried_again(certificates: Certificates):
    with HostileServer(half_handshake(certificates.good)) as server:
        found = failure(client(server.url_as("https"), ca_bundle=str(certificates.authority)))
        server.settle()
        assert server.connections == 4
        assert not server.received(KEY.encode())
    assert isinstance(found, ApiUnavailable)


def test_a_handshake_that_never_ends_is_not_sent():
    with HostileServer(never_read()) as server:
        patience = Timeouts(connect=0.2, write=2, read=2, overall=4)
        found = failure(client(server.url_as("https"), patience))
        assert not server.received(KEY.encode())
    assert isinstance(found, ApiUnavailable)


@pytest.mark.parametrize("code", [407, 403])
def test_a_proxy_that_refuses_is_final(code: int):
    with HostileServer(status(code)) as proxy:
        found = failure(client("https://api.photio.invalid" + PATH, proxy=f"http://127.0.0.1:{proxy.port}"))
        assert proxy.connections == 1
        assert proxy.requests[0].method == "CONNECT"
        assert not proxy.received(KEY.encode())
    assert isinstance(found, UsageError)
    assert str(code) in found.problem


def test_a_proxy_that_is_not_there_is_not_sent():
    with closed_port() as port:
        found = failure(client("https://api.photio.invalid" + PATH, proxy=f"http://127.0.0.1:{port}"))
    assert isinstance(found, ApiUnavailable)
    assert "4 tries" in found.problem


def test_proxies_and_netrc_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "nothing.pem"))
    with closed_port() as port, HostileServer(ok()) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        client(server.url).send(request())
    assert server.requests[0].header("Authorization") is None
    assert server.requests[0].header("Proxy-Authorization") is None


# U: unknown. Never sent again.

FAULTY: list[tuple[Behaviour, int]] = [
    (close_after_reading(), 1),
    (reset_after_reading(), 1),
    (cut_short(ok()), 1),
    (cut_short(ok(), 0.999), 1),
    (cut_short(ok(), 0), 1),
    (chunked(ok(), last_chunk=False), 1),
    (unframed(ok(), 0.5), 1),
    (verbatim("empty", b""), 1),
    (status(500, b'{"status_code": 500, "body": "out of memory"}'), 1),
    (status(502), 1),
    (status(503), 1),
    (status(504), 1),
    (status(408), 1),
    (status(409), 1),
    (status(201), 1),
    (status(418), 1),
    (announced(status(500), 100), 1),
]


@pytest.mark.parametrize(("behaviour", "charges"), FAULTY, ids=lambda each: getattr(each, "name", ""))
def test_what_is_no_whole_answer_is_unknown_and_never_sent_again(behaviour: Behaviour, charges: int):
    keep = TellingKeep()
    with HostileServer([behaviour, ok()]) as server:
        found = failure(client(server.url), keep)
        server.settle()
        assert server.connections == 1
        assert server.charges == charges
    assert isinstance(found, OutcomeUnknown)
    assert "not sent again automatically" in found.fix


@pytest.mark.parametrize("behaviour", [cut_short(ok()), chunked(ok(), last_chunk=False)], ids=lambda each: each.name)
def test_a_cut_answer_is_kept_as_far_as_it_came_and_not_committed(behaviour: Behaviour):
    keep = TellingKeep()
    with HostileServer(behaviour) as server:
        found = failure(client(server.url), keep)
    assert isinstance(found, OutcomeUnknown)
    assert "commit" not in keep.told
    assert bytes(keep.raw).startswith(b'{"status_code": 200')
    assert f"{len(keep.raw)} bytes of an answer came" in found.problem


def test_a_server_that_hangs_up_before_reading_leaves_an_unknown():
    with HostileServer([close_at_once(), ok()]) as server:
        found = failure(client(server.url))
        server.settle()
        assert server.connections == 1
    assert isinstance(found, OutcomeUnknown)


def big(pixels: int = 900) -> object:
    """A request of some MB, so that it cannot vanish into the kernel's buffers."""
    import numpy as np
    from PIL import Image

    from photio_prep.geometry import Size, place
    from photio_prep.imaging.encode import encode_png
    from photio_prep.types import Canvas, Request

    noise = np.random.default_rng(1).integers(0, 255, (pixels, pixels, 4), np.uint8)
    whole = Size(pixels, pixels)
    return Request(Canvas(encode_png(Image.fromarray(noise)), place(whole, whole)), "on marble", 1)


def test_a_reset_while_sending_is_unknown_and_says_how_far_it_got():
    with HostileServer([reset_after(20_000), ok()], receive_buffer=8192) as server:
        with pytest.raises(OutcomeUnknown, match=r"\d+ of \d+ bytes were sent") as caught:
            client(server.url).send(big())  # type: ignore[arg-type]
        server.settle()
        assert server.connections == 1
        assert server.charges == 0
    sent, whole = (int(each) for each in caught.value.problem.split(" bytes")[0].split(" of "))
    assert 0 < sent < whole


def test_a_write_that_stalls_is_unknown():
    with HostileServer(never_read(), receive_buffer=4096) as server:
        with pytest.raises(OutcomeUnknown, match="bytes were sent"):
            client(server.url, Timeouts(connect=2, write=0.3, read=9, overall=30)).send(big())  # type: ignore[arg-type]
        assert server.connections == 1


def test_silence_is_unknown_after_the_read_timeout():
    with HostileServer(never_answer()) as server:
        found = failure(client(server.url, Timeouts(connect=2, write=2, read=0.3, overall=30)))
        server.settle()
        assert server.charges == 1
        assert server.connections == 1
    assert isinstance(found, OutcomeUnknown)


@pytest.mark.parametrize("tls", [False, True])
def test_a_trickle_is_cut_at_the_overall_deadline(certificates: Certificates, tls: bool):
    start = time.monotonic()
    with HostileServer(dribbled(ok(), interval=0.05), tls=certificates.good if tls else None) as server:
        found = failure(
            client(server.url, Timeouts(connect=2, write=2, read=2, overall=0.6), ca_bundle=str(certificates.authority))
        )
        assert server.connections == 1
        assert server.charges == 1
    assert isinstance(found, OutcomeUnknown)
    assert "within 1 s" in found.problem
    assert 0.5 < time.monotonic() - start < 20


def test_endless_interim_answers_are_cut_at_the_overall_deadline():
    with HostileServer(announced(ok(), 100, forever=True)) as server:
        found = failure(client(server.url, Timeouts(connect=2, write=2, read=2, overall=0.5)))
        assert server.charges == 1
    assert isinstance(found, OutcomeUnknown)


def test_an_early_hint_that_nobody_asked_for_hides_the_answer_and_is_unknown():
    """http.client takes every 1xx but 100 for the answer itself; what comes after it is lost, never sent for again."""
    with HostileServer([announced(ok(), 103), ok()]) as server:
        assert isinstance(failure(client(server.url)), OutcomeUnknown)
        assert (server.connections, server.charges) == (1, 1)


def test_a_longer_answer_than_any_sensible_one_is_cut_off(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("photio_prep.api.client.LONGEST_ANSWER", 200_000)
    keep = TellingKeep()
    with HostileServer(verbatim("long", b" " * 2_000_000)) as server:
        found = failure(client(server.url), keep)
    assert isinstance(found, OutcomeUnknown)
    assert "longer" in found.problem
    assert len(keep.raw) < 400_000


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed_and_the_sink_never_sees_the_key(code: int):
    with HostileServer(ok()) as sink, HostileServer(redirect(code, f"http://localhost:{sink.port}{PATH}")) as server:
        found = failure(client(server.url))
        assert (sink.connections, server.connections) == (0, 1)
    assert isinstance(found, OutcomeUnknown)
    assert "'localhost'" in found.problem  # where it wanted to send us


def test_a_redirect_to_nowhere_is_unknown_too():
    with HostileServer(status(302)) as server:
        assert isinstance(failure(client(server.url)), OutcomeUnknown)


# S, however oddly it is delivered.


@pytest.mark.parametrize(
    "behaviour",
    [sliced(ok()), chunked(ok(), step=7), unframed(ok()), announced(ok(), 100, 100), with_code('"200"')],
    ids=lambda each: each.name,
)
def test_a_good_answer_is_taken_however_it_comes(behaviour: Behaviour):
    keep = TellingKeep()
    with HostileServer(behaviour) as server:
        assert client(server.url).send(request(), keep).image.size == (48, 32)
        assert server.charges == 1
    assert keep.told[-1] == "commit"


def test_no_connection_is_ever_used_twice():
    with HostileServer(kept_alive(ok(), idle=0.02)) as server:
        sender = client(server.url)
        for seed in range(1, 21):
            sender.send(request(seed=seed))
            if seed % 5 == 0:
                time.sleep(0.03)  # long enough for the server to close what it promised to keep
        assert server.connections == 20
        assert server.charges == 20
        assert {each.header("Connection") for each in server.requests} == {"close"}


VERDICTS: dict[str, tuple[type[PhotioError] | None, ...]] = {
    "answered": (None,),
    "paid_unusable": (PaidUnusable,),
    "unknown": (OutcomeUnknown,),
    "either": (None, PaidUnusable),
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_wrong_answer_gets_its_verdict_and_is_kept(case: Case):
    keep = TellingKeep()
    found: type[PhotioError] | None = None
    with HostileServer(case.answer) as server:
        try:
            assert client(server.url).send(request(), keep).image.size == (48, 32)
        except PhotioError as error:
            found = type(error)
        assert server.charges == 1
        assert found in VERDICTS[case.verdict]
        assert bytes(keep.raw) == case.answer.make(server.requests[0]).body


# R: refused before any work.


@pytest.mark.parametrize("code", [400, 404, 413, 415, 422])
@pytest.mark.parametrize("before", [False, True])
def test_a_refused_request_is_rejected_at_once(code: int, before: bool):
    refusal = status(code, b'{"body": "no such thing"}')
    keep = TellingKeep()
    with HostileServer([before_reading(refusal) if before else refusal, ok()]) as server:
        found = failure(client(server.url), keep)
        server.settle()
        assert (server.connections, server.charges) == (1, 0)
    assert isinstance(found, Rejected)
    assert f"HTTP {code}" in found.problem
    assert ("--size" in found.fix) == (code == 413)
    assert "commit" not in keep.told


@pytest.mark.parametrize("code", [401, 402, 403])
def test_a_refused_key_is_named_and_not_tried_again(code: int):
    with HostileServer([status(code), ok()]) as server:
        found = failure(client(server.url))
        assert (server.connections, server.charges) == (1, 0)
    assert isinstance(found, KeyRefused)
    assert ("credit" in found.problem) == (code == 402)


def test_a_401_inside_of_a_200_is_a_refused_key():
    with HostileServer(verbatim("401", b'{"status_code": 401, "body": "Unauthorized"}')) as server:
        assert isinstance(failure(client(server.url)), KeyRefused)
        assert server.connections == 1


@pytest.mark.parametrize("code", [429, 503])
def test_busy_is_tried_again_no_earlier_than_asked(code: int):
    with HostileServer([busy(0.4, code=code), busy(0.2, code=code), ok()]) as server:
        client(server.url).send(request())
    first, second, third = server.requests
    assert second.opened - first.at >= 0.35
    assert third.opened - second.at >= 0.15
    assert server.charges == 1


@pytest.mark.soak
def test_a_date_says_when_to_come_back():
    with HostileServer([busy_until(2), ok()]) as server:
        client(server.url).send(request())
    first, second = server.requests
    assert second.opened - first.at >= 0.9  # a date has whole seconds


@pytest.mark.parametrize("header", [None, "soon", "nan", "-3"])
def test_429_without_a_usable_wait_is_tried_again_after_our_own(header: str | None):
    with HostileServer([busy(header), ok()]) as server:
        client(server.url).send(request())
        assert (server.connections, server.charges) == (2, 1)


def test_always_busy_is_tried_five_times():
    with HostileServer(busy(0)) as server:
        found = failure(client(server.url))
        assert (server.connections, server.charges) == (5, 0)
    assert isinstance(found, ApiUnavailable)
    assert "busy" in found.problem


@pytest.mark.parametrize("seconds", [121, 86_400, 10**12])
def test_an_absurd_wait_is_told_and_not_waited(seconds: int):
    with HostileServer(busy(seconds)) as server:
        found = failure(client(server.url))
        assert server.connections == 1
    assert isinstance(found, ApiUnavailable)
    assert f"{seconds} s" in found.fix


class TellingPace(RateLimiter):
    """A pace that tells when it heard of a busy server."""

    def __init__(self) -> None:
        super().__init__()
        self.told = threading.Event()

    def slow_down(self, seconds: float) -> None:
        super().slow_down(seconds)
        self.told.set()


def test_one_pace_for_all_workers():
    with HostileServer(lambda n, _: busy(0.6) if n == 1 else ok()) as server:
        pace = TellingPace()
        sender = client(server.url, pace=pace)
        first = threading.Thread(target=lambda: sender.send(request(seed=1)))
        first.start()
        assert pace.told.wait(60)
        others = [threading.Thread(target=lambda s=seed: sender.send(request(seed=s))) for seed in (2, 3)]
        for each in others:
            each.start()
        for each in (first, *others):
            each.join()
    assert len(server.requests) == 4
    assert min(each.opened for each in server.requests[1:]) - server.requests[0].at >= 0.55


def test_a_busy_server_can_still_lose_the_answer_once():
    with HostileServer([busy(0), close_after_reading(), ok()]) as server:
        found = failure(client(server.url))
        assert (server.connections, server.charges) == (2, 1)
    assert isinstance(found, OutcomeUnknown)


# Stopping.


def test_a_stopped_client_sends_nothing():
    with HostileServer(ok()) as server:
        sender = client(server.url)
        sender.stop()
        assert isinstance(failure(sender), Interrupted)
        assert server.connections == 0


def test_stopping_ends_a_wait_at_once():
    with HostileServer(busy(100)) as server:
        sender = client(server.url)
        found: list[PhotioError] = []
        waiting = threading.Thread(target=lambda: found.append(failure(sender)))
        waiting.start()
        while not server.hits:
            time.sleep(0.005)
        time.sleep(0.1)
        sender.stop()
        waiting.join(30)
        assert not waiting.is_alive()
        assert server.connections == 1
    assert isinstance(found[0], Interrupted)


def test_the_pace_only_ever_grows_longer():
    pace = RateLimiter()
    pace.slow_down(0.3)
    pace.slow_down(0.0)
    start = time.monotonic()
    pace.wait(threading.Event())
    assert time.monotonic() - start >= 0.25


# URLs that a key may be sent to.


@pytest.mark.parametrize(
    "url", [API_URL, "http://localhost:8787/x", "http://127.0.0.1/x", "http://[::1]:80/x", "HTTPS://api.photio.io/x"]
)
def test_https_and_this_machine_are_addresses_for_a_key(url: str):
    assert check_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.photio.io/v1",
        "//api.photio.io/v1",
        "http://api.photio.io/v1",
        "http://10.0.0.1/",
        "http://127.0.0.1.evil.example/",
        "http://localhost@evil.example/",
        "http://127.0.0.1@evil.example/",
        "https://me:secret@api.photio.io/v1",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "https://",
        "https:///v1",
        "https://host:port/",
        "https://host:99999/",
        "https://[::1/",
    ],
)
def test_other_addresses_are_refused_before_any_connection(url: str):
    with pytest.raises(UsageError, match="the key must not be sent to"):
        InstantClient(KEY, api_url=url)


# The key.


def spellings(key: str) -> Iterator[str]:
    yield key
    yield urllib.parse.quote(key, safe="")
    yield base64.b64encode(key.encode()).decode().rstrip("=")
    yield key.encode().hex()


def assert_absent(text: str, key: str = KEY) -> None:
    for each in spellings(key):
        assert each.lower() not in text.lower()


HOSTILE: dict[str, Callable[[], Behaviour]] = {
    "ok": ok,
    "401": lambda: status(401, json.dumps({"body": f"bad key {KEY}"}).encode()),
    "500 with the key": lambda: status(500, f"{KEY} {urllib.parse.quote(KEY)} {KEY.encode().hex()}".encode()),
    "500 with the key in base64": lambda: status(500, base64.b64encode(b"x" + KEY.encode())),
    "200 with the key": lambda: verbatim("key", json.dumps({"status_code": 500, "body": f"no, {KEY}"})),
    "no JSON, the key": lambda: verbatim("key", KEY),
    "redirect with the key": lambda: redirect(302, f"https://{KEY}.example/{KEY}"),
    "close": close_after_reading,
    "reset": reset_after_reading,
    "cut": lambda: cut_short(ok()),
    "busy": lambda: busy(0),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_the_key_is_in_no_log_no_repr_no_traceback(
    name: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
):
    caplog.set_level(logging.DEBUG)
    for logger in ("urllib3", "requests", "urllib3.connectionpool", ""):
        logging.getLogger(logger).setLevel(logging.DEBUG)
    with HostileServer(HOSTILE[name]()) as server:
        sender = client(server.url)
        told = [repr(sender), str(sender), f"{sender!r}", repr(vars(sender))]
        try:
            result = sender.send(request())
            told.append(repr(result))
        except PhotioError as error:
            seen: BaseException | None = error
            while seen is not None:  # the error, its causes and what they were raised from
                told += [repr(seen), str(seen), repr(seen.args), "".join(traceback.format_exception(seen))]
                told += [repr(vars(seen))]
                seen = seen.__cause__ or seen.__context__
        assert server.requests[0].header("X-Photio-Key") == KEY
    said = capfd.readouterr()
    for text in (*told, caplog.text, said.out, said.err, *(repr(vars(each)) for each in caplog.records)):
        assert_absent(text)
    assert name == "ok" or len(told) > 4


@pytest.mark.parametrize("where", [440, 460, 477, 485, 490, 495, 499])
def test_no_part_of_the_key_is_left_where_a_long_text_is_cut(where: int):
    text = "x" * where + KEY + "y" * 100
    for behaviour in (status(500, text.encode()), verbatim("key", json.dumps({"status_code": 500, "body": text}))):
        with HostileServer(behaviour) as server:
            found = failure(client(server.url))
        assert KEY[:8] not in str(found)


def test_a_client_with_its_key_cannot_be_pickled():
    with pytest.raises(TypeError):
        pickle.dumps(InstantClient(KEY))


def test_the_key_does_not_outlive_the_answer_in_an_error():
    """Nothing that an error refers to holds the headers of the request."""
    with HostileServer(close_after_reading()) as server:
        found = failure(client(server.url))
    found.__traceback__ = None
    reached: set[int] = set()
    todo: list[Any] = [found]
    while todo:
        each = todo.pop()
        if id(each) in reached or isinstance(each, type | type(gc)):
            continue
        reached.add(id(each))
        if isinstance(each, str | bytes):
            assert KEY not in repr(each)
        todo += gc.get_referents(each)
    assert len(reached) > 2


# Against the sandbox that ships with the package.


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - {"trickle", "slow", "stall", "stall-upload", "gzipbomb"}))
def test_no_fault_of_the_sandbox_is_charged_twice(fault: str):
    with Sandbox(identity=True, faults=f"{fault}:1", retry_after=0) as sandbox:
        code = 0
        try:
            client(sandbox.url).send(request())
        except PhotioError as error:
            code = error.exit_code
        assert code in (0, 3, 4, 5, 9, 10)
        assert sandbox.charges <= (0 if code in (3, 5, 9) else 1)
        assert {call.key_fingerprint for call in sandbox.log} == {fingerprint(KEY)}


@pytest.mark.soak
def test_a_gzip_that_nobody_asked_for_does_not_fill_the_memory():
    keep = TellingKeep()
    with Sandbox(identity=True, faults="gzipbomb:1") as sandbox:
        found = failure(client(sandbox.url), keep)
    assert isinstance(found, OutcomeUnknown)
    assert len(keep.raw) < 2**20


def test_the_sandbox_finds_nothing_to_warn_about_in_what_a_client_sends():
    with Sandbox(identity=True) as sandbox:
        client(sandbox.url).send(request((1024, 1024)))
        assert sandbox.warnings == ()


def test_a_kept_answer_may_be_a_plain_file(tmp_path: Path):
    class FileKeep(io.FileIO):
        def commit(self) -> None:
            self.flush()

    with HostileServer(ok()) as server, FileKeep(str(tmp_path / "raw"), "wb") as keep:
        result = client(server.url).send(request(), keep)
    assert (tmp_path / "raw").read_bytes() == result.raw
