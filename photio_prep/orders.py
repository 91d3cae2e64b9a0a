"""The order folder is the state: planned, claimed, answered, finished.

Takes orders and answers; gives them back, and says how far each got. Touches the disk.
Raises StorageFailed for what cannot be written or read back exactly, UsageError for what is no order.

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
    shelf-*.json    per photo and preset: where the file for that marketplace lies, with digest and size
    final-*         per photo, and photo and preset: its file there, when that of the changed photo took its place
    proof-*.json    per photo: whose pixels the product of its final has
    drift.json, drift.png  how far the answer changed the product
    source-*.png    the photo's pixels, only where they lie nowhere else: from standard input, a URL, or memory
    attempt-*/      what an attempt left that the user resolved
"""

import shutil
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from photio_prep import files
from photio_prep.data import Canvas, Photo, Request
from photio_prep.encode import quick_png
from photio_prep.errors import StorageFailed
from photio_prep.facts import AGAIN, now, read_if_there, written
from photio_prep.facts import read as read_facts
from photio_prep.geometry import Box, Placement, Size
from photio_prep.headers.exif import clean
from photio_prep.headers.facts import UNCREDITED, Credit
from photio_prep.verdict import Judgement, judgement
from photio_prep.wire import key

SCHEMA = 1
# An order for the stand-in never has the key of a paid one, whatever port it listens on.
SANDBOX = "sandbox"


@dataclass(frozen=True, slots=True)
class Origin:
    """The photo that an order was made from.

    `source` is the input as given; `digest` the SHA-256 of its bytes; `format` its Pillow format; `output` where its
    final belongs below the output folder, without suffix, with slashes; `options` how it was asked to be cut out;
    `credit` whose it is, which a final may carry on; `gate` what the gate thinks of its cutout, None where it was not
    judged.
    """

    source: str
    digest: str
    format: str
    output: str = ""
    options: str = ""
    warnings: tuple[str, ...] = ()
    credit: Credit = UNCREDITED
    gate: Judgement | None = None

    @property
    def id(self) -> str:
        """Twelve hex digits that tell the photos of one order apart."""
        told = f"{self.source}\0{self.digest}\0{self.output}"
        return sha256(told.encode("utf-8", "surrogateescape")).hexdigest()[:12]


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
        _want(order, folder)
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


def _want(order: Order, folder: Path) -> None:
    """Note that the order's photo wants its answer."""
    origin = order.origin
    files.create_same(folder / f"photo-{origin.id}.json", written(_wanted(order)))
    if origin.gate is not None:
        files.write_whole(folder / f"gate-{origin.id}.json", written(origin.gate.facts()))


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
        with Image.open(BytesIO(files.read_own(path)), formats=["PNG"]) as kept:
            return kept.convert("RGBA")
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
        way = facts["placement"]
        crop = Box(*way["crop"]) if "crop" in way else None
        placement = Placement(Size(*way["source"]), Size(*way["canvas"]), Box(*way["box"]), crop)
        _check(placement)
        canvas = Canvas(files.read_own(folder / "canvas.png"), placement)
        words = (plan["description"], plan["seed"], plan["negative_prompt"], plan["image_url"], plan["seed_drawn"])
        sent = Request(canvas, *words)
        warnings = tuple(map(str, facts["warnings"]))
        judged = read_if_there(folder / chosen.name.replace("photo-", "gate-", 1))
        of = replace(_origin(facts), warnings=warnings, gate=judgement(judged) if judged is not None else None)
        order = Order(sent, plan["endpoint"], of, plan["model"], folder=folder, device=plan.get("device", ""))
        if order.key != plan["key"] or not order.key.startswith(folder.name):
            raise StorageFailed("its plan or canvas.png was changed since it was made", AGAIN, subject=str(folder))
    except (KeyError, TypeError, ValueError, IndexError, OSError) as error:
        raise StorageFailed(
            f"a damaged order ({type(error).__name__}: {str(error)[:80]})", AGAIN, subject=str(folder)
        ) from error
    return order


def _check(placement: Placement) -> None:
    left, top, right, bottom = placement.box
    width, height = placement.canvas
    if not (0 <= left < right <= width and 0 <= top < bottom <= height and min(placement.source) > 0):
        raise ValueError(f"its box {placement.box} does not lie on {placement.canvas}")
    if placement.crop is not None and placement.crop.size != placement.source:
        raise ValueError(f"its crop {placement.crop} has not the size {placement.source}")


def origins(folder: Path) -> list[Origin]:
    """Every photo that wants this order's answer."""
    return [_origin(read_facts(each)) for each in sorted(folder.glob("photo-*.json"))]


def _origin(facts: dict[str, Any]) -> Origin:
    said = facts.get("credit", {})
    credit = Credit(**{name: clean(str(said.get(name, ""))) for name in Credit._fields})
    return Origin(facts["source"], facts["sha256"], facts["format"], facts["output"], facts["options"], credit=credit)


def below(root: Path) -> list[Path]:
    """The order folders in an output folder, or in its `orders` folder; `root` itself if it is one."""
    if (root / "order.json").exists():
        return [root]
    orders = root / "orders" if (root / "orders").is_dir() else root
    return sorted(each.parent for each in orders.glob("*/order.json"))
