"""JSON records in an order folder; reading does not trust their content."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from photio_prep.errors import StorageFailed, UsageError
from photio_prep.system import files

AGAIN = "Move the folder away and prepare the photo again; keep it if it holds an answer.raw"


def find_record(path: Path) -> dict[str, Any] | None:
    """The record at `path`, or None."""
    # No test for existence first: another process may remove the file in between.
    try:
        return read_record(path)
    except UsageError:
        return None


def read_record(path: Path) -> dict[str, Any]:
    """The record at `path`.

    Raises:
        UsageError: There is no such file.
        StorageFailed: It cannot be read, or is not a JSON object.
    """
    try:
        record = json.loads(files.read_nofollow(path, files.RECORD))
    except FileNotFoundError:
        raise UsageError(
            "this is not an order folder (no order.json)", "Name a folder below orders/", subject=str(path.parent)
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise StorageFailed(f"cannot be read back ({str(error)[:80]})", AGAIN, subject=str(path)) from error
    if not isinstance(record, dict):
        raise StorageFailed("is not a JSON object", AGAIN, subject=str(path))
    return record


def encode_record(record: dict[str, Any]) -> bytes:
    """Encode a record as JSON."""
    return json.dumps(record, indent=1, ensure_ascii=True).encode() + b"\n"


def precise_timestamp() -> str:
    """The time in UTC, to the microsecond, for comparison with the times of calls."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def timestamp() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
