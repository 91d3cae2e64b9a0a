"""run: photos in, finals out, in one go."""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click

from photio_prep import settings
from photio_prep.cli import finishing, inputs, keep, options, reporting
from photio_prep.cli import payment as paying_
from photio_prep.cli.console import Talk
from photio_prep.cli.finish import split
from photio_prep.cli.outputs import Shelving, Wishes
from photio_prep.cli.preparation import prepared
from photio_prep.cli.review import offer
from photio_prep.errors import OutputExists, UsageError, of_photo
from photio_prep.final import writer
from photio_prep.orders import index, payment, state
from photio_prep.orders import paid_before as again_
from photio_prep.orders.preflight import SENDABLE, Preflight
from photio_prep.orders.state import State
from photio_prep.orders.store import Order
from photio_prep.types import Result


@click.command()
@click.argument("inputs_", metavar="INPUT...", nargs=-1, required=True)
@options.words
@options.cutting
@options.gating
@inputs.options
@options.out
@options.to
@options.finals
@options.shelf
@options.paying
@inputs.engine
@options.talking
def run(inputs_: tuple[str, ...], out: Path, overwrite: bool, jobs: int, **given: Any) -> int:  # noqa: ANN401
    """PAYS: from photos to finals: prepare, generate and finish in a row.

    INPUT is a photo, a folder (its tree is kept), a quoted pattern, an http(s) URL, a job table (.csv, .jsonl), a list
    (.txt), or - for standard input. Running the same command again pays for nothing twice and finishes what is left.
    Prints the path of each final.
    """
    talk, words, rest = split(given)
    paying = {name: rest.pop(name) for name in paying_.OPTIONS}
    again, wished, level = rest.pop("again"), finishing.wishes(rest), settings.gate(rest.pop("gate"))
    shelving = Shelving(rest, talk, wished, overwrite=overwrite)
    engine, to = {name: rest.pop(name) for name in ("engine", "ray_address", "workers")}, rest.pop("to")
    if wished.segment and engine["engine"] != "local":
        raise UsageError("--segment is for this machine", "Leave --engine out, and give it to `finish`")
    reporting.begin(talk, "run", paying["price"])
    choice = inputs.Choice(
        inputs_,
        out,
        talk,
        rest,
        format_=wished.format_,
        description=words["description"],
        paying=paying,
        engine=engine["engine"],
    )
    reporting.refuse_foreign(out, choice.items, choice.seeds, overwrite=overwrite)
    shelving.choose(choice.items)
    if engine["engine"] == "ray":
        from photio_prep.cli import ray

        plan = ray.plan(out, words, rest, wished, shelving, talk, level=level, again=again, overwrite=overwrite)

        def told(order: Order, path: Path) -> None:
            finishing.put(path, out, to, overwrite=overwrite)
            finishing.tell(order, path, out, wished, shelving, talk)

        with reporting.kept(talk):
            ray.run(choice.items, out, plan, paying, talk, told, jobs=jobs, **engine)
        offer(out, talk, overwrite=overwrite)
        return reporting.close(talk, out, choice.items, overwrite=overwrite)
    preflight = Preflight(level, pay_again=again)
    with paying_.client(paying, talk) as till:
        choice.quote(words, till)

        swept: set[str] = set()

        def call(order: Order) -> Result:
            return payment.pay(order, till, preflight)

        def finish(order: Order, result: Result) -> None:
            finishing.write(order, out, wished, shelving, talk, overwrite=overwrite, to=to, result=result)
            if order.origin.variant:
                swept.add(order.origin.base)

        for items in choice.batches(lambda: till.closed is not None):
            with reporting.kept(talk), talk.progress(len(items) * choice.seeds, "run"):
                ready = partial(prepared, endpoint=till.endpoint, words=words, variants=choice.seeds > 1)
                made = ready(items, out, talk, cutting={**rest})
                free = _reserved(choice.spread(made), out, talk, preflight, wished, shelving, overwrite=overwrite)
                paying_.each(free, call, finish, till, talk, jobs, total=len(items) * choice.seeds)
    keep.show(swept, out, out, talk, overwrite=overwrite)
    offer(out, talk, overwrite=overwrite)
    return reporting.close(talk, out, choice.items, choice.seeds, overwrite=overwrite)


def _reserved(
    made: Iterable[Order],
    out: Path,
    talk: Talk,
    preflight: Preflight,
    wished: Wishes,
    shelving: Shelving,
    *,
    overwrite: bool,
) -> Iterator[Order]:
    """Those orders that may be paid for: nothing in the way of their finals, and the preflight lets them pass."""
    taken: dict[Path, str] = {}

    def check(order: Order) -> Path:
        if order.folder and not preflight.pay_again and again_.is_changed(order, index.of(order.folder.parent)):
            talk.changed(order)
        target = writer.final_path(order, out, wished.format_)
        wished.finishing.fits(order.placement)
        if target in taken:
            found = f"its final {target} is that of {taken[target]} too"
            raise OutputExists(found, "Rename one, or finish it with another --out")
        # What is answered already costs nothing: its final is compared when it is made, byte for byte.
        if order.folder is None or state.state(order.folder) in SENDABLE:
            writer.refuse_if_in_the_way(order, target, overwrite=overwrite)
            shelving.refuse_if_in_the_way(order, out)
        preflight.check(order)
        return target

    for order in made:
        try:
            taken[check(order)] = order.origin.source
        except Exception as raised:  # noqa: BLE001  a bug with one photo is its own
            error = of_photo(raised)
            if isinstance(error, OutputExists) and error.subject:  # the file that lies there: of which photo?
                error.subject = f"{order.origin.source}: {error.subject}"
            talk.refused(order.origin.source, error, order, State.PLANNED)
        else:
            yield order
