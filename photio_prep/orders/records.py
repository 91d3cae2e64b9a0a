"""JSON facts in an order folder, read back with suspicion."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from photio_prep.errors import StorageFailed, UsageError
from photio_prep.system import files

AGAIN = "Move the folder away and prepare the photo again; keep it if an answer.raw lies in it"


def read_if_there(path: Path) -> dict[str, Any] | None:
    """The facts at `path`, None where there are none."""
    # Opened at once: another process may take it away between a look and the reading.
    try:
        return read(path)
    except UsageError:
        return None


def read(path: Path) -> dict[str, Any]:
    """The facts at `path`.

    Raises:
        UsageError: There is no such file.
        StorageFailed: It cannot be read, or holds something else.
    """
    try:
        facts = json.loads(files.read_own(path, files.FACTS))
    except FileNotFoundError:
        raise UsageError(
            "this is no order folder (no order.json)", "Name a folder below orders/", subject=str(path.parent)
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise StorageFailed(f"cannot be read back ({str(error)[:80]})", AGAIN, subject=str(path)) from error
    if not isinstance(facts, dict):
        raise StorageFailed("not what was written there", AGAIN, subject=str(path))
    return facts


def written(facts: dict[str, Any]) -> bytes:
    """The bytes of facts."""
    return json.dumps(facts, indent=1, ensure_ascii=True).encode() + b"\n"


def exact_now() -> str:
    """The time, in UTC, to the microsecond: what is compared with the times of calls."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def now() -> str:
    """The time, in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
