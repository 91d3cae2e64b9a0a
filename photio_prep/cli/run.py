"""run: photos in, finals out, in one go."""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from photio_prep.cli import inputs, keep, options, payment, preparation, reporting
from photio_prep.cli.console import Console
from photio_prep.cli.finals import FinalWriter
from photio_prep.cli.options import split_file
from photio_prep.cli.parsing import verb
from photio_prep.cli.review import offer_review
from photio_prep.cutout.models.registry import ModelOptions
from photio_prep.errors import OutputExists, UsageError, of_photo
from photio_prep.final import writer
from photio_prep.final.options import FinishOptions
from photio_prep.options import OutputOptions
from photio_prep.orders import index
from photio_prep.orders import payment as order_payment
from photio_prep.orders.options import OrderPlace, PayOptions, PrepareOptions
from photio_prep.orders.preflight import Preflight
from photio_prep.orders.state import SENDABLE, State
from photio_prep.orders.store import Order
from photio_prep.types import Result


@verb("run")
@inputs.argument
@preparation.of_photo
@options.model
@options.paying
@inputs.options
@options.finish
@options.output(options.out_or_file, options.upload_to, options.written, options.marketplaces)
@inputs.engine
@options.console_options
def run_command(
    inputs_: tuple[str, ...],
    options: PrepareOptions,
    model: ModelOptions,
    pay: PayOptions,
    choose: inputs.ChoiceOptions,
    finish: FinishOptions,
    output: OutputOptions,
    engine: inputs.EngineOptions,
    console: Console,
) -> int:
    """PAYS: from photos to finals: prepare, generate and finish in a row.

    INPUT is a photo, a folder (its tree is kept), a quoted pattern, an http(s) URL, a job table (.csv, .tsv, .jsonl,
    .json), a list (.txt), or - for standard input. Running the same command again pays for nothing twice and finishes
    what is left. Prints the path of each final.
    """
    output, finish, file = split_file(output, finish)
    preflight, out, overwrite = pay.preflight, output.out, output.overwrite
    finals = FinalWriter(finish, output, console, file)
    if file and engine.engine != "local":
        raise UsageError("--out FILE is for this machine", "Leave --engine out, or use `finish`")
    reporting.start_report(console, "run", pay.price)
    choice = inputs.Choice(
        inputs_,
        out,
        console,
        choose,
        format_=finish.format,
        description=options.description,
        pay=pay,
        engine=engine.engine,
    )
    reporting.refuse_foreign(out, choice.items, choice.seeds, overwrite=overwrite)
    finals.choose(choice.items)
    finals.check_file([item.name for item in choice.items] * choice.seeds)
    if engine.engine == "ray":
        from photio_prep.cli import ray

        job = ray.build_job(options, model, pay, finish, output, console)
        with reporting.print_error(console):
            ray.run_on_cluster(choice.items, job, engine.ray_address, choose.workers or 2, out, finals, console)
        offer_review(out, console, overwrite=overwrite)
        return reporting.close(console, out, choice.items, overwrite=overwrite)
    swept: set[str] = set()
    preparation.check_models(options, model, console)
    with payment.open_guarded_client(pay, console) as guard, preparation.open_workers(choose.workers) as pool:
        preparation.check_writable(out / "orders")
        choice.quote(options.description, guard)
        target = OrderPlace(guard.endpoint, out / "orders", variants=choice.seeds > 1)
        pay_for = partial(order_payment.pay, sender=guard, preflight=preflight)

        def write(order: Order, result: Result) -> None:
            finals.write(order, out, result)
            if order.origin.variant:
                swept.add(order.origin.base)

        for items in choice.batches(lambda: guard.stop_reason is not None):
            total = len(items) * choice.seeds
            with reporting.print_error(console), console.progress(total, "run"):
                orders = choice.expand_variants(
                    preparation.prepare_orders(items, options, model, target, console, pool)
                )
                payable = _select_payable(orders, preflight, finish, output, finals, console)
                payment.pay_orders(payable, pay_for, write, guard, console, pay.jobs, total=total)
    keep.show_sheets(swept, out, out, console, overwrite=overwrite)
    offer_review(out, console, overwrite=overwrite)
    return reporting.close(console, out, choice.items, choice.seeds, overwrite=overwrite)


def _select_payable(
    orders: Iterable[Order],
    preflight: Preflight,
    finish: FinishOptions,
    output: OutputOptions,
    finals: FinalWriter,
    console: Console,
) -> Iterator[Order]:
    """Yield the orders that pass the preflight and whose finals can be written; print the others."""
    taken: dict[Path, str] = {}

    def check(order: Order) -> Path:
        if order.folder and not preflight.pay_again and index.index_of(order.folder.parent).is_changed_photo(order):
            console.note_changed(order)
        target = writer.final_path(order, output.out, finish.format)
        finish.fits(order.placement)
        if target in taken:
            raise OutputExists(
                f"its final {target} is that of {taken[target]} too", "Rename one, or finish it with another --out"
            )
        # What is answered already costs nothing: its final is compared when it is made, byte for byte.
        if order.folder is None or order.state in SENDABLE:
            writer.refuse_if_in_the_way(order, target, overwrite=output.overwrite)
            finals.refuse_in_the_way(order, output.out, target)
        preflight.check(order)
        return target

    for order in orders:
        try:
            taken[check(order)] = order.origin.source
        except Exception as raised:  # noqa: BLE001  a bug with one photo is its own
            error = of_photo(raised)
            if isinstance(error, OutputExists) and error.subject:  # the file that lies there: of which photo?
                error.subject = f"{order.origin.source}: {error.subject}"
            console.refuse(order.origin.source, error, order, State.PLANNED)
        else:
            yield order
