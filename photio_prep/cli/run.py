"""run: photos in, finals out, in one go."""

from collections.abc import Iterable, Iterator
from functools import partial

from photio_prep.batch.workers import open_workers
from photio_prep.cli import inputs, options, payment, preparation, reporting
from photio_prep.cli.console import Console
from photio_prep.cli.finals import FinalWriter
from photio_prep.cli.parsing import verb
from photio_prep.errors import OutputExists, UsageError, of_photo
from photio_prep.options import JobOptions
from photio_prep.orders import index
from photio_prep.orders import payment as order_payment
from photio_prep.orders.preflight import Preflight
from photio_prep.orders.state import State
from photio_prep.orders.store import Order
from photio_prep.system.parallel import CORES
from photio_prep.types import Result


@verb("run")
@inputs.argument
@options.job(
    preparation.of_photo,
    options.model,
    options.paying,
    options.finish,
    options.output(options.out_or_file, options.upload_to, options.written, options.marketplaces),
)
@inputs.options_with_engine
@options.console_options
def run_command(inputs_: tuple[str, ...], job: JobOptions, choose: inputs.ChoiceOptions, console: Console) -> int:
    """PAYS: from photos to finals: prepare, generate and finish in a row.

    INPUT is a photo, a folder (its tree is kept), a quoted pattern, an http(s) URL, a job table (.csv, .tsv, .jsonl,
    .json), a list (.txt), or - for standard input. Running the same command again pays for nothing twice and finishes
    what is left. Prints the path of each final.
    """
    job, file = options.split_file(job)
    finals = FinalWriter(job.finish, job.output, console, file)
    if file and choose.engine != "local":
        raise UsageError("--out FILE is for this machine", "Leave --engine out, or use `finish`")
    reporting.start_report(console, "run", job.pay.price)
    choice = inputs.Choice(inputs_, job, choose, console)
    for item in choice.items:
        if item.job and item.job.presets:
            finals.choose(item.name, item.output, item.job.presets)
    finals.check_file([item.name for item in choice.items] * choice.seeds)
    if choose.engine == "ray":
        from photio_prep.cli import ray

        with reporting.print_error(console):
            ray.run_on_cluster(choice, finals)
    else:
        _run_here(choice, finals)
        finals.show_sheets()
    return choice.close()


def _run_here(choice: inputs.Choice, finals: FinalWriter) -> None:
    job, console = choice.job, choice.console
    preparation.check_models(job, console)
    with payment.open_guarded_client(job.pay, console) as guard, open_workers(choice.options.workers) as pool:
        if pool and pool.count >= CORES:
            finals.place = pool.place_final
        preparation.check_writable(job.orders)
        choice.quote(guard)
        pay_for = partial(order_payment.pay, sender=guard, preflight=job.pay.preflight)

        def write(order: Order, result: Result) -> None:
            finals.write_announced(order, job.output.out, result)

        for items in choice.batches(lambda: guard.stop_reason is not None):
            total = len(items) * choice.seeds
            with reporting.print_error(console), console.progress(total, "run"):
                orders = preparation.prepare_orders(items, choice, guard.endpoint, pool)
                payable = _select_payable(orders, job.pay.preflight, finals, console)
                payment.pay_orders(payable, pay_for, write, guard, console, job.pay.jobs, total=total)


def _select_payable(
    orders: Iterable[Order], preflight: Preflight, finals: FinalWriter, console: Console
) -> Iterator[Order]:
    """Yield the orders that may be paid for and whose files can be written; print the others."""
    finals.start_batch()
    for order in orders:
        try:
            if order.folder and not preflight.pay_again and index.index_of(order.folder.parent).is_changed_photo(order):
                console.note_changed(order)
            finals.check(order, preflight)
        except Exception as raised:  # noqa: BLE001  a bug with one photo is its own
            error = of_photo(raised)
            if isinstance(error, OutputExists) and error.subject:  # the file that lies there: of which photo?
                error.subject = f"{order.origin.source}: {error.subject}"
            console.refuse(order.origin.source, error, order, State.PLANNED)
        else:
            yield order
