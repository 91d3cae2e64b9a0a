"""What prepare and run share: inputs in, orders on disk out."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from photio_prep import flow, inputs, reading, settings
from photio_prep.cli.talk import Talk
from photio_prep.cutting import CutoutOptions
from photio_prep.errors import PhotioError
from photio_prep.orders import Order


def prepared(
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
    from photio_prep.matters import another, matter_for

    names = ("pull", "offline", "family", "model", "device", "accepted", "second_opinion")
    pull, offline, family, model, device, accepted, twice = (cutting.pop(name) for name in names)
    wishes = {name: cutting.pop(name) for name in ("refine", "holes", "feather")}
    wished = CutoutOptions(grow=cutting.pop("grow") - cutting.pop("shrink"), **wishes)
    if pull:
        from photio_prep.cli.models import pulled

        pulled(model, talk, offline=offline, accepted=accepted)
    matter = matter_for(model, family, device=device, accepted=accepted)
    second = another(matter.name, device=device, accepted=accepted) if twice else None
    if isinstance(what, tuple):
        what = list(inputs.expand(what, out, passed_over=talk.passed_over))
    _writable(out)
    told = ""
    words = {**words, "description": words["description"] or ""}
    with talk.progress(what, total or len(what), "prepare") as counted:
        for item in counted:
            talk.begun(item.name)
            try:
                source = reading.read(item, offline=offline)
                order = flow.prepare(
                    source,
                    **{**words, **cutting, **item.wishes},
                    model=matter,
                    second=second,
                    cutting=wished,
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
                talk.say(f"cut out with: {order.model}" + (f" on {order.device}" if order.device else ""))
                if order.device and matter.fallback:
                    talk.say(f"warning: {matter.fallback}")
                told = order.model
            yield order


def _writable(out: Path) -> None:
    """Find out now, and not after paying, that nothing can be written."""
    from photio_prep import files

    files.write_whole(out / "orders" / ".writable", b"")
    files.remove(out / "orders" / ".writable")
    files.sweep(out / "orders")
