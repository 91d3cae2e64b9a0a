"""decisions.json -> the orders that the user approved."""

import json
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter
from pathlib import Path

from photio_prep.errors import PhotioError, PhotoRefused, UsageError
from photio_prep.orders import records
from photio_prep.orders.store import Order
from photio_prep.system import files
from photio_prep.system.text import parse_json

SCHEMA = 1
_KEY = re.compile(r"[0-9a-f]{64}")
# Half a million orders.
_MAX_BYTES = 64 * 2**20
_FIX = "Save it again from the review page"
_MAX_LISTED = 5


class Decision(StrEnum):
    """What the user decided about an order."""

    APPROVED = "approved"
    REJECTED = "rejected"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Decisions:
    """Decisions by orders' keys, and by the contents of their requests (canvas, words, seed, URL), of any endpoint."""

    keys: dict[str, Decision]
    requests: dict[str, Decision]

    def decide(self, order: Order, old: Order) -> Decision:
        """Return the decision about `order`, which is `old` or was made of it with new words or another endpoint.

        The same request to another endpoint shares its decision: approving an order of the sandbox approves the order
        that sends it to Photio. A decision about `old` counts for other words only if it has none of its own.
        """
        seen = (order,) if old.request.description else (order, old)
        for decisions, identify in ((self.keys, attrgetter("key")), (self.requests, _request_of)):
            own = {decisions.get(identify(decided)) for decided in seen}
            for decision in (Decision.REJECTED, Decision.APPROVED):
                if decision in own:
                    return decision
        return Decision.UNDECIDED


def load_decisions(path: Path, folders: Iterable[Path]) -> tuple[Decisions, list[str]]:
    """Return the decisions in `path` about the orders in and beside `folders`, and rejected keys without an order.

    UsageError if the file is malformed, or approves an order that does not exist.
    """
    approved, rejected = _parse(path)
    requests = _load_requests({folder.parent for folder in folders})
    if missing := sorted(approved - requests.keys()):
        raise UsageError(
            f"it approves {_list_keys(missing)}, which {'does' if len(missing) == 1 else 'do'} not exist",
            "Name the output folder that the page was made of, or save it again from a new page",
            subject=str(path),
        )
    keys = dict.fromkeys(approved, Decision.APPROVED) | dict.fromkeys(rejected, Decision.REJECTED)
    contents = {requests[key]: decision for key, decision in keys.items() if key in requests}  # the rejections last
    return Decisions(keys, contents), sorted(rejected - requests.keys())


def _list_keys(keys: list[str]) -> str:
    more = f" and {len(keys) - _MAX_LISTED} more" if len(keys) > _MAX_LISTED else ""
    return f"{'order' if len(keys) == 1 else 'orders'} {', '.join(key[:32] for key in keys[:_MAX_LISTED])}{more}"


def _parse(path: Path) -> tuple[frozenset[str], frozenset[str]]:
    try:
        return _check_record(parse_json(files.read_input(path, _MAX_BYTES)))
    except PhotoRefused as error:
        raise UsageError(error.problem, error.fix, subject=str(path)) from None
    except ValueError as error:
        raise UsageError(f"not decisions ({str(error)[:240]})", _FIX, subject=str(path)) from None


def _check_record(record: object) -> tuple[frozenset[str], frozenset[str]]:
    if not isinstance(record, dict) or set(record) != {"schema", "approved", "rejected"}:
        names = ", ".join(sorted(map(str, record))) if isinstance(record, dict) else type(record).__name__
        raise ValueError(f"decisions hold schema, approved and rejected; this holds {names[:120] or 'nothing'}")
    if type(record["schema"]) is not int or record["schema"] != SCHEMA:
        raise ValueError(f"decisions of schema {str(record['schema'])[:20]}, this version reads {SCHEMA}")
    approved, rejected = (_check_keys(name, record[name]) for name in ("approved", "rejected"))
    if both := sorted(approved & rejected):
        raise ValueError(f"it both approves and rejects {_list_keys(both)}")
    return approved, rejected


def _check_keys(name: str, keys: object) -> frozenset[str]:
    if not isinstance(keys, list):
        raise ValueError(f"{name} is not a list")  # noqa: TRY004  of the file, not of ours
    for key in keys:
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            raise ValueError(f"{name} holds {str(key)[:70]!r}, which is not an order key (64 digits of 0-9 and a-f)")
    if len(set(keys)) != len(keys):
        raise ValueError(f"{name} holds a key twice")
    return frozenset(keys)


def _request_of(order: Order) -> str:
    sent = order.request
    return json.dumps([sent.canvas.digest, sent.description, sent.negative_prompt, sent.seed, sent.image_url])


def _load_requests(roots: set[Path]) -> dict[str, str]:
    """Return the request content of each order below `roots`, by its key; damaged orders are left out."""
    requests: dict[str, str] = {}
    for path in (path for root in roots for path in root.glob("*/order.json")):
        with suppress(PhotioError, KeyError, TypeError):
            record = records.read_record(path)
            content = [record[name] for name in ("description", "negative_prompt", "seed", "image_url")]
            requests[str(record["key"])] = json.dumps([record["canvas"]["sha256"], *content])
    return requests
