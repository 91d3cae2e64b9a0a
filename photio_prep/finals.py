"""Order -> the final's file in the output folder.

Takes an answered order; gives the path of its final. Touches the disk.
Raises OutputExists where another file lies in the way, StorageFailed where nothing can be written.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from photio_prep import earlier, files, pay, settings, states, views
from photio_prep.data import Final, Matter, Result
from photio_prep.encode import SANDBOX_MARK, SUFFIXES, encoded, final_format
from photio_prep.errors import OutputExists, UsageError
from photio_prep.facts import read_if_there, written
from photio_prep.finishing import DEFAULT_FINISHING, Finishing
from photio_prep.flow import finish
from photio_prep.inputs import MARK
from photio_prep.orders import Order
from photio_prep.publish import bearable, place, publish, refuse_special

Metadata = Literal["none", "keep-safe"]


def final_path(order: Order, out: Path, format_: str | None = None) -> Path:
    """Where the final of `order` belongs: the input's place in its tree, `<stem>-photio.<suffix>`."""
    return path_of(order, out, MARK + SUFFIXES[final_format(order.origin.format, format_)])


def path_of(order: Order, out: Path, ending: str) -> Path:
    """Where a file made of `order` belongs: the input's place in its tree, `<stem><ending>`."""
    try:
        return place(out, order.origin.output or bearable(Path(order.origin.source).stem), ending)
    except UsageError as error:
        raise error.about(str(order.folder or order.origin.source)) from None


def refuse_if_in_the_way(order: Order, target: Path, *, overwrite: bool) -> None:
    """Raise where a file of somebody else lies at `target`. Called before anything is paid for, too.

    The final of the same photo as it was before is none: it is kept in its order's folder when it is replaced.

    Raises:
        OutputExists: It does, and `overwrite` is false; or the order is of the sandbox, and the file is not.
    """
    refuse_special(target)
    if order.folder is not None:
        mark = None if order.folder is None else states.finished(order.folder, order.origin)
        before = partial(earlier.found, order, target)
        refuse_foreign(target, mark, sandbox=order.sandbox, overwrite=overwrite, before=before)


def refuse_foreign(
    target: Path, mark: dict[str, object] | None, *, sandbox: bool, overwrite: bool, before: Callable[[], object]
) -> None:
    """Raise where a file of somebody else lies at `target`; `mark` is what was noted when we wrote ours.

    `before` is asked last, whether it is that of an older order all the same.

    Raises:
        OutputExists: It does, and `overwrite` is false; or the new one is the sandbox's, and the file is not.
    """
    refuse_special(target)
    if not target.exists():
        return
    tried_out = files.own_holds(target, SANDBOX_MARK)
    if sandbox and not tried_out:
        found = "a picture that is no try-out lies there, and the sandbox never replaces one"
        raise OutputExists(found, "Give another --out", subject=str(target))
    if not (overwrite or tried_out or (mark is not None and states.same(target, mark)) or before()):
        raise OutputExists("another file lies there already", "Give --overwrite, or another --out", subject=str(target))


def write_final(
    order: Order,
    out: Path,
    *,
    format_: str | None = None,
    overwrite: bool = False,
    metadata: Metadata = "none",
    xmp: bytes | None = None,
    finishing: Finishing = DEFAULT_FINISHING,
    photos: Path | None = None,
    matter: Matter | None = None,
    result: Result | None = None,
) -> Path:
    """Make the final of the kept answer, write it, mark the order finished; its path. Free, repeatable for ever.

    With `metadata` "keep-safe" it carries the photo's copyright and artist and a profile of sRGB. `xmp` is what it
    says of how it was made (provenance.py); without either it holds pixels only. With `photos`, a file or a folder, the
    photo is looked for there too. The order's folder gets the final's proof, and the drift of the answer as figures and
    as a picture; with `matter`, also what that finds in the answer. `result` is the kept answer, where it is at hand.

    Raises:
        OutputExists: A file of somebody else lies there.
        UsageError: There is no answer yet, or the size has another shape than the photo.
        PhotoRefused: The photo's pixels are asked for, and it is gone or changed.
    """
    target = final_path(order, out, format_)
    if order.folder is None:
        raise UsageError("an order in memory has no place for its final", "Use flow.finish")
    wishes = f"{finishing}, metadata {metadata}, xmp {sha256(xmp or b'').hexdigest()[:16]}"
    wishes += f", segmented by {getattr(matter, 'name', 'a matter')}" if matter else ""
    there = target.is_file() and not overwrite
    mark = states.finished(order.folder, order.origin)
    # Made without the photo, because it could not be found: perhaps it can by now.
    fallen = finishing.product is None and proof(order).get("product") == "generated"
    if there and mark is not None and mark.get("made") == wishes and states.same(target, mark) and not fallen:
        return target
    result = result or pay.answered(order)
    final = made(order, format_=format_, finishing=finishing, photos=photos, matter=matter, result=result)
    credit = order.origin.credit if metadata == "keep-safe" else None
    data = encoded(final.image, final.format, sandbox=order.sandbox, credit=credit, xmp=xmp)
    # Killed between writing the final and marking it: the very same bytes are ours.
    if not there or files.own_bytes(target, len(data)) != data:
        refuse_if_in_the_way(order, target, overwrite=overwrite)
        if before := earlier.found(order, target):
            told = f"the final of this photo as it was before is kept as {earlier.keep(before, target)}"
            final = replace(final, notes=(*final.notes, told))
        _sweep_once(target.parent)
        publish(out, target, data)
    record(order, final, result)
    states.mark_finished(order.folder, order.origin, target, data, wishes)
    earlier.note(order)
    return target


def made(
    order: Order,
    *,
    format_: str | None = None,
    finishing: Finishing = DEFAULT_FINISHING,
    photos: Path | None = None,
    matter: Matter | None = None,
    result: Result | None = None,
) -> Final:
    """The final of the kept answer, not yet encoded: RGB, with its proof, drift and notes. Writes nothing.

    Raises:
        UsageError, PhotoRefused: As `write_final`.
    """
    return finish(
        order,
        result,
        format=format_,
        product=finishing.product,
        output_size=finishing.output_size,
        match_tone=finishing.match_tone,
        photos=photos,
        matter=matter,
        limits=settings.limits(),
    )


def record(order: Order, final: Final, result: Result) -> None:
    """Write the proof of a final, and the drift of the answer that it is of, into the order's folder."""
    folder = order.folder
    if folder is None or final.proof is None or final.drift is None:
        return
    told = {**final.proof.facts(), "notes": list(final.notes)}
    files.write_whole(folder / f"proof-{order.origin.id}.json", written(told))
    facts = written(final.drift.facts())
    path, picture = folder / "drift.json", folder / "drift.png"
    # The picture is not synced, since it can be made again: after a power cut it may be empty.
    shown = picture.exists() and picture.stat().st_size > 0
    if not shown or files.own_bytes(path, files.FACTS) != facts:
        drawn = views.drift(order.canvas.image, result.image)
        files.write_whole(picture, views.png(drawn), durable=False)
        files.write_whole(path, facts)


def proof(order: Order) -> dict[str, Any]:
    """What was recorded of the order's final; nothing where none was made."""
    return {} if order.folder is None else read_if_there(order.folder / f"proof-{order.origin.id}.json") or {}


def drift(order: Order) -> dict[str, Any]:
    """What was recorded of how the order's answer drifted; nothing where no final was made."""
    return {} if order.folder is None else read_if_there(order.folder / "drift.json") or {}


@lru_cache(maxsize=1024)
def _sweep_once(folder: Path) -> None:
    """Once in a process: looking through a folder of 10,000 finals for each of them would take minutes."""
    files.sweep(folder)
