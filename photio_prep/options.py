"""Options of `run`: the parts that prepare, pay, finish and write, as one value.

    orders/options.py           PrepareOptions, OrderPlace, PayOptions
    cutout/models/registry.py   ModelOptions
    final/options.py            FinishOptions
    here                        OutputOptions, RunOptions, JobOptions

One definition serves the command line, the library, job tables, `run_many` and Ray. Each set of keyword arguments
(`PrepareKeywords` and so on) builds the dataclass of the same fields.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TypeVar, Unpack

from photio_prep.cutout.models.registry import ModelOptions
from photio_prep.final.options import FinishOptions, Metadata, Product
from photio_prep.final.provenance import Provenance
from photio_prep.orders.options import CutoutKeywords, OrderPlace, PayKeywords, PayOptions, PrepareOptions
from photio_prep.system.ranges import Range, check_options

Part = TypeVar("Part")
DRIFT = Range(0, 1000, whole=False)


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """Where files go, whether they replace others, and what they state.

    `upload_to`: folder of an object store for copies. `metadata`: "keep-safe" keeps the photo's copyright and artist.
    `max_drift`: exit 3 above it.
    """

    out: Path = Path("photio-out")
    overwrite: bool = False
    metadata: Metadata = "none"
    provenance: Provenance = "none"
    presets: tuple[str, ...] = ()
    upload_to: str | None = None
    max_drift: float | None = None

    def __post_init__(self) -> None:
        check_options(self, max_drift=DRIFT)


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

    output: OutputOptions = OutputOptions()
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
