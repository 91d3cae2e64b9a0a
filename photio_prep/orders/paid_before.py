"""Refuse a request that was already billed under another order key.

The same photo with the same words has another key if its canvas has other bytes, from another version of this tool,
Pillow, zlib or a model.
"""

from collections.abc import Iterable

from photio_prep.errors import PhotoRefused
from photio_prep.orders.index import IndexEntry, OrderIndex
from photio_prep.orders.origin import file_path
from photio_prep.orders.state import ANSWERED, BILLED, State
from photio_prep.orders.store import Order
from photio_prep.system import seeds

_PAID = BILLED | {State.UNKNOWN, State.CLAIMED}


def raise_if_paid(order: Order, known: OrderIndex) -> None:
    """Raise PhotoRefused if the same request was billed, or perhaps billed, as another order."""
    for entry in known.with_options(order):
        if _is_same_request(entry, order) and entry.state in _PAID:
            raise PhotoRefused(
                "the same photo with the same words was already paid for, as other bytes (of an older version), in"
                f" {entry.folder}",
                "Finish that order for nothing, or give --pay-again to pay for this one too",
            )


def _is_same_request(entry: IndexEntry, order: Order) -> bool:
    plan, request = entry.plan, order.request
    words = (plan.get("description"), plan.get("negative_prompt"), plan.get("endpoint"), plan.get("image_url"))
    if words != (request.description, request.negative_prompt, order.endpoint, request.image_url):
        return False
    # A seed that the user chose is part of the request; a default seed and its variants follow from the bytes.
    drawn = is_drawn(entry) and request.seed_drawn and entry.origin.number == order.origin.number
    return drawn or plan.get("seed") == request.seed


def is_drawn(entry: IndexEntry) -> bool:
    """Whether this tool chose the seed: the default one, or derived from that for a further variant."""
    number, plan = entry.origin.number, entry.plan
    return bool(plan.get("seed_drawn")) or (
        number > 1 and plan.get("seed") == seeds.derive_seed(seeds.seed_from_canvas(plan["canvas"]["sha256"]), number)
    )


def is_changed_photo(order: Order, known: OrderIndex) -> bool:
    """Whether the photo of `order` was paid for, but not with its present bytes."""
    if order.folder is None or order.origin.source == "-" or order.state in _PAID:
        return False
    paid = [entry.origin for entry in known.of_photo(order) if entry.state in _PAID]
    return bool(paid) and all(origin.digest != order.origin.digest for origin in paid)


def count_answered(requests: Iterable[tuple[str, str]], endpoint: str, known: OrderIndex) -> int:
    """Estimate how many (source, description) pairs are answered already, by name and description alone."""
    return sum(
        any(
            (entry.plan.get("description"), entry.plan.get("endpoint")) == (description, endpoint)
            and entry.state in ANSWERED
            for entry in known.with_source(source) or known.with_path(file_path(source) or source)
        )
        for source, description in requests
    )
