"""run: photos in, finals out, in one go."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from photio_prep import finals, pay, settings
from photio_prep.again import PaidBefore
from photio_prep.cli import choosing, finishing, options, reporting, sweeping
from photio_prep.cli import paying as paying_
from photio_prep.cli.orders import refuse_stopped, split
from photio_prep.cli.preparing import prepared
from photio_prep.cli.review import offer
from photio_prep.cli.shelving import Shelving, Wishes
from photio_prep.cli.talk import Talk
from photio_prep.data import Result
from photio_prep.errors import OutputExists, PhotioError, UsageError
from photio_prep.orders import Order
from photio_prep.states import State
from photio_prep.verdict import Level


@click.command()
@click.argument("inputs_", metavar="INPUT...", nargs=-1, required=True)
@options.words
@options.cutting
@options.gating
@choosing.options
@options.out
@options.to
@options.finals
@options.shelf
@options.paying
@choosing.engine
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
    choice = choosing.Choice(
        inputs_,
        out,
        talk,
        rest,
        format_=wished.format_,
        description=words["description"],
        paying=paying,
        engine=engine["engine"],
    )
    shelving.choose(choice.items)
    if engine["engine"] == "ray":
        from photio_prep.cli import clustering

        plan = clustering.plan(out, words, rest, wished, shelving, talk, level=level, again=again, overwrite=overwrite)

        def told(order: Order, path: Path) -> None:
            finishing.put(path, out, to, overwrite=overwrite)
            finishing.tell(order, path, out, wished, shelving, talk)

        with reporting.kept(talk):
            clustering.run(choice.items, out, plan, paying, talk, told, jobs=jobs, **engine)
        offer(out, talk)
        return reporting.close(talk, out, choice.items)
    paid_before = PaidBefore(out / "orders")
    with paying_.client(paying, talk) as till:
        choice.quote(paid_before, words, till)

        swept: dict[Path, str] = {}

        def call(order: Order) -> Result:
            with till.turns.turn():
                result = pay.pay(order, till)
            paid_before.note(order)
            return result

        def finish(order: Order, result: Result) -> None:
            path = finishing.write(order, out, wished, shelving, talk, overwrite=overwrite, to=to, result=result)
            sweeping.note(swept, order, path, out)

        for items in choice.batches(lambda: till.closed is not None):
            with reporting.kept(talk), talk.progress(len(items) * choice.seeds, "run"):
                made = prepared(items, out, talk, endpoint=till.endpoint, words=words, cutting={**rest})
                known = None if again else paid_before
                free = _reserved(choice.spread(made), out, talk, known, level, wished, shelving, overwrite=overwrite)
                paying_.each(free, call, finish, till, talk, jobs, total=len(items) * choice.seeds)
    sweeping.show(swept, talk)
    offer(out, talk)
    return reporting.close(talk, out, choice.items, choice.seeds)


def _reserved(
    made: Iterable[Order],
    out: Path,
    talk: Talk,
    paid_before: PaidBefore | None,
    level: Level,
    wished: Wishes,
    shelving: Shelving,
    *,
    overwrite: bool,
) -> Iterator[Order]:
    """Those orders that may be paid for: nothing in the way of their finals, not paid for before, not stopped."""
    taken: dict[Path, str] = {}
    for order in made:
        try:
            if paid_before and paid_before.changed(order):
                talk.changed(order)
            target = finals.final_path(order, out, wished.format_)
            wished.finishing.fits(order.placement)
            if target in taken:
                found = f"its final {target} is that of {taken[target]} too"
                raise OutputExists(found, "Rename one, or finish it with another --out")
            finals.refuse_if_in_the_way(order, target, overwrite=overwrite)
            shelving.refuse_if_in_the_way(order, out)
            if paid_before:
                paid_before.refuse(order)
            refuse_stopped(order, level)
        except PhotioError as error:
            if isinstance(error, OutputExists) and error.subject:  # the file that lies there: of which photo?
                error.subject = f"{order.origin.source}: {error.subject}"
            talk.refused(order.origin.source, error, order, State.PLANNED)
            continue
        taken[target] = order.origin.source
        yield order
