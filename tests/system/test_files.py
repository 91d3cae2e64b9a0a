"""Files written whole or not at all, on a real disk, with other processes and full disks."""

import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from photio_prep.errors import PhotoRefused, StorageFailed
from photio_prep.system import files

LIMIT = 2**20


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


# Reading what others made.


def test_a_regular_file_is_read_whole(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"x" * LIMIT)
    assert files.read_input(tmp_path / "a", LIMIT) == b"x" * LIMIT


def test_a_longer_file_is_refused_before_it_is_read(tmp_path: Path):
    with (tmp_path / "a").open("wb") as file:
        file.truncate(2**40)  # a sparse terabyte
    with pytest.raises(PhotoRefused, match=r"the limit is 1 MiB"):
        files.read_input(tmp_path / "a", LIMIT)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(PhotoRefused, match="no such file") as caught:
        files.read_input(tmp_path / "a", LIMIT)
    assert caught.value.subject == str(tmp_path / "a")


@pytest.mark.parametrize("kind", ["folder", "pipe", "socket", "device", "loop", "dangling"])
def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path, kind: str):
    path = tmp_path / "a"
    with socket.socket(socket.AF_UNIX) as unix:
        if kind == "folder":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind == "socket":
            unix.bind(str(path))
        elif kind == "device":
            path = Path("/dev/zero")
        elif kind == "loop":
            path.symlink_to(path)
        else:
            path.symlink_to(tmp_path / "nothing")
        with pytest.raises(PhotoRefused):
            files.read_input(path, LIMIT)


def test_an_impossible_name_is_refused():
    with pytest.raises(PhotoRefused):
        files.read_input(Path("a\0b"), LIMIT)
    with pytest.raises(PhotoRefused):
        files.read_input(Path("x" * 5000), LIMIT)


def test_a_file_that_others_may_not_read_is_refused(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "a").chmod(0)
    if os.access(tmp_path / "a", os.R_OK):
        pytest.skip("root may read everything")
    with pytest.raises(PhotoRefused, match="permissions"):
        files.read_input(tmp_path / "a", LIMIT)


# Writing.


def test_a_file_is_written_whole_with_its_folders(tmp_path: Path):
    files.write_atomic(tmp_path / "a" / "b" / "c", b"12")
    assert (tmp_path / "a" / "b" / "c").read_bytes() == b"12"
    assert names(tmp_path / "a" / "b") == ["c"]


def test_a_longer_old_file_leaves_nothing(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"x" * 1000)
    files.write_atomic(tmp_path / "a", b"12")
    assert (tmp_path / "a").read_bytes() == b"12"


def test_what_is_there_stays_unless_it_may_be_replaced(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        files.write_atomic(tmp_path / "a", b"new", overwrite=False)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_one_of_many_writers_is_first_and_its_bytes_are_whole(tmp_path: Path):
    start, won = threading.Barrier(8), []

    def contend(number: int) -> None:
        start.wait()
        try:
            files.write_atomic(tmp_path / "a", bytes([number]) * 100_000, overwrite=False)
        except FileExistsError:
            return
        won.append(number)

    threads = [threading.Thread(target=contend, args=(number,)) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(won) == 1
    assert (tmp_path / "a").read_bytes() == bytes(won) * 100_000


def test_a_file_system_without_hard_links_is_exclusive_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def no_links(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    files.write_atomic(tmp_path / "a", b"first", overwrite=False)
    with pytest.raises(FileExistsError):
        files.write_atomic(tmp_path / "a", b"second", overwrite=False)
    assert (tmp_path / "a").read_bytes() == b"first"
    assert names(tmp_path) == ["a"]


def test_the_same_name_is_written_once(tmp_path: Path):
    files.write_once(tmp_path / "a", b"1")
    files.write_once(tmp_path / "a", b"2")
    assert (tmp_path / "a").read_bytes() == b"1"


def test_removing_nothing_is_nothing(tmp_path: Path):
    files.remove(tmp_path / "a")
    (tmp_path / "a").write_bytes(b"")
    files.remove(tmp_path / "a")
    assert names(tmp_path) == []


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_folder_that_is_a_file_is_told_and_no_other_error(tmp_path: Path, overwrite: bool):
    (tmp_path / "file").write_bytes(b"keep me")
    for path in (tmp_path / "file" / "a", tmp_path / "file" / "a" / "b"):
        with pytest.raises(StorageFailed, match="cannot be written"):
            files.write_atomic(path, b"x", overwrite=overwrite)
    assert (tmp_path / "file").read_bytes() == b"keep me"


def test_a_target_that_is_a_folder_is_told(tmp_path: Path):
    (tmp_path / "a" / "inside").mkdir(parents=True)
    with pytest.raises(StorageFailed):
        files.write_atomic(tmp_path / "a", b"x")
    assert names(tmp_path) == ["a"]


def test_a_place_where_nothing_can_be_made_is_told():
    with pytest.raises(StorageFailed, match="choose another folder"):
        files.write_atomic(Path("/proc/photio/a"), b"x")


def test_a_disk_that_is_full_in_the_middle_leaves_the_old_file(tmp_path: Path):
    """A limit on the size of files is the nearest thing to a full disk that a process can make for itself."""
    (tmp_path / "a").write_bytes(b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(StorageFailed, match="cannot be written"):
            files.write_atomic(tmp_path / "a", b"x" * 200_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


DYING = """
import os, signal, sys
from pathlib import Path
from photio_prep.system import files
files.sync = lambda file: os.kill(os.getpid(), signal.SIGKILL)
files.write_atomic(Path(sys.argv[1]), b"x" * 1000)
"""


def test_what_a_killed_writer_left_is_swept_and_nothing_else(tmp_path: Path):
    killed = subprocess.run([sys.executable, "-c", DYING, tmp_path / "a"], check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = names(tmp_path)
    assert left.endswith(files.PART)
    ours = files.temporary_path(tmp_path / "b")
    ours.write_bytes(b"being written")
    elsewhere = tmp_path / f".00000000-{2**31 - 1}-abc{files.PART}"
    elsewhere.write_bytes(b"another machine's")
    (tmp_path / "answer.part").write_bytes(b"an answer")
    files.remove_stale(tmp_path)
    assert names(tmp_path) == sorted([ours.name, elsewhere.name, "answer.part"])


def test_a_half_made_folder_of_a_dead_process_is_swept_too(tmp_path: Path):
    done = subprocess.Popen([sys.executable, "-c", "pass"])
    done.wait()
    folder = tmp_path / files.temporary_path(tmp_path / "x").name.replace(f"-{os.getpid()}-", f"-{done.pid}-")
    (folder / "inside").mkdir(parents=True)
    files.remove_stale(tmp_path)
    assert names(tmp_path) == []


def test_sweeping_where_nothing_is_is_nothing(tmp_path: Path):
    files.remove_stale(tmp_path / "nowhere")
