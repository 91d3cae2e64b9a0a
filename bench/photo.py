"""One photo, warm: ours beside rembg's library pipeline, and beside the floor, with the same weights.

`python -m bench.photo ours|theirs MODEL PHOTO` runs one side alone once, so that its memory can be measured.
"""

import io
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.measure import Row, Spent, command, here, paired
from photio_prep.cutout.models import catalog, devices
from photio_prep.cutout.models.registry import CatalogModel, get_model
from photio_prep.cutout.models.segmenter import NETWORKS, OnnxSegmenter
from photio_prep.cutout.options import CutoutOptions, Looks
from photio_prep.geometry import Size, box_on, place, snap
from photio_prep.intake.load import load
from photio_prep.pipeline import prepare
from photio_prep.settings import models_folder

ROOT = Path(__file__).parents[1]
PIXELS = {1: 1152 * 864, 12: 4032 * 3024, 24: 6000 * 4000}
FIXTURES = sorted((ROOT / "fixtures" / "photos").iterdir())


def enlarged(megapixels: int, folder: Path, fixture: Path = FIXTURES[0]) -> Path:
    """A fixture at the size of a camera's photo, with a camera's noise: a JPEG."""
    path = folder / f"{fixture.stem}-{megapixels}mp.jpg"
    if not path.exists():
        with Image.open(fixture) as opened:
            scale = (PIXELS[megapixels] / (opened.width * opened.height)) ** 0.5
            size = round(opened.width * scale), round(opened.height * scale)
            photo = opened.convert("RGB").resize(size, Image.Resampling.BICUBIC)
        noise = np.random.default_rng(1).normal(0, 3, (*size[::-1], 3))
        Image.fromarray(np.clip(np.asarray(photo) + noise, 0, 255).astype(np.uint8)).save(path, quality=92)
    return path


def weights_of(model: str) -> Path:
    return models_folder() / f"{model}.onnx"


def plain_matter(model: str) -> OnnxSegmenter:
    """Our weights in rembg's session on onnxruntime's own defaults: what rembg would make of them."""
    import onnxruntime

    found = catalog.find_weights(model)
    matter = OnnxSegmenter(weights_of(model), found.family, model, device="cpu")
    matter.session.inner_session = onnxruntime.InferenceSession(
        weights_of(model).read_bytes(), providers=["CPUExecutionProvider"]
    )
    return matter


def obvious(photo: Path, matter: OnnxSegmenter) -> bytes:
    """The obvious pipeline: rembg.remove on all of the photo, then resize, pad, PNG."""
    import rembg

    cut = rembg.remove(Image.open(photo), session=matter.session)
    assert isinstance(cut, Image.Image)
    way = place(Size(*cut.size), snap(Size(*cut.size)).size)
    canvas = Image.new("RGBA", way.canvas)
    canvas.paste(cut.resize(way.box.size, Image.Resampling.LANCZOS), way.box[:2])
    holder = io.BytesIO()
    canvas.save(holder, "PNG")
    return holder.getvalue()


def floor(matter: OnnxSegmenter) -> Callable[[Path], object]:
    """One bare inference, and the decoding of the JPEG."""
    family = catalog.find_weights(matter.name).family
    mean, deviation, side = NETWORKS[family][2:5]
    session, _, _ = devices.open_session(weights_of(matter.name).read_bytes(), "cpu")

    @cache
    def feed(photo: Path) -> dict[str, Any]:
        with Image.open(photo) as opened:
            fed: dict[str, Any] = matter.session.normalize(opened, mean, deviation, (side, side))
        return fed

    def work(photo: Path) -> None:
        with Image.open(photo) as opened:
            opened.load()
        session.run(None, feed(photo))

    return work


class Watched:
    """A network that counts its runs and their processor time."""

    def __init__(self, network: Any) -> None:  # noqa: ANN401  onnxruntime has no types
        self.network, self.cpu, self.runs = network, 0.0, 0
        self.get_inputs, self.get_outputs = network.get_inputs, network.get_outputs

    def run(self, *words: object) -> object:
        start, self.runs = time.process_time(), self.runs + 1
        try:
            return self.network.run(*words)
        finally:
            self.cpu += time.process_time() - start


def rest(photo: Path, matter: CatalogModel, network: Watched) -> Spent:
    """Processor time of `prepare --looks 1` but its network and the decoding, which is measured by itself."""
    network.cpu = 0
    whole = here(lambda: ordered(photo, matter, "1")).cpu - network.cpu
    seconds = whole - here(lambda: load(photo, at=box_on(None))).cpu
    return Spent(seconds, seconds)


def by_runs(photos: list[Path], matter: CatalogModel, network: Watched) -> dict[int, list[Path]]:
    """The photos by how often the network runs for one of them, with one look."""
    groups: dict[int, list[Path]] = {}
    for photo in photos:
        network.runs = 0
        ordered(photo, matter, "1")
        groups.setdefault(network.runs, []).append(photo)
    return dict(sorted(groups.items()))


def in_turn(photos: list[Path], work: Callable[[Path], object]) -> Callable[[], Spent]:
    """One run with the next of the photos: both sides of a pair see the same one."""
    rest = cycle(photos)
    return lambda: here(partial(work, next(rest)))


def rows(sizes: list[int], models: list[str], folder: Path, runs: int) -> Iterator[Row]:
    """Each pair is another fixture, in the order of their names; the first one warms up."""
    for model in models:
        library, on_cpu = plain_matter(model), get_model(model, device="cpu")
        theirs, least, ours = partial(obvious, matter=library), floor(library), partial(ordered, matter=on_cpu)
        for size in sizes:
            photos = [enlarged(size, folder, each) for each in (FIXTURES[0], *FIXTURES)]
            for photo in photos:
                least(photo)
            what = f"{model}, {size} MP"
            both = in_turn(photos, ours), in_turn(photos, theirs)
            yield paired(f"{what}: prepare / rembg's library", *both, runs)
            if "openvino" in devices.available_devices():
                quick = partial(ordered, matter=get_model(model, device="openvino"))
                both = in_turn(photos, quick), in_turn(photos, theirs)
                yield paired(f"{what}: on OpenVINO / rembg's library", *both, runs)
            once = in_turn(photos, partial(ours, looks="1"))
            yield paired(f"{what}: prepare / prepare --looks 1", in_turn(photos, ours), once, runs)
            session = on_cpu.open().session
            network = session.inner_session = Watched(session.inner_session)
            for count, group in by_runs(photos[1:], on_cpu, network).items():
                both = in_turn(group, partial(ours, looks="1")), in_turn(group, least)
                yield paired(f"{what}: {count} run(s) / decode + inference ({len(group)})", *both, runs)
            turn = cycle(photos)
            yield paired(
                f"{what}: CPU of the rest / of decoding to scale",
                lambda turn=turn, model=on_cpu, network=network: rest(next(turn), model, network),
                in_turn(photos, lambda photo: load(photo, at=box_on(None))),
                runs,
            )
            session.inner_session = network.network


def ordered(photo: Path, matter: CatalogModel, looks: Looks = "auto") -> object:
    return prepare(photo, model=matter, description="on oak", cutting=CutoutOptions(looks=looks))


def memory(sizes: list[int], models: list[str], folder: Path) -> Iterator[Row]:
    for model in models:
        for size in sizes:
            words = [sys.executable, "-m", "bench.photo"]
            told = (model, str(enlarged(size, folder)))
            yield paired(
                f"{model}, {size} MP: a process with one photo",
                lambda told=told, words=words: command([*words, "ours", *told]),
                lambda told=told, words=words: command([*words, "theirs", *told]),
                1,
                warm=0,
            )


if __name__ == "__main__":
    side, which, where = sys.argv[1:]
    if side == "ours":
        prepare(Path(where), model=get_model(which, device="cpu"), description="on oak")
    else:
        obvious(Path(where), plain_matter(which))
