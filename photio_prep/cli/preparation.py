"""What prepare and run share: the options of a cutout, and inputs in, orders on disk out."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from photio_prep import settings
from photio_prep.batch import scheduler
from photio_prep.batch.workers import PhotoTask, WorkerPool, find_models
from photio_prep.cli import options
from photio_prep.cli.console import Console
from photio_prep.cli.inputs import Choice
from photio_prep.cli.parsing import Number, option, several, typed
from photio_prep.cutout.framing import Align, Framing
from photio_prep.cutout.matte import Alpha
from photio_prep.cutout.models import catalog
from photio_prep.cutout.models.registry import ModelOptions
from photio_prep.cutout.options import LENGTH, CutoutOptions, Holes, Looks, Refine
from photio_prep.errors import PhotioError, UsageError
from photio_prep.final import choose
from photio_prep.intake.item import Item
from photio_prep.options import JobOptions
from photio_prep.orders.options import PAGE, OrderPlace, PrepareOptions
from photio_prep.orders.revise import Wording
from photio_prep.orders.store import Order
from photio_prep.system import files
from photio_prep.system.near_name import suggest_name


def _build_cutting(
    refine: Refine = "fast",
    holes: Holes = "auto",
    grow: float = 0,
    shrink: float = 0,
    feather: float = 0,
    looks: Looks = "auto",
) -> CutoutOptions:
    if grow and shrink:
        raise UsageError("--grow and --shrink exclude each other", "Give one of them")
    return CutoutOptions(refine, holes, grow=grow - shrink, feather=feather, looks=looks)


@several(
    option("--page", "Frame of an animation or page of a file, from 0.", type=Number(PAGE), metavar="N"),
    option("--frame frames", "", hidden=True),  # --page and --reframe under their earlier name
    option("--size", "A recommended size (see `sizes`). [the nearest]", metavar="TAG|WxH"),
    option("--reframe", "Crop the photo to a frame around its product."),
    option("--margin", "Around the product, with --reframe. [8%]", metavar="N%|Npx"),
    option("--align", "Where the product lies, with --reframe. [center]"),
    group="Photo",
)
@options.wording
@several(
    option("--mask", "Your own mask: white or opaque is product."),
    option(
        "--point points",
        "The product is here, in pixels of the photo (needs SAM's weights). May be given again.",
        metavar="X,Y",
    ),
    option(
        "--background-point background_points",
        "A point on the background, in photo pixels. May be given again.",
        old="--not-point",
        metavar="X,Y",
    ),
    option(
        "--box",
        "The product is in here, in pixels of the photo (needs SAM's weights).",
        metavar="LEFT,TOP,RIGHT,BOTTOM",
    ),
    option("--alpha", "The photo's own transparency."),
    group="Cutout",
)
@typed(
    "cutting",
    _build_cutting,
    option("--refine", "How the model's prediction becomes an edge."),
    option(
        "--holes",
        "Holes in the product: auto closes pinholes, and print taken for a hole; auto and fill remove a thin line"
        " across the photo.",
    ),
    option("--grow", "Move the edge outwards, in canvas pixels.", type=Number(LENGTH), metavar="PX"),
    option("--shrink", "Move the edge inwards, in canvas pixels.", type=Number(LENGTH), metavar="PX"),
    option("--feather", "Soften the edge, in canvas pixels.", type=Number(LENGTH._replace(low=0)), metavar="PX"),
    option("--looks", "auto: the model looks again where it is in doubt; 1: never."),
    group="Cutout",
)
def _build_options(
    wording: Wording,
    cutting: CutoutOptions,
    size: str | None,
    points: tuple[tuple[float, float], ...],
    background_points: tuple[tuple[float, float], ...],
    box: tuple[float, float, float, float] | None,
    mask: Path | None,
    page: int | None,
    reframe: bool,
    frames: tuple[str, ...],
    margin: str | None,
    align: Align | None,
    alpha: Alpha = "auto",
) -> PrepareOptions:
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
        cutting=cutting,
        frame=pages[-1] if page is None and pages else page,
        framing=Framing.of(margin or "8%", align or "center") if reframe else None,
        limits=settings.limits(),
    )


of_photo = typed("prepare", _build_options)


def prepare_orders(items: list[Item], choice: Choice, endpoint: str, pool: WorkerPool | None) -> Iterable[Order]:
    """The orders of each photo, on disk, prepared in threads or by `pool`; print and count refusals."""
    target = OrderPlace(endpoint, choice.job.orders, variants=choice.seeds > 1)
    return choose.expand_variants(_prepare_first(items, choice, target, pool), choice.seeds)


def _prepare_first(items: list[Item], choice: Choice, target: OrderPlace, pool: WorkerPool | None) -> Iterator[Order]:
    job, console, model_shown, fallback_shown = choice.job, choice.console, "", ""

    def prepare(item: Item) -> Order:
        console.report.start(item.name)
        place = replace(target, name=item.name, output=item.output)
        source = item.source if isinstance(item.source, bytes) else item._replace(job=None)
        task = PhotoTask(source, job.prepare.with_row(item.options), place, job.model)
        return pool.prepare(task) if pool else task.prepare()

    for item, order in scheduler.map_ordered(items, prepare, threads=pool.count if pool else None):
        if isinstance(order, PhotioError):
            console.refuse(item.name, order)
            continue
        if order.model != model_shown:
            console.info(f"cut out with: {order.model}" + (f" on {order.device}" if order.device else ""))
            model_shown = order.model
        # An order that was prepared earlier opened no network.
        fallback = pool.fallback if pool else find_models(job.prepare, job.model)[0].fallback if order.device else ""
        if fallback and fallback != fallback_shown:
            console.info(f"warning: {fallback}")
            fallback_shown = fallback
        yield order


def check_writable(root: Path) -> None:
    """Raise StorageFailed now, and not after paying, if nothing can be written below `root`."""
    files.write_atomic(root / ".writable", b"")
    files.remove(root / ".writable")
    files.remove_stale(root)


def check_models(job: JobOptions, console: Console) -> None:
    """Fetch the models with --pull, and raise now, before a price is quoted, if a model or the mask cannot be used."""
    options, model = job.prepare, job.model
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
