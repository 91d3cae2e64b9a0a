"""make bench: one table, each row a ratio measured in pairs in one run. Goals and results: measurements/speed.md.

    python -m bench [--quick] [--json FILE] [--rembg COMMAND] [--models NAME,NAME] [--only PART,PART] [--runs N]

PART: start, photo, memory, once, batch, workers, finish, growth. `--rembg` is the command of an installation
with `rembg[cli]`; without one the rows that need it are left out. Both sides use the same weights.
"""

import argparse
import compileall
import json
import os
import platform
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from bench import commands, finish, growth, measure, photo
from photio_prep.cutout.models import catalog, weights
from photio_prep.settings import models_folder

PARTS = ("start", "photo", "memory", "once", "batch", "workers", "finish", "growth")


def rows(asked: argparse.Namespace, models: list[str], folder: Path) -> Iterator[measure.Row]:
    sizes = [12] if asked.quick else [1, 12, 24]
    runs, count = asked.runs or (3 if asked.quick else 5), 6 if asked.quick else 50
    fixtures = asked.runs or (3 if asked.quick else 13)
    if "start" in asked.only and asked.rembg:
        yield from commands.starts(asked.rembg, runs)
    if "photo" in asked.only:
        yield from photo.rows(sizes, models, folder, fixtures)
    if "memory" in asked.only:
        yield from photo.memory([24], models, folder)
    if "once" in asked.only and asked.rembg:
        yield from commands.one_shot(asked.rembg, 12, models, folder, fixtures)
    if "batch" in asked.only and asked.rembg:
        yield from commands.batch(asked.rembg, 12, count, models[-1:] if asked.quick else models, folder)
    if "workers" in asked.only:
        cores = os.cpu_count() or 1
        yield from commands.workers(12, count, [max(cores, 2)], models, folder, asked.runs or 1)
    if "finish" in asked.only:
        yield from finish.rows(sizes, models[-1], folder, fixtures)
    if "growth" in asked.only:
        yield from growth.rows([10, 100] if asked.quick else [10, 100, 1000])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rembg", default="")
    parser.add_argument("--models", default="isnet-imgly,u2netp")
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--runs", type=int, default=0)
    asked = parser.parse_args()
    folder = models_folder()
    models = [each for each in asked.models.split(",") if weights.is_installed(catalog.find_weights(each), folder)]
    machine = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}"
    print(machine, measure.HEAD, sep="\n", flush=True)
    compileall.compile_dir(photo.ROOT / "photio_prep", quiet=1)  # as pip does where it installs
    found = []
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        for row in rows(asked, models, Path(scratch)):
            print(row, flush=True)
            found.append(asdict(row))
    if asked.json:
        asked.json.write_text(json.dumps({"machine": machine, "rows": found}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
