"""What finish and run share: the options of finals, a final written and told."""

from pathlib import Path
from typing import Any

from photio_prep.cli.console import Talk
from photio_prep.cli.outputs import Shelving, Wishes
from photio_prep.errors import PhotoRefused
from photio_prep.final import writer
from photio_prep.final.options import Finishing
from photio_prep.orders.state import State
from photio_prep.orders.store import Order
from photio_prep.system import files, object_store
from photio_prep.types import Matter, Result


def wishes(given: dict[str, Any]) -> Wishes:
    """The options of finals, taken out of all that were given."""
    finishing = Finishing(given.pop("product"), given.pop("output_size"))
    names = ("photos", "max_drift", "segment")
    return Wishes(given.pop("format_"), given.pop("metadata"), finishing, *(given.pop(name) for name in names))


def write(
    order: Order,
    out: Path,
    wished: Wishes,
    shelving: Shelving,
    talk: Talk,
    *,
    overwrite: bool,
    to: str | None = None,
    result: Result | None = None,
) -> Path:
    """Write the final of an answered order, `to` a store too, and its files for shops, and tell them; its path.

    `result` is its answer, where it is at hand.
    """
    path, shown, notes = writer.place_final(
        order,
        out,
        format_=wished.format_,
        overwrite=overwrite,
        metadata=wished.metadata,
        finishing=wished.finishing,
        photos=wished.photos,
        matter=_matter(order) if wished.segment else None,
        xmp=shelving.xmp(order),
        result=result,
    )
    for note in notes:
        talk.say(f"note: {order.origin.source}: {note}")
    put(path, out, to, overwrite=overwrite)
    tell(shown, path, out, wished, shelving, talk)
    return path


def put(path: Path, out: Path, to: str | None, *, overwrite: bool) -> None:
    """Put a final that was written `to` a store too, if there is one, below the same name."""
    if to:
        object_store.put(to, path.relative_to(out).as_posix(), files.read_own(path, files.OUTPUT), overwrite=overwrite)


def tell(order: Order, path: Path, out: Path, wished: Wishes, shelving: Shelving, talk: Talk) -> None:
    """Tell a final that was written, its drift (above the limit is exit 3), and make its files for shops."""
    drift = writer.drift(order)
    score = drift.get("score", 0)
    score = float(score) if isinstance(score, (int, float)) else 0.0
    notes = writer.proof(order).get("notes")
    with talk.together():
        for note in notes if isinstance(notes, list) else ():
            talk.say(f"warning: {order.origin.source}: {note}")
        if wished.max_drift is not None and score > wished.max_drift:
            talk.codes.append(PhotoRefused.exit_code)
            talk.fault(
                f"drift: {order.origin.source}: {drift.get('sentence')} (drift {score:g}, at most {wished.max_drift:g}"
                f" wanted). Look at {order.folder}/drift.png before you show it"
            )
        elif score > 1:
            talk.say(f"drift: {order.origin.source}: {drift.get('sentence')} (drift {score:g})")
    shelving.done(order, State.FINISHED, out, final=path)


def _matter(order: Order) -> Matter:
    """The model that cut the order out, or the best that is installed where that was a mask or another program's."""
    from photio_prep.cutout.models import catalog
    from photio_prep.cutout.models.registry import get_model

    known = catalog.is_rembg(order.model) or order.model in {row.name for row in catalog.catalog()}
    accepted = (order.model.removeprefix(catalog.PREFIX),)
    return get_model(order.model, accepted=accepted) if known else get_model()
