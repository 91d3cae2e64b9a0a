"""run --engine ray: the same command on the workers of Ray Data."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from photio_prep.api import credentials
from photio_prep.api.client import checked_url
from photio_prep.api.spending_guard import Till
from photio_prep.batch import ray_driver
from photio_prep.batch.ray_budget import Nobody
from photio_prep.batch.ray_worker import Plan
from photio_prep.cli import options
from photio_prep.cli import payment as paying_
from photio_prep.cli.console import Talk
from photio_prep.cli.models import pulled, tell_licence
from photio_prep.cli.outputs import Shelving, Wishes
from photio_prep.cli.signals import heard
from photio_prep.cutout.models.registry import get_model
from photio_prep.cutout.options import CutoutOptions
from photio_prep.errors import BudgetReached, Interrupted, PhotioError, StorageFailed, UsageError, of_photo
from photio_prep.intake.item import Item
from photio_prep.orders import index, paid_before
from photio_prep.orders.store import Order


def plan(
    out: Path,
    words: dict[str, Any],
    cutting: dict[str, Any],
    wished: Wishes,
    shelving: Shelving,
    talk: Talk,
    **rest: Any,  # noqa: ANN401
) -> Plan:
    """What the workers are told, by the options of `run`.

    Raises:
        UsageError: A model that there is not, or whose licence has to be accepted first; an option for one machine.
    """
    if cutting.pop("points") or cutting.pop("others") or cutting.pop("box"):
        raise UsageError("--point and --box are for this machine", "Leave --engine out")
    named = {name: cutting.pop(name) for name in ("model", "family", "device", "accepted")}
    pull, offline, twice = (cutting.pop(name) for name in ("pull", "offline", "second_opinion"))
    framing = options.framed(cutting)
    wishes = {name: cutting.pop(name) for name in ("refine", "holes", "feather")}
    cut = CutoutOptions(grow=cutting.pop("grow") - cutting.pop("shrink"), **wishes)
    if pull:
        pulled(named["model"], talk, offline=offline, accepted=named["accepted"])
    get_model(named["model"], named["family"], device=named["device"], accepted=named["accepted"])  # refused here, once
    if not pull and not named["family"]:
        tell_licence(named["model"], talk)
    if cutting["mask"] is not None:
        cutting["mask"] = cutting["mask"].absolute()
    told = {**words, "description": words["description"] or "", **cutting, **framing}
    ends: dict[str, Any] = {"format_": wished.format_, "metadata": wished.metadata, "finishing": wished.finishing}
    photos = wished.photos.absolute() if wished.photos else None
    ends |= {
        "photos": photos,
        "provenance": shelving.provenance,
        "presets": shelving.presets,
    }
    return Plan(out.absolute(), told, cut, **named, second=twice, offline=offline, **ends, **rest)


def run(
    items: list[Item],
    out: Path,
    wished: Plan,
    paying: dict[str, Any],
    talk: Talk,
    finished: Callable[[Order, Path], None],
    *,
    jobs: int,
    engine: str,  # noqa: ARG001  it is this one
    ray_address: str | None,
    workers: int,
) -> None:
    """Prepare, pay and finish `items` on the workers; each photo is told as it ends.

    Raises:
        UsageError: The key, or the stand-in, would not reach the workers.
    """
    if paying["key_stdin"]:
        raise UsageError("a key from standard input reaches no worker", "Use --key-file or PHOTIO_API_KEY")
    if paying["sandbox"] and ray_address is not None:
        raise UsageError("the stand-in runs on this machine, where no cluster reaches it", "Leave --ray-address out")
    with _asked(paying, wished) as asked:
        if not asked.sandbox:
            checked_url(asked.endpoint)
            if ray_address is None:  # elsewhere, only the workers know it
                credentials.key(asked.key_file, from_keyring=asked.keyring)
        till = Till(Nobody(asked.endpoint), paying["max_calls"])
        names = [(item.name, {**asked.wishes, **item.wishes}["description"].strip()) for item in items]
        known = paid_before.count_answered(names, asked.endpoint, index.of(asked.out / "orders").refresh())
        paying_.quote(len(items), known, paying, talk, till, at_most=True)
        why = None
        if till.left != paying["max_calls"]:
            why = BudgetReached(f"more than {till.left} paid calls need a yes", "Give --yes")
        started = ray_driver.started(
            asked, address=ray_address, workers=workers, calls=jobs, max_calls=till.left, why=why
        )
        with talk.alone_on_stdout(), started as it:
            if talk.report:
                talk.report.count_by(it.billed)
            with _heard(it, talk), talk.progress(len(items), "run"):
                for ended in it.run(items):
                    _tell(ended, out, talk, finished, it.close)
            closed, calls = it.closed()
    if closed is not None:
        talk.codes.append(closed.exit_code)
        told = f"stopped ({closed.found}): {calls} of at most {len(items)} were sent."
        talk.say(f"{told} The rest stays planned; run the same again")


@contextmanager
def _asked(paying: dict[str, Any], wished: Plan) -> Iterator[Plan]:
    """The plan with who is asked, and where the key is kept; the stand-in runs as long as it is needed."""
    if not paying["sandbox"]:
        key_file = paying["key_file"].absolute() if paying["key_file"] else None
        yield replace(wished, api_url=paying["api_url"], key_file=key_file, keyring=paying["keyring"])
        return
    if paying["api_url"] is not None:
        raise UsageError("--sandbox and --api-url exclude each other", "Give one of them")
    from photio_prep.sandbox import Sandbox

    with Sandbox() as stand_in:
        yield replace(wished, sandbox=stand_in.url)


@contextmanager
def _heard(it: ray_driver.Cluster, talk: Talk) -> Iterator[None]:
    """Ctrl-C and SIGTERM mean: nothing new; a second time: at once."""

    def leave(number: int) -> None:
        code = 130 if number == signal.SIGINT else 143
        if code in talk.codes:
            os._exit(code)
        talk.codes.append(code)
        stopped = Interrupted("stopped by the user")
        stopped.exit_code = code
        talk.say("stopping: nothing new is sent, what is in flight is waited for; once more to leave at once")
        it.close(stopped)

    with heard(leave):
        yield


def _tell(
    ended: ray_driver.Ended,
    out: Path,
    talk: Talk,
    finished: Callable[[Order, Path], None],
    close: Callable[[PhotioError], None],
) -> None:
    """Tell a photo's end, its places named as the user named the output folder.

    What `finished` cannot do with it here is told like what went wrong on a worker; trouble with storage means `close`.
    """
    order, final, error = ended.order, ended.final, ended.error
    if order is not None and order.folder is not None:
        order = replace(order, folder=out / "orders" / order.folder.name)
    if final is not None:
        final = out / final.relative_to(out.absolute())
    for warning in ended.warnings:
        talk.say(warning)
    if ended.changed and order:
        talk.changed(order)
    if error is None and order is not None and final is not None:
        try:
            finished(order, final)
        except Exception as failed:  # noqa: BLE001  a bug too is this photo's own
            error = of_photo(failed)
            if isinstance(error, StorageFailed):
                close(error)
    if error is not None:
        if order is not None:
            error.subject = f"{ended.item.name}: {error.subject or order.folder}"
        talk.refused(ended.item.name, error, order, ended.state)
