"""What really happened on a connection: counted uploads, deadlines, verdicts of a handshake."""

import socket
import time

import pytest
import requests
import urllib3

from photio_prep.api.transport import Upload, is_permanent_tls_error, root_cause
from photio_prep.system.deadline import Timeouts, Watch


def test_the_patience_is_that_of_the_promise():
    assert Timeouts() == Timeouts(connect=5.0, write=60.0, read=300.0, overall=600.0)


def test_an_upload_is_counted_as_it_leaves():
    upload = Upload(bytes(range(256)) * 600)
    assert len(upload) == 153_600
    assert upload.sent == 0
    pieces = iter(upload)
    first = next(pieces)
    assert upload.sent == len(first) == 65_536
    assert len(upload) == 153_600  # Content-Length stays that of the whole
    assert first + b"".join(pieces) == bytes(range(256)) * 600
    assert upload.sent == 153_600


def test_an_upload_of_nothing_sends_nothing():
    assert list(Upload(b"")) == []


def test_the_deadline_cuts_the_connection_and_says_so():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        watch = Watch(Timeouts(overall=0.5))
        watch.established(ours)
        assert watch.connected
        assert ours.gettimeout() == 60.0  # a stalled write ends after this
        with watch.deadline():
            assert ours.recv(1) == b""  # nobody writes, nobody closes: only the deadline ends this
        assert watch.expired


def test_a_deadline_in_time_cuts_nothing():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        watch = Watch(Timeouts(overall=0.5))
        watch.established(ours)
        with watch.deadline():
            pass
        time.sleep(0.6)
        theirs.sendall(b"x")
        assert ours.recv(1) == b"x"
        assert not watch.expired


def test_a_connection_that_stands_after_the_deadline_is_never_used():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        watch = Watch(Timeouts(overall=0.01))
        with watch.deadline():
            deadline = time.monotonic() + 30
            while not watch.expired and time.monotonic() < deadline:
                time.sleep(0.01)
            with pytest.raises(TimeoutError):
                watch.established(ours)
        assert not watch.connected


def test_a_deadline_after_the_end_is_harmless():
    ours, theirs = socket.socketpair()
    theirs.close()
    watch = Watch(Timeouts(overall=0.5))
    watch.established(ours)
    ours.close()
    with watch.deadline():
        time.sleep(0.6)
    assert watch.expired


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate", True),
        ("hostname '127.0.0.1' doesn't match 'elsewhere.invalid'", True),
        ("Tunnel connection failed: 502 Bad Gateway", False),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number", True),
        ("[SSL: UNEXPECTED_EOF_WHILE_READING] EOF occurred in violation of protocol", False),
        ("[Errno 111] Connection refused", False),
        ("timed out", False),
    ],
)
def test_a_verdict_is_told_from_an_accident(said: str, verdict: bool):
    assert is_permanent_tls_error(said) is verdict


def test_the_innermost_reason_is_what_is_told():
    refused = ConnectionRefusedError(111, "Connection refused")
    pool = urllib3.HTTPConnectionPool("127.0.0.1")
    new = urllib3.exceptions.NewConnectionError(
        urllib3.connection.HTTPConnection("127.0.0.1", 9), f"Failed to establish a new connection: {refused}"
    )
    outer = requests.ConnectionError(urllib3.exceptions.MaxRetryError(pool, "/v1", new))
    assert root_cause(outer).endswith("Failed to establish a new connection: [Errno 111] Connection refused")


def test_a_reason_is_never_long_and_never_empty():
    assert root_cause(OSError()) == "OSError"
    assert len(root_cause(OSError("x" * 5000))) == 200
