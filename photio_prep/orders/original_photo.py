"""Find the original photo of an order again: in memory, at its path, among the user's files, or kept in the order."""

import re
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from photio_prep.cutout.framing import cropped
from photio_prep.errors import PhotoRefused
from photio_prep.imaging.decode import DEFAULT_LIMITS, Limits
from photio_prep.imaging.encode import quick_png
from photio_prep.intake.load import Source, load
from photio_prep.orders.store import Order
from photio_prep.system import files
from photio_prep.types import Photo

_HELP = "Name it, or the folder it lies in, with --originals; or use --product generated"


def found(
    order: Order, given: Source | Photo | None = None, *, photos: Path | None = None, limits: Limits = DEFAULT_LIMITS
) -> Photo:
    """The very photo that `order` was made from, by the SHA-256 of its bytes.

    Looked for in this order: what is given; the order in memory; `photos`; the order's folder; where it lay.

    Args:
        order: Whose photo.
        given: The photo, or its source.
        photos: The file, or a folder that holds it under its own name, at any depth.
        limits: What it may be at most.

    Raises:
        PhotoRefused: It is not there, or not the same any more.
    """
    photo = _whole(order, given, photos, limits)
    return cropped(photo, order.placement.crop) if order.placement.crop else photo


def _whole(order: Order, given: Source | Photo | None, photos: Path | None, limits: Limits) -> Photo:
    origin = order.origin
    if given is not None:
        return _same(order, given if isinstance(given, Photo) else load(given, limits=limits, frame=order.origin.frame))
    if isinstance(order.photo, Photo):
        return order.photo
    if order.photo is not None:
        return load(order.photo, name=origin.source, limits=limits, frame=order.origin.frame)
    name = Path(origin.source).name
    places: list[Path] = []
    if photos is not None:
        places = sorted(photos.rglob(_literal(name))) if photos.is_dir() else [photos]
    kept = _kept(order, limits)
    if kept is not None:
        return replace(load(kept, limits=limits), source=origin.source, digest=origin.digest, format=origin.format)
    places += [Path(origin.source)] if "://" not in origin.source else []
    changed = None
    for place in places:
        try:
            data = files.read_input(place, limits.file_bytes)
        except PhotoRefused:
            continue
        if sha256(data).hexdigest() == origin.digest:
            return load(data, name=origin.source, limits=limits, frame=order.origin.frame)
        changed = place
    if changed is not None:
        raise PhotoRefused(f"{changed} is another file than when the order was prepared", _HELP, subject=origin.source)
    raise PhotoRefused("the photo cannot be found any more", _HELP, subject=origin.source)


def _same(order: Order, photo: Photo) -> Photo:
    if photo.digest != order.origin.digest:
        raise PhotoRefused(
            "this is another photo than the order was prepared from", "Give that very file", subject=photo.source
        )
    return replace(photo, source=order.origin.source)


def _literal(name: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", name) or "-"


def keep(order: Order, photo: Photo | bytes, *, limits: Limits = DEFAULT_LIMITS) -> None:
    """Keep the photo's pixels, and nothing else of it, in the order's folder: nobody could read it again."""
    if order.folder is not None:
        photo = photo if isinstance(photo, Photo) else load(photo, limits=limits, frame=order.origin.frame)
        data = quick_png(photo.image)
        files.create_same(order.folder / f"{_name(order)}{sha256(data).hexdigest()[:16]}.png", data)


def _kept(order: Order, limits: Limits) -> bytes | None:
    """The PNG of the photo as it was kept in the order's folder, where it was, and is still what was written."""
    for path in sorted(order.folder.glob(f"{_name(order)}*")) if order.folder else ():
        with suppress(OSError):
            data = files.read_own(path, limits.file_bytes)
            if path.stem.endswith(sha256(data).hexdigest()[:16]):
                return data
    return None


def _name(order: Order) -> str:
    return f"source-{order.origin.digest[:16]}-"
