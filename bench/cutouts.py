"""How good the cutouts are, rembg's own beside ours, with the same weights on the same photos, source by source.

    python -m bench.cutouts [DATA] [--scenes DIR] [--strands DIR] [--model NAME|FILE]... [--family FAMILY] [--each]

DATA: a folder with `cutouts/` and `gate/`, or one of your own with `image/NAME.jpg` and `alpha/NAME.png`. --scenes:
what `make scenes` renders; --strands: what `python -m bench.strands` draws. The fixtures are always measured.
A FILE is an ONNX network of your own. What networks answer is kept in --cache, so that a second run is quick.

Figures are means over a source, rembg's and ours:

  IoU     of both masks cut at half, at the photo's scale (at most 1216 px)
  edge    mean error of alpha within 7 px of the truth's edge, at the same scale: what score_cutouts.py says. Both
          cutouts have the photo's size, as rembg's always have; ours is matte(photo, photo.size, …)
  sent    the same for the cutout of the canvas's size, which is what is sent, enlarged again as score_cutouts.py does;
          a perfect one has about 0.013 here
  canvas  the same at the canvas's scale; a perfect one has 0 here
  fringe  mean error (0..255) in that band of the cutout over white, black and green; fixtures only
  haze    pixels of alpha 1 to 8 farther than 12 px from what is half covered; under: pixels with colour under alpha 0

Then ours over rembg's (ratio of the means, mean ratio of the photos), and photos that are not worse: at all (strict),
and by more than the TOLERANCE of bench/edges.py (fine). All of this is with the package's settings, which were chosen
with most of these sources in sight: development figures. At last `python -m bench.edges`: the same at the canvas's
scale, on sampled pixels, by weights fitted on everything (*) and without the source.
"""

import argparse
import statistics
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import rembg
from numpy.typing import NDArray
from PIL import Image

from bench.edges import CACHE, ROOT, band, collect, compare, iter_sources, print_tables
from bench.pictures import Picture, load_networks
from bench.remember import remember_outputs
from photio_prep.cutout.matte import matte
from photio_prep.cutout.models import catalog, weights
from photio_prep.cutout.models.segmenter import OnnxSegmenter
from photio_prep.cutout.options import CutoutOptions
from photio_prep.errors import NoProduct
from photio_prep.geometry import Size, place, snap
from photio_prep.imaging.filters import distance_to
from photio_prep.intake.load import load
from photio_prep.settings import models_folder
from photio_prep.types import Photo

Floats = NDArray[np.float32]
GROUNDS = ((255, 255, 255), (0, 0, 0), (0, 255, 0))


class Row(NamedTuple):
    iou: float
    edge: float
    sent: float
    canvas: float
    fringe: float
    haze: float
    under: float


def cut(photo: Photo, size: Size, matter: OnnxSegmenter, options: CutoutOptions) -> Image.Image:
    """Our cutout; where we refuse because no product is in sight, nothing."""
    try:
        return matte(photo, size, matter, options=options).image
    except NoProduct:
        return Image.new("RGBA", size)


def scaled(share: Floats, size: tuple[int, int]) -> Floats:
    """As score_cutouts.py does it: bilinear to the truth's size."""
    if share.shape == (size[1], size[0]):
        return share
    return np.asarray(Image.fromarray(share).resize(size, Image.Resampling.BILINEAR))


def shrunk(share: Floats, size: tuple[int, int]) -> Floats:
    return np.clip(np.asarray(Image.fromarray(share).resize(size, Image.Resampling.BOX)), 0, 1)


def sharply(share: Floats, size: tuple[int, int]) -> Floats:
    """As our own stages scale: at 0.96 of its size a box filter moves edges by up to half a pixel."""
    return np.clip(np.asarray(Image.fromarray(share).resize(size, Image.Resampling.LANCZOS)), 0, 1)


def premultiplied(cutout: Image.Image, size: Size) -> NDArray[np.float64]:
    """(H, W, 4): colours times alpha, 0..255, at `size`. Pillow itself scales RGBA that way."""
    pixels = np.asarray(cutout.resize(size, Image.Resampling.LANCZOS)).astype(np.float64)
    pixels[..., :3] *= pixels[..., 3:] / 255
    return pixels


def covered(cutout: Image.Image) -> Floats:
    return np.asarray(cutout.getchannel("A"), dtype=np.float32) / 255


def measured(whole: Image.Image, cutout: Image.Image, truth: Image.Image, size: Size, *, colours: bool) -> Row:
    given, exact = covered(cutout), covered(truth)
    scale = min(1.0, 1216 / max(truth.size))
    compared = round(truth.width * scale), round(truth.height * scale)
    ours, enlarged = (shrunk(scaled(each, truth.size), compared) for each in (covered(whole), given))
    true = shrunk(exact, compared)
    rim = band(true)
    edge, lost = (float(np.abs(each - true)[rim].mean()) for each in (ours, enlarged))
    union = ((ours > 0.5) | (true > 0.5)).sum()
    sent, want = sharply(given, size), sharply(exact, size)
    rim = band(want)
    fringe = float("nan")
    if colours:
        shown, wanted = premultiplied(cutout, size), premultiplied(truth, size)
        errors = [
            np.abs(shown[..., :3] - wanted[..., :3] + np.array(ground) * (wanted[..., 3:] - shown[..., 3:]) / 255)
            for ground in GROUNDS
        ]
        fringe = float(np.mean([error[rim].mean() for error in errors]))
    levels = np.asarray(cutout)
    alpha = levels[..., 3]
    far = distance_to(alpha >= 128) > 12
    return Row(
        float(((ours > 0.5) & (true > 0.5)).sum() / max(1, union)),
        edge,
        lost,
        float(np.abs(sent - want)[rim].mean()),
        fringe,
        float(((alpha > 0) & (alpha <= 8) & far).sum()),
        float((levels[alpha == 0][:, :3].any(1)).sum()),
    )


def line(name: str, theirs: list[Row], ours: list[Row]) -> str:
    def mean(rows: list[Row], index: int) -> float:
        return statistics.fmean(row[index] for row in rows)

    cells = [f"{name:32s}{len(ours):4d}"]
    for index, form in enumerate(("7.4f", "7.4f", "7.4f", "7.4f", "6.2f", "7.0f", "6.0f")):
        cells.append(f"{mean(theirs, index):{form}} {mean(ours, index):{form}}")
    return " | ".join(cells)


def measure(picture: Picture, matter: OnnxSegmenter, options: CutoutOptions) -> tuple[Row, Row]:
    """Rembg's and ours."""
    photo = load(picture.photo)
    size = place(photo.size, snap(photo.size).size).box.size
    with Image.open(picture.truth) as opened:
        truth = opened.convert("RGBA" if opened.mode == "RGBA" else "L")
    if truth.mode == "L":
        alpha, truth = truth, Image.new("RGBA", truth.size)
        truth.putalpha(alpha)
    theirs = rembg.remove(photo.image.convert("RGB"), session=matter.session)
    pairs = (theirs, theirs), (cut(photo, photo.size, matter, options), cut(photo, size, matter, options))
    rembgs, own = (measured(*pair, truth, size, colours=picture.source == "fixtures") for pair in pairs)
    return rembgs, own


def report(model: str, sources: dict[str, list[tuple[Row, Row]]]) -> None:
    rows = {**sources, "all": [pair for source in sources.values() for pair in source]}
    heads = ("source", "IoU", "edge", "sent", "canvas", "fringe", "haze", "under")
    print(f"\n{model}: rembg | ours")
    print(" | ".join(f"{head:^15s}" if at else f"{head:36s}" for at, head in enumerate(heads)))
    for name, pairs in rows.items():
        print(line(name, [pair[0] for pair in pairs], [pair[1] for pair in pairs]))
    print(f"\n{'source':18s}photos | edge: ratio photos strict fine | canvas: the same")
    for name, pairs in rows.items():
        edge = compare(*([row.edge for row in side] for side in zip(*pairs, strict=True)))
        canvas = compare(*([row.canvas for row in side] for side in zip(*pairs, strict=True)))
        print(f"{name:18s}{len(pairs):6d} | {edge} | {canvas}", flush=True)


def load_models(names: list[str], family: str | None) -> list[OnnxSegmenter]:
    """Networks of the catalogue by name, files of one's own; all installed ones if none is named."""
    networks = [] if names else load_networks()
    for name in names:
        own = family or ("u2net" if "u2net" in name else "birefnet" if "birefnet" in name.lower() else "isnet")
        row = catalog.own_weights(Path(name), own) if Path(name).is_file() else catalog.find_weights(name)
        networks.append(OnnxSegmenter(weights.verify_weights(row, models_folder()), row.family, row.name))
    return networks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usual = ROOT.parent / "shared" / "data"
    parser.add_argument("data", type=Path, nargs="?", default=usual if usual.is_dir() else None)
    parser.add_argument("--scenes", type=Path)
    parser.add_argument("--strands", type=Path)
    parser.add_argument(
        "--model", action="append", default=[], help="of the catalogue, or a file; default: all installed"
    )
    parser.add_argument("--family", help="of a file: u2net, isnet or birefnet; default: what its name says, else isnet")
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--each", action="store_true")
    parser.add_argument("--refine", default="fast", choices=("fast", "off"))
    parser.add_argument("--every", type=int, default=1, help="only every so manieth photo of each source")
    asked = parser.parse_args()
    count: Counter[str] = Counter()
    pictures = []
    for picture in iter_sources(asked.data, asked.strands, asked.scenes):
        count[picture.source] += 1
        if count[picture.source] % asked.every == 0:
            pictures.append(picture)
    for matter in load_models(asked.model, asked.family):
        remember_outputs(matter, asked.cache)
        sources: dict[str, list[tuple[Row, Row]]] = {}
        for picture in pictures:
            rows = measure(picture, matter, CutoutOptions(refine=asked.refine, looks="1"))
            sources.setdefault(picture.source, []).append(rows)
            if asked.each:
                print(line(f"{picture.source} {picture.photo.stem}", [rows[0]], [rows[1]]), flush=True)
        report(matter.name, sources)
    if not asked.model:
        print_tables(collect(pictures, asked.cache))


if __name__ == "__main__":
    main()
