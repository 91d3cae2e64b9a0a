"""Sweeps of which `make test` runs a sample, and `make test-all` the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

Ids = Callable[[Any], str | None] | Iterable[str | None]


def sampled(
    names: str | Sequence[str], values: Iterable[Any], keep: int, *, ids: Ids | None = None
) -> pytest.MarkDecorator:
    """`pytest.mark.parametrize`, with all but `keep` values, spread evenly, marked `soak`."""
    values = list(values)
    single = isinstance(names, str) and "," not in names
    quick = {at * len(values) // keep for at in range(keep)}
    return pytest.mark.parametrize(
        names, [value if at in quick else _soaked(value, single) for at, value in enumerate(values)], ids=ids
    )


def _soaked(value: Any, single: bool) -> Any:
    if hasattr(value, "marks"):  # of pytest.param
        return pytest.param(*value.values, marks=[*value.marks, pytest.mark.soak], id=value.id)
    return pytest.param(*((value,) if single else value), marks=pytest.mark.soak)
