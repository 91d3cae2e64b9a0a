"""The end of a command: totals for people, the report for programs, results beside the rows of job tables."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from photio_prep import review
from photio_prep.batch.report import CSV, JSON, Report, results
from photio_prep.cli.console import Talk
from photio_prep.errors import OutputExists, StorageFailed, of_photo
from photio_prep.final import choose
from photio_prep.intake import own_files
from photio_prep.intake.item import Item
from photio_prep.orders.state import State


def begin(talk: Talk, command: str, price: float | None = None) -> None:
    """From now on everything that `talk` is told goes into a report."""
    talk.report = Report(command, price)


def refuse_foreign(out: Path, items: Sequence[Item] = (), seeds: int = 1, *, overwrite: bool) -> None:
    """Do nothing where nothing of somebody else lies where reports, results, the page or a contact sheet will go.

    Raises:
        OutputExists: Something does. Called before anything is prepared or paid for.
    """
    names = [out / JSON, out / CSV, out / review.NAME, *results(out, items).values()]
    for place in names:
        own_files.refuse_foreign(place, overwrite=overwrite)
    for item in items if seeds > 1 else ():
        choose.refuse_foreign(choose.sheet_path(out, item.output), overwrite=overwrite)


@contextmanager
def kept(talk: Talk) -> Iterator[None]:
    """What ends the command is told in here, once there is anything to report: the rest must not be lost with it."""
    try:
        yield
    except Exception as error:
        if talk.report is None or not talk.report.lines:
            raise
        talk.fail(of_photo(error))


def close(talk: Talk, out: Path | None, items: Sequence[Item] = (), seeds: int = 1, *, overwrite: bool = False) -> int:
    """Say how it ended and write the report below `out`, of `items` with so many `seeds` each; the exit code.

    A report that cannot be written changes nothing of what was done: it is an error only where there is no other.
    """
    report = talk.report
    if report is not None and (left := report.rest(items, talk.exit_code, seeds)):
        talk.states[State.PLANNED] = talk.states.get(State.PLANNED, 0) + left
    talk.summary()
    if report is None or out is None:
        return talk.exit_code
    if not report.lines:
        return talk.exit_code
    if len(report.lines) > 1:
        for line in report.table():
            talk.say(line)
    try:
        report.write(out, talk.exit_code, overwrite=overwrite)
        written = [out / JSON, *report.write_results(out, items, overwrite=overwrite)]
        if len(report.lines) > 1 or len(written) > 1:
            talk.say(f"report: {', '.join(map(str, written))}")
    except (StorageFailed, OutputExists) as error:
        if any(talk.codes):
            talk.say(f"warning: the report cannot be written: {error}")
        else:
            talk.fail(error)
    return talk.exit_code
