"""The harness itself: it misses no way of touching the disk, tears, fails and kills where it says, and never hangs."""

from __future__ import annotations

import errno
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.crash.harness import Forked, Point, Spawned, bootstrapped, run_command
from tests.crash.judge import TARGET, Judge
from tests.crash.straced import Straced


def leave_traces(arguments: list[str]) -> int:
    """A target that touches the disk in every way that the harness promises to see."""
    import os
    import tempfile

    folder = Path(arguments[0])
    (folder / "deep").mkdir()
    (folder / "text").write_text("hello")
    with (folder / "binary").open("w+b", buffering=0) as file:
        file.write(b"0123456789")
        file.truncate(4)
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        file.write(b"temporary")
    handle = os.open("relative", os.O_WRONLY | os.O_CREAT, dir_fd=(here := os.open(folder, os.O_RDONLY)))
    os.write(handle, b"relative")
    os.fdatasync(handle)
    os.close(handle)
    os.link(folder / "text", folder / "twin")
    os.rename("relative", "moved", src_dir_fd=here, dst_dir_fd=here)
    os.close(here)
    (folder / "binary").replace(folder / "deep" / "binary")
    (folder / "twin").unlink()
    shutil.copyfile(folder / "text", folder / "copy")
    print("done")
    return 0


def fill_the_disk(arguments: list[str]) -> int:
    """A target that meets a full disk, cleans up and says so with exit 7."""
    try:
        Path(arguments[0], "file").write_bytes(b"x" * 100)
    except OSError as full:
        return 7 if full.errno == errno.ENOSPC else 1
    return 0


def sleep_long(arguments: list[str]) -> int:
    time.sleep(30)
    return 0


HERE = "tests.crash.test_harness"


def test_no_way_of_touching_the_disk_is_missed(tmp_path):
    with Forked(f"{HERE}:leave_traces", [str(tmp_path)], tmp_path) as runner:
        points = runner.points()
        # tempfile opens through an opener, which the interpreter audits twice; sendfile is asked until it gives 0.
        assert " ".join(point.kind for point in points) == (
            "mkdir open write open write truncate open open write unlink "
            "open open write fdatasync link rename rename unlink open open sendfile sendfile exit"
        )
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()
        assert runner.run(points[-1]).killed
        found = sorted(path.name for path in tmp_path.rglob("*"))
        assert found == ["binary", "copy", "deep", "moved", "text"]


def test_torn_means_half_of_the_write(tmp_path):
    with Forked(f"{HERE}:fill_the_disk", [str(tmp_path)], tmp_path) as runner:
        points = runner.points()
        assert [point.kind for point in points] == ["open", "write", "exit"]
        assert (points[1].detail, points[1].can_tear) == ("file", True)
        (tmp_path / "file").unlink()
        assert runner.run(points[0]).killed
        assert not (tmp_path / "file").exists()
        assert runner.run(points[1]).killed
        assert (tmp_path / "file").read_bytes() == b""
        assert runner.run(replace(points[1], torn=True)).killed
        assert (tmp_path / "file").read_bytes() == b"x" * 50
        assert runner.run(points[2]).killed
        assert (tmp_path / "file").read_bytes() == b"x" * 100


def test_an_error_instead_of_a_kill_is_a_full_disk(tmp_path):
    with Forked(f"{HERE}:fill_the_disk", [str(tmp_path)], tmp_path) as runner:
        assert runner.run(Point(1, "open", "", error=errno.ENOSPC)).status == 7
        assert runner.run(Point(1, "open", "", error=errno.EIO)).status == 1
        assert runner.run().status == 0


@pytest.mark.soak
def test_a_run_that_hangs_is_no_kill(tmp_path):
    with Forked(f"{HERE}:sleep_long", [], tmp_path, limit=0.3) as runner:
        run = runner.run()
        assert (run.timed_out, run.killed) == (True, False)
    with Forked(f"{HERE}:sleep_long", [], tmp_path) as runner:
        run = runner.run(kill_after=0.1)
        assert (run.timed_out, run.killed) == (False, True)
        assert 0.1 <= run.seconds < 30  # as long as it would sleep
    run = run_command([sys.executable, "-c", "import time; time.sleep(30)"], limit=0.3)
    assert (run.timed_out, run.killed) == (True, False)


def test_a_target_that_does_not_load_is_said_so(tmp_path):
    with pytest.raises(RuntimeError, match=r"fork server for tests\.crash\.nothing:main ended"):
        Forked("tests.crash.nothing:main", [], tmp_path).__enter__()


@pytest.mark.soak
def test_a_fresh_interpreter_sees_the_same_points(judge: Judge):
    judge.count = 1
    spawned = Spawned(bootstrapped(TARGET, *judge.arguments()), judge.out)
    points = spawned.points()
    judge.reset()
    # The names of temporary files differ.
    assert [point.kind for point in judge.runner().points()] == [point.kind for point in points]
    judge.reset()
    renamed = next(point for point in points if point.detail.endswith("answer.part") and point.kind == "rename")
    assert spawned.run(renamed).killed
    assert spawned.run().status == 4


@pytest.mark.skipif(not Straced.works(), reason="no strace here, or it may not trace")
def test_strace_kills_before_the_call(tmp_path):
    command = [sys.executable, "-c", f"open({str(tmp_path / 'file')!r}, 'wb').write(b'x' * 100)"]
    runner = Straced(command, tmp_path)
    points = runner.points()
    assert [point.kind for point in points] == ["openat", "write"]
    assert runner.run(points[1]).killed
    assert (tmp_path / "file").read_bytes() == b""
