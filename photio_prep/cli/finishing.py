"""Write a final and print it: shared by finish and run."""

from dataclasses import replace
from pathlib import Path

from photio_prep.cli.console import Console
from photio_prep.cli.outputs import Shelving
from photio_prep.cutout.models import catalog
from photio_prep.errors import PhotoRefused
from photio_prep.final import writer
from photio_prep.final.options import FinishOptions
from photio_prep.options import OutputOptions
from photio_prep.orders.state import State
from photio_prep.orders.store import Order
from photio_prep.system import files, object_store
from photio_prep.types import Matter, Result


def write(
    order: Order,
    options: FinishOptions,
    output: OutputOptions,
    shelving: Shelving,
    console: Console,
    *,
    result: Result | None = None,
) -> Path:
    """Write the final of an answered order, to a store too, and its files for shops, and tell them; its path.

    `result` is its answer, where it is at hand.
    """
    path, order_shown, notes = writer.place_final(
        order,
        output.out,
        replace(options, matter=_matter(order)) if output.segment else options,
        overwrite=output.overwrite,
        metadata=output.metadata,
        xmp=shelving.xmp(order),
        result=result,
    )
    for note in notes:
        console.info(f"note: {order.origin.source}: {note}")
    upload(path, output)
    tell(order_shown, path, output, shelving, console)
    return path


def upload(path: Path, output: OutputOptions) -> None:
    """Put a final that was written into a store too, with --upload-to, below the same name."""
    if output.upload_to:
        data = files.read_nofollow(path, files.OUTPUT)
        object_store.put_object(
            output.upload_to, path.relative_to(output.out).as_posix(), data, overwrite=output.overwrite
        )


def tell(order: Order, path: Path, output: OutputOptions, shelving: Shelving, console: Console) -> None:
    """Tell a final that was written, its drift (above the limit is exit 3), and make its files for shops."""
    drift, most = writer.read_drift(order), output.max_drift
    score = drift.get("score", 0)
    score = float(score) if isinstance(score, (int, float)) else 0.0
    notes = writer.read_proof(order).get("notes")
    with console.atomic():
        for note in notes if isinstance(notes, list) else ():
            console.info(f"warning: {order.origin.source}: {note}")
        if most is not None and score > most:
            console.codes.append(PhotoRefused.exit_code)
            console.warn(
                f"drift: {order.origin.source}: {drift.get('sentence')} (drift {score:g}, at most {most:g}"
                f" wanted). Look at {order.folder}/drift.png before you show it"
            )
        elif score > 1:
            console.info(f"drift: {order.origin.source}: {drift.get('sentence')} (drift {score:g})")
    shelving.done(order, State.FINISHED, output.out, final=path)


def _matter(order: Order) -> Matter:
    """The model that cut the order out, or the best that is installed where that was a mask or another program's."""
    from photio_prep.cutout.models.registry import get_model

    known = catalog.is_rembg(order.model) or order.model in {weights.name for weights in catalog.catalog()}
    accepted = (order.model.removeprefix(catalog.PREFIX),)
    return get_model(order.model, accepted=accepted) if known else get_model()
