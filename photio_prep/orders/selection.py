"""Which orders an output folder is about: one photo may have several, tried out, reworded, paid for.

An order is a *root* when `prepare` or `run` made it; one that `generate` made of another, with other words or for
somebody else, is *revised*. Roots are what is reworded, or a folder would double its orders each time.
"""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from photio_prep.errors import PhotioError, UsageError
from photio_prep.intake.names import fold
from photio_prep.orders import claims, index, previews, records
from photio_prep.orders import state as states
from photio_prep.orders.origin import Origin
from photio_prep.orders.state import State
from photio_prep.orders.store import SANDBOX, Order, below, cutout, origins, read, write
from photio_prep.system import files


def payable(
    place: Path, endpoint: str, *, described: bool, reworded: bool, left_out: Callable[[Path], None] = lambda _: None
) -> list[Path]:
    """The orders that are to be paid for: one that is named, or of an output folder those that it is about.

    Orders of the sandbox are never paid for by naming their output folder: who rehearsed ten scenes wants one. Nor is a
    planned order whose photo changed, or was cut out otherwise, and was prepared again with the same words.

    Args:
        place: An order's folder, or an output folder.
        endpoint: Who will be asked.
        described: A scene description is given now.
        reworded: Any of the words is given now, the description or others.
        left_out: Is told of each order that another one of its photo has replaced.

    Raises:
        UsageError: No order lies there.
    """
    found = _below(place)
    if found == [place]:
        return found
    plans = {each: _plan(each) for each in found}
    for each in _replaced(plans, described=described):
        left_out(each)
        del plans[each]
    if reworded:
        roots: dict[tuple[str, str], Path] = {}
        for each, plan in plans.items():
            if not plan.get("revised") and (endpoint == SANDBOX or plan.get("endpoint") != SANDBOX):
                # Two roots of one canvas differ in their words only: those that are replaced do not count.
                words = "" if described else str(plan.get("description"))
                roots.setdefault((str(plan.get("canvas", each)), words), each)
        with_words = {canvas for canvas, words in roots if words}
        return [each for (canvas, words), each in roots.items() if described or words or canvas not in with_words]
    return [each for each, plan in plans.items() if _meant(each, plan, endpoint)]


def _replaced(plans: dict[Path, dict[str, Any]], *, described: bool) -> list[Path]:
    """Planned orders each of whose photos was prepared again since with the same words, and came out otherwise."""
    newest: dict[tuple[Any, ...], tuple[int, Path]] = {}
    wishes: dict[Path, list[tuple[Any, ...]]] = {}
    for folder, plan in plans.items():
        with contextlib.suppress(PhotioError, KeyError):  # a damaged one is named by whoever reads it
            if states.state(folder) not in (State.PLANNED, State.REJECTED):
                continue
            words = ("" if described else plan["description"]), plan["negative_prompt"], plan["endpoint"]
            seed = None if plan["seed_drawn"] else plan["seed"]
            for origin in origins(folder):
                wish = (origin.source, origin.output, *words, seed)
                wishes.setdefault(folder, []).append(wish)
                # Written anew by each `prepare`, also by one that found the order there.
                newest[wish] = max(newest.get(wish, (0, folder)), (_last_prepared(folder, origin), folder))
    canvases = {folder: str(plan.get("canvas")) for folder, plan in plans.items()}
    return [
        folder
        for folder, wanted in wishes.items()
        if all(canvases[newest[wish][1]] != canvases[folder] for wish in wanted)
    ]


def _last_prepared(folder: Path, origin: Origin) -> int:
    marks = (folder / f"{kind}-{origin.id}.json" for kind in ("gate", "photo"))
    return max((each.stat().st_mtime_ns for each in marks if each.exists()), default=0)


def _meant(folder: Path, plan: dict[str, Any], endpoint: str) -> bool:
    """Whether an order of an output folder is to be paid for as it stands."""
    if not plan:
        return True  # damaged: whoever reads it names it
    if plan["endpoint"] == endpoint and plan["description"]:
        return True
    if plan.get("revised") or plan["endpoint"] == SANDBOX:
        return False
    return bool(plan["description"]) or not _continued(folder).get(_kind(endpoint))


def finishable(place: Path, damaged: Callable[[PhotioError], None]) -> list[tuple[Path, Origin]]:
    """Each photo of an output folder (or of one order) with the order whose answer makes its final.

    A paid answer comes before one of the sandbox, one that was chosen or paid for later before an earlier one; a photo
    without any comes with the order that got furthest.
    """
    found = _below(place)
    if found == [place]:
        folder = followed(place)
        return [(folder, origin) for origin in origins(folder)]
    for root in {folder.parent for folder in found}:
        index.of(root).refresh()
    best: dict[str, list[tuple[tuple[int, float], Path, Origin]]] = {}
    for folder in found:
        try:
            ranked = [(_rank(folder, origin), origin) for origin in origins(folder)]
        except PhotioError as error:
            damaged(error.about(str(folder)))
            continue
        for rank, origin in ranked:
            rivals = best.setdefault(fold(origin.place), [])
            same = next((at for at, rival in enumerate(rivals) if index.is_same_photo(rival[2], origin)), None)
            if same is None:
                rivals.append((rank, folder, origin))
            elif rank > rivals[same][0]:
                rivals[same] = (rank, folder, origin)
    return [(folder, origin) for rivals in best.values() for _, folder, origin in rivals]


def _rank(folder: Path, origin: Origin) -> tuple[int, float]:
    plan, state = _plan(folder), states.state(folder)
    paid = plan.get("endpoint") != SANDBOX
    progress = (
        4 if state in states.ANSWERED else 2 if state is not State.PLANNED else 1 if plan.get("description") else 0
    )
    return progress + (1 if paid and state is not State.PLANNED else 0), index.since(folder, origin)


def succeed(old: Order, new: Order) -> Order:
    """`new` with a folder beside that of `old`, from which every photo and the cutout are taken over.

    Raises:
        StorageFailed: It cannot be written.
    """
    if old.folder is None:
        raise UsageError("an order in memory has no folder to go on from", "Prepare it with orders=DIR")
    root = old.folder.parent
    if old.cutout is None:
        new = replace(new, cutout=cutout(old.folder))
    placed = write(new, root, revised=True)
    for origin in origins(old.folder):
        other = read(old.folder, origin=origin)
        origin_ = replace(other.origin, record="")
        write(replace(new, origin=origin_, request=replace(new.request, canvas=other.canvas)), root, revised=True)
    if placed.folder is not None:
        previews.carry(old.folder, placed.folder)
    went = {**_continued(old.folder), _kind(new.endpoint): new.key[:32]}
    files.write_whole(old.folder / "continued.json", records.written(went))
    return placed


def followed(folder: Path) -> Path:
    """The order that carries the answer for `folder`: itself, or where it went on; a paid one before a sandbox's."""
    if (folder / claims.NAME).exists():
        return folder
    went = [folder.parent / Path(str(name)).name for _, name in sorted(_continued(folder).items())]
    there = [each for each in went if (each / "order.json").exists()]
    answered = [each for each in there if states.state(each) in states.ANSWERED]
    return next(iter(answered or there), folder)


def went_on(folder: Path) -> bool:
    """Whether nothing became of this order because another took its place."""
    left = any((folder / name).exists() for name in (claims.NAME, "outcome.json", "answer.raw"))
    return not left and followed(folder) != folder


def _below(place: Path) -> list[Path]:
    found = below(place)
    if not found:
        raise UsageError("no order lies there", "Name a folder below orders/, or an output folder", subject=str(place))
    return found


def _kind(endpoint: str) -> str:
    return "sandbox" if endpoint == SANDBOX else "paid"


def _continued(folder: Path) -> dict[str, Any]:
    return records.read_if_there(folder / "continued.json") or {}


def _plan(folder: Path) -> dict[str, Any]:
    """What `order.json` says, nothing where it is damaged."""
    with contextlib.suppress(PhotioError):
        plan = records.read(folder / "order.json")
        return plan if plan.keys() >= {"endpoint", "description"} else {}
    return {}
