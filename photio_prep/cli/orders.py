"""prepare, generate, finish, run: the verbs that make and carry on orders."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from photio_prep import finals, flow, inputs, orders, pay, settings
from photio_prep.again import PaidBefore
from photio_prep.cli import options
from photio_prep.cli import paying as paying_
from photio_prep.cli.talk import Talk
from photio_prep.curl import curl
from photio_prep.errors import OutputExists, PhotioError, PhotoRefused, UsageError
from photio_prep.files import read_input
from photio_prep.geometry import named
from photio_prep.orders import Order, State
from photio_prep.stages.request import checked_seed, doubts


@click.command()
@click.argument("inputs_", metavar="INPUT...", nargs=-1, required=True)
@options.words
@options.cutting
@options.out
@click.option("--api-url", default=None, metavar="URL", help="Who will be asked; part of the order's key.")
@options.talking
def prepare(inputs_: tuple[str, ...], out: Path, api_url: str | None, **given: Any) -> int:  # noqa: ANN401
    """Dry run: one order per photo, with the exact PNG that would be sent. Free, no network, no key.

    INPUT is a photo, a folder (its tree is kept), an http(s) URL, or - for standard input. Prints each order's folder.
    """
    talk, words, cutting = _split(given)
    endpoint = options.endpoint(sandbox=False, api_url=api_url)
    for order in _prepared(inputs_, out, talk, endpoint=endpoint, words=words, cutting=cutting):
        folder = orders.followed(order.folder) if order.folder else None
        talk.done(order, orders.state(folder) if folder else State.PLANNED, result=order.folder)
    talk.summary()
    return talk.exit_code


@click.command()
@click.argument("orders_", metavar="ORDER...", nargs=-1, required=True, type=click.Path(path_type=Path))
@options.words
@options.paying
@click.option("--print-curl", is_flag=True, help="Print each call as a curl command; send nothing.")
@options.talking
def generate(orders_: tuple[Path, ...], print_curl: bool, jobs: int, **given: Any) -> int:  # noqa: ANN401
    """PAYS: send the planned bytes of orders that are not answered yet; keep the raw answers.

    ORDER is a folder below orders/, or an output folder for all of them. With other words, or with --sandbox, an order
    goes on as another order beside it. Prints the folder of each answered order.
    """
    talk, words, paying = _split(given)
    again = paying.pop("again")
    described = words["description"] is not None
    found = [each for place in orders_ for each in _payable(place, described=described, sandbox=paying["sandbox"])]
    if print_curl:
        for folder in found:
            url = options.endpoint(sandbox=False, api_url=paying["api_url"])
            talk.out(curl(flow.revise(orders.read(folder), endpoint=url, **words), url))
        return talk.exit_code
    with paying_.client(paying, talk) as till:
        planned = list(_planned(found, words, till.endpoint, talk, again=again))
        new = [each for each in planned if each.folder and orders.state(each.folder) in paying_.SENDABLE]
        paying_.quote(len(new), len(planned) - len(new), paying, talk, till)

        def paid(order: Order) -> None:
            state = orders.state(order.folder) if order.folder else State.PLANNED
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
def finish(orders_: tuple[Path, ...], out: Path | None, format_: str | None, overwrite: bool, **given: Any) -> int:  # noqa: ANN401
    """From the kept answers: crop back to the photo's size and write the finals. Free, offline, repeatable for ever.

    ORDER is a folder below orders/, or an output folder for all of them. Prints the path of each final.
    """
    talk, _, rest = _split(given)
    found = list(dict.fromkeys(orders.followed(each) for named in orders_ for each in _folders(named)))
    with talk.progress(found, len(found), "finish") as counted:
        for folder in counted:
            try:
                for origin in orders.origins(folder):
                    order = orders.read(folder, origin=origin)
                    target = out or _out_of(folder)
                    path = finals.write_final(order, target, format_=format_, overwrite=overwrite, **rest)
                    talk.done(order, State.FINISHED, final=path)
            except PhotioError as error:
                talk.refused(str(folder), error)
    talk.summary()
    return talk.exit_code


@click.command()
@click.argument("inputs_", metavar="INPUT...", nargs=-1, required=True)
@options.words
@options.cutting
@options.out
@options.finals
@options.paying
@options.talking
def run(inputs_: tuple[str, ...], out: Path, format_: str | None, overwrite: bool, jobs: int, **given: Any) -> int:  # noqa: ANN401
    """PAYS: from photos to finals: prepare, generate and finish in a row.

    INPUT is a photo, a folder (its tree is kept), an http(s) URL, or - for standard input. Running the same command
    again pays for nothing twice and finishes what is left. Prints the path of each final.
    """
    talk, words, rest = _split(given)
    if not (words["description"] or "").strip():
        raise UsageError("run needs a scene description", 'Give -d "on a marble table, soft morning light"')
    paying = {name: rest.pop(name) for name in paying_.OPTIONS}
    again, metadata = rest.pop("again"), rest.pop("metadata")
    if "-" in inputs_ and paying["key_stdin"]:
        raise UsageError(
            "both the photo and the key would come from standard input", "Use --key-file or PHOTIO_API_KEY"
        )
    items = list(inputs.expand(inputs_, out, format_, passed_over=talk.passed_over))
    paid_before = PaidBefore(out / "orders")
    with paying_.client(paying, talk) as till:
        # A photo that changed meanwhile is a new call after all; without a yes the till lets no more than 25 through.
        known = paid_before.answered([item.name for item in items], words["description"].strip(), till.endpoint)
        paying_.quote(len(items) - known, known, paying, talk, till, at_most=True)
        taken: dict[Path, str] = {}

        def reserved() -> Iterator[Order]:
            for order in _prepared(
                items, out, talk, endpoint=till.endpoint, words=words, cutting=rest, total=len(items)
            ):
                try:
                    target = finals.final_path(order, out, format_)
                    if target in taken:
                        found = f"its final {target} is that of {taken[target]} too"
                        raise OutputExists(found, "Rename one, or finish it with another --out")
                    finals.refuse_if_in_the_way(order, target, overwrite=overwrite)
                    if not again:
                        paid_before.refuse(order)
                except PhotioError as error:
                    talk.refused(order.origin.source, error, order, State.PLANNED)
                    continue
                taken[target] = order.origin.source
                yield order

        def whole(order: Order) -> None:
            pay.pay(order, till)
            path = finals.write_final(order, out, format_=format_, overwrite=overwrite, metadata=metadata)
            talk.done(order, State.FINISHED, final=path)

        paying_.each(reserved(), whole, till, talk, jobs, total=len(items))
    talk.summary()
    return talk.exit_code


def _split(given: dict[str, Any]) -> tuple[Talk, dict[str, Any], dict[str, Any]]:
    """The options of a verb: how to talk, the words of the request, the rest."""
    talk = Talk(**{name: given.pop(name) for name in ("as_json", "quiet", "verbose")})
    names = ("description", "negative_prompt", "append_negative", "seed")
    words = {name: given.pop(name, None) for name in names}
    if words["seed"] not in (None, -1):
        checked_seed(words["seed"])
    if given.get("size") is not None:
        given["size"] = named(given["size"])  # a mistake in it must not cost a cut-out first
    return talk, words, given


def _prepared(
    what: tuple[str, ...] | list[inputs.Item],
    out: Path,
    talk: Talk,
    *,
    endpoint: str,
    words: dict[str, Any],
    cutting: dict[str, Any],
    total: int | None = None,
) -> Iterator[Order]:
    """The order of each photo, on disk; refusals are told and counted."""
    from photio_prep.matters import matter_for

    pull, offline, family, model = (cutting.pop(name) for name in ("pull", "offline", "family", "model"))
    if pull:
        from photio_prep.cli.models import pulled

        pulled(model, talk, offline=offline)
    matter = matter_for(model, family)
    if isinstance(what, tuple):
        what = list(inputs.expand(what, out, passed_over=talk.passed_over))
    _writable(out)
    told = ""
    words = {**words, "description": words["description"] or ""}
    with talk.progress(what, total or len(what), "prepare") as counted:
        for item in counted:
            try:
                source = _bytes(item, offline=offline)
                order = flow.prepare(
                    source,
                    **words,
                    **cutting,
                    model=matter,
                    endpoint=endpoint,
                    orders=out / "orders",
                    name=item.name,
                    output=item.output,
                    limits=settings.limits(),
                )
            except PhotioError as error:
                if error.exit_code in (2, 7, 11):  # every other photo would meet the same
                    raise
                talk.refused(item.name, error)
                continue
            if order.model != told:
                talk.say(f"cut out with: {order.model}")
                told = order.model
            yield order


def _bytes(item: inputs.Item, *, offline: bool) -> bytes:
    """The bytes of an input; of one that was found in a folder only if it is no link by now."""
    limit = settings.limits().file_bytes
    if item.source is None:
        return sys.stdin.buffer.read(limit + 1)
    if isinstance(item.source, str):
        if offline:
            raise PhotoRefused("it would have to be fetched, and --offline forbids that", "Give a file")
        from photio_prep.fetch import fetch

        return fetch(item.source, limit=limit, ca_bundle=settings.ca_bundle())
    return read_input(item.source, limit, follow=item.follow)


def _writable(out: Path) -> None:
    """Find out now, and not after paying, that nothing can be written."""
    from photio_prep import files

    files.write_whole(out / "orders" / ".writable", b"")
    files.remove(out / "orders" / ".writable")
    files.sweep(out / "orders")


def _folders(place: Path) -> list[Path]:
    """The order folders that an ORDER names: itself, or those of an output folder."""
    found = orders.below(place)
    if not found:
        raise UsageError("no order lies there", "Name a folder below orders/, or an output folder", subject=str(place))
    return found


def _out_of(folder: Path) -> Path:
    """The output folder that an order lies in, named as its order was: absolute, or from where we stand."""
    out = folder.resolve().parent.parent
    return out if folder.is_absolute() else Path(os.path.relpath(out))


def _payable(place: Path, *, described: bool, sandbox: bool) -> list[Path]:
    """The orders that `generate` means by ORDER: one that is named; of an output folder those that it is about.

    There, orders of the sandbox are not paid for, and orders that went on as others are left alone: a folder that was
    rehearsed in must not be paid for once for each rehearsal.
    """
    found = _folders(place)
    if found == [place]:
        return found
    kept = [each for each in found if sandbox or not orders.is_sandbox(each)]
    return [each for each in kept if described or orders.followed(each) == each]


def _planned(found: list[Path], words: dict[str, Any], endpoint: str, talk: Talk, *, again: bool) -> Iterator[Order]:
    """The orders to pay for: with the words given now, for the one who is asked, each once."""
    for doubt in doubts(words["description"] or ""):
        talk.say(f"warning: {doubt}")
    seen = set()
    paid_before = {each: PaidBefore(each) for each in {folder.parent for folder in found}}
    for folder in found:
        try:
            order = flow.revise(orders.read(folder), endpoint=endpoint, **words)
            if not order.request.description:
                raise UsageError("it has no scene description, so nothing is sent", 'Give -d "on a marble table"')
            if order.folder and not again:
                paid_before[order.folder.parent].refuse(order)
        except PhotioError as error:
            talk.refused(str(folder), error)
            continue
        if order.key not in seen:
            seen.add(order.key)
            yield order
