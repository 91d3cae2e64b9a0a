"""Was this already paid for under another key?

Takes an order; refuses it where the same photo, asked for in the same way, was billed as other bytes: by an older
version of this tool, of Pillow or of a model. Touches the disk.
Raises PhotoRefused.
"""

from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from photio_prep import states
from photio_prep.errors import PhotioError, PhotoRefused
from photio_prep.facts import read
from photio_prep.orders import Order
from photio_prep.states import State

_PAID = states.ANSWERED | {State.UNKNOWN, State.PAID_UNUSABLE}


class _Paid(NamedTuple):
    """One photo of an order that was billed, or may have been."""

    key: str
    seed: int
    drawn: bool
    source: str
    words: tuple[str, str | None, str]  # description, negative prompt, endpoint
    answered: bool


class PaidBefore:
    """What was paid for in a folder of orders. It is read once, at the first question."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def refuse(self, order: Order) -> None:
        """Do nothing for an order that is new, or that is itself the paid one.

        Raises:
            PhotoRefused: The same wish was billed, or perhaps billed, under another key.
        """
        if order.folder is None or states.state(order.folder) is not State.PLANNED:
            return
        asked, origin = order.request, order.origin
        words = (asked.description, asked.negative_prompt, order.endpoint)
        for paid in self._found.get((origin.digest, origin.options), ()):
            # A seed that the user gave is a wish of its own; one that was drawn follows the bytes.
            same_seed = (paid.drawn and asked.seed_drawn) or paid.seed == asked.seed
            if paid.words == words and same_seed and paid.key != order.key:
                raise PhotoRefused(
                    "the same photo with the same words was already paid for, as other bytes (of an older version), in"
                    f" {self._root / paid.key[:32]}",
                    "Finish that order for nothing, or give --again to pay for this one too",
                )

    def changed(self, order: Order) -> bool:
        """Whether the photo of `order` was paid for under its name, but never as the bytes that it has now."""
        known = self._digests.get(order.origin.source, set())
        return bool(known) and order.origin.digest not in known and order.origin.source != "-"

    def note(self, order: Order) -> None:
        """An order that was paid for meanwhile: the photo may change while this command goes on."""
        self._digests[order.origin.source].add(order.origin.digest)

    @cached_property
    def _digests(self) -> defaultdict[str, set[str]]:
        """The digests of each source that was paid for, by its name."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for (digest, _), each in self._found.items():
            for paid in each:
                found[paid.source].add(digest)
        return found

    def answered(self, asked: Iterable[tuple[str, str]], endpoint: str) -> int:
        """How many photos have an answer for their words, by name and description alone: a guess for the quote."""
        known = {
            (paid.source, paid.words[0])
            for each in self._found.values()
            for paid in each
            if paid.answered and paid.words[2] == endpoint
        }
        return sum(each in known for each in asked)

    @cached_property
    def _found(self) -> dict[tuple[str, str], list[_Paid]]:
        """What was paid for, by the photo's digest and how it was cut out."""
        found: dict[tuple[str, str], list[_Paid]] = defaultdict(list)
        for photo in self._root.glob("*/photo-*.json"):
            try:
                facts, plan = read(photo), read(photo.parent / "order.json")
                words = (plan["description"], plan["negative_prompt"], plan["endpoint"])
                state = states.state(photo.parent)
                answered = state in states.ANSWERED
                key, seed, drawn = str(plan["key"]), int(plan["seed"]), bool(plan["seed_drawn"])
                if state in _PAID:
                    paid = _Paid(key, seed, drawn, facts["source"], words, answered)
                    found[facts["sha256"], facts["options"]].append(paid)
            except (PhotioError, ValueError, KeyError, TypeError):
                continue  # a damaged order is named by whoever reads it for its own sake
        return found
