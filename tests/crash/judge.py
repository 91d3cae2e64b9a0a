"""A folder of the product's orders, the server that bills them, and the judge of both.

Takes a folder and a running `HostileServer`; gives a `Verdict` that grows with every run looked at.
Touches the folder, which it empties at each `reset`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from photio_prep.orders.folder import OrderFolder, find_orders
from photio_prep.orders.state import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.crash.harness import Forked, KillResult
    from tests.support.hostile import HostileServer

TARGET = "tests.crash.product:main"


@contextmanager
def quick_folder() -> Iterator[Path]:
    """A folder in memory where the system has one: a kill does not tell it from a disk, and a sync costs nothing.

    The folder of rescue lies in it, beside the output folder.
    """
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 2**28
    with tempfile.TemporaryDirectory(prefix="photio-crash-", dir=memory if roomy else None) as name:
        folder = Path(name)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_STATE_HOME", str(folder / "state"))
            yield folder


@dataclass(slots=True)
class Verdict:
    """What was found over all runs."""

    double: int = 0
    bad: int = 0
    stray: int = 0
    unfinished: int = 0
    unlisted: int = 0
    unknown_at_most: int = 0
    codes: set[int] = field(default_factory=set)


class Judge:
    """Looks at orders and bills; has the runner that makes them."""

    def __init__(self, base: Path, server: HostileServer, forked: Forked) -> None:
        self.out, self.server, self._forked = base / "out", server, forked
        self.count, self.workers = 3, 1
        self.verdict = Verdict()

    def arguments(self, variant: str = "correct") -> list[str]:
        return [str(self.out), str(self.server.port), variant, str(self.count), str(self.workers)]

    def runner(self, variant: str = "correct") -> Forked:
        """Runs `count` orders by `workers` threads, as they are set now."""
        self._forked.take(self.arguments(variant), self.out)
        return self._forked

    def reset(self) -> None:
        for place in (self.out, self.out.with_name("state")):
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
        self.server.forget()

    def states(self) -> list[State]:
        """How far each order is, as `status` says."""
        return [OrderFolder(folder).state for folder in find_orders(self.out)]

    def is_bad(self, mark: Path) -> bool:
        """Whether a finished mark promises bytes that are not there."""
        promised = json.loads(mark.read_bytes())
        final = Path(promised["path"])
        return not final.exists() or hashlib.sha256(final.read_bytes()).hexdigest() != promised["sha256"]

    def look(self) -> None:
        """Count what must never be, at any moment."""
        self.server.settle()
        self.verdict.double += len(self.server.charged_twice())
        self.verdict.bad += sum(map(self.is_bad, self.out.glob("orders/*/finished-*.json")))

    def after(self, result: KillResult) -> None:
        """Look at what a kill and the clean run after it left."""
        self.look()
        states = self.states()
        unknown = states.count(State.UNKNOWN)
        self.verdict.unknown_at_most = max(self.verdict.unknown_at_most, unknown)
        if result.clean:
            done = unknown + states.count(State.FINISHED)
            self.verdict.unfinished += self.count - done
            self.verdict.stray += sum(path.name != "answer.part" for path in self.out.rglob("*.part"))
            self.verdict.codes.add(result.clean.status)
            # Each unknown is named, with its folder, in what the clean run said.
            lost = [folder for folder in find_orders(self.out) if OrderFolder(folder).state is State.UNKNOWN]
            self.verdict.unlisted += sum(str(folder) not in result.clean.output for folder in lost)
