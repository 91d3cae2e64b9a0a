"""Was this very photo already prepared in this way? Then nothing is decoded or inferred again.

A note below `orders/.made` leads from a wish to an order. It is only a way there: the order is read and checked like
any other, and where note or order is gone or damaged, the photo is prepared again.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache, wraps
from hashlib import sha256
from importlib.metadata import version
from inspect import signature
from pathlib import Path
from typing import Any, ParamSpec

from PIL import Image

from photio_prep.api.request import doubts, request
from photio_prep.cutout.models.registry import Model, get_model
from photio_prep.errors import ModelUnavailable, PhotioError
from photio_prep.intake.load import load, name_of, read
from photio_prep.orders import previews
from photio_prep.orders import store as ledger
from photio_prep.orders.origin import file_path, placed_as
from photio_prep.orders.store import Order
from photio_prep.system import files
from photio_prep.system.parallel import alone
from photio_prep.types import Photo

NOTES = ".made"
Asked = ParamSpec("Asked")

# What another order of the same canvas may be asked with; everything else decides what the canvas is.
_WORDS = ("description", "seed", "negative_prompt", "append_negative")
_BESIDE = {*_WORDS, "source", "endpoint", "orders", "name", "output", "variants", "limits"}


def once(prepare: Callable[Asked, Order]) -> Callable[Asked, Order]:
    """`prepare`, but that a photo which lies prepared in `orders`, by the same tool and in the same way, is recalled.

    Photos in memory, a matter of the user's own and a second opinion always go the whole way.
    """
    shape = signature(prepare)

    @wraps(prepare)
    def recalling(*args: Asked.args, **given: Asked.kwargs) -> Order:
        bound = shape.bind(*args, **given)
        bound.apply_defaults()
        asked, source = bound.arguments, bound.arguments["source"]
        told = None if isinstance(source, (Photo, Image.Image)) else _told(asked)
        if isinstance(source, (Photo, Image.Image)) or told is None:
            return prepare(*args, **given)
        asked["name"] = asked["name"] or name_of(source)
        asked["source"] = data = read(source, asked["limits"], asked["name"])
        digest = sha256(data).hexdigest()
        # What a name promises is remarked on.
        with _note(Path(asked["orders"]), f"{digest} {Path(asked['name']).suffix.lower()} {told}") as note:
            order = _recalled(note, digest, asked)
            if order is None:
                order = prepare(*bound.args, **bound.kwargs)
                if order.folder is not None:
                    there = f"{order.folder.name} {order.origin.id}\n"
                    files.write_whole(note, there.encode("ascii"), durable=False)
        return order

    return recalling


def _told(asked: dict[str, Any]) -> str | None:
    """Everything that decides what comes out, as text; None where that cannot be told."""
    if asked["orders"] is None or asked["second"] is not None:
        return None
    decides = {name: value for name, value in asked.items() if name not in _BESIDE and value is not None}
    matter = decides.pop("model")
    matter = get_model(matter) if isinstance(matter, str) else matter
    if not isinstance(matter, Model):
        return None
    with suppress(ModelUnavailable):  # a mask or an alpha needs none
        decides["model"] = f"{matter.asked} {matter.sha256}"
    if "mask" in decides:
        if hasattr(asked["mask"], "read"):  # gives its bytes once
            asked["mask"] = asked["mask"].read()
        decides["mask"] = sha256(load(asked["mask"], limits=asked["limits"]).image.tobytes()).hexdigest()
    return f"{_version()} {sorted(decides.items())}"


def _recalled(note: Path, digest: str, asked: Mapping[str, Any]) -> Order | None:
    """The order that a note leads to, where it is whole, with the words and the name of now."""
    old = _there(note, digest)
    if old is None or old.folder is None:
        return None
    new = request(old.canvas, **{name: asked[name] for name in _WORDS})
    was, now = doubts(old.request.description), doubts(new.description)
    warnings = (*(each for each in old.origin.warnings if each not in was), *now)
    origin = replace(old.origin, source=asked["name"], path=file_path(asked["name"]), warnings=warnings, record="")
    origin = replace(origin, **placed_as(asked["output"], variants=asked["variants"]))
    kept = ledger.cutout(old.folder)
    order = replace(old, request=new, endpoint=asked["endpoint"], origin=origin, cutout=kept, folder=None)
    placed = ledger.write(order, note.parent.parent)
    if placed.folder is not None and placed.folder != old.folder:
        previews.carry(old.folder, placed.folder)
    return placed


def _there(note: Path, digest: str) -> Order | None:
    with suppress(OSError, ValueError, PhotioError):
        folder, photo = files.read_own(note, files.FACTS).decode("ascii").split()
        place = note.parent.parent / Path(folder).name
        for origin in ledger.origins(place):
            if (origin.id, origin.digest) == (photo, digest):
                return ledger.read(place, origin=origin)
    return None


@contextmanager
def _note(orders: Path, wish: str) -> Iterator[Path]:
    """The place of a wish's note; one thread at a time, so that of twins only the first is prepared."""
    note = orders / NOTES / sha256(wish.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    with alone(note):
        yield note


@cache
def _version() -> str:
    return version("photio-prep")
