"""The states of an order."""

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """How far an order got. `refused` is a photo that no order was made of."""

    PLANNED = "planned"
    CLAIMED = "claimed"
    ANSWERED = "answered"
    FINISHED = "finished"
    UNKNOWN = "unknown"
    REJECTED = "rejected"
    PAID_UNUSABLE = "paid_unusable"
    REFUSED = "refused"


# Nothing was billed: it may be sent.
SENDABLE = frozenset({State.PLANNED, State.REJECTED})
# A complete answer with a usable picture is in the folder.
ANSWERED = frozenset({State.ANSWERED, State.FINISHED})
# Billed, except by the sandbox.
BILLED = ANSWERED | {State.PAID_UNUSABLE}


def summarize(counts: Mapping[State, int]) -> str:
    """Number of orders per state, as text."""
    return ", ".join(f"{counts[state]} {state.replace('_', ' ')}" for state in State if state in counts)
