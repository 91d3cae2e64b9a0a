"""sizes: the recommended sizes, and what each would do to a photo."""

import re
from pathlib import Path
from typing import Any

import click

from photio_prep import geometry, settings
from photio_prep.cli import options
from photio_prep.cli.console import Talk
from photio_prep.cutout.advice import Advice, Product, advice, product_of
from photio_prep.cutout.framing import Framing
from photio_prep.cutout.options import DEFAULT_CUTOUT
from photio_prep.errors import ModelUnavailable, NoProduct
from photio_prep.geometry import Size
from photio_prep.types import Photo


@click.command()
@click.argument("what", metavar="[PHOTO|WxH]", required=False)
@click.option("--model", default="auto", show_default=True, metavar="NAME", help="The model that finds the product.")
@click.option("--mask", type=click.Path(path_type=Path), help="Your own mask: white or opaque is product.")
@click.option(
    "--margin",
    default="8%",
    show_default=True,
    metavar="N%|Npx",
    help="Margin around the product, as of prepare --reframe.",
)
@options.talking
def sizes(what: str | None, model: str, mask: Path | None, margin: str, talk: Talk) -> int:
    """The recommended sizes; with a photo or a size, what it snaps to, and why.

    With a photo its product is looked for, too: how many of its pixels the generator really sees at each size, and how
    many it would see with `prepare --reframe`.
    """
    framing = Framing.of(margin)
    source = _source(what) if what else None
    if source is None:
        for each in geometry.offered(undocumented=True):
            facts = {"tag": each.tag, "ratio": each.ratio, "size": list(each.size), "documented": each.documented}
            if talk.as_json:
                talk.line(facts)
            else:
                talk.out(f"   {each.tag:<26} {each.ratio:>5}  {each.size!s:>9}")
        return talk.exit_code
    size = source.size if isinstance(source, Photo) else source
    product = _product(source, model, mask, talk) if isinstance(source, Photo) else None
    found = advice(size, product, framing)
    if not talk.as_json and product:
        talk.out(f"   {'':<26} {'':>5}  {'':>9}  {'the whole photo':<39}  --reframe")
    for one in found:
        _told(one, talk)
    _why(size, found, talk)
    return talk.exit_code


def _told(each: Advice, talk: Talk) -> None:
    size, way = each.size, each.way
    if talk.as_json:
        facts: dict[str, Any] = {"tag": size.tag, "ratio": size.ratio, "size": list(size.size)}
        facts |= {"documented": size.documented, "scale": way.scale, "used": way.used, "padding": each.padding}
        facts |= {"box": list(way.box), "chosen": each.chosen, "product": each.product}
        again = each.reframed
        new = {"crop": list(again.source), "scale": again.scale, "product": each.reframed_product} if again else None
        talk.line({**facts, "reframed": new, "gain": each.gain})
        return
    told = f"padding {each.padding:6.1%}, scaled by {way.scale:.3f}"
    if each.reframed and each.reframed_product is not None and each.product is not None:
        told += f", {each.product:>7,} px  {each.reframed_product:>7,} px of the product"
        told += f" ({each.gain or 0:.1f}x), scaled by {each.reframed.scale:.3f}"
    talk.out(f"{'->' if each.chosen else '  '} {size.tag:<26} {size.ratio:>5}  {size.size!s:>9}  {told}")


def _why(source: Size, found: tuple[Advice, ...], talk: Talk) -> None:
    chosen = next(each for each in found if each.chosen)
    ratio, own = source.width / source.height, chosen.size.size.width / chosen.size.size.height
    talk.say(f"{source} has the ratio {ratio:.3f}; the nearest is {chosen.size.tag} with {own:.3f}")
    best = geometry.snap(source, geometry.offered(undocumented=True))
    if best != chosen.size:
        used = geometry.place(source, best.size).used
        talk.say(f"--size {best.size} would fit better ({used:.1%}), but Photio does not list it")
    again = [each for each in found if each.reframed_product is not None and each.size.documented]
    if again and chosen.product:
        most = max(again, key=lambda each: each.reframed_product or 0)
        times = (most.reframed_product or 0) / chosen.product
        talk.say(
            f"--reframe --size {most.size.size} would show the generator {times:.1f} times as many pixels of the"
            f" product; the final would be {most.reframed.source if most.reframed else ''}"
        )
        if most.reframed and most.reframed.scale > 1:
            talk.say(
                f"of these, {most.reframed.scale**2:.1f} for each of the photo's: more than the photo has is no gain"
            )


def _product(photo: Photo, model: str, mask: Path | None, talk: Talk) -> Product | None:
    from photio_prep.cutout.models.registry import get_model
    from photio_prep.cutout.reframe import found
    from photio_prep.intake.load import load

    drawn = load(mask, limits=settings.limits()).image if mask else None
    try:
        cutout = found(photo, get_model(model), mask=drawn, alpha="auto", options=DEFAULT_CUTOUT)
    except ModelUnavailable as error:
        talk.say(f"what the generator sees of the product is not told: {error}")
        return None
    except NoProduct as error:
        talk.say(f"what the generator sees of the product is not told: {error.found}")
        return None
    return product_of(cutout, photo.size)


def _source(what: str) -> Photo | Size:
    if found := re.fullmatch(r"(\d{1,6})[x×](\d{1,6})", what):
        size = Size(int(found[1]), int(found[2]))
        if min(size) > 0:
            return size
    from photio_prep.intake.load import load

    return load(what, limits=settings.limits())
