"""Select the orders of an output folder to pay for, and to finish: one photo may have several.

`prepare` and `run` make *root* orders. `generate` makes a *revised* order from another one (revise.py). Only roots are
reworded, or each rewording would double the orders of a folder.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from photio_prep.errors import PhotioError, UsageError
from photio_prep.orders.folder import OrderFolder, find_orders
from photio_prep.orders.index import index_of, is_same_photo
from photio_prep.orders.marks import Marks
from photio_prep.orders.origin import Origin
from photio_prep.orders.revise import kind_of
from photio_prep.orders.state import ANSWERED, SENDABLE, State
from photio_prep.orders.store import SANDBOX
from photio_prep.system.near_name import collision_key


def select_payable(
    place: Path, endpoint: str, *, described: bool, reworded: bool, left_out: Callable[[Path], None] = lambda _: None
) -> list[Path]:
    """The orders to pay for: `place` itself if it is an order's folder, else those selected in an output folder.

    An output folder never selects its sandbox orders: of ten rehearsed scenes the user pays for one. Nor does it select
    a planned order whose photo was prepared again with the same words, and has another canvas: `left_out` gets it.
    `described`: the command gives a scene description; `reworded`: any words. UsageError if `place` holds no order.
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
            if OrderFolder(folder).state not in SENDABLE:
                continue
            words = ("" if described else plan["description"]), plan["negative_prompt"], plan["endpoint"]
            seed = None if plan["seed_drawn"] else plan["seed"]
            for origin in OrderFolder(folder).photos():
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
    return bool(plan["description"]) or not OrderFolder(folder).continued.get(kind_of(endpoint))


def select_finishable(place: Path, damaged: Callable[[PhotioError], None]) -> list[tuple[Path, Origin]]:
    """Each photo of an output folder (or of one order), with the order whose answer makes its final.

    A paid answer precedes one of the sandbox, and the latest choice or call precedes an earlier one. A photo without an
    answer has the order that got furthest.
    """
    folders = _require_orders(place)
    if folders == [place]:
        folder = OrderFolder(place).successor
        return [(folder, origin) for origin in OrderFolder(folder).photos()]
    for root in {folder.parent for folder in folders}:
        index_of(root).refresh()
    best: dict[str, list[tuple[tuple[int, float], Path, Origin]]] = {}
    for folder in folders:
        try:
            ranked = [(_progress_rank(folder, origin), origin) for origin in OrderFolder(folder).photos()]
        except PhotioError as error:
            damaged(error.about(str(folder)))
            continue
        for rank, origin in ranked:
            rivals = best.setdefault(collision_key(origin.place), [])
            same = next((at for at, rival in enumerate(rivals) if is_same_photo(rival[2], origin)), None)
            if same is None:
                rivals.append((rank, folder, origin))
            elif rank > rivals[same][0]:
                rivals[same] = (rank, folder, origin)
    return [(folder, origin) for rivals in best.values() for _, folder, origin in rivals]


def _progress_rank(folder: Path, origin: Origin) -> tuple[int, float]:
    plan, state = _read_plan(folder), OrderFolder(folder).state
    paid = plan.get("endpoint") != SANDBOX
    progress = 4 if state in ANSWERED else 2 if state is not State.PLANNED else 1 if plan.get("description") else 0
    return progress + (1 if paid and state is not State.PLANNED else 0), Marks(folder, origin).claimed_since


def _require_orders(place: Path) -> list[Path]:
    folders = find_orders(place)
    if not folders:
        raise UsageError("holds no order", "Name a folder below orders/, or an output folder", subject=str(place))
    return folders


def _read_plan(folder: Path) -> dict[str, Any]:
    """The content of `order.json`, empty if it is damaged."""
    with contextlib.suppress(PhotioError):
        plan = OrderFolder(folder).plan
        return plan if plan.keys() >= {"endpoint", "description"} else {}
    return {}
