"""Derive an order with the same canvas from another one, with other words or another endpoint."""

from dataclasses import replace
from typing import TypedDict, Unpack

from photio_prep.api.request import request
from photio_prep.orders import selection
from photio_prep.orders.store import Order


class Changes(TypedDict, total=False):
    """The fields that `reworded` and `revise` change."""

    endpoint: str | None
    description: str | None
    seed: int | None
    negative_prompt: str | None
    append_negative: str | None


def reworded(
    order: Order,
    *,
    endpoint: str | None = None,
    description: str | None = None,
    seed: int | None = None,
    negative_prompt: str | None = None,
    append_negative: str | None = None,
) -> Order:
    """The same canvas with other words or another endpoint: an order in memory, with another key.

    Raises:
        UsageError: The seed or a prompt is invalid.
    """
    old = order.request
    revised = request(
        old.canvas,
        old.description if description is None else description,
        seed=old.seed if seed is None else seed,
        negative_prompt=old.negative_prompt if negative_prompt is None and append_negative is None else negative_prompt,
        append_negative=append_negative,
        image_url=old.image_url,
    )
    if seed is None:
        revised = replace(revised, seed_drawn=old.seed_drawn)
    new = replace(order, request=revised, endpoint=endpoint or order.endpoint, folder=None)
    return order if new.key == order.key else new


def revise(order: Order, **changes: Unpack[Changes]) -> Order:
    """The order of `reworded`; if `order` is on disk, the new one gets a folder beside it.

    Raises:
        UsageError: The seed or a prompt is invalid.
        StorageFailed: The new folder cannot be written.
    """
    new = reworded(order, **changes)
    return new if new is order or order.folder is None else selection.succeed(order, new)
