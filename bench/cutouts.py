"""How good the cutouts are, rembg's own beside ours, with the same weights on the same photos.

    python -m bench.cutouts [DATA] [--model NAME]... [--family FAMILY] [--each] [--refine fast|off] [--limit N]

DATA is a folder with `cutouts/image/*.jpg` and `cutouts/alpha/*.png`, or with `image` and `alpha` themselves (what
`make scenes` renders; a set is the part of a name before "__"); the rendered fixtures are always measured.
Figures, means over a set:

  IoU     of both masks cut at half, at the photo's scale (at most 1216 px)
  edge    mean error of alpha within 7 px of the truth's edge, at the same scale: what score_cutouts.py says. Both
          cutouts have the photo's size, as rembg's always have; ours is matte(photo, photo.size, …)
  sent    the same for the cutout of the canvas's size, which is what is sent, enlarged again as score_cutouts.py does;
          a perfect one has about 0.013 here
  canvas  the same at the canvas's scale; a perfect one has 0 here
  fringe  mean error (0..255) in that band of the cutout over white, black and green; fixtures only
  haze    pixels of alpha 1 to 8 farther than 12 px from what is half covered; under: pixels with colour under alpha 0
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

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

ROOT = Path(__file__).parent.parent
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


def pairs(data: Path | None) -> Iterator[tuple[str, str, Path, Path]]:
    """Set, name, photo, truth."""
    for photo in sorted((ROOT / "fixtures" / "photos").iterdir()):
        yield "fixtures", photo.stem, photo, ROOT / "fixtures" / "truth" / f"{photo.stem}.webp"
    folder = data / "cutouts" if data and (data / "cutouts").is_dir() else data
    for photo in sorted((folder / "image").glob("*.jpg")) if folder else ():
        kind, _, name = photo.stem.partition("__")
        yield kind, name, photo, folder / "alpha" / f"{photo.stem}.png"  # type: ignore[operator]


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


def band(truth: Floats) -> NDArray[np.bool_]:
    product = truth > 0.5
    padded = np.pad(product, 1, mode="edge")
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return distance_to(product & ~inner) <= 7


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
    def mean(rows: list[Row], field: int) -> float:
        return statistics.fmean(row[field] for row in rows)

    told = [f"{name:32s}{len(ours):4d}"]
    for field, form in enumerate(("7.4f", "7.4f", "7.4f", "7.4f", "6.2f", "7.0f", "6.0f")):
        told.append(f"{mean(theirs, field):{form}} {mean(ours, field):{form}}")
    return " | ".join(told)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usual = ROOT.parent / "shared" / "data"
    parser.add_argument("data", type=Path, nargs="?", default=usual if usual.is_dir() else None)
    parser.add_argument("--model", action="append", default=[], help="of the catalogue; default: all installed ones")
    parser.add_argument("--family", help="of weights of your own: then --model is an ONNX file")
    parser.add_argument("--each", action="store_true")
    parser.add_argument("--refine", default="fast", choices=("fast", "off"))
    parser.add_argument("--limit", type=int, help="only so many photos of each set")
    asked = parser.parse_args()
    import rembg

    if asked.family:
        models = [catalog.own_weights(Path(name), asked.family) for name in asked.model]
    else:
        models = [*map(catalog.find_weights, asked.model)] or [
            row for row in catalog.catalog() if weights.is_installed(row, models_folder())
        ]
    for model in models:
        matter = OnnxSegmenter(weights.verify_weights(model, models_folder()), model.family, model.name)
        sets: dict[str, list[tuple[Row, Row]]] = {}
        spent = [0.0, 0.0]
        print(f"\n{model.name}: rembg {rembg.__version__} | ours, refine {asked.refine}")
        heads = ("set", "IoU", "edge", "sent", "canvas", "fringe", "haze", "under")
        print(" | ".join(f"{head:^15s}" if at else f"{head:36s}" for at, head in enumerate(heads)))
        for kind, name, where, truth_file in pairs(asked.data):
            rows = sets.setdefault(kind, [])
            if asked.limit and len(rows) >= asked.limit:
                continue
            photo = load(where)
            size = place(photo.size, snap(photo.size).size).box.size
            with Image.open(truth_file) as opened:
                truth = opened.convert("RGBA" if opened.mode == "RGBA" else "L")
            if truth.mode == "L":
                alpha, truth = truth, Image.new("RGBA", truth.size)
                truth.putalpha(alpha)
            start = time.process_time()
            theirs = rembg.remove(photo.image.convert("RGB"), session=matter.session)
            middle = time.process_time()
            options = CutoutOptions(refine=asked.refine)
            ours = cut(photo, size, matter, options)
            spent = [spent[0] + middle - start, spent[1] + time.process_time() - middle]
            whole = cut(photo, photo.size, matter, options)
            fixture = kind == "fixtures"
            pair = ((theirs, theirs), (whole, ours))
            rows.append(tuple(measured(*cut, truth, size, colours=fixture) for cut in pair))  # type: ignore[arg-type]
            if asked.each:
                print(line(f"{kind} {name}", [rows[-1][0]], [rows[-1][1]]), flush=True)
        for kind, rows in {**sets, "all": [row for some in sets.values() for row in some]}.items():
            print(line(kind, [row[0] for row in rows], [row[1] for row in rows]), flush=True)
        count = sum(len(rows) for rows in sets.values())
        print(f"processor time a photo: rembg {spent[0] / count:.2f} s, ours {spent[1] / count:.2f} s")


if __name__ == "__main__":
    main()
