"""Which photos a command is about: what its inputs name, the first of it, or what comes into a folder."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import click

from photio_prep.api.spending_guard import SpendingGuard
from photio_prep.cli import payment as paying_
from photio_prep.cli.console import Console
from photio_prep.cli.options import Renamed, typed
from photio_prep.errors import PhotoRefused, UsageError
from photio_prep.final import choose
from photio_prep.intake import hot_folder, inputs
from photio_prep.intake.item import Item
from photio_prep.intake.job_table import is_table
from photio_prep.marketplaces import presets
from photio_prep.orders import index, paid_before
from photio_prep.orders.options import PayOptions
from photio_prep.orders.recorded import RecordedNames
from photio_prep.orders.store import Order


@dataclass(frozen=True, slots=True)
class ChoiceOptions:
    """Which photos of the inputs, and how many orders of each."""

    limit: int | None = None
    seeds: int = 1
    watch: bool = False
    settle: float = 2.0


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Where `run` works: on this machine, or on the workers of Ray."""

    engine: str = "local"
    ray_address: str | None = None
    workers: int = 2


options = typed(
    "choose",
    ChoiceOptions,
    click.option(
        "--limit",
        cls=Renamed,
        old="--first",
        type=click.IntRange(min=1),
        default=None,
        metavar="N",
        help="A rehearsal: only the first N photos.",
    ),
    click.option(
        "--seeds",
        type=click.IntRange(1, 64),
        default=1,
        metavar="N",
        help="Number of variants per photo, each with its own seed.",
    ),
    click.option("--watch", is_flag=True, help="Go on with what comes into the folders, until Ctrl-C."),
    click.option(
        "--settle",
        type=click.FloatRange(0.1, 3600),
        default=2.0,
        show_default=True,
        metavar="SECONDS",
        help="With --watch: seconds a file must be unchanged before it is used.",
    ),
)
engine = typed(
    "engine",
    EngineOptions,
    click.option(
        "--engine",
        type=click.Choice(["local", "ray"]),
        default="local",
        show_default=True,
        help="ray: on the workers of Ray Data, here or on a cluster.",
    ),
    click.option(
        "--ray-address", default=None, metavar="ADDRESS", help="Address of a running Ray. [one is started here]"
    ),
    click.option(
        "--workers",
        type=click.IntRange(1, 4096),
        default=2,
        show_default=True,
        metavar="N",
        help="Workers of Ray that prepare.",
    ),
)


class Choice:
    """The photos of one command, all job tables found to be without a mistake.

    `items` are those that are known now; with --watch none are, and they come in `batches`. `seeds` is how many orders
    each gets.

    Args:
        named: The inputs.
        out: The output folder; it is left out of the inputs.
        console: Prints what is left out.
        options: Which photos.
        format_: Of the finals.
        description: The scene that photos get whose row names none; without one, each must have its own.
        pay: The options of a verb that pays.
        engine: Where it runs.

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
        if self.seeds > 1 and engine != "local":
            raise UsageError("--seeds is for this machine", "Leave --engine out, or give a job table with seeds")
        self._pay = pay or PayOptions(sandbox=True)
        undescribed = UsageError("run needs a scene description", 'Give -d "on a marble table, soft morning light"')
        if not description and not any(map(is_table, named)):
            raise undescribed
        if "-" in named and self._pay.key_stdin:
            found = "both the photo and the key would come from standard input"
            raise UsageError(found, "Use --key-file or PHOTIO_API_KEY")
        self.items: list[Item] = []
        self._names = RecordedNames(out, format_, self.seeds)
        if options.watch:
            self._refuse_unwatchable(engine)
            return
        expanded = inputs.expand_inputs(
            named,
            out,
            passed_over=console.skip_input,
            described=bool(description),
            names=self._names,
            check_preset=presets.find_preset,
        )
        self.items = list(islice(expanded, options.limit))
        if options.limit is not None:
            count = len(self.items)
            console.info(f"rehearsal: the first {count} {'photo' if count == 1 else 'photos'} only")
        if pay is None and any(item.job and item.job.presets for item in self.items):
            console.info("the table's presets are made by `run`; after `generate`, name them with `finish --preset`")
        for item in self.items:
            if not (description or item.options.description):
                undescribed.about(item.name)
                raise undescribed

    def quote(self, description: str, guard: SpendingGuard) -> None:
        """Say what it will cost at most before it starts; ask before a big one."""
        if self._options.watch:
            if not self._pay.sandbox and self._pay.max_calls is not None:
                paying_.quote(self._pay.max_calls, 0, self._pay, self._console, guard, at_most=True)
            return
        # By name only: a photo or an option that changed is a new call after all.
        asked = [(item.name, (item.options.description or description).strip()) for item in self.items]
        known = paid_before.count_answered(asked, guard.endpoint, index.index_of(self._out / "orders"))
        paying_.quote(len(self.items) * self.seeds, known, self._pay, self._console, guard, at_most=True)

    def batches(self, stopped: Callable[[], bool] = lambda: False) -> Iterator[list[Item]]:
        """All photos at once; with --watch a few at a time, as they arrive, until `stopped`."""
        if not self._options.watch:
            yield self.items
            return
        reported = set(self._named)  # an empty folder is fine here

        def once(why: PhotoRefused, by_choice: bool) -> None:
            if why.subject not in reported:
                reported.add(why.subject)
                self._console.skip_input(why, by_choice)

        def look() -> Iterable[Item]:
            return inputs.expand_inputs(
                self._named, self._out, passed_over=once, names=self._names, check_preset=presets.find_preset
            )

        where = ", ".join(self._named)
        self._console.info(
            f"watching {where}: a photo is taken when it stood still for {self._options.settle:g} s; Ctrl-C ends"
        )
        yield from hot_folder.iter_settled(look, stopped, quiet=self._options.settle)

    def spread(self, made: Iterable[Order]) -> Iterable[Order]:
        """The orders with those of their other seeds."""
        return choose.expand_variants(made, self.seeds)

    def _refuse_unwatchable(self, engine: str) -> None:
        for each in self._named:
            if not (Path(each).is_dir() or any(sign in each for sign in "*?[")):
                raise UsageError("--watch is for folders and quoted patterns", "Name a folder", subject=each)
        if self._options.limit is not None:
            raise UsageError("--watch and --limit exclude each other", "Give one of them")
        if engine != "local":
            raise UsageError("--watch is for this machine", "Leave --engine out")
        if self._pay.max_calls is None and not self._pay.sandbox:
            raise UsageError("--watch pays for whatever comes", "Give --max-calls N, the most that it may pay for")
