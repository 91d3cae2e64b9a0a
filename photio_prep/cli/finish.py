"""finish: from kept answers to finals."""

import os
from dataclasses import replace
from pathlib import Path

import click

from photio_prep.batch import scheduler
from photio_prep.cli import finishing, keep, options
from photio_prep.cli.console import Console
from photio_prep.cli.outputs import Shelving
from photio_prep.errors import PhotioError
from photio_prep.final.options import FinishOptions
from photio_prep.options import OutputOptions
from photio_prep.orders import selection, store
from photio_prep.orders import state as states
from photio_prep.orders.origin import Origin
from photio_prep.system.parallel import CORES, path_lock


@click.command("finish")
@click.argument("orders_", metavar="ORDER...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, file_okay=False), help="Where finals go. [where the orders lie]"
)
@options.finish
@options.output(options.to, options.written, options.shelf)
@options.console_options
def finish_command(
    orders_: tuple[Path, ...], out: Path | None, finish: FinishOptions, output: OutputOptions, console: Console
) -> int:
    """From the kept answers: crop back, put the photo's own product in, write the finals. Free, offline.

    ORDER is a folder below orders/, or an output folder for all of them. Prints the path of each final, and of each
    --preset's file. White packshots alone need no answer: they are made of orders that are merely prepared.
    """
    shelving = Shelving(finish, output, console)
    swept: dict[tuple[Path, Path], set[str]] = {}
    found = [each for place in orders_ for each in selection.select_finishable(place, console.damaged)]

    def work(photo: tuple[Path, Origin]) -> None:
        folder, origin = photo
        order, target = None, out or out_of(folder)
        try:
            order = store.load_order(folder, origin=origin)
            with path_lock(target / origin.output):  # two photos may want one name: only one of them gets it
                if output.presets and states.read_state(folder) not in states.ANSWERED:
                    shelving.done(order, states.read_state(folder), target, final=None)
                else:
                    finishing.write(order, finish, replace(output, out=target), shelving, console)
                    if order.origin.variant:
                        swept.setdefault((out_of(folder), target), set()).add(order.origin.base)
        except PhotioError as error:
            console.refuse(origin.source, error, order, states.read_state(folder))

    with console.progress(len(found), "finish"):
        for (folder, origin), error in scheduler.map_ordered(found, work, threads=CORES):
            if error is not None:  # a bug: our own errors are printed already
                console.refuse(origin.source, error, None, states.read_state(folder))
    for places, bases in swept.items():
        keep.show(bases, *places, console, overwrite=output.overwrite)
    console.summary()
    return console.exit_code


def out_of(folder: Path) -> Path:
    """The output folder that an order lies in, named as its order was: absolute, or from where we stand."""
    out = folder.resolve().parent.parent
    return out if folder.is_absolute() else Path(os.path.relpath(out))
