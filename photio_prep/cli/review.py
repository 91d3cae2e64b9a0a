"""review: write the review page and contact sheets; apply the decisions of the page in `generate`."""

from pathlib import Path

import click

from photio_prep.cli import options
from photio_prep.cli.console import Console
from photio_prep.cli.parsing import PATH, option
from photio_prep.cli.status import require_folder
from photio_prep.errors import PhotioError, UsageError
from photio_prep.orders.folder import OrderFolder
from photio_prep.orders.state import ANSWERED, State
from photio_prep.orders.store import Order
from photio_prep.review import decisions, write_contact_sheets, write_review
from photio_prep.system.parallel import trim_malloc

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("review")
@click.argument("folder", metavar="DIR", type=PATH, default=Path("photio-out"))
@option("-o --out output", "The page. [DIR/review.html]", type=_FILE)
@option("--embed", "One file, with small copies of the pictures in it.")
@option("--sheet", "A contact sheet too: FILE.png.", type=_FILE)
@options.replacing
@option("--open open_", "Open the page in the browser.")
@options.price
@options.console_options
def review_command(
    folder: Path,
    output: Path | None,
    embed: bool,
    sheet: Path | None,
    overwrite: bool,
    open_: bool,
    price: float | None,
    console: Console,
) -> int:
    """A static page to look at: each photo, what will be or was sent, and what came of it. Prints its path.

    Approve and reject in the page, save decisions.json, and pay for what is approved:
    `photio-prep generate DIR --approved decisions.json`. The page works from file://, holds no key and talks to nobody.
    """
    require_folder(folder)
    if sheet is not None and sheet.suffix.lower() != ".png":
        raise UsageError(f"{sheet.name!r} is not a PNG", "Name the sheet FILE.png", subject="--sheet")
    page = write_review(folder, output, embed=embed, price=price, overwrite=overwrite)
    console.show(str(page), {"page": str(page)})
    for path in write_contact_sheets(folder, sheet, overwrite=overwrite) if sheet is not None else ():
        console.show(str(path), {"sheet": str(path)})
    if open_:
        import webbrowser

        if not webbrowser.open(page.resolve().as_uri()):
            console.info(f"no browser was found; open {page} yourself")
    return console.exit_code


class Approval:
    """The decisions of the review page, applied to the orders of `generate`; raises as `load_decisions`."""

    def __init__(self, file: Path, folders: list[Path], console: Console) -> None:
        self._decisions, missing = decisions.load_decisions(file, folders)
        self._console = console
        self._printed: set[str] = set()
        for key in missing:
            console.info(f"note: {file} rejects order {key[:32]}, which does not exist")

    def allows(self, order: Order, old: Order) -> bool:
        """Whether `order`, made of `old`, may be paid for; prints one that may not.

        An answered order is always allowed: it costs nothing.
        """
        decision = self._decisions.decide(order, old)
        if decision is decisions.Decision.APPROVED:
            return True
        folder = order.folder or old.folder
        state = OrderFolder(folder).state if folder else State.PLANNED
        if state in ANSWERED and order is old:
            return True
        if order.key not in self._printed:
            self._printed.add(order.key)
            self._console.skip_unapproved(order if order.folder else old, state, decision)
        return False


# Up to this number of orders `prepare` and `run` write the page at their end; measurements/review.md has the cost.
MOST = 300


def offer_review(out: Path, console: Console, *, overwrite: bool = False) -> None:
    """Write the page of a small output folder and print its path; of a big one, print the command that writes it.

    A failure is printed as a note and does not change the exit code.
    """
    if console.quiet:
        return
    count = sum(1 for _ in (out / "orders").glob("*/order.json"))
    if count > MOST:
        console.info(f"look at it: photio-prep review {out}")
    elif count:
        trim_malloc()  # of the finals: the page, too, reads pictures
        try:
            console.info(f"look at it: {write_review(out, overwrite=overwrite)}")
        except (PhotioError, OSError) as error:
            console.info(f"note: the review page could not be made: {error}")
