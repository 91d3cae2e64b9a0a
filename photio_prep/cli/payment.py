"""What the paying verbs share: the client inside its spending guard, the quote, many orders at once."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import click

from photio_prep.api.spending_guard import SpendingGuard
from photio_prep.batch import scheduler
from photio_prep.batch.clients import build_client
from photio_prep.cli.console import Console
from photio_prep.cli.signals import stop_on_signal
from photio_prep.errors import BudgetReached, Interrupted, PhotioError, UsageError
from photio_prep.orders.options import PayOptions
from photio_prep.orders.state import State
from photio_prep.orders.store import Order

T = TypeVar("T")

# More new calls than this, and a person is asked first.
ASK_ABOVE = 25


@contextmanager
def open_sandbox(pay: PayOptions) -> Iterator[str | None]:
    """The URL of a local stand-in of the API, which runs while entered; None without --sandbox."""
    if not pay.sandbox:
        yield None
        return
    if pay.api_url is not None:
        raise UsageError("--sandbox and --api-url exclude each other", "Give one of them")
    from photio_prep.sandbox import Sandbox

    with Sandbox() as stand_in:
        yield stand_in.url


@contextmanager
def open_guarded_client(pay: PayOptions, console: Console) -> Iterator[SpendingGuard]:
    """The client that the options name, inside a spending guard; Ctrl-C and SIGTERM close it."""
    with open_sandbox(pay) as sandbox_url:
        client = build_client(pay, sandbox_url, warn=console.info)
        guard = SpendingGuard(client, pay.max_calls, warn=console.info)
        console.report.count_by(guard.is_billed)
        with stop_on_signal(console.codes, console.info, guard.stop):
            yield guard


def quote(
    calls: int, answered: int, pay: PayOptions, console: Console, guard: SpendingGuard, *, at_most: bool = False
) -> None:
    """Print what the run will cost before it starts; ask before a big one.

    With `at_most`, `calls` is a bound that includes the `answered` orders, whose number is then a guess. The guard
    lets no more through than were agreed to. Interrupted if the user said no, UsageError without a terminal to ask on.
    """
    most = calls if pay.max_calls is None else min(calls, pay.max_calls)
    new = calls - answered if at_most else calls
    if answered and new <= 0:
        changed = "; a photo that changed is a new call" if at_most else ""
        summary = f"nothing to pay: {answered} answered already{changed}"
    else:
        summary = _summarize(calls, most, pay, "up to " if at_most and most > 1 else "")
        if answered:
            summary += f"; {'perhaps ' if at_most else ''}{answered} answered already, free"
    console.info(summary)
    if pay.yes or pay.sandbox:
        return
    if min(new, most) <= ASK_ABOVE:
        # Agreed to without a word: so many, and not one more if the guess was wrong.
        guard.set_limit(ASK_ABOVE, BudgetReached(f"more than {ASK_ABOVE} paid calls need a yes", "Give --yes"))
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{most} paid calls need a yes", "Give --yes, or --max-calls to pay for fewer")
    if not click.confirm(f"Pay for {summary}?", err=True):
        raise Interrupted("nothing was sent: the answer was no", "Give --max-calls to pay for fewer")


def _summarize(calls: int, most: int, pay: PayOptions, about: str) -> str:
    summary = f"{about}{most} {'free sandbox' if pay.sandbox else 'paid'} {'call' if most == 1 else 'calls'}"
    if pay.price is not None and not pay.sandbox:
        summary += f", {about}{most * pay.price:.2f} at {pay.price:g} each"
    return summary + (f" (of {calls}, by --max-calls)" if most < calls else "")


def pay_orders(
    orders: Iterable[Order],
    call: Callable[[Order], T],
    finish: Callable[[Order, T], None],
    guard: SpendingGuard,
    console: Console,
    jobs: int,
    *,
    total: int,
) -> None:
    """Call `call` for each order in `jobs` threads, then `finish` in a few; report and count errors."""
    for order, error in scheduler.pay_and_finish(orders, call, finish, guard, jobs):
        # An interrupted order stays planned; the reason is printed once.
        if error is not None and not isinstance(error, Interrupted):
            # The photo first: it says more than the digits of an order.
            error.subject = f"{order.origin.source}: {error.subject or order.folder}"
            console.refuse(order.origin.source, error, order, _read_state(order, guard))
    report_stop(guard.stop_reason, guard.calls, total, console)


def report_stop(stop_reason: PhotioError | None, calls: int, total: int, console: Console) -> None:
    """Print why the batch was stopped, if it was."""
    if stop_reason is not None:
        console.codes.append(stop_reason.exit_code)
        console.info(
            f"stopped ({stop_reason.problem}): {calls} of at most {total} were sent."
            " The rest stays planned; run the same again"
        )


def _read_state(order: Order, guard: SpendingGuard) -> State:
    """How far a failed order got; if its folder cannot be read, as far as the guard knows."""
    try:
        return order.state
    except PhotioError:
        return State.UNKNOWN if guard.is_billed(order.key[:32]) else State.PLANNED
