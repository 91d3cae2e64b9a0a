"""status, resolve: how far orders got, what they cost, and the user's word on unknown ones."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import click

from photio_prep.cli import options
from photio_prep.cli.console import Talk, described
from photio_prep.errors import PhotioError, UsageError
from photio_prep.orders import selection, store
from photio_prep.orders import state as states
from photio_prep.orders.preflight import image_url_note
from photio_prep.orders.state import State
from photio_prep.orders.store import Order
from photio_prep.quality import Verdict
from photio_prep.system.text import escaped

# What the user should know first, and what to do about each; "{out}" is the output folder, "{order}" one such order.
_NEXT = {
    "unknown": "perhaps billed: look at your bill, then say what became of it. It is never sent again by itself:\n"
    "    photio-prep resolve {order} --as retry    # the next generate pays, perhaps a second time\n"
    "    photio-prep resolve {order} --as lost     # give it up",
    "paid unusable": "paid, but the answer cannot be used. It is kept: send {order}/answer.raw to Photio's support",
    "rejected": "refused by the API, not billed: mend what it says; `photio-prep generate {out}` sends it again",
    "damaged": "cannot be read: see above",
    "claimed": "being paid for right now, here, on another machine or in another container. If it ended without an"
    " answer:\n    photio-prep resolve {order} --as retry    # or --as lost; the call stays counted as perhaps billed",
    "answered": "paid and kept, without a final yet: photio-prep finish {out}",
    "planned": "look first, then pay: photio-prep review {out}; photio-prep generate {out}",
}
_HEADS = ("", "orders", "paid calls", "perhaps billed")


@dataclass
class _Sums:
    """What a folder comes to, by state."""

    orders: Counter[str] = field(default_factory=Counter)
    paid: Counter[str] = field(default_factory=Counter)
    perhaps: Counter[str] = field(default_factory=Counter)
    first: dict[str, Path] = field(default_factory=dict)
    sandbox: int = 0
    stopped: int = 0

    def count(self, name: str, folder: Path, *, paid: int = 0, perhaps: int = 0) -> None:
        self.orders[name] += 1
        self.paid[name] += paid
        self.perhaps[name] += perhaps
        self.first.setdefault(name, folder)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path("photio-out"))
@click.option("--price", type=click.FloatRange(0, 1000), default=None, metavar="X", help="Of one call, for the spend.")
@options.talking
def status(folder: Path, price: float | None, talk: Talk) -> int:
    """States and spend of the orders in an output folder, and what to do next."""
    if not folder.exists():
        raise UsageError(
            "nothing is there yet", "Run prepare or run first, or name an output folder", subject=str(folder)
        )
    sums = _Sums()
    found = store.below(folder)
    width = max((len(str(each)) for each in found), default=0)
    if found and not talk.as_json:
        talk.say(f"{'state':<13} {'gate':<5} {'order':<{width}}  photo")
    for each in found:
        try:
            state = states.state(each)
            lost = states.given_up(each)
            name = "given up" if lost else "went on" if selection.went_on(each) else state.replace("_", " ")
            for origin in store.origins(each):
                order = store.read(each, origin=origin)
                _tell(order, state, name, talk, width)
        except PhotioError as error:
            talk.fail(error.about(str(each)))
            sums.count("damaged", each)
            continue
        if order.sandbox:
            sums.sandbox += 1
            sums.count(name, each)
            continue
        perhaps = (state in (State.UNKNOWN, State.CLAIMED)) + states.resolved(each)
        paid = (state in states.BILLED) + states.paid_attempts(each)
        sums.count(name, each, paid=paid, perhaps=perhaps)
        judged = order.origin.gate
        sums.stopped += name == "planned" and judged is not None and judged.verdict is Verdict.STOP
    _sum(sums, folder, price, talk)
    return talk.exit_code


def _tell(order: Order, state: State, name: str, talk: Talk, width: int) -> None:
    """One line for one photo of an order, and why where it is stuck."""
    folder = order.folder
    if folder is None:
        return
    if talk.as_json:
        mark = states.finished(folder, order.origin)
        talk.line(described(order, state, Path(str(mark.get("path"))) if mark else None))
    elif not talk.quiet:
        kind = " (sandbox)" if order.sandbox else ""
        gate = order.origin.gate.verdict if order.origin.gate else "-"
        talk.out(f"{name:<13} {gate:<5} {folder!s:<{width}}  {escaped(order.origin.source)}{kind}")
        if note := image_url_note(order.request.image_url):
            talk.out(f"{'':13} {escaped(note)}")
        ended = states.read_outcome(folder)
        if ended is not None or state is State.UNKNOWN:
            talk.out(f"{'':13} {escaped(str(ended['why'])) if ended else states.DIED}")


def _sum(sums: _Sums, out: Path, price: float | None, talk: Talk) -> None:
    """The totals, the spend, and what to do next."""
    paid, perhaps = sums.paid.total(), sums.perhaps.total()
    rows = [(name, count, sums.paid[name], sums.perhaps[name]) for name, count in sums.orders.most_common()]
    if len(rows) > 1 and not talk.as_json:
        table = [_HEADS, *rows, ("in all", sums.orders.total(), paid, perhaps)]
        talk.say("")
        for name, *numbers in table:
            columns = zip(numbers, _HEADS[1:], strict=True)
            told = "".join(f"{each or '-':>{len(head) + 3}}" for each, head in columns)
            talk.say(f"{name:<14}{told}")
        talk.say("")
    told = ", ".join(f"{count} {name}" for name, count, *_ in rows) or "no orders"
    talk.say(f"{told}. Paid calls: {paid}, perhaps billed: {perhaps}")
    if price is not None:
        more = f", and perhaps {perhaps * price:.2f} more" if perhaps else ""
        talk.say(f"spend: {paid * price:.2f} at {price:g} a call{more}")
    if sums.sandbox:
        talk.say(f"{sums.sandbox} of them of the sandbox: free")
    if talk.as_json:
        return
    for name, what in _NEXT.items():
        if name in sums.orders:
            count = f"{sums.orders[name]} {name}"
            stopped = f" ({sums.stopped} stopped by the gate)" if name == "planned" and sums.stopped else ""
            for line in f"{count}{stopped}: {what.format(out=out, order=sums.first[name])}".splitlines():
                talk.say(line)


@click.command()
@click.argument("orders_", metavar="ORDER...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--as", "word", type=click.Choice(["retry", "lost"]), required=True, help="retry: pay (again). lost: give up."
)
@options.talking
def resolve(orders_: tuple[Path, ...], word: str, talk: Talk) -> int:
    """Say what became of orders whose outcome is unknown.

    `retry` makes the order planned again: the next `generate` or `run` pays for it, perhaps a second time.
    `lost` gives it up. Either way the lost call stays counted as perhaps billed.
    """
    for folder in orders_:
        try:
            order = store.read(folder)
            states.resolve(folder, retry=word == "retry")
            talk.done(order, states.state(folder), result=folder)
        except PhotioError as error:
            talk.refused(str(folder), error)
    return talk.exit_code
