"""prepare, finish: the verbs that make orders and finals."""

import os
from dataclasses import replace
from pathlib import Path

import click

from photio_prep import settings
from photio_prep.batch import scheduler
from photio_prep.cli import client, finishing, inputs, keep, options, preparation, reporting
from photio_prep.cli.console import Console
from photio_prep.cli.outputs import Shelving
from photio_prep.cli.review import offer
from photio_prep.cutout.models.registry import ModelOptions
from photio_prep.errors import Interrupted, PhotioError
from photio_prep.final.options import FinishOptions
from photio_prep.options import OutputOptions
from photio_prep.orders import selection, store
from photio_prep.orders import state as states
from photio_prep.orders.options import OrderPlace, PrepareOptions
from photio_prep.orders.origin import Origin
from photio_prep.orders.state import State
from photio_prep.system.parallel import CORES, path_lock


@click.command()
@click.argument("inputs_", metavar="INPUT...", nargs=-1, required=True)
@preparation.of_photo
@options.model
@options.gating
@inputs.options
@options.output(options.out, options.replacing)
@click.option("--api-url", default=None, metavar="URL", help="Who will be asked; part of the order's key.")
@options.talking
def prepare(
    inputs_: tuple[str, ...],
    options: PrepareOptions,
    model: ModelOptions,
    gate: str | None,
    choose: inputs.ChoiceOptions,
    output: OutputOptions,
    api_url: str | None,
    talk: Console,
) -> int:
    """Dry run: one order per photo, with the exact PNG that would be sent. Free, no network, no key.

    INPUT is a photo, a folder (its tree is kept), a quoted pattern, an http(s) URL, a job table (.csv, .jsonl), a list
    (.txt), or - for standard input. Prints each order's folder.
    """
    out, overwrite, level = output.out, output.overwrite, settings.gate(gate)
    endpoint = client.endpoint(sandbox=False, api_url=api_url)
    reporting.begin(talk, "prepare")
    choice = inputs.Choice(inputs_, out, talk, choose)
    reporting.refuse_foreign(out, choice.items, overwrite=overwrite)
    target = OrderPlace(endpoint, out / "orders", variants=choice.seeds > 1)
    try:
        for items in choice.batches():
            with reporting.kept(talk), talk.progress(len(items) * choice.seeds, "prepare"):
                for order in choice.spread(preparation.prepared(items, options, model, target, talk)):
                    folder = selection.resolve_successor(order.folder) if order.folder else None
                    state = states.read_state(folder) if folder else State.PLANNED
                    talk.done(order, state, result=order.folder, level=level)
    except KeyboardInterrupt:
        talk.codes.append(Interrupted.exit_code)
    offer(out, talk, overwrite=overwrite)
    return reporting.close(talk, out, choice.items, choice.seeds, overwrite=overwrite)


@click.command()
@click.argument("orders_", metavar="ORDER...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, file_okay=False), help="Where finals go. [where the orders lie]"
)
@options.finish
@options.output(options.to, options.written, options.shelf)
@options.talking
def finish(
    orders_: tuple[Path, ...], out: Path | None, finish: FinishOptions, output: OutputOptions, talk: Console
) -> int:
    """From the kept answers: crop back, put the photo's own product in, write the finals. Free, offline.

    ORDER is a folder below orders/, or an output folder for all of them. Prints the path of each final, and of each
    --preset's file. White packshots alone need no answer: they are made of orders that are merely prepared.
    """
    shelving = Shelving(finish, output, talk)
    swept: dict[tuple[Path, Path], set[str]] = {}
    found = [each for place in orders_ for each in selection.select_finishable(place, talk.damaged)]

    def work(photo: tuple[Path, Origin]) -> None:
        folder, origin = photo
        order, target = None, out or out_of(folder)
        try:
            order = store.load_order(folder, origin=origin)
            with path_lock(target / origin.output):  # two photos may want one name: only one of them gets it
                if output.presets and states.read_state(folder) not in states.ANSWERED:
                    shelving.done(order, states.read_state(folder), target, final=None)
                else:
                    finishing.write(order, finish, replace(output, out=target), shelving, talk)
                    if order.origin.variant:
                        swept.setdefault((out_of(folder), target), set()).add(order.origin.base)
        except PhotioError as error:
            talk.refused(origin.source, error, order, states.read_state(folder))

    with talk.progress(len(found), "finish"):
        for (folder, origin), error in scheduler.map_ordered(found, work, threads=CORES):
            if error is not None:  # a bug: ours are told already
                talk.refused(origin.source, error, None, states.read_state(folder))
    for places, bases in swept.items():
        keep.show(bases, *places, talk, overwrite=output.overwrite)
    talk.summary()
    return talk.exit_code


def out_of(folder: Path) -> Path:
    """The output folder that an order lies in, named as its order was: absolute, or from where we stand."""
    out = folder.resolve().parent.parent
    return out if folder.is_absolute() else Path(os.path.relpath(out))
