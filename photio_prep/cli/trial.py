"""sample and sandbox: a photo and a stand-in of the API, to try the other verbs with."""

from contextlib import suppress
from importlib import resources
from pathlib import Path

import click

from photio_prep.cli import options
from photio_prep.cli.console import Console
from photio_prep.cli.parsing import PATH, Number, option
from photio_prep.errors import OutputExists
from photio_prep.system import files
from photio_prep.system.ranges import Range

# fixtures/photos/bottle.jpg: rendered by this project; the wheel carries a copy (pyproject.toml, force-include).
PACKAGED = "sample.jpg"
CHECKOUT = Path(__file__).parents[2] / "fixtures" / "photos" / "bottle.jpg"


@click.command("sample")
@click.argument("file", type=PATH, default=Path("sample.jpg"))
@options.console_options
def sample_command(file: Path, console: Console) -> int:
    """Write a sample product photo to FILE (default: sample.jpg). Replaces nothing. Prints the path."""
    try:
        files.write_atomic(file, read_sample(), overwrite=False)
    except FileExistsError as error:
        raise OutputExists("the file exists", "Name another file", subject=str(file)) from error
    console.show(str(file), {"photo": str(file)})
    return console.exit_code


def read_sample() -> bytes:
    """The JPEG from the package, or from the checkout in an editable installation."""
    packaged = resources.files("photio_prep") / PACKAGED
    return packaged.read_bytes() if packaged.is_file() else CHECKOUT.read_bytes()


@click.command("sandbox")
@option("--port", "0 takes any free one.", type=Number(Range(0, 65_535)), default=8787)
@option("--latency", "Seconds before each answer.", type=Number(Range(0, 3600, whole=False)), default=0.0)
@option("--fault faults", "Misbehave, for instance 429:3,drop:1.", metavar="SPEC")
@options.console_options
def sandbox_command(port: int, latency: float, faults: str | None, console: Console) -> int:
    """A local stand-in of the Instant API over real HTTP on this machine, until Ctrl-C. Prints its URL."""
    from photio_prep.sandbox import Call, Sandbox

    def report(call: Call) -> None:
        charged = "charged" if call.charged else "not charged"
        fault = f", fault {call.fault}" if call.fault else ""
        console.info(f"call {call.number}: {call.status or 'no answer'}, {charged}, seed {call.seed}{fault}")

    with Sandbox(port=port, latency=latency, faults=faults, on_call=report) as sandbox, suppress(KeyboardInterrupt):
        console.out(sandbox.url)
        console.info(f"use it: PHOTIO_API_URL={sandbox.url} PHOTIO_API_KEY=pt-sandbox photio-prep run PHOTO -d TEXT")
        while not sandbox.wait(3_600):
            pass
    console.info(f"{sandbox.calls} calls, {sandbox.charges} charged")
    return console.exit_code
