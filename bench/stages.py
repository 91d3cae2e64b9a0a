"""Where the time of one photo goes, stage by stage, and what the same cutout costs with rembg's own pipeline.

Each figure is the median of paired runs in one process, after one warm-up: A B A B …, so that a slow minute of the
machine hits both. The weights are the same on both sides.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from photio_prep import catalogue, weights
from photio_prep.data import Cutout
from photio_prep.geometry import place, snap
from photio_prep.settings import models_folder
from photio_prep.stages.load import load
from photio_prep.stages.matte import RembgMatter, matte
from photio_prep.stages.pad import pad

PHOTO = Path(__file__).parent.parent / "fixtures" / "photos" / "carton.jpg"
RUNS = 5


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def with_rembg(picture: Image.Image, session: object) -> Image.Image:
    """The obvious pipeline: rembg.remove on the whole photo, then scaled and padded."""
    import rembg

    cut = rembg.remove(picture, session=session)
    assert isinstance(cut, Image.Image)
    return cut


def main() -> None:
    photo = load(PHOTO)
    placement = place(photo.size, snap(photo.size).size)
    print(f"{PHOTO.name}, {photo.size}, median of {RUNS} paired runs")
    for found in catalogue.catalog():
        if not weights.installed(found, models_folder()):
            continue
        matter = RembgMatter(weights.verify(found, models_folder()), found.family, found.name)
        cutout: Cutout = matte(photo, placement.box.size, matter)
        rows: dict[str, list[float]] = {"load": [], "matte": [], "pad": [], "rembg + pad": []}

        def theirs(matter: RembgMatter = matter) -> None:
            cut = with_rembg(photo.image, matter.session)
            pad(Cutout(cut, "rembg"), placement)

        theirs()
        for _ in range(RUNS):
            rows["load"].append(seconds(lambda: load(PHOTO)))
            rows["matte"].append(seconds(lambda matter=matter: matte(photo, placement.box.size, matter)))  # type: ignore[misc]
            rows["pad"].append(seconds(lambda cutout=cutout: pad(cutout, placement)))  # type: ignore[misc]
            rows["rembg + pad"].append(seconds(theirs))
        told = ", ".join(f"{name} {statistics.median(times):.3f} s" for name, times in rows.items())
        ours = [a + b for a, b in zip(rows["matte"], rows["pad"], strict=True)]
        ratio = statistics.median(b / a for a, b in zip(ours, rows["rembg + pad"], strict=True))
        print(f"{found.name}: {told}; matte + pad is {ratio:.2f} times as fast as rembg's pipeline")


if __name__ == "__main__":
    main()
