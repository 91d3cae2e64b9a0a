"""keep: which number of a sweep of seeds becomes the photo's final."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from photio_prep import sweeps
from photio_prep.cli import options
from photio_prep.cli.talk import Talk
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


def show(finals: Iterable[Path], talk: Talk) -> None:
    """A contact sheet for each sweep that these finals are of."""
    for folder in sorted({each.parent for each in finals if sweeps.is_sweep(each)}):
        talk.say(f"contact sheet: {sweeps.sheet(folder)}; keep one with: photio-prep keep PHOTO NUMBER")
