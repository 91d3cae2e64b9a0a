"""Ranges and choices of what a user sets: the same on the command line, in photio.toml and in the library."""

import math
from dataclasses import fields
from numbers import Integral, Real
from typing import TYPE_CHECKING, Literal, NamedTuple, cast, get_args, get_origin

from photio_prep.errors import UsageError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class Range(NamedTuple):
    """From `low` to `high`, only whole numbers if `whole`; `low` itself is left out if `above`."""

    low: float
    high: float
    whole: bool = True
    above: bool = False

    def __str__(self) -> str:
        low, high = (f"{limit:,}" if isinstance(limit, int) else f"{limit:g}" for limit in self[:2])
        return f"{'above' if self.above else 'from'} {low} {'on' if self.high == math.inf else f'to {high}'}"

    def holds(self, value: object) -> bool:
        """Whether a value is a number of this range; neither NaN nor a bool is one."""
        if isinstance(value, bool) or not isinstance(value, Integral if self.whole else Real):
            return False
        number = cast("float", value)
        return self.low <= number <= self.high and not (self.above and number == self.low)

    @property
    def kind(self) -> str:
        """The kind of its numbers, for messages."""
        return f"{'whole ' if self.whole else ''}number {self}"

    def check(self, name: str, value: object, subject: str = "") -> None:
        """Raise UsageError unless `value`, which the user calls `name`, is a number of this range."""
        if not self.holds(value):
            huge = isinstance(value, int) and value.bit_length() > 1000  # Python writes out no number of any length
            raise UsageError(
                f"{name} = {'a huge number' if huge else repr(value)[:40]}", f"Give a {self.kind}", subject
            )


def check_options(options: "DataclassInstance", subject: str = "", **ranges: Range) -> None:
    """Raise UsageError for a number out of its range, no bool, or no value of its Literal, in a dataclass."""
    for member in fields(options):
        name, value = member.name, getattr(options, member.name)
        if value is None and member.default is None:
            continue
        if name in ranges:
            ranges[name].check(name, value, subject)
        if member.type is bool and not isinstance(value, bool):
            raise UsageError(f"{name} = {repr(value)[:40]}", "Give true or false", subject)
        kinds = [kind for kind in (member.type, *get_args(member.type)) if get_origin(kind) is Literal]
        choices = [text for kind in kinds for text in get_args(kind)]
        if choices and value not in choices:
            raise UsageError(f"{name} {value!r} is not offered", f"Choose one of: {', '.join(choices)}", subject)
