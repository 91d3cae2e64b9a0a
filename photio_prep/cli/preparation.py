"""What prepare and run share: the options of a cutout, and inputs in, orders on disk out."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import click

from photio_prep import pipeline, settings
from photio_prep.batch import scheduler
from photio_prep.cli import options
from photio_prep.cli.console import Console
from photio_prep.cutout.framing import Align, Framing
from photio_prep.cutout.matte import Alpha
from photio_prep.cutout.models import catalog, sam
from photio_prep.cutout.models.registry import Model, ModelOptions
from photio_prep.cutout.options import CutoutOptions, Holes, Refine
from photio_prep.errors import PhotioError, UsageError
from photio_prep.intake import read as reading
from photio_prep.intake.item import Item
from photio_prep.orders.options import OrderPlace, PrepareOptions
from photio_prep.orders.store import Order
from photio_prep.system import files
from photio_prep.system.parallel import limit_malloc_arenas


def numbers(count: int) -> Callable[[str], tuple[float, ...]]:
    """What reads so many numbers with commas between them."""

    def read(text: str) -> tuple[float, ...]:
        try:
            found = tuple(float(each) for each in text.split(","))
        except ValueError:
            found = ()
        if len(found) != count:
            raise click.BadParameter(f"{text!r} is not {count} numbers with commas between them")
        return found

    return read


def frame_option(text: str) -> int | str:
    """A frame's number from 0, or "photo" or "product"."""
    if text in ("photo", "product"):
        return text
    if not text.isdecimal():
        raise click.BadParameter(f"{text!r} is neither a number from 0 nor photo nor product")
    return int(text)


_cutting = options.several(
    click.option("--size", default=None, metavar="TAG|WxH", help="A recommended size (see `sizes`). [the nearest]"),
    click.option(
        "--point",
        "points",
        type=numbers(2),
        multiple=True,
        metavar="X,Y",
        help="The product is here, in pixels of the photo (needs SAM's weights). May be given again.",
    ),
    click.option(
        "--background-point",
        "background_points",
        cls=options.Renamed,
        old="--not-point",
        type=numbers(2),
        multiple=True,
        metavar="X,Y",
        help="A point on the background, in photo pixels. May be given again.",
    ),
    click.option(
        "--box",
        type=numbers(4),
        default=None,
        metavar="LEFT,TOP,RIGHT,BOTTOM",
        help="The product is in here, in pixels of the photo (needs SAM's weights).",
    ),
    click.option("--mask", type=click.Path(path_type=Path), help="Your own mask: white or opaque is product."),
    click.option(
        "--alpha",
        type=click.Choice(["auto", "keep", "ignore"]),
        default="auto",
        show_default=True,
        help="The photo's own transparency.",
    ),
    click.option(
        "--page", type=click.IntRange(min=0), metavar="N", help="Frame of an animation or page of a file, from 0."
    ),
    click.option("--reframe", is_flag=True, help="Crop the photo to a frame around its product."),
    click.option("--frame", "frames", type=frame_option, multiple=True, hidden=True),  # --page and --reframe, before
    click.option("--margin", default=None, metavar="N%|Npx", help="Around the product, with --reframe. [8%]"),
    click.option(
        "--align",
        type=click.Choice(["center", "left", "right", "top", "bottom"]),
        default=None,
        help="Where the product lies, with --reframe. [center]",
    ),
    click.option(
        "--refine",
        type=click.Choice(["fast", "off"]),
        default="fast",
        show_default=True,
        help="How the model's prediction becomes an edge.",
    ),
    click.option(
        "--holes",
        type=click.Choice(["auto", "keep", "fill"]),
        default="auto",
        show_default=True,
        help="Holes in the product: auto closes pinholes only.",
    ),
    click.option("--grow", type=float, default=0, metavar="PX", help="Move the edge outwards, in canvas pixels."),
    click.option("--shrink", type=float, default=0, metavar="PX", help="Move the edge inwards, in canvas pixels."),
    click.option("--feather", type=float, default=0, metavar="PX", help="Soften the edge, in canvas pixels."),
)


def _options(
    *,
    description: str | None,
    negative_prompt: str | None,
    append_negative: str | None,
    seed: int | None,
    size: str | None,
    points: tuple[tuple[float, ...], ...],
    background_points: tuple[tuple[float, ...], ...],
    box: tuple[float, ...] | None,
    mask: Path | None,
    alpha: Alpha,
    page: int | None,
    reframe: bool,
    frames: tuple[int | str, ...],
    margin: str | None,
    align: Align | None,
    refine: Refine,
    holes: Holes,
    grow: float,
    shrink: float,
    feather: float,
) -> PrepareOptions:
    words = options.wording(
        description=description, negative_prompt=negative_prompt, append_negative=append_negative, seed=seed
    )
    pages = [frame for frame in frames if isinstance(frame, int)]
    reframe = reframe or [frame for frame in frames if isinstance(frame, str)][-1:] == ["product"]
    if not reframe and (margin or align):
        raise UsageError("a margin or an alignment needs a product to go around", "Give --reframe, too")
    return PrepareOptions(
        words.description or "",
        words.negative_prompt,
        words.append_negative,
        words.seed,
        size=size,
        points=[*points, *((*point, False) for point in background_points)],
        box=box,
        mask=mask,
        alpha=alpha,
        cutting=CutoutOptions(refine, holes, grow=grow - shrink, feather=feather),
        frame=pages[-1] if page is None and pages else page,
        framing=Framing.of(margin or "8%", align or "center") if reframe else None,
    )


of_photo = options.typed("options", _options, options.words, _cutting)


def prepared(
    items: list[Item],
    options: PrepareOptions,
    model: ModelOptions,
    target: OrderPlace,
    console: Console,
) -> Iterator[Order]:
    """Yield the order of each photo, on disk; print and count refusals."""
    matter, second = _load_models(options, model, console)
    options = replace(options, model=matter, second=second, limits=settings.limits())
    _check_writable(Path(target.orders or ""))
    model_shown = ""

    def prepare(item: Item) -> Order:
        console.start(item.name)
        return pipeline.prepare(
            reading.read_item(item, offline=model.offline),
            options.with_row(item.options),
            endpoint=target.endpoint,
            orders=target.orders,
            variants=target.variants,
            name=item.name,
            output=item.output,
        )

    limit_malloc_arenas()
    for item, order in scheduler.map_ordered(items, prepare):
        if isinstance(order, PhotioError):
            console.refuse(item.name, order)
            continue
        if order.model != model_shown:
            console.info(f"cut out with: {order.model}" + (f" on {order.device}" if order.device else ""))
            if order.device and matter.fallback:
                console.info(f"warning: {matter.fallback}")
            model_shown = order.model
        yield order


def _load_models(
    options: PrepareOptions, model: ModelOptions, console: Console
) -> tuple[Model | sam.Sam, Model | None]:
    """The model that finds the product, and the one for a second opinion."""
    pointing = bool(options.points or options.box)
    if pointing and (model.model != "auto" or model.family):
        raise UsageError("--point and --box are for SAM only", "Leave --model out, or the points and the box")
    pull_models(model, console, [weights.name for weights in catalog.sam_weights()] if pointing else [model.model])
    first = sam.load_sam(model.device) if pointing else model.load()
    if not model.pull and not model.family:
        from photio_prep.cli.models import show_licence

        show_licence(model.model, console)
    return first, model.load_second(first)


def pull_models(model: ModelOptions, console: Console, names: list[str]) -> None:
    """Fetch the weights of these models with --pull, where they are missing."""
    if model.pull:
        from photio_prep.cli.models import pull_weights

        for name in names:
            pull_weights(name, console, offline=model.offline, accepted=model.accepted)


def _check_writable(root: Path) -> None:
    """Find out now, and not after paying, that nothing can be written."""
    files.write_atomic(root / ".writable", b"")
    files.remove(root / ".writable")
    files.remove_stale(root)
