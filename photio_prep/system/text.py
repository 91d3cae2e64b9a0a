"""Untrusted text: strict JSON, control characters."""

import json
import unicodedata
from typing import Any, NoReturn


def parse_json(text: str | bytes) -> Any:  # noqa: ANN401  any JSON value
    """Parse strict JSON. ValueError for a name that occurs twice, NaN and Infinity, and too deep nesting."""
    try:
        return json.loads(text, object_pairs_hook=_unique_members, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name occurs twice")
    return members


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def escape_controls(text: str) -> str:
    """`text` with control characters, direction overrides and lone surrogates as hexadecimal escapes."""
    unsafe = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    return "".join(f"\\x{ord(char):02x}" if unicodedata.category(char) in unsafe else char for char in text)
