"""sizes: list the recommended sizes, and what each does to a photo."""

import os
from pathlib import Path
from typing import Any

import click

from photio_prep import geometry, settings
from photio_prep.cli import options
from photio_prep.cli.console import Console
from photio_prep.cli.parsing import option
from photio_prep.cutout.advice import Advice, ProductExtent, advise, measure_extent
from photio_prep.cutout.framing import Framing
from photio_prep.cutout.options import DEFAULT_CUTOUT
from photio_prep.errors import ModelUnavailable, NoProduct, UsageError
from photio_prep.intake.names import FORMATS
from photio_prep.system.near_name import suggest_name
from photio_prep.types import Photo


@click.command("sizes")
@click.argument("what", metavar="[PHOTO|WxH]", required=False)
@option("--model", "The model that finds the product.", default="auto", metavar="NAME")
@option("--mask", "Your own mask: white or opaque is product.")
@option("--margin", "Margin around the product, as of prepare --reframe.", default="8%", metavar="N%|Npx")
@options.console_options
def sizes_command(what: str | None, model: str, mask: Path | None, margin: str, console: Console) -> int:
    """The recommended sizes; with a photo or a size, what it snaps to, and why.

    With a photo its product is looked for, too: how many of its pixels the generator really sees at each size, and how
    many it would see with `prepare --reframe`.
    """
    framing = Framing.of(margin)
    source = None if what is None else _parse_source(what)
    if source is None:
        for offer in geometry.list_sizes(undocumented=True):
            console.show(f"   {offer.tag:<26} {offer.ratio:>5}  {offer.size!s:>9}", _size_record(offer))
        return console.exit_code
    size = source.size if isinstance(source, Photo) else source
    product = _find_product(source, model, mask, console) if isinstance(source, Photo) else None
    advices = advise(size, product, framing)
    if not console.as_json and product:
        console.out(f"   {'':<26} {'':>5}  {'':>9}  {'the whole photo':<39}  --reframe")
    for line in advices:
        _print_advice(line, console)
    _print_reasons(size, advices, console)
    return console.exit_code


def _size_record(size: geometry.Recommended) -> dict[str, Any]:
    return {"tag": size.tag, "ratio": size.ratio, "size": list(size.size), "documented": size.documented}


def _print_advice(line: Advice, console: Console) -> None:
    size, placement, reframed, crop = line.size, line.way, line.reframed, None
    text = f"padding {line.padding:6.1%}, scaled by {placement.scale:.3f}"
    if reframed:
        crop = {"crop": list(reframed.source), "scale": reframed.scale, "product": line.reframed_product}
    if reframed and line.reframed_product is not None and line.product is not None:
        text += f", {line.product:>7,} px  {line.reframed_product:>7,} px of the product"
        text += f" ({line.gain or 0:.1f}x), scaled by {reframed.scale:.3f}"
    record = _size_record(size) | {"scale": placement.scale, "used": placement.used, "padding": line.padding}
    record |= {"box": list(placement.box), "chosen": line.chosen, "product": line.product, "reframed": crop}
    text = f"{'->' if line.chosen else '  '} {size.tag:<26} {size.ratio:>5}  {size.size!s:>9}  {text}"
    console.show(text, record | {"gain": line.gain})


def _print_reasons(source: geometry.Size, advices: tuple[Advice, ...], console: Console) -> None:
    chosen = next(line for line in advices if line.chosen)
    ratio, own = source.width / source.height, chosen.size.size.width / chosen.size.size.height
    console.info(f"{source} has the ratio {ratio:.3f}; the nearest is {chosen.size.tag} with {own:.3f}")
    best = geometry.snap(source, geometry.list_sizes(undocumented=True))
    if best != chosen.size:
        used = geometry.place(source, best.size).used
        console.info(f"--size {best.size} would fit better ({used:.1%}), but Photio does not list it")
    reframed = [line for line in advices if line.reframed_product is not None and line.size.documented]
    if reframed and chosen.product:
        most = max(reframed, key=lambda line: line.reframed_product or 0)
        times = (most.reframed_product or 0) / chosen.product
        console.info(
            f"--reframe --size {most.size.size} would show the generator {times:.1f} times as many pixels of the"
            f" product; the final would be {most.reframed.source if most.reframed else ''}"
        )
        if most.reframed and most.reframed.scale > 1:
            console.info(
                f"{most.reframed.scale**2:.1f} for each pixel of the photo: above 1 the product gains no detail"
            )


def _find_product(photo: Photo, model: str, mask: Path | None, console: Console) -> ProductExtent | None:
    from photio_prep.cutout import reframe
    from photio_prep.cutout.models.registry import get_model
    from photio_prep.intake.load import load

    user_mask = load(mask, limits=settings.limits()).image if mask else None
    try:
        cutout = reframe.find_product(photo, get_model(model), mask=user_mask, alpha="auto", options=DEFAULT_CUTOUT)
    except (ModelUnavailable, NoProduct) as error:
        console.info(f"no product estimate: {error.problem if isinstance(error, NoProduct) else error}")
        return None
    return measure_extent(cutout, photo.size)


def _parse_source(what: str) -> Photo | geometry.Size:
    if size := geometry.parse_pixels(what):
        return size
    if not os.path.lexists(what) and Path(what).suffix.lower() not in FORMATS:
        fix = f"Give WxH in pixels, as 1200x900, or a file. {suggest_name(Path(what))}"
        raise UsageError("neither a size nor a file", fix, subject=what)
    from photio_prep.intake.load import load

    return load(what, limits=settings.limits())
