"""Write an order's final to the output folder, with its proof and drift."""

from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from photio_prep import settings
from photio_prep.errors import OutputExists, UsageError
from photio_prep.final import superseded
from photio_prep.final.assemble import finish_order
from photio_prep.final.options import DEFAULT_FINISH, DEFAULT_OUTPUT, FinishOptions, OutputOptions
from photio_prep.final.provenance import packet
from photio_prep.final.publish import check_output_target, output_path, publish
from photio_prep.imaging.encode import SANDBOX_MARK, SUFFIXES, encode_picture, final_format
from photio_prep.intake.item import MARK
from photio_prep.orders import payment
from photio_prep.orders.marks import matches_record
from photio_prep.orders.origin import Origin
from photio_prep.orders.records import encode_record, find_record
from photio_prep.orders.store import Order
from photio_prep.system import files
from photio_prep.types import Final, Result


def final_path(order: Order, out: Path, format_: str | None = None) -> Path:
    """Path of the order's final: the input's path in its tree, `<stem>-photio.<suffix>`."""
    return path_of(order, out, MARK + SUFFIXES[final_format(order.origin.format, format_)])


def path_of(order: Order, out: Path, ending: str) -> Path:
    """Path of a file of the order: the input's path in its tree, `<stem><ending>`."""
    try:
        return output_path(out, order.origin.place, ending)
    except UsageError as error:
        raise error.about(str(order.folder or order.origin.source)) from None


def refuse_if_in_the_way(
    order: Order, target: Path, *, overwrite: bool, preset: str = "", sandbox: bool | None = None
) -> None:
    """Raise OutputExists if `target` has a file that this order must not replace. Also called before payment.

    A file of another order of the same photo may be replaced: it is archived in its order's folder. With `overwrite`
    any regular file may, except that the sandbox only replaces its own. `preset`: the target is the file for that
    marketplace. `sandbox`: whether the new file is a try-out; by default the order's.
    """
    check_output_target(target)
    if not target.exists():
        return
    tried_out = files.own_holds(target, SANDBOX_MARK)
    if (order.sandbox if sandbox is None else sandbox) and not tried_out:
        problem = "a picture that is not a try-out is there, and the sandbox never replaces one"
        raise OutputExists(problem, "Give another --out", subject=str(target))
    marks = None if order.folder is None else order.marks
    mark = None if marks is None else marks.listing(preset) if preset else marks.final(target.suffix)
    ours = mark is not None and matches_record(target, mark)
    if not (overwrite or tried_out or ours or superseded.find_superseded(order, target, preset)):
        raise OutputExists("another file lies there already", "Give --overwrite, or another --out", subject=str(target))


class PlacedFinal(NamedTuple):
    """Path of a photo's final, its order (the requested one, or the incumbent), and notes for the user."""

    path: Path
    order: Order
    notes: tuple[str, ...] = ()


def place_final(
    order: Order,
    out: Path,
    options: FinishOptions = DEFAULT_FINISH,
    output: OutputOptions = DEFAULT_OUTPUT,
    result: Result | None = None,
) -> PlacedFinal:
    """Make the final of the kept answer, write it below `out`, mark the order finished. Free, repeatable for ever.

    With metadata "keep-safe" it carries the photo's copyright and artist and a profile of sRGB, with a provenance what
    it says of how it was made; without either it holds pixels only. The order's folder gets the final's proof, and the
    drift of the answer as figures and as a picture. `result` is the kept answer, where it is at hand.

    Where another order of the photo was paid for since, that one's final stays unless `output.overwrite`; a variant
    that was kept since stays in any case.

    Raises:
        OutputExists: Another file has this name.
        UsageError: There is no answer yet, or the size has another shape than the photo.
        PhotoRefused: The photo's pixels are asked for, and it is gone or changed.
    """
    target = final_path(order, out, options.format)
    if order.folder is None:
        raise UsageError("an order in memory has no place for its final", "Use `finish`, which returns it")
    overwrite, metadata, xmp = output.overwrite, output.metadata, packet(order, output.provenance)
    recipe = f"{options}, metadata {metadata}, xmp {sha256(xmp or b'').hexdigest()[:16]}"
    mark = order.marks.final(target.suffix)
    # Made without the photo, because it could not be found: perhaps it can by now.
    made_with = (mark or {}).get("product") or read_proof(order).get("product")
    fallen = options.product is None and made_with == "generated"
    is_ours = mark is not None and target.is_file() and matches_record(target, mark)
    if is_ours and mark and mark.get("made") == recipe and not mark.get("by") and not fallen and not overwrite:
        return PlacedFinal(target, order)
    incumbent = superseded.find_superseded(order, target)
    if incumbent is not None and superseded.is_current(incumbent, order, overwrite=overwrite):
        payment.require_answer(order)  # an order without an answer has no final
        winner = incumbent.folder
        if mark is None:
            data = files.read_nofollow(target, files.OUTPUT)
            order.marks.mark_finished(target, data, recipe, winner.name)
        note = f"its final stays as it is, that of {winner}, kept or paid for since; `photio-prep keep` changes it"
        return PlacedFinal(target, incumbent.load(), (note,))
    result = result or payment.require_answer(order)
    final = render_final(order, options, result)
    credit = order.origin.credit if metadata == "keep-safe" else None
    data = encode_picture(final.image, final.format, sandbox=order.sandbox, credit=credit, xmp=xmp)
    # Killed between writing the final and marking it: the very same bytes are ours.
    if files.own_bytes(target, len(data)) != data:
        refuse_if_in_the_way(order, target, overwrite=overwrite)
    return PlacedFinal(target, order, write_encoded(order, out, target, data, recipe, final))


def write_encoded(
    order: Order, out: Path, target: Path, data: bytes, made: str, final: Final | None = None
) -> tuple[str, ...]:
    """Write the bytes of a photo's final to `target` and mark the order finished; returns notes for the user.

    A final of another order of the photo is archived in that order's folder. The records of `final` come before the
    mark, whose folder's sync is theirs too: a kill in between has all of it made again.
    """
    if order.folder is None:
        raise UsageError("an order in memory has no place for its final", "Use `finish`, which returns it")
    note = superseded.archive_superseded(order, target)
    if files.own_bytes(target, len(data)) != data:
        _sweep_once(target.parent)
        publish(out, target, data)
    if final is not None:
        _write_records(order, final)
    order.marks.mark_finished(target, data, made, product=final.proof.product if final and final.proof else "")
    return note


def render_final(order: Order, options: FinishOptions = DEFAULT_FINISH, result: Result | None = None) -> Final:
    """The final of the kept answer, not yet encoded: RGB, with its proof, drift and notes. Writes nothing.

    Raises:
        UsageError, PhotoRefused: As `place_final`.
    """
    return finish_order(order, result, replace(options, limits=settings.limits()))


def _write_records(order: Order, final: Final) -> None:
    """Write the proof of a final, and the drift of its answer, to the order's folder."""
    folder = order.folder
    if folder is None or final.proof is None or final.drift is None:
        return
    content = {**final.proof.to_dict(), "notes": list(final.notes)}
    files.write_atomic(folder / f"proof-{order.origin.id}.json", encode_record(content), durable="bytes")
    facts = encode_record(final.drift.to_dict())
    if files.own_bytes(folder / "drift.json", files.RECORD) != facts:
        if (picture := folder / "drift.png").exists():
            files.remove(picture)  # drawn again with these facts when it is looked at
        files.write_atomic(folder / "drift.json", facts, durable="bytes")


def carry_proof(folder: Path, old: Origin, new: Origin) -> None:
    """Copy the proof of a final to its new output path."""
    if (record := find_record(folder / f"proof-{old.id}.json")) is not None:
        files.write_atomic(folder / f"proof-{new.id}.json", encode_record(record))


def read_proof(order: Order) -> dict[str, Any]:
    """Read the record of the order's final; {} if there is none."""
    return {} if order.folder is None else find_record(order.folder / f"proof-{order.origin.id}.json") or {}


def read_drift(order: Order) -> dict[str, Any]:
    """Read the record of the drift of the order's answer; {} if there is none."""
    return {} if order.folder is None else find_record(order.folder / "drift.json") or {}


@lru_cache(maxsize=1024)
def _sweep_once(folder: Path) -> None:
    """Sweep a folder once per process: for each of 10,000 finals it would take minutes."""
    files.remove_stale(folder)
