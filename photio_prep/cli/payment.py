"""What the paying verbs share: the client inside its guard, the quote, signals, many orders at once."""

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import click

from photio_prep.api.spending_guard import SpendingGuard
from photio_prep.batch import scheduler
from photio_prep.cli import client as clients
from photio_prep.cli.console import Console
from photio_prep.cli.signals import listen
from photio_prep.errors import BudgetReached, Interrupted, PhotioError, Terminated, UsageError
from photio_prep.orders import state
from photio_prep.orders.options import PayOptions
from photio_prep.orders.state import State
from photio_prep.orders.store import Order
from photio_prep.system.parallel import limit_malloc_arenas

T = TypeVar("T")

# More new calls than this, and a person is asked first.
ASK_ABOVE = 25


@contextmanager
def open_guarded_client(options: PayOptions, console: Console) -> Iterator[SpendingGuard]:
    """The client that the options name, inside a guard, with Ctrl-C and SIGTERM meaning: nothing new."""
    with clients.open_client(options, console) as sender:
        guard = SpendingGuard(sender, options.max_calls, warn=console.info)
        if console.report:
            console.report.count_by(guard.is_billed)

        def leave(number: int) -> None:
            stopped = stopped_by(number)
            if guard.stop_reason is not None and stopped.exit_code in console.codes:
                # The second time: at once. What is in flight becomes unknown, because its claim's process is dead.
                os._exit(stopped.exit_code)
            console.codes.append(stopped.exit_code)
            guard.stop(stopped)
            sender.stop()
            console.info("stopping: nothing new is sent, what is in flight is waited for; once more to leave at once")

        with listen(leave):
            yield guard


def stopped_by(number: int) -> Interrupted:
    """The error that a signal stops a command with."""
    return (Interrupted if number == signal.SIGINT else Terminated)("stopped by the user")


def quote(
    calls: int, kept: int, options: PayOptions, console: Console, guard: SpendingGuard, *, at_most: bool = False
) -> None:
    """Say what the run will cost before it starts; ask before a big one.

    Args:
        calls: New calls; with `at_most` all that there can be.
        kept: Orders that are answered already; with `at_most` a guess, and among the calls.
        options: Of a paying verb.
        console: Tells it.
        guard: Lets no more through than were agreed to.
        at_most: The number is a bound.

    Raises:
        UsageError: It is a large one, and there is no terminal to ask on.
    """
    limit = options.max_calls
    most = calls if limit is None else min(calls, limit)
    about = "up to " if at_most and most > 1 else ""
    summary = f"{about}{most} {'free sandbox' if options.sandbox else 'paid'} {'call' if most == 1 else 'calls'}"
    if options.price is not None and not options.sandbox:
        summary += f", {about}{most * options.price:.2f} at {options.price:g} each"
    if most < calls:
        summary += f" (of {calls}, by --max-calls)"
    if kept:
        summary += f"; {'perhaps ' if at_most else ''}{kept} answered already, free"
    console.info(summary)
    if options.yes or options.sandbox:
        return
    likely = most - kept if at_most else most
    if likely <= ASK_ABOVE:
        # Agreed to without a word: so many, and not one more if the guess was wrong.
        guard.set_limit(ASK_ABOVE, BudgetReached(f"more than {ASK_ABOVE} paid calls need a yes", "Give --yes"))
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{most} paid calls need a yes", "Give --yes, or --max-calls to pay for fewer")
    click.confirm(f"Pay for {summary}?", abort=True, err=True)


def each(
    found: Iterable[Order],
    call: Callable[[Order], T],
    finish: Callable[[Order, T], None],
    guard: SpendingGuard,
    console: Console,
    jobs: int,
    *,
    total: int,
) -> None:
    """Call `call` for each order in `jobs` threads, then `finish` in a few; report and count errors."""
    limit_malloc_arenas()
    for order, error in scheduler.pay_and_finish(found, call, finish, guard, jobs):
        # An interrupted order stays planned; the reason is printed once.
        if error is not None and not isinstance(error, Interrupted):
            # The photo first: it says more than the digits of an order.
            error.subject = f"{order.origin.source}: {error.subject or order.folder}"
            console.refuse(order.origin.source, error, order, _state(order, guard))
    if guard.stop_reason is not None:
        console.codes.append(guard.stop_reason.exit_code)
        console.info(
            f"stopped ({guard.stop_reason.problem}): {guard.calls} of at most {total} were sent."
            " The rest stays planned; run the same again"
        )


def _state(order: Order, guard: SpendingGuard) -> State:
    """How far an order got that something went wrong with; where its folder does not tell, as the guard knows it."""
    try:
        return state.read_state(order.folder) if order.folder else State.PLANNED
    except PhotioError:
        return State.UNKNOWN if guard.is_billed(order.key[:32]) else State.PLANNED
