"""A row -> where its pictures lie, and those that have to be made: a small pair for the list, the answer as a picture.

What is made carries in its name what it was made from, so it is made once, and never out of date; and the mark of a
final, so that it is never taken for a photo.
"""

import io
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from photio_prep.api import wire
from photio_prep.errors import PhotioError, UsageError
from photio_prep.final.publish import place as place_of
from photio_prep.geometry import Box, Placement
from photio_prep.imaging.decode import DEFAULT_LIMITS, picture
from photio_prep.imaging.encode import SUFFIXES
from photio_prep.imaging.limits import Limits
from photio_prep.intake.item import MARK
from photio_prep.orders import answer_file, claims, previews
from photio_prep.orders.record_checks import CANVAS
from photio_prep.review.entries import Row, digest_is, home
from photio_prep.system import files
from photio_prep.system.threads import Pool

# Each half of a small pair, in pixels: twice what the page shows.
_HALF = (144, 120)
_MADE = re.compile(r"[0-9a-f]{32}-[0-9a-f]{8}-(?:(\d+)\.(\d+)\.(\d+)\.(\d+)-photio\.webp|answer-photio\.jpg)")
# What every browser shows by itself, turned by its EXIF. The others are shown as the order keeps them.
_SHOWN = frozenset({"JPEG", "PNG", "WEBP", "AVIF"})
_WORKERS = 4
FILES = "review-files"


@dataclass(frozen=True, slots=True)
class Pictures:
    """Paths of pictures, None where there is none; `product` is its box on the canvas."""

    photo: Path | None = None
    shown: Path | None = None
    overlay: Path | None = None
    cutout: Path | None = None
    canvas: Path | None = None
    answer: Path | None = None
    final: Path | None = None
    drift: Path | None = None
    thumb: Path | None = None
    product: Box | None = None


def pictures(found: list[Row], folder: Path | None = None) -> Iterator[Pictures]:
    """The pictures of each row.

    Args:
        found: The rows.
        folder: Where those that have to be made lie afterwards; None is `review-files` in its output folder.

    Raises:
        StorageFailed: That cannot be written.
    """
    first = {row.folder: row for row in reversed(found) if row.state is not None}
    places = {folder or home(each) / FILES for each in first}
    there = {place: _there(place) for place in places}

    def make(row: Row) -> tuple[Path, ...]:
        place = folder or home(row.folder) / FILES
        return tuple(place / name for name in _made(row, place, there[place]))

    with Pool(_WORKERS, "page") as pool:
        pool.fill()
        made = dict(zip(first, pool.map(make, first.values()), strict=True))
    for row in found:
        yield _pictures(row, made.get(row.folder, ()))


def _there(place: Path) -> dict[str, list[str]]:
    """What was made earlier, by the order."""
    with files.storage(place):
        files.make_folder(place)
        refuse_link(place)
        names = [each.name for each in os.scandir(place) if _MADE.fullmatch(each.name) and _whole(each)]
    found: dict[str, list[str]] = {}
    for name in sorted(names):
        found.setdefault(name[:32], []).append(name)
    return found


def refuse_link(place: Path) -> None:
    """Do nothing for a folder that lies where it seems to.

    Raises:
        UsageError: It is a link: what is made would lie elsewhere.
    """
    if place.is_symlink():
        raise UsageError("a link lies where small pictures go", "Take it away", subject=str(place))


def _whole(entry: os.DirEntry[str]) -> bool:
    return entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_size > 0


def _pictures(row: Row, made: tuple[Path, ...]) -> Pictures:
    def there(name: str) -> Path | None:
        path = row.folder / name
        return path if path.is_file() and not path.is_symlink() else None

    if row.state is None:
        return Pictures()
    answer = next((each for each in made if each.suffix == ".jpg"), None)
    thumb = next((each for each in made if each.suffix == ".webp"), None)
    return Pictures(
        photo=_original(row),
        shown=there(previews.PHOTO),
        overlay=there(previews.OVERLAY),
        cutout=there("cutout.png"),
        canvas=there("canvas.png"),
        answer=answer,
        final=_final(row),
        drift=there(f"drift-{row.photo}.png") or there("drift.png"),
        thumb=thumb,
        product=_product(thumb),
    )


def _original(row: Row) -> Path | None:
    """The photo itself, where it still lies at its place unchanged and a browser can show it."""
    path = Path(row.source)
    if row.format not in _SHOWN or "://" in row.source or not path.is_file():
        return None
    return path if digest_is(path, row.digest, DEFAULT_LIMITS.file_bytes) else None


def _final(row: Row) -> Path | None:
    """The final: at its place in the output folder, wherever that is now, or where else it was put.

    Elsewhere only the very bytes that were put there: an order's folder that somebody made up must not show, or embed,
    a picture of ours that it names.
    """
    if not row.final:
        return None
    out, there = row.folder.resolve().parent.parent, Path(row.final)
    with suppress(UsageError):
        here = place_of(out, row.output, f"{MARK}{there.suffix}")
        if here.is_file() and not here.is_symlink():
            return here
    same = there.suffix in SUFFIXES.values() and files.own_digest(there) == row.final_digest
    return there if same else None


def _product(thumb: Path | None) -> Box | None:
    found = _MADE.fullmatch(thumb.name) if thumb else None
    numbers = [int(each) for each in found.groups()] if found else []
    return Box(*numbers) if any(numbers) else None


def _made(row: Row, place: Path, there: dict[str, list[str]]) -> list[str]:
    """The names of what was made for an order, now or earlier."""
    head = f"{row.key[:32]}-{_stamp(row.folder)}-"
    old = there.get(row.key[:32], [])
    kept = [name for name in old if name.startswith(head)]
    if any(name.endswith(".webp") for name in kept) or row.placement is None:
        return kept
    names = []
    answer = _answer(row.folder, row.placement)
    if answer is not None:
        names.append(f"{head}answer-photio.jpg")
        files.write_whole(place / names[0], _encoded(answer, "JPEG", quality=90), durable=False)
    try:
        pair, box = _pair(row.folder, row.placement, answer)
    except (PhotioError, OSError):
        return names  # a damaged order: its row says what is wrong
    names.append(f"{head}{'.'.join(map(str, box))}-photio.webp")
    files.write_whole(place / names[-1], _encoded(pair, "WEBP", quality=80, method=2), durable=False)
    for name in set(old) - set(names):
        files.remove_quietly(place / name)
    return names


def _stamp(folder: Path) -> str:
    """Eight digits that change when what pictures are made from changes."""
    told = [str(_answer_path(folder))]
    for name in (previews.PHOTO, "cutout.png", "answer.raw"):
        if (folder / name).exists():
            found = (folder / name).stat()
            told.append(f"{name} {found.st_size} {found.st_mtime_ns}")
    return f"{zlib.crc32(' '.join(told).encode()):08x}"


def _answer_path(folder: Path) -> Path | None:
    return answer_file.answer_path(folder, claims.read(folder / claims.NAME))


def _answer(folder: Path, placement: Placement) -> Image.Image | None:
    """The picture in the kept answer; None where there is no usable one."""
    try:
        raw = _answer_path(folder)
        return wire.answer(files.read_own(raw, wire.LONGEST_ANSWER), placement.canvas) if raw else None
    except (PhotioError, OSError):
        return None


def read(path: Path, limits: Limits = CANVAS) -> Image.Image:
    """A picture that lies in an order's folder, which anybody may have edited.

    Raises:
        PhotoRefused: It is none, or outside the limits, which are those of a canvas.
        OSError: It is not there.
    """
    return picture(files.read_own(path, min(limits.file_bytes, files.OUTPUT)), limits).image


def _pair(folder: Path, placement: Placement, answer: Image.Image | None) -> tuple[Image.Image, Box]:
    """The photo, and beside it what became of it so far; and the product's box on the canvas."""
    cutout = read(folder / "cutout.png").convert("RGBA")
    seen = cutout.getchannel("A").point([0] * 8 + [255] * 248).getbbox() or (0, 0, 0, 0)
    left, top = placement.box[:2]
    product = Box(left + seen[0], top + seen[1], left + seen[2], top + seen[3]) if any(seen) else Box(0, 0, 0, 0)
    if (folder / previews.PHOTO).exists():
        photo = read(folder / previews.PHOTO).convert("RGB")
    else:
        both = read(folder / previews.OVERLAY).convert("RGB")
        photo = both.crop((0, 0, both.width // 2, both.height))
    shrink = min(_HALF[0] / cutout.width, _HALF[1] / cutout.height)
    size = (max(round(cutout.width * shrink), 1), max(round(cutout.height * shrink), 1))
    pair = Image.new("RGB", (2 * size[0], size[1]))
    pair.paste(photo.resize(size, Image.Resampling.BOX, reducing_gap=2), (0, 0))
    if answer is not None:
        pair.paste(answer.resize(size, Image.Resampling.BOX, placement.box, reducing_gap=2), (size[0], 0))
    else:
        small = cutout.resize(size, Image.Resampling.BOX)
        pair.paste(previews.board(size), (size[0], 0))
        pair.paste(small, (size[0], 0), small)
    return pair, product


def _encoded(image: Image.Image, format_: str, **options: int) -> bytes:
    holder = io.BytesIO()
    image.save(holder, format_, **options)
    return holder.getvalue()
