"""keep: which number of a sweep of seeds becomes the photo's final."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from photio_prep import sweeps
from photio_prep.cli import options
from photio_prep.cli.talk import Talk
from photio_prep.errors import PhotioError
from photio_prep.orders import Order
from photio_prep.states import State


@click.command()
@click.argument("photo", metavar="PHOTO|ORDER")
@click.argument("number", type=click.IntRange(min=1))
@options.out
@click.option("--overwrite", is_flag=True, help="Replace a file that lies where the final goes.")
@options.talking
def keep(photo: str, number: int, out: Path, overwrite: bool, **given: Any) -> int:  # noqa: ANN401
    """Make one number of a sweep (`run --seeds 4`) the photo's final. Free; another number may be kept later.

    PHOTO is named as it was in the run, or by its final below --out; or name any ORDER of the sweep. Prints the final.
    """
    talk = Talk(**given)
    order, path = sweeps.keep(photo, number, out, overwrite=overwrite)
    talk.done(order, State.FINISHED, final=path)
    return talk.exit_code


def note(found: dict[Path, str], order: Order, final: Path, out: Path) -> None:
    """Add the folder of a sweep's final to those `found`, with the command that keeps one; its orders lie in `out`."""
    if sweeps.is_sweep(final):
        name = sweeps.alone(order.origin.output)
        end = "-- " if name.startswith("-") else ""
        found[final.parent] = f"photio-prep keep -o {shlex.quote(str(out))} {end}{shlex.quote(name)} 1"


def show(found: Mapping[Path, str], talk: Talk, *, overwrite: bool = False) -> None:
    """A contact sheet for each sweep that was noted."""
    for folder, keeping in sorted(found.items()):
        try:
            place = sweeps.sheet(folder, overwrite=overwrite)
        except PhotioError as error:  # the finals are there all the same
            talk.fail(error)
            continue
        talk.say(f"contact sheet: {place}; to keep number 1: {keeping}")
