"""How good the finals are, beside four pastes by hand, against the exact ideal; and how well drift is seen.

    python -m bench.finals [--quick] [--only finals,drift] [--photos N] [--data DIR] [--jobs N] [--json FILE]
                           [--pictures DIR]

Answers are the sandbox's harsh redraws (`bench.answers`): each photo with its product unchanged, and redrawn with a
mixture of growth, shift, zoom, warp and light, in three strengths; the scenes take turns. The ideal is the truth over
the scene without the product; where a final follows a move that was planted (within 1 px of the canvas), at that place.
Pastes: `naive` (the photo's pixels by the true alpha), `cutout` (the order's cutout),
`feather` (the true alpha, one pixel narrower and softened), `poisson` (cv2.seamlessClone). Figures:

  rim     mean error (levels) within 7 px of the canvas of the true edge
  PSNR    over the final, dB
  worse   answers on which ours is worse than the naive paste by more than 0.5 level of rim error or 0.3 dB
  inside  mean error (levels) inside a product that was lit: of `--product detail`, and of the photo itself
  moved   answers whose product was moved; repaired: answers of which pixels outside of the cutout were changed

`--data` also measures the cutouts of DIR/cutouts, `--pictures` keeps the ten worst answers beside final and ideal.
"""

import argparse
import json
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.answers import DRIFTS, HARSHNESS, SCENES, STRENGTHS, Subject, composite, find_subjects, plant_redraw
from bench.redraw import PlantedChanges, light_product
from photio_prep.final.assemble import finish_order
from photio_prep.final.crop import crop
from photio_prep.final.options import FinishOptions
from photio_prep.types import Result

METHODS = ("naive", "cutout", "feather", "poisson", "ours")
LIGHT = ("relit", "brighter", "tint")
BAND = 7  # px of the canvas
Floats = NDArray[np.float32]


@dataclass
class Row:
    """One answer. `rim` and `psnr` by method; `planted` is the kind of change."""

    photo: str
    source: str
    scene: str
    planted: str
    strength: str
    score: float
    sentence: str
    rim: dict[str, float]
    psnr: dict[str, float]
    moved: bool = False
    repaired: int = 0
    seconds: float = 0.0
    inside: tuple[float, float] | None = None

    @property
    def is_worse(self) -> bool:
        return self.rim["ours"] > self.rim["naive"] + 0.5 or self.psnr["ours"] < self.psnr["naive"] - 0.3


def pastes(subject: Subject, answer: Image.Image) -> dict[str, Image.Image]:
    """The answer, in the photo's frame and size, with the product pasted by hand."""
    photo = np.asarray(subject.photo)
    alpha = np.asarray(subject.truth.getchannel("A"))
    cutout = subject.order.cutout.convert("RGBa").resize(answer.size, Image.Resampling.LANCZOS).convert("RGBA")
    narrow = cv2.GaussianBlur(cv2.erode(alpha, np.ones((3, 3), np.uint8)), (0, 0), 2)
    mask = (cv2.dilate((alpha > 127).astype(np.uint8), np.ones((3, 3), np.uint8))) * 255
    mask[[0, -1]] = mask[:, [0, -1]] = 0
    left, top, width, height = cv2.boundingRect(mask)
    middle = left + width // 2, top + height // 2
    cloned = cv2.seamlessClone(photo, np.asarray(answer).copy(), mask, middle, cv2.NORMAL_CLONE)
    return {
        "naive": composite(Image.fromarray(np.dstack([photo, alpha])), answer),
        "cutout": composite(cutout, answer),
        "feather": composite(Image.fromarray(np.dstack([photo, narrow])), answer),
        "poisson": Image.fromarray(cloned),
    }


def measure_final(subject: Subject, scene: str, planted: str, strength: str, changes: PlantedChanges) -> tuple:
    redrawn = subject.answer(scene, changes)
    order = subject.order
    started = time.perf_counter()
    result = Result(b"", redrawn.answer, order.placement)
    final = finish_order(order, result, FinishOptions(product="original"), photo=subject.photo)
    seconds = time.perf_counter() - started
    ideal = subject.ideal(redrawn.scene)
    answer = crop(redrawn.answer, order.placement, order.placement.source).convert("RGB")
    pictures = pastes(subject, answer) | {"ours": final.image}
    alpha = np.asarray(subject.truth.getchannel("A"))
    exact = np.asarray(ideal, dtype=np.float32)
    errors = {name: np.asarray(picture, dtype=np.float32) - exact for name, picture in pictures.items()}
    scale = alpha.shape[1] / order.placement.box.size.width
    moved = final.proof.moved
    if any(moved) and np.abs(np.array(moved) - np.array(changes.move) * scale).max() <= scale:
        ideal = subject.ideal(redrawn.scene, moved)
        errors["ours"] = np.asarray(final.image, dtype=np.float32) - np.asarray(ideal, dtype=np.float32)
    band = edge_distance(alpha) <= BAND * scale
    rim = {name: float(np.abs(error[band]).mean()) for name, error in errors.items()}
    psnr = {name: float(10 * np.log10(255**2 / max(1e-6, (error**2).mean()))) for name, error in errors.items()}
    outside = cv2.dilate(alpha, np.ones((7, 7), np.uint8)) == 0
    repaired = int((np.abs(np.asarray(final.image, dtype=np.int16) - np.asarray(answer)).max(2) > 2)[outside].sum())
    drift = final.drift
    row = Row(subject.name, subject.source, scene, planted, strength, drift.score, drift.sentence, rim, psnr)
    return replace(row, moved=any(moved), repaired=repaired, seconds=seconds), (answer, final.image, ideal)


def edge_distance(alpha: NDArray[np.uint8]) -> Floats:
    solid = (alpha > 127).astype(np.uint8)
    return np.maximum(cv2.distanceTransform(solid, cv2.DIST_L2, 5), cv2.distanceTransform(1 - solid, cv2.DIST_L2, 5))


def measure_drift(subject: Subject, scene: str, planted: str, strength: str, changes: PlantedChanges) -> Row:
    answer = subject.answer(scene, changes).answer
    result = Result(b"", answer, subject.order.placement)
    lit = planted in LIGHT
    options = FinishOptions(product="detail" if lit else "generated")
    final = finish_order(subject.order, result, options, photo=subject.photo)
    row = Row(subject.name, subject.source, scene, planted, strength, final.drift.score, final.drift.sentence, {}, {})
    if lit:
        pixels = np.asarray(subject.truth, dtype=np.float32) / 255
        core = cv2.erode((pixels[..., 3] > 0.99).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        ideal = light_product(pixels[..., :3], pixels[..., 3], changes) * 255
        pictures = final.image, subject.photo
        if not core.any():  # wires
            return row
        row.inside = tuple(float(np.abs(np.asarray(picture) - ideal)[core].mean()) for picture in pictures)
    return row


def rows_of(task: tuple[int, Subject, argparse.Namespace]) -> list[Row]:
    """All answers of one photo; the same in every run."""
    number, subject, options = task
    rng = np.random.default_rng(number)
    rows = []
    for index, strength in enumerate(STRENGTHS if "finals" in options.only else ()):
        scene = SCENES[(number + 3 * index) % len(SCENES)]
        unchanged = replace(HARSHNESS[strength], seed=number * 10 + index)
        for planted, changes in (("unchanged", unchanged), ("redrawn", plant_redraw(strength, rng))):
            if options.quick and planted == "unchanged" and index != number % 3:
                continue
            row, pictures = measure_final(subject, scene, planted, strength, changes)
            rows.append(row)
            if options.pictures:
                keep_pictures(options.pictures, row, subject, pictures)
    kinds = list(DRIFTS) if "drift" in options.only else []
    for index, kind in enumerate(kinds):
        if options.quick or (number + index) % 6 == 0:
            scene = SCENES[(number + index) % len(SCENES)]
            for strength, drift in list(zip(STRENGTHS, DRIFTS[kind], strict=True))[1 if options.quick else 0 :]:
                if options.quick and (strength == "strong" or (number + index) % 3):
                    continue
                changes = merge_changes(HARSHNESS["typical"], drift, 1000 * number + index)
                rows.append(measure_drift(subject, scene, kind, strength, changes))
    return rows


def merge_changes(base: PlantedChanges, drift: PlantedChanges, seed: int) -> PlantedChanges:
    kind = asdict(PlantedChanges())
    return replace(base, seed=seed, **{name: value for name, value in asdict(drift).items() if value != kind[name]})


def keep_pictures(folder: Path, row: Row, subject: Subject, pictures: tuple[Image.Image, ...]) -> None:
    """Answer, final and ideal beside each other, at 100 %, around the product."""
    left, top, right, bottom = subject.truth.getchannel("A").getbbox()
    margin = 30
    box = max(0, left - margin), max(0, top - margin), right + margin, bottom + margin
    crops = [picture.crop((*box[:2], min(picture.width, box[2]), min(picture.height, box[3]))) for picture in pictures]
    sheet = Image.new("RGB", (sum(picture.width for picture in crops), crops[0].height))
    for index, picture in enumerate(crops):
        sheet.paste(picture, (index * picture.width, 0))
    folder.mkdir(parents=True, exist_ok=True)
    excess = max(0.0, row.rim["ours"] - row.rim["naive"])
    sheet.save(folder / f"{excess:06.2f}-{row.photo}-{row.planted}-{row.strength}.webp".replace(" ", "-"), quality=92)
    for path in sorted(folder.glob("*.webp"))[:-10]:
        path.unlink(missing_ok=True)


def mean(values: Iterator[float]) -> float:
    return statistics.fmean(values)


def final_lines(rows: list[Row]) -> Iterator[str]:
    head = ["answers", "n", *(f"rim {name}" for name in METHODS), "ratio", "PSNR naive", "ours"]
    yield f"| {' | '.join([*head, 'worse', 'moved', 'repaired'])} |"
    yield "|---|" + "--:|" * 12
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[f"{row.planted}, {row.strength}"].append(row)
    for row in rows:
        groups[f"{row.planted}: {row.source}"].append(row)
    for name, group in groups.items():
        rims = {method: mean(row.rim[method] for row in group) for method in METHODS}
        cells = [name, str(len(group)), *(f"{rims[method]:.2f}" for method in METHODS)]
        cells.append(f"{rims['ours'] / rims['naive']:.2f}")
        cells += [f"{mean(row.psnr[method] for row in group):.1f}" for method in ("naive", "ours")]
        cells += [str(sum(row.is_worse for row in group)), str(sum(row.moved for row in group))]
        yield f"| {' | '.join(cells)} | {sum(row.repaired > 0 for row in group)} |"
    false = [row for row in rows if row.planted == "unchanged" and row.score > 1]
    harmless = sum(row.planted == "unchanged" for row in rows)
    yield f"\nfalse alarms: {len(false)} of {harmless} unchanged answers"
    for row in false:
        yield f"  {row.photo}, {row.scene}, {row.strength}: {row.score} {row.sentence}"
    yield f"time of a final: {mean(row.seconds for row in rows):.2f} s"


def drift_lines(rows: list[Row]) -> Iterator[str]:
    yield "\n| drift | weak | middle | strong |\n|---|--:|--:|--:|"
    for kind in DRIFTS:
        cells = []
        for strength in STRENGTHS:
            scores = [row.score for row in rows if (row.planted, row.strength) == (kind, strength)]
            cells.append(f"{sum(score > 1 for score in scores)} of {len(scores)}")
        yield f"| {kind} | {' | '.join(cells)} |"
    inside = [row.inside for row in rows if row.inside]
    if inside:
        errors = mean(pair[0] for pair in inside), mean(pair[1] for pair in inside)
        yield f"\ninside, with planted light: detail {errors[0]:.2f}, the photo itself {errors[1]:.2f} levels"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="six photos: one to two minutes")
    parser.add_argument("--photos", type=int, help="only so many, of all sources")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--only", default="finals,drift")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    subjects = list(find_subjects(options.data))
    if options.quick:
        subjects = [subject for subject in subjects if subject.source == "fixtures"][1::2]
    tasks = [(number, subject, options) for number, subject in enumerate(subjects)]
    if options.photos:
        tasks = tasks[:: max(1, len(tasks) // options.photos)][: options.photos]
    rows: list[Row] = []
    with ProcessPoolExecutor(options.jobs) as pool:
        for group in (pool.map if options.jobs > 1 else map)(rows_of, tasks):
            rows += group
            print(f"{len(rows)} answers, {group[-1].photo if group else ''}", file=sys.stderr, flush=True)
            if options.json:
                options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")
    finals = [row for row in rows if row.rim]
    drifted = [row for row in rows if not row.rim]
    for line in (*(final_lines(finals) if finals else ()), *(drift_lines(drifted) if drifted else ())):
        print(line)


if __name__ == "__main__":
    main()
