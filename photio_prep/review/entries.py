"""Order folders -> the rows of the review page: what is known of each photo, worst first.

A folder may have been edited, or come from somebody else: whatever is not as this tool writes it makes a row that says
so, and every text stays a text.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from photio_prep.errors import PhotioError, UsageError
from photio_prep.geometry import Placement, snap
from photio_prep.intake.url_guard import shown
from photio_prep.orders import record_checks, selection
from photio_prep.orders import records as facts
from photio_prep.orders import state as states
from photio_prep.orders.preflight import image_url_note
from photio_prep.orders.state import State
from photio_prep.orders.store import SANDBOX, Order, below
from photio_prep.quality import Judgement, Verdict, judgement
from photio_prep.system import files

# What a row may be filtered by besides its state; the gate's reasons come by their own names.
DAMAGED, REHEARSED, ALTERED, WARNED = "damaged", "sandbox", "drift", "warning"
_LONGEST = 4000  # letters of one text: a server's error, a scene description
_KEY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Row:
    """One photo of one order. `state` is None for an order that cannot be read; `why` then says what was found.

    `photo` is the photo's twelve digits, `output` the place of its final, `final` where it was put.
    `measured` are further facts about the final, as names and values.
    """

    folder: Path
    state: State | None
    source: str
    why: str = ""
    key: str = ""
    photo: str = ""
    digest: str = ""
    format: str = ""
    output: str = ""
    endpoint: str = ""
    model: str = ""
    device: str = ""
    description: str = ""
    negative_prompt: str | None = None
    seed: int = 0
    seed_drawn: bool = False
    created: str = ""
    placement: Placement | None = None
    gate: Judgement | None = None
    warnings: tuple[str, ...] = ()
    image_url: str = ""
    lost: bool = False
    attempts: int = 0
    paid_attempts: int = 0
    final: str = ""
    final_digest: str = ""
    measured: tuple[tuple[str, str], ...] = ()
    altered: bool = False

    @property
    def sandbox(self) -> bool:
        """Whether it never cost anything, and never will."""
        return self.endpoint == SANDBOX

    @property
    def billed(self) -> int:
        """How many calls were surely billed."""
        return 0 if self.sandbox else (self.state in states.BILLED) + self.paid_attempts

    @property
    def perhaps(self) -> int:
        """How many calls were perhaps billed."""
        return 0 if self.sandbox else (self.state in (State.UNKNOWN, State.CLAIMED)) + self.attempts

    @property
    def tag(self) -> str:
        """The name of the size that is sent."""
        return snap(self.placement.canvas).tag if self.placement else ""

    @property
    def flags(self) -> tuple[str, ...]:
        """What it may be filtered by, the worst first."""
        found = [each.name for each in self.gate.reasons] if self.gate else []
        marks = {DAMAGED: self.state is None, ALTERED: self.altered, WARNED: bool(self.warnings)}
        return (*(name for name, is_so in marks.items() if is_so), *found, *([REHEARSED] if self.sandbox else []))

    @property
    def badness(self) -> int:
        """How soon somebody should look at it: 0 for nothing to see."""
        verdict = self.gate.verdict if self.gate else Verdict.OK
        judged = {Verdict.STOP: 5, Verdict.WARN: 3}.get(verdict, 0)
        ended = {None: 9, State.UNKNOWN: 8, State.PAID_UNUSABLE: 7, State.REJECTED: 6}.get(self.state, 0)
        return max(ended, judged, 4 if self.altered else 0, 1 if self.warnings else 0)


def rows(orders: Path | Iterable[Order]) -> list[Row]:
    """A row for each photo of each order, worst first; an order that went on as another is left to that one.

    Args:
        orders: An output folder, its `orders` folder, one order's folder, or orders that have folders.

    Raises:
        UsageError: There is none.
    """
    if isinstance(orders, Path):
        named = below(orders)
        folders = [each for each in named if _shown(each)] if named != [orders] else named
    else:
        folders = [each.folder for each in orders if each.folder is not None]
    if not folders:
        raise UsageError("no order lies there", "Name an output folder: run `prepare` first", subject=_told(orders))
    found = [row for each in dict.fromkeys(folders) for row in _of(each)]
    return sorted(found, key=lambda row: (-row.badness, -len(row.flags), row.source, row.folder.name))


def _told(orders: Path | Iterable[Order]) -> str:
    return str(orders) if isinstance(orders, Path) else ""


def _shown(folder: Path) -> bool:
    """Whether the order stands for itself; a damaged one does."""
    try:
        return not selection.went_on(folder)
    except PhotioError:
        return True


def _of(folder: Path) -> Iterator[Row]:
    source = ""
    try:
        plan, state = facts.read(folder / "order.json"), states.state(folder)
        photos = sorted(folder.glob("photo-*.json"))
        for each in photos or [folder / "photo-.json"]:  # no photo at all is found missing
            seen = facts.read(each)
            source = _text(seen["source"])
            yield _row(folder, plan, state, each.stem.partition("-")[2], seen)
    except PhotioError as error:
        yield Row(folder, None, source or folder.name, f"{error.found}. {error.fix}")
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OSError) as error:
        found = f"a damaged order ({type(error).__name__}: {str(error)[:80]})"
        yield Row(folder, None, source or folder.name, f"{found}. {facts.AGAIN}")


def _row(folder: Path, plan: dict[str, Any], state: State, photo: str, seen: dict[str, Any]) -> Row:
    if not _KEY.fullmatch(plan["key"]) or not plan["key"].startswith(folder.name):
        raise ValueError("its key is not that of its folder")
    way = seen["placement"]
    placement = record_checks.placement(way)
    judged = facts.read_if_there(folder / f"gate-{photo}.json")
    ended = states.read_outcome(folder) or {}
    mark = facts.read_if_there(folder / f"finished-{photo}.json") or {}
    measured, altered = _measured(folder, photo)
    url = None if plan.get("image_url") is None else _text(plan["image_url"])
    dead = states.DIED if state is State.UNKNOWN else ""
    return Row(
        folder=folder,
        state=state,
        source=_text(seen["source"]),
        why=_text(ended.get("why", dead)),
        key=plan["key"],
        photo=photo,
        digest=_text(seen["sha256"]),
        format=_text(seen["format"]),
        output=_text(seen["output"]),
        endpoint=_text(plan["endpoint"]),
        model=_text(plan["model"]),
        device=_text(plan.get("device", "")),
        description=_text(plan["description"]),
        negative_prompt=None if plan["negative_prompt"] is None else _text(plan["negative_prompt"]),
        seed=int(plan["seed"]),
        seed_drawn=bool(plan["seed_drawn"]),
        created=_text(plan.get("created", "")),
        placement=placement,
        gate=None if judged is None else judgement(judged),
        warnings=tuple(filter(None, (image_url_note(url), *(_text(each) for each in seen["warnings"])))),
        image_url=shown(url) if url else "",
        lost=ended.get("resolved") == "lost",
        attempts=states.resolved(folder),
        paid_attempts=states.paid_attempts(folder),
        final=_text(mark.get("path", "")),
        final_digest=_text(mark.get("sha256", "")),
        measured=measured,
        altered=altered,
    )


def _measured(folder: Path, photo: str) -> tuple[tuple[tuple[str, str], ...], bool]:
    """What is recorded of how the product was changed, and of the final; and whether the change is one to see."""
    found: list[tuple[str, str]] = []
    altered = False
    for name in ("drift.json", f"drift-{photo}.json", f"proof-{photo}.json"):
        kind = name[:5]
        said = facts.read_if_there(folder / name) or {}
        score = said.get("score")
        altered |= kind == "drift" and isinstance(score, (int, float)) and score > 1
        for about, value in said.items():
            if isinstance(value, (str, int, float)) and value != "":
                told = f"{value:.4g}" if isinstance(value, float) else _text(value)
                found.append((kind if about == "sentence" else _text(about).replace("_", " "), told))
    return tuple(found), altered


def _text(value: object) -> str:
    return str(value)[:_LONGEST]


def home(order: Path) -> Path:
    """The output folder of an order's folder: the one in which `orders` lies, or the one that holds orders itself."""
    root = order.parent
    return root.parent if root.name == "orders" or root.resolve().name == "orders" else root


def digest_is(path: Path, digest: str, limit: int) -> bool:
    """Whether the photo at `path` is still the one that the order was made from."""
    from hashlib import sha256

    try:
        return sha256(files.read_input(path, limit)).hexdigest() == digest
    except PhotioError:
        return False
