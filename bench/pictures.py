"""Pictures with their truth, by source, the networks that cut them out, and what is measured of a cutout."""

import csv
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
from PIL import Image

from photio_prep.cutout import gate
from photio_prep.cutout.gate_model import knows_mirrored
from photio_prep.cutout.looks import compare_mirrored
from photio_prep.cutout.matte import matte
from photio_prep.cutout.models import catalog, weights
from photio_prep.cutout.models.segmenter import OnnxSegmenter
from photio_prep.cutout.options import CutoutOptions
from photio_prep.errors import NoProduct
from photio_prep.geometry import place, snap
from photio_prep.imaging.filters import drop_thin
from photio_prep.intake.load import load
from photio_prep.settings import models_folder
from photio_prep.types import Cutout

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


@dataclass(frozen=True)
class Row:
    network: str
    source: str
    product: str
    photo: str
    iou: float
    figures: dict[str, float]  # empty where no product was found
    alone: bool = True  # nothing else in the photo could be the product
    off: float = 0.0  # areas wider than 5 px of 640 in which the alpha is off by a quarter, as a share of the product

    @property
    def group(self) -> int:
        """One of four groups of products."""
        return crc32(self.product.encode()) % 4

    @property
    def is_scene(self) -> bool:
        return "-" in self.source


def measure(picture: Picture, networks: list[OnnxSegmenter]) -> list[Row]:
    """One row a network; the agreement is that with the best other one, as `--second-opinion` takes it."""
    photo = load(picture.photo)
    size = place(photo.size, snap(photo.size).size).box.size
    with Image.open(picture.truth) as opened:
        alpha = opened.getchannel("A") if "A" in opened.getbands() else opened.convert("L")
    levels = np.asarray(alpha.resize(size, Image.Resampling.LANCZOS))
    truth = levels >= 128
    cutouts: dict[str, Cutout | None] = {network.name: None for network in networks}
    for network in networks:
        with suppress(NoProduct):
            cutout = matte(photo, size, network, alpha="ignore", options=CutoutOptions(looks="1"))
            if cutout.prediction and knows_mirrored(network.name):  # a fit needs it of all
                mirrored = compare_mirrored(network, gate.flatten_to(photo, size), cutout.prediction)
                cutout.prediction.info["mirrored"] = mirrored
            cutouts[network.name] = cutout
    rows = []
    for name, cutout in cutouts.items():
        iou, off, figures = 0.0, 1.0, {}
        if cutout is not None:
            own = np.asarray(cutout.image.getchannel("A"))
            mask, wide = own >= 128, round(2 * max(size) / 640)
            off = float(drop_thin(np.maximum(own, levels) - np.minimum(own, levels) > 64, wide).sum() / truth.sum())
            iou = float((mask & truth).sum() / max((mask | truth).sum(), 1))
            second = next((other for other_name, other in cutouts.items() if other_name != name), None)
            judgement = gate.assess(photo, cutout, second or Cutout(Image.new("RGBA", size), "none"))
            figures = dict(judgement.figures)
        origin = picture.source, picture.product, picture.photo.name
        rows.append(Row(name, *origin, round(iou, 4), figures, picture.alone, round(off, 4)))
    return rows
