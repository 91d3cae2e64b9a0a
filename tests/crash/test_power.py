"""The power fails (F38): after each sync, what was not synced is dropped, and a clean run goes on from there.

A model, in Python: what a file held when it was last synced, and which names a folder held when it was last synced, is
on the disk; nothing else is. Real disks keep more than that, and ext4 much more; nothing less can be relied on.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from photio_prep.orders.state import State
from photio_prep.system import processes
from tests.crash import product
from tests.crash.harness import KillResult

if TYPE_CHECKING:
    from collections import Counter

    from tests.crash.judge import Judge
    from tests.support.hostile import HostileServer

# A folder, by the file numbers of its names; or a file, by its bytes.
Disk = dict[int, dict[str, int] | bytes]


@dataclass
class Recorder:
    """Stands in for `os.fsync`: after each, the disk as it would be, and what was billed until the next."""

    root: Path
    server: HostileServer
    real = staticmethod(os.fsync)
    disk: Disk = field(default_factory=dict)
    moments: list[Disk] = field(default_factory=list)
    billed: list[Counter[str]] = field(default_factory=list)
    held: list[int] = field(default_factory=list)

    def __call__(self, handle: int) -> None:
        self.billed.append(self.server.charges_by_body)
        self.real(handle)
        found = os.fstat(handle)
        path = Path(f"/proc/self/fd/{handle}").readlink()
        if stat.S_ISDIR(found.st_mode):
            self.disk[found.st_ino] = {each.name: each.stat().st_ino for each in path.iterdir()}
            for each in filter(Path.is_dir, path.iterdir()):
                self.disk.setdefault(each.stat().st_ino, {})  # a folder that was never synced is empty
        else:
            self.disk[found.st_ino] = path.read_bytes()
            self.held.append(os.dup(handle))  # or its number would be given to another file
        self.moments.append(dict(self.disk))

    def end(self) -> None:
        self.billed = [*self.billed[1:], self.server.charges_by_body]
        for handle in self.held:
            os.close(handle)


def restore(disk: Disk, number: int, at: Path) -> None:
    """Write what the disk holds under the file number, below `at`. A name whose file was never synced holds nothing."""
    kept = disk.get(number, b"")
    if isinstance(kept, bytes):
        at.write_bytes(kept)
        return
    at.mkdir(exist_ok=True)
    for name, each in kept.items():
        restore(disk, each, at / name)


@pytest.mark.soak
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="reads /proc")
def test_f38_whatever_was_not_synced_is_lost_and_nothing_is_billed_twice(judge: Judge, monkeypatch: pytest.MonkeyPatch):
    judge.count = 2
    recorder = Recorder(judge.out, judge.server)
    with monkeypatch.context() as patch:
        patch.setattr(processes, "boot_id", lambda: "before the power failed")
        patch.setattr(os, "fsync", recorder)
        assert product.main(judge.arguments()) == 0
    recorder.end()
    root = judge.out.stat().st_ino
    assert len(recorder.moments) >= 25
    for number, (disk, billed) in enumerate(zip(recorder.moments, recorder.billed, strict=True)):
        shutil.rmtree(judge.out)
        restore(disk, root, judge.out) if root in disk else judge.out.mkdir()
        judge.look()
        answered = len(list(judge.out.glob("orders/*/answer.raw")))
        judge.server.forget()
        clean = judge.runner().run()
        assert clean.status in (0, 4), f"after sync {number}: {clean.output}"
        judge.after(KillResult(None, clean, clean))
        together = billed + judge.server.charges_by_body
        assert max(together.values()) == 1, f"after sync {number}: billed twice"
        assert judge.server.charges <= 2 - answered, f"after sync {number}: an answer was there"
        assert judge.states().count(State.UNKNOWN) <= 1
        finished = len(list(judge.out.glob("orders/*/finished-*.json")))
        records = [path for kind in ("proof-*", "drift") for path in judge.out.glob(f"orders/*/{kind}.json")]
        assert len(records) >= 2 * finished
        assert all(json.loads(path.read_bytes()) for path in records)
    verdict = judge.verdict
    assert (verdict.bad, verdict.unfinished, verdict.stray, verdict.unlisted) == (0, 0, 0, 0)
    assert verdict.codes == {0, 4}
