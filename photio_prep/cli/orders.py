"""prepare, generate, finish: the verbs that make and carry on orders."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from photio_prep import finals, flow, gate, orders, pay, settings, states, storage, wanted
from photio_prep.again import PaidBefore
from photio_prep.cli import choosing, options, reporting, sweeping
from photio_prep.cli import paying as paying_
from photio_prep.cli.preparing import prepared
from photio_prep.cli.talk import Talk
from photio_prep.curl import curl
from photio_prep.errors import GateStopped, Interrupted, PhotioError, UsageError
from photio_prep.geometry import named
from photio_prep.orders import Order
from photio_prep.stages.request import checked_seed, doubts
from photio_prep.states import State
from photio_prep.verdict import Level


@click.command()
@click.argument("inputs_", metavar="INPUT...", nargs=-1, required=True)
@options.words
@options.cutting
@options.gating
@choosing.options
@options.out
@click.option("--api-url", default=None, metavar="URL", help="Who will be asked; part of the order's key.")
@options.talking
def prepare(inputs_: tuple[str, ...], out: Path, api_url: str | None, **given: Any) -> int:  # noqa: ANN401
    """Dry run: one order per photo, with the exact PNG that would be sent. Free, no network, no key.

    INPUT is a photo, a folder (its tree is kept), a quoted pattern, an http(s) URL, a job table (.csv, .jsonl), a list
    (.txt), or - for standard input. Prints each order's folder.
    """
    talk, words, cutting = split(given)
    endpoint = options.endpoint(sandbox=False, api_url=api_url)
    level = settings.gate(cutting.pop("gate"))
    reporting.begin(talk, "prepare")
    choice = choosing.Choice(inputs_, out, talk, cutting)
    try:
        for items in choice.batches():
            made = prepared(items, out, talk, endpoint=endpoint, words=words, cutting={**cutting})
            for order in choice.spread(made):
                folder = wanted.followed(order.folder) if order.folder else None
                talk.done(order, states.state(folder) if folder else State.PLANNED, result=order.folder, level=level)
    except KeyboardInterrupt:
        talk.codes.append(Interrupted.exit_code)
    return reporting.close(talk, out, choice.items)


@click.command()
@click.argument("orders_", metavar="ORDER...", nargs=-1, required=True, type=click.Path(path_type=Path))
@options.words
@options.gating
@options.paying
@click.option("--print-curl", is_flag=True, help="Print each call as a curl command; send nothing.")
@options.talking
def generate(orders_: tuple[Path, ...], print_curl: bool, jobs: int, **given: Any) -> int:  # noqa: ANN401
    """PAYS: send the planned bytes of orders that are not answered yet; keep the raw answers.

    ORDER is a folder below orders/, or an output folder for all of them. With other words, or with --sandbox, an order
    goes on as another order beside it. Prints the folder of each answered order.
    """
    talk, words, paying = split(given)
    again, level = paying.pop("again"), settings.gate(paying.pop("gate"))
    endpoint = options.endpoint(sandbox=paying["sandbox"], api_url=paying["api_url"])
    reporting.begin(talk, "generate", paying["price"])
    reworded = {
        "described": words["description"] is not None,
        "reworded": any(each is not None for each in words.values()),
    }
    found = [each for place in orders_ for each in wanted.payable(place, endpoint, **reworded)]
    if print_curl:
        if paying["sandbox"]:
            raise UsageError("--print-curl is for the real API", "Leave --sandbox out")
        _print_curl(found, words, endpoint, talk)
        return talk.exit_code
    with paying_.client(paying, talk) as till:
        planned = list(_planned(found, words, till.endpoint, talk, again=again, level=level))
        new = [each for each in planned if each.folder and states.state(each.folder) in paying_.SENDABLE]
        answered = sum(states.state(each.folder) in states.ANSWERED for each in planned if each.folder)
        paying_.quote(len(new), answered, paying, talk, till)

        def paid(order: Order) -> None:
            state = states.state(order.folder) if order.folder else State.PLANNED
            if state is not State.FINISHED:
                pay.pay(order, till)
                state = State.ANSWERED
            talk.done(order, state, result=order.folder)

        paying_.each(planned, paid, till, talk, jobs, total=len(planned))
    return reporting.close(talk, _out_of(found[0]) if found else None)


@click.command()
@click.argument("orders_", metavar="ORDER...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, file_okay=False), help="Where finals go. [where the orders lie]"
)
@options.to
@options.finals
@options.talking
def finish(orders_: tuple[Path, ...], out: Path | None, format_: str | None, overwrite: bool, **given: Any) -> int:  # noqa: ANN401
    """From the kept answers: crop back to the photo's size and write the finals. Free, offline, repeatable for ever.

    ORDER is a folder below orders/, or an output folder for all of them. Prints the path of each final.
    """
    talk, _, rest = split(given)
    metadata, to = rest["metadata"], rest["to"]
    found = [each for place in orders_ for each in wanted.finishable(place, talk.damaged)]
    done: list[Path] = []
    with talk.progress(found, len(found), "finish") as counted:
        for folder, origin in counted:
            order = None
            try:
                order = orders.read(folder, origin=origin)
                target = out or _out_of(folder)
                path = finals.write_final(order, target, format_=format_, overwrite=overwrite, metadata=metadata)
                if to:
                    storage.put(to, path.relative_to(target).as_posix(), path.read_bytes(), overwrite=overwrite)
                talk.done(order, State.FINISHED, final=path)
                done.append(path)
            except PhotioError as error:
                talk.refused(origin.source, error, order, states.state(folder))
    sweeping.show(done, talk)
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


def refuse_stopped(order: Order, level: Level) -> None:
    """Raise for an order that the gate stops, unless it is paid for already: then it costs nothing to go on."""
    if order.folder is None or states.state(order.folder) in paying_.SENDABLE:
        gate.refuse(order, level)


def _out_of(folder: Path) -> Path:
    """The output folder that an order lies in, named as its order was: absolute, or from where we stand."""
    out = folder.resolve().parent.parent
    return out if folder.is_absolute() else Path(os.path.relpath(out))


def _print_curl(found: list[Path], words: dict[str, Any], endpoint: str, talk: Talk) -> None:
    """Each call once as a curl command; nothing is sent or written."""
    told = set()
    for folder in found:
        try:
            old = orders.read(folder)
            order = flow.reworded(old, endpoint=endpoint, **words)
            if order.key not in told:
                talk.out(curl(order, endpoint, folder / "canvas.png"))
                told.add(order.key)
        except PhotioError as error:
            talk.refused(str(folder), error)


def _planned(
    found: list[Path], words: dict[str, Any], endpoint: str, talk: Talk, *, again: bool, level: Level
) -> Iterator[Order]:
    """The orders to pay for: with the words given now, for the one who is asked, each once."""
    for doubt in doubts(words["description"] or ""):
        talk.say(f"warning: {doubt}")
    seen = set()
    paid_before = {each: PaidBefore(each) for each in {folder.parent for folder in found}}
    for folder in found:
        try:
            old = orders.read(folder)
            order = flow.reworded(old, endpoint=endpoint, **words)
            if not order.request.description:
                raise UsageError("it has no scene description, so nothing is sent", 'Give -d "on a marble table"')
            if order is not old:
                order = wanted.succeed(old, order)
            if order.folder and not again:
                paid_before[order.folder.parent].refuse(order)
            refuse_stopped(order, level)
        except GateStopped as error:
            talk.refused(str(folder), error, order, State.PLANNED)
            continue
        except PhotioError as error:
            talk.refused(str(folder), error)
            continue
        if order.key not in seen:
            seen.add(order.key)
            yield order
