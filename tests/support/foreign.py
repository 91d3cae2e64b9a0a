"""Order folders of somebody who means harm: every file a link, a pipe, a device, a folder or 10 GB; evil records.

Takes an output folder and a folder beside it that nobody may touch; fills them. Touches those two.
"""

from __future__ import annotations

import base64
import json
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from photio_prep.imaging.encode import encode_png
from photio_prep.orders import claims, store
from photio_prep.orders.marks import Marks
from photio_prep.system import files
from photio_prep.types import Canvas
from tests.support import photos

if TYPE_CHECKING:
    from photio_prep.orders.store import Order

SECRET = b"\x89PNG\r\n\x1a\n the user's own, which no order may show, copy or change"
HUGE = 10 * 2**30


def _device(path: Path, _: Path) -> None:
    path.symlink_to("/dev/zero")


def _pipe(path: Path, _: Path) -> None:
    os.mkfifo(path)


def _sparse(path: Path, _: Path) -> None:
    with path.open("wb") as file:
        file.truncate(HUGE)


def _folder(path: Path, _: Path) -> None:
    path.mkdir()


def _link(path: Path, outside: Path) -> None:
    path.symlink_to(outside / "secret.png")


def _deep(path: Path, _: Path) -> None:
    path.write_bytes(b'{"a":' * 100_000)


Put = Callable[[Path, Path], None]
KINDS: dict[str, Put] = {
    "device": _device,
    "pipe": _pipe,
    "sparse": _sparse,
    "folder": _folder,
    "link": _link,
    "deep": _deep,
}
# What lies in an order's folder; the star stands for the photo's digits.
ANSWERED: tuple[str, ...] = (
    "order.json",
    "photo-*.json",
    "gate-*.json",
    "canvas.png",
    "cutout.png",
    "answer.raw",
    "outcome.json",
)
ANSWERED += ("finished-*.json", "continued.json", "photo.jpg", "overlay.png", "mask.png", "drift.json", "drift.png")
ANSWERED += ("proof-*.json", "source-0000000000000000-0.png")
PLANNED = ("claim.json", "answer.part", "outcome.json", "continued.json", "canvas.png")
# Names that lead out of the output folder, or that a terminal or a file system should not see.
NAMES = (
    "../outside/x",
    "/tmp/photio-foreign-x",
    "a/../../outside/x",
    "C:\\x",
    "x\x00y",
    "x\ny",
    "x\u202egnp",
    "linked/x",
)
SIZES: tuple[dict[str, Any], ...] = (
    {"source": [40_000, 40_000]},
    {"canvas": [40_000, 40_000], "box": [0, 0, 40_000, 40_000]},
    {"source": [10**18, 10**18]},
    {"source": [1e9, 1]},
    {"source": "48"},
    {"source": [True, True]},
    {"box": [0, 0, 0, 0]},
    {"crop": [0, 0, 10**9, 10**9]},
    {"crop": {}},
)
RECORDS: tuple[tuple[str, object], ...] = (
    ("outcome.json", {"state": "x", "why": "y"}),
    ("outcome.json", {"state": ["unknown"], "why": 1}),
    ("outcome.json", []),
    ("claim.json", {"host": [], "boot": {}, "pid": "../../dev/zero", "started": 1, "time": None}),
    ("drift.json", {"score": "NaN", "sentence": ["x"]}),
    ("proof-*.json", {"notes": 7, "product": {}}),
    ("finished-*.json", {"path": ["/dev/zero"], "bytes": "x", "sha256": None}),
    ("finished-*.json", {"path": "/dev/zero", "bytes": HUGE, "sha256": "0" * 64}),
    ("continued.json", {"paid": "../../outside", "sandbox": 7}),
    ("gate-*.json", {"reasons": [{}], "figures": 1}),
)


class Foreign:
    """Fills `out` with orders for `endpoint`, each wrong in one way; `outside` holds what nobody may touch."""

    def __init__(self, out: Path, outside: Path, endpoint: str) -> None:
        self.out, self.outside, self.endpoint = out, outside, endpoint
        self._numbers = count(1)
        outside.mkdir()
        (outside / "secret.png").write_bytes(SECRET)

    def order(self, output: str = "", *, answered: bool = True, canvas: bytes | None = None) -> Path:
        """The folder of a new order as it should be."""
        number = next(self._numbers)
        made = photos.order(endpoint=self.endpoint, source=f"{number}.png", seed=number)
        made = replace(made, origin=replace(made.origin, output=output or str(number)))
        if canvas is not None:
            asked = replace(made.request, canvas=Canvas(canvas, made.placement))
            made = replace(made, request=asked, cutout=None)
        folder = store.write_order(made, self.out / "orders").folder
        assert folder
        if answered:
            self.answer(made, folder)
        return folder

    def answer(self, order: Order, folder: Path) -> None:
        """A paid answer, and the final that was made of it."""
        picture = encode_png(photos.cutout((48, 32)).convert("RGB"))
        body = base64.b64encode(picture).decode()
        assert claims.claim(folder / "claim.json")
        (folder / "answer.raw").write_text(json.dumps({"status_code": 200, "body": body}))
        with_name = order.origin.output.isalnum()
        if with_name:
            final = self.out / f"{order.origin.output}-photio.png"
            files.write_atomic(final, picture, durable=False)
            Marks(folder, order.origin).mark_finished(final, picture)

    def poisoned(self, name: str, kind: str, *, answered: bool = True) -> None:
        """An order one of whose files is something else."""
        folder = self.order(answered=answered)
        path = self._path(folder, name)
        path.unlink(missing_ok=True)
        KINDS[kind](path, self.outside)

    def record(self, name: str, facts: object) -> None:
        """An order one of whose records says something else."""
        self._path(self.order(), name).write_text(json.dumps(facts))

    def placed(self, way: dict[str, Any]) -> None:
        """An order whose photo has another placement."""
        path = self._path(self.order(), "photo-*.json")
        facts = json.loads(path.read_bytes())
        facts["placement"] |= way
        path.write_text(json.dumps(facts))

    def fill(self) -> None:
        """Everything that is told above, and bombs."""
        for kind in KINDS:
            for name in ANSWERED:
                self.poisoned(name, kind)
            for name in PLANNED:
                self.poisoned(name, kind, answered=False)
        for name, facts in RECORDS:
            self.record(name, facts)
        for way in SIZES:
            self.placed(way)
        (self.out / "linked").symlink_to(self.outside)
        for output in NAMES:
            self.order(output)
        bomb = flat_png((30_000, 30_000))
        self.order(canvas=bomb)
        (self.order() / "cutout.png").write_bytes(bomb)
        (self.order() / "photo.jpg").write_bytes(bomb)
        text = b'{"status_code": 200, "body": "' + base64.b64encode(bomb) + b'"}'
        for raw in (text, b'{"body": [' + b"[]," * 2**24 + b"0]}", b'{"body": "' + b"A " * 2**24 + b'"}'):
            (self.order() / "answer.raw").write_bytes(raw)
        for kind in ("device", "pipe", "sparse", "folder", "link"):  # where a final goes
            folder = self.order()
            (marked,) = folder.glob("finished-*.json")
            final = Path(json.loads(marked.read_bytes())["path"])
            final.unlink()
            KINDS[kind](final, self.outside)
        (self.out / "orders" / ("0" * 32)).symlink_to(self.outside)

    def _path(self, folder: Path, name: str) -> Path:
        (photo,) = folder.glob("photo-*.json")
        return folder / name.replace("*", photo.stem.partition("-")[2])


def flat_png(size: tuple[int, int]) -> bytes:
    """A whole and right PNG of one bit a pixel: hundreds of megapixels in a hundred kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(bytes((size[0] // 8 + 1) * size[1]), 9)
    header = struct.pack(">IIBBBBB", *size, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
