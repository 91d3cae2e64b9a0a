"""prepare, finish: the verbs that make orders and finals."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import click

from photio_prep import settings
from photio_prep.api.request import checked_seed
from photio_prep.batch import scheduler
from photio_prep.cli import client, finishing, inputs, keep, options, reporting
from photio_prep.cli.console import Talk
from photio_prep.cli.outputs import Shelving
from photio_prep.cli.preparation import prepared
from photio_prep.cli.review import offer
from photio_prep.errors import Interrupted, PhotioError, UsageError
from photio_prep.geometry import named
from photio_prep.orders import selection, store
from photio_prep.orders import state as states
from photio_prep.orders.origin import Origin
from photio_prep.orders.state import State
from photio_prep.system.parallel import CORES, alone


@click.command()
@click.argument("inputs_", metavar="INPUT...", nargs=-1, required=True)
@options.words
@options.cutting
@options.gating
@inputs.options
@options.out
@options.replacing
@click.option("--api-url", default=None, metavar="URL", help="Who will be asked; part of the order's key.")
@options.talking
def prepare(inputs_: tuple[str, ...], out: Path, overwrite: bool, api_url: str | None, **given: Any) -> int:  # noqa: ANN401
    """Dry run: one order per photo, with the exact PNG that would be sent. Free, no network, no key.

    INPUT is a photo, a folder (its tree is kept), a quoted pattern, an http(s) URL, a job table (.csv, .jsonl), a list
    (.txt), or - for standard input. Prints each order's folder.
    """
    talk, words, cutting = split(given)
    endpoint = client.endpoint(sandbox=False, api_url=api_url)
    level = settings.gate(cutting.pop("gate"))
    reporting.begin(talk, "prepare")
    choice = inputs.Choice(inputs_, out, talk, cutting)
    reporting.refuse_foreign(out, choice.items, overwrite=overwrite)
    try:
        for items in choice.batches():
            with reporting.kept(talk), talk.progress(len(items) * choice.seeds, "prepare"):
                ready = partial(prepared, endpoint=endpoint, words=words, variants=choice.seeds > 1)
                made = ready(items, out, talk, cutting={**cutting})
                for order in choice.spread(made):
                    folder = selection.followed(order.folder) if order.folder else None
                    state = states.state(folder) if folder else State.PLANNED
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
@options.to
@options.finals
@options.shelf
@options.talking
def finish(orders_: tuple[Path, ...], out: Path | None, overwrite: bool, **given: Any) -> int:  # noqa: ANN401
    """From the kept answers: crop back, put the photo's own product in, write the finals. Free, offline.

    ORDER is a folder below orders/, or an output folder for all of them. Prints the path of each final, and of each
    --preset's file. White packshots alone need no answer: they are made of orders that are merely prepared.
    """
    talk, _, rest = split(given)
    wished, to = finishing.wishes(rest), rest.pop("to")
    shelving = Shelving(rest, talk, wished, overwrite=overwrite)
    swept: dict[tuple[Path, Path], set[str]] = {}
    found = [each for place in orders_ for each in selection.finishable(place, talk.damaged)]

    def work(photo: tuple[Path, Origin]) -> None:
        folder, origin = photo
        order, target = None, out or out_of(folder)
        try:
            order = store.read(folder, origin=origin)
            with alone(target / origin.output):  # two photos may want one name: only one of them gets it
                if shelving.wanted and states.state(folder) not in states.ANSWERED:
                    shelving.done(order, states.state(folder), target, final=None)
                else:
                    finishing.write(order, target, wished, shelving, talk, overwrite=overwrite, to=to)
                    if order.origin.variant:
                        swept.setdefault((out_of(folder), target), set()).add(order.origin.base)
        except PhotioError as error:
            talk.refused(origin.source, error, order, states.state(folder))

    with talk.progress(len(found), "finish"):
        for (folder, origin), error in scheduler.in_order(found, work, threads=CORES):
            if error is not None:  # a bug: ours are told already
                talk.refused(origin.source, error, None, states.state(folder))
    for places, bases in swept.items():
        keep.show(bases, *places, talk, overwrite=overwrite)
    talk.summary()
    return talk.exit_code


def split(given: dict[str, Any]) -> tuple[Talk, dict[str, Any], dict[str, Any]]:
    """The options of a verb: how to talk, the words of the request, the rest."""
    talk = Talk(**{name: given.pop(name) for name in ("as_json", "quiet", "verbose")})
    names = ("description", "negative_prompt", "append_negative", "seed")
    words = {name: given.pop(name, None) for name in names}
    if words["description"] is not None and not words["description"].strip():
        raise UsageError("the scene description is empty", 'Give -d "on a marble table, soft morning light"')
    if words["negative_prompt"] is not None and words["append_negative"] is not None:
        raise UsageError("--negative-prompt and --append-negative exclude each other", "Give one of them")
    if words["seed"] not in (None, -1):
        checked_seed(words["seed"])
    if given.get("size") is not None:
        given["size"] = named(given["size"])  # a mistake in it must not cost a cut-out first
    return talk, words, given


def out_of(folder: Path) -> Path:
    """The output folder that an order lies in, named as its order was: absolute, or from where we stand."""
    out = folder.resolve().parent.parent
    return out if folder.is_absolute() else Path(os.path.relpath(out))
