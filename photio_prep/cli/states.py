"""status, resolve: how far orders got, and the user's word on unknown ones."""

from collections import Counter
from pathlib import Path
from typing import Any

import click

from photio_prep import orders, states
from photio_prep.cli import options
from photio_prep.cli.talk import Talk, described, escaped
from photio_prep.errors import PhotioError, UsageError
from photio_prep.orders import Order
from photio_prep.states import State

# Each of these was billed, or may have been.
_BILLED = {State.ANSWERED, State.FINISHED, State.PAID_UNUSABLE}


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path("photio-out"))
@options.talking
def status(folder: Path, **given: Any) -> int:  # noqa: ANN401
    """States and spend of the orders in an output folder."""
    talk = Talk(**given)
    if not folder.exists():
        raise UsageError(
            "nothing is there yet", "Run prepare or run first, or name an output folder", subject=str(folder)
        )
    counts: Counter[str] = Counter()
    paid = perhaps = waiting = 0
    for each in orders.below(folder):
        try:
            state = states.state(each)
            lost = states.given_up(each)
            for origin in orders.origins(each):
                order = orders.read(each, origin=origin)
                _tell(order, state, talk, quiet=given["quiet"], lost=lost)
        except PhotioError as error:
            talk.fail(error.about(str(each)))
            continue
        counts["given up" if lost else state.replace("_", " ")] += 1
        waiting += state is State.UNKNOWN and not lost
        if not order.sandbox:
            paid += state in _BILLED
            perhaps += (state in (State.UNKNOWN, State.CLAIMED)) + states.resolved(each)
    told = ", ".join(f"{count} {state}" for state, count in counts.items()) or "no orders"
    talk.say(f"{told}. Paid calls: {paid}, perhaps billed: {perhaps}")
    if waiting:
        talk.say("unknown: look at your bill, then `photio-prep resolve ORDER --as retry` or `--as lost`")
    return talk.exit_code


def _tell(order: Order, state: State, talk: Talk, *, quiet: bool, lost: bool) -> None:
    """One line for one photo of an order, and why where it is stuck."""
    folder = order.folder
    if folder is None:
        return
    if talk.as_json:
        mark = states.finished(folder, order.origin)
        talk.line(described(order, state, Path(mark["path"]) if mark else None))
    elif not quiet:
        kind = " (sandbox)" if order.sandbox else ""
        talk.out(f"{'given up' if lost else state:<13} {folder}  {escaped(order.origin.source)}{kind}")
        ended = states.read_outcome(folder)
        if ended is not None or state is State.UNKNOWN:
            talk.out(f"{'':13} {escaped(str(ended['why'])) if ended else 'its process died while it paid'}")


@click.command()
@click.argument("orders_", metavar="ORDER...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--as", "word", type=click.Choice(["retry", "lost"]), required=True, help="retry: pay (again). lost: give up."
)
@options.talking
def resolve(orders_: tuple[Path, ...], word: str, **given: Any) -> int:  # noqa: ANN401
    """Say what became of orders whose outcome is unknown.

    `retry` makes the order planned again: the next `generate` or `run` pays for it, perhaps a second time.
    `lost` gives it up. Either way the lost call stays counted as perhaps billed.
    """
    talk = Talk(**given)
    for folder in orders_:
        try:
            order = orders.read(folder)
            states.resolve(folder, retry=word == "retry")
            talk.done(order, states.state(folder), result=folder)
        except PhotioError as error:
            talk.refused(str(folder), error)
    return talk.exit_code
