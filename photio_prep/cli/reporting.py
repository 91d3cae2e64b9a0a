"""The end of a command: print totals, write the report and the results of job tables."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from photio_prep import review
from photio_prep.batch.report import CSV, JSON, RunReport, results_paths
from photio_prep.cli.console import Console
from photio_prep.errors import OutputExists, StorageFailed, of_photo
from photio_prep.final import choose
from photio_prep.intake import own_files
from photio_prep.intake.item import Item
from photio_prep.orders.state import State


def start_report(console: Console, command: str, price: float | None = None) -> None:
    """Report everything that `console` prints from now on."""
    console.report = RunReport(command, price)


def refuse_foreign(out: Path, items: Sequence[Item] = (), seeds: int = 1, *, overwrite: bool) -> None:
    """Raise OutputExists, before anything is paid for, if a foreign file has the name of a report, page or sheet."""
    sheets = [choose.sheet_path(out, item.output) for item in items] if seeds > 1 else []
    for path in [out / JSON, out / CSV, out / review.NAME, *results_paths(out, items).values(), *sheets]:
        own_files.check_not_foreign(path, overwrite=overwrite)


@contextmanager
def print_error(console: Console) -> Iterator[None]:
    """Print an error that ends the command, once the report has lines, so that it is still written; else raise it."""
    try:
        yield
    except Exception as error:
        if not console.report.lines:
            raise
        console.error(of_photo(error))


def close(
    console: Console, out: Path | None, items: Sequence[Item] = (), seeds: int = 1, *, overwrite: bool = False
) -> int:
    """Print totals, write the report below `out` (`items` with `seeds` variants each) and return the exit code.

    A report that cannot be written is a warning if the command has failed already, else an error.
    """
    report = console.report
    if pending := report.add_pending(items, console.exit_code, seeds):
        console.states[State.PLANNED] = console.states.get(State.PLANNED, 0) + pending
    console.summary()
    if out is None or not report.lines:
        return console.exit_code
    if len(report.lines) > 1:
        for line in report.table():
            console.info(line)
    try:
        report.write(out, console.exit_code, overwrite=overwrite)
        paths = [out / JSON, *report.write_results(out, items, seeds, overwrite=overwrite)]
        if len(report.lines) > 1 or len(paths) > 1:
            console.info(f"report: {', '.join(map(str, paths))}")
    except (StorageFailed, OutputExists) as error:
        if any(console.codes):
            console.info(f"warning: the report cannot be written: {error}")
        else:
            console.error(error)
    return console.exit_code
