"""What an order's folder says: state, claim, answer, outcome, photos. Every property reads the disk.

docs/reference/order-folder.md lists its files.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from photio_prep.errors import StorageFailed
from photio_prep.orders import answer_file, claims, records
from photio_prep.orders.origin import Origin, read_origin
from photio_prep.orders.state import ANSWERED, BILLED, State
from photio_prep.system import files

# The reason for an unknown order with the claim of a dead process and no outcome.json.
DIED = "its process died while it paid"
_FAILURES = (State.UNKNOWN, State.REJECTED, State.PAID_UNUSABLE)


@dataclass(frozen=True, slots=True)
class OrderFolder:
    """The folder of one order. Its members raise StorageFailed if a record is damaged or cannot be read."""

    path: Path

    @property
    def plan(self) -> dict[str, Any]:
        """The content of order.json; UsageError if this is not an order folder."""
        return records.read_record(self.path / "order.json")

    @property
    def claim(self) -> claims.Claim | None:
        """The process that pays or paid."""
        return claims.read_claim(self.path / claims.NAME)

    @property
    def answer(self) -> Path | None:
        """The complete answer, here or in the rescue folder."""
        return answer_file.answer_path(self.path, self.claim)

    @property
    def outcome(self) -> dict[str, Any] | None:
        """How the call failed: `state`, `why`, `time`, and `resolved` after the user's word."""
        outcome = records.find_record(self.path / "outcome.json")
        if outcome is not None and not (
            outcome.get("state") in list(_FAILURES) and isinstance(outcome.get("why"), str)
        ):
            raise StorageFailed("is not the outcome of a call", records.AGAIN, subject=str(self.path / "outcome.json"))
        return outcome

    def write_outcome(self, state: State, why: str, **more: str) -> None:
        """Record how the call failed."""
        record = {"state": state, "why": why, "time": records.timestamp(), **more}
        files.write_atomic(self.path / "outcome.json", records.encode_record(record))

    @property
    def state(self) -> State:
        """How far the order got."""
        outcome, claim = self.outcome, self.claim
        answer = answer_file.answer_path(self.path, claim)
        if outcome is not None:
            # A usable answer overrides an unknown outcome: that was recorded by a process that took the payer for dead.
            unknown = outcome["state"] == State.UNKNOWN
            if not (unknown and answer is not None and answer_file.is_usable(answer, self.path)):
                return State(outcome["state"])
        if answer is not None:
            with files.storage_errors(self.path):
                photos, finished = (len(list(self.path.glob(f"{kind}-*.json"))) for kind in ("photo", "finished"))
            return State.FINISHED if finished >= photos else State.ANSWERED
        if claim is None:
            return State.ANSWERED if answer_file.late_answer(self.path) is not None else State.PLANNED
        return State.UNKNOWN if claims.claim_owner(claim) == "dead" else State.CLAIMED

    @property
    def is_lost(self) -> bool:
        """Whether the user resolved an unknown outcome as lost."""
        return (self.outcome or {}).get("resolved") == "lost"

    @property
    def lost_attempts(self) -> int:
        """Number of calls resolved as "retry" without a known outcome: each perhaps billed."""
        return sum(self._attempt_state(path) is State.UNKNOWN for path in claims.attempts(self.path))

    def count_calls(self, state: State) -> tuple[int, int]:
        """Number of calls, resolved ones too, that were billed, and that perhaps were, of an order in this state."""
        has_call = (self.path / answer_file.RAW).exists() or (self.path / claims.NAME).exists()
        own = None if has_call else answer_file.late_answer(self.path)  # of a resolved call, but counted as the order's
        late = sum(self._attempt_state(path) in BILLED for path in claims.attempts(self.path) if path != own)
        return (state in BILLED) + late, (state in (State.UNKNOWN, State.CLAIMED)) + self.lost_attempts

    def _attempt_state(self, attempt: Path) -> State:
        if answer_file.is_usable(attempt / answer_file.RAW, self.path):
            return State.ANSWERED
        return State((OrderFolder(attempt).outcome or {"state": State.UNKNOWN})["state"])

    @property
    def paid_at(self) -> float:
        """Time of the call, in seconds since 1970 by the clock of the payer; 0 if there was none."""
        return seconds(getattr(self.claim, "time", None))

    def photos(self, plan: Mapping[str, Any] | None = None) -> list[Origin]:
        """The photos that use this order's answer; `plan` is the content of its order.json, if already read."""
        try:
            paths = sorted(self.path.glob("photo-*.json"))
            return [read_origin(path, records.read_record(path), plan) for path in paths]
        except (KeyError, TypeError, ValueError, AttributeError, OSError) as error:
            raise StorageFailed(f"a damaged order ({error})", records.AGAIN, subject=str(self.path)) from error

    @property
    def continued(self) -> dict[str, Any]:
        """Names of the orders that continue this one, by "paid" and "sandbox"."""
        return records.find_record(self.path / "continued.json") or {}

    @property
    def successor(self) -> Path:
        """The order with the answer for this one: itself, or the one that continues it; paid before sandbox."""
        if (self.path / claims.NAME).exists():
            return self.path
        paths = [self.path.parent / Path(str(name)).name for _, name in sorted(self.continued.items())]
        paths = [path for path in paths if (path / "order.json").exists()]
        answered = [path for path in paths if OrderFolder(path).state in ANSWERED]
        return next(iter(answered or paths), self.path)

    @property
    def is_superseded(self) -> bool:
        """Whether another order continues this one, which has neither claim, outcome nor answer of its own."""
        has_call = any((self.path / name).exists() for name in (claims.NAME, "outcome.json", answer_file.RAW))
        return not has_call and self.successor != self.path


def find_orders(root: Path) -> list[Path]:
    """The order folders in `root` or in its `orders` folder; `root` itself if it is an order folder."""
    if (root / "order.json").exists():
        return [root]
    orders = root / "orders" if (root / "orders").is_dir() else root
    # Links are skipped: their target lies outside, and an operation on this folder must not write there.
    return sorted(path.parent for path in orders.glob("*/order.json") if not path.parent.is_symlink())


def seconds(time: object) -> float:
    """A recorded time in seconds since 1970; 0 if it is none."""
    try:
        return datetime.fromisoformat(str(time)).timestamp()
    except ValueError:
        return 0.0
