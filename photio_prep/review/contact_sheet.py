"""Rows -> numbered contact sheets, for mail and chat: PNG files of a few dozen photos each."""

import io
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from photio_prep.errors import PhotioError
from photio_prep.intake import own_files
from photio_prep.quality import Verdict
from photio_prep.review.entries import Row
from photio_prep.review.html import state_of, totals
from photio_prep.review.thumbnails import Pictures, read
from photio_prep.system import files
from photio_prep.system.text import escaped

_COLUMNS, _ROWS = 4, 8
_TILE, _PICTURE, _GAP, _HEAD = (312, 196), 132, 12, 48
_PAPER, _INK, _SOFT, _SUNK = "#ffffff", "#1b1f24", "#57606a", "#eceef0"
_BAD, _WARN, _GOOD = "#a3161f", "#7a4a00", "#14612f"


def sheets(found: list[Row], pictures: list[Pictures], place: Path, *, overwrite: bool = False) -> list[Path]:
    """The paths of the sheets: `place`, and `<name>-2.png` and so on where one does not hold them all.

    The numbers are those of the page.
    """
    each = _COLUMNS * _ROWS
    places = [place.with_name(f"{place.stem}-{at // each + 1}{place.suffix}") for at in range(each, len(found), each)]
    paths = [place, *places]
    for path in paths:
        own_files.refuse_foreign(path, overwrite=overwrite)
    for at, path in zip(range(0, len(found), each), paths, strict=True):
        part = [*zip(found, pictures, strict=True)][at : at + each]
        head = f"{totals(found)}   ·   {at + 1} to {at + len(part)}"
        files.write_whole(path, _png(_sheet(part, at + 1, head)))
    return paths


def _sheet(part: list[tuple[Row, Pictures]], first: int, head: str) -> Image.Image:
    columns = min(_COLUMNS, len(part))
    down = -(-len(part) // columns)
    width, height = _GAP + columns * (_TILE[0] + _GAP), _HEAD + down * (_TILE[1] + _GAP)
    sheet = Image.new("RGB", (max(width, 640), height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, 16), _fitted(draw, head, sheet.width - 2 * _GAP, 15), _SOFT, _font(15))
    for at, (row, seen) in enumerate(part):
        left, top = _GAP + at % columns * (_TILE[0] + _GAP), _HEAD + at // columns * (_TILE[1] + _GAP)
        _tile(sheet, (left, top), first + at, row, seen)
    return sheet


def _tile(sheet: Image.Image, corner: tuple[int, int], number: int, row: Row, seen: Pictures) -> None:
    draw = ImageDraw.Draw(sheet)
    left, top = corner
    draw.rounded_rectangle((left, top, left + _TILE[0] - 1, top + _PICTURE - 1), 8, _SUNK)
    pair = _pair(seen.thumb)
    if pair is not None:
        sheet.paste(pair, (left + (_TILE[0] - pair.width) // 2, top + (_PICTURE - pair.height) // 2))
    draw.text((left, top + _PICTURE + 6), f"{number}", _SOFT, _font(15))
    shift = round(draw.textlength(f"{number}  ", _font(15)))
    name = _fitted(draw, escaped(Path(row.source).name), _TILE[0] - shift, 15)
    draw.text((left + shift, top + _PICTURE + 6), name, _INK, _font(15))
    stopped = row.state is None or (row.gate is not None and row.gate.verdict is Verdict.STOP)
    told = ", ".join([state_of(row), *(each.replace("_", " ") for each in row.flags)])
    colour = _BAD if stopped or row.badness > 5 else _WARN if row.badness else _GOOD
    draw.text((left, top + _PICTURE + 28), _fitted(draw, told, _TILE[0], 13), colour, _font(13))


def _pair(thumb: Path | None) -> Image.Image | None:
    if thumb is None:
        return None
    try:
        pair = read(thumb)
    except (PhotioError, OSError):
        return None
    pair.thumbnail((_TILE[0] - 16, _PICTURE - 12))
    return pair


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _fitted(draw: ImageDraw.ImageDraw, text: str, width: int, size: int) -> str:
    """As much of `text` as fits into `width` pixels: of a name the end says more than the middle."""
    if draw.textlength(text, _font(size)) <= width:
        return text
    for cut in range(len(text) - 2, 1, -1):
        head, tail = text[: cut // 2], text[len(text) - (cut - cut // 2) :]
        if draw.textlength(f"{head}…{tail}", _font(size)) <= width:
            return f"{head}…{tail}"
    return "…"


def _png(picture: Image.Image) -> bytes:
    holder = io.BytesIO()
    note = PngInfo()
    note.add_text("Software", own_files.GENERATOR)
    picture.save(holder, "PNG", optimize=True, pnginfo=note)
    return holder.getvalue()
