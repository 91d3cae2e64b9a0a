"""sample: write the photo that comes with the package."""

from importlib import resources
from pathlib import Path

import click

from photio_prep.cli import options
from photio_prep.cli.console import Console
from photio_prep.errors import OutputExists
from photio_prep.system import files

# fixtures/photos/bottle.jpg: rendered by this project; the wheel carries a copy (pyproject.toml, force-include).
PACKAGED = "sample.jpg"
CHECKOUT = Path(__file__).parents[2] / "fixtures" / "photos" / "bottle.jpg"


@click.command("sample")
@click.argument("file", type=click.Path(path_type=Path), default=Path("sample.jpg"))
@options.console_options
def sample_command(file: Path, console: Console) -> int:
    """Write a sample product photo to FILE (default: sample.jpg). Replaces nothing. Prints the path."""
    try:
        files.write_atomic(file, sample_photo(), overwrite=False)
    except FileExistsError as error:
        raise OutputExists("the file exists", "Name another file", subject=str(file)) from error
    if console.as_json:
        console.line({"photo": str(file)})
    else:
        console.out(str(file))
    return console.exit_code


def sample_photo() -> bytes:
    """Return the JPEG from the package, or from the checkout in an editable installation."""
    packaged = resources.files("photio_prep") / PACKAGED
    return packaged.read_bytes() if packaged.is_file() else CHECKOUT.read_bytes()
