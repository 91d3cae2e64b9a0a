"""What prepare and run share: inputs in, orders on disk out."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from photio_prep import pipeline, settings
from photio_prep.batch import scheduler
from photio_prep.cli import options
from photio_prep.cli.console import Talk
from photio_prep.cutout.models import catalog
from photio_prep.cutout.options import CutoutOptions
from photio_prep.errors import PhotioError, UsageError
from photio_prep.intake import inputs, read
from photio_prep.orders.store import Order
from photio_prep.system.parallel import share_heaps


def prepared(
    what: list[inputs.Item],
    out: Path,
    talk: Talk,
    *,
    endpoint: str,
    words: dict[str, Any],
    cutting: dict[str, Any],
    variants: bool = False,
) -> Iterator[Order]:
    """The order of each photo, on disk; refusals are told and counted."""
    offline = cutting.pop("offline")
    matter, second = _matters(cutting, talk, offline=offline)
    points = [*cutting.pop("points"), *((*each, False) for each in cutting.pop("others"))]
    framing = options.framed(cutting)
    wishes = {name: cutting.pop(name) for name in ("refine", "holes", "feather")}
    wished = CutoutOptions(grow=cutting.pop("grow") - cutting.pop("shrink"), **wishes)
    _writable(out)
    told = ""
    words = {**words, "description": words["description"] or ""}

    def work(item: inputs.Item) -> Order:
        talk.begun(item.name)
        return pipeline.prepare(
            read.read(item, offline=offline),
            **{**words, **cutting, **framing, **item.wishes},
            points=points,
            model=matter,
            second=second,
            cutting=wished,
            endpoint=endpoint,
            orders=out / "orders",
            name=item.name,
            output=item.output,
            variants=variants,
            limits=settings.limits(),
        )

    share_heaps()
    for item, order in scheduler.in_order(what, work):
        if isinstance(order, PhotioError):
            talk.refused(item.name, order)
            continue
        if order.model != told:
            talk.say(f"cut out with: {order.model}" + (f" on {order.device}" if order.device else ""))
            if order.device and matter.fallback:
                talk.say(f"warning: {matter.fallback}")
            told = order.model
        yield order


def _matters(cutting: dict[str, Any], talk: Talk, *, offline: bool) -> tuple[Any, Any]:
    """What finds the product, and what is asked for a second opinion; their options are taken out of `cutting`."""
    from photio_prep.cli.models import pulled, tell_licence
    from photio_prep.cutout.models import sam
    from photio_prep.cutout.models.registry import get_model, second_model

    names = ("pull", "family", "model", "device", "accepted", "second_opinion")
    pull, family, model, device, accepted, twice = (cutting.pop(name) for name in names)
    pointing = cutting["points"] or cutting["others"] or cutting["box"]
    if pointing and (model != "auto" or family):
        raise UsageError("--point and --box are for SAM only", "Leave --model out, or the points and the box")
    if pull:
        for name in [each.name for each in catalog.pointed()] if pointing else [model]:
            pulled(name, talk, offline=offline, accepted=accepted)
    matter = sam.sam(device) if pointing else get_model(model, family, device=device, accepted=accepted)
    if not pull and not family:
        tell_licence(model, talk)
    return matter, second_model(matter.name, device=device, accepted=accepted) if twice else None


def _writable(out: Path) -> None:
    """Find out now, and not after paying, that nothing can be written."""
    from photio_prep.system import files

    files.write_whole(out / "orders" / ".writable", b"")
    files.remove(out / "orders" / ".writable")
    files.sweep(out / "orders")
