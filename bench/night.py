"""A folder of photos, from the command line, against an API that takes its time: how near to the larger of two bounds.

    python -m bench.night FOLDER [--model NAME] [--latency 5] [--engine local|ray]... [--workers 2]

Bounds: what preparing and finishing alone take (an API that answers at once), and latency times photos over 8 calls in
flight. Each way must come to the same orders and the same finals, and so must photos prepared one by one.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path

from photio_prep.cutout.models.registry import get_model
from photio_prep.orders.folder import find_orders
from photio_prep.pipeline import prepare
from tests.support.hostile import HostileServer
from tests.support.hostile_answers import ok
from tests.support.hostile_delivery import slow

IN_FLIGHT = 8
SCENE = "on a marble table, soft morning light"


def night(photos: Path, out: Path, url: str, *options: str) -> float:
    """Seconds of `run` over the folder."""
    words = [sys.executable, "-m", "photio_prep", "run", str(photos), "-o", str(out), "-d", SCENE, "--api-url", url]
    words += ["--jobs", str(IN_FLIGHT), "--yes", "--gate", "off", "-q", *options]
    started = time.monotonic()
    subprocess.run(words, env=os.environ | {"PHOTIO_API_KEY": "pt-bench"}, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - started


def made(out: Path) -> tuple[set[str], dict[str, str]]:
    """What a run came to: a digest of each order's canvas, and of each final by its name."""
    canvases = {_digest(folder / "canvas.png") for folder in find_orders(out)}
    return canvases, {each.name: _digest(each) for each in out.glob("*.jpg")}


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--model", default="auto")
    parser.add_argument("--latency", type=float, default=5)
    parser.add_argument("--engine", action="append", choices=("local", "ray"))
    parser.add_argument("--workers", default="2")
    asked = parser.parse_args()
    count = len(list(asked.photos.iterdir()))
    ways = {"local": (), "ray": ("--engine", "ray", "--workers", asked.workers)}
    with tempfile.TemporaryDirectory(prefix="bench-night-") as scratch, ExitStack() as servers:
        for engine in asked.engine or ["local"]:
            options = ("--model", asked.model, *ways[engine])
            quick = servers.enter_context(HostileServer(ok(), keep_bodies=False))
            behaviour = slow(ok(), latency=asked.latency, bandwidth=1e9)
            late = servers.enter_context(HostileServer(behaviour, keep_bodies=False))
            alone = night(asked.photos, Path(scratch, f"{engine}-quick"), quick.url, *options)
            print(f"{engine}: {count} photos in {alone:.1f} s with an API that answers at once", flush=True)
            if asked.latency:
                whole = night(asked.photos, Path(scratch, f"{engine}-late"), late.url, *options)
                bound = max(alone, count * asked.latency / IN_FLIGHT)
                print(
                    f"{engine}: {whole:.1f} s at {asked.latency:g} s an answer, {whole / bound:.2f} of the bound",
                    flush=True,
                )
            twice = len(quick.charged_twice()) + len(late.charged_twice())
            print(f"{engine}: {quick.hits + late.hits} requests, {twice} orders charged twice", flush=True)
        matter = get_model(asked.model)
        for photo in sorted(asked.photos.iterdir()):
            prepare(photo, model=matter, description=SCENE, orders=Path(scratch, "one", "orders"))
        results = {each.name: made(each) for each in Path(scratch).iterdir()}
        for name, (canvases, finals) in sorted(results.items()):
            print(f"{name}: {len(canvases)} canvases, {len(finals)} finals", flush=True)
        canvases = [each for each, _ in results.values()]
        finals = [each for _, each in results.values() if each]
        print("canvases of each way are the same:", all(each == canvases[0] for each in canvases))
        print("finals of each way are the same:", all(each == finals[0] for each in finals))


if __name__ == "__main__":
    main()
