"""Options of `run`: the parts that prepare, pay, finish and write, as one value.

    orders/options.py           PrepareOptions, OrderPlace, PayOptions
    cutout/models/registry.py   ModelOptions
    final/options.py            FinishOptions, OutputOptions
    here                        RunOptions, JobOptions

One definition serves the command line, the library, job tables, `run_many` and Ray. Each set of keyword arguments
(`PrepareKeywords` and so on) builds the dataclass of the same fields.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TypeVar, Unpack

from photio_prep.cutout.models.registry import ModelOptions
from photio_prep.final.options import FinishOptions, OutputOptions, Product
from photio_prep.orders.options import CutoutKeywords, OrderPlace, PayKeywords, PayOptions, PrepareOptions

Part = TypeVar("Part")


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How one photo is prepared, paid for and finished."""

    prepare: PrepareOptions = field(default_factory=PrepareOptions)
    pay: PayOptions = field(default_factory=PayOptions)
    finish: FinishOptions = field(default_factory=FinishOptions)
    place: OrderPlace = field(default_factory=OrderPlace)

    def changed(self, **keywords: Unpack["JobKeywords"]) -> "RunOptions":
        """These options with the keyword arguments of `run`; TypeError for an unknown one."""
        if unknown := keywords.keys() - JobKeywords.__optional_keys__:
            raise TypeError(f"{min(unknown)!r} is no option of run")
        values: Mapping[str, object] = keywords

        def own(part: Part) -> Part:
            return replace(part, **{each.name: values[each.name] for each in fields(part) if each.name in values})  # type: ignore[arg-type, type-var]

        return RunOptions(own(self.prepare), own(self.pay), own(self.finish), own(self.place))


@dataclass(frozen=True)
class JobOptions:
    """How the photos of one command are prepared, by which model, paid for, finished and written."""

    output: OutputOptions = field(default_factory=OutputOptions)
    prepare: PrepareOptions = field(default_factory=PrepareOptions)
    model: ModelOptions = field(default_factory=ModelOptions)
    pay: PayOptions = field(default_factory=PayOptions)
    finish: FinishOptions = field(default_factory=FinishOptions)

    @property
    def orders(self) -> Path:
        """The folder of orders."""
        return self.output.out / "orders"


DEFAULT_RUN = RunOptions()


class RunKeywords(CutoutKeywords, PayKeywords, total=False):
    """The options of `run` as keyword arguments."""

    orders: str | Path | None
    name: str
    output: str
    format: str | None
    product: Product | None
    output_size: str


class JobKeywords(RunKeywords, total=False):
    """The options of one photo of `run_many`."""

    description: str
