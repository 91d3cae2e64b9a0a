"""No thread to be had, whichever it is: nothing is claimed that is not sent, nothing paid is lost, nothing hangs.

Each command is a real process against a real server on loopback; in it, starting a thread fails from the k-th on, or
at the k-th only, for every k; or the kernel itself gives no more (RLIMIT_NPROC, where the tests may become another
user).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from PIL import Image

from photio_prep import pipeline
from photio_prep.errors import UsageError
from photio_prep.orders.folder import OrderFolder, find_orders
from photio_prep.orders.state import ANSWERED, State
from photio_prep.system import threads
from tests.support.batches import TINY
from tests.support.commands import KEY, Command
from tests.support.hostile import HostileServer
from tests.support.hostile_answers import ok
from tests.support.photos import SCENE, cutout, encoded, saved
from tests.support.sampling import sampled

# In the child, before anything else: thread starts are counted; `only` says whether one alone fails or all after it.
_FEW = """
import sys, threading
at, only = {at}, {only}
started, real, lock = 0, threading.Thread.start, threading.Lock()
def start(self):
    global started
    with lock:
        started += 1
        number = started
    if at and (number == at if only else number >= at):
        raise RuntimeError("can't start new thread")
    real(self)
threading.Thread.start = start
import atexit
atexit.register(lambda: print("threads started:", started, file=sys.stderr))
from photio_prep.cli import main
main()
"""


def refused(verb: list[object], at: int = 0, *, only: bool = False) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own; one that hangs is an error."""
    code = _FEW.format(at=at, only=only)
    words = [sys.executable, "-c", code, *map(str, verb)]
    # Long enough for a busy machine; a hang is for ever.
    return subprocess.run(words, capture_output=True, text=True, timeout=90, check=False, env=_environment())


def _environment() -> dict[str, str]:
    return {**os.environ, "PHOTIO_API_KEY": KEY, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def started(said: subprocess.CompletedProcess[str]) -> int:
    return int(said.stderr.rpartition("threads started: ")[2].split()[0])


def settled(said: subprocess.CompletedProcess[str], out: Path, server: HostileServer, count: int) -> None:
    """Nothing was charged twice, nothing is unknown, and the exit code says whether all was done."""
    server.settle()
    assert server.charged_twice() == {}, said
    there = [OrderFolder(each).state for each in find_orders(out)]
    assert State.UNKNOWN not in there, said.stderr
    assert State.CLAIMED not in there, said.stderr
    assert server.charges == sum(each in ANSWERED for each in there), said.stderr
    done = server.charges == count and len(there) == count
    assert (said.returncode == 0) == done, said.stderr
    assert said.returncode in (0, 2, 3), said.stderr


@pytest.mark.soak
@pytest.mark.parametrize("only", [False, True], ids=["from there on", "that one"])
def test_run_with_every_thread_refused_once(tmp_path: Path, command_home: Path, only: bool) -> None:
    for shade in (100, 150, 200):
        saved(tmp_path / f"in/{shade}.png", cutout((64, 48), shade=shade))
    at, most, charges = 0, 1, []
    while at <= most:
        out = tmp_path / f"out-{at}"
        with HostileServer(ok()) as server:
            verb = ["run", tmp_path / "in", "-d", SCENE, "--api-url", server.url, "--jobs", 2, "-o", out]
            verb += ["--yes", "-q", "--size", "1024x1024"]
            said = refused(verb, at, only=only)
            most = max(most, started(said))
            settled(said, out, server, 3)
            charges.append(server.charges)
            again = refused(verb)
            assert again.returncode == 0, again.stderr
            assert (server.charges, server.charged_twice()) == (3, {})
            assert len(list(out.glob("*-photio.png"))) == 3
        at += 1
    assert at > 7, "there are threads to refuse"
    assert 3 in charges[1:], "with fewer threads it goes on with fewer"


@pytest.mark.soak
@sampled("only", [False, True], 1, ids=["from there on", "that one"])
def test_generate_with_every_thread_refused_once(tmp_path: Path, command_home: Path, only: bool) -> None:
    at, most = 0, 1
    while at <= most:
        out = tmp_path / f"out-{at}"
        with HostileServer(ok()) as server:
            for seed in range(1, 5):
                pipeline.prepare(
                    cutout(), description=SCENE, seed=seed, size=TINY, endpoint=server.url, orders=out / "orders"
                )
            verb = ["generate", out, "--api-url", server.url, "--jobs", 4, "--yes", "-q"]
            said = refused(verb, at, only=only)
            most = max(most, started(said))
            settled(said, out, server, 4)
            assert refused(verb).returncode == 0
            assert (server.charges, server.charged_twice()) == (4, {})
        at += 1
    assert at > 7


def test_without_any_thread_nothing_is_claimed_and_the_message_names_the_limit(
    tmp_path: Path, command_home: Path
) -> None:
    saved(tmp_path / "a.png", cutout((64, 48)))
    with HostileServer(ok()) as server:
        said = refused(
            ["run", tmp_path / "a.png", "-d", SCENE, "--api-url", server.url, "-o", tmp_path / "out", "--yes"], at=1
        )
        assert (said.returncode, server.charges) == (2, 0), said.stderr
    assert "no thread can be started" in said.stderr
    assert "ulimit -u" in said.stderr
    assert "Traceback" not in said.stderr
    assert list(tmp_path.rglob("claim.json")) == []


@sampled("at", [2, 3, 4, 5, 6], 2)
def test_a_signal_ends_it_however_few_threads_there_are(tmp_path: Path, command_home: Path, at: int) -> None:
    """Whatever is in flight is waited for, as ever; nothing waits for a thread that never came."""
    for shade in (100, 150, 200):
        saved(tmp_path / f"in/{shade}.png", cutout((64, 48), shade=shade))
    with HostileServer(ok()) as server:
        verb = ["run", tmp_path / "in", "-d", SCENE, "--api-url", server.url, "-o", tmp_path / "out", "--yes"]
        words = [sys.executable, "-c", _FEW.format(at=at, only=False), *map(str, verb)]
        process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=_environment())
        deadline = time.monotonic() + 60
        while process.poll() is None and server.hits < 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        try:
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
        server.settle()
        assert process.returncode in (0, 2, 143), err.decode()
        assert server.charged_twice() == {}
        there = [OrderFolder(each).state for each in find_orders(tmp_path / "out")]
        assert State.UNKNOWN not in there
        assert State.CLAIMED not in there


_AS_ANOTHER = """
import os, resource, sys
sys.path.insert(0, {root!r})
from photio_prep.cli import main
import photio_prep.cli.run, photio_prep.api.client, photio_prep.batch.report, photio_prep.review
import scipy.ndimage, scipy.fft, cv2
os.setgroups([])
os.setgid({user})
os.setuid({user})
resource.setrlimit(resource.RLIMIT_NPROC, ({limit}, {limit}))
main()
"""


@pytest.mark.soak
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may become another user")
@sampled("limit", [1, 2, 4, 5, 6, 7, 8, 10, 12], 1)
def test_the_kernel_s_own_limit(open_to_all: Path, command_home: Path, limit: int) -> None:
    tmp_path = open_to_all
    for shade in (100, 150, 200):
        saved(tmp_path / f"in/{shade}.png", cutout((64, 48), shade=shade))
    out = tmp_path / "out"
    out.mkdir()
    out.chmod(0o777)
    root = str(Path(__file__).parents[2])
    with HostileServer(ok()) as server:
        verb = ["run", tmp_path / "in", "-d", SCENE, "--api-url", server.url, "--jobs", 4, "-o", out, "--yes", "-q"]
        code = _AS_ANOTHER.format(root=root, user=54300 + limit, limit=limit)
        surroundings = _environment() | {"XDG_CONFIG_HOME": str(out), "XDG_STATE_HOME": str(out), "HOME": str(out)}
        said = subprocess.run(
            [sys.executable, "-c", code, *map(str, verb)],
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
            env=surroundings,
        )
        settled(said, out, server, 3)
        assert "Permission denied" not in said.stderr
        assert limit < 12 or server.charges == 3, said.stderr
        again = refused(verb)
        assert (again.returncode, server.charges, server.charged_twice()) == (0, 3, {}), again.stderr


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder that another user reaches: pytest closes its own."""
    with tempfile.TemporaryDirectory(prefix="photio-nproc-") as name:
        Path(name).chmod(0o777)
        yield Path(name)


@pytest.fixture
def command_home(command: Command) -> Path:
    return Path.cwd()


# --- in this process


def refusing(patch: pytest.MonkeyPatch, after: int) -> None:
    left, real = iter(range(after)), threading.Thread.start

    def start(self: threading.Thread) -> None:
        if next(left, None) is None:
            raise RuntimeError("can't start new thread")
        real(self)

    patch.setattr(threading.Thread, "start", start)


def test_a_pool_works_with_what_it_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(monkeypatch, 2)
    here = threading.get_ident()
    with threads.Pool(5, "test") as pool:
        assert pool.fill() == 2
        assert here not in set(pool.map(lambda _: threading.get_ident(), range(20)))
    with threads.Pool(5, "test") as pool:
        assert pool.fill() == 0
        assert set(pool.map(lambda _: threading.get_ident(), range(20))) == {here}
    with pytest.raises(UsageError, match="no thread can be started"):
        threads.Pool(5, "test", least=1)


def test_a_pool_gives_what_is_raised_and_waits_for_all_at_its_end() -> None:
    ran: list[int] = []

    def work(number: int) -> int:
        time.sleep(0.01)
        ran.append(number)
        return 1 // number

    with threads.Pool(3, "test") as pool:
        pool.fill()
        futures: list[Future[int]] = [pool.submit(work, each) for each in range(9)]
    assert sorted(ran) == [*range(9)]
    assert isinstance(futures[0].exception(), ZeroDivisionError)
    assert futures[1].result() == 1


def test_deadlines_come_in_their_order_and_only_while_they_are_entered() -> None:
    rang: list[str] = []
    both = threading.Event()
    with threads.deadline(60, lambda: rang.append("never")):
        with threads.deadline(0.1, both.set), threads.deadline(0.05, lambda: rang.append("first")):
            assert both.wait(20)
        with threads.deadline(0.05, lambda: rang.append("left")):
            pass
        time.sleep(0.1)
    assert rang == ["first"]


def test_an_odd_picture_without_a_thread_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    from photio_prep.errors import PhotoRefused

    refusing(monkeypatch, 0)
    monkeypatch.setattr(threads._CLOCK, "_thread", None)
    with pytest.raises(PhotoRefused, match="cannot be started"):
        pipeline.prepare(encoded(Image.new("P", (90, 70)), "GIF"))
