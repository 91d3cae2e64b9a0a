"""The photos of a command: what its inputs name, the first of them, or what comes into a folder."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import click

from photio_prep.api.spending_guard import SpendingGuard
from photio_prep.cli import mistakes, payment
from photio_prep.cli.console import Console
from photio_prep.cli.parsing import option, typed
from photio_prep.errors import PhotoRefused, UsageError
from photio_prep.final import choose
from photio_prep.intake import folders, hot_folder, inputs
from photio_prep.intake.item import Item, OnSkip
from photio_prep.intake.table_reader import is_table
from photio_prep.marketplaces import presets
from photio_prep.orders import index
from photio_prep.orders.options import PayOptions
from photio_prep.orders.recorded import RecordedNames
from photio_prep.orders.store import Order
from photio_prep.system.near_name import suggest_name


@dataclass(frozen=True, slots=True)
class ChoiceOptions:
    """Which photos of the inputs, how many orders of each, and how many processes prepare them."""

    limit: int | None = None
    seeds: int = 1
    watch: bool = False
    settle: float = 2.0
    workers: int | None = None


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Where `run` works: on this machine, or on the workers of Ray."""

    engine: str = "local"
    ray_address: str | None = None


argument = click.argument("inputs_", metavar="INPUT...", nargs=-1, required=True)
options = typed(
    "choose",
    ChoiceOptions,
    option("--limit", "A rehearsal: only the first N photos.", old="--first", type=click.IntRange(min=1), metavar="N"),
    option(
        "--seeds",
        "Number of variants per photo, each with its own seed.",
        type=click.IntRange(1, 64),
        default=1,
        show_default=False,
        group="Scene",
        metavar="N",
    ),
    option("--watch", "Go on with what comes into the folders, until Ctrl-C.", is_flag=True),
    option(
        "--settle",
        "With --watch: seconds a file must be unchanged before it is used.",
        type=click.FloatRange(0.1, 3600),
        default=2.0,
        metavar="SECONDS",
    ),
    option(
        "--workers",
        "Prepare in N processes instead of threads. With --engine ray: its workers. [2]",
        type=click.IntRange(1, 4096),
        metavar="N",
        group="Other",
    ),
    group="Photo",
)
engine = typed(
    "engine",
    EngineOptions,
    option(
        "--engine", "ray: on the workers of Ray Data, here or on a cluster.", choices=("local", "ray"), default="local"
    ),
    option("--ray-address", "Address of a running Ray. [one is started here]", metavar="ADDRESS"),
)


class Choice:
    """The photos of one command; its job tables have no mistakes.

    `items` are the photos known now: none with --watch, whose photos come in `batches`. `seeds` is the number of orders
    of each. `description` is the scene of photos whose row names none; if it is empty, each row must name one.

    Raises:
        UsageError: An input does not exist, a photo has no scene description, or --watch does not fit the inputs.
        TableErrors: Every mistake of the job tables.
    """

    def __init__(
        self,
        named: tuple[str, ...],
        out: Path,
        console: Console,
        options: ChoiceOptions,
        *,
        format_: str | None = None,
        description: str | None = "later",
        pay: PayOptions | None = None,
        engine: str = "local",
    ) -> None:
        self._named, self._out, self._console, self._options = named, out, console, options
        self.seeds = options.seeds
        mistakes.check_quoting(named)
        if self.seeds > 1 and engine != "local":
            raise UsageError("--seeds is for this machine", "Leave --engine out, or give a job table with seeds")
        self._pay = pay or PayOptions(sandbox=True)
        undescribed = UsageError("run needs a scene description", 'Give -d "on a marble table, soft morning light"')
        if not description and not any(map(is_table, named)):
            raise undescribed
        if "-" in named and self._pay.key_stdin:
            problem = "both the photo and the key would come from standard input"
            raise UsageError(problem, "Use --key-file or PHOTIO_API_KEY")
        self.items: list[Item] = []
        self._names = RecordedNames(out, format_, self.seeds)
        if options.watch:
            self._refuse_unwatchable(engine)
            return
        self.items = list(islice(self._expand(console.skip_input, bool(description)), options.limit))
        if options.limit is not None:
            count = len(self.items)
            console.info(f"rehearsal: the first {count} {'photo' if count == 1 else 'photos'} only")
        if pay is None and any(item.job and item.job.presets for item in self.items):
            console.info("the table's presets are made by `run`; after `generate`, name them with `finish --preset`")
        for item in self.items:
            if not (description or item.options.description):
                undescribed.about(item.name)
                raise undescribed

    def _expand(self, on_skip: OnSkip, described: bool = True) -> Iterator[Item]:
        return inputs.expand_inputs(
            self._named,
            self._out,
            passed_over=on_skip,
            described=described,
            names=self._names,
            check_preset=presets.find_preset,
        )

    def quote(self, description: str, guard: SpendingGuard) -> None:
        """Print what it will cost at most before it starts; ask before a big one."""
        if not self._options.watch:
            quote_items(self.items, self.seeds, description, self._out, self._pay, self._console, guard)
        elif not self._pay.sandbox and self._pay.max_calls is not None:
            payment.quote(self._pay.max_calls, 0, self._pay, self._console, guard, at_most=True)

    def batches(self, stopped: Callable[[], bool] = lambda: False) -> Iterator[list[Item]]:
        """All photos at once; with --watch a few at a time, as they arrive, until `stopped`."""
        if not self._options.watch:
            yield self.items
            return
        reported: set[tuple[str, str]] = set()

        def report_once(why: PhotoRefused, by_choice: bool) -> None:
            kind = why.subject, re.sub(r"\d+", "", why.problem)
            empty = not by_choice and why.subject in self._named  # which is fine here
            if not empty and kind not in reported:
                reported.add(kind)
                self._console.skip_input(why, by_choice)

        settle = self._options.settle
        nothing = "" if any(True for _ in self._expand(lambda *_: None)) else ", where no photo is yet"
        self._console.info(
            f"watching {', '.join(self._named)}{nothing}: a photo is taken when it stood still for {settle:g} s;"
            " Ctrl-C ends"
        )
        yield from hot_folder.iter_settled(lambda: self._expand(report_once), stopped, quiet=settle)

    def expand_variants(self, orders: Iterable[Order]) -> Iterable[Order]:
        """The orders with those of their other seeds."""
        return choose.expand_variants(orders, self.seeds)

    def _refuse_unwatchable(self, engine: str) -> None:
        for name in self._named:
            if "://" in name or (os.path.lexists(name) and not Path(name).is_dir()):
                raise UsageError("--watch is for folders and quoted patterns", "Name a folder", subject=name)
            if not os.path.lexists(name) and not folders.is_pattern(name):
                raise UsageError("no such folder", suggest_name(Path(name)), subject=name)
        if self._options.limit is not None:
            raise UsageError("--watch and --limit exclude each other", "Give one of them")
        if engine != "local":
            raise UsageError("--watch is for this machine", "Leave --engine out")
        if self._pay.max_calls is None and not self._pay.sandbox:
            raise UsageError("--watch pays for whatever comes", "Give --max-calls N, the most that it may pay for")


def quote_items(
    items: list[Item], seeds: int, description: str, out: Path, pay: PayOptions, console: Console, guard: SpendingGuard
) -> None:
    """Print what these photos will cost at most; ask before many.

    Answered orders are counted by name only: a photo or an option that changed is a new call after all.
    """
    names = [(item.name, (item.options.description or description).strip()) for item in items]
    answered = index.index_of(out / "orders").refresh().count_answered(names, guard.endpoint)
    payment.quote(len(items) * seeds, answered, pay, console, guard, at_most=True)
