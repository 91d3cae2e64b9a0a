"""review: the page to look at, contact sheets, and what the decisions made in the page mean for `generate`."""

from pathlib import Path

import click

from photio_prep.cli import options
from photio_prep.cli.console import Talk
from photio_prep.errors import PhotioError, UsageError
from photio_prep.orders import state as states
from photio_prep.orders.state import State
from photio_prep.orders.store import Order
from photio_prep.review import decisions, write_contact_sheets, write_review
from photio_prep.review.decisions import Word


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path), default=Path("photio-out"))
@click.option(
    "-o", "--out", "output", type=click.Path(path_type=Path, dir_okay=False), help="The page. [DIR/review.html]"
)
@click.option("--embed", is_flag=True, help="One file, with small copies of the pictures in it.")
@click.option("--sheet", type=click.Path(path_type=Path, dir_okay=False), help="A contact sheet too: FILE.png.")
@options.replacing
@click.option("--open", "open_", is_flag=True, help="Open the page in the browser.")
@click.option("--price", type=click.FloatRange(0, 1000), default=None, metavar="X", help="Of one call, for the costs.")
@options.talking
def review(
    folder: Path,
    output: Path | None,
    embed: bool,
    sheet: Path | None,
    overwrite: bool,
    open_: bool,
    price: float | None,
    talk: Talk,
) -> int:
    """A static page to look at: each photo, what will be or was sent, and what came of it. Prints its path.

    Approve and reject in the page, save decisions.json, and pay for what is approved:
    `photio-prep generate DIR --approved decisions.json`. The page works from file://, holds no key and talks to nobody.
    """
    if not folder.exists():
        raise UsageError(
            "nothing is there yet", "Run prepare or run first, or name an output folder", subject=str(folder)
        )
    if sheet is not None and sheet.suffix.lower() != ".png":
        raise UsageError(f"{sheet.name!r} is no PNG", "Name the sheet FILE.png", subject="--sheet")
    made = write_review(folder, output, embed=embed, price=price, overwrite=overwrite)
    paths = {
        "page": [made],
        "sheet": write_contact_sheets(folder, sheet, overwrite=overwrite) if sheet is not None else [],
    }
    for kind, found in paths.items():
        for path in found:
            if talk.as_json:
                talk.line({kind: str(path)})
            else:
                talk.out(str(path))
    if open_ and not _opened(made):
        talk.say(f"no browser was found; open {made} yourself")
    return talk.exit_code


def _opened(path: Path) -> bool:
    import webbrowser

    return webbrowser.open(path.resolve().as_uri())


class Decided:
    """The user's decisions, and what becomes of the orders that `generate` finds.

    Raises:
        UsageError: The file is not as the page writes it, or approves an order that is not there.
    """

    def __init__(self, file: Path, found: list[Path], talk: Talk) -> None:
        self._decisions, gone = decisions.read(file, found)
        self._talk = talk
        self._told: set[str] = set()
        for key in gone:
            talk.say(f"note: {file} rejects order {key[:32]}, which is not there")

    def allows(self, order: Order, old: Order) -> bool:
        """Whether `order`, made of `old`, may be paid for; one that may not is listed, and stays planned.

        What is answered already costs nothing, so nothing holds it back.
        """
        word = self._decisions.word(order, old)
        if word is Word.APPROVED:
            return True
        folder = order.folder or old.folder
        state = states.state(folder) if folder else State.PLANNED
        if state in states.ANSWERED and order is old:
            return True
        if order.key not in self._told:
            self._told.add(order.key)
            self._talk.held_back(order if order.folder else old, state, word)
        return False


# Up to so many orders `prepare` and `run` make the page anew at their end; measurements/review.md has the cost.
MOST = 300


def offer(out: Path, talk: Talk, *, overwrite: bool = False) -> None:
    """Make the page of a small output folder and say where it lies; of a big one, say how to make it.

    A page is no result: what goes wrong with it is said, and changes no exit code.
    """
    if talk.quiet:
        return
    count = sum(1 for _ in (out / "orders").glob("*/order.json"))
    if count > MOST:
        talk.say(f"look at it: photio-prep review {out}")
    elif count:
        try:
            talk.say(f"look at it: {write_review(out, overwrite=overwrite)}")
        except (PhotioError, OSError) as error:
            talk.say(f"note: the review page could not be made: {error}")
