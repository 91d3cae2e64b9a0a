"""prepare: the dry run, one order per photo."""

from dataclasses import replace

from photio_prep import settings
from photio_prep.batch import clients
from photio_prep.batch.workers import open_workers
from photio_prep.cli import inputs, options, preparation, reporting
from photio_prep.cli.console import Console
from photio_prep.cli.parsing import option, typed, verb
from photio_prep.errors import Interrupted
from photio_prep.options import JobOptions
from photio_prep.orders import previews
from photio_prep.orders.folder import OrderFolder
from photio_prep.orders.options import PayOptions
from photio_prep.orders.state import State


@verb("prepare")
@inputs.argument
@options.job(
    preparation.of_photo,
    options.model,
    typed(
        "pay",
        PayOptions,
        options.gate,
        option("--api-url", "Who will be asked; part of the order's key.", metavar="URL", group="Other"),
    ),
    options.output(options.out, options.replacing),
)
@inputs.options
@options.console_options
def prepare_command(inputs_: tuple[str, ...], job: JobOptions, choose: inputs.ChoiceOptions, console: Console) -> int:
    """Dry run: one order per photo, with the exact PNG that would be sent. Free, no network, no key.

    INPUT is a photo, a folder (its tree is kept), a quoted pattern, an http(s) URL, a job table (.csv, .tsv, .jsonl,
    .json), a list (.txt), or - for standard input. Prints each order's folder.
    """
    level, endpoint = settings.gate(job.pay.gate), clients.endpoint(job.pay)
    reporting.start_report(console, "prepare")
    choice = inputs.Choice(inputs_, job, choose, console, pays=False)
    preparation.check_models(job, console)
    preparation.check_writable(job.orders)
    try:
        with open_workers(choose.workers) as pool:
            for items in choice.batches():
                with reporting.print_error(console), console.progress(len(items) * choice.seeds, "prepare"):
                    for order in preparation.prepare_orders(items, choice, endpoint, pool):
                        folder = order.require_folder()
                        previews.draw_previews(folder, order)
                        successor = OrderFolder(folder).successor
                        state = OrderFolder(successor).state if successor else State.PLANNED
                        judged = order.origin.gate and order.origin.gate.limited(job.pay.gate_at)
                        shown = replace(order, origin=replace(order.origin, gate=judged))
                        console.result(shown, state, path=folder, level=level)
    except KeyboardInterrupt:
        console.codes.append(Interrupted.exit_code)
    return choice.close()
