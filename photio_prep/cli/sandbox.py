"""sandbox: serve the local stand-in of the Instant API."""

import click

from photio_prep.cli import options
from photio_prep.cli.console import Console


@click.command("sandbox")
@click.option("--port", type=click.IntRange(0, 65535), default=8787, show_default=True, help="0 takes any free one.")
@click.option("--latency", type=float, default=0.0, show_default=True, help="Seconds before each answer.")
@click.option("--fault", "faults", default=None, metavar="SPEC", help="Misbehave, for instance 429:3,drop:1.")
@options.console_options
def sandbox_command(port: int, latency: float, faults: str | None, console: Console) -> int:
    """A local stand-in of the Instant API over real HTTP on this machine, until Ctrl-C. Prints its URL."""
    from photio_prep.sandbox import Call, serve

    def ready(url: str) -> None:
        console.out(url)
        console.info(f"use it: PHOTIO_API_URL={url} PHOTIO_API_KEY=pt-sandbox photio-prep run PHOTO -d TEXT")

    def report(call: Call) -> None:
        charged = "charged" if call.charged else "not charged"
        fault = f", fault {call.fault}" if call.fault else ""
        console.info(f"call {call.number}: {call.status or 'no answer'}, {charged}, seed {call.seed}{fault}")

    totals = serve(port, latency=latency, faults=faults, on_ready=ready, on_call=report)
    console.info(f"{totals.calls} calls, {totals.charges} charged")
    return console.exit_code
