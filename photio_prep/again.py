"""Was this already paid for under another key?

Takes an order; refuses it where the same photo, asked for in the same way, was billed as other bytes: by an older
version of this tool, of Pillow or of a model. Touches the disk.
Raises PhotoRefused.
"""

import json
from functools import cached_property
from pathlib import Path
from typing import Any

from photio_prep import orders
from photio_prep.errors import PhotoRefused
from photio_prep.orders import Order, State

_PAID = frozenset({State.ANSWERED, State.FINISHED, State.UNKNOWN, State.PAID_UNUSABLE})


class PaidBefore:
    """What was paid for in a folder of orders, by photo and wish. The folder is read once, at the first question."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def refuse(self, order: Order) -> None:
        """Do nothing for an order that is new, or that is itself the paid one.

        Raises:
            PhotoRefused: The same wish was billed, or perhaps billed, under another key.
        """
        if order.folder is None or orders.state(order.folder) is not State.PLANNED:
            return
        asked, origin = order.request, order.origin
        wish = (origin.digest, origin.options, asked.description, asked.negative_prompt, order.endpoint)
        for key, seed, drawn in self._paid.get(wish, ()):
            # A seed that the user gave is a wish of its own; one that was drawn follows the bytes.
            if key != order.key and ((drawn and asked.seed_drawn) or seed == asked.seed):
                raise PhotoRefused(
                    "the same photo with the same words was already paid for, as other bytes (of an older version), in"
                    f" {self._root / key[:32]}",
                    "Finish that order for nothing, or give --again to pay for this one too",
                )

    @cached_property
    def _paid(self) -> dict[tuple[Any, ...], list[tuple[str, int, bool]]]:
        found: dict[tuple[Any, ...], list[tuple[str, int, bool]]] = {}
        for photo in self._root.glob("*/photo-*.json"):
            try:
                facts, plan = json.loads(photo.read_bytes()), json.loads((photo.parent / "order.json").read_bytes())
                words = (plan["description"], plan["negative_prompt"], plan["endpoint"])
                entry = (str(plan["key"]), int(plan["seed"]), bool(plan["seed_drawn"]))
                if orders.state(photo.parent) in _PAID:
                    found.setdefault((facts["sha256"], facts["options"], *words), []).append(entry)
            except (OSError, ValueError, KeyError, TypeError):
                continue  # a damaged order is named by whoever reads it for its own sake
        return found
