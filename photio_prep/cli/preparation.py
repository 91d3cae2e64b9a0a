"""What prepare and run share: the options of a cutout, and inputs in, orders on disk out."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from photio_prep import settings
from photio_prep.batch import scheduler
from photio_prep.batch.workers import PhotoTask, WorkerPool, find_models
from photio_prep.cli import options
from photio_prep.cli.console import Console
from photio_prep.cli.parsing import option, several, typed
from photio_prep.cutout.framing import Align, Framing
from photio_prep.cutout.matte import Alpha
from photio_prep.cutout.models import catalog
from photio_prep.cutout.models.registry import ModelOptions
from photio_prep.cutout.options import CutoutOptions, Holes, Refine
from photio_prep.errors import PhotioError, UsageError
from photio_prep.intake.item import Item, read_item
from photio_prep.orders.options import OrderPlace, PrepareOptions
from photio_prep.orders.store import Order
from photio_prep.system import files
from photio_prep.system.near_name import suggest_name
from photio_prep.system.parallel import limit_malloc_arenas

if TYPE_CHECKING:
    _NumbersType = click.ParamType[tuple[float, ...]]
else:  # generic in newer versions of click
    _NumbersType = click.ParamType


class _Numbers(_NumbersType):
    """So many numbers with commas between them."""

    name = "numbers"

    def __init__(self, count: int) -> None:
        self._count = count

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        """Parse the numbers."""
        try:
            numbers = tuple(map(float, value.split(",")))
        except ValueError:
            numbers = ()
        if len(numbers) != self._count:
            self.fail(f"{value!r} is not {self._count} numbers with commas between them", param, ctx)
        return numbers


_framing = several(
    option(
        "--page", "Frame of an animation or page of a file, from 0.", type=click.IntRange(min=0), metavar="N"
    ),  # --page and --reframe under their earlier name.
    option("--frame frames", "", multiple=True, hidden=True),
    option("--size", "A recommended size (see `sizes`). [the nearest]", metavar="TAG|WxH"),
    option("--reframe", "Crop the photo to a frame around its product.", is_flag=True),
    option("--margin", "Around the product, with --reframe. [8%]", metavar="N%|Npx"),
    option("--align", "Where the product lies, with --reframe. [center]", choices=get_args(Align)),
    group="Photo",
)
_cutting = several(
    option("--mask", "Your own mask: white or opaque is product.", type=options.PATH),
    option(
        "--point points",
        "The product is here, in pixels of the photo (needs SAM's weights). May be given again.",
        type=_Numbers(2),
        multiple=True,
        metavar="X,Y",
    ),
    option(
        "--background-point background_points",
        "A point on the background, in photo pixels. May be given again.",
        old="--not-point",
        type=_Numbers(2),
        multiple=True,
        metavar="X,Y",
    ),
    option(
        "--box",
        "The product is in here, in pixels of the photo (needs SAM's weights).",
        type=_Numbers(4),
        metavar="LEFT,TOP,RIGHT,BOTTOM",
    ),
    option("--alpha", "The photo's own transparency.", choices=get_args(Alpha), default="auto"),
    option("--refine", "How the model's prediction becomes an edge.", choices=get_args(Refine), default="fast"),
    option("--holes", "Holes in the product: auto closes pinholes only.", choices=get_args(Holes), default="auto"),
    option("--grow", "Move the edge outwards, in canvas pixels.", type=float, default=0, metavar="PX"),
    option("--shrink", "Move the edge inwards, in canvas pixels.", type=float, default=0, metavar="PX"),
    option("--feather", "Soften the edge, in canvas pixels.", type=float, default=0, metavar="PX"),
    group="Cutout",
)


def _build_options(
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
    frames: tuple[str, ...],
    margin: str | None,
    align: Align | None,
    refine: Refine,
    holes: Holes,
    grow: float,
    shrink: float,
    feather: float,
) -> PrepareOptions:
    wording = options.build_wording(
        description=description, negative_prompt=negative_prompt, append_negative=append_negative, seed=seed
    )
    pages = [int(frame) for frame in frames if frame.isdecimal()]
    subjects = [frame for frame in frames if not frame.isdecimal()]
    if unknown := set(subjects) - {"photo", "product"}:
        raise UsageError(f"{min(unknown)!r} is neither a number from 0 nor photo nor product", subject="--frame")
    if mask and (points or background_points or box):
        raise UsageError("--mask and a point or --box exclude each other", "Give one of them")
    reframe = reframe or subjects[-1:] == ["product"]
    if not reframe and (margin or align):
        raise UsageError("--margin and --align need a frame around the product", "Give --reframe, too")
    return PrepareOptions(
        wording.description or "",
        wording.negative_prompt,
        wording.append_negative,
        wording.seed,
        size=size,
        points=[*points, *((*point, False) for point in background_points)],
        box=box,
        mask=mask,
        alpha=alpha,
        cutting=CutoutOptions(refine, holes, grow=grow - shrink, feather=feather),
        frame=pages[-1] if page is None and pages else page,
        framing=Framing.of(margin or "8%", align or "center") if reframe else None,
        limits=settings.limits(),
    )


of_photo = typed("options", _build_options, _framing, options.words, _cutting)


def open_workers(count: int | None) -> AbstractContextManager[WorkerPool | None]:
    """The processes that prepare; None for threads of this one."""
    return nullcontext() if count is None else WorkerPool(count)


def prepare_orders(
    items: list[Item],
    options: PrepareOptions,
    model: ModelOptions,
    target: OrderPlace,
    console: Console,
    pool: WorkerPool | None,
) -> Iterator[Order]:
    """Yield the order of each photo, on disk, prepared in threads or by `pool`; print and count refusals."""
    model_shown = ""

    def prepare(item: Item) -> Order:
        console.start(item.name)
        place = replace(target, name=item.name, output=item.output)
        source = read_item(item) if item.source is None else item._replace(job=None)  # no worker has our standard input
        task = PhotoTask(source, options.with_row(item.options), place, model)
        return pool.prepare(task) if pool else task.prepare()

    limit_malloc_arenas()
    for item, order in scheduler.map_ordered(items, prepare, threads=pool.count if pool else None):
        if isinstance(order, PhotioError):
            console.refuse(item.name, order)
            continue
        if order.model != model_shown:
            console.info(f"cut out with: {order.model}" + (f" on {order.device}" if order.device else ""))
            if order.device and not pool and (fallback := find_models(options, model)[0].fallback):
                console.info(f"warning: {fallback}")
            model_shown = order.model
        yield order


def check_writable(root: Path) -> None:
    """Raise StorageFailed now, and not after paying, if nothing can be written below `root`."""
    files.write_atomic(root / ".writable", b"")
    files.remove(root / ".writable")
    files.remove_stale(root)


def check_models(options: PrepareOptions, model: ModelOptions, console: Console) -> None:
    """Fetch the models with --pull, and find out now, before a price is quoted, what cannot be used.

    Raises:
        UsageError, PhotoRefused: There is no such model, or the mask cannot be used.
        ModelUnavailable: There is no second model.
    """
    pointing = bool(options.points or options.box)
    if pointing and (model.model != "auto" or model.family):
        raise UsageError("--point and --box are for SAM only", "Leave --model out, or the points and the box")
    pull_models(model, console, [weights.name for weights in catalog.sam_weights()] if pointing else [model.model])
    find_models(options, model)
    if not model.pull and not model.family:
        from photio_prep.cli.models import show_licence

        show_licence(model.model, console)
    if isinstance(options.mask, Path) and not options.mask.exists():
        raise UsageError("no such file", suggest_name(options.mask), subject=f"--mask {options.mask}")
    options.load_mask()


def pull_models(model: ModelOptions, console: Console, names: list[str]) -> None:
    """Fetch the weights of these models with --pull, where they are missing."""
    if model.pull:
        from photio_prep.cli.models import pull_weights

        for name in names:
            pull_weights(name, console, offline=model.offline, accepted=model.accepted)
