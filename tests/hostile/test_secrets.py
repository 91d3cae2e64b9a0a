"""A canary key in everything that a user, a log, a disk or another process can see, while everything fails.

Each surface is searched for the key as it is, URL-encoded, escaped letter by letter, in hex, and in base64 at any
offset, in upper and lower case alike.
"""

import base64
import gzip
import html
import http.client
import json
import logging
import os
import pickle
import subprocess
import sys
import time
import traceback
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from photio_prep import pipeline
from photio_prep.api import credentials
from photio_prep.api.client import InstantClient
from photio_prep.api.key import ApiKey
from photio_prep.api.spending_guard import SpendingGuard
from photio_prep.errors import PhotioError
from photio_prep.orders.folder import OrderFolder, find_orders
from photio_prep.orders.state import State
from photio_prep.orders.store import Order
from photio_prep.system.deadline import Timeouts
from tests.support.batches import TINY, Batch, configure, planned, surroundings
from tests.support.commands import alone, here
from tests.support.hostile import PATH, HostileServer
from tests.support.hostile_answers import ok, picture_for, verbatim
from tests.support.hostile_delivery import cut_short
from tests.support.hostile_exchange import Behaviour, Request
from tests.support.hostile_faults import (
    Reply,
    answering,
    busy,
    close_after_reading,
    never_answer,
    raw,
    redirect,
    reset_after_reading,
    status,
)
from tests.support.hostile_places import Certificates, closed_port
from tests.support.photos import SCENE, cutout
from tests.support.sampling import sampled

# Longer and odder than a real one, so that each encoding changes it.
CANARY = "pt-canary+5c1e/77b0=A9d4&Zq~x"
PROXY_WORD = "proxy-canary-81f3"


def coded(text: str, offset: int) -> str:
    """What of `text` is the same in the base64 of whatever holds it at this offset."""
    whole = base64.b64encode(b"\0" * offset + text.encode()).decode().rstrip("=")
    return whole[(0, 2, 3)[offset] : len(whole) - (1 if (offset + len(text)) % 3 else 0)]


def spellings(text: str) -> dict[str, str]:
    found = {
        "raw": text,
        "URL-encoded": urllib.parse.quote(text, safe=""),
        "URL-encoded, every letter": "".join(f"%{ord(each):02X}" for each in text),
        "URL-encoded twice": urllib.parse.quote(urllib.parse.quote(text, safe=""), safe=""),
        "JSON with escaped slashes": text.replace("/", "\\/"),
        "JSON, every letter": "".join(f"\\u{ord(each):04x}" for each in text),
        "HTML": html.escape(text),
        "HTML, every letter": "".join(f"&#{ord(each)};" for each in text),
        "hex": text.encode().hex(),
    }
    for offset in range(3):
        found[f"base64 at {offset}"] = coded(text, offset)
        found[f"URL-safe base64 at {offset}"] = coded(text, offset).replace("+", "-").replace("/", "_")
    return found


WORDS = {name: each.lower().encode() for name, each in spellings(CANARY).items()}
WORDS["half of it"] = CANARY[:9].lower().encode()  # left where a text is cut before it is redacted
# What a chatty server sends back: every spelling, the base64 ones inside of longer texts.
ECHO = " ".join([*spellings(CANARY).values(), CANARY.upper(), base64.b64encode(f"key={CANARY};".encode()).decode()])


def leaks(surfaces: dict[str, str | bytes]) -> list[str]:
    """Where the key is, and in which spelling."""
    found = []
    for surface, text in surfaces.items():
        data = (text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")).lower()
        found += [f"{surface}: {name}" for name, word in WORDS.items() if word in data]
        found += [f"{surface}: the proxy's password"] * (PROXY_WORD.encode() in data)
    return found


def test_the_search_finds_every_spelling():
    assert {each.partition(": ")[2] for each in leaks({"echo": ECHO})} == set(WORDS)
    assert len(set(WORDS.values())) >= 12


def echoing_picture(request: Request) -> Reply:
    """A good answer that also quotes the request's headers."""
    body = base64.b64encode(picture_for(request)).decode()
    return Reply(json.dumps({"status_code": 200, "request": ECHO, "body": body}).encode())


FAILURES: dict[str, Behaviour] = {
    "401": status(401, ECHO.encode()),
    "403": status(403, b"x" * 490 + ECHO.encode()),
    "422": status(422, json.dumps({"body": f"no, {ECHO}"}).encode()),
    "429": busy(999),
    "500": status(500, ECHO.encode()),
    "500 at the cut": status(500, b"x" * 485 + ECHO.encode()),
    "500 inside of a 200": verbatim("500", json.dumps({"status_code": 500, "body": f"{'x' * 490}{ECHO}"})),
    "500 in a gzip, at the cut": verbatim(
        "gzip", gzip.compress(json.dumps({"status_code": 500, "body": "x" * 485 + CANARY}).encode())
    ),
    "a strange status_code": verbatim("odd", json.dumps({"status_code": CANARY, "body": ""})),
    "no JSON": verbatim("no JSON", ECHO),
    "no picture": verbatim("no picture", json.dumps({"status_code": 200, "body": ECHO})),
    "a good answer": answering("echo", echoing_picture),
    "a redirect": redirect(302, f"https://{CANARY}.example/{urllib.parse.quote(CANARY)}"),
    "a redirect at the cut": redirect(307, f"https://{'x' * 85}.{urllib.parse.quote(CANARY, safe='')}.example/"),
    "no HTTP": raw(f"{'x' * 120} {CANARY}\r\n\r\n".encode()),
    "no HTTP at the cut": raw(f"{'x' * 170} {CANARY}\r\n\r\n".encode()),
    "bad chunks": raw(f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{CANARY}\r\nx".encode()),
    "closed": close_after_reading(),
    "reset": reset_after_reading(),
    "cut": cut_short(verbatim("cut", ECHO), 0.9),
    "cut in the key": cut_short(verbatim("cut", f"{{{CANARY}"), 25),
    "silence": never_answer(),
}
PLACES = ("refused", "unknown certificate", "proxy says 407", "no proxy there")


@contextmanager
def failing(name: str, patch: pytest.MonkeyPatch, folder: Path) -> Iterator[tuple[str, HostileServer | None]]:
    """An address where everything ends in this failure, and who saw the requests."""
    if name == "refused":
        with closed_port() as port:
            yield f"http://127.0.0.1:{port}{PATH}", None
    elif name == "unknown certificate":
        with HostileServer(ok(), tls=Certificates(folder).unknown_authority) as server:
            yield server.url, server
    elif name == "proxy says 407":
        with HostileServer(status(407, ECHO.encode())) as server:
            patch.setenv("PHOTIO_PROXY", f"http://me:{PROXY_WORD}@127.0.0.1:{server.port}")
            yield f"https://api.photio.invalid{PATH}", server
    elif name == "no proxy there":
        with closed_port() as port:
            patch.setenv("PHOTIO_PROXY", f"http://me:{PROXY_WORD}@127.0.0.1:{port}")
            yield f"https://api.photio.invalid{PATH}", None
    else:
        with HostileServer(FAILURES[name]) as server:
            yield server.url, server


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    surroundings(monkeypatch, tmp_path, read=0.5)
    monkeypatch.setenv("PHOTIO_API_KEY", CANARY)
    (tmp_path / "tmp").mkdir()
    for name, place in {"TMPDIR": "tmp", "HOME": ".", "XDG_STATE_HOME": "state", "XDG_CACHE_HOME": "cache"}.items():
        monkeypatch.setenv(name, str(tmp_path / place))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path


def on_disk(folder: Path) -> dict[str, str | bytes]:
    """Every name and every file below, in order folders and temporary ones alike."""
    found: dict[str, str | bytes] = {}
    for each in folder.rglob("*"):
        found[f"name of {each}"] = str(each.relative_to(folder))
        if each.is_file():
            found[str(each)] = each.read_bytes()
    return found


@sampled("name", [*FAILURES, *PLACES], 8)
def test_no_verb_no_log_no_file_and_no_other_header_holds_the_key(
    name: str,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.DEBUG)
    for logger in ("urllib3", "urllib3.connectionpool", "requests", "PIL"):
        logging.getLogger(logger).setLevel(logging.DEBUG)
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)  # prints headers on stdout
    surfaces: dict[str, str | bytes] = {}
    with failing(name, monkeypatch, home) as (url, server):
        folders = planned(home / "out", url, 2)
        batch = Batch(here(capsys, monkeypatch), home / "out", url, workers=2)
        for number, verb in enumerate(
            [
                ("generate", batch.out, "--api-url", url, "-v", "--json"),
                ("generate", batch.out, "--api-url", url, "-v"),
                ("generate", batch.out, "--api-url", url, "--print-curl"),
                ("status", batch.out),
                ("status", batch.out, "--json"),
                ("finish", batch.out, "--overwrite", "--json"),
                ("resolve", folders[0], "--as", "retry", "--json"),
                ("resolve", folders[1], "--as", "lost"),
                ("check", "--model", "nothing", "--api-url", url),
            ]
        ):
            said = batch.run(*verb)
            surfaces |= {f"stdout of {verb[0]} {number}": said.out, f"stderr of {verb[0]} {number}": said.err}
        if server is not None:
            for each in server.requests:
                surfaces["body sent"] = each.body
                surfaces["target"] = each.target
                surfaces["headers"] = repr([pair for pair in each.headers if pair[0] != "X-Photio-Key"])
                if each.method == "POST":
                    assert each.header("X-Photio-Key") == CANARY
                else:
                    assert PROXY_WORD not in repr(each.headers)  # it is in Proxy-Authorization, in base64
    assert list((home / "tmp").iterdir()) == []
    surfaces |= on_disk(home)
    surfaces |= {"log": caplog.text, "records": "\n".join(repr(vars(each)) for each in caplog.records)}
    assert len(surfaces) > 20
    assert leaks(surfaces) == []


def ended(order: Order, till: SpendingGuard) -> BaseException | None:
    """What paying for the order raised."""
    try:
        pipeline.generate(order, client=till)
    except BaseException as error:  # noqa: BLE001  a Ctrl-C too
        return error
    return None


def told(error: BaseException | None) -> str:
    """Everything that can be printed of an error, of its causes and contexts, and of the locals on their way."""
    texts, todo, seen = [], [error], set()
    while todo:
        each = todo.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        texts += [repr(each), str(each), repr(each.args), repr(vars(each)), f"{each!r:s}"]
        texts += traceback.TracebackException.from_exception(each, capture_locals=True).format()
        todo += [each.__cause__, each.__context__]
    return "\n".join(texts)


def sender(url: str) -> InstantClient:
    return InstantClient(
        credentials.load_key(), api_url=url, timeouts=Timeouts(2, 2, 0.5, 5), proxy=os.environ.get("PHOTIO_PROXY")
    )


@pytest.mark.parametrize("name", [*FAILURES, *PLACES])
def test_no_error_no_traceback_and_no_object_holds_the_key(name: str, home: Path, monkeypatch: pytest.MonkeyPatch):
    with failing(name, monkeypatch, home) as (url, _):
        client = sender(url)
        till = SpendingGuard(client)
        order = pipeline.prepare(cutout(), description=SCENE, size=TINY, endpoint=url, orders=home / "orders")
        error = ended(order, till)
        assert (error is None) == (name == "a good answer")
        again = ended(order, till)
    key = credentials.load_key()
    objects = [client, till, key, order, till.stop_reason]
    surfaces: dict[str, str | bytes] = {"error": told(error), "second error": told(again)}
    surfaces["objects"] = "\n".join(f"{each!r} {each} {each:s}" for each in map(str, objects))
    surfaces["keys"] = repr([key, [key], {"key": key}, vars(till), f"{key}", f"{key!r}", f"{key!s:>9}"])
    surfaces["header"] = repr({"X-Photio-Key": key.reveal()})
    assert leaks(surfaces) == []
    assert leaks({"objects": repr(vars(client)).replace(PROXY_WORD, "")}) == []


@pytest.mark.parametrize("bug", [RuntimeError("a bug"), KeyboardInterrupt(), MemoryError()], ids=repr)
@pytest.mark.parametrize("where", ["send", "getresponse", "putheader"])
def test_a_bug_in_the_middle_of_a_call_leaves_no_key_in_the_locals(
    home: Path, monkeypatch: pytest.MonkeyPatch, bug: BaseException, where: str
):
    def broken(*_: object, **__: object) -> None:
        raise bug

    with HostileServer(ok()) as server:
        order = pipeline.prepare(cutout(), description=SCENE, size=TINY, endpoint=server.url, orders=home / "orders")
        monkeypatch.setattr(http.client.HTTPConnection, where, broken)
        error = ended(order, SpendingGuard(sender(server.url)))
    assert error is bug
    assert leaks({"traceback": told(error)}) == []
    assert leaks(on_disk(home)) == []
    assert OrderFolder(find_orders(home / "orders")[0]).state is State.UNKNOWN


def test_the_crash_of_a_command_shows_no_key(home: Path):
    before = """
import http.client, traceback
def broken(*_): raise RuntimeError("a bug")
http.client.HTTPConnection.getresponse = broken
def dump(error):
    return list(traceback.TracebackException.from_exception(error, capture_locals=True).format())
traceback.format_exception = dump
"""
    with HostileServer(ok()) as server:
        planned(home / "out", server.url, 2)
        said = alone("generate", home / "out", "--api-url", server.url, "-v", before=before)
    assert said.code == 1
    assert "RuntimeError: a bug" in said.err
    assert "self = " in said.err  # locals were dumped
    assert leaks({"stdout": said.out, "stderr": said.err, **on_disk(home)}) == []


@pytest.mark.parametrize("way", ["--key-stdin", "--key-file"])
def test_neither_the_command_line_nor_the_environment_of_a_running_call_holds_the_key(
    home: Path, monkeypatch: pytest.MonkeyPatch, way: str
):
    monkeypatch.delenv("PHOTIO_API_KEY")
    configure(home, read=30.0)
    secret = home.parent / f"{home.name}-secret"
    secret.touch(0o600)
    secret.write_text(CANARY)
    with HostileServer(never_answer()) as server:
        planned(home / "out", server.url, 1)
        command = [sys.executable, "-m", "photio_prep", "generate", str(home / "out"), "--api-url", server.url]
        command += [way] if way == "--key-stdin" else [way, str(secret)]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as running:
            assert running.stdin is not None
            running.stdin.write(f"{CANARY}\n".encode())
            running.stdin.flush()
            deadline = time.monotonic() + 60
            while not server.hits and time.monotonic() < deadline:
                time.sleep(0.02)
            place = Path("/proc", str(running.pid))
            surfaces: dict[str, str | bytes] = {
                "command line": (place / "cmdline").read_bytes(),
                "environment": (place / "environ").read_bytes(),
                "children": "".join(each.read_text() for each in place.glob("task/*/children")),
                "open files": " ".join(str(each.readlink()) for each in place.glob("fd/*")),
            }
            running.kill()
            surfaces |= dict(zip(("stdout", "stderr"), running.communicate(), strict=True))
        assert server.requests[0].header("X-Photio-Key") == CANARY
    assert surfaces["children"] == ""
    assert leaks({**surfaces, **on_disk(home)}) == []


@pytest.mark.parametrize("make", [ApiKey, InstantClient, lambda key: SpendingGuard(InstantClient(key))])
def test_nothing_that_holds_a_key_can_be_pickled(make: Callable[[str], object]):
    with pytest.raises(TypeError) as caught:
        pickle.dumps(make(CANARY))
    assert leaks({"error": told(caught.value).replace(repr(CANARY), "")}) == []


@pytest.mark.parametrize("name", spellings(CANARY))
@pytest.mark.parametrize("at", [0, 1, 7])
def test_an_answer_that_arrives_byte_by_byte_hides_the_key_all_the_same(name: str, at: int):
    word = spellings(CANARY)[name]
    key, held, out = ApiKey(CANARY), b"", b""
    for number in range(0, len(text := f"{'.' * at}{word}.{word.upper()}..".encode()), 3):
        clean, held = key.split(held + text[number : number + 3], last=False)
        out += clean
    out += key.split(held, last=True)[0]
    assert leaks({"out": out}) == []
    assert out == b"." * at + b"***.***.."


# Where a key comes from.


def refused(**ways: object) -> str:
    with pytest.raises(PhotioError) as caught:
        credentials.load_key(**ways)  # type: ignore[arg-type]
    assert caught.value.exit_code == 5
    assert leaks({"error": told(caught.value)}) == []
    return str(caught.value)


def key_file(home: Path, content: bytes = CANARY.encode(), mode: int = 0o600) -> Path:
    path = home / "key"
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("content", [CANARY, f"{CANARY}\n", f"  {CANARY}\r\n\n"])
def test_a_key_s_file_may_end_with_a_newline(home: Path, content: str):
    assert credentials.load_key(key_file(home, content.encode())).reveal() == CANARY


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o610, 0o777])
def test_a_key_s_file_that_others_may_touch_is_refused(home: Path, mode: int):
    path = key_file(home, mode=mode)
    assert f"chmod 600 {path}" in refused(key_file=path)
    (home / "link").symlink_to(path)
    assert "others may read" in refused(key_file=home / "link")


def test_a_link_to_a_guarded_file_is_as_good_as_the_file(home: Path):
    (home / "link").symlink_to(key_file(home))
    assert credentials.load_key(home / "link").reveal() == CANARY


def test_what_is_no_file_is_no_key_and_does_not_hang(home: Path, must_end: Callable[[Callable[[], object]], None]):
    os.mkfifo(home / "pipe", 0o600)
    (home / "loop").symlink_to("loop")
    must_end(lambda: refused(key_file=home / "pipe"))
    assert "not a regular file" in refused(key_file=home / "pipe")
    for path in (home, home / "nothing", home / "loop", Path("/dev/zero"), Path("/dev/null")):
        assert str(path) in refused(key_file=path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"   ",
        f"{CANARY}\nmore".encode(),
        f'"{CANARY}"'.encode(),
        f"'{CANARY}'".encode(),
        f"{CANARY} ".encode() + b"\xff",
        f"{CANARY}é".encode(),
        f"{CANARY}\0".encode(),
        f"X-Photio-Key: {CANARY}".encode(),
        b"short",
        CANARY.encode() * 400,
    ],
)
def test_what_cannot_be_a_key_is_refused_before_any_connection(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: bytes
):
    run = here(capsys, monkeypatch)
    with HostileServer(ok()) as server:
        planned(home / "out", server.url, 1)
        verb = ("generate", home / "out", "--api-url", server.url)
        said = [run(*verb, "--key-file", key_file(home, content)), run(*verb, "--key-stdin", stdin=content)]
        if b"\0" not in content:
            monkeypatch.setenv("PHOTIO_API_KEY", os.fsdecode(content))
            said.append(run(*verb))
        assert [each.code for each in said if each.code != 5] == ([0] if b"\nmore" in content else [])
        assert server.connections == (b"\nmore" in content)  # of standard input only the first line is read
    assert leaks({str(number): each.out + each.err for number, each in enumerate(said)}) == []


def test_a_missing_key_store_names_what_to_install(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setitem(sys.modules, "keyring", None)
    with HostileServer(ok()) as server:
        planned(home / "out", server.url, 1)
        said = here(capsys, monkeypatch)("generate", home / "out", "--api-url", server.url, "--keyring")
        assert server.connections == 0
    assert said.code == 5
    assert "photio-prep[keyring]" in said.err


@pytest.mark.parametrize("verb", ["prepare", "generate", "finish", "run", "status", "resolve", "check", "sizes"])
@pytest.mark.parametrize("spelled", [("--key", CANARY), (f"--key={CANARY}",), ("--api-key", CANARY)])
def test_there_is_no_flag_that_takes_a_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], verb: str, spelled: tuple[str, ...]
):
    said = here(capsys, monkeypatch)(verb, "x", *spelled)
    assert said.code == 2
    assert leaks({"stdout": said.out, "stderr": said.err}) == []


def test_a_key_in_the_environment_changes_nothing_for_the_free_verbs(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    run = here(capsys, monkeypatch)
    told_: list[object] = []
    with HostileServer(ok()) as server:
        cutout().save(home / "a.png")
        for key in (CANARY, None, "not a key"):
            monkeypatch.delenv("PHOTIO_API_KEY", raising=False)
            if key is not None:
                monkeypatch.setenv("PHOTIO_API_KEY", key)
            out = home / "free" / str(len(told_))
            verbs = [
                ("prepare", home / "a.png", "-d", SCENE, "-o", out, "--api-url", server.url),
                ("status", out),
                ("finish", out),
                ("resolve", out / "orders", "--as", "lost"),
                ("generate", out, "--api-url", server.url, "--print-curl"),
                ("sizes", "800x600"),
                ("models", "list"),
                ("--help",),
            ]
            said = [run(*verb) for verb in verbs]
            told_.append([(each.code, *(t.replace(str(out), "OUT") for t in (each.out, each.err))) for each in said])
        assert server.connections == 0
    assert told_[0] == told_[1] == told_[2]
    assert leaks(on_disk(home / "free")) == []
