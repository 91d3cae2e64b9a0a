"""Pictures of fine strands with exact alpha: hair, fur, plants, brushes, feathers over real grounds.

    python -m bench.strands DATA OUT [--count N]

DATA holds `scenes/` with lights (*.hdr) and surfaces (*.jpg). OUT gets `image/KIND-EFFECT-N.jpg` and `alpha/….png`.
Strands are drawn at three times the size and averaged, so alpha is their exact coverage. Lens blur and motion blur are
applied to product and alpha alike, then come noise and JPEG.
"""

import argparse
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]
Generator = np.random.Generator
SIDE, FINE = 1000, 3
EFFECTS = ("sharp", "noise", "defocus", "motion")


@dataclass
class Sheet:
    """Colours (premultiplied by being drawn on black) and coverage, three times as large as the picture."""

    random: Generator
    colours: Floats
    cover: NDArray[np.uint8]

    def shape(self, points: Floats, colour: Floats) -> None:
        """Fill a polygon (points in 0..1)."""
        corners = np.rint(points * SIDE * FINE).astype(np.int32)
        cv2.fillPoly(self.colours, [corners], colour.tolist())
        cv2.fillPoly(self.cover, [corners], 255)

    def strand(self, start: Floats, angle: float, length: float, bend: float, width: float, colour: Floats) -> Floats:
        """Draw a bent line that grows thinner; returns its end. Lengths are shares of the side."""
        steps = 14
        turns = angle + np.cumsum(np.full(steps, bend / steps) + self.random.normal(0, 0.04, steps))
        path = start + np.cumsum(np.c_[np.cos(turns), np.sin(turns)] * length / steps, 0)
        points = np.rint(np.vstack((start, path)) * SIDE * FINE).astype(np.int32)
        for index, (one, other) in enumerate(itertools.pairwise(points)):
            thick = max(1, round(width * FINE * (1 - 0.6 * index / steps)))
            light = np.clip(colour * (0.75 + 0.4 * index / steps), 0, 255).tolist()
            cv2.line(self.colours, one.tolist(), other.tolist(), light, thick)
            cv2.line(self.cover, one.tolist(), other.tolist(), 255, thick)
        return np.asarray(path[-1], dtype=np.float32)


def ring(middle: tuple[float, float], radii: tuple[float, float], count: int = 90) -> tuple[Floats, Floats]:
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False, dtype=np.float32)
    return np.c_[middle[0] + radii[0] * np.cos(angles), middle[1] + radii[1] * np.sin(angles)], angles


def draw_hair(sheet: Sheet, colour: Floats) -> None:
    """A wig on a stand."""
    sheet.shape(np.float32([(0.45, 0.6), (0.55, 0.6), (0.62, 0.9), (0.38, 0.9)]), np.float32((190, 185, 180)))
    sheet.shape(ring((0.5, 0.4), (0.17, 0.2))[0], colour * 0.6)
    for _ in range(2600):
        angle = sheet.random.uniform(np.pi * 0.75, np.pi * 2.25)
        start = np.float32((0.5 + 0.16 * np.cos(angle), 0.38 + 0.18 * np.sin(angle)))
        side = 1 if np.cos(angle) > 0 else -1
        bend = side * sheet.random.uniform(0.3, 1.5)
        sheet.strand(
            start,
            angle,
            sheet.random.uniform(0.08, 0.34),
            bend,
            sheet.random.uniform(0.5, 1.4),
            colour * sheet.random.uniform(0.6, 1.3),
        )


def draw_fur(sheet: Sheet, colour: Floats) -> None:
    """A plush animal: balls with a furry rim."""
    length = sheet.random.uniform(0.02, 0.06)
    balls = (
        ((0.36, 0.2), (0.07, 0.07)),
        ((0.64, 0.2), (0.07, 0.07)),
        ((0.32, 0.6), (0.08, 0.12)),
        ((0.68, 0.6), (0.08, 0.12)),
        ((0.5, 0.64), (0.2, 0.22)),
        ((0.5, 0.32), (0.18, 0.16)),
    )
    for middle, radii in balls:
        sheet.shape(ring(middle, radii)[0], colour * 0.7)
        for _ in range(1300):
            angle, depth = sheet.random.uniform(0, 2 * np.pi), np.sqrt(sheet.random.uniform(0.05, 1))
            start = np.float32(middle) + depth * np.float32((radii[0] * np.cos(angle), radii[1] * np.sin(angle)))
            sheet.strand(
                start,
                angle + sheet.random.normal(0, 0.5),
                length,
                sheet.random.normal(0, 0.6),
                1.2,
                colour * sheet.random.uniform(0.65, 1.2),
            )
    for across in (0.43, 0.57):
        sheet.shape(ring((across, 0.3), (0.02, 0.025))[0], np.float32((20, 18, 16)))


def draw_pot(sheet: Sheet) -> None:
    clay = np.float32(sheet.random.uniform(90, 220, 3))
    sheet.shape(np.float32([(0.36, 0.68), (0.64, 0.68), (0.59, 0.92), (0.41, 0.92)]), clay)
    sheet.shape(np.float32([(0.34, 0.66), (0.66, 0.66), (0.655, 0.71), (0.345, 0.71)]), clay * 0.85)


def draw_plant(sheet: Sheet, colour: Floats) -> None:
    """A pot plant: stems that branch, with narrow leaves."""
    green = np.float32((70, 120, 50)) * sheet.random.uniform(0.6, 1.4) + colour * 0.15
    for _ in range(24):
        start, angle = np.float32((sheet.random.uniform(0.42, 0.58), 0.67)), sheet.random.normal(-np.pi / 2, 0.45)
        length, bend = sheet.random.uniform(0.2, 0.5), sheet.random.normal(0, 0.5)
        for _ in range(4):
            start = sheet.strand(start, angle, length / 4, bend / 4, 3, green * 0.7)
            for side in (-1, 1):
                for _ in range(3):
                    sheet.strand(
                        start,
                        angle + side * sheet.random.uniform(0.3, 1.2),
                        sheet.random.uniform(0.03, 0.09),
                        side * 0.5,
                        sheet.random.uniform(1, 7),
                        green * sheet.random.uniform(0.7, 1.4),
                    )
            angle += bend / 4
    draw_pot(sheet)


def draw_grass(sheet: Sheet, colour: Floats) -> None:
    """Dry grass in a vase: long thin stalks with ears."""
    for _ in range(110):
        start = np.float32((sheet.random.uniform(0.44, 0.56), 0.67))
        end = sheet.strand(
            start,
            sheet.random.normal(-np.pi / 2, 0.3),
            sheet.random.uniform(0.25, 0.55),
            sheet.random.normal(0, 0.5),
            1.6,
            colour,
        )
        for _ in range(14):
            sheet.strand(end, sheet.random.normal(-np.pi / 2, 0.7), 0.035, 0, 1, colour * 1.15)
    draw_pot(sheet)


def draw_brush(sheet: Sheet, colour: Floats) -> None:
    """A brush: bristles in a ferrule on a handle."""
    for _ in range(900):
        start = np.float32((sheet.random.uniform(0.4, 0.6), 0.5))
        angle = -np.pi / 2 + (start[0] - 0.5) * 5 + sheet.random.normal(0, 0.08)
        sheet.strand(
            start,
            angle,
            sheet.random.uniform(0.2, 0.34),
            sheet.random.normal(0, 0.15),
            1.3,
            colour * sheet.random.uniform(0.6, 1.3),
        )
    sheet.shape(np.float32([(0.39, 0.48), (0.61, 0.48), (0.58, 0.62), (0.42, 0.62)]), np.float32((175, 170, 160)))
    sheet.shape(np.float32([(0.46, 0.62), (0.54, 0.62), (0.525, 0.95), (0.475, 0.95)]), np.float32((60, 70, 110)))


KINDS: dict[str, Callable[[Sheet, Floats], None]] = {
    "hair": draw_hair, "fur": draw_fur, "plant": draw_plant, "grass": draw_grass, "brush": draw_brush,
}  # fmt: skip


def open_ground(file: Path, random: Generator) -> Floats:
    picture = cv2.imread(str(file), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32)
    if file.suffix == ".hdr":
        picture = np.clip(picture / np.percentile(picture, 90), 0, 1) ** (1 / 2.2) * 255
    side = min(320 if file.suffix == ".hdr" else 700, *picture.shape[:2])
    top, left = (random.integers(0, length - side + 1) for length in picture.shape[:2])
    crop = picture[top : top + side, left : left + side]
    ground = cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(cv2.GaussianBlur(ground, None, random.choice([0.5, 3, 8])), 0, 255), np.float32)


def make_picture(kind: str, effect: str, ground: Floats, random: Generator) -> tuple[Image.Image, Image.Image]:
    """The photo (RGB) and its alpha (L)."""
    side = SIDE * FINE
    sheet = Sheet(random, np.zeros((side, side, 3), np.float32), np.zeros((side, side), np.uint8))
    KINDS[kind](sheet, np.float32(random.uniform(40, 220, 3)) * 0.4 + random.uniform(20, 120))
    layer = np.dstack((np.clip(sheet.colours, 0, 255), sheet.cover.astype(np.float32)))
    layer = cv2.resize(layer, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    if effect == "defocus":
        reach = int(random.integers(2, 7))
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1)).astype(np.float32)
        layer = cv2.filter2D(layer, -1, disc / disc.sum())
    elif effect == "motion":
        reach = int(random.integers(3, 8))
        layer = cv2.filter2D(layer, -1, np.eye(2 * reach + 1, dtype=np.float32) / (2 * reach + 1))
    alpha = layer[..., 3:] / 255
    shade = 1 - 0.5 * cv2.GaussianBlur(np.roll(alpha[..., 0], (18, 25), (0, 1)), None, 22)[..., None]
    picture = layer[..., :3] + (1 - alpha) * ground * shade
    picture += random.normal(0, 12 if effect == "noise" else 2, picture.shape)
    return (Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)),
            Image.fromarray(np.rint(alpha[..., 0] * 255).astype(np.uint8)))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=2, help="pictures of each kind and effect")
    options = parser.parse_args()
    grounds = sorted((options.data / "scenes").rglob("*.hdr")) + sorted((options.data / "scenes").rglob("*.jpg"))
    for folder in ("image", "alpha"):
        (options.out / folder).mkdir(parents=True, exist_ok=True)
    for number in range(options.count):
        for kind in KINDS:
            for effect in EFFECTS:
                random = np.random.default_rng([number, [*KINDS].index(kind), EFFECTS.index(effect)])
                ground = open_ground(grounds[random.integers(len(grounds))], random)
                photo, alpha = make_picture(kind, effect, ground, random)
                stem = f"{kind}-{effect}-{number}"
                photo.save(options.out / "image" / f"{stem}.jpg", quality=int(random.integers(70, 93)))
                alpha.save(options.out / "alpha" / f"{stem}.png")


if __name__ == "__main__":
    main()
