"""The order folder is the state: planned, claimed, answered, finished.

order.json      the request, without the picture; written once
canvas.png      the exact bytes of the picture sent
cutout.png      the product, in the photo's own frame at the canvas's scale
photo-*.json    each photo that uses this order's answer, and its placement; written once each
gate-*.json     the gate's latest judgement of each photo's cutout
photo.jpg, mask.png, overlay.png  previews
claim.json      the process that pays or paid; made by exclusive creation before anything is sent
answer.part     an answer that is being received, or was never completed
answer.raw      the body of a complete HTTP 200 answer, unchanged
outcome.json    how the call failed: rejected, unknown, paid_unusable
finished-*.json per photo: path, digest and size of its final
kept-*.json     per photo: that the user chose this order's final, and when
shelf-*.json    per photo and preset: path, digest and size of the file for that marketplace
shops-*.json    per variant: the presets whose files are made when the user keeps it
final-*         per photo, and per photo and preset: its file, once a newer one has replaced it in the output folder
proof-*.json    per photo: how much of the product in its final is the photo's own pixels
drift.json, drift.png  how far the answer changed the product
source-*.png    the photo's pixels, only for a photo from standard input, a URL or memory
attempt-*/      the files of a call that the user resolved as "retry"
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from PIL import Image

from photio_prep.api.wire import order_key
from photio_prep.errors import StorageFailed
from photio_prep.geometry import Placement
from photio_prep.imaging.decode import decode_picture
from photio_prep.imaging.encode import encode_png_fast
from photio_prep.orders import record_checks
from photio_prep.orders.origin import Origin, read_origin
from photio_prep.orders.records import AGAIN, encode_record, find_record, timestamp
from photio_prep.orders.records import read_record as read_facts
from photio_prep.quality import judgement_from_dict
from photio_prep.system import files
from photio_prep.types import Canvas, Photo, Request

SCHEMA = 1

# The endpoint of a sandbox order, whatever port the sandbox listens on: its key never equals that of a paid order.
SANDBOX = "sandbox"


@dataclass(frozen=True)
class Order:
    """One photo, ready to be paid for: the exact request, its endpoint, and the placement of the photo.

    `device` is where the model ran, "" without a model. `cutout` is None for an order read from its folder, which holds
    `cutout.png`; `folder` is None in memory. `photo` is the source of an order in memory, as the bytes of its file if
    it had one. `fresh`: its folder is new.
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
        """SHA-256 of the endpoint, the fields of the request and the exact bytes of the canvas."""
        return order_key(self.request, self.endpoint)

    @property
    def canvas(self) -> Canvas:
        """The canvas that is sent."""
        return self.request.canvas

    @property
    def placement(self) -> Placement:
        """The placement of the photo on the canvas."""
        return self.request.canvas.placement

    @property
    def sandbox(self) -> bool:
        """Whether it is for the sandbox, and never billed."""
        return self.endpoint == SANDBOX


def write_order(order: Order, root: Path, *, revised: bool = False) -> Order:
    """Write the order's folder below `root`, or add its photo to the existing folder of the same order.

    `revised`: it was made from another order, see selection.py.

    Raises:
        StorageFailed: It cannot be written, or the existing folder is damaged.
    """
    folder = root / order.key[:32]
    fresh = not (folder / "order.json").exists() and _publish(order, folder, revised)
    if not fresh:
        order = add_photo(order, folder)
    return replace(order, folder=folder, fresh=fresh)


def _publish(order: Order, folder: Path, revised: bool) -> bool:
    """Write a temporary folder and rename it, so that a partial order is never visible.

    False if another process published the same order first.
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
        "created": timestamp(),
    }
    temporary = files.temporary_path(folder)
    with files.storage_errors(folder):
        files.make_folder(folder.parent)
        temporary.mkdir()
        try:
            files.write_new(temporary / "canvas.png", sent.canvas.png)
            if order.cutout is not None:
                files.write_new(temporary / "cutout.png", _cutout_png(order.cutout, sent.canvas))
            files.write_new(temporary / "order.json", encode_record(plan))
            files.write_new(temporary / f"photo-{order.origin.id}.json", encode_record(_photo_record(order)))
            if order.origin.gate is not None:
                files.write_new(temporary / f"gate-{order.origin.id}.json", encode_record(order.origin.gate.to_dict()))
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
    """The cutout as a PNG; the bytes of the canvas if nothing was padded."""
    same = cutout.size == canvas.placement.canvas and cutout.tobytes() == canvas.image.tobytes()
    return canvas.png if same else encode_png_fast(cutout)


def add_photo(order: Order, folder: Path) -> Order:
    """Add the order's photo to its folder, unless it is recorded; the order with that record.

    The same bytes with the same output name are the same photo, under any path.
    """
    order = with_record(order, folder)
    origin = order.origin
    files.write_once(folder / f"photo-{origin.id}.json", encode_record(_photo_record(order)))
    if origin.gate is not None:
        files.write_atomic(folder / f"gate-{origin.id}.json", encode_record(origin.gate.to_dict()))
    return order


def with_record(order: Order, folder: Path) -> Order:
    """The order, with the record that its photo has in `folder` already, if any."""
    for recorded in photos_of(folder):
        if (recorded.digest, recorded.output) == (order.origin.digest, order.origin.output):
            return replace(order, origin=replace(order.origin, record=recorded.id))
    return order


def _photo_record(order: Order) -> dict[str, Any]:
    placement, origin = order.placement, order.origin
    boxes = {"source": list(placement.source), "canvas": list(placement.canvas), "box": list(placement.box)}
    return {
        "source": origin.source,
        "sha256": origin.digest,
        "format": origin.format,
        "output": origin.output,
        "options": origin.options,
        "placement": {**boxes, **({"crop": list(placement.crop)} if placement.crop else {})},
        "warnings": list(origin.warnings),
        "path": origin.path,
        "variant": origin.variant._asdict() if origin.variant else None,
        **({"frame": origin.frame} if origin.frame is not None else {}),
        **({"credit": origin.credit._asdict()} if any(origin.credit) else {}),
    }


def require_cutout(order: Order) -> Image.Image:
    """The order's cutout (RGBA), in the photo's frame.

    Raises:
        StorageFailed: Its `cutout.png` is missing or damaged.
    """
    image = order.cutout or (None if order.folder is None else load_cutout(order.folder))
    if image is None:
        raise StorageFailed("its cutout is missing", AGAIN, subject=str(order.folder or order.origin.source))
    return image


def load_cutout(folder: Path) -> Image.Image | None:
    """The stored cutout (RGBA) of an order, or None; StorageFailed if it is damaged."""
    path = folder / "cutout.png"
    if not path.exists():
        return None
    try:
        return decode_picture(files.read_nofollow(path, files.PICTURE), record_checks.CANVAS).image.convert("RGBA")
    except Exception as error:  # a parser may raise anything on damaged bytes
        raise StorageFailed(f"cannot be read back ({str(error)[:80]})", AGAIN, subject=str(path)) from error


def load_order(folder: Path, *, origin: Origin | None = None) -> Order:
    """Read the order in `folder`, for its first photo or that of `origin`, and verify it against its key.

    Raises:
        UsageError: This is not an order folder.
        StorageFailed: It is damaged, or was written by another version of this tool.
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
        record = read_facts(chosen)
        record_checks.check_plan(plan)
        canvas = Canvas(
            files.read_nofollow(folder / "canvas.png", files.PICTURE), record_checks.read_placement(record["placement"])
        )
        words = (plan["description"], plan["seed"], plan["negative_prompt"], plan["image_url"], plan["seed_drawn"])
        sent = Request(canvas, *words)
        warnings = tuple(map(str, list(record["warnings"])))
        judged = find_record(folder / chosen.name.replace("photo-", "gate-", 1))
        of = read_origin(chosen, record, plan)
        of = replace(of, warnings=warnings, gate=judgement_from_dict(judged) if judged is not None else None)
        order = Order(sent, plan["endpoint"], of, plan["model"], folder=folder, device=plan.get("device", ""))
        if order.key != plan["key"] or not order.key.startswith(folder.name):
            raise StorageFailed("order.json or canvas.png was changed since it was made", AGAIN, subject=str(folder))
        record_checks.check_canvas(canvas.png, canvas.placement.canvas)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OSError) as error:
        raise StorageFailed(
            f"a damaged order ({type(error).__name__}: {str(error)[:80]})", AGAIN, subject=str(folder)
        ) from error
    return order


def photos_of(folder: Path, plan: Mapping[str, Any] | None = None) -> list[Origin]:
    """The photos that use this order's answer; `plan` is the content of its order.json, if already read.

    Raises:
        StorageFailed: A photo's record is damaged.
    """
    try:
        return [read_origin(path, read_facts(path), plan) for path in sorted(folder.glob("photo-*.json"))]
    except (KeyError, TypeError, ValueError, AttributeError, OSError) as error:
        raise StorageFailed(f"a damaged order ({error})", AGAIN, subject=str(folder)) from error


def find_orders(root: Path) -> list[Path]:
    """The order folders in `root` or in its `orders` folder; `root` itself if it is an order folder."""
    if (root / "order.json").exists():
        return [root]
    orders = root / "orders" if (root / "orders").is_dir() else root
    # Links are skipped: their target lies outside, and an operation on this folder must not write there.
    return sorted(path.parent for path in orders.glob("*/order.json") if not path.parent.is_symlink())
