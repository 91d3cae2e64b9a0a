"""generate: pay for orders on disk."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from photio_prep.api.request import description_warnings
from photio_prep.api.wire import format_curl
from photio_prep.batch import clients
from photio_prep.cli import mistakes, options, payment, reporting
from photio_prep.cli.console import Console
from photio_prep.cli.finish import output_root
from photio_prep.cli.parsing import option, verb
from photio_prep.cli.review import Approval
from photio_prep.errors import GateStopped, UsageError, of_photo
from photio_prep.orders import index, selection, store
from photio_prep.orders import payment as order_payment
from photio_prep.orders.folder import OrderFolder
from photio_prep.orders.options import PayOptions
from photio_prep.orders.preflight import Preflight, image_url_note
from photio_prep.orders.revise import SAME_WORDS, Wording, continue_as, reword
from photio_prep.orders.state import ANSWERED, SENDABLE, State
from photio_prep.orders.store import Order
from photio_prep.quality import Level


@verb("generate")
@options.orders
@options.wording
@options.paying
@option("--approved", "decisions.json of `review`: pay for these only.", metavar="FILE")
@options.replacing
@option("--print-curl", "Print each call as a curl command; send nothing.")
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
    # The user saw the gate's reasons and approved: only a gate named now stops an order.
    if approved is not None and pay.gate is None and pay.gate_at is None:
        pay = replace(pay, gate=Level.OFF)
    mistakes.check_orders(orders_)
    endpoint = clients.endpoint(pay)
    reporting.start_report(console, "generate", pay.price)

    def report_left_out(folder: Path) -> None:
        console.info(f"left out: {folder}: its photo was prepared again since, with the same words; name it to pay it")

    folders = [
        folder
        for path in orders_
        for folder in selection.select_payable(
            path,
            endpoint,
            left_out=report_left_out,
            described=wording.description is not None,
            reworded=wording != SAME_WORDS,
        )
    ]
    if not folders:
        console.info("nothing is selected: orders of the sandbox are paid for by name, or by `run` without --sandbox")
    approval = None if approved is None else Approval(approved, folders, console)
    iter_orders = partial(_iter_orders, folders, wording, pay.preflight, approval, console)
    if print_curl:
        if pay.sandbox:
            raise UsageError("--print-curl is for the real API", "Leave --sandbox out")
        _print_curl(partial(iter_orders, endpoint), console, endpoint)
        return console.exit_code
    if folders:
        reporting.refuse_foreign(output_root(folders[0]), overwrite=overwrite)
    with payment.open_guarded_client(pay, console) as guard:
        planned = list(iter_orders(guard.endpoint))
        order_states = [order.state for order in planned if order.folder]
        new, answered = (sum(state in kind for state in order_states) for kind in (SENDABLE, ANSWERED))
        payment.quote(new, answered, pay, console, guard)

        def pay_for(order: Order) -> State:
            if order.folder and order.state is State.FINISHED:
                return State.FINISHED
            order_payment.pay(order, guard, pay.preflight)
            return State.ANSWERED

        def report(order: Order, state: State) -> None:
            console.result(order, state, path=order.folder)

        with reporting.print_error(console), console.progress(len(planned), "generate"):
            payment.pay_orders(planned, pay_for, report, guard, console, pay.jobs, total=len(planned))
    return reporting.close(console, output_root(folders[0]) if folders else None, overwrite=overwrite)


def _iter_orders(
    folders: list[Path],
    wording: Wording,
    preflight: Preflight,
    approval: Approval | None,
    console: Console,
    endpoint: str,
    continue_as: Callable[[Order, Order], Order] = continue_as,
) -> Iterator[Order]:
    """Yield the orders to pay for: with the words given now, for this endpoint, each once.

    `continue_as` gives an order with other words its folder beside the old one.
    """
    for warning in description_warnings(wording.description or ""):
        console.info(f"warning: {warning}")
    for root in {folder.parent for folder in folders}:
        index.index_of(root).refresh()
    keys = set()
    for folder in folders:
        try:
            old = store.load_order(folder)
            order = reword(old, wording, endpoint=endpoint)
            if approval is not None and not approval.allows(order, old):
                continue
            if order is not old and order.request.description:
                order = continue_as(old, order)
            if note := image_url_note(order.request.image_url):
                console.info(f"note: {folder}: {note}")
            preflight.check(order)
        except GateStopped as error:
            console.refuse(str(folder), error, order, State.PLANNED)
            continue
        except Exception as raised:  # noqa: BLE001  a bug with one order is its own
            console.refuse(str(folder), of_photo(raised))
            continue
        if order.key not in keys:
            keys.add(order.key)
            yield order


def _print_curl(iter_orders: Callable[..., Iterator[Order]], console: Console, endpoint: str) -> None:
    """Print each call that `generate` would send now as a curl command; nothing is sent or written.

    A pasted command knows no claims: what is answered, unknown or being paid for would be paid for again.
    """
    pictures: dict[str, Path] = {}

    def locate(old: Order, new: Order) -> Order:
        root = (old.folder or Path()).parent
        pictures[new.key] = root / old.key[:32] / "canvas.png"
        return replace(new, folder=root / new.key[:32])

    for order in iter_orders(locate):
        folder = order.folder or Path()
        state = OrderFolder(folder).state
        if state in SENDABLE:
            console.out(format_curl(order.request, endpoint, pictures.get(order.key, folder / "canvas.png")))
        else:
            name = "given up" if OrderFolder(folder).is_lost else state.replace("_", " ")
            console.info(f"left out: {folder}: it is {name}, so the call may be paid for already")
