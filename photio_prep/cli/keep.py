"""keep: which of a photo's variants becomes its final."""

import shlex
from collections.abc import Iterable
from pathlib import Path

import click

from photio_prep.cli import options
from photio_prep.cli.console import Console
from photio_prep.cli.finals import FinalWriter
from photio_prep.cli.parsing import option
from photio_prep.errors import PhotioError
from photio_prep.final import choose
from photio_prep.final.options import DEFAULT_FINISH
from photio_prep.options import OutputOptions
from photio_prep.orders.state import State

# Contact sheets that are printed; the others are counted.
_EXAMPLES = 3


@click.command("keep")
@click.argument("photo", metavar="PHOTO|ORDER")
@click.argument("number", type=click.IntRange(min=1))
@options.output(
    options.out,
    options.marketplaces,
    option("--overwrite", "Replace a file that lies where the final goes."),
)
@options.console_options
def keep_command(photo: str, number: int, output: OutputOptions, console: Console) -> int:
    """Make one variant (`run --seeds 4`) the photo's final. Free; another number may be kept later.

    PHOTO is named as it was in the run, or by its final below --out; or name any ORDER of its variants. Makes the files
    of the --preset that the run was given, or of those given here. Prints the final, and each of these files.
    """
    finals = FinalWriter(DEFAULT_FINISH, output, console)
    variant = choose.keep_variant(photo, number, output.out, overwrite=output.overwrite)
    for note in variant.notes:
        console.info(f"note: {variant.order.origin.source}: {note}")
    if not output.presets:
        origin = variant.order.origin
        finals.choose(origin.source, origin.base, variant.presets)
    finals.print_result(variant.order, State.FINISHED, output.out, final=variant.final)
    return console.exit_code


def show_sheets(bases: Iterable[str], root: Path, out: Path, console: Console, *, overwrite: bool = False) -> None:
    """Write a contact sheet below `out` for each photo with variants, by its final's place; print how to keep one.

    `root` is the output folder that holds their orders.
    """
    sheets = 0
    for base in sorted(bases):
        try:
            sheet = choose.contact_sheet(root, base, out, overwrite=overwrite)
        except PhotioError as error:  # the finals are written in any case
            console.error(error)
            continue
        sheets += sheet is not None
        if sheet is not None and sheets <= _EXAMPLES:
            end = "-- " if base.startswith("-") else ""
            command = f"photio-prep keep -o {shlex.quote(str(root))} {end}{shlex.quote(base)} 1"
            console.info(f"contact sheet: {sheet}; to keep number 1: {command}")
    if sheets > _EXAMPLES:
        console.info(f"{sheets - _EXAMPLES} more contact sheets below {out}")
