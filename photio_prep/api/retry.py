"""What an attempt was, by the evidence, and whether it may be made again: a pure rule.

not_sent   N  no byte of the request left us                       free    may be repeated
rejected   R  the API refused before any work                      free    429/503 with Retry-After: after the wait
success    S  a whole answer with a usable picture                 billed  -
unusable   P  a whole answer, billed, but no usable picture        billed  never
unknown    U  anything else: the request left, no whole answer came perhaps never
"""

import math
import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

NOT_SENT_TRIES = 4  # the first and three more
BUSY_TRIES = 5
BROKEN_TRIES = 3  # a server error that the vendor says is free: two more
LONGEST_WAIT = 120.0  # seconds; asked to wait longer, we stop and say so
_FIRST_WAIT, _LAST_WAIT = 0.5, 8.0
_REFUSED = frozenset({400, 401, 402, 403, 404, 413, 415, 422})


class Outcome(StrEnum):
    """The five classes of an attempt."""

    NOT_SENT = "not_sent"
    REJECTED = "rejected"
    SUCCESS = "success"
    UNUSABLE = "unusable"
    UNKNOWN = "unknown"


def by_status(http_status: int, *, has_retry_after: bool, server_error_is_free: bool = False) -> Outcome:
    """The class of a complete answer by its HTTP status alone; SUCCESS means: now look into the body.

    Args:
        http_status: Of a complete answer.
        has_retry_after: Whether it came with a Retry-After header.
        server_error_is_free: The vendor's word that a 5xx is never billed. Until it is given, a 5xx is unknown.
    """
    if http_status == 200:
        return Outcome.SUCCESS
    if http_status == 429 or (http_status == 503 and has_retry_after) or http_status in _REFUSED:
        return Outcome.REJECTED
    if server_error_is_free and 500 <= http_status < 600:
        return Outcome.REJECTED
    return Outcome.UNKNOWN


def stops_the_batch(http_status: int) -> bool:
    """Whether every other order would be refused for the same reason: the key or its credit."""
    return http_status in (401, 402, 403)


def retry_after(header: str | None, now: datetime | None = None) -> float | None:
    """Seconds to wait by a Retry-After header: a number, or an HTTP date; None where it says nothing usable."""
    if header is None:
        return None
    text = header.strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except (TypeError, ValueError, OverflowError):
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - (now or datetime.now(UTC))).total_seconds()
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def wait_before(outcome: Outcome, http_status: int | None, tries: int, asked: float | None) -> float | None:
    """Seconds to wait before the next try, or None when there must not be one.

    Args:
        outcome: What the last attempt was.
        http_status: Of the last answer, if there was one.
        tries: How many were made.
        asked: What Retry-After asked for, in seconds.
    """
    if outcome is Outcome.NOT_SENT and tries < NOT_SENT_TRIES:
        return back_off(tries)
    busy = http_status in (429, 503)
    broken = http_status is not None and 500 <= http_status < 600
    if outcome is Outcome.REJECTED and ((busy and tries < BUSY_TRIES) or (broken and tries < BROKEN_TRIES)):
        wait = asked if asked is not None else back_off(tries)
        return wait if wait <= LONGEST_WAIT else None
    return None


def back_off(tries: int) -> float:
    """Seconds before try number `tries` + 1: 0.5, 1, 2 … 8, each with up to a half of jitter on top."""
    return min(_FIRST_WAIT * 2.0 ** (tries - 1), _LAST_WAIT) * random.uniform(1.0, 1.5)
