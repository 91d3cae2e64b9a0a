"""The order folder is the state: planned, claimed, answered, finished.

order.json      what will be sent, but for the picture; written once
canvas.png      the very bytes of the picture
cutout.png      the product, in the photo's own frame at the canvas's scale
photo-*.json    each photo that wants this order's answer, and its way back; written once each
gate-*.json     what the gate thinks of each photo's cutout; its last word
photo.jpg, mask.png, overlay.png  to look at
claim.json      who is paying, or paid; made by exclusive creation before anything is sent
answer.part     an answer that is arriving, or never arrived whole
answer.raw      the body of a whole HTTP 200 answer, untouched
outcome.json    how it ended, where that was no success: rejected, unknown, paid_unusable
finished-*.json per photo: where its final lies, with digest and size
kept-*.json     per photo: that the user chose this order's final, and when
shelf-*.json    per photo and preset: where the file for that marketplace lies, with digest and size
shops-*.json    per variant: the presets whose files are made when it is kept
final-*         per photo, and photo and preset: its file there, when a newer one of that photo took its place
proof-*.json    per photo: whose pixels the product of its final has
drift.json, drift.png  how far the answer changed the product
source-*.png    the photo's pixels, only where they lie nowhere else: from standard input, a URL, or memory
attempt-*/      what an attempt left that the user resolved
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from PIL import Image

from photio_prep.api.wire import key
from photio_prep.errors import StorageFailed
from photio_prep.geometry import Placement
from photio_prep.imaging.decode import picture
from photio_prep.imaging.encode import quick_png
from photio_prep.orders import record_checks
from photio_prep.orders.origin import Origin, read_origin
from photio_prep.orders.records import AGAIN, now, read_if_there, written
from photio_prep.orders.records import read as read_facts
from photio_prep.quality import judgement
from photio_prep.system import files
from photio_prep.types import Canvas, Photo, Request

SCHEMA = 1


# An order for the stand-in never has the key of a paid one, whatever port it listens on.
SANDBOX = "sandbox"


@dataclass(frozen=True)
class Order:
    """One photo, ready to be paid for: exactly what is sent, to whom, and the way back.

    `device` is where the model ran, "" where none did.
    `cutout` is None for an order read back from its folder (`cutout.png` lies there); `folder` is None in memory.
    `photo` is what an order in memory was made from, as the bytes of its file if it had one. `fresh`: in a new folder.
    """

    request: Request
    endpoint: str
    origin: Origin
    model: str = ""
    cutout: Image.Image | None = None
    folder: Path | None = None
    device: str = ""
    photo: Photo | bytes | None = field(default=None, repr=False, compare=False)
    fresh: bool = field(default=False, compare=False)

    @cached_property
    def key(self) -> str:
        """SHA-256 over the endpoint, the request's fields and the exact bytes of the canvas."""
        return key(self.request, self.endpoint)

    @property
    def canvas(self) -> Canvas:
        """Exactly what is sent."""
        return self.request.canvas

    @property
    def placement(self) -> Placement:
        """Where the photo lies on the canvas."""
        return self.request.canvas.placement

    @property
    def sandbox(self) -> bool:
        """Whether it is for the stand-in and never costs anything."""
        return self.endpoint == SANDBOX


def write(order: Order, root: Path, *, revised: bool = False) -> Order:
    """`order` with its folder below `root`, whole on disk; the folder of the same order is used again.

    `revised`: it was made of another order (see wanted.py).

    Raises:
        StorageFailed: It cannot be written, or another order's folder stands there damaged.
    """
    folder = root / order.key[:32]
    fresh = not (folder / "order.json").exists() and _publish(order, folder, revised)
    if not fresh:
        order = add_photo(order, folder)
    return replace(order, folder=folder, fresh=fresh)


def _publish(order: Order, folder: Path, revised: bool) -> bool:
    """Write the folder beside its place and move it there: it is never seen half-written.

    Gives False where somebody else published the same order first.
    """
    sent = order.request
    plan = {
        "schema": SCHEMA,
        "key": order.key,
        "endpoint": order.endpoint,
        "sandbox": order.sandbox,
        "description": sent.description,
        "negative_prompt": sent.negative_prompt,
        "seed": sent.seed,
        "seed_drawn": sent.seed_drawn,
        "image_url": sent.image_url,
        "canvas": {"sha256": sent.canvas.digest, "bytes": len(sent.canvas.png), "size": list(sent.size)},
        "revised": revised,
        "model": order.model,
        "device": order.device,
        "created": now(),
    }
    temporary = files.temporary_beside(folder)
    with files.storage(folder):
        files.make_folder(folder.parent)
        temporary.mkdir()
        try:
            files.write_new(temporary / "canvas.png", sent.canvas.png)
            if order.cutout is not None:
                files.write_new(temporary / "cutout.png", _cutout_png(order.cutout, sent.canvas))
            files.write_new(temporary / "order.json", written(plan))
            files.write_new(temporary / f"photo-{order.origin.id}.json", written(_wanted(order)))
            if order.origin.gate is not None:
                files.write_new(temporary / f"gate-{order.origin.id}.json", written(order.origin.gate.facts()))
            files.sync_folder(temporary)
            try:
                temporary.rename(folder)
            except OSError:
                if not (folder / "order.json").exists():
                    raise
                return False
            files.sync_folder(folder.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return True


def _cutout_png(cutout: Image.Image, canvas: Canvas) -> bytes:
    """The cutout as a PNG: the canvas's own, where the photo fills that and nothing was padded."""
    same = cutout.size == canvas.placement.canvas and cutout.tobytes() == canvas.image.tobytes()
    return canvas.png if same else quick_png(cutout)


def add_photo(order: Order, folder: Path) -> Order:
    """Note that the order's photo wants its answer, unless that is noted; the order with that note's photo.

    The same bytes with the same place of their final are the same photo, under whatever path they are named.
    """
    order = with_record(order, folder)
    origin = order.origin
    files.create_same(folder / f"photo-{origin.id}.json", written(_wanted(order)))
    if origin.gate is not None:
        files.write_whole(folder / f"gate-{origin.id}.json", written(origin.gate.facts()))
    return order


def with_record(order: Order, folder: Path) -> Order:
    """The order, its photo known by the files that it has in `folder` already, if there are any."""
    for noted in origins(folder):
        if (noted.digest, noted.output) == (order.origin.digest, order.origin.output):
            return replace(order, origin=replace(order.origin, record=noted.id))
    return order


def _wanted(order: Order) -> dict[str, Any]:
    way, origin = order.placement, order.origin
    placed = {"source": list(way.source), "canvas": list(way.canvas), "box": list(way.box)}
    return {
        "source": origin.source,
        "sha256": origin.digest,
        "format": origin.format,
        "output": origin.output,
        "options": origin.options,
        "placement": {**placed, **({"crop": list(way.crop)} if way.crop else {})},
        "warnings": list(origin.warnings),
        "path": origin.path,
        "variant": origin.variant._asdict() if origin.variant else None,
        **({"frame": origin.frame} if origin.frame is not None else {}),
        **({"credit": origin.credit._asdict()} if any(origin.credit) else {}),
    }


def cutout_of(order: Order) -> Image.Image:
    """The order's cutout (RGBA), in the photo's frame.

    Raises:
        StorageFailed: Its `cutout.png` is missing or damaged.
    """
    found = order.cutout or (None if order.folder is None else cutout(order.folder))
    if found is None:
        raise StorageFailed("its cutout is missing", AGAIN, subject=str(order.folder or order.origin.source))
    return found


def cutout(folder: Path) -> Image.Image | None:
    """The kept cutout (RGBA) of an order; None where there is none.

    Raises:
        StorageFailed: It is damaged.
    """
    path = folder / "cutout.png"
    if not path.exists():
        return None
    try:
        return picture(files.read_own(path, files.PICTURE), record_checks.CANVAS).image.convert("RGBA")
    except Exception as error:  # a parser may raise anything on damaged bytes
        raise StorageFailed(f"cannot be read back ({str(error)[:80]})", AGAIN, subject=str(path)) from error


def read(folder: Path, *, origin: Origin | None = None) -> Order:
    """The order in `folder`, for its first photo or that of `origin`, checked against its own key.

    Raises:
        UsageError: This is no order folder.
        StorageFailed: It is damaged, or of another version of this tool.
    """
    plan = read_facts(folder / "order.json")
    try:
        if plan["schema"] != SCHEMA:
            raise StorageFailed(
                f"an order of schema {str(plan['schema'])[:20]}, this version reads {SCHEMA}",
                "Use the version of photio-prep that made it",
                subject=str(folder),
            )
        photos = sorted(folder.glob("photo-*.json"))
        chosen = folder / f"photo-{origin.id}.json" if origin else photos[0]
        facts = read_facts(chosen)
        record_checks.check_plan(plan)
        canvas = Canvas(
            files.read_own(folder / "canvas.png", files.PICTURE), record_checks.placement(facts["placement"])
        )
        words = (plan["description"], plan["seed"], plan["negative_prompt"], plan["image_url"], plan["seed_drawn"])
        sent = Request(canvas, *words)
        warnings = tuple(map(str, list(facts["warnings"])))
        judged = read_if_there(folder / chosen.name.replace("photo-", "gate-", 1))
        of = read_origin(chosen, facts, plan)
        of = replace(of, warnings=warnings, gate=judgement(judged) if judged is not None else None)
        order = Order(sent, plan["endpoint"], of, plan["model"], folder=folder, device=plan.get("device", ""))
        if order.key != plan["key"] or not order.key.startswith(folder.name):
            raise StorageFailed("its plan or canvas.png was changed since it was made", AGAIN, subject=str(folder))
        record_checks.check_canvas(canvas.png, canvas.placement.canvas)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OSError) as error:
        raise StorageFailed(
            f"a damaged order ({type(error).__name__}: {str(error)[:80]})", AGAIN, subject=str(folder)
        ) from error
    return order


def origins(folder: Path, plan: Mapping[str, Any] | None = None) -> list[Origin]:
    """Every photo that wants this order's answer; `plan` is what its order.json holds, where that is at hand.

    Raises:
        StorageFailed: The record of one is damaged.
    """
    try:
        return [read_origin(path, read_facts(path), plan) for path in sorted(folder.glob("photo-*.json"))]
    except (KeyError, TypeError, ValueError, AttributeError, OSError) as error:
        raise StorageFailed(f"a damaged order ({error})", AGAIN, subject=str(folder)) from error


def below(root: Path) -> list[Path]:
    """The order folders in an output folder, or in its `orders` folder; `root` itself if it is one."""
    if (root / "order.json").exists():
        return [root]
    orders = root / "orders" if (root / "orders").is_dir() else root
    # One that is a link lies elsewhere, where nothing of this folder is written: who means it names it.
    return sorted(each.parent for each in orders.glob("*/order.json") if not each.parent.is_symlink())
