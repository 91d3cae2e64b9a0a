"""prepare: the dry run, one order per photo."""

from dataclasses import replace

from photio_prep import settings
from photio_prep.cli import inputs, options, payment, preparation, reporting
from photio_prep.cli.console import Console
from photio_prep.cli.parsing import option, verb
from photio_prep.cli.review import offer_review
from photio_prep.cutout.models.registry import ModelOptions
from photio_prep.errors import Interrupted
from photio_prep.options import OutputOptions
from photio_prep.orders import previews
from photio_prep.orders.folder import OrderFolder
from photio_prep.orders.options import OrderPlace, PayOptions, PrepareOptions
from photio_prep.orders.state import State


@verb("prepare")
@inputs.argument
@preparation.of_photo
@options.model
@options.gating
@options.gate_at
@inputs.options
@options.output(options.out, options.replacing)
@option("--api-url", "Who will be asked; part of the order's key.", metavar="URL")
@options.console_options
def prepare_command(
    inputs_: tuple[str, ...],
    options: PrepareOptions,
    model: ModelOptions,
    gate: str | None,
    gate_at: float | None,
    choose: inputs.ChoiceOptions,
    output: OutputOptions,
    api_url: str | None,
    console: Console,
) -> int:
    """Dry run: one order per photo, with the exact PNG that would be sent. Free, no network, no key.

    INPUT is a photo, a folder (its tree is kept), a quoted pattern, an http(s) URL, a job table (.csv, .tsv, .jsonl,
    .json), a list (.txt), or - for standard input. Prints each order's folder.
    """
    out, overwrite, level = output.out, output.overwrite, settings.gate(gate)
    endpoint = payment.endpoint(PayOptions(api_url=api_url))
    reporting.start_report(console, "prepare")
    choice = inputs.Choice(inputs_, out, console, choose)
    reporting.refuse_foreign(out, choice.items, overwrite=overwrite)
    preparation.check_models(options, model, console)
    preparation.check_writable(out / "orders")
    target = OrderPlace(endpoint, out / "orders", variants=choice.seeds > 1)
    try:
        with preparation.open_workers(choose.workers) as pool:
            for items in choice.batches():
                with reporting.print_error(console), console.progress(len(items) * choice.seeds, "prepare"):
                    orders = preparation.prepare_orders(items, options, model, target, console, pool)
                    for order in choice.expand_variants(orders):
                        if order.folder:
                            previews.draw_previews(order.folder)
                        folder = OrderFolder(order.folder).successor if order.folder else None
                        state = OrderFolder(folder).state if folder else State.PLANNED
                        judged = order.origin.gate and order.origin.gate.limited(gate_at)
                        shown = replace(order, origin=replace(order.origin, gate=judged))
                        console.result(shown, state, path=order.folder, level=level)
    except KeyboardInterrupt:
        console.codes.append(Interrupted.exit_code)
    offer_review(out, console, overwrite=overwrite)
    return reporting.close(console, out, choice.items, choice.seeds, overwrite=overwrite)
