"""status, resolve: how far orders got, and the user's word on unknown ones."""

from collections import Counter
from pathlib import Path
from typing import Any

import click

from photio_prep import orders
from photio_prep.cli import options
from photio_prep.cli.talk import Talk, described, escaped
from photio_prep.errors import PhotioError
from photio_prep.orders import State

# Each of these was billed, or may have been.
_BILLED = {State.ANSWERED, State.FINISHED, State.PAID_UNUSABLE}


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True), default=Path("photio-out"))
@options.talking
def status(folder: Path, **given: Any) -> int:  # noqa: ANN401
    """States and spend of the orders in an output folder."""
    talk = Talk(**given)
    states: Counter[State] = Counter()
    paid = perhaps = 0
    for each in orders.below(folder):
        try:
            if orders.followed(each) != each:
                continue  # it went on as another order, which is listed itself
            order, state = orders.read(each), orders.state(each)
        except PhotioError as error:
            talk.fail(error.about(str(each)))
            continue
        states[state] += 1
        if not order.sandbox:
            paid += state in _BILLED
            perhaps += (state in (State.UNKNOWN, State.CLAIMED)) + orders.resolved(each)
        if given["as_json"]:
            mark = orders.finished(each, order.origin)
            line = described(order, state, Path(mark["path"]) if mark else None)
            talk.line(line)
        elif not given["quiet"]:
            kind = " (sandbox)" if order.sandbox else ""
            talk.out(f"{state:<13} {each}  {escaped(order.origin.source)}{kind}")
            if state is State.UNKNOWN:
                ended = orders.read_outcome(each)
                talk.out(f"{'':13} {escaped(str(ended['why'])) if ended else 'its process died while it paid'}")
    counts = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in states.items()) or "no orders"
    talk.say(f"{counts}. Paid calls: {paid}, perhaps billed: {perhaps}")
    if states[State.UNKNOWN]:
        talk.say("unknown: look at your bill, then `photio-prep resolve ORDER --as retry` or `--as lost`")
    return talk.exit_code


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
            orders.resolve(folder, retry=word == "retry")
            talk.done(order, orders.state(folder), result=folder)
        except PhotioError as error:
            talk.refused(str(folder), error)
    return talk.exit_code
