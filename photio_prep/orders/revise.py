"""Make an order with the same canvas from another one, with other words or for another endpoint."""

from dataclasses import dataclass, replace

from photio_prep.api.request import build_request
from photio_prep.orders import previews, records
from photio_prep.orders.folder import OrderFolder
from photio_prep.orders.store import SANDBOX, Order, load_cutout, load_order, write_order
from photio_prep.system import files


@dataclass(frozen=True, slots=True)
class Wording:
    """New words and a new seed for an order; None leaves each as it is."""

    description: str | None = None
    negative_prompt: str | None = None
    append_negative: str | None = None
    seed: int | None = None


SAME_WORDS = Wording()


def reword(order: Order, wording: Wording = SAME_WORDS, *, endpoint: str | None = None) -> Order:
    """The same canvas with other words or another endpoint: an order in memory, or `order` if nothing changes."""
    old = order.request
    same_negative = wording.negative_prompt is None and wording.append_negative is None
    new_request = build_request(
        old.canvas,
        old.description if wording.description is None else wording.description,
        seed=old.seed if wording.seed is None else wording.seed,
        negative_prompt=old.negative_prompt if same_negative else wording.negative_prompt,
        append_negative=wording.append_negative,
        image_url=old.image_url,
    )
    if wording.seed is None:
        new_request = replace(new_request, seed_drawn=old.seed_drawn)
    new = replace(order, request=new_request, endpoint=endpoint or order.endpoint, folder=None)
    return order if new.key == order.key else new


def continue_as(old: Order, new: Order) -> Order:
    """Write `new` beside `old`, with the photos, the cutout and the previews of `old`."""
    folder = old.require_folder()
    if old.cutout is None:
        new = replace(new, cutout=load_cutout(folder))
    written = write_order(new, folder.parent, revised=True)
    for origin in OrderFolder(folder).photos():
        other = load_order(folder, origin=origin)
        request = replace(new.request, canvas=other.canvas)
        shared = replace(new, origin=replace(other.origin, record=""), request=request)
        write_order(shared, folder.parent, revised=True)
    previews.copy_previews(folder, written.require_folder())
    successors = {**OrderFolder(folder).continued, kind_of(new.endpoint): new.key[:32]}
    files.write_atomic(folder / "continued.json", records.encode_record(successors))
    return written


def kind_of(endpoint: str) -> str:
    """The name of a successor in continued.json, "paid" or "sandbox"."""
    return "sandbox" if endpoint == SANDBOX else "paid"
