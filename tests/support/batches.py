"""Batches of planned orders on disk, paid for by the real command line against a server that misbehaves.

Takes a folder, an address and a number; gives folders of orders, what the command said, and the states on disk.
Touches that folder, and what the command touches.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from photio_prep import pipeline
from photio_prep.api import retry
from photio_prep.geometry import Recommended, Size
from photio_prep.orders.folder import OrderFolder, find_orders
from photio_prep.orders.state import State
from tests.support.commands import KEY, Command, Said, bare_surroundings, forget
from tests.support.photos import SCENE, cutout

if TYPE_CHECKING:
    import pytest

    from tests.support.hostile import HostileServer

# Far smaller than any size that Photio recommends, so that hundreds of orders cost seconds.
TINY = Recommended("Tiny", "4:3", Size(64, 48), documented=False)
WORKERS = 8


def surroundings(patch: pytest.MonkeyPatch, home: Path, settings: str = "", **timeouts: float) -> None:
    """A key in the environment, short patience in photio.toml, short waits between tries of what was never sent."""
    bare_surroundings(patch, home)
    patch.setenv("PHOTIO_API_KEY", KEY)
    patch.setattr(retry, "_FIRST_WAIT", 0.01)
    patch.setattr(retry, "_LAST_WAIT", 0.02)
    configure(home, settings, **timeouts)


def configure(home: Path, settings: str = "", **timeouts: float) -> None:
    """Write photio.toml: seconds by name, and further lines."""
    patience = {"connect": 5.0, "write": 5.0, "read": 10.0, "overall": 30.0} | timeouts
    lines = ["[timeouts]", *(f"{name} = {value}" for name, value in patience.items()), settings]
    place = home / "photio-prep" / "photio.toml"
    place.parent.mkdir(exist_ok=True)
    place.write_text("\n".join(lines) + "\n")
    forget()


def planned(out: Path, url: str, count: int, *, big: bool = False) -> list[Path]:
    """The folders of `count` orders for `url`, one picture asked for with as many seeds: 1, 2, 3 …

    A `big` picture is of 3 MB, so that it cannot vanish into the kernel's buffers.
    """
    picture, size = (noise(1000), Recommended("Big", "1:1", Size(1000, 1000))) if big else (cutout(), TINY)
    made = [
        pipeline.prepare(
            picture,
            description=SCENE,
            seed=seed,
            size=size,
            endpoint=url,
            orders=out / "orders",
            output=f"photo-{seed}",
        )
        for seed in range(1, count + 1)
    ]
    return [each.folder for each in made if each.folder is not None]


def noise(side: int) -> Image.Image:
    """A cutout that does not compress."""
    pixels = np.random.default_rng(1).integers(0, 255, (side, side, 4), np.uint8)
    pixels[..., 3] = 255
    pixels[: side // 8] = pixels[:, : side // 8] = 0
    return Image.fromarray(pixels)


@dataclass(frozen=True)
class Batch:
    """Orders in one output folder, and the command that pays for them."""

    run: Command
    out: Path
    url: str
    workers: int = WORKERS

    def generate(self, *options: object) -> Said:
        """A plain run over the whole folder."""
        return self.run("generate", self.out, "--api-url", self.url, "--yes", "--jobs", self.workers, *options)

    @property
    def folders(self) -> list[Path]:
        return find_orders(self.out)

    @property
    def states(self) -> dict[State, int]:
        return dict(Counter(OrderFolder(each).state for each in self.folders))

    @property
    def parts(self) -> list[Path]:
        """The answers that never arrived whole."""
        return sorted(self.out.glob("orders/*/answer.part"))

    @property
    def claims(self) -> list[Path]:
        return sorted(self.out.glob("orders/*/claim.json"))

    def not_sent(self, *words: str, code: int = 9) -> None:
        """One run: nothing was sent, everything stays planned, and the message says so."""
        said = self.generate()
        assert said.code == code, said
        for word in ("not sent, nothing billed", *words):
            assert word in said.err, said.err
        assert self.states == {State.PLANNED: len(self.folders)}
        assert self.claims == self.parts == []

    def goes_on(self, server: HostileServer) -> None:
        """A plain further run, the cause mended: everything is answered, each order billed once in all."""
        said = self.generate()
        assert said.code == 0, said
        self.all_answered(server)

    def all_answered(self, server: HostileServer) -> None:
        """Each order has its answer and was billed once in all."""
        assert self.states == {State.ANSWERED: len(self.folders)}
        assert (server.charges, server.charged_twice()) == (len(self.folders), {})

    def all_unknown(self, server: HostileServer, word: str, *, charges: int, part: bool = False) -> str:
        """Every order ends unknown after one attempt, however often the same is run; the message offers three ways."""
        count, told = len(self.folders), ""
        for _ in range(count // 10 + 2):  # the breaker lets some ten a run through
            said = self.generate()
            told += said.err
            assert said.code == 4, said
            if State.PLANNED not in self.states:
                break
        server.settle()
        assert self.states == {State.UNKNOWN: count}
        assert (server.connections, server.charges, server.charged_twice()) == (count, charges * count, {})
        assert len(self.parts) == part * count
        assert len(re.findall(word, told)) >= count, told
        for way in ("look at your bill", "--as retry", "--as lost", "perhaps a second time"):
            assert told.count(way) >= count, told
        assert self.generate().code == 4
        assert server.connections == count
        return told


Plan = Callable[..., Batch]


def planner(run: Command, out: Path) -> Plan:
    """Gives `plan(url, count, big=False)`: that many planned orders, and the command that pays for them."""

    def plan(url: str, count: int, *, big: bool = False) -> Batch:
        made = Batch(run, out, url)
        assert len(planned(out, url, count, big=big)) == count
        assert made.states == {State.PLANNED: count}
        return made

    return plan
