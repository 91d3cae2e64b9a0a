"""One photo with several seeds: an order for each, a numbered sheet of their finals, and the one that is kept.

Takes orders, folders of finals and numbers; gives orders, a sheet, the kept final. Touches the disk.
Raises UsageError for a sweep or a number that there is not, and what reading and writing orders raise.

The finals of a sweep lie in `<name>-seeds/1-photio.jpg` and so on; the kept one is written to `<name>-photio.jpg`,
where the photo's only final would lie.
"""

import io
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from photio_prep import decode, files, finals, orders, ours, settings, states, views
from photio_prep.encode import SUFFIXES
from photio_prep.errors import PhotioError, PhotoRefused, StorageFailed, UsageError
from photio_prep.geometry import Size
from photio_prep.inputs import MARK
from photio_prep.limits import DEFAULT_LIMITS
from photio_prep.orders import Order, Origin
from photio_prep.publish import picture_format, publish
from photio_prep.stages.request import LAST_SEED

SUFFIX = "-seeds"
# A sheet ends like a final of ours, so that it is never taken for a photo.
SHEET = "sheet-photio.png"
_TILE, _COLUMNS, _LINE = 480, 4, 12
_WIDTHS = {columns * (_TILE + _LINE) + _LINE for columns in range(1, _COLUMNS + 1)}
_OUTPUT = re.compile(rf"(?P<name>.+){SUFFIX}/(?P<number>[0-9]{{1,6}})")
_FINAL = re.compile(r"([0-9]{1,6})-photio\.(?:jpg|png|webp)")


def first(output: str) -> str:
    """Where the first final of a sweep belongs, by the place of the photo's only final."""
    return f"{output}{SUFFIX}/1"


def places(output: str, count: int) -> tuple[str, ...]:
    """Where the finals of a sweep belong, by the place of its first; of a photo with one seed, that one's alone."""
    return (output, *(output.removesuffix("/1") + f"/{number}" for number in range(2, count + 1)))


def alone(output: str) -> str:
    """The place of the photo's only final, by that of a final of its sweep; of any other, as it is."""
    found = _OUTPUT.fullmatch(output)
    return found["name"] if found else output


def seed_of(base: int, number: int) -> int:
    """The seed of number 1, 2, 3 … of a sweep: the first has the one that the photo would have alone."""
    if number == 1:
        return base
    return 1 + int(sha256(f"photio-prep sweep\0{base}\0{number}".encode()).hexdigest()[:16], 16) % (LAST_SEED - 1)


def spread(made: Iterable[Order], count: int) -> Iterator[Order]:
    """Each order, whose final is a sweep's first, and beside it those for the other numbers up to `count`.

    Raises:
        StorageFailed: One cannot be written.
    """
    for order in made:
        yield order
        for number in range(2, count + 1):
            yield _other(order, number)


def _other(order: Order, number: int) -> Order:
    sent, origin = order.request, order.origin
    output = places(origin.output, number)[-1]
    cutout = order.cutout
    if cutout is None and order.folder is not None:
        cutout = orders.cutout(order.folder)
    # Not drawn but asked for: a wish of its own, however often the first was paid for.
    asked = replace(sent, seed=seed_of(sent.seed, number), seed_drawn=False)
    other = replace(order, request=asked, origin=replace(origin, output=output), cutout=cutout, folder=None)
    if order.folder is None:
        return other
    other = orders.write(other, order.folder.parent)
    if other.folder is not None:
        views.carry(order.folder, other.folder)
    return other


def is_sweep(final: Path) -> bool:
    """Whether a final is one of a sweep."""
    return final.parent.name.endswith(SUFFIX)


def refuse_foreign(folder: Path, *, overwrite: bool) -> None:
    """Do nothing where the sheet of a sweep's folder is one of ours, or there is none.

    Raises:
        OutputExists: A file of somebody else lies there.
    """
    ours.refuse_foreign(folder / SHEET, overwrite=overwrite, old=_is_old_sheet)


def _is_old_sheet(head: bytes) -> bool:
    """Whether a PNG has the width of a sheet: earlier versions left no mark, but in a folder and by a name of ours."""
    return head[:8] == b"\x89PNG\r\n\x1a\n" and int.from_bytes(head[16:20], "big") in _WIDTHS


def sheet(folder: Path, *, overwrite: bool = False) -> Path:
    """The finals in a sweep's folder on one picture, each with its number; where it lies.

    Raises:
        OutputExists: A file of somebody else lies there.
        StorageFailed: It cannot be written.
    """
    found = {int(name[1]): each for each in folder.iterdir() if (name := _FINAL.fullmatch(each.name))}
    tiles = [tile for number, path in sorted(found.items()) if (tile := _tile(path, number)) is not None]
    if not tiles:
        raise StorageFailed("no final in it can be read", "Run `finish` again", subject=str(folder))
    columns = min(len(tiles), _COLUMNS)
    rows = [tiles[at : at + columns] for at in range(0, len(tiles), columns)]
    heights = [max(each.height for each in row) for row in rows]
    size = (columns * (_TILE + _LINE) + _LINE, sum(heights) + _LINE * (len(rows) + 1))
    whole = Image.new("RGB", size, "white")
    top = _LINE
    for row, height in zip(rows, heights, strict=True):
        for column, tile in enumerate(row):
            whole.paste(tile, (_LINE + column * (_TILE + _LINE), top))
        top += height + _LINE
    holder, note = io.BytesIO(), PngInfo()
    note.add_text("Software", ours.GENERATOR)
    whole.save(holder, "PNG", compress_level=4, pnginfo=note)
    refuse_foreign(folder, overwrite=overwrite)
    publish(folder, folder / SHEET, holder.getvalue())
    return folder / SHEET


def _tile(path: Path, number: int) -> Image.Image | None:
    try:
        data = files.read_own(path, DEFAULT_LIMITS.file_bytes)
        picture = decode.picture(data, settings.limits(), at=_tiled).image.convert("RGB")
    except (OSError, PhotoRefused):
        return None  # whatever lies there is no final of ours
    tile = picture.resize((_TILE, max(round(picture.height * _TILE / picture.width), 1)), Image.Resampling.LANCZOS)
    pen, text = ImageDraw.Draw(tile), str(number)
    font = ImageFont.load_default(40)
    box = pen.textbbox((16, 12), text, font=font)
    pen.rectangle((0, 0, box[2] + 16, box[3] + 12), fill="white")
    pen.text((16, 12), text, fill="black", font=font)
    return tile


def _tiled(size: Size) -> Size:
    return Size(_TILE, max(round(size.height * _TILE / size.width), 1))


def keep(what: str, number: int, out: Path, *, overwrite: bool = False) -> tuple[Order, Path]:
    """Make the final of a sweep's `number` that of the photo, as it is; its order, and where it lies. Changeable.

    Args:
        what: The photo as it was given, the name of its final below `out`, or an order of the sweep.
        number: As on the sheet.
        out: The output folder.
        overwrite: Replace a file there that no `keep` made.

    Raises:
        UsageError: There is no such sweep, more than one, or no such number with a final.
        OutputExists: Another file lies there.
        StorageFailed: It cannot be written.
    """
    found = _sweeps(what, out)
    names = {name for name, *_ in found}
    if len(names) != 1:
        told = f"{len(names)} sweeps: {', '.join(sorted(names))}" if names else "no sweep of it lies there"
        raise UsageError(told, "Name the photo as in the run with --seeds, or its final below --out", subject=what)
    finished = [each for each in found if each[1] == number and states.finished(each[2], each[3])]
    if not finished:
        there = ", ".join(map(str, sorted({each for _, each, *_ in found})))
        raise UsageError(f"no finished number {number}", f"There are: {there}; `finish` makes finals", subject=what)
    # The same number may have been asked for in several scenes: the newest.
    name, _, folder, origin = max(finished, key=lambda each: _paid(each[2]))
    mark = states.finished(folder, origin) or {}
    final = Path(str(mark.get("path")))
    data = files.own_bytes(final, files.OUTPUT)
    if data is None or sha256(data).hexdigest() != mark.get("sha256"):
        raise UsageError("its final is gone or changed", f"Run: photio-prep finish {folder}", subject=str(final))
    order = orders.read(folder, origin=origin)
    order = replace(order, origin=replace(order.origin, output=name))
    format_ = picture_format(data, final)  # by its bytes: its name is the record's word
    target = finals.path_of(order, out, f"{MARK}{SUFFIXES.get(format_, '')}")
    finals.refuse_if_in_the_way(order, target, overwrite=overwrite or _is_kept(target, name, found))
    publish(out, target, data)
    states.mark_finished(folder, order.origin, target, data)
    return order, target


def _paid(folder: Path) -> int:
    claim = folder / "claim.json"
    return claim.lstat().st_mtime_ns if claim.exists() else 0


_Found = list[tuple[str, int, Path, Origin]]


def _sweeps(what: str, out: Path) -> _Found:
    """Every number of the sweeps that `what` may mean: name, number, order and photo."""
    every: _Found = []
    for folder in orders.below(out):
        with suppress(PhotioError):  # a damaged one is named by whoever reads it for its own sake
            for origin in orders.origins(folder):
                if match := _OUTPUT.fullmatch(origin.output):
                    every.append((match["name"], int(match["number"]), folder, origin))
    named = Path(what).resolve()
    names = {name for name, _, folder, origin in every if what in (origin.source, name) or named == folder.resolve()}
    return [each for each in every if each[0] in names]


def _is_kept(target: Path, name: str, found: _Found) -> bool:
    """Whether what lies at `target` was put there by an earlier `keep`."""
    if not target.is_file():
        return False
    digest = files.own_digest(target)
    marks = (states.finished(folder, replace(origin, output=name)) for _, _, folder, origin in found)
    return any(mark is not None and mark.get("sha256") == digest for mark in marks)
