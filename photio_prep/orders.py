"""The order folder is the state: planned, claimed, answered, finished.

Takes orders and answers; gives them back, and says how far each got. Touches the disk.
Raises StorageFailed for what cannot be written or read back exactly, UsageError for what is no order.

    order.json      what will be sent, but for the picture; written once
    canvas.png      the very bytes of the picture
    cutout.png      the product, in the photo's own frame at the canvas's scale
    photo-*.json    each photo that wants this order's answer, and its way back; written once each
    gate-*.json     what the gate thinks of each photo's cutout; its last word
    mask.png, overlay.png  to look at
    claim.json      who is paying, or paid; made by exclusive creation before anything is sent
    answer.part     an answer that is arriving, or never arrived whole
    answer.raw      the body of a whole HTTP 200 answer, untouched
    outcome.json    how it ended, where that was no success: rejected, unknown, paid_unusable
    finished-*.json per photo: where its final lies, with digest and size
    attempt-*/      what an attempt left that the user resolved
"""

import json
import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import platformdirs
from PIL import Image

from photio_prep import claims, files
from photio_prep.data import Canvas, Request
from photio_prep.encode import png
from photio_prep.errors import StorageFailed, UsageError
from photio_prep.geometry import Box, Placement, Size
from photio_prep.headers.exif import clean
from photio_prep.headers.facts import UNCREDITED, Credit
from photio_prep.verdict import Judgement, judgement
from photio_prep.wire import key

SCHEMA = 1
# An order for the stand-in never has the key of a paid one, whatever port it listens on.
SANDBOX = "sandbox"


class State(StrEnum):
    """How far an order got. `refused` is a photo that never became one."""

    PLANNED = "planned"
    CLAIMED = "claimed"
    ANSWERED = "answered"
    FINISHED = "finished"
    UNKNOWN = "unknown"
    REJECTED = "rejected"
    PAID_UNUSABLE = "paid_unusable"
    REFUSED = "refused"


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


@dataclass(frozen=True)
class Order:
    """One photo, ready to be paid for: exactly what is sent, to whom, and the way back.

    `device` is where the model ran, "" where none did.
    `cutout` is None for an order read back from its folder (`cutout.png` lies there); `folder` is None in memory.
    """

    request: Request
    endpoint: str
    origin: Origin
    model: str = ""
    cutout: Image.Image | None = None
    folder: Path | None = None
    device: str = ""

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


def write(order: Order, root: Path) -> Order:
    """`order` with its folder below `root`, whole on disk; the folder of the same order is used again.

    Raises:
        StorageFailed: It cannot be written, or another order's folder stands there damaged.
    """
    folder = root / order.key[:32]
    if not (folder / "order.json").exists():
        _publish(order, folder)
    placed = replace(order, folder=folder)
    _want(placed, folder)
    return placed


def _publish(order: Order, folder: Path) -> None:
    """Write the folder beside its place and move it there: it is never seen half-written."""
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
        "model": order.model,
        "device": order.device,
        "created": _now(),
    }
    temporary = files.temporary_beside(folder)
    with files.storage(folder):
        files.make_folder(folder.parent)
        temporary.mkdir()
        try:
            files.write_new(temporary / "canvas.png", sent.canvas.png)
            if order.cutout is not None:
                files.write_new(temporary / "cutout.png", png(order.cutout))
            files.write_new(temporary / "order.json", _json(plan))
            files.sync_folder(temporary)
            try:
                temporary.rename(folder)
            except OSError:
                if not (folder / "order.json").exists():
                    raise
            files.sync_folder(folder.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _want(order: Order, folder: Path) -> None:
    """Note that the order's photo wants its answer."""
    way, origin = order.placement, order.origin
    facts = {
        "source": origin.source,
        "sha256": origin.digest,
        "format": origin.format,
        "output": origin.output,
        "options": origin.options,
        "placement": {"source": list(way.source), "canvas": list(way.canvas), "box": list(way.box)},
        "warnings": list(origin.warnings),
        **({"credit": origin.credit._asdict()} if any(origin.credit) else {}),
    }
    files.create_same(folder / f"photo-{_name(origin)}.json", _json(facts))
    if origin.gate is not None:
        files.write_whole(folder / f"gate-{_name(origin)}.json", _json(origin.gate.facts()))


def read(folder: Path, *, origin: Origin | None = None) -> Order:
    """The order in `folder`, for its first photo or that of `origin`, checked against its own key.

    Raises:
        UsageError: This is no order folder.
        StorageFailed: It is damaged, or of another version of this tool.
    """
    plan = _load(folder / "order.json")
    try:
        if plan["schema"] != SCHEMA:
            raise StorageFailed(
                f"an order of schema {str(plan['schema'])[:20]}, this version reads {SCHEMA}",
                "Use the version of photio-prep that made it",
                subject=str(folder),
            )
        photos = sorted(folder.glob("photo-*.json"))
        chosen = folder / f"photo-{_name(origin)}.json" if origin else photos[0]
        facts = _load(chosen)
        way = facts["placement"]
        placement = Placement(Size(*way["source"]), Size(*way["canvas"]), Box(*way["box"]))
        _check(placement)
        canvas = Canvas(files.read_own(folder / "canvas.png"), placement)
        words = (plan["description"], plan["seed"], plan["negative_prompt"], plan["image_url"], plan["seed_drawn"])
        sent = Request(canvas, *words)
        warnings = tuple(map(str, facts["warnings"]))
        judged = _load_if_there(folder / chosen.name.replace("photo-", "gate-", 1))
        of = replace(_origin(facts), warnings=warnings, gate=judgement(judged) if judged is not None else None)
        order = Order(sent, plan["endpoint"], of, plan["model"], folder=folder, device=plan.get("device", ""))
        if order.key != plan["key"] or not order.key.startswith(folder.name):
            raise StorageFailed("its plan or canvas.png was changed since it was made", _AGAIN, subject=str(folder))
    except (KeyError, TypeError, ValueError, IndexError, OSError) as error:
        raise StorageFailed(
            f"a damaged order ({type(error).__name__}: {str(error)[:80]})", _AGAIN, subject=str(folder)
        ) from error
    return order


def _check(placement: Placement) -> None:
    left, top, right, bottom = placement.box
    width, height = placement.canvas
    if not (0 <= left < right <= width and 0 <= top < bottom <= height and min(placement.source) > 0):
        raise ValueError(f"its box {placement.box} does not lie on {placement.canvas}")


_AGAIN = "Move the folder away and prepare the photo again; keep it if an answer.raw lies in it"


def is_sandbox(folder: Path) -> bool:
    """Whether the order in `folder` is for the stand-in. A damaged one is not: whoever reads it, names it."""
    try:
        return _load(folder / "order.json").get("endpoint") == SANDBOX
    except StorageFailed:
        return False


def origins(folder: Path) -> list[Origin]:
    """Every photo that wants this order's answer."""
    return [_origin(_load(each)) for each in sorted(folder.glob("photo-*.json"))]


def _origin(facts: dict[str, Any]) -> Origin:
    said = facts.get("credit", {})
    credit = Credit(**{name: clean(str(said.get(name, ""))) for name in Credit._fields})
    return Origin(facts["source"], facts["sha256"], facts["format"], facts["output"], facts["options"], credit=credit)


def state(folder: Path) -> State:
    """How far the order in `folder` got, by what lies in it."""
    outcome = read_outcome(folder)
    if outcome is not None:
        return State(outcome["state"])
    if (folder / "answer.raw").exists() or rescued(folder).exists():
        photos, finished = (len(list(folder.glob(f"{each}-*.json"))) for each in ("photo", "finished"))
        return State.FINISHED if finished >= photos else State.ANSWERED
    found = claims.read(folder / "claim.json")
    if found is None:
        return State.PLANNED
    return State.UNKNOWN if claims.holder(found) == "dead" else State.CLAIMED


def read_outcome(folder: Path) -> dict[str, Any] | None:
    """How the order ended, where that was no success."""
    return _load_if_there(folder / "outcome.json")


def write_outcome(folder: Path, ended: State, why: str) -> None:
    """Note that the order ended without success."""
    files.write_whole(folder / "outcome.json", _json({"state": ended, "why": why, "time": _now()}))


def rescued(folder: Path) -> Path:
    """Where the answer of this order lies if its own folder failed when it came."""
    return platformdirs.user_state_path("photio-prep", appauthor=False) / "rescued" / f"{folder.name}.raw"


def resolve(folder: Path, *, retry: bool) -> None:
    """The user's word on an unknown outcome: planned again (`retry`), or given up. What was left is set aside.

    Raises:
        UsageError: The outcome is not unknown.
    """
    if state(folder) is not State.UNKNOWN:
        raise UsageError(
            f"its outcome is not unknown, it is {state(folder)}", "Nothing to resolve", subject=str(folder)
        )
    if not retry:
        ended = read_outcome(folder) or {"why": "its process died while it paid"}
        files.write_whole(folder / "outcome.json", _json({**ended, "state": State.UNKNOWN, "resolved": "lost"}))
        return
    aside = folder / f"attempt-{resolved(folder) + 1}"
    with files.storage(aside):
        aside.mkdir()
        # The claim goes last: until then the order is not planned again.
        for name in ("answer.part", "answer.raw", "outcome.json", "claim.json"):
            if (folder / name).exists():
                (folder / name).replace(aside / name)
        files.sync_folder(aside)
        files.sync_folder(folder)


def resolved(folder: Path) -> int:
    """How many calls of this order were lost and then tried again: each perhaps billed."""
    return sum(1 for each in folder.glob("attempt-*") if each.is_dir())


def succeed(old: Order, new: Order) -> Order:
    """`new` with a folder beside that of `old`, from which every photo and the cutout are taken over.

    Raises:
        StorageFailed: It cannot be written.
    """
    if old.folder is None:
        raise UsageError("an order in memory has no folder to go on from", "Prepare it with orders=DIR")
    if old.cutout is None and (old.folder / "cutout.png").exists():
        with Image.open(old.folder / "cutout.png", formats=["PNG"]) as cutout:
            new = replace(new, cutout=cutout.copy())
    written = write(new, old.folder.parent)
    for origin in origins(old.folder):
        other = read(old.folder, origin=origin)
        write(replace(new, origin=other.origin, request=replace(new.request, canvas=other.canvas)), old.folder.parent)
    files.write_whole(old.folder / "continued.json", _json({"as": new.key[:32]}))
    return written


def followed(folder: Path) -> Path:
    """The order that carries the answer for `folder`: itself, or where it went on."""
    path = folder / "continued.json"
    if (folder / "claim.json").exists() or not path.exists():
        return folder
    try:
        name = str(_load(path)["as"])
    except KeyError:
        return folder
    other = folder.parent / Path(name).name
    return other if (other / "order.json").exists() else folder


def mark_finished(folder: Path, origin: Origin, path: Path, data: bytes) -> None:
    """Note where the final of `origin` lies, with its digest and size."""
    mark = {"path": str(path), "sha256": sha256(data).hexdigest(), "bytes": len(data), "time": _now()}
    files.write_whole(folder / f"finished-{_name(origin)}.json", _json(mark))


def finished(folder: Path, origin: Origin) -> dict[str, Any] | None:
    """The finished mark of `origin`, if there is one."""
    return _load_if_there(folder / f"finished-{_name(origin)}.json")


def below(root: Path) -> list[Path]:
    """The order folders in an output folder, or in its `orders` folder; `root` itself if it is one."""
    if (root / "order.json").exists():
        return [root]
    orders = root / "orders" if (root / "orders").is_dir() else root
    return sorted(each.parent for each in orders.glob("*/order.json"))


def _name(origin: Origin) -> str:
    return sha256(f"{origin.source}\0{origin.digest}\0{origin.output}".encode("utf-8", "surrogateescape")).hexdigest()[
        :12
    ]


def _load_if_there(path: Path) -> dict[str, Any] | None:
    # Opened at once: another process may take it away between a look and the reading.
    try:
        return _load(path)
    except UsageError:
        return None


def _load(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(files.read_own(path))
    except FileNotFoundError:
        raise UsageError(
            "this is no order folder (no order.json)", "Name a folder below orders/", subject=str(path.parent)
        ) from None
    except (OSError, ValueError) as error:
        raise StorageFailed(f"cannot be read back ({str(error)[:80]})", _AGAIN, subject=str(path)) from error
    if not isinstance(facts, dict):
        raise StorageFailed("not what was written there", _AGAIN, subject=str(path))
    return facts


def _json(facts: dict[str, Any]) -> bytes:
    return json.dumps(facts, indent=1, ensure_ascii=True).encode() + b"\n"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
