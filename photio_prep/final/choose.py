"""Variants of a photo: one order per seed, a numbered contact sheet of the finals, and the choice of one.

Finals of variants are `<name>-seeds/1-photio.jpg` and so on; the chosen one is written to `<name>-photio.jpg`. The
number of a variant is recorded with its photo, and never read from a path.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from photio_prep import settings
from photio_prep.errors import PhotoRefused, UsageError
from photio_prep.final import writer
from photio_prep.final.publish import output_path, picture_format, publish
from photio_prep.geometry import Size
from photio_prep.imaging import decode
from photio_prep.imaging.encode import SUFFIXES
from photio_prep.imaging.limits import DEFAULT_LIMITS
from photio_prep.intake import own_files
from photio_prep.intake.item import MARK
from photio_prep.intake.names import variant_output
from photio_prep.orders import index, previews, store
from photio_prep.orders.index import IndexEntry
from photio_prep.orders.marks import matches_record
from photio_prep.orders.origin import Variant
from photio_prep.orders.store import Order
from photio_prep.system import files, seeds

# A sheet is named like a final, so that it is never used as a photo.
SHEET = "sheet-photio.png"
_TILE, _COLUMNS, _LINE = 480, 4, 12


def expand_variants(orders: Iterable[Order], count: int) -> Iterator[Order]:
    """Yield each order, which is its photo's first variant, and the orders of the variants 2 to `count`."""
    for order in orders:
        yield order
        for number in range(2, count + 1):
            yield _create_variant(order, number)


def _create_variant(order: Order, number: int) -> Order:
    origin = order.origin
    cutout = order.cutout
    if cutout is None and order.folder is not None:
        cutout = store.load_cutout(order.folder)
    output = variant_output(origin.base, number)
    origin = replace(origin, variant=Variant(number, origin.base), output=output, record="")
    # `seed_drawn` stays: a seed derived from a drawn one depends on the canvas's bytes like that.
    request = replace(order.request, seed=seeds.derive_seed(order.request.seed, number))
    other = replace(order, request=request, origin=origin, cutout=cutout, folder=None)
    if order.folder is None:
        return other
    other = store.write_order(other, order.folder.parent)
    if other.folder is not None:
        previews.copy_previews(order.folder, other.folder)
    return other


def sheet_path(out: Path, base: str) -> Path:
    """Path of the contact sheet of the photo with the output `base`."""
    return output_path(out, variant_output(base, 1), MARK + ".png").with_name(SHEET)


def contact_sheet(root: Path, base: str, out: Path, *, overwrite: bool = False) -> Path | None:
    """Write the numbered finals of a photo's variants as one picture below `out`; returns its path.

    `base` is the photo's output. Returns None if the orders of `root` have no finished variant of it.

    Raises:
        OutputExists: A file that this tool did not write is there.
        StorageFailed: It cannot be written.
    """
    finished = {}
    entries = index.index_of(root / "orders").refresh().find("output", base)
    for entry in sorted(entries, key=lambda entry: entry.paid_at):
        if entry.origin.variant and (final := final_of(entry, out)) is not None:
            finished[entry.origin.number] = final
    tiles = [tile for number, path in sorted(finished.items()) if (tile := _draw_tile(path, number)) is not None]
    if not tiles:
        return None
    columns = min(len(tiles), _COLUMNS)
    rows = [tiles[at : at + columns] for at in range(0, len(tiles), columns)]
    heights = [max(tile.height for tile in row) for row in rows]
    size = (columns * (_TILE + _LINE) + _LINE, sum(heights) + _LINE * (len(rows) + 1))
    picture = Image.new("RGB", size, "white")
    top = _LINE
    for row, height in zip(rows, heights, strict=True):
        for column, tile in enumerate(row):
            picture.paste(tile, (_LINE + column * (_TILE + _LINE), top))
        top += height + _LINE
    sheet = sheet_path(out, base)
    own_files.check_not_foreign(sheet, overwrite=overwrite)
    publish(out, sheet, own_files.encode_own_png(picture))
    return sheet


def _draw_tile(path: Path, number: int) -> Image.Image | None:
    def size_of(size: Size) -> Size:
        return Size(_TILE, max(round(size.height * _TILE / size.width), 1))

    try:
        data = files.read_nofollow(path, DEFAULT_LIMITS.file_bytes)
        picture = decode.decode_picture(data, settings.limits(), at=size_of).image.convert("RGB")
    except (OSError, PhotoRefused):
        return None  # not a final of ours
    tile = picture.resize(size_of(Size(*picture.size)), Image.Resampling.LANCZOS)
    pen, text = ImageDraw.Draw(tile), str(number)
    font = ImageFont.load_default(40)
    box = pen.textbbox((16, 12), text, font=font)
    pen.rectangle((0, 0, box[2] + 16, box[3] + 12), fill="white")
    pen.text((16, 12), text, fill="black", font=font)
    return tile


def final_of(entry: IndexEntry, out: Path) -> Path | None:
    """Path of an order's unchanged final, below `out` or at its recorded path; None if there is none."""
    mark = entry.final()
    if mark is None:
        return None
    noted = Path(str(mark.get("path")))
    with suppress(UsageError):  # a name that leads out of the folder
        here = output_path(out, entry.origin.output, MARK + noted.suffix)
        if here.is_file() and matches_record(here, mark):
            return here
    return noted if noted.is_file() and matches_record(noted, mark) else None


class KeptVariant(NamedTuple):
    """The chosen variant: the order of the photo's final, its final, its presets, notes for the user."""

    order: Order
    final: Path
    presets: tuple[str, ...]
    notes: tuple[str, ...]


def keep_variant(photo: str, number: int, out: Path, *, overwrite: bool = False) -> KeptVariant:
    """Use the final of variant `number` as the photo's final. Another one may be chosen later.

    `photo`: as named in the run, the name of its final below `out`, or an order folder of a variant.

    Raises:
        UsageError: The photo has no variants, or the variant has no final.
        OutputExists: Another file is there.
        StorageFailed: It cannot be written.
    """
    variants = _find_variants(photo, out)
    bases = sorted({entry.origin.base for entry in variants})
    if len(bases) != 1:
        problem = f"{len(bases)} photos with variants: {', '.join(bases)}" if bases else "it has no variants"
        raise UsageError(problem, "Name the photo as in the run with --seeds, or its final below --out", subject=photo)
    numbered = [entry for entry in variants if entry.origin.number == number]
    finished = [entry for entry in numbered if final_of(entry, out)]
    if not finished:
        numbers = ", ".join(map(str, sorted({entry.origin.number for entry in variants})))
        problem = f"the final of number {number} is missing or changed" if numbered else f"there is no number {number}"
        fix = f"There are: {numbers}; `photio-prep finish {out}` makes their finals"
        raise UsageError(problem, fix, subject=photo)
    # Several scenes may have the same number: the newest.
    chosen = max(finished, key=lambda entry: entry.paid_at)
    order, presets = chosen.load(), chosen.presets
    path = final_of(chosen, out)
    data = None if path is None else files.own_bytes(path, files.OUTPUT)
    if path is None or data is None:
        raise UsageError("its final is gone", f"Run: photio-prep finish {out}", subject=photo)
    recipe = str((chosen.final() or {}).get("made", ""))
    origin = replace(order.origin, output=bases[0], variant=None, record="")
    order = store.with_record(replace(order, origin=origin), chosen.folder)
    # The suffix follows the bytes, not the recorded name.
    target = writer.path_of(order, out, MARK + SUFFIXES.get(picture_format(data, path), ""))
    writer.refuse_if_in_the_way(order, target, overwrite=overwrite)
    order = store.add_photo(order, chosen.folder)
    writer.carry_proof(chosen.folder, chosen.origin, order.origin)
    order.marks.mark_chosen(by="keep")
    return KeptVariant(order, target, presets, writer.write_encoded(order, out, target, data, recipe))


def _find_variants(photo: str, out: Path) -> list[IndexEntry]:
    """Find the orders of the photos with variants that match `photo`."""
    orders = index.index_of(out / "orders").refresh()
    folder = Path(photo)
    named = [*orders.find("source", photo), *orders.find("path", os.path.realpath(folder))]
    named += orders.find("output", photo)
    if (folder / "order.json").is_file():
        named += [entry for entry in orders.of_folder(folder.name) if entry.folder.resolve() == folder.resolve()]
    photos = [entry.origin for entry in named if entry.origin.variant]
    entries = [entry for base in {origin.base for origin in photos} for entry in orders.find("output", base)]
    return [
        entry
        for entry in entries
        if entry.origin.variant and any(index.is_same_photo(entry.origin, photo) for photo in photos)
    ]
