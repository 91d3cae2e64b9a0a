"""prepare, generate, finish, run: the verbs that make and carry on orders."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from photio_prep import finals, flow, gate, inputs, orders, pay, settings, states, wanted
from photio_prep.again import PaidBefore
from photio_prep.cli import finishing, options
from photio_prep.cli import paying as paying_
from photio_prep.cli.preparing import prepared
from photio_prep.cli.talk import Talk
from photio_prep.curl import curl
from photio_prep.errors import GateStopped, OutputExists, PhotioError, UsageError
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
@options.out
@click.option("--api-url", default=None, metavar="URL", help="Who will be asked; part of the order's key.")
@options.talking
def prepare(inputs_: tuple[str, ...], out: Path, api_url: str | None, **given: Any) -> int:  # noqa: ANN401
    """Dry run: one order per photo, with the exact PNG that would be sent. Free, no network, no key.

    INPUT is a photo, a folder (its tree is kept), an http(s) URL, or - for standard input. Prints each order's folder.
    """
    talk, words, cutting = _split(given)
    endpoint = options.endpoint(sandbox=False, api_url=api_url)
    level = settings.gate(cutting.pop("gate"))
    for order in prepared(inputs_, out, talk, endpoint=endpoint, words=words, cutting=cutting):
        folder = wanted.followed(order.folder) if order.folder else None
        talk.done(order, states.state(folder) if folder else State.PLANNED, result=order.folder, level=level)
    talk.summary()
    return talk.exit_code


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
    talk, words, paying = _split(given)
    again, level = paying.pop("again"), settings.gate(paying.pop("gate"))
    endpoint = options.endpoint(sandbox=paying["sandbox"], api_url=paying["api_url"])
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
    talk.summary()
    return talk.exit_code


@click.command()
@click.argument("orders_", metavar="ORDER...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, file_okay=False), help="Where finals go. [where the orders lie]"
)
@options.finals
@options.talking
def finish(orders_: tuple[Path, ...], out: Path | None, overwrite: bool, **given: Any) -> int:  # noqa: ANN401
    """From the kept answers: crop back, put the photo's own product in, write the finals. Free, offline.

    ORDER is a folder below orders/, or an output folder for all of them. Prints the path of each final.
    """
    talk, _, rest = _split(given)
    wished = finishing.wishes(rest)
    found = [each for place in orders_ for each in wanted.finishable(place, talk.damaged)]
    with talk.progress(found, len(found), "finish") as counted:
        for folder, origin in counted:
            order = None
            try:
                order = orders.read(folder, origin=origin)
                finishing.write(order, out or _out_of(folder), wished, talk, overwrite=overwrite)
            except PhotioError as error:
                talk.refused(origin.source, error, order, states.state(folder))
    talk.summary()
    return talk.exit_code


@click.command()
@click.argument("inputs_", metavar="INPUT...", nargs=-1, required=True)
@options.words
@options.cutting
@options.gating
@options.out
@options.finals
@options.paying
@options.talking
def run(inputs_: tuple[str, ...], out: Path, overwrite: bool, jobs: int, **given: Any) -> int:  # noqa: ANN401
    """PAYS: from photos to finals: prepare, generate and finish in a row.

    INPUT is a photo, a folder (its tree is kept), an http(s) URL, or - for standard input. Running the same command
    again pays for nothing twice and finishes what is left. Prints the path of each final.
    """
    talk, words, rest = _split(given)
    if not (words["description"] or "").strip():
        raise UsageError("run needs a scene description", 'Give -d "on a marble table, soft morning light"')
    paying = {name: rest.pop(name) for name in paying_.OPTIONS}
    again, wished, level = rest.pop("again"), finishing.wishes(rest), settings.gate(rest.pop("gate"))
    if "-" in inputs_ and paying["key_stdin"]:
        raise UsageError(
            "both the photo and the key would come from standard input", "Use --key-file or PHOTIO_API_KEY"
        )
    items = list(inputs.expand(inputs_, out, wished.format_, passed_over=talk.passed_over))
    paid_before = PaidBefore(out / "orders")
    with paying_.client(paying, talk) as till:
        # By name only: a photo or an option that changed is a new call after all.
        known = paid_before.answered([item.name for item in items], words["description"].strip(), till.endpoint)
        paying_.quote(len(items), known, paying, talk, till, at_most=True)
        taken: dict[Path, str] = {}

        def reserved() -> Iterator[Order]:
            for order in prepared(
                items, out, talk, endpoint=till.endpoint, words=words, cutting=rest, total=len(items)
            ):
                try:
                    target = finals.final_path(order, out, wished.format_)
                    wished.finishing.fits(order.placement)
                    if target in taken:
                        found = f"its final {target} is that of {taken[target]} too"
                        raise OutputExists(found, "Rename one, or finish it with another --out")
                    finals.refuse_if_in_the_way(order, target, overwrite=overwrite)
                    if not again:
                        paid_before.refuse(order)
                    _refuse_stopped(order, level)
                except PhotioError as error:
                    talk.refused(order.origin.source, error, order, State.PLANNED)
                    continue
                taken[target] = order.origin.source
                yield order

        def whole(order: Order) -> None:
            pay.pay(order, till)
            finishing.write(order, out, wished, talk, overwrite=overwrite)

        paying_.each(reserved(), whole, till, talk, jobs, total=len(items))
    talk.summary()
    return talk.exit_code


def _split(given: dict[str, Any]) -> tuple[Talk, dict[str, Any], dict[str, Any]]:
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


def _refuse_stopped(order: Order, level: Level) -> None:
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
            _refuse_stopped(order, level)
        except GateStopped as error:
            talk.refused(str(folder), error, order, State.PLANNED)
            continue
        except PhotioError as error:
            talk.refused(str(folder), error)
            continue
        if order.key not in seen:
            seen.add(order.key)
            yield order
