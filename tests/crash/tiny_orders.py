"""The order protocol of RELIABILITY.md in its smallest form, and four ways of getting it wrong that must be caught.

`main([folder, port, variant, orders, workers])` brings that many orders to finished or unknown, resuming what it finds.
It stands in for the product until the harness drives that, and stays as the harness's own proof.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

BOOT = Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def write_whole(path: Path, data: bytes) -> None:
    """The file is there with all its bytes or not at all, whatever happens."""
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync_folder(path.parent)


def started(pid: int) -> str:
    """When a process started, in ticks since boot; empty where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


class Correct:
    """Claim, call, keep the answer, finish, mark; each step on disk before the next begins."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.claim, self.answer, self.output, self.finished = (
            folder / name for name in ("claim.json", "answer.json", "final.png", "finished.json")
        )

    def bring_home(self) -> str:
        self.folder.mkdir(exist_ok=True)
        if self.finished.exists():
            return "finished"
        if not self.take():
            if self.claimed_by_the_living():
                return "busy"
            if not self.answer.exists():
                return self.found_dead()
        if not self.answer.exists():
            write_whole(self.answer, self.pay())
        self.finish(base64.b64decode(json.loads(self.answer.read_bytes())["body"]))
        return "finished"

    def take(self) -> bool:
        """Claim by exclusive creation: of two processes, one wins."""
        try:
            handle = os.open(self.claim, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            return False
        pid = os.getpid()
        os.write(handle, json.dumps({"pid": pid, "boot": BOOT, "started": started(pid)}).encode())
        os.fsync(handle)
        os.close(handle)
        sync_folder(self.folder)
        return True

    def claimed_by_the_living(self) -> bool:
        try:
            holder = json.loads(self.claim.read_bytes())
        except ValueError:
            return False  # cut while it was written: nothing was sent yet, but nobody can know that
        return bool(holder["boot"] == BOOT and holder["started"] and holder["started"] == started(holder["pid"]))

    def found_dead(self) -> str:
        return "unknown"

    def pay(self) -> bytes:
        body = json.dumps({"seed": int(self.folder.name), "product_image": "https://example.invalid/p.png"}).encode()
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            conn.request("POST", "/v1/inference/instant", body)
            return conn.getresponse().read()
        finally:
            conn.close()

    def finish(self, picture: bytes) -> None:
        write_whole(self.output, picture)
        self.mark(picture)

    def mark(self, picture: bytes) -> None:
        digest = hashlib.sha256(picture).hexdigest()
        write_whole(self.finished, json.dumps({"sha256": digest, "size": len(picture)}).encode())


class ResendsDeadClaims(Correct):
    """A: a dead claim without an answer looks like work not done, and is done again."""

    def found_dead(self) -> str:
        write_whole(self.answer, self.pay())
        self.finish(base64.b64decode(json.loads(self.answer.read_bytes())["body"]))
        return "finished"


class ClaimsAfterTheCall(Correct):
    """B: the claim says that the call was made, instead of that it may have been."""

    def bring_home(self) -> str:
        self.folder.mkdir(exist_ok=True)
        if not self.claim.exists():
            write_whole(self.answer, self.pay())
            self.take()
        return super().bring_home()


class MarksFinishedFirst(Correct):
    """C: the mark comes before the output, and the output is written in place."""

    def finish(self, picture: bytes) -> None:
        self.mark(picture)
        self.output.write_bytes(picture)


class SkipsIfOutputExists(Correct):
    """D: no claim at all; the output's existence is the only memory."""

    def bring_home(self) -> str:
        self.folder.mkdir(exist_ok=True)
        if not self.output.exists():
            write_whole(self.answer, self.pay())
            self.finish(base64.b64decode(json.loads(self.answer.read_bytes())["body"]))
        return "finished"


VARIANTS: dict[str, type[Correct]] = {
    "correct": Correct,
    "A": ResendsDeadClaims,
    "B": ClaimsAfterTheCall,
    "C": MarksFinishedFirst,
    "D": SkipsIfOutputExists,
}


def main(arguments: list[str]) -> int:
    folder, port, variant, orders, workers = arguments
    todo = [VARIANTS[variant](Path(folder, str(seed)), int(port)) for seed in range(1, int(orders) + 1)]
    if workers == "1":  # in this very thread, so that points come in the same order every time
        states = [order.bring_home() for order in todo]
    else:
        with ThreadPoolExecutor(int(workers)) as pool:
            states = list(pool.map(lambda order: order.bring_home(), todo))
    print(" ".join(states))
    return 0
