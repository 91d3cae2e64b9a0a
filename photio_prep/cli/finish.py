"""finish and keep: from kept answers to finals; which of a photo's variants becomes its final."""

import os
from dataclasses import replace
from pathlib import Path

import click

from photio_prep.batch import scheduler
from photio_prep.cli import mistakes, options
from photio_prep.cli.console import Console
from photio_prep.cli.finals import FinalWriter
from photio_prep.cli.parsing import Number, option, verb
from photio_prep.errors import PhotioError
from photio_prep.final import choose
from photio_prep.final.options import DEFAULT_FINISH, OutputOptions
from photio_prep.options import JobOptions
from photio_prep.orders import selection, store
from photio_prep.orders.folder import OrderFolder
from photio_prep.orders.origin import Origin
from photio_prep.orders.state import ANSWERED, State
from photio_prep.system.parallel import CORES, path_lock
from photio_prep.system.ranges import Range


@verb("finish")
@options.orders
@options.finish_out
@options.job(options.finish, options.output(options.upload_to, options.written, options.marketplaces))
@options.console_options
def finish_command(orders_: tuple[Path, ...], out: Path | None, job: JobOptions, console: Console) -> int:
    """From the kept answers: crop back, put the photo's own product in, write the finals. Free, offline.

    ORDER is a folder below orders/, or an output folder for all of them. Prints the path of each final, and of each
    --preset's file. White packshots alone need no answer: they are made of orders that are merely prepared.
    """
    mistakes.check_orders(orders_)
    file = out if out and options.is_picture(out) else None
    if file:
        job, _ = options.split_file(replace(job, output=replace(job.output, out=file)))
        out = None
    output, finals = job.output, FinalWriter(job.finish, job.output, console, file)
    photos = [
        photo
        for path in orders_
        for photo in selection.select_finishable(path, lambda error: console.refuse(error.subject, error))
    ]

    finals.check_file([origin.source for _, origin in photos])

    def finish_photo(photo: tuple[Path, Origin]) -> None:
        folder, origin = photo
        order, target = None, out or output_root(folder)
        try:
            order = store.load_order(folder, origin=origin)
            with path_lock(target / origin.output):  # two photos may want one name: only one of them gets it
                if output.presets and (state := OrderFolder(folder).state) not in ANSWERED:
                    finals.print_result(order, state, target, final=None)
                else:
                    finals.write_announced(order, target, root=output_root(folder))
        except PhotioError as error:
            console.refuse(origin.source, error, order, OrderFolder(folder).state)

    with console.progress(len(photos), "finish"):
        for (folder, origin), error in scheduler.map_ordered(photos, finish_photo, threads=CORES):
            if error is not None:  # a bug: our own errors are printed already
                console.refuse(origin.source, error, None, OrderFolder(folder).state)
    finals.show_sheets()
    console.summary()
    return console.exit_code


def output_root(folder: Path) -> Path:
    """The output folder that an order lies in, absolute or relative as the order was named."""
    out = folder.resolve().parent.parent
    return out if folder.is_absolute() else Path(os.path.relpath(out))


@click.command("keep")
@click.argument("photo", metavar="PHOTO|ORDER")
@click.argument("number", type=Number(Range(1, 64)))
@options.output(
    options.out,
    options.marketplaces,
    option("--overwrite", "Replace a file that lies where the final goes."),
)
@options.console_options
def keep_command(photo: str, number: int, output: OutputOptions, console: Console) -> int:
    """Make one variant (`run --seeds 4`) the photo's final. Free; another number may be kept later.

    PHOTO is named as it was in the run, or by its final below --out; or name any ORDER of its variants. Makes the files
    of the --preset that the run was given, or of those given here. Prints the final, and each of these files.
    """
    finals = FinalWriter(DEFAULT_FINISH, output, console)
    variant = choose.keep_variant(photo, number, output.out, overwrite=output.overwrite)
    for note in variant.notes:
        console.info(f"note: {variant.order.origin.source}: {note}")
    if not output.presets:
        origin = variant.order.origin
        finals.choose(origin.source, origin.base, variant.presets)
    finals.print_result(variant.order, State.FINISHED, output.out, final=variant.final)
    return console.exit_code
