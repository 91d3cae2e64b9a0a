"""Commands from start to end: ours beside rembg's own, with the same weights.

rembg's command needs `rembg[cli]`, which is installed beside (see the Makefile); `rembg` is its path.
"""

import shutil
import sys
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

from bench.measure import Row, Spent, command, paired
from bench.photo import FIXTURES, enlarged, weights_of
from photio_prep.cutout.models import devices

OURS = [sys.executable, "-m", "photio_prep"]
# What rembg calls them; our ISNet is the same network from another maker.
THEIRS = {"u2netp": "u2netp", "isnet-imgly": "isnet-general-use"}


def weights_for_rembg(models: list[str], folder: Path) -> dict[str, str]:
    """The environment in which rembg finds our weights under its own names, and fetches nothing."""
    home = folder / "u2net"
    home.mkdir(exist_ok=True)
    for model in models:
        found = home / f"{THEIRS[model]}.onnx"
        if not found.exists():
            found.symlink_to(weights_of(model))
    return {"U2NET_HOME": str(home), "MODEL_CHECKSUM_DISABLED": "1"}


def starts(rembg: str, runs: int) -> Iterator[Row]:
    yield paired("--help / rembg --help", lambda: command([*OURS, "--help"]), lambda: command([rembg, "--help"]), runs)
    yield paired(
        "import photio_prep / an empty Python",
        lambda: command([sys.executable, "-c", "import photio_prep"]),
        lambda: command([sys.executable, "-c", ""]),
        runs,
    )


def one_shot(rembg: str, size: int, models: list[str], folder: Path, runs: int) -> Iterator[Row]:
    """Each pair is another fixture, as in `photo.rows`."""
    there, out = weights_for_rembg(models, folder), folder / "out"
    photos = [str(enlarged(size, folder, each)) for each in (FIXTURES[0], *FIXTURES)]

    def ours(photo: str, model: str) -> Spent:
        shutil.rmtree(out, ignore_errors=True)
        words = ["-o", str(out), "--model", model, "--device", "cpu", "--gate", "off"]  # a stop is exit 3
        return command([*OURS, "prepare", photo, *words])

    def theirs(photo: str, model: str) -> Spent:
        return command([rembg, "i", "-m", THEIRS[model], photo, str(folder / "cut.png")], there)

    for model in models:
        turns = cycle(photos), cycle(photos)
        yield paired(
            f"{model}, {size} MP: prepare FILE / rembg i",
            lambda model=model, turn=turns[0]: ours(next(turn), model),
            lambda model=model, turn=turns[1]: theirs(next(turn), model),
            runs,
        )


def copies(size: int, count: int, folder: Path) -> Path:
    """A folder of `count` photos of `size` MP, the fixtures in turn, each another file."""
    photos = folder / f"batch-{count}"
    photos.mkdir(exist_ok=True)
    for number, fixture in zip(range(count), cycle(FIXTURES), strict=False):
        whole = enlarged(size, folder, fixture).read_bytes()
        comment = b"photo %6d" % number
        data = whole[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + whole[2:]
        (photos / f"{number:04}.jpg").write_bytes(data)
    return photos


def workers(size: int, count: int, numbers: list[int], models: list[str], folder: Path, runs: int) -> Iterator[Row]:
    """`prepare --workers N` beside threads."""
    photos, out = copies(size, count, folder), folder / "workers-out"

    def prepare(model: str, *options: str) -> Spent:
        shutil.rmtree(out, ignore_errors=True)
        words = ["--model", model, "--gate", "off", "-q", *options]
        return command([*OURS, "prepare", str(photos), "-o", str(out), *words])

    for model in models:
        for number in numbers:
            yield paired(
                f"{model}, {count} of {size} MP: --workers {number} / threads",
                lambda model=model, number=number: prepare(model, "--workers", str(number)),
                lambda model=model: prepare(model),
                runs,
                warm=0,
            )


def batch(rembg: str, size: int, count: int, models: list[str], folder: Path) -> Iterator[Row]:
    there = weights_for_rembg(models, folder)
    photos, out, cut = copies(size, count, folder), folder / "batch-out", folder / "batch-cut"

    def ours(model: str, device: str) -> Spent:
        shutil.rmtree(out, ignore_errors=True)
        words = ["--model", model, "--device", device, "--gate", "off", "-q"]  # a stop is exit 3
        return command([*OURS, "prepare", str(photos), "-o", str(out), *words])

    def theirs(model: str) -> Spent:
        shutil.rmtree(cut, ignore_errors=True)
        return command([rembg, "p", "-m", THEIRS[model], str(photos), str(cut)], there)

    for model in models:
        for device in [each for each in ("cpu", "openvino") if each in devices.available_devices()]:
            yield paired(
                f"{model}, {count} of {size} MP, {device}: prepare FOLDER / rembg p",
                lambda model=model, device=device: ours(model, device),
                lambda model=model: theirs(model),
                1,
                warm=0,
            )
