"""Two parts of one photo's work at the same time."""

import platform
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from photio_prep.system import parallel
from photio_prep.system.parallel import occupy_core, path_lock, run_both


def test_both_give_what_they_give_in_their_order() -> None:
    assert run_both(lambda: "first", lambda: 2) == ("first", 2)


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "CORES", 2)
    monkeypatch.setattr(parallel, "_IDLE", threading.BoundedSemaphore(2))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.mark.usefixtures("two_cores")
def test_they_run_at_the_same_time() -> None:
    meet = threading.Barrier(2, timeout=30)
    assert sorted(run_both(meet.wait, meet.wait)) == [0, 1]


def test_one_core_needs_no_other_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "CORES", 1)
    assert run_both(threading.current_thread, threading.current_thread) == (threading.current_thread(),) * 2


@pytest.mark.usefixtures("two_cores")
def test_a_batch_that_uses_all_cores_gets_no_more_threads() -> None:
    here = threading.current_thread()
    with occupy_core(), occupy_core(), occupy_core():
        assert run_both(threading.current_thread, threading.current_thread) == (here, here)
    with occupy_core():
        assert run_both(threading.current_thread, threading.current_thread) != (here, here)
        (inner, other), _ = run_both(lambda: run_both(threading.current_thread, threading.current_thread), int)
        assert inner is other is not here


@pytest.mark.usefixtures("two_cores")
def test_a_limit_of_one_thread_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert run_both(threading.current_thread, threading.current_thread) == (threading.current_thread(),) * 2


@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize(("bad", "told"), [((1, 0), "first"), ((0, 1), "second"), ((1, 1), "first")])
def test_an_error_of_either_comes_out_and_the_first_ones_first(
    monkeypatch: pytest.MonkeyPatch, cores: int, bad: tuple[int, int], told: str
) -> None:
    monkeypatch.setattr(parallel, "CORES", cores)

    def part(name: str, fails: int) -> str:
        if fails:
            raise ValueError(name)
        return name

    with pytest.raises(ValueError, match=told):
        run_both(lambda: part("first", bad[0]), lambda: part("second", bad[1]))


@pytest.mark.usefixtures("two_cores")
def test_what_is_not_worth_a_thread_gets_none() -> None:
    here = threading.current_thread()
    assert run_both(threading.current_thread, threading.current_thread, worth=False) == (here, here)


def test_one_thread_at_a_time_for_a_path_and_others_beside_it(tmp_path: Path) -> None:
    inside: list[str] = []
    both_in = threading.Barrier(2)

    def held(name: str) -> None:
        with path_lock(tmp_path / name):
            inside.append(name)
            assert inside.count(name) == 1
            both_in.wait(20)  # the other name's thread is inside as well
            inside.remove(name)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(held, ["a", "b", "a", "b", "a", "b"]))
    with path_lock(tmp_path / "a"), path_lock(tmp_path / "b"):
        pass


_HEAPS = """
import re, threading
from photio_prep.system.parallel import limit_malloc_arenas
limit_malloc_arenas()
met, leave = threading.Barrier(9), threading.Event()
def worker():
    kept = [bytes(1000) for _ in range(100)]
    met.wait(20)
    leave.wait(20)
threads = [threading.Thread(target=worker) for _ in range(8)]
[each.start() for each in threads]
met.wait(20)
import ctypes, tempfile
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
with tempfile.NamedTemporaryFile() as told:
    file = ctypes.c_void_p(libc.fopen(told.name.encode(), b"w"))
    libc.malloc_info(0, file)
    libc.fclose(file)
    print(len(re.findall("<heap nr", told.read().decode())))
leave.set()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_threads_share_two_heaps() -> None:
    said = subprocess.run([sys.executable, "-c", _HEAPS], capture_output=True, text=True, check=True)
    assert int(said.stdout) <= 2
