"""Order -> the same picture asked for with other words, or of somebody else."""

from dataclasses import replace
from typing import TypedDict, Unpack

from photio_prep.api.request import request
from photio_prep.orders import selection
from photio_prep.orders.store import Order


class Changes(TypedDict, total=False):
    """What `reworded` and `revise` change."""

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
    """The same picture asked for with other words, or of somebody else: another order, in memory, with another key.

    Raises:
        UsageError: A seed or prompt that cannot be meant.
    """
    old = order.request
    asked = request(
        old.canvas,
        old.description if description is None else description,
        seed=old.seed if seed is None else seed,
        negative_prompt=old.negative_prompt if negative_prompt is None and append_negative is None else negative_prompt,
        append_negative=append_negative,
        image_url=old.image_url,
    )
    if seed is None:
        asked = replace(asked, seed_drawn=old.seed_drawn)
    new = replace(order, request=asked, endpoint=endpoint or order.endpoint, folder=None)
    return order if new.key == order.key else new


def revise(order: Order, **changes: Unpack[Changes]) -> Order:
    """The order of `reworded`; of an order on disk it gets a folder of its own beside the old one.

    Raises:
        UsageError: A seed or prompt that cannot be meant.
        StorageFailed: The new folder cannot be written.
    """
    new = reworded(order, **changes)
    return new if new is order or order.folder is None else selection.succeed(order, new)
