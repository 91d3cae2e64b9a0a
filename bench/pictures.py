"""Pictures with their truth, by source, and the networks that cut them out."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from photio_prep.cutout.models import catalog, weights
from photio_prep.cutout.models.segmenter import OnnxSegmenter
from photio_prep.settings import models_folder

FIXTURES = Path(__file__).parents[1] / "fixtures"


@dataclass(frozen=True)
class Picture:
    source: str
    product: str
    photo: Path
    truth: Path
    alone: bool = True


def strip_name(name: str) -> str:
    """The product of a file's name, without the shop, the side of a garment and the number of a variant."""
    return re.sub(r"(-(front|back|\d))+$", "", re.sub(r"^(.*__|saleor-|saloer-)+", "", name))


def iter_pictures(data: Path | None, scenes: list[Path]) -> Iterator[Picture]:
    for photo in sorted((FIXTURES / "photos").iterdir()):
        yield Picture("fixtures", photo.stem, photo, FIXTURES / "truth" / f"{photo.stem}.webp")
    if data:
        for photo in sorted((data / "cutouts" / "image").glob("*.jpg")):
            truth = data / "cutouts" / "alpha" / f"{photo.stem}.png"
            yield Picture(photo.stem.partition("__")[0], strip_name(photo.stem), photo, truth)
        with (data / "gate" / "pairs.csv").open(encoding="utf-8") as table:
            for row in csv.DictReader(table):
                photo, truth = (data / "gate" / kind for kind in ("image", "alpha"))
                names = f"{row['name']}.jpg", f"{row['name']}.png"
                yield Picture(row["kind"], strip_name(row["product"]), photo / names[0], truth / names[1])
    for folder in scenes:
        with (folder / "scenes.csv").open(encoding="utf-8") as table:
            for row in csv.DictReader(table):
                name, source = row["name"], f"{folder.name}-{row['family']}"
                photo, truth = folder / "image" / f"{name}.jpg", folder / "alpha" / f"{name}.png"
                if photo.exists():
                    yield Picture(source, name, photo, truth, row["clutter"] == row["occluders"] == "0")


def load_networks() -> list[OnnxSegmenter]:
    rows = [row for row in catalog.catalog() if row.family != "sam" and weights.is_installed(row, models_folder())]
    return [OnnxSegmenter(weights.verify_weights(row, models_folder()), row.family, row.name) for row in rows]
