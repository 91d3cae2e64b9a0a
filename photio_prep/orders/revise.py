"""Derive an order with the same canvas from another one, with other words or another endpoint."""

from dataclasses import dataclass, replace

from photio_prep.api.request import build_request
from photio_prep.orders import selection
from photio_prep.orders.store import Order


@dataclass(frozen=True, slots=True)
class Wording:
    """New words and a new seed for an order; None leaves each as it is."""

    description: str | None = None
    negative_prompt: str | None = None
    append_negative: str | None = None
    seed: int | None = None


SAME_WORDS = Wording()


def reword(order: Order, wording: Wording = SAME_WORDS, *, endpoint: str | None = None) -> Order:
    """The same canvas with other words or another endpoint: an order in memory, with another key.

    Raises:
        UsageError: The seed or a prompt is invalid.
    """
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


def revise(
    order: Order,
    *,
    endpoint: str | None = None,
    description: str | None = None,
    negative_prompt: str | None = None,
    append_negative: str | None = None,
    seed: int | None = None,
) -> Order:
    """The order of `reworded`; if `order` is on disk, the new one gets a folder beside it.

    Raises:
        UsageError: The seed or a prompt is invalid.
        StorageFailed: The new folder cannot be written.
    """
    new = reword(order, Wording(description, negative_prompt, append_negative, seed), endpoint=endpoint)
    return new if new is order or order.folder is None else selection.continue_as(order, new)
