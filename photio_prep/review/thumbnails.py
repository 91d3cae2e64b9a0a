"""Entry -> paths of its pictures; makes the before-after thumbnail and the decoded answer.

The name of a made file holds a checksum of its sources, so it is made once and never stale; and the suffix of a final,
so that photio-prep never takes it for a photo.
"""

import os
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from PIL import Image

from photio_prep.errors import PhotioError, StorageFailed, UsageError
from photio_prep.final import publish
from photio_prep.geometry import Box, Placement
from photio_prep.imaging.decode import DEFAULT_LIMITS
from photio_prep.imaging.encode import SUFFIXES, encode_clean
from photio_prep.intake.item import MARK
from photio_prep.orders import previews
from photio_prep.orders.folder import OrderFolder
from photio_prep.review.entries import ReviewEntry, output_root
from photio_prep.system import files
from photio_prep.system.threads import Pool

# Size of each half of a thumbnail, in pixels: twice what the page shows.
_HALF = (144, 120)
_NAME = re.compile(r"[0-9a-f]{32}-[0-9a-f]{8}-(?:(\d+)\.(\d+)\.(\d+)\.(\d+)-photio\.webp|answer-photio\.jpg)")
# Formats that every browser shows, turned by their EXIF. Photos in others are shown by the order's own copy.
_BROWSER_FORMATS = frozenset({"JPEG", "PNG", "WEBP", "AVIF"})
_WORKERS = 4
FILES = "review-files"


@dataclass(frozen=True, slots=True)
class Thumbnails:
    """Paths of an entry's pictures, None where one does not exist; `product` is the product's box on the canvas."""

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


def collect_pictures(entries: list[ReviewEntry], folder: Path | None = None) -> Iterator[Thumbnails]:
    """Yield the pictures of each entry; made ones go to `folder`, by default `review-files` in its output folder."""
    first = {entry.folder: entry for entry in reversed(entries) if entry.state is not None}
    folders = {order: folder or output_root(order) / FILES for order in first}
    existing = {target: _list_existing(target) for target in set(folders.values())}

    def ensure(entry: ReviewEntry) -> tuple[Path, ...]:
        with suppress(StorageFailed):  # a folder that is only to be read
            previews.draw_previews(entry.folder)
            if entry.altered:
                previews.draw_drift_of(entry.folder)
        target = folders[entry.folder]
        return tuple(target / name for name in _ensure_thumbnails(entry, target, existing[target]))

    with Pool(_WORKERS, "page") as pool:
        pool.fill()
        thumbnails = dict(zip(first, pool.map(ensure, first.values()), strict=True))
    for entry in entries:
        yield _find_pictures(entry, thumbnails.get(entry.folder, ()))


def _list_existing(folder: Path) -> dict[str, list[str]]:
    """Return the names of files made earlier, by the first 32 digits of their order's key."""
    with files.storage_errors(folder):
        files.make_folder(folder)
        if folder.is_symlink():  # files would be written to another folder
            raise UsageError("the folder of thumbnails is a symbolic link", "Remove it", subject=str(folder))
        existing: dict[str, list[str]] = {}
        for file in sorted(os.scandir(folder), key=lambda file: file.name):
            regular = _NAME.fullmatch(file.name) and file.is_file(follow_symlinks=False)
            if regular and file.stat(follow_symlinks=False).st_size:
                existing.setdefault(file.name[:32], []).append(file.name)
        return existing


def _find_pictures(entry: ReviewEntry, thumbnails: tuple[Path, ...]) -> Thumbnails:
    def find(name: str) -> Path | None:
        path = entry.folder / name
        return path if path.is_file() and not path.is_symlink() else None

    if entry.state is None:
        return Thumbnails()
    thumb = next((path for path in thumbnails if path.suffix == ".webp"), None)
    match = _NAME.fullmatch(thumb.name) if thumb else None
    box = Box(*map(int, match.groups())) if match else Box(0, 0, 0, 0)
    return Thumbnails(
        photo=_find_original(entry),
        shown=find(previews.PHOTO),
        overlay=find(previews.OVERLAY),
        cutout=find("cutout.png"),
        canvas=find("canvas.png"),
        answer=next((path for path in thumbnails if path.suffix == ".jpg"), None),
        final=_find_final(entry),
        drift=find(f"drift-{entry.order.origin.id}.png") or find("drift.png"),
        thumb=thumb,
        product=box if any(box) else None,
    )


def _find_original(entry: ReviewEntry) -> Path | None:
    """Return the photo's path if the file is unchanged and a browser can show it."""
    path = Path(entry.source)
    if entry.order.origin.format not in _BROWSER_FORMATS or "://" in entry.source or not path.is_file():
        return None
    with suppress(PhotioError):
        if sha256(files.read_input(path, DEFAULT_LIMITS.file_bytes)).hexdigest() == entry.order.origin.digest:
            return path
    return None


def _find_final(entry: ReviewEntry) -> Path | None:
    """Return the final's path: in the output folder, which may have been moved, or where it was written.

    A path outside of the output folder counts only with the recorded digest: a forged order must not show or embed
    another picture that it names.
    """
    if not entry.final:
        return None
    out, recorded = entry.folder.resolve().parent.parent, Path(entry.final)
    with suppress(UsageError):
        path = publish.output_path(out, entry.order.origin.output, f"{MARK}{recorded.suffix}")
        if path.is_file() and not path.is_symlink():
            return path
    same = recorded.suffix in SUFFIXES.values() and files.own_digest(recorded) == entry.final_digest
    return recorded if same else None


def _ensure_thumbnails(entry: ReviewEntry, folder: Path, existing: dict[str, list[str]]) -> list[str]:
    """Make the files of an order that are missing or stale; return the names of all of them."""
    head = f"{entry.key[:32]}-{_checksum_sources(entry.folder)}-"
    old = existing.get(entry.key[:32], [])
    current = [name for name in old if name.startswith(head)]
    if any(name.endswith(".webp") for name in current):
        return current
    names, answer = [], previews.read_answer(entry.folder, entry.order.placement.canvas)
    if answer is not None:
        names.append(f"{head}answer-photio.jpg")
        files.write_atomic(folder / names[0], encode_clean(answer, "JPEG", quality=90), durable=False)
    try:
        pair, box = _before_after(entry.folder, entry.order.placement, answer)
    except (PhotioError, OSError):
        return names  # a damaged order: its entry names the fault
    names.append(f"{head}{'.'.join(map(str, box))}-photio.webp")
    files.write_atomic(folder / names[-1], encode_clean(pair, "WEBP", quality=80, method=2), durable=False)
    for name in set(old) - set(names):
        with suppress(OSError):  # it can be made again
            (folder / name).unlink()
    return names


def _checksum_sources(folder: Path) -> str:
    """Return eight digits that change with the sources of an order's thumbnails."""
    sources = [str(OrderFolder(folder).answer)]
    for name in (previews.PHOTO, "cutout.png", "answer.raw"):
        if (folder / name).exists():
            status = (folder / name).stat()
            sources.append(f"{name} {status.st_size} {status.st_mtime_ns}")
    return f"{zlib.crc32(' '.join(sources).encode()):08x}"


def _before_after(folder: Path, placement: Placement, answer: Image.Image | None) -> tuple[Image.Image, Box]:
    """Return the photo beside its answer, or beside its cutout without one; and the product's box on the canvas."""
    cutout = previews.read_picture(folder / "cutout.png").convert("RGBA")
    extent = cutout.getchannel("A").point([0] * 8 + [255] * 248).getbbox()
    left, top = placement.box[:2]
    product = Box(left + extent[0], top + extent[1], left + extent[2], top + extent[3]) if extent else Box(0, 0, 0, 0)
    if (folder / previews.PHOTO).exists():
        photo = previews.read_picture(folder / previews.PHOTO).convert("RGB")
    else:
        both = previews.read_picture(folder / previews.OVERLAY).convert("RGB")
        photo = both.crop((0, 0, both.width // 2, both.height))
    size = previews.fit(cutout.size, _HALF)
    photo = photo.resize(size, Image.Resampling.BOX, reducing_gap=2)
    if answer is not None:
        beside = answer.resize(size, Image.Resampling.BOX, placement.box, reducing_gap=2)
    else:
        beside = previews.on_checkerboard(cutout.resize(size, Image.Resampling.BOX))
    return previews.join(photo, beside), product
