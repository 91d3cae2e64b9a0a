"""Write a final where only its path matters."""

from pathlib import Path
from typing import Any

from photio_prep.final.options import DEFAULT_FINISH, FinishOptions, OutputOptions
from photio_prep.final.writer import place_final
from photio_prep.orders.store import Order


def write_final(order: Order, out: Path, options: FinishOptions = DEFAULT_FINISH, **output: Any) -> Path:
    """Write the final of an answered order; returns its path."""
    return place_final(order, out, options, OutputOptions(**output)).path
