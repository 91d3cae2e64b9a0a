"""Ten thousand orders (soak): none lost, none doubled, memory flat; a finished batch is looked at without a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench import load
from tests.support.hostile import HostileServer
from tests.support.hostile_answers import ok

if TYPE_CHECKING:
    from pathlib import Path


def check(folder: Path, count: int) -> None:
    with HostileServer(ok(), keep_bodies=False) as server:
        first = load.alone("batch", server.url, folder, count, 8)
        assert (first.code, first.finished) == (0, count)
        assert (server.hits, server.charges, server.charged_twice()) == (count, count, {})
        assert first.peak_mib <= 300
        assert first.end_mib <= 1.1 * first.early_mib
        again = load.alone("again", server.url, folder, 8)
        assert (again.code, again.finished, server.hits) == (0, count, count)
        assert again.peak_mib <= 300


@pytest.mark.soak
def test_two_hundred_orders_none_lost_none_doubled_and_none_sent_again(base: Path):
    with HostileServer(ok(), keep_bodies=False) as server:
        out = base / "load-200"
        first = load.alone("batch", server.url, out, 200, 8)
        again = load.alone("again", server.url, out, 8)
        assert (first.code, first.finished, again.code, again.finished) == (0, 200, 0, 200)
        assert (server.hits, server.charged_twice()) == (200, {})


@pytest.mark.soak
def test_ten_thousand_orders_in_flat_memory(base: Path):
    check(base / "load-10000", 10_000)
