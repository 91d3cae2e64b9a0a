"""run: photos in, finals out, in one go."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from photio_prep import finals, pay, settings, storage
from photio_prep.again import PaidBefore
from photio_prep.cli import choosing, options, reporting, sweeping
from photio_prep.cli import paying as paying_
from photio_prep.cli.orders import refuse_stopped, split
from photio_prep.cli.preparing import prepared
from photio_prep.cli.talk import Talk
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
@options.paying
@choosing.engine
@options.talking
def run(inputs_: tuple[str, ...], out: Path, format_: str | None, overwrite: bool, jobs: int, **given: Any) -> int:  # noqa: ANN401
    """PAYS: from photos to finals: prepare, generate and finish in a row.

    INPUT is a photo, a folder (its tree is kept), a quoted pattern, an http(s) URL, a job table (.csv, .jsonl), a list
    (.txt), or - for standard input. Running the same command again pays for nothing twice and finishes what is left.
    Prints the path of each final.
    """
    talk, words, rest = split(given)
    paying = {name: rest.pop(name) for name in paying_.OPTIONS}
    again, metadata, level = rest.pop("again"), rest.pop("metadata"), settings.gate(rest.pop("gate"))
    engine, to = {name: rest.pop(name) for name in ("engine", "ray_address", "workers")}, rest.pop("to")
    if to and engine["engine"] != "local":
        raise UsageError("--to is for this machine", "Leave --engine out, and run `finish --to` afterwards")
    reporting.begin(talk, "run", paying["price"])
    choice = choosing.Choice(
        inputs_,
        out,
        talk,
        rest,
        format_=format_,
        description=words["description"],
        paying=paying,
        engine=engine["engine"],
    )
    if engine["engine"] == "ray":
        from photio_prep.cli import clustering

        how: dict[str, Any] = {"format_": format_, "overwrite": overwrite, "metadata": metadata}
        wished = clustering.plan(out, words, rest, talk, level=level, again=again, **how)
        clustering.run(choice.items, out, wished, paying, talk, jobs=jobs, **engine)
        return reporting.close(talk, out, choice.items)
    paid_before = PaidBefore(out / "orders")
    with paying_.client(paying, talk) as till:
        choice.quote(paid_before, words, till)

        done: list[Path] = []

        def whole(order: Order) -> None:
            pay.pay(order, till)
            path = finals.write_final(order, out, format_=format_, overwrite=overwrite, metadata=metadata)
            if to:
                storage.put(to, path.relative_to(out).as_posix(), path.read_bytes(), overwrite=overwrite)
            talk.done(order, State.FINISHED, final=path)
            done.append(path)

        for items in choice.batches(lambda: till.closed is not None):
            made = prepared(items, out, talk, endpoint=till.endpoint, words=words, cutting={**rest}, total=len(items))
            free = _reserved(
                choice.spread(made),
                out,
                talk,
                None if again else paid_before,
                level,
                format_=format_,
                overwrite=overwrite,
            )
            paying_.each(free, whole, till, talk, jobs, total=len(items) * choice.seeds)
    sweeping.show(done, talk)
    return reporting.close(talk, out, choice.items)


def _reserved(
    made: Iterable[Order],
    out: Path,
    talk: Talk,
    paid_before: PaidBefore | None,
    level: Level,
    *,
    format_: str | None,
    overwrite: bool,
) -> Iterator[Order]:
    """Those orders that may be paid for: nothing in the way of their finals, not paid for before, not stopped."""
    taken: dict[Path, str] = {}
    for order in made:
        try:
            target = finals.final_path(order, out, format_)
            if target in taken:
                found = f"its final {target} is that of {taken[target]} too"
                raise OutputExists(found, "Rename one, or finish it with another --out")
            finals.refuse_if_in_the_way(order, target, overwrite=overwrite)
            if paid_before:
                paid_before.refuse(order)
            refuse_stopped(order, level)
            if paid_before and paid_before.changed(order):
                talk.changed(order)
        except PhotioError as error:
            talk.refused(order.origin.source, error, order, State.PLANNED)
            continue
        taken[target] = order.origin.source
        yield order
