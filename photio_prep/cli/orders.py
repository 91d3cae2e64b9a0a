"""prepare, finish, run: the verbs that make orders and finals."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from photio_prep import finals, gate, orders, pay, settings, states, wanted
from photio_prep.again import PaidBefore
from photio_prep.cli import choosing, clients, finishing, options, reporting
from photio_prep.cli import paying as paying_
from photio_prep.cli.preparing import prepared
from photio_prep.cli.review import offer
from photio_prep.cli.shelving import Shelving
from photio_prep.cli.talk import Talk
from photio_prep.errors import OutputExists, PhotioError, UsageError
from photio_prep.geometry import named
from photio_prep.orders import Order
from photio_prep.stages.request import checked_seed
from photio_prep.states import State
from photio_prep.verdict import Level


@click.command()
@click.argument("inputs_", metavar="INPUT...", nargs=-1, required=True)
@options.words
@options.cutting
@options.gating
@options.choosing
@options.out
@click.option("--api-url", default=None, metavar="URL", help="Who will be asked; part of the order's key.")
@options.talking
def prepare(inputs_: tuple[str, ...], out: Path, first: int | None, api_url: str | None, **given: Any) -> int:  # noqa: ANN401
    """Dry run: one order per photo, with the exact PNG that would be sent. Free, no network, no key.

    INPUT is a photo, a folder (its tree is kept), a quoted pattern, an http(s) URL, a job table (.csv, .jsonl), a list
    (.txt), or - for standard input. Prints each order's folder.
    """
    talk, words, cutting = split(given)
    endpoint = clients.endpoint(sandbox=False, api_url=api_url)
    level = settings.gate(cutting.pop("gate"))
    reporting.begin(talk, "prepare")
    items = choosing.chosen(inputs_, out, talk, first=first)
    with talk.progress(len(items), "prepare"):
        for order in prepared(items, out, talk, endpoint=endpoint, words=words, cutting=cutting):
            folder = wanted.followed(order.folder) if order.folder else None
            talk.done(order, states.state(folder) if folder else State.PLANNED, result=order.folder, level=level)
    offer(out, talk)
    return reporting.close(talk, out, items)


@click.command()
@click.argument("orders_", metavar="ORDER...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, file_okay=False), help="Where finals go. [where the orders lie]"
)
@options.finals
@options.shelf
@options.talking
def finish(orders_: tuple[Path, ...], out: Path | None, overwrite: bool, **given: Any) -> int:  # noqa: ANN401
    """From the kept answers: crop back, put the photo's own product in, write the finals. Free, offline.

    ORDER is a folder below orders/, or an output folder for all of them. Prints the path of each final, and of each
    --preset's file. White packshots alone need no answer: they are made of orders that are merely prepared.
    """
    talk, _, rest = split(given)
    wished = finishing.wishes(rest)
    shelving = Shelving(rest, talk, wished, overwrite=overwrite)
    found = [each for place in orders_ for each in wanted.finishable(place, talk.damaged)]
    with talk.progress(len(found), "finish"):
        for folder, origin in found:
            order = None
            try:
                order = orders.read(folder, origin=origin)
                target = out or out_of(folder)
                if shelving.wanted and states.state(folder) not in states.ANSWERED:
                    shelving.done(order, states.state(folder), target, final=None)
                else:
                    finishing.write(order, target, wished, shelving, talk, overwrite=overwrite)
            except PhotioError as error:
                talk.refused(origin.source, error, order, states.state(folder))
    talk.summary()
    return talk.exit_code


@click.command()
@click.argument("inputs_", metavar="INPUT...", nargs=-1, required=True)
@options.words
@options.cutting
@options.gating
@options.choosing
@options.out
@options.finals
@options.shelf
@options.paying
@options.talking
def run(
    inputs_: tuple[str, ...],
    out: Path,
    first: int | None,
    overwrite: bool,
    jobs: int,
    **given: Any,  # noqa: ANN401
) -> int:
    """PAYS: from photos to finals: prepare, generate and finish in a row.

    INPUT is a photo, a folder (its tree is kept), a quoted pattern, an http(s) URL, a job table (.csv, .jsonl), a list
    (.txt), or - for standard input. Running the same command
    again pays for nothing twice and finishes what is left. Prints the path of each final.
    """
    talk, words, rest = split(given)
    paying = {name: rest.pop(name) for name in paying_.OPTIONS}
    again, wished, level = rest.pop("again"), finishing.wishes(rest), settings.gate(rest.pop("gate"))
    shelving = Shelving(rest, talk, wished, overwrite=overwrite)
    if "-" in inputs_ and paying["key_stdin"]:
        raise UsageError(
            "both the photo and the key would come from standard input", "Use --key-file or PHOTIO_API_KEY"
        )
    reporting.begin(talk, "run", paying["price"])
    items = choosing.chosen(inputs_, out, talk, format_=wished.format_, first=first, description=words["description"])
    paid_before = PaidBefore(out / "orders")
    with paying_.client(paying, talk) as till:
        # By name only: a photo or an option that changed is a new call after all.
        asked = [(item.name, {**words, **item.wishes}["description"].strip()) for item in items]
        known = paid_before.answered(asked, till.endpoint)
        paying_.quote(len(items), known, paying, talk, till, at_most=True)
        taken: dict[Path, str] = {}

        def reserved() -> Iterator[Order]:
            for order in prepared(items, out, talk, endpoint=till.endpoint, words=words, cutting=rest):
                try:
                    target = finals.final_path(order, out, wished.format_)
                    wished.finishing.fits(order.placement)
                    if target in taken:
                        found = f"its final {target} is that of {taken[target]} too"
                        raise OutputExists(found, "Rename one, or finish it with another --out")
                    finals.refuse_if_in_the_way(order, target, overwrite=overwrite)
                    shelving.refuse_if_in_the_way(order, out)
                    if not again:
                        paid_before.refuse(order)
                    refuse_stopped(order, level)
                    if paid_before.changed(order):
                        talk.changed(order)
                except PhotioError as error:
                    talk.refused(order.origin.source, error, order, State.PLANNED)
                    continue
                taken[target] = order.origin.source
                yield order

        def whole(order: Order) -> None:
            pay.pay(order, till)
            finishing.write(order, out, wished, shelving, talk, overwrite=overwrite)

        with talk.progress(len(items), "run", paying["price"]):
            paying_.each(reserved(), whole, till, talk, jobs, total=len(items))
    offer(out, talk)
    return reporting.close(talk, out, items)


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


def refuse_stopped(order: Order, level: Level) -> None:
    """Raise for an order that the gate stops, unless it is paid for already: then it costs nothing to go on."""
    if order.folder is None or states.state(order.folder) in paying_.SENDABLE:
        gate.refuse(order, level)


def out_of(folder: Path) -> Path:
    """The output folder that an order lies in, named as its order was: absolute, or from where we stand."""
    out = folder.resolve().parent.parent
    return out if folder.is_absolute() else Path(os.path.relpath(out))
