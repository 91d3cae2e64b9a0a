"""How sharpened an edge may be: the weights of cutout/edges.py, fitted and scored by photo beside rembg's own alpha.

    python -m bench.edges DATA STRANDS [--cache FILE] [--write]

Sources: the rendered fixtures, DATA's `cutouts/`, and each kind of STRANDS (made by `python -m bench.strands`). Every
installed network of the catalogue is run; pixels within 7 px of the true edge are sampled into --cache, so that a
second run only fits.

The first table is of a fit on everything, and so too good (marked *). In the second each source is scored by weights
that were fitted without it. The list of figures, the wide filter's radius and FIRM were chosen with all sources in
sight.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.cutouts import ROOT, band
from bench.gate import Picture, iter_pictures, load_networks
from photio_prep.cutout.edges import FIRM, load_model
from photio_prep.cutout.matte import flatten
from photio_prep.cutout.models.segmenter import OnnxSegmenter, segment
from photio_prep.cutout.refine import edge_candidates
from photio_prep.errors import NoProduct
from photio_prep.geometry import place, snap
from photio_prep.intake.load import load

WEIGHTS = ROOT / "photio_prep" / "cutout" / "edge_model.toml"
NAMES = ("density", "contrast", "doubt", "width", "length", "sharpening", "widening")
Floats = NDArray[np.float32]
PIXELS, STEPS, RATE, RIDGE = 500, 120, 0.1, 1e-4
# How much more a photo counts while it is worse than rembg's.
WORSE = 4.0


@dataclass(frozen=True)
class Samples:
    """Pixels near true edges: source and photo of each, rembg's alpha, candidates (N, 3), truth, figures (N, 7)."""

    source: NDArray[np.str_]
    photo: NDArray[np.str_]
    rembg: Floats
    candidates: Floats
    truth: Floats
    figures: Floats

    def pick(self, where: NDArray[np.bool_]) -> "Samples":
        return Samples(*(getattr(self, name)[where] for name in self.__dataclass_fields__))


def sample(picture: Picture, network: OnnxSegmenter, random: np.random.Generator) -> Samples | None:
    """Sample one cutout; None where nothing of the product was found, which no edge can mend."""
    photo = load(picture.photo)
    size = place(photo.size, snap(photo.size).size).box.size
    view = flatten(photo.image).resize(size, Image.Resampling.LANCZOS, reducing_gap=3)
    with Image.open(picture.truth) as opened:
        alpha = opened.getchannel("A") if "A" in opened.getbands() else opened.convert("L")
    truth = np.asarray(alpha.resize(size, Image.Resampling.LANCZOS), dtype=np.float32) / 255
    try:
        prediction = segment(network, view)
    except NoProduct:
        return None
    raw = np.asarray(prediction.info["belief"], dtype=np.float32)
    raw = (raw - raw.min()) / max(float(np.ptp(raw)), 1e-6)
    theirs = np.asarray(Image.fromarray(np.rint(raw * 255).astype(np.uint8)).resize(size, Image.Resampling.LANCZOS))
    belief = np.asarray(prediction, dtype=np.float32) / np.float32(255)
    window, candidates = edge_candidates(np.asarray(view), belief, float(prediction.info["grain"]))
    rim = band(truth)[window]
    product, sharp = truth[window] > 0.5, candidates.sharpened > 0.5
    if not rim.any() or (product & sharp).sum() < 0.1 * (product | sharp).sum():
        return None
    rows, columns = (index[:PIXELS] for index in random.permutation(np.argwhere(rim)).T)
    return Samples(
        np.repeat(picture.source, len(rows)),
        np.repeat(f"{network.name} {picture.photo.stem}", len(rows)),
        theirs[window][rows, columns].astype(np.float32) / np.float32(255),
        np.stack([plane[rows, columns] for plane in (candidates.sharpened, candidates.belief, candidates.wide)], -1),
        truth[window][rows, columns],
        candidates.figures[rows // 2, columns // 2],
    )


def fit(samples: Samples) -> tuple[Floats, Floats, Floats, Floats]:
    """Least and most of each figure, biases and weights: Adam on the mean error of alpha over rembg's, by photo."""
    least, most = np.quantile(samples.figures, (0.01, 0.99), axis=0)
    clipped = np.clip(samples.figures, least, most)
    middle, spread = clipped.mean(0), clipped.std(0) + 1e-6
    design = np.c_[np.ones(len(clipped)), (clipped - middle) / spread]
    first, photo, counts = np.unique(samples.photo, return_index=True, return_inverse=True, return_counts=True)[1:]
    _, kind, pictures = np.unique(samples.source[first], return_inverse=True, return_counts=True)
    limits = np.bincount(photo, np.abs(samples.rembg - samples.truth)) / counts
    by_photo = 1 / (limits * pictures[kind])
    weights, speed, size = (np.zeros((design.shape[1], 2)) for _ in range(3))
    for step in range(1, STEPS + 1):
        odds = np.exp(design @ weights)
        shares = np.c_[np.ones(len(odds)), odds] / (1 + odds.sum(1, keepdims=True))
        alpha = (shares * samples.candidates).sum(1)
        errors = np.bincount(photo, np.abs(alpha - samples.truth)) / counts
        weight = (by_photo * (1 + WORSE * (errors > limits)) / counts)[photo]
        slope = (weight / weight.sum() * np.sign(alpha - samples.truth))[:, None] * shares
        slope *= samples.candidates - alpha[:, None]
        gradient = design.T @ slope[:, 1:]
        gradient[1:] += RIDGE * weights[1:]
        speed = 0.9 * speed + 0.1 * gradient
        size = 0.99 * size + 0.01 * gradient**2
        weights -= RATE * speed / (1 - 0.9**step) / (np.sqrt(size / (1 - 0.99**step)) + 1e-9)
    plain = weights[1:] / spread[:, None]
    return least, most, weights[0] - middle @ plain, plain


def mix(samples: Samples, fitted: tuple[Floats, Floats, Floats, Floats]) -> Floats:
    least, most, bias, weights = fitted
    odds = np.exp(np.clip(samples.figures, least, most) @ weights + bias)
    shares = np.maximum(odds / (1 + odds.sum(1, keepdims=True)) - FIRM, 0) / (1 - FIRM)
    changes = samples.candidates[:, 1:] - samples.candidates[:, :1]
    return np.asarray(samples.candidates[:, 0] + (shares * changes).sum(1), dtype=np.float32)


def print_table(title: str, samples: Samples, alpha: Floats) -> None:
    print(f"\n{title}\n{'source':16s}photos   rembg | sharpened: ratio, by photo, not worse | mixed: the same")
    for source in [*dict.fromkeys(samples.source), "all"]:
        where = (samples.source == source) | (source == "all")
        part, own = samples.pick(where), alpha[where]
        _, photo = np.unique(part.photo, return_inverse=True)
        counts = np.bincount(photo)
        theirs, before, now = (
            np.bincount(photo, np.abs(plane - part.truth)) / counts
            for plane in (part.rembg, part.candidates[:, 0], own)
        )
        figures = [f"{source:16s}{len(counts):5d}  {theirs.mean():.4f}"]
        for error in (before, now):
            ratio, by_photo, fine = (
                error.mean() / theirs.mean(),
                (error / theirs).mean(),
                (error <= 1.001 * theirs).mean(),
            )
            figures.append(f"{ratio:6.3f} {by_photo:6.3f} {fine:6.0%}")
        print(" | ".join(figures))


def score_without(samples: Samples) -> Floats:
    alpha = np.zeros(len(samples.truth), np.float32)
    for source in dict.fromkeys(samples.source):
        inside = samples.source == source
        alpha[inside] = mix(samples.pick(inside), fit(samples.pick(~inside)))
    return alpha


def to_toml(samples: Samples, fitted: tuple[Floats, Floats, Floats, Floats]) -> str:
    least, most, bias, weights = fitted
    rows = [
        f"{name} = [{', '.join(f'{value:.5g}' for value in (low, high, *own))}]"
        for name, low, high, own in zip(NAMES, least, most, weights, strict=True)
    ]
    return "\n".join(
        [
            "# Log-odds of the belief and of the wide filter, each against the sharpened alpha (cutout/edges.py).",
            f"# Fitted by `python -m bench.edges --write` on {len(set(samples.photo))} cutouts of the sources",
            f"# {', '.join(dict.fromkeys(samples.source))}.",
            f"bias = [{bias[0]:.5g}, {bias[1]:.5g}]",
            "",
            "# Each figure: limits to which it is clipped, weight for the belief, weight for the wide filter.",
            "[figures]",
            *rows,
            "",
        ]
    )


def collect(data: Path, strands: Path) -> Samples:
    pictures = [picture for picture in iter_pictures(data, []) if picture.source in ("fixtures", "photo", "sweep")]
    for photo in sorted((strands / "image").glob("*.jpg")):
        kind = photo.stem.partition("-")[0]
        pictures.append(Picture(kind, kind, photo, strands / "alpha" / f"{photo.stem}.png"))
    random = np.random.default_rng(1)
    parts = [part for network in load_networks() for one in pictures if (part := sample(one, network, random))]
    return Samples(*(np.concatenate([getattr(part, name) for part in parts]) for name in Samples.__dataclass_fields__))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("strands", type=Path)
    parser.add_argument("--cache", type=Path, default=ROOT / ".bench-edges.npz")
    parser.add_argument("--write", action="store_true", help="put the weights of a fit on everything into the package")
    options = parser.parse_args()
    if not options.cache.exists():
        np.savez(options.cache, **vars_of(collect(options.data, options.strands)))
    with np.load(options.cache) as stored:
        samples = Samples(**{name: stored[name] for name in Samples.__dataclass_fields__})
    fitted = fit(samples)
    print_table("fitted on all sources *", samples, mix(samples, fitted))
    print_table("each source by weights fitted without it", samples, score_without(samples))
    if options.write:
        WEIGHTS.write_text(to_toml(samples, fitted), encoding="utf-8")
        load_model.cache_clear()


def vars_of(samples: Samples) -> dict[str, NDArray[np.generic]]:
    return {name: getattr(samples, name) for name in Samples.__dataclass_fields__}


if __name__ == "__main__":
    main()
