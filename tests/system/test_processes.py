"""Which process is this, and does it still live: asked of real processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from photio_prep.system import processes


def test_this_process_started_once():
    assert processes.start_time(os.getpid()) == processes.start_time(os.getpid())
    assert processes.start_time(os.getpid())


def test_a_process_that_ended_has_no_start():
    done = subprocess.Popen([sys.executable, "-c", "pass"])
    done.wait()
    assert processes.start_time(done.pid) is None


def test_two_processes_are_told_apart_by_their_start():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        began = processes.start_time(other.pid)
        assert began
        assert began != processes.start_time(os.getpid())
        other.communicate(b"\n")
    assert processes.start_time(other.pid) is None


@pytest.mark.parametrize("pid", [0, -1, 2**31 - 1, 2**40])
def test_a_number_that_is_no_process_has_no_start(pid: int):
    assert processes.start_time(pid) is None


@pytest.mark.skipif(sys.platform != "linux", reason="renames itself through /proc")
def test_a_name_with_brackets_and_spaces_does_not_shift_the_fields():
    rename = "open('/proc/self/comm', 'w').write(') R 1 (x y'); print('ready', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", rename], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"ready\n"
        ours, theirs = processes.start_time(os.getpid()), processes.start_time(other.pid)
        other.communicate(b"\n")
    assert ours is not None
    assert theirs is not None
    assert int(theirs) > int(ours)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_boot_is_the_kernel_s_own():
    assert processes.boot_id() == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
