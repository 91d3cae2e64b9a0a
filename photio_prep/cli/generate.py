"""generate: the verb that pays for orders which lie there."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import click

from photio_prep.api.curl import format_curl
from photio_prep.api.request import description_warnings
from photio_prep.cli import client, options, payment, reporting
from photio_prep.cli.console import Console
from photio_prep.cli.finish import out_of
from photio_prep.cli.review import Decided
from photio_prep.errors import GateStopped, UsageError, of_photo
from photio_prep.orders import index, selection, store
from photio_prep.orders import payment as pay_
from photio_prep.orders import state as states
from photio_prep.orders.options import PayOptions
from photio_prep.orders.preflight import SENDABLE, Preflight, image_url_note
from photio_prep.orders.revise import SAME_WORDS, Wording, reword
from photio_prep.orders.state import State
from photio_prep.orders.store import Order
from photio_prep.quality import Level


@click.command("generate")
@click.argument("orders_", metavar="ORDER...", nargs=-1, required=True, type=click.Path(path_type=Path))
@options.rewording
@options.paying
@click.option(
    "--approved",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="decisions.json of `review`: pay for these only.",
)
@options.replacing
@click.option("--print-curl", is_flag=True, help="Print each call as a curl command; send nothing.")
@options.console_options
def generate_command(
    orders_: tuple[Path, ...],
    approved: Path | None,
    print_curl: bool,
    overwrite: bool,
    wording: Wording,
    pay: PayOptions,
    console: Console,
) -> int:
    """PAYS: send the planned bytes of orders that are not answered yet; keep the raw answers.

    ORDER is a folder below orders/, or an output folder for all of them. With other words, or with --sandbox, an order
    goes on as another order beside it. Prints the folder of each answered order.
    """
    # Somebody who saw the gate's reasons said yes: only a gate that is asked for now knows better.
    if approved is not None and pay.gate is None:
        pay = replace(pay, gate=Level.OFF)
    preflight = pay.preflight
    endpoint = client.endpoint(sandbox=pay.sandbox, api_url=pay.api_url)
    reporting.start_report(console, "generate", pay.price)

    def left_out(folder: Path) -> None:
        console.info(
            f"left out: {folder}: its photo was prepared again since, with the same words; name it to pay for it"
        )

    described, is_reworded = wording.description is not None, wording != SAME_WORDS
    found = [
        folder
        for place in orders_
        for folder in selection.select_payable(
            place, endpoint, left_out=left_out, described=described, reworded=is_reworded
        )
    ]
    decided = None if approved is None else Decided(approved, found, console)
    if print_curl:
        if pay.sandbox:
            raise UsageError("--print-curl is for the real API", "Leave --sandbox out")
        _print_curl(found, wording, endpoint, console, preflight, decided)
        return console.exit_code
    if found:
        reporting.refuse_foreign(out_of(found[0]), overwrite=overwrite)
    with payment.open_guarded_client(pay, console) as guard:
        planned = list(_planned(found, wording, guard.endpoint, console, preflight, decided=decided))
        new = [each for each in planned if each.folder and states.read_state(each.folder) in SENDABLE]
        answered = sum(states.read_state(each.folder) in states.ANSWERED for each in planned if each.folder)
        payment.quote(len(new), answered, pay, console, guard)

        def call(order: Order) -> State:
            state = states.read_state(order.folder) if order.folder else State.PLANNED
            if state is State.FINISHED:
                return state
            pay_.pay(order, guard, preflight)
            return State.ANSWERED

        def report(order: Order, state: State) -> None:
            console.result(order, state, result=order.folder)

        with reporting.kept(console), console.progress(len(planned), "generate"):
            payment.each(planned, call, report, guard, console, pay.jobs, total=len(planned))
    return reporting.close(console, out_of(found[0]) if found else None, overwrite=overwrite)


def _print_curl(
    found: list[Path],
    wording: Wording,
    endpoint: str,
    console: Console,
    preflight: Preflight,
    decided: Decided | None,
) -> None:
    """Each call that `generate` would send now, once, as a curl command; nothing is sent or written.

    A pasted command knows no claims: what is answered, unknown or being paid for would be paid for again.
    """
    pictures: dict[str, Path] = {}

    def placed(old: Order, new: Order) -> Order:
        root = (old.folder or Path()).parent
        pictures[new.key] = root / old.key[:32] / "canvas.png"
        return replace(new, folder=root / new.key[:32])  # where it would lie, or does already

    for order in _planned(found, wording, endpoint, console, preflight, decided=decided, succeed=placed):
        folder = order.folder or Path()
        state = states.read_state(folder)
        if state in SENDABLE:
            console.out(format_curl(order.request, endpoint, pictures.get(order.key, folder / "canvas.png")))
        else:
            name = "given up" if states.is_abandoned(folder) else state.replace("_", " ")
            console.info(f"left out: {folder}: it is {name}, so the call may be paid for already")


def _planned(
    found: list[Path],
    wording: Wording,
    endpoint: str,
    console: Console,
    preflight: Preflight,
    *,
    decided: Decided | None,
    succeed: Callable[[Order, Order], Order] = selection.continue_as,
) -> Iterator[Order]:
    """The orders to pay for: with the words given now, for the one who is asked, each once.

    `succeed` gives an order with other words its folder beside the old one.
    """
    for doubt in description_warnings(wording.description or ""):
        console.info(f"warning: {doubt}")
    seen = set()
    for root in {folder.parent for folder in found}:
        index.index_of(root).refresh()
    for folder in found:
        try:
            old = store.load_order(folder)
            order = reword(old, wording, endpoint=endpoint)
            if decided is not None and not decided.allows(order, old):
                continue
            if order is not old and order.request.description:
                order = succeed(old, order)
            if note := image_url_note(order.request.image_url):
                console.info(f"note: {folder}: {note}")
            preflight.check(order)
        except GateStopped as error:
            console.refuse(str(folder), error, order, State.PLANNED)
            continue
        except Exception as raised:  # noqa: BLE001  a bug with one order is its own
            console.refuse(str(folder), of_photo(raised))
            continue
        if order.key not in seen:
            seen.add(order.key)
            yield order
