"""How sharpened an edge may be: the weights of cutout/edges.py, fitted and scored by photo beside rembg's own alpha.

    python -m bench.edges DATA [--strands DIR] [--scenes DIR] [--cache DIR] [--write]

Sources: see `iter_sources`. Every installed network of the catalogue is run; pixels within 7 px of the true edge are
sampled into --cache, as are the networks' outputs, so that a second run only fits.

The first table is of a fit on everything, and so too good (marked *). In the second each source is scored by weights
that were fitted without it. The list of figures, the wide filter's radius, FIRM, WORSE and MARGIN were chosen with all
sources in sight.
"""

import argparse
import json
import re
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.pictures import FIXTURES, Picture, iter_pictures, load_networks
from bench.remember import digest_files, remember_outputs
from photio_prep.cutout.edges import FIRM, load_model
from photio_prep.cutout.matte import flatten
from photio_prep.cutout.models.segmenter import OnnxSegmenter, segment
from photio_prep.cutout.refine import edge_candidates, find_rim
from photio_prep.errors import NoProduct
from photio_prep.geometry import place, snap
from photio_prep.imaging.filters import distance_to
from photio_prep.intake.load import load

ROOT = FIXTURES.parent
CACHE = ROOT / ".bench-cache"
CUTOUT = ROOT / "photio_prep" / "cutout"
WEIGHTS = CUTOUT / "edge_model.toml"
# What decides the candidates of an edge.
CODE = [CUTOUT / f"{name}.py" for name in ("defocus", "edges", "guided", "refine", "models/two_pass")]
NAMES = ("density", "contrast", "doubt", "width", "length", "sharpening", "widening")
NAMES += ("fine_belief", "fine_wide", "broad_belief", "broad_wide")
Floats = NDArray[np.float32]
PIXELS, STEPS, RATE, RIDGE = 1000, 100, 0.1, 1e-4
# How much more a photo counts in a fit while its error exceeds this share of rembg's.
WORSE, MARGIN = 10.0, 0.95
# A photo is worse if its error exceeds rembg's by more than this share of it, and by more than this.
TOLERANCE = 0.01, 0.0005


@dataclass(frozen=True)
class Samples:
    """Pixels near true edges: source and photo of each, rembg's alpha, candidates (N, 3), truth, figures (N, 11)."""

    source: NDArray[np.str_]
    photo: NDArray[np.str_]
    rembg: Floats
    candidates: Floats
    truth: Floats
    figures: Floats

    def pick(self, where: NDArray[np.bool_]) -> "Samples":
        return Samples(*(getattr(self, name)[where] for name in self.__dataclass_fields__))


def iter_sources(data: Path | None, strands: Path | None, scenes: Path | None) -> Iterator[Picture]:
    """Pictures with truth by source: fixtures, photo and sweep (composites), gate (its five kinds), scenes, strands.

    A `data` without `gate` is a folder of your own, with `image/NAME.jpg` and `alpha/NAME.png`: a source is what comes
    before "__" in a name.
    """
    kinds = dict.fromkeys(("alike", "clutter", "dim", "small", "tight"), "gate")
    has_gate = data is not None and (data / "gate").is_dir()
    for picture in iter_pictures(data if has_gate else None, [scenes] if scenes else []):
        source = "scenes" if scenes and picture.photo.is_relative_to(scenes) else picture.source
        if picture.truth.exists():  # not while it is rendered
            yield replace(picture, source=kinds.get(source, source))
    for photo in sorted((data / "image").glob("*.jpg")) if data and not has_gate else ():
        yield Picture(photo.stem.partition("__")[0], photo.stem, photo, data / "alpha" / f"{photo.stem}.png")
    for photo in sorted((strands / "image").glob("*.jpg")) if strands else ():
        yield Picture("strands", photo.stem.partition("-")[0], photo, photo.parents[1] / "alpha" / f"{photo.stem}.png")


def band(truth: Floats) -> NDArray[np.bool_]:
    """The pixels within 7 px of the true edge."""
    product = truth > 0.5
    padded = np.pad(product, 1, mode="edge")
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return distance_to(product & ~inner) <= 7


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
    theirs = np.asarray(network.session.predict(flatten(photo.image))[0].resize(size, Image.Resampling.LANCZOS))
    belief = np.asarray(prediction, dtype=np.float32) / np.float32(255)
    grain = float(prediction.info["grain"])
    window, candidates = edge_candidates(np.asarray(view), belief, find_rim(belief, grain), grain)
    rim = band(truth)[window]
    product, sharp = truth[window] > 0.5, candidates.sharpened > 0.5
    if not rim.any() or (product & sharp).sum() < 0.1 * (product | sharp).sum():
        return None
    rows, columns = (index[:PIXELS] for index in random.permutation(np.argwhere(rim)).T)
    sharpened, *others = (plane[rows, columns] for plane in (candidates.sharpened, candidates.belief, candidates.wide))
    near = candidates.near[rows // 2, columns // 2]
    return Samples(
        np.repeat(picture.source, len(rows)),
        np.repeat(f"{network.name} {picture.photo.stem}", len(rows)),
        theirs[window][rows, columns].astype(np.float32) / np.float32(255),
        np.stack([sharpened, *(sharpened + near * (other - sharpened) for other in others)], -1),
        truth[window][rows, columns],
        np.stack([figure[rows // 2, columns // 2] for figure in candidates.figures], -1),
    )


def _kind(source: str, photo: str) -> str:
    """What counts as much as every other kind in a fit: a source, a kind of strands, or a family of scenes."""
    return re.split("-|__", photo.split()[1])[0] if source in ("strands", "scenes") else source


def fit(samples: Samples) -> tuple[Floats, Floats, Floats, Floats]:
    """Least and most of each figure, biases and weights: Adam on the mean logarithm of a photo's error over rembg's."""
    least, most = np.quantile(samples.figures, (0.01, 0.99), axis=0)
    clipped = np.clip(samples.figures, least, most)
    middle, spread = clipped.mean(0), clipped.std(0) + 1e-6
    design = np.c_[np.ones(len(clipped)), (clipped - middle) / spread]
    first, photo, counts = np.unique(samples.photo, return_index=True, return_inverse=True, return_counts=True)[1:]
    kinds = [_kind(*names) for names in zip(samples.source[first], samples.photo[first], strict=True)]
    _, kind, pictures = np.unique(kinds, return_inverse=True, return_counts=True)
    limits = np.bincount(photo, np.abs(samples.rembg - samples.truth)) / counts
    by_photo = 1 / (limits * pictures[kind])
    weights, speed, size = (np.zeros((design.shape[1], 2)) for _ in range(3))
    for step in range(1, STEPS + 1):
        odds = np.exp(design @ weights)
        shares = np.c_[np.ones(len(odds)), odds] / (1 + odds.sum(1, keepdims=True))
        alpha = (shares * samples.candidates).sum(1)
        errors = np.bincount(photo, np.abs(alpha - samples.truth)) / counts
        pull = limits / np.maximum(errors, 1e-3) + WORSE * (errors > MARGIN * limits)
        weight = (by_photo * pull / counts)[photo]
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


def compare(theirs: list[float], ours: list[float]) -> str:
    """Ratio of the means, mean ratio, share of photos not worse, share not worse by more than the TOLERANCE."""
    pairs = [*zip(theirs, ours, strict=True)]
    ratio = statistics.fmean(ours) / max(statistics.fmean(theirs), 1e-6)
    by_photo = statistics.fmean(own / max(other, 1e-4) for other, own in pairs)
    share, least = TOLERANCE
    strict = statistics.fmean(own <= other for other, own in pairs)
    fine = statistics.fmean(own <= max(other * (1 + share), other + least) for other, own in pairs)
    return f"{ratio:6.3f} {by_photo:6.3f} {strict:6.0%} {fine:6.0%}"


def print_table(title: str, samples: Samples, alpha: Floats) -> None:
    """Print `compare` of each network and source: sharpened everywhere, and the mixture `alpha`."""
    head = "ratio  photos strict  fine"
    print(f"\n{title}\n{'network, source':28s}photos   rembg | sharpened: {head} | mixed: the same")
    networks = np.array([photo.split()[0] for photo in samples.photo])
    for network in dict.fromkeys(networks.tolist()):
        for source in [*dict.fromkeys(samples.source.tolist()), "all"]:
            where = (networks == network) & ((samples.source == source) | (source == "all"))
            part = samples.pick(where)
            if not len(part.photo):
                continue
            _, photo, counts = np.unique(part.photo, return_inverse=True, return_counts=True)
            planes = (part.rembg, part.candidates[:, 0], alpha[where])
            theirs, *own = ((np.bincount(photo, np.abs(plane - part.truth)) / counts).tolist() for plane in planes)
            cells = [f"{network + ' ' + source:28s}{len(counts):6d}  {statistics.fmean(theirs):.4f}"]
            print(" | ".join([*cells, *(compare(theirs, errors) for errors in own)]))


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
            f"# Fitted by `python -m bench.edges --write` on {len(set(samples.photo))} cutouts of these sources.",
            f"sources = {json.dumps([*dict.fromkeys(samples.source.tolist())])}",
            f"bias = [{bias[0]:.5g}, {bias[1]:.5g}]",
            "",
            "# Each figure: limits to which it is clipped, weight for the belief, weight for the wide filter.",
            "[figures]",
            *rows,
            "",
        ]
    )


def collect(pictures: list[Picture], cache: Path) -> Samples:
    """The samples of all pictures and networks; those in `cache` are not measured again."""
    networks, parts, fields = load_networks(), [], Samples.__dataclass_fields__
    for network in networks:
        remember_outputs(network, cache)
        made_by = digest_files(network.path, *CODE)
        for picture in pictures:
            origin = f"{picture.photo.stem}-{digest_files(picture.photo, picture.truth)}"
            file = cache / "edges" / f"{network.name}-{made_by}" / f"{picture.source}__{origin}.npz"
            if not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                part = sample(picture, network, np.random.default_rng(1))
                np.savez(file, **{name: getattr(part, name) for name in fields} if part else {})
            with np.load(file) as stored:
                parts += [Samples(**{name: stored[name] for name in fields})] if stored.files else []
    return Samples(*(np.concatenate([getattr(part, name) for part in parts]) for name in fields))


def print_tables(samples: Samples) -> tuple[Floats, Floats, Floats, Floats]:
    """Print both tables; returns the fit on all sources."""
    fitted = fit(samples)
    print_table("fitted on all sources *", samples, mix(samples, fitted))
    print_table("each source by weights fitted without it", samples, score_without(samples))
    return fitted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--strands", type=Path)
    parser.add_argument("--scenes", type=Path)
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--write", action="store_true", help="put the weights of a fit on everything into the package")
    options = parser.parse_args()
    samples = collect([*iter_sources(options.data, options.strands, options.scenes)], options.cache)
    fitted = print_tables(samples)
    if options.write:
        WEIGHTS.write_text(to_toml(samples, fitted), encoding="utf-8")
        load_model.cache_clear()


if __name__ == "__main__":
    main()
