"""Photos with exact truth, and harsh answers to them by planted amounts, for `bench.finals`.

Photos: the fixtures; the same turned and smaller, cropped, and over other backgrounds; and, with a folder of data, its
cutouts (`image/*.jpg`, `alpha/*.png`). Their truth has alpha only, so the colours under their soft edges are estimated.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageOps

from bench.redraw import PlantedChanges, Redrawn, paint_without_product, redraw
from bench.textures import TEXTURES, paint_texture
from photio_prep.cutout.matte import flatten
from photio_prep.final.crop import crop
from photio_prep.intake.load import load
from photio_prep.orders.store import SANDBOX, Order
from photio_prep.pipeline import prepare
from photio_prep.sandbox.contract import SceneRequest

FIXTURES = Path(__file__).parent.parent / "fixtures"
STRENGTHS = ("mild", "typical", "strong")
DESCRIPTIONS = (
    "on a marble table, soft morning light",
    "on a rough wooden table, golden evening light, dark blue wall",
)
SCENES = (*TEXTURES, *DESCRIPTIONS)

# What every answer of a strength has, although its product is unchanged.
HARSHNESS = {
    "mild": PlantedChanges(chroma=1.0, rim_blur=0.4, jpeg=95),
    "typical": PlantedChanges(chroma=2.0, rim_blur=0.7, blur=0.2, halved=0.2, wrap=0.05, contact=0.3, jpeg=92),
    "strong": PlantedChanges(
        chroma=3.5, rim_blur=1.0, blur=0.4, halved=0.4, wrap=0.1, contact=0.5, reflection=0.15, gain=0.03, jpeg=88
    ),
}
# Kinds of drift; the second amount is the one that must be seen.
DRIFTS: dict[str, tuple[PlantedChanges, PlantedChanges, PlantedChanges]] = {
    "zoom": tuple(PlantedChanges(zoom=amount) for amount in (0.01, 0.03, 0.06)),
    "shift": tuple(PlantedChanges(move=(amount * 0.8, -amount * 0.6)) for amount in (1.5, 3, 6)),
    "grown": tuple(PlantedChanges(grow=amount) for amount in (1, 2, 4)),
    "shrunk": tuple(PlantedChanges(grow=-amount) for amount in (1, 2, 4)),
    "grown right": tuple(PlantedChanges(grow=amount, grow_side="right") for amount in (4, 8, 14)),
    "grown top": tuple(PlantedChanges(grow=amount, grow_side="top") for amount in (4, 8, 14)),
    "shrunk left": tuple(PlantedChanges(grow=-amount, grow_side="left") for amount in (4, 8, 14)),
    "part added": tuple(PlantedChanges(added=amount) for amount in (0.04, 0.1, 0.18)),
    "part missing": tuple(PlantedChanges(missing=amount) for amount in (0.04, 0.1, 0.18)),
    "label redrawn": tuple(PlantedChanges(label_redrawn=amount) for amount in (0.06, 0.15, 0.3)),
    "label warped": tuple(PlantedChanges(label_warp=amount) for amount in (2, 5, 9)),
    "relit": tuple(PlantedChanges(relight=amount) for amount in (0.1, 0.2, 0.4)),
    "brighter": tuple(PlantedChanges(gain=amount) for amount in (0.1, 0.2, 0.4)),
    "tint": tuple(PlantedChanges(tone=tone) for tone in ((8, -3, -5), (16, -6, -10), (30, -12, -18))),
    "blur": tuple(PlantedChanges(blur=amount) for amount in (1.0, 2.0, 3.5)),
    "warp": tuple(PlantedChanges(warp=amount) for amount in (2, 4, 8)),
}  # type: ignore[assignment]


@dataclass(frozen=True)
class Subject:
    """A photo with its truth: RGBA with the product's own colours, in the photo's size."""

    name: str
    source: str
    photo: Image.Image
    truth: Image.Image

    @cached_property
    def order(self) -> Order:
        return prepare(self.photo, description=DESCRIPTIONS[0], mask=self.truth.getchannel("A"), endpoint=SANDBOX)

    def answer(self, scene: str, changes: PlantedChanges) -> Redrawn:
        canvas = self.order.canvas.image
        if scene in TEXTURES:
            stage = paint_texture(scene, canvas.size, changes.seed)
        else:
            stage = paint_without_product(SceneRequest(scene, canvas, b""), changes.seed)
        return redraw(stage, canvas, changes)

    def ideal(self, scene: Image.Image, moved: tuple[int, int] = (0, 0)) -> Image.Image:
        """The truth, moved by (right, down) px, over an answer's scene without the product."""
        placement = self.order.placement
        truth = Image.new("RGBA", self.truth.size)
        truth.paste(self.truth, moved)
        return composite(truth, crop(scene, placement, placement.source).convert("RGB"))


def composite(product: Image.Image, scene: Image.Image) -> Image.Image:
    """RGBA over RGB, in floating point."""
    box = product.getchannel("A").getbbox()
    pixels = np.asarray(product.crop(box), dtype=np.float32)
    alpha = pixels[..., 3:] / 255
    mixed = pixels[..., :3] * alpha + np.asarray(scene.crop(box), dtype=np.float32) * (1 - alpha)
    picture = scene.copy()
    picture.paste(Image.fromarray((mixed + 0.5).astype(np.uint8)), box)
    return picture


def find_subjects(data: Path | None = None) -> Iterator[Subject]:
    """Thirty of the fixtures, and all of `data`/cutouts."""
    names = sorted(path.stem for path in (FIXTURES / "photos").iterdir())
    for name in names:
        yield _fixture(name)
    for index, name in enumerate(names):
        yield _vary(_fixture(name), ("turned", "cropped", "backed")[index % 3], index)
    for index, name in enumerate(names[:6]):
        yield _vary(_fixture(name), ("turned", "cropped", "backed")[(index + 1) % 3], index + 20)
    for path in sorted((data / "cutouts" / "image").glob("*.jpg")) if data else ():
        photo = flatten(load(path).image)
        alpha = Image.open(path.parents[1] / "alpha" / f"{path.stem}.png").convert("L")
        if alpha.size != photo.size:
            alpha = alpha.resize(photo.size, Image.Resampling.LANCZOS)
        layer = prepare(photo, description=DESCRIPTIONS[0], mask=alpha, endpoint=SANDBOX).cutout
        truth = layer.resize(photo.size, Image.Resampling.LANCZOS)
        truth.putalpha(alpha)
        pixels = np.asarray(truth).copy()
        solid = pixels[..., 3] == 255
        pixels[solid, :3] = np.asarray(photo)[solid]
        yield Subject(path.stem, path.stem.partition("__")[0], photo, Image.fromarray(pixels))


def _fixture(name: str) -> Subject:
    photo = flatten(load(next((FIXTURES / "photos").glob(f"{name}.*"))).image)
    with Image.open(FIXTURES / "truth" / f"{name}.webp") as truth:
        return Subject(name, "fixtures", photo, truth.convert("RGBA"))


def _vary(subject: Subject, kind: str, seed: int) -> Subject:
    photo, truth = subject.photo, subject.truth
    if kind == "turned":  # and smaller
        size = round(photo.width * 0.62), round(photo.height * 0.62)
        photo, truth = (ImageOps.mirror(picture).resize(size, Image.Resampling.LANCZOS) for picture in (photo, truth))
    elif kind == "cropped":
        left, top, right, bottom = truth.getchannel("A").point(lambda level: 255 * (level > 8)).getbbox()
        margin = round(0.12 * min(right - left, bottom - top))
        box = (max(0, left - margin), max(0, top - margin), right + margin, bottom + margin)
        box = (*box[:2], min(photo.width, box[2]), min(photo.height, box[3]))
        photo, truth = photo.crop(box), truth.crop(box)
    else:  # over another background
        texture = paint_texture(tuple(TEXTURES)[seed % len(TEXTURES)], photo.size, seed)
        photo = composite(truth, texture)
    return Subject(f"{subject.name} {kind}", kind, photo, truth)


def plant_redraw(strength: str, rng: Generator) -> PlantedChanges:
    """A mixture of changes of the product as answers of this strength have them."""
    base = replace(HARSHNESS[strength], seed=int(rng.integers(1, 2**31)))
    low, high, move, zoom, warp, gain = {
        "mild": (-0.3, 1.0, 0.7, 0.001, 0.5, 0.02),
        "typical": (-1.0, 3.0, 2.0, 0.004, 1.2, 0.06),
        "strong": (-3.0, 6.0, 5.0, 0.012, 2.5, 0.12),
    }[strength]
    changes = replace(
        base,
        grow=float(rng.uniform(low, high)),
        move=(float(rng.uniform(-move, move)), float(rng.uniform(-move, move))),
        zoom=float(rng.uniform(-zoom, zoom)),
        warp=float(rng.uniform(0, warp)),
        gain=float(rng.uniform(-gain, gain)),
        relight=float(rng.uniform(0, 2 * gain)),
    )
    if strength == "strong" and rng.random() < 0.3:
        side = ("left", "right", "top", "bottom")[int(rng.integers(4))]
        changes = replace(changes, grow=float(rng.uniform(6, 12)), grow_side=side)
    return changes
