"""The photos of a command: what its inputs name, the first of them, or what comes into a folder."""

import math
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Literal

import click

from photio_prep.api.spending_guard import SpendingGuard
from photio_prep.batch.workers import RAY_WORKERS, WORKERS
from photio_prep.cli import mistakes, payment, reporting
from photio_prep.cli.console import Console
from photio_prep.cli.parsing import Number, option, several, typed
from photio_prep.cli.review import offer_review
from photio_prep.errors import PhotoRefused, UsageError
from photio_prep.intake import folders, hot_folder, inputs
from photio_prep.intake.item import Item, OnSkip
from photio_prep.intake.table_reader import is_table
from photio_prep.marketplaces import presets
from photio_prep.options import JobOptions
from photio_prep.orders import index
from photio_prep.orders.output_names import RecordedNames
from photio_prep.orders.recall import is_asked_again
from photio_prep.system.near_name import suggest_name
from photio_prep.system.ranges import Range


@dataclass(frozen=True, slots=True)
class ChoiceOptions:
    """Which photos of the inputs, how many orders of each, how many processes prepare them, and where `run` works."""

    limit: int | None = None
    seeds: int = 1
    watch: bool = False
    settle: float = 2.0
    workers: int | None = None
    engine: Literal["local", "ray"] = "local"
    ray_address: str | None = None


argument = click.argument("inputs_", metavar="INPUT...", nargs=-1, required=True)
_LIMIT = Number(Range(1, math.inf))
_choosing = several(
    option("--limit", "A rehearsal: only the first N photos.", old="--first", type=_LIMIT, metavar="N"),
    option(
        "--seeds",
        "Number of variants per photo, each with its own seed.",
        type=Number(Range(1, 64)),
        show_default=False,
        group="Scene",
        metavar="N",
    ),
    option("--watch", "Go on with what comes into the folders, until Ctrl-C."),
    option(
        "--settle",
        "With --watch: seconds a file must be unchanged before it is used.",
        type=Number(Range(0.1, 3600, whole=False)),
        metavar="SECONDS",
    ),
    option(
        "--workers",
        "Prepare in N processes instead of threads, at most two a core; with one a core, `run` makes the finals"
        " in them too. With --engine ray: its workers. [2]",
        type=Number(RAY_WORKERS),
        metavar="N",
        group="Other",
    ),
    group="Photo",
)
options = typed("choose", ChoiceOptions, _choosing)
options_with_engine = typed(
    "choose",
    ChoiceOptions,
    _choosing,
    option("--engine", "ray: on the workers of Ray Data, here or on a cluster."),
    option("--ray-address", "Address of a running Ray. [one is started here]", metavar="ADDRESS"),
)


class Choice:
    """The photos of one command; its job tables have no mistakes.

    `items` are the photos known now: none with --watch, whose photos come in `batches`. `seeds` is the number of orders
    of each. Where the command `pays`, each photo needs a scene, from the options or its row. Raises every mistake of
    inputs, job tables and options, and OutputExists where a report, page or contact sheet would replace a foreign file.
    """

    def __init__(
        self, named: tuple[str, ...], job: JobOptions, options: ChoiceOptions, console: Console, *, pays: bool = True
    ) -> None:
        self._named, self.job, self.options, self.console = named, job, options, console
        self.seeds, description = options.seeds, job.prepare.description or not pays
        mistakes.check_quoting(named)
        if options.workers and options.engine == "local":
            WORKERS.check("--workers", options.workers, "at most two a core")
        if self.seeds > 1 and options.engine != "local":
            raise UsageError("--seeds is for this machine", "Leave --engine out, or give a job table with seeds")
        undescribed = UsageError("run needs a scene description", 'Give -d "on a marble table, soft morning light"')
        if not description and not any(map(is_table, named)):
            raise undescribed
        if "-" in named and job.pay.key_stdin:
            problem = "both the photo and the key would come from standard input"
            raise UsageError(problem, "Use --key-file or PHOTIO_API_KEY")
        self.items: list[Item] = []
        self._names = RecordedNames(job.output.out, job.finish.format, self.seeds)
        if options.watch:
            self._refuse_unwatchable(free=job.pay.sandbox or not pays)
        else:
            self.items = list(islice(self._expand(console.skip_input, bool(description)), options.limit))
            if options.limit is not None:
                count = len(self.items)
                console.info(f"rehearsal: the first {count} {'photo' if count == 1 else 'photos'} only")
            if not pays and any(item.job and item.job.presets for item in self.items):
                console.info(
                    "the table's presets are made by `run`; after `generate`, name them with `finish --preset`"
                )
            for item in self.items:
                if not (description or item.options.description):
                    raise undescribed.about(item.name)
        reporting.refuse_foreign(job.output.out, self.items, self.seeds if pays else 1, overwrite=job.output.overwrite)

    def close(self) -> int:
        """Write the review page and the report, print totals; returns the exit code."""
        output = self.job.output
        offer_review(output.out, self.console, overwrite=output.overwrite)
        return reporting.close(self.console, output.out, self.items, self.seeds, overwrite=output.overwrite)

    def _expand(self, on_skip: OnSkip, described: bool = True) -> Iterator[Item]:
        return inputs.expand_inputs(
            self._named,
            self.job.output.out,
            passed_over=on_skip,
            described=described,
            names=self._names,
            check_preset=presets.find_preset,
        )

    def quote(self, guard: SpendingGuard) -> None:
        """Print what it will cost at most before it starts; ask before a big one.

        Answered orders are counted by their names and options: a photo whose bytes changed is a new call after all.
        """
        job, calls, answered = self.job, len(self.items) * self.seeds, 0
        if not self.options.watch:
            orders = index.index_of(job.orders).refresh()
            for item in self.items:
                options = job.prepare.with_row(item.options)
                data = item.source if isinstance(item.source, bytes) else None
                is_asked = partial(is_asked_again, options=options, endpoint=guard.endpoint, data=data)
                answered += orders.is_answered(item.name, is_asked)
        elif job.pay.sandbox or job.pay.max_calls is None:
            return
        else:
            calls = job.pay.max_calls
        payment.quote(calls, answered, job.pay, self.console, guard, at_most=True)

    def batches(self, stopped: Callable[[], bool] = lambda: False) -> Iterator[list[Item]]:
        """All photos at once; with --watch a few at a time, as they arrive, until `stopped`."""
        if not self.options.watch:
            yield self.items
            return
        reported: set[tuple[str, str]] = set()

        def report_once(why: PhotoRefused, by_choice: bool) -> None:
            kind = why.subject, re.sub(r"\d+", "", why.problem)
            empty = not by_choice and why.subject in self._named  # which is fine here
            if not empty and kind not in reported:
                reported.add(kind)
                self.console.skip_input(why, by_choice)

        settle = self.options.settle
        nothing = "" if any(True for _ in self._expand(lambda *_: None)) else ", where no photo is yet"
        self.console.info(
            f"watching {', '.join(self._named)}{nothing}: a photo is taken when it stood still for {settle:g} s;"
            " Ctrl-C ends"
        )
        yield from hot_folder.iter_settled(lambda: self._expand(report_once), stopped, quiet=settle)

    def _refuse_unwatchable(self, *, free: bool) -> None:
        for name in self._named:
            if "://" in name or (os.path.lexists(name) and not Path(name).is_dir()):
                raise UsageError("--watch is for folders and quoted patterns", "Name a folder", subject=name)
            if not os.path.lexists(name) and not folders.is_pattern(name):
                raise UsageError("no such folder", suggest_name(Path(name)), subject=name)
        if self.options.limit is not None:
            raise UsageError("--watch and --limit exclude each other", "Give one of them")
        if self.options.engine != "local":
            raise UsageError("--watch is for this machine", "Leave --engine out")
        if self.job.pay.max_calls is None and not free:
            raise UsageError("--watch pays for whatever comes", "Give --max-calls N, the most that it may pay for")
