"""A disk that fills, breaks, vanishes or never was writable (F39 to F47): exit 7, no further call, no answer lost."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from photio_prep.errors import StorageFailed
from photio_prep.orders.answer_file import AnswerFile
from photio_prep.orders.folder import OrderFolder, find_orders
from photio_prep.orders.state import State
from tests.crash import product
from tests.crash.bootstrap import FILLING
from tests.crash.harness import Forked, KillResult, Run, run_command
from tests.crash.judge import Judge, Verdict
from tests.support import photos
from tests.support.commands import alone
from tests.support.hostile_answers import ok
from tests.support.hostile_exchange import Behaviour, Exchange
from tests.support.hostile_faults import Answer, answering
from tests.support.sampling import sampled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.hostile import HostileServer

HERE = "tests.crash.test_disk"


def settled(judge: Judge, failed: Run, clean: Run) -> Verdict:
    """What is left after a failure and a run in peace: nothing lost, nothing unknown, nothing paid twice."""
    judge.after(KillResult(None, failed, clean))
    return judge.verdict


@sampled(
    ("number", "count", "step"),
    [(errno.EIO, 1, 3), (errno.EIO, 1, 1), (errno.ENOSPC, 2, 1)],
    1,
    ids=["broken, every third", "broken", "full"],
)
def test_f39_f40_f41_f43_from_every_write_site_on_no_call_leaves_and_no_answer_is_lost(
    judge: Judge, number: int, count: int, step: int
):
    judge.count = count  # the second order shows that no call leaves after the first failure
    runner = judge.runner()
    points = runner.points()
    sites = [point for point in points if point.kind in FILLING]
    assert len(sites) >= 22 * count
    for site in sites[::step]:
        judge.reset()
        failed = runner.run(replace(site, error=number))
        begun = sum(point.kind == "connect" for point in points[: site.number])
        assert failed.status == 7, f"{site}: {failed.output}"
        judge.server.settle()
        assert judge.server.hits == begun, f"{site}: a call left after the disk had failed"
        clean = runner.run()
        settled(judge, failed, clean)
        assert judge.server.charges == count, f"{site}: {clean.output}"
    assert judge.verdict == Verdict(codes={0})


def test_f39_a_paid_answer_is_told_to_lie_in_the_folder_of_rescue_and_comes_back_from_it(judge: Judge):
    judge.count = 1
    runner = judge.runner()
    site = next(point for point in runner.points() if point.kind == "write" and point.detail.endswith("answer.part"))
    judge.reset()
    failed = runner.run(replace(site, error=errno.ENOSPC))
    folder = find_orders(judge.out)[0]
    (rescued,) = (judge.out.with_name("state") / "photio-prep" / "rescued").glob(f"{folder.name}-*.raw")
    assert "No space left on device" in failed.output
    assert f"it is safe in {rescued}" in failed.output
    assert OrderFolder(folder).state is State.ANSWERED
    clean = runner.run()
    assert settled(judge, failed, clean) == Verdict(codes={0})
    assert judge.server.charges == 1
    assert not rescued.exists()


def test_f39_where_no_place_takes_the_answer_it_is_unknown_and_said_loudly(judge: Judge):
    judge.count = 1
    runner = judge.runner()
    site = next(point for point in runner.points() if point.kind == "write" and point.detail.endswith("answer.part"))
    judge.reset()
    state = judge.out.with_name("state")
    state.rmdir()
    state.write_bytes(b"a file where the folder of rescue should be")
    try:
        failed = runner.run(replace(site, error=errno.ENOSPC))
        clean = runner.run()
    finally:
        state.unlink()
        state.mkdir()
    assert failed.status == 7
    assert "a PAID ANSWER COULD NOT BE KEPT anywhere" in failed.output
    assert settled(judge, failed, clean) == Verdict(unknown_at_most=1, codes={4})
    assert judge.server.charges == 1


def a_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "an-order"
    folder.mkdir()
    (folder / "order.json").write_bytes(b"{}")
    return folder


def test_f43_a_failed_sync_is_not_tried_again_but_the_answer_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    keep = AnswerFile(a_folder(tmp_path))
    keep.write(b"paid ")
    keep.write(b"for")
    synced = []
    real = os.fsync

    def breaks_once(handle: int) -> None:
        synced.append(os.fstat(handle).st_ino)
        if len(synced) == 1:
            raise OSError(errno.EIO, "Input/output error")
        real(handle)

    monkeypatch.setattr(os, "fsync", breaks_once)
    with pytest.raises(StorageFailed, match="it is safe in"):
        keep.commit()
    assert (tmp_path / "an-order" / "answer.raw").read_bytes() == b"paid for"
    assert synced.count(synced[0]) == 1, "not once more on the same file"
    assert keep.safe


def test_f44_a_disk_that_takes_one_byte_at_a_time_gets_the_whole_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    real = os.write
    keep = AnswerFile(a_folder(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda handle, data: real(handle, data[:1]))
        keep.write(b"a paid answer")
    keep.commit()
    assert (tmp_path / "an-order" / "answer.raw").read_bytes() == b"a paid answer"


def long_answer(size: int) -> Answer:
    """A good answer, and blanks after it until it is `size` bytes long."""

    def padded(request: object) -> object:
        reply = ok().make(request)  # type: ignore[arg-type]
        return replace(reply, body=reply.body.ljust(size))

    return answering("ok, long", padded)  # type: ignore[arg-type]


def main_with_small_files(arguments: list[str]) -> int:
    """The product where no file may grow beyond 64 KiB."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, 2**16))
    return product.main(arguments)


def test_f44_a_file_size_limit_in_the_answer_never_publishes_a_part_of_it(judge: Judge):
    judge.server.script = long_answer(100_000)
    with Forked(f"{HERE}:main_with_small_files", judge.arguments(), judge.out) as limited:
        failed = limited.run()
    assert (failed.status, judge.server.charges) == (7, 1)
    assert "COULD NOT BE KEPT anywhere" in failed.output, "the limit is the process's: no other place takes it"
    assert not list(judge.out.glob("orders/*/answer.raw"))
    clean = judge.runner().run()
    settled(judge, failed, clean)
    assert (judge.verdict.unknown_at_most, judge.verdict.unfinished, judge.server.charges) == (1, 0, 3)


def main_with_few_files(arguments: list[str]) -> int:
    """The product where only so many more files and sockets may be open as the last argument says."""
    *arguments, more = arguments
    few = len(os.listdir("/proc/self/fd")) + int(more)  # noqa: PTH208
    resource.setrlimit(resource.RLIMIT_NOFILE, (few, few))
    return product.main(arguments)


@pytest.mark.soak
def test_f45_too_many_open_files_cost_no_call_and_lose_no_answer(judge: Judge):
    judge.count, judge.workers = 8, 4
    codes, outputs = set(), []
    with Forked(f"{HERE}:main_with_few_files", [], judge.out) as limited:
        for more in range(1, 16, 2):
            judge.reset()
            limited.take([*judge.arguments(), str(more)], judge.out)
            failed = limited.run()
            codes.add(failed.status)
            outputs.append((failed.status, failed.output[:900]))
            judge.server.settle()
            settled(judge, failed, judge.runner().run())
            assert judge.server.charges == 8, f"{more} files: {failed.output}"
    assert codes <= {0, 7, 9}, outputs
    assert 7 in codes
    assert judge.verdict == Verdict(codes={0})


# Real file systems.


@pytest.fixture
def small_disk(judge: Judge) -> Iterator[Callable[[str], None]]:
    """The output folder on a file system of its own; gives what makes it larger."""
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "photio-test", str(judge.out)]
    if sys.platform != "linux" or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no file system may be mounted here")

    def resize(size: str) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size}", str(judge.out)], check=True)

    yield resize
    subprocess.run(["umount", str(judge.out)], check=True)


def test_f40_with_less_room_than_an_answer_needs_nothing_is_sent(judge: Judge, small_disk: Callable[[str], None]):
    failed = judge.runner().run()
    assert (failed.status, judge.server.connections) == (7, 0)
    assert "less than 16 MiB are free, so nothing is sent" in failed.output
    assert judge.states() == [State.PLANNED] * 3
    small_disk("64m")
    assert settled(judge, failed, judge.runner().run()) == Verdict(codes={0})


def test_f39_a_real_disk_that_fills_up_under_an_answer(judge: Judge, small_disk: Callable[[str], None]):
    small_disk("18m")
    judge.server.script = long_answer(20 * 2**20)
    failed = judge.runner().run()
    assert (failed.status, judge.server.hits) == (7, 1)
    assert "it is safe in" in failed.output
    small_disk("128m")
    judge.server.script = ok()
    assert settled(judge, failed, judge.runner().run()) == Verdict(codes={0})
    assert judge.server.charges == 3


def vanishing(folder: Path) -> Behaviour:
    """Answers well, after the folder of orders was removed."""

    def act(exchange: Exchange) -> None:
        request = exchange.request
        shutil.rmtree(folder)
        exchange.send(ok().make(request).wire())

    return Behaviour("vanishing", act)


def test_f46_a_folder_that_vanishes_under_a_call_loses_no_answer(judge: Judge):
    judge.server.script = [vanishing(judge.out), ok()]
    failed = judge.runner().run()
    assert (failed.status, judge.server.hits) == (7, 1)
    judge.out.mkdir()
    assert settled(judge, failed, judge.runner().run()) == Verdict(codes={0})
    assert judge.server.charges == 3


def test_f46_a_place_where_nothing_can_be_written_is_found_before_the_call(server: HostileServer, tmp_path: Path):
    server.forget()
    photo = photos.saved(tmp_path / "cup.png")
    given = ("-d", photos.SCENE, "--out", "/proc/photio", "--api-url", server.url)
    said = alone("run", photo, *given, PHOTIO_API_KEY=product.KEY)
    assert (said.code, server.connections) == (7, 0)
    assert "/proc/photio" in said.err


@pytest.mark.soak
def test_f47_a_file_where_the_final_goes_is_found_before_the_call(server: HostileServer, tmp_path: Path):
    server.script = ok()
    server.forget()
    photo = photos.saved(tmp_path / "cup.png")
    out = tmp_path / "out"
    (out / "orders").mkdir(parents=True)
    (out / "cup-photio.png").write_bytes(b"somebody's work")
    given = ("run", photo, "-d", photos.SCENE, "--out", out, "--api-url", server.url)
    said = alone(*given, PHOTIO_API_KEY=product.KEY)
    assert (said.code, server.connections) == (3, 0)
    assert (out / "cup-photio.png").read_bytes() == b"somebody's work"
    assert alone(*given, "--overwrite", PHOTIO_API_KEY=product.KEY).code == 0
    assert server.charges == 1


@pytest.mark.soak
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_f42_a_full_disk_under_the_list_of_results_stops_nothing(server: HostileServer, tmp_path: Path):
    server.script = ok()
    server.forget()
    for shade in (150, 220):
        photos.saved(tmp_path / "in" / f"{shade}.png", photos.cutout(shade=shade))
    given = ("run", tmp_path / "in", "-d", photos.SCENE, "--out", tmp_path / "out", "--api-url", server.url)
    command = [sys.executable, "-m", "photio_prep", *map(str, given), "--jobs", "1"]
    run = run_command(["sh", "-c", 'exec "$0" "$@" >/dev/full', *command], env={"PHOTIO_API_KEY": product.KEY})
    assert run.status == 7, run.output
    assert run.output.count("list of results cannot be written") == 1
    assert server.charges == 2
    assert len(list((tmp_path / "out").glob("*-photio.png"))) == 2
