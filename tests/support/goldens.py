"""Whether a change of the code changed what users get: record a run over the fixtures, and compare it with a later one.

    python tests/support/goldens.py record before.json     # before the change
    python tests/support/goldens.py compare before.json    # after it; names every difference, exit status 1

The fixtures run through the free sandbox on both installed models and with several options. Compared are the order
keys, the bytes of `canvas.png`, the pixels of `cutout.png` and of every final, the records of the order folders and
the report. Times, durations and the folder's own path are left out.
"""

import json
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[2]
SCENE = "on a marble table, soft morning light, a plain wall behind"
RUNS = {
    "auto": ["fixtures/photos"],
    "u2netp": ["fixtures/photos", "--model", "u2netp", "--device", "cpu"],
    "generated": ["fixtures/photos/mug.jpg", "fixtures/photos/flask.webp", "--product", "generated", "--format", "png"],
    "detail": ["fixtures/photos/toy.jpg", "--product", "detail", "--holes", "fill", "--grow", "1", "--feather", "1"],
    "framed": ["fixtures/photos/vase.jpg", "--frame", "product", "--margin", "12%", "--preset", "shopify"],
    "seeds": ["fixtures/photos/lamp.jpg", "--seeds", "2", "--size", "Square"],
}
TIMES = {"created", "started", "seconds", "when", "at", "time", "pid", "boot", "host", "machine", "id", "namespace"}
PICTURES = {".jpg", ".png", ".webp"}


def record(folder: Path) -> dict[str, str]:
    """Run every row of RUNS below `folder`; return a digest or a text for each file and record."""
    values: dict[str, str] = {}
    for name, arguments in RUNS.items():
        out = folder / name
        command = [sys.executable, "-m", "photio_prep", "run", *arguments, "-d", SCENE, "--out", str(out)]
        subprocess.run(
            [*command, "--sandbox", "--gate", "off", "--quiet", "--json"],
            cwd=ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        for path in sorted(out.rglob("*")):
            place = path.relative_to(folder).as_posix()
            if not path.is_file() or "review" in place or "/." in place:
                continue
            if path.name == "canvas.png":
                values[place] = sha256(path.read_bytes()).hexdigest()
            elif path.suffix in PICTURES:
                with Image.open(path) as picture:
                    values[place] = f"{picture.mode} {picture.size} {sha256(picture.tobytes()).hexdigest()}"
            elif path.suffix == ".json" and path.name != "claim.json":
                values[place] = json.dumps(without_times(json.loads(path.read_text("utf-8"))), sort_keys=True).replace(
                    str(folder), ""
                )
    return values


def without_times(value: object) -> object:
    """`value` of a JSON file without what differs from one run to the next: times, and the order of finished photos."""
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if key not in TIMES}
    if isinstance(value, list):
        items = [without_times(item) for item in value]
        return sorted(items, key=json.dumps) if items and isinstance(items[0], dict) else items
    return value


def main() -> int:
    verb, file = sys.argv[1], Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        now = record(Path(folder))
    if verb == "record":
        file.write_text(json.dumps(now, indent=1, sort_keys=True), encoding="utf-8")
        return 0
    before = json.loads(file.read_text("utf-8"))
    differing = [place for place in sorted({*before, *now}) if before.get(place) != now.get(place)]
    for place in differing:
        sys.stdout.write(
            f"{place}\n  before {before.get(place, 'absent')[:900]}\n  now    {now.get(place, 'absent')[:900]}\n"
        )
    sys.stdout.write(f"{len(now)} compared, {len(differing)} differ\n")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
