"""decisions.json -> which orders the user approved."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn

from photio_prep.errors import PhotioError, PhotoRefused, UsageError
from photio_prep.orders import records
from photio_prep.orders.store import Order
from photio_prep.system import files

SCHEMA = 1
_MEMBERS = {"schema", "approved", "rejected"}
_KEY = re.compile(r"[0-9a-f]{64}")
# Half a million orders.
_LONGEST = 64 * 2**20
_AGAIN = "Save it again from the review page"
_NAMED = 5


class Word(StrEnum):
    """What the user said of an order."""

    APPROVED = "approved"
    REJECTED = "rejected"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Decisions:
    """Keys of orders, and what those orders ask for, whoever is asked."""

    approved: frozenset[str]
    rejected: frozenset[str]
    wanted: frozenset[str] = frozenset()
    unwanted: frozenset[str] = frozenset()

    def word(self, order: Order, old: Order) -> Word:
        """What the user said of `order`, which was made of `old` or is it.

        An order is the one that was looked at; the same with words given only now; or the same asked of somebody else:
        who approves what the sandbox made approves the order that asks Photio for it.
        """
        keys, asked = {order.key, old.key}, {_asked(order), _asked(old)}
        if keys & self.rejected:
            return Word.REJECTED
        if keys & self.approved:
            return Word.APPROVED
        return Word.REJECTED if asked & self.unwanted else Word.APPROVED if asked & self.wanted else Word.UNDECIDED


def read(path: Path, folders: Iterable[Path]) -> tuple[Decisions, list[str]]:
    """The decisions in `path` about the orders in `folders` and beside them; and rejected keys that are not there.

    Raises:
        UsageError: The file is not as the page writes it, or approves an order that is not there.
    """
    approved, rejected = _parsed(path)
    wishes = _wishes({each.parent for each in folders})
    if missing := sorted(approved - wishes.keys()):
        raise UsageError(
            f"it approves {_listed(missing)}, which {'is' if len(missing) == 1 else 'are'} not there",
            "Name the output folder that the page was made of, or save it again from a new page",
            subject=str(path),
        )
    told = (frozenset(wishes[key] for key in keys if key in wishes) for keys in (approved, rejected))
    return Decisions(approved, rejected, *told), sorted(rejected - wishes.keys())


def _listed(keys: list[str]) -> str:
    more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
    return f"{'order' if len(keys) == 1 else 'orders'} {', '.join(each[:32] for each in keys[:_NAMED])}{more}"


def _parsed(path: Path) -> tuple[frozenset[str], frozenset[str]]:
    try:
        found = json.loads(files.read_input(path, _LONGEST), object_pairs_hook=_no_twins, parse_constant=_no_constant)
    except PhotoRefused as error:
        raise UsageError(error.found, error.fix, subject=str(path)) from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"not the JSON of decisions ({str(error)[:120]})", _AGAIN, subject=str(path)) from None

    try:
        return _checked(found)
    except ValueError as error:
        raise UsageError(str(error), _AGAIN, subject=str(path)) from None


def _checked(found: object) -> tuple[frozenset[str], frozenset[str]]:
    """The two sets of keys; ValueError says what else was found."""
    if not isinstance(found, dict) or set(found) != _MEMBERS:
        names = ", ".join(sorted(map(str, found))) if isinstance(found, dict) else type(found).__name__
        raise ValueError(f"decisions hold schema, approved and rejected; this holds {names[:120] or 'nothing'}")
    if type(found["schema"]) is not int or found["schema"] != SCHEMA:
        raise ValueError(f"decisions of schema {str(found['schema'])[:20]}, this version reads {SCHEMA}")
    approved, rejected = (_keys(name, found[name]) for name in ("approved", "rejected"))
    if both := sorted(approved & rejected):
        raise ValueError(f"it both approves and rejects {_listed(both)}")
    return approved, rejected


def _keys(name: str, told: object) -> frozenset[str]:
    if not isinstance(told, list):
        raise ValueError(f"{name} is no list")  # noqa: TRY004  of the file, not of ours
    for each in told:
        if not isinstance(each, str) or not _KEY.fullmatch(each):
            raise ValueError(f"{name} holds {str(each)[:70]!r}, which is no key of an order (64 of 0-9 and a-f)")
    if len(set(told)) != len(told):
        raise ValueError(f"{name} holds a key twice")
    return frozenset(told)


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in it")
    return found


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def _asked(order: Order) -> str:
    sent = order.request
    return _wish([sent.canvas.digest, sent.description, sent.negative_prompt, sent.seed, sent.image_url])


def _wish(asked: list[object]) -> str:
    return json.dumps(asked)


def _wishes(roots: set[Path]) -> dict[str, str]:
    """What each order below `roots` asks for, by its key."""
    found: dict[str, str] = {}
    for root in roots:
        for path in root.glob("*/order.json"):
            try:
                plan = records.read(path)
                names = ("description", "negative_prompt", "seed", "image_url")
                found[str(plan["key"])] = _wish([plan["canvas"]["sha256"], *(plan[name] for name in names)])
            except (PhotioError, KeyError, TypeError):
                continue  # a damaged order is named by whoever reads it for its own sake
    return found
