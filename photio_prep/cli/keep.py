"""keep: which of a photo's variants becomes its final."""

import click

from photio_prep.cli import options
from photio_prep.cli.console import Console
from photio_prep.cli.finals import FinalWriter
from photio_prep.cli.parsing import option
from photio_prep.final import choose
from photio_prep.final.options import DEFAULT_FINISH
from photio_prep.options import OutputOptions
from photio_prep.orders.state import State


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
