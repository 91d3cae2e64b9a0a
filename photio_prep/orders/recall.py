"""Reuse an order prepared earlier from the same bytes and options: nothing is decoded or inferred again.

A note below `orders/.made` leads from the photo's bytes and the options to an order, which is read and checked like any
other. If note or order is missing or damaged, the photo is prepared again.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from PIL import Image

from photio_prep.api.request import description_warnings, expand_negative
from photio_prep.cutout.models.registry import Model, get_model
from photio_prep.errors import ModelUnavailable, PhotioError
from photio_prep.geometry import snap
from photio_prep.intake.load import Source, read_bytes
from photio_prep.orders import previews
from photio_prep.orders.folder import OrderFolder
from photio_prep.orders.options import OrderPlace, PrepareOptions
from photio_prep.orders.origin import file_path, placed_as
from photio_prep.orders.store import Order, load_cutout, load_order, write_order
from photio_prep.system import files
from photio_prep.types import Photo

CACHE_DIR = ".made"
_version = cache(version)


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """The note of one photo prepared with one set of options, and the photo's bytes."""

    note: Path
    data: bytes
    digest: str


def find_entry(
    source: Source | Photo, options: PrepareOptions, place: OrderPlace, mask: Image.Image | None
) -> CacheEntry | None:
    """The note of this photo and these options, written or not.

    None for an order in memory, a picture in memory, a segmenter of the user's own, and with a second opinion: these
    are always prepared. Raises PhotoRefused if the photo cannot be read.
    """
    if place.orders is None or isinstance(source, (Photo, Image.Image)):
        return None
    fingerprint = _fingerprint(options, mask)
    if fingerprint is None:
        return None
    data = read_bytes(source, options.limits, place.name)
    digest = sha256(data).hexdigest()
    # The suffix counts: a file named .jpg that is none gets a warning.
    key = f"{digest} {Path(place.name).suffix.lower()} {fingerprint}"
    note = Path(place.orders) / CACHE_DIR / sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return CacheEntry(note, data, digest)


def reuse_prepared(entry: CacheEntry, options: PrepareOptions, place: OrderPlace) -> Order | None:
    """The order that a note leads to, written with the present words and name; None if there is none."""
    old = _lookup(entry)
    if old is None:
        return None
    folder = old.require_folder()
    request = options.request(old.canvas)
    outdated = description_warnings(old.request.description)
    warnings = (
        *(text for text in old.origin.warnings if text not in outdated),
        *description_warnings(request.description),
    )
    origin = replace(old.origin, source=place.name, path=file_path(place.name), warnings=warnings, record="")
    origin = replace(origin, **placed_as(place.output, variants=place.variants))
    order = replace(
        old, request=request, endpoint=place.endpoint, origin=origin, cutout=load_cutout(folder), folder=None
    )
    order = write_order(order, entry.note.parent.parent)
    if order.folder != folder:
        previews.copy_previews(folder, order.require_folder())
    return order


def is_asked_again(order: Order, options: PrepareOptions, endpoint: str, data: bytes | None = None) -> bool:
    """Whether these options would make the same order of the same photo. Not known with a mask: False.

    `data`: the bytes of the photo, if they were read; else its name stands for them.
    """
    request, recorded = order.request, order.origin.options
    if data is not None and sha256(data).hexdigest() != order.origin.digest:
        return False
    if options.mask is not None or isinstance(recorded, str) or order.endpoint != endpoint:
        return False
    seed = request.seed_drawn if options.seed is None else request.seed == options.seed
    negative = expand_negative(options.negative_prompt, options.append_negative)
    words = (request.description, request.negative_prompt) == (options.description.strip(), negative)
    size = (options.recommended or snap(order.placement.source)).size
    same = options.record(recorded.model, recorded.size, recorded.mask) == recorded and size == order.placement.canvas
    return seed and words and same and options.frame == order.origin.frame


def remember(entry: CacheEntry, order: Order) -> Order:
    """Write the note that leads to `order`; the same order."""
    if order.folder is not None:
        text = f"{order.folder.name} {order.origin.id}\n"
        files.write_atomic(entry.note, text.encode("ascii"), durable=False)
    return order


def _fingerprint(options: PrepareOptions, mask: Image.Image | None) -> str | None:
    """This version and everything that decides the canvas; None where a segmenter has no digest."""
    model = get_model(options.model) if isinstance(options.model, str) else options.model
    if options.second is not None or not isinstance(model, Model):
        return None
    weights, size = "none", options.recommended
    with suppress(ModelUnavailable):  # a mask or an alpha needs none
        weights = f"{model.asked} {model.sha256}"
    drawing = "none" if mask is None else sha256(mask.tobytes()).hexdigest()
    recorded = options.record(weights, size.size if size else None, drawing)
    return f"{_version('photio-prep')} frame {options.frame} {recorded!r}"


def _lookup(entry: CacheEntry) -> Order | None:
    with suppress(OSError, ValueError, PhotioError):
        name, photo = files.read_nofollow(entry.note, files.RECORD).decode("ascii").split()
        folder = entry.note.parent.parent / Path(name).name
        for origin in OrderFolder(folder).photos():
            if (origin.id, origin.digest) == (photo, entry.digest):
                return load_order(folder, origin=origin)
    return None
