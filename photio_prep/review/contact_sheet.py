"""Entries -> numbered contact sheets for mail and chat: PNG files of up to 32 photos each."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from photio_prep.errors import PhotioError
from photio_prep.intake import own_files
from photio_prep.orders.previews import read_picture
from photio_prep.quality import Verdict
from photio_prep.review.entries import ReviewEntry
from photio_prep.review.html import state_label, summarize_costs
from photio_prep.review.thumbnails import Thumbnails
from photio_prep.system import files
from photio_prep.system.text import escape_controls

_COLUMNS, _PER_SHEET = 4, 32
_TILE, _PICTURE, _GAP, _HEAD = (312, 196), 132, 12, 48
_PAPER, _INK, _SOFT, _SUNK = "#ffffff", "#1b1f24", "#57606a", "#eceef0"
_BAD, _WARN, _GOOD = "#a3161f", "#7a4a00", "#14612f"


def write_sheets(
    entries: list[ReviewEntry], pictures: Iterable[Thumbnails], path: Path, *, overwrite: bool = False
) -> list[Path]:
    """Write the sheets to `path`, `<name>-2.png` and so on, numbered as in the page; return their paths.

    OutputExists, and none is written, if a sheet's path has a file that is not a contact sheet.
    """
    starts = range(0, len(entries), _PER_SHEET)
    paths = [path.with_name(f"{path.stem}-{start // _PER_SHEET + 1}{path.suffix}") for start in starts]
    paths[0] = path
    for sheet in paths:
        own_files.check_not_foreign(sheet, overwrite=overwrite)
    pairs = [*zip(entries, pictures, strict=True)]
    for start, sheet in zip(starts, paths, strict=True):
        tiles = pairs[start : start + _PER_SHEET]
        head = f"{summarize_costs(entries)}   ·   {start + 1} to {start + len(tiles)}"
        files.write_atomic(sheet, own_files.encode_own_png(_draw_sheet(tiles, start + 1, head)))
    return paths


def _draw_sheet(tiles: list[tuple[ReviewEntry, Thumbnails]], first: int, head: str) -> Image.Image:
    columns = min(_COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    width, height = _GAP + columns * (_TILE[0] + _GAP), _HEAD + rows * (_TILE[1] + _GAP)
    sheet = Image.new("RGB", (max(width, 640), height), _PAPER)
    _write(ImageDraw.Draw(sheet), (_GAP, 16), head, sheet.width - 2 * _GAP, 15, _SOFT)
    for at, (entry, pictures) in enumerate(tiles):
        left, top = _GAP + at % columns * (_TILE[0] + _GAP), _HEAD + at // columns * (_TILE[1] + _GAP)
        _draw_tile(sheet, (left, top), first + at, entry, pictures.thumb)
    return sheet


def _draw_tile(
    sheet: Image.Image, corner: tuple[int, int], number: int, entry: ReviewEntry, thumb: Path | None
) -> None:
    draw = ImageDraw.Draw(sheet)
    left, top = corner
    draw.rounded_rectangle((left, top, left + _TILE[0] - 1, top + _PICTURE - 1), 8, _SUNK)
    with suppress(PhotioError, OSError):
        if thumb is not None:
            pair = read_picture(thumb)
            pair.thumbnail((_TILE[0] - 16, _PICTURE - 12))
            sheet.paste(pair, (left + (_TILE[0] - pair.width) // 2, top + (_PICTURE - pair.height) // 2))
    shift = _write(draw, (left, top + _PICTURE + 6), f"{number}  ", _TILE[0], 15, _SOFT)
    name = escape_controls(Path(entry.source).name)
    _write(draw, (left + shift, top + _PICTURE + 6), name, _TILE[0] - shift, 15, _INK)
    stopped = entry.state is None or (entry.gate is not None and entry.gate.verdict is Verdict.STOP)
    note = ", ".join([state_label(entry), *(flag.replace("_", " ") for flag in entry.flags)])
    colour = _BAD if stopped or entry.severity > 5 else _WARN if entry.severity else _GOOD
    _write(draw, (left, top + _PICTURE + 28), note, _TILE[0], 13, colour)


def _write(draw: ImageDraw.ImageDraw, corner: tuple[int, int], text: str, width: int, size: int, colour: str) -> int:
    """Write one line, without letters from its middle until it fits into `width` pixels. Returns its width."""
    font = ImageFont.load_default(size)
    short, cut = text, len(text) - 1
    while draw.textlength(short, font) > width and cut > 1:
        cut -= 1
        short = f"{text[: cut // 2]}…{text[len(text) - (cut - cut // 2) :]}"
    draw.text(corner, short, colour, font)
    return round(draw.textlength(short, font))
