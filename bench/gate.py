"""How well the gate tells wrong cutouts from right ones, and the weights of its probability.

    python -m bench.gate [--data DIR] [--scenes DIR]... [--cache FILE] [--write]

Sources: the rendered fixtures; of --data its `cutouts/` and `gate/`; each --scenes, a folder that `make scenes` filled,
whose families are sources. Every installed network of the catalogue cuts each photo out; the figures go into --cache,
so that a second run only fits. Bad: IoU < 0.85 with the truth at half coverage. Good: IoU > 0.97. Scenes with things
around the product are scored, but train nothing: which of them is the product, no network's output can tell.

Each picture is scored by weights that were fitted without its product (in a second table without its source and a
quarter of the products). The list of figures, the penalty and the gate's limits saw all pictures. --write puts the
weights of a fit on everything into the package.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import compress, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.pictures import FIXTURES, Picture, Row, iter_pictures, load_networks, measure
from photio_prep.cutout import gate
from photio_prep.cutout.gate_model import transform
from photio_prep.cutout.looks import UNDECIDED
from photio_prep.quality import STOP_AT, WARN_AT, Verdict

WEIGHTS = Path(gate.__file__).with_name("gate_model.toml")
Numbers = NDArray[np.float64]
BAD, GOOD = 0.85, 0.97
# A good cutout is sound where its alpha is off on less than this share of it: half coverage sees no half transparency.
SOUND = 0.01
# What a scene counts for in a fit: it is harder than what is photographed for a shop, and its doubts are others.
SCENE = 0.3
# Of the network's output. None of the frame: products cut by it were hard only because they were composed that way.
FIGURES = ("confidence", "rim_doubt", "rim_worst", "vague", "weak")
# Of some networks, and always taken: of the mirrored photo, and of the features.
OWN = ("mirrored", "mixed", "rival")
# Strength of the ridge penalty on standardised weights, in pictures; and on the slope of the calibration.
PENALTY, SLOPE = 8.0, 1.0
# Asked: at most this share of the good stopped, and at least this share of the bad.
FEW_GOOD, MOST_BAD = 0.03, 0.8


def collect(pictures: Iterator[Picture], cache: Path) -> list[Row]:
    """The rows of all pictures; those in `cache` are not measured again."""
    rows = [Row(**json.loads(line)) for line in cache.read_text().splitlines()] if cache.exists() else []
    done = {(row.source, row.photo) for row in rows}
    networks = load_networks()
    for picture in pictures:
        if (picture.source, picture.photo.name) not in done:
            fresh = measure(picture, networks)
            with cache.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(asdict(row)) + "\n" for row in fresh)
            print(picture.source, picture.photo.name, *(row.iou for row in fresh), flush=True)
            rows += fresh
    return rows


@dataclass(frozen=True)
class Fit:
    """Log-odds of a bad cutout: `bias` and `weights` of standardised figures."""

    names: tuple[str, ...]
    middle: Numbers
    spread: Numbers
    bias: float
    weights: Numbers

    def risk(self, rows: list[Row]) -> Numbers:
        standard = (matrix(rows, self.names) - self.middle) / self.spread
        return squash(self.bias + standard @ self.weights)


@dataclass(frozen=True)
class Cascade:
    """As a photo is judged: by `brief` where that decides, else by `full`, which knows the mirrored photo too."""

    brief: Fit
    full: Fit

    def risk(self, rows: list[Row]) -> Numbers:
        brief, (low, high) = self.brief.risk(rows), UNDECIDED
        return np.where((brief >= low) & (brief < high), self.full.risk(rows), brief)


def squash(odds: Numbers) -> Numbers:
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -30, 30))))


def matrix(rows: list[Row], names: tuple[str, ...]) -> Numbers:
    return np.array([[transform(name, row.figures[name]) for name in names] for row in rows])


def regress(figures: Numbers, target: Numbers, counts: Numbers, penalty: float) -> Numbers:
    """Bias and weights of a logistic regression, by Newton's method, with a ridge penalty on the weights."""
    design = np.c_[np.ones(len(figures)), figures]
    ridge, weights_ = np.diag([1e-6, *[penalty] * figures.shape[1]]), np.zeros(design.shape[1])
    for _ in range(50):
        risk = squash(design @ weights_)
        slope = design.T @ (counts * (risk - target)) + ridge @ weights_
        weights_ -= np.linalg.solve((design.T * (counts * risk * (1 - risk))) @ design + ridge, slope)
    return weights_


def fit(rows: list[Row], names: tuple[str, ...]) -> Fit:
    """Without figures whose weight has the wrong sign: more doubt never lowers the risk.

    The weights are those that tell how far an IoU lies from good to bad: 0.86 is no success. Bias and slope are
    calibrated to the probability of a bad one.
    """
    rows = [row for row in rows if row.alone]
    figures, iou = matrix(rows, names), np.array([row.iou for row in rows])
    counts = np.array([SCENE if row.is_scene else 1.0 for row in rows])
    middle, spread = figures.mean(0), figures.std(0) + 1e-6
    standard = (figures - middle) / spread
    weights_ = regress(standard, np.clip((GOOD - iou) / (GOOD - BAD), 0, 1), counts, PENALTY)[1:]
    right = tuple(name for name, weight in zip(names, weights_, strict=True) if weight > 0)
    if right != names:
        return fit(rows, right)
    bias, slope = regress(standard @ weights_[:, None], (iou < BAD).astype(float), counts, SLOPE)
    return Fit(names, middle, spread, float(bias), slope * weights_)


def fit_judge(rows: list[Row], names: tuple[str, ...]) -> Fit | Cascade:
    """The judge that the package makes of these weights."""
    full = fit(rows, names)
    return Cascade(fit(rows, without_mirrored(names)), full) if "mirrored" in names else full


def without_mirrored(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if name != "mirrored")


def score_without(rows: list[Row], names: tuple[str, ...], *, sources: bool = False) -> tuple[Numbers, Numbers]:
    """The risk of each row by weights of rows of other product groups, and of other `sources`; and a limit for it.

    The limit is the one above which at most `FEW_GOOD` of the good photos among those other rows lie.
    """
    risks, limits = np.zeros(len(rows)), np.ones(len(rows))
    outside = [(row.source if sources else "", row.group) for row in rows]
    for source, group in set(outside):
        out = np.array([origin == (source, group) for origin in outside])
        known = [row for row in rows if row.group != group and (not source or row.source != source)]
        risks[out] = fit_judge(known, names).risk([*compress(rows, out)])
        if sources:
            good = [row.iou > GOOD and not row.is_scene for row in known]
            limits[out] = limit_good(score_without(known, names)[0][good])
    return risks, limits


def limit_good(good: Numbers) -> float:
    """The least limit above which at most `FEW_GOOD` of the good ones lie."""
    return float(np.sort(good)[::-1][int(FEW_GOOD * len(good))])


def print_curve(rows: list[Row], risks: Numbers, limits: Numbers) -> None:
    """What is stopped at limits chosen on these pictures, with an interval of 95 %, and at those chosen without."""
    iou, products = np.array([row.iou for row in rows]), np.array([row.product for row in rows])
    places, random = [np.flatnonzero(products == name) for name in sorted(set(products))], np.random.default_rng(0)

    def measure_shares(chosen: NDArray[np.intp]) -> tuple[float, float]:
        good, bad = risks[chosen][iou[chosen] > GOOD], np.sort(risks[chosen][iou[chosen] < BAD])[::-1]
        enough = bad[int(np.ceil(MOST_BAD * len(bad))) - 1]
        return float((bad > limit_good(good)).mean()), float((good >= enough).mean())

    draws = [np.concatenate([places[i] for i in random.integers(0, len(places), len(places))]) for _ in range(2000)]
    low, high = np.percentile([measure_shares(draw) for draw in draws], [2.5, 97.5], 0)
    bad, good = measure_shares(np.arange(len(rows)))
    print(f"  bad stopped at {FEW_GOOD:.0%} of the good: {bad:.0%} ({low[0]:.0%} to {high[0]:.0%})")
    print(f"  good stopped at {MOST_BAD:.0%} of the bad: {good:.1%} ({low[1]:.1%} to {high[1]:.1%})")
    bad, good = ((risks > limits)[kind].mean() for kind in (iou < BAD, iou > GOOD))
    print(f"  limits of other sources: bad {bad:.0%}, good {good:.1%}")


def verdict(row: Row, risk: float, *, whole: bool) -> Verdict:
    """That of the probability alone, or of the `whole` gate."""
    own = Verdict.STOP if risk >= STOP_AT else Verdict.WARN if risk >= WARN_AT else Verdict.OK
    reasons = gate.soften(gate.find_reasons({"line": 0.0, **row.figures}, row.network), risk) if whole else []
    return max(own, *(reason.verdict for reason in reasons), key=[*Verdict].index) if reasons else own


def print_table(title: str, rows: list[Row], risks: Numbers, *, whole: bool = False) -> None:
    print(f"\n{title}")
    for name, least, most in (("good", GOOD, 1.01), ("between", BAD, GOOD), ("bad", -1.0, BAD)):
        pairs = zip(rows, risks, strict=True)
        chosen = [verdict(row, risk, whole=whole) for row, risk in pairs if least <= row.iou < most]
        counts = {kind: chosen.count(kind) for kind in Verdict}
        shares = ", ".join(f"{kind} {count / max(len(chosen), 1):.0%}" for kind, count in counts.items())
        print(f"  {name:8s}{' / '.join(str(count) for count in counts.values()):>16s}   ({shares})")


def print_reliability(rows: list[Row], risks: Numbers) -> None:
    print("\n  probability    pictures    mean    really bad")
    bad = np.array([row.iou < BAD for row in rows])
    for least, most in pairwise((0.0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.01)):
        inside = (risks >= least) & (risks < most)
        if inside.any():
            mean, really = risks[inside].mean(), bad[inside].mean()
            print(f"  {least:.2f} to {min(most, 1):.2f} {inside.sum():9d} {mean:9.2f} {really:11.2f}")


def usable(rows: list[Row], names: tuple[str, ...]) -> list[Row]:
    return [row for row in rows if all(name in row.figures for name in names)]


def report(network: str, rows: list[Row], more: tuple[str, ...]) -> None:
    known = usable(rows, (*FIGURES, *more))
    print(f"\n=== {network} {', '.join(more)}: {len(known)} pictures")
    for title in ("product", "source and product"):
        risks, limits = score_without(known, (*FIGURES, *more), sources=title != "product")
        print_table(f"ok / warn / stop by the probability, {title} left out", known, risks)
        print_table(f"all reasons of the gate, {title} left out", known, risks, whole=True)
    kinds = {
        "photos and composites": [not row.is_scene for row in known],
        "of the good ones the sound": [not row.is_scene and (row.iou <= GOOD or row.off < SOUND) for row in known],
        "scenes": [row.is_scene for row in known],
    }
    for kind, chosen in kinds.items():
        print_table(f"{kind}: the same, source and product left out", [*compress(known, chosen)], risks[chosen])
        print_curve([*compress(known, chosen)], risks[chosen], limits[chosen])
    print_reliability(known, risks)


def to_toml(fitted: Fit) -> str:
    lines = [f"bias = {fitted.bias:.4f}", "[model.{0}.weights]"]
    for name, middle, spread, weight in zip(fitted.names, fitted.middle, fitted.spread, fitted.weights, strict=True):
        lines.append(f"{name} = [{middle:.4f}, {spread:.4f}, {weight:.4f}]")
    return "\n".join(lines)


def variants(rows: list[Row]) -> list[tuple[str, ...]]:
    """The figures beside `FIGURES`: those that the network tells; with a second model's agreement, and without."""
    own = tuple(name for name in OWN if all(name in row.figures for row in usable(rows, FIGURES)))
    kinds = [(*own, "agreement"), own]
    return [*kinds, *map(without_mirrored, kinds)] if "mirrored" in own else kinds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--scenes", type=Path, action="append", default=[])
    parser.add_argument("--cache", type=Path, default=FIXTURES.parent / ".bench-gate.jsonl")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    rows = collect(iter_pictures(options.data, options.scenes), options.cache)
    names = dict.fromkeys(row.network for row in rows)
    networks = {name: [row for row in rows if row.network == name] for name in names}
    text = [
        "# The probability that a cutout has IoU < 0.85 with the truth: a logistic model of a network's own output.",
        f"# Fitted by `python -m bench.gate --write` on {len(rows)} cutouts: docs/design/measurements/gate.md. A third",
        "# of them is wrong, far more than of what sellers photograph: where fewer are, the true probability is lower.",
        "# Each figure: mean and spread of its transformed value, weight.",
    ]
    for network, own in {**networks, "any": rows}.items():
        kinds = variants(own)
        for more in kinds:
            if own is not rows and more in kinds[:2]:  # the others are part of the judge of these
                report(network, own, more)
            fitted = fit(usable(own, (*FIGURES, *more)), (*FIGURES, *more))
            text += ["", f"[[model.{network}]]", to_toml(fitted).format(network)]
    if options.write:
        WEIGHTS.write_text("\n".join(text) + "\n", encoding="utf-8")
        print(f"\nwritten: {WEIGHTS}")


if __name__ == "__main__":
    main()
