"""A server that bills, the product in a process that forks, and a judge with an empty folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.crash.harness import Forked
from tests.crash.judge import TARGET, Judge, quick_folder
from tests.support.hostile import HostileServer
from tests.support.hostile_answers import ok

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="package")
def server() -> Iterator[HostileServer]:
    with HostileServer(ok()) as server:
        yield server


@pytest.fixture(scope="package")
def base() -> Iterator[Path]:
    with quick_folder() as folder:
        yield folder


@pytest.fixture(scope="package")
def forked(base: Path) -> Iterator[Forked]:
    with Forked(TARGET, [], base / "out") as forked:
        yield forked


@pytest.fixture
def judge(base: Path, server: HostileServer, forked: Forked) -> Judge:
    server.script = ok()
    judge = Judge(base, server, forked)
    judge.reset()
    return judge
