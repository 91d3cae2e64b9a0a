"""resolve: record what the user knows about orders whose outcome is unknown."""

from pathlib import Path

import click

from photio_prep.cli import options
from photio_prep.cli.console import Console
from photio_prep.errors import PhotioError
from photio_prep.orders import state as states
from photio_prep.orders import store


@click.command("resolve")
@click.argument("folders", metavar="ORDER...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--as", "word", type=click.Choice(["retry", "lost"]), required=True, help="retry: pay (again). lost: give up."
)
@options.console_options
def resolve_command(folders: tuple[Path, ...], word: str, console: Console) -> int:
    """Say what became of orders whose outcome is unknown.

    `retry` makes the order planned again: the next `generate` or `run` pays for it, perhaps a second time.
    `lost` gives it up. Either way the lost call stays counted as perhaps billed.
    """
    for folder in folders:
        try:
            order = store.load_order(folder)
            states.resolve_unknown(folder, retry=word == "retry")
            console.result(order, states.read_state(folder), result=folder)
        except PhotioError as error:
            console.refuse(str(folder), error)
    return console.exit_code
