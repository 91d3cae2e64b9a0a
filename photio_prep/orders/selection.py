"""Select the orders of an output folder to pay for, and to finish: one photo may have several.

`prepare` and `run` make *root* orders. `generate` makes a *revised* order from another one, with other words or for
another endpoint. Only roots are reworded, or each rewording would double the orders of a folder.
"""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from photio_prep.errors import PhotioError, UsageError
from photio_prep.intake.names import collision_key
from photio_prep.orders import claims, index, previews, records
from photio_prep.orders import state as states
from photio_prep.orders.origin import Origin
from photio_prep.orders.state import State
from photio_prep.orders.store import SANDBOX, Order, find_orders, load_cutout, load_order, photos_of, write_order
from photio_prep.system import files


def select_payable(
    place: Path, endpoint: str, *, described: bool, reworded: bool, left_out: Callable[[Path], None] = lambda _: None
) -> list[Path]:
    """The orders to pay for: `place` itself if it is an order's folder, else those selected in an output folder.

    An output folder never selects its sandbox orders: of ten rehearsed scenes the user pays for one. Nor does it select
    a planned order whose photo was prepared again with the same words, and has another canvas.

    Args:
        place: An order's folder, or an output folder.
        endpoint: The endpoint of the calls.
        described: The command gives a scene description.
        reworded: The command gives a description or any other words.
        left_out: Called with each order that a newer one of its photo replaces.

    Raises:
        UsageError: `place` holds no order.
    """
    folders = _require_orders(place)
    if folders == [place]:
        return folders
    plans = {folder: _read_plan(folder) for folder in folders}
    for folder in _find_replaced(plans, described=described):
        left_out(folder)
        del plans[folder]
    if reworded:
        roots: dict[tuple[str, str], Path] = {}
        for folder, plan in plans.items():
            if not plan.get("revised") and (endpoint == SANDBOX or plan.get("endpoint") != SANDBOX):
                # Two roots of one canvas differ in their words only: a description that is replaced does not count.
                words = "" if described else str(plan.get("description"))
                roots.setdefault((str(plan.get("canvas", folder)), words), folder)
        with_words = {canvas for canvas, words in roots if words}
        return [folder for (canvas, words), folder in roots.items() if described or words or canvas not in with_words]
    return [folder for folder, plan in plans.items() if _is_selected(folder, plan, endpoint)]


def _find_replaced(plans: dict[Path, dict[str, Any]], *, described: bool) -> list[Path]:
    """Planned orders whose photos were all prepared again later with the same words, and have another canvas."""
    newest: dict[tuple[Any, ...], tuple[int, Path]] = {}
    requests: dict[Path, list[tuple[Any, ...]]] = {}
    for folder, plan in plans.items():
        with contextlib.suppress(PhotioError, KeyError):  # a damaged order: commands that read it report it
            if states.read_state(folder) not in (State.PLANNED, State.REJECTED):
                continue
            words = ("" if described else plan["description"]), plan["negative_prompt"], plan["endpoint"]
            seed = None if plan["seed_drawn"] else plan["seed"]
            for origin in photos_of(folder):
                request = (origin.source, origin.output, *words, seed)
                requests.setdefault(folder, []).append(request)
                # Every `prepare` rewrites a mark, also if the order exists.
                newest[request] = max(newest.get(request, (0, folder)), (_last_prepared(folder, origin), folder))
    canvases = {folder: str(plan.get("canvas")) for folder, plan in plans.items()}
    return [
        folder
        for folder, own in requests.items()
        if all(canvases[newest[request][1]] != canvases[folder] for request in own)
    ]


def _last_prepared(folder: Path, origin: Origin) -> int:
    marks = (folder / f"{kind}-{origin.id}.json" for kind in ("gate", "photo"))
    return max((mark.stat().st_mtime_ns for mark in marks if mark.exists()), default=0)


def _is_selected(folder: Path, plan: dict[str, Any], endpoint: str) -> bool:
    """Whether to pay for an order of an output folder as it is."""
    if not plan:
        return True  # damaged: paying for it reports that
    if plan["endpoint"] == endpoint and plan["description"]:
        return True
    if plan.get("revised") or plan["endpoint"] == SANDBOX:
        return False
    return bool(plan["description"]) or not _read_successors(folder).get(_kind(endpoint))


def select_finishable(place: Path, damaged: Callable[[PhotioError], None]) -> list[tuple[Path, Origin]]:
    """Each photo of an output folder (or of one order), with the order whose answer makes its final.

    A paid answer precedes one of the sandbox, and the latest choice or call precedes an earlier one. A photo without an
    answer has the order that got furthest.
    """
    folders = _require_orders(place)
    if folders == [place]:
        folder = resolve_successor(place)
        return [(folder, origin) for origin in photos_of(folder)]
    for root in {folder.parent for folder in folders}:
        index.index_of(root).refresh()
    best: dict[str, list[tuple[tuple[int, float], Path, Origin]]] = {}
    for folder in folders:
        try:
            ranked = [(_progress_rank(folder, origin), origin) for origin in photos_of(folder)]
        except PhotioError as error:
            damaged(error.about(str(folder)))
            continue
        for rank, origin in ranked:
            rivals = best.setdefault(collision_key(origin.place), [])
            same = next((at for at, rival in enumerate(rivals) if index.is_same_photo(rival[2], origin)), None)
            if same is None:
                rivals.append((rank, folder, origin))
            elif rank > rivals[same][0]:
                rivals[same] = (rank, folder, origin)
    return [(folder, origin) for rivals in best.values() for _, folder, origin in rivals]


def _progress_rank(folder: Path, origin: Origin) -> tuple[int, float]:
    plan, state = _read_plan(folder), states.read_state(folder)
    paid = plan.get("endpoint") != SANDBOX
    progress = (
        4 if state in states.ANSWERED else 2 if state is not State.PLANNED else 1 if plan.get("description") else 0
    )
    return progress + (1 if paid and state is not State.PLANNED else 0), index.claimed_since(folder, origin)


def continue_as(old: Order, new: Order) -> Order:
    """Write `new` beside `old`, with the photos, the cutout and the previews of `old`.

    Raises:
        StorageFailed: It cannot be written.
    """
    if old.folder is None:
        raise UsageError("an order in memory has no folder to continue from", "Prepare it with orders=DIR")
    root = old.folder.parent
    if old.cutout is None:
        new = replace(new, cutout=load_cutout(old.folder))
    written = write_order(new, root, revised=True)
    for origin in photos_of(old.folder):
        other = load_order(old.folder, origin=origin)
        request = replace(new.request, canvas=other.canvas)
        write_order(replace(new, origin=replace(other.origin, record=""), request=request), root, revised=True)
    if written.folder is not None:
        previews.copy_previews(old.folder, written.folder)
    successors = {**_read_successors(old.folder), _kind(new.endpoint): new.key[:32]}
    files.write_atomic(old.folder / "continued.json", records.encode_record(successors))
    return written


def resolve_successor(folder: Path) -> Path:
    """The order with the answer for `folder`: itself, or its successor; a paid one precedes one of the sandbox."""
    if (folder / claims.NAME).exists():
        return folder
    names = [Path(str(name)).name for _, name in sorted(_read_successors(folder).items())]
    successors = [folder.parent / name for name in names if (folder.parent / name / "order.json").exists()]
    answered = [successor for successor in successors if states.read_state(successor) in states.ANSWERED]
    return next(iter(answered or successors), folder)


def is_superseded(folder: Path) -> bool:
    """Whether this order has a successor, and neither claim, outcome nor answer of its own."""
    has_call = any((folder / name).exists() for name in (claims.NAME, "outcome.json", "answer.raw"))
    return not has_call and resolve_successor(folder) != folder


def _require_orders(place: Path) -> list[Path]:
    folders = find_orders(place)
    if not folders:
        raise UsageError("holds no order", "Name a folder below orders/, or an output folder", subject=str(place))
    return folders


def _kind(endpoint: str) -> str:
    return "sandbox" if endpoint == SANDBOX else "paid"


def _read_successors(folder: Path) -> dict[str, Any]:
    return records.find_record(folder / "continued.json") or {}


def _read_plan(folder: Path) -> dict[str, Any]:
    """The content of `order.json`, empty if it is damaged."""
    with contextlib.suppress(PhotioError):
        plan = records.read_record(folder / "order.json")
        return plan if plan.keys() >= {"endpoint", "description"} else {}
    return {}
