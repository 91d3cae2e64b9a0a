"""status and resolve: states and spend of an output folder; the user's word on unknown outcomes."""

from collections import Counter
from itertools import product
from pathlib import Path
from typing import Literal, NamedTuple

import click

from photio_prep.cli import options
from photio_prep.cli.console import Console, describe_order
from photio_prep.cli.parsing import PATH, option
from photio_prep.errors import PhotioError, StorageFailed, UsageError
from photio_prep.orders import store
from photio_prep.orders.folder import DIED, OrderFolder, find_orders
from photio_prep.orders.preflight import image_url_note
from photio_prep.orders.records import AGAIN, find_record
from photio_prep.orders.recovery import resolve_unknown
from photio_prep.orders.state import State
from photio_prep.quality import Verdict, judgement_from_dict
from photio_prep.system.text import escape_controls

# What each state means and what to do, the most urgent first; "{out}" is the output folder, "{order}" one such order,
# "{words}" the option that orders without a scene need.
_NEXT = {
    "unknown": "perhaps billed: check your bill, then resolve it. It is never sent again automatically:\n"
    "    photio-prep resolve {order} --as retry    # the next generate pays, perhaps a second time\n"
    "    photio-prep resolve {order} --as lost     # give it up",
    "paid unusable": "paid, but the answer cannot be used. It is kept: send {order}/answer.raw to Photio's support",
    "rejected": "refused by the API, not billed: correct its cause; `photio-prep generate {out}` sends it again",
    "damaged": "cannot be read: see above",
    "claimed": "a process here, on another machine or in another container is paying for it. If that process ended"
    " without an answer:\n"
    "    photio-prep resolve {order} --as retry    # or --as lost; the call stays counted as perhaps billed",
    "answered": "paid and kept, without a final yet: photio-prep finish {out}",
    "planned": "look first, then pay: photio-prep review {out}; photio-prep generate {out}{words}",
}
# The same of orders of the sandbox, where it differs.
_NEXT_FREE = dict.fromkeys(("unknown", "claimed"), "free, of the sandbox: photio-prep resolve {order} --as retry") | {
    "answered": "free, of the sandbox, without a final yet: photio-prep finish {out}",
    "planned": "free, of the sandbox: photio-prep generate {out} --sandbox",
}
_HEADS = ("orders", "paid calls", "perhaps billed")


class _Row(NamedTuple):
    """One order: its state's name, its folder, its calls.

    `stopped`: it is planned, and stopped by the gate. `wordless`: it is planned, and has no scene description.
    """

    name: str
    folder: Path
    paid: int = 0
    perhaps: int = 0
    sandbox: bool = False
    stopped: bool = False
    wordless: bool = False


@click.command("status")
@click.argument("folder", type=PATH, default=Path("photio-out"))
@options.price
@options.console_options
def status_command(folder: Path, price: float | None, console: Console) -> int:
    """States and spend of the orders in an output folder, and what to do next."""
    require_folder(folder)
    orders = sorted(find_orders(folder), key=_open_risk, reverse=True)
    width = max((len(str(order)) for order in orders), default=0)
    if orders and not console.as_json:
        console.info(f"{'state':<13} {'gate':<5} risk {'order':<{width}}  photo")
    rows = []
    for path in orders:
        try:
            rows.append(_print_order(path, console, width))
        except PhotioError as error:
            console.error(error.about(str(path)))
            rows.append(_Row("damaged", path))
    _print_totals(rows, folder, price, console)
    return console.exit_code


def require_folder(folder: Path) -> None:
    """Raise UsageError if there is no such output folder."""
    if not folder.is_dir():
        problem = "not a folder" if folder.exists() else "no such folder"
        raise UsageError(problem, "Run prepare or run first, or name an output folder", subject=str(folder))


def _open_risk(folder: Path) -> float:
    """The probability that its cutout is wrong, of an order that is not paid for; 0 of others."""
    try:
        if OrderFolder(folder).state is not State.PLANNED:
            return 0.0
        gates = map(find_record, folder.glob("gate-*.json"))
        return max((judgement_from_dict(gate).risk for gate in gates if gate), default=0.0)
    except (PhotioError, LookupError, TypeError, ValueError, AttributeError, OSError):
        return 0.0  # a damaged order, which is named in its turn


def _print_order(path: Path, console: Console, width: int) -> _Row:
    """Print a line for each photo of an order, and the reason of a failed or unknown outcome."""
    folder = OrderFolder(path)
    state = folder.state
    name = "given up" if folder.is_lost else "superseded" if folder.is_superseded else state.replace("_", " ")
    photos = folder.photos()
    if not photos:
        raise StorageFailed("a damaged order (it has no photo)", AGAIN, subject=str(path))
    for origin in photos:
        order = store.load_order(path, origin=origin)
        if console.as_json:
            record = order.marks.final()
            console.line(describe_order(order, state, Path(str(record.get("path"))) if record else None))
        elif not console.quiet:
            kind = " (sandbox)" if order.sandbox else ""
            gate = order.origin.gate
            risk = f"{gate.risk:.0%}" if gate and "risk" in gate.figures else "-"
            judged = f"{gate.verdict if gate else '-':<5} {risk:>4}"
            console.out(f"{name:<13} {judged} {path!s:<{width}}  {escape_controls(order.origin.source)}{kind}")
            if note := image_url_note(order.request.image_url):
                console.out(f"{'':13} {escape_controls(note)}")
            outcome = folder.outcome
            if outcome is not None or state is State.UNKNOWN:
                console.out(f"{'':13} {escape_controls(str(outcome['why'])) if outcome else DIED}")
    gate = order.origin.gate
    stopped = name == "planned" and gate is not None and gate.verdict is Verdict.STOP
    wordless = name == "planned" and not order.request.description
    paid, perhaps = (0, 0) if order.sandbox else folder.count_calls(state)
    return _Row(name, path, paid, perhaps, order.sandbox, stopped, wordless)


def _print_totals(rows: list[_Row], out: Path, price: float | None, console: Console) -> None:
    counts = Counter(row.name for row in rows)
    table = [("total", rows), *((name, [row for row in rows if row.name == name]) for name, _ in counts.most_common())]
    sums = {name: (len(part), sum(row.paid for row in part), sum(row.perhaps for row in part)) for name, part in table}
    _, paid, perhaps = total = sums.pop("total")
    if len(sums) > 1 and not console.as_json:
        console.info("")
        for name, cells in [("", _HEADS), *sums.items(), ("total", total)]:
            columns = "".join(f"{cell or '-':>{len(head) + 3}}" for cell, head in zip(cells, _HEADS, strict=True))
            console.info(f"{name:<14}{columns}")
        console.info("")
    listed = ", ".join(f"{count} {name}" for name, count in counts.most_common()) or "no orders"
    console.info(f"{listed}. Paid calls: {paid}, perhaps billed: {perhaps}")
    if price is not None:
        more = f", and perhaps {perhaps * price:.2f} more" if perhaps else ""
        console.info(f"spend: {paid * price:.2f} at {price:g} a call{more}")
    if free := sum(row.sandbox for row in rows):
        console.info(f"{free} of them in the sandbox: free")
    if console.as_json:
        return
    for name, sandbox in product(_NEXT, (False, True)):
        if part := [row for row in rows if (row.name, row.sandbox) == (name, sandbox)]:
            stopped = sum(row.stopped for row in part)
            note = f" ({stopped} stopped by the gate)" if stopped else ""
            words = " -d TEXT" if any(row.wordless for row in part) else ""
            advice = (_NEXT | _NEXT_FREE if sandbox else _NEXT)[name].format(out=out, order=part[0].folder, words=words)
            for line in f"{len(part)} {name}{note}: {advice}".splitlines():
                console.info(line)


@click.command("resolve")
@options.orders
@option("--as word", "retry: pay (again). lost: give up.", required=True)
@options.console_options
def resolve_command(orders_: tuple[Path, ...], word: Literal["retry", "lost"], console: Console) -> int:
    """Say what became of orders whose outcome is unknown.

    `retry` makes the order planned again: the next `generate` or `run` pays for it, perhaps a second time.
    `lost` gives it up. Either way the lost call stays counted as perhaps billed.
    """
    for folder in orders_:
        try:
            order = store.load_order(folder)
            resolve_unknown(folder, retry=word == "retry")
            console.result(order, OrderFolder(folder).state, path=folder)
        except PhotioError as error:
            console.refuse(str(folder), error)
    return console.exit_code
