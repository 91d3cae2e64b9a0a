"""Orders, and their folders: written at once and whole, read back and checked against their key."""

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from PIL import Image

from photio_prep.api.wire import order_key
from photio_prep.errors import StorageFailed, UsageError
from photio_prep.geometry import Placement
from photio_prep.imaging.decode import decode_picture
from photio_prep.imaging.encode import encode_png_fast
from photio_prep.orders import records
from photio_prep.orders.folder import OrderFolder
from photio_prep.orders.marks import Marks
from photio_prep.orders.origin import Origin, read_origin
from photio_prep.orders.records import AGAIN, encode_record, find_record, read_placement, read_record, timestamp
from photio_prep.orders.state import State
from photio_prep.quality import judgement_from_dict
from photio_prep.system import files
from photio_prep.types import Canvas, Photo, Request

SCHEMA = 1

# The endpoint of a sandbox order, whatever port the sandbox listens on: its key never equals that of a paid order.
SANDBOX = "sandbox"


@dataclass(frozen=True, repr=False)
class Order:
    """One photo, ready to be paid for: the exact request, its endpoint, and the photo that it was made from.

    `device`: where the model ran, "" without a model. `cutout`: None for an order read from its folder. `folder`: None
    in memory. `photo`: of an order in memory, its file's bytes or its picture. `fresh`: its folder is new.
    """

    request: Request
    endpoint: str
    origin: Origin
    model: str = ""
    cutout: Image.Image | None = None
    folder: Path | None = None
    device: str = ""
    photo: Photo | bytes | None = field(default=None, compare=False)
    fresh: bool = field(default=False, compare=False)

    @cached_property
    def key(self) -> str:
        """SHA-256 of the endpoint, the fields of the request and the exact bytes of the canvas."""
        return order_key(self.request, self.endpoint)

    @property
    def canvas(self) -> Canvas:
        """The canvas that is sent."""
        return self.request.canvas

    def __repr__(self) -> str:
        scene = self.request.description
        scene = f"{scene[:59]}…" if len(scene) > 60 else scene
        place = f", folder={str(self.folder)!r}" if self.folder else ""
        return f"Order({self.origin.source!r}, {scene!r}, {self.request.size}, key={self.key[:12]!r}{place})"

    def _repr_png_(self) -> bytes | None:
        return self.canvas._repr_png_()

    @property
    def placement(self) -> Placement:
        """The placement of the photo on the canvas."""
        return self.request.canvas.placement

    @property
    def sandbox(self) -> bool:
        """Whether it is for the sandbox, so never billed."""
        return self.endpoint == SANDBOX

    @property
    def state(self) -> State:
        """How far it got, by its folder; planned in memory."""
        return OrderFolder(self.folder).state if self.folder else State.PLANNED

    @property
    def marks(self) -> Marks:
        """The marks of its photo's finals; UsageError in memory."""
        return Marks(self.require_folder(), self.origin)

    def require_folder(self) -> Path:
        """Its folder; UsageError in memory."""
        if self.folder is None:
            raise UsageError("an order in memory has no folder", "Prepare it with orders=DIR")
        return self.folder


def write_order(order: Order, root: Path, *, revised: bool = False) -> Order:
    """Write the order's folder below `root`, or add its photo to the existing folder of the same order.

    `revised`: it was made from another order, see revise.py. Raises StorageFailed also if that folder is damaged.
    """
    folder = root / order.key[:32]
    fresh = not (folder / "order.json").exists() and _publish(order, folder, revised)
    if not fresh:
        order = add_photo(order, folder)
    return replace(order, folder=folder, fresh=fresh)


def _publish(order: Order, folder: Path, revised: bool) -> bool:
    """Write a temporary folder and rename it: no partial order is ever visible. False if another process was first."""
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
                unpadded = order.cutout.size == sent.size and (
                    order.cutout is sent.canvas.image or order.cutout.tobytes() == sent.canvas.image.tobytes()
                )
                png = sent.canvas.png if unpadded else encode_png_fast(order.cutout)
                files.write_new(temporary / "cutout.png", png)
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
    for recorded in OrderFolder(folder).photos():
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
        "options": origin.options if isinstance(origin.options, str) else asdict(origin.options),
        "placement": {**boxes, **({"crop": list(placement.crop)} if placement.crop else {})},
        "warnings": list(origin.warnings),
        "path": origin.path,
        "variant": origin.variant._asdict() if origin.variant else None,
        **({"frame": origin.frame} if origin.frame is not None else {}),
        **({"credit": origin.credit._asdict()} if any(origin.credit) else {}),
    }


def require_cutout(order: Order) -> Image.Image:
    """The order's cutout (RGBA), in the photo's frame; StorageFailed if its `cutout.png` is missing or damaged."""
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
        return decode_picture(files.read_nofollow(path, files.PICTURE), records.CANVAS).image.convert("RGBA")
    except Exception as error:  # a parser may raise anything on damaged bytes
        raise StorageFailed(f"cannot be read back ({str(error)[:80]})", AGAIN, subject=str(path)) from error


def load_order(folder: Path, *, origin: Origin | None = None) -> Order:
    """Read the order in `folder`, for its first photo or that of `origin`, and verify it against its key.

    UsageError if this is not an order folder; StorageFailed if it is damaged, or of another version of this tool.
    """
    plan = read_record(folder / "order.json")
    try:
        if plan["schema"] != SCHEMA:
            raise StorageFailed(
                f"an order of schema {str(plan['schema'])[:20]}, this version reads {SCHEMA}",
                "Use the version of photio-prep that made it",
                subject=str(folder),
            )
        path = folder / f"photo-{origin.id}.json" if origin else min(folder.glob("photo-*.json"))
        order = parse_order(path, plan, files.read_nofollow(folder / "canvas.png", files.PICTURE))
        if order.key != plan["key"] or not order.key.startswith(folder.name):
            raise StorageFailed("order.json or canvas.png was changed since it was made", AGAIN, subject=str(folder))
        records.check_canvas(order.canvas.png, order.placement.canvas)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OSError) as error:
        raise StorageFailed(
            f"a damaged order ({type(error).__name__}: {str(error)[:80]})", AGAIN, subject=str(folder)
        ) from error
    return order


def parse_order(path: Path, plan: Mapping[str, Any], png: bytes = b"") -> Order:
    """The order for the photo whose record is at `path`, not verified; KeyError, TypeError … for a damaged one.

    `plan` is the content of order.json, `png` that of canvas.png, empty if no canvas is needed.
    """
    record = read_record(path)
    records.check_plan(plan)
    judged = find_record(path.with_name(path.name.replace("photo-", "gate-", 1)))
    gate = None if judged is None else judgement_from_dict(judged)
    photo = replace(read_origin(path, record, plan), warnings=tuple(map(str, list(record["warnings"]))), gate=gate)
    words = (plan["description"], plan["seed"], plan["negative_prompt"], plan["image_url"], plan["seed_drawn"])
    request = Request(Canvas(png, read_placement(record["placement"])), *words)
    return Order(request, plan["endpoint"], photo, plan["model"], folder=path.parent, device=plan.get("device", ""))
