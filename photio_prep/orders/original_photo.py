"""Find the photo of an order again: in memory, at its path, among the user's files, or in the order's folder."""

import glob
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from PIL import Image

from photio_prep.cutout.framing import crop_photo
from photio_prep.errors import PhotoRefused
from photio_prep.imaging.decode import DEFAULT_LIMITS, Limits
from photio_prep.imaging.encode import encode_png_fast
from photio_prep.intake.load import Source, load
from photio_prep.orders.store import Order
from photio_prep.system import files
from photio_prep.types import Photo

_HELP = "Name it, or its folder, with --originals; or use --product generated"


def find_original(
    order: Order, source: Source | Photo | None = None, *, photos: Path | None = None, limits: Limits = DEFAULT_LIMITS
) -> Photo:
    """The photo that `order` was made from, identified by the SHA-256 of its bytes; PhotoRefused if missing or changed.

    Searched in turn: `source`; the order in memory; the order's folder; `photos`, a file, or a folder that holds it at
    any depth under its own name; the recorded source.
    """
    if source is None:
        photo = _search_original(order, photos, limits)
    else:
        photo = source if isinstance(source, Photo) else load(source, limits=limits, frame=order.origin.frame)
        if (photo.digest, photo.frame or 0) != (order.origin.digest, order.origin.frame or 0):
            raise PhotoRefused("the order was prepared from another photo", "Name that file", subject=photo.source)
        if photo.whole:
            raise PhotoRefused("a smaller copy of the photo", "Load it in full size", subject=photo.source)
        photo = replace(photo, source=order.origin.source)
    if photo.whole:  # the order was prepared from a smaller copy
        photo = replace(photo, image=photo.image.resize(photo.whole, Image.Resampling.LANCZOS), whole=None)
    return crop_photo(photo, order.placement.crop) if order.placement.crop else photo


def _search_original(order: Order, photos: Path | None, limits: Limits) -> Photo:
    origin = order.origin
    if isinstance(order.photo, Photo):
        return order.photo
    if order.photo is not None:
        return load(order.photo, name=origin.source, limits=limits, frame=origin.frame)
    name = Path(origin.source).name
    paths: list[Path] = []
    if photos is not None:
        paths = sorted(photos.rglob(glob.escape(name) or "-")) if photos.is_dir() else [photos]
    stored = _read_stored(order, limits)
    if stored is not None:
        return replace(load(stored, limits=limits), source=origin.source, digest=origin.digest, format=origin.format)
    paths += [Path(origin.source)] if "://" not in origin.source else []
    changed = None
    for path in paths:
        try:
            data = files.read_input(path, limits.file_bytes)
        except PhotoRefused:
            continue
        if sha256(data).hexdigest() == origin.digest:
            return load(data, name=origin.source, limits=limits, frame=order.origin.frame)
        changed = path
    if changed is not None:
        raise PhotoRefused(f"{changed} has changed since the order was prepared", _HELP, subject=origin.source)
    raise PhotoRefused("the photo cannot be found", _HELP, subject=origin.source)


def store_original(order: Order, photo: Photo | bytes, *, limits: Limits = DEFAULT_LIMITS) -> None:
    """Store the photo's pixels, without metadata, in the order's folder: its source cannot be read again."""
    if order.folder is not None:
        photo = photo if isinstance(photo, Photo) else load(photo, limits=limits, frame=order.origin.frame)
        own, canvas = photo.image, order.canvas
        fits = own.mode == "RGBA" and own.size == canvas.placement.canvas  # a cutout may be the very canvas
        data = canvas.png if fits and own.tobytes() == canvas.image.tobytes() else encode_png_fast(own)
        files.write_once(order.folder / f"{_prefix(order)}{sha256(data).hexdigest()[:16]}.png", data)


def _read_stored(order: Order, limits: Limits) -> bytes | None:
    """The PNG of the photo in the order's folder; None if there is none, or it has changed."""
    for path in sorted(order.folder.glob(f"{_prefix(order)}*")) if order.folder else ():
        with suppress(OSError):
            data = files.read_nofollow(path, limits.file_bytes)
            if path.stem.endswith(sha256(data).hexdigest()[:16]):
                return data
    return None


def _prefix(order: Order) -> str:
    return f"source-{order.origin.digest[:16]}-"
