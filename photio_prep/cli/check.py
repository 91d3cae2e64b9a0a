"""check, sandbox: verbs beside the way of a photo."""

import importlib.metadata
import platform
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import get_args

import click

from photio_prep import settings
from photio_prep.api import credentials
from photio_prep.cli import client, options
from photio_prep.cli.console import Talk
from photio_prep.cutout.models import catalog, weights
from photio_prep.cutout.models.devices import Device
from photio_prep.errors import ModelUnavailable, PhotioError
from photio_prep.system.text import escaped


@click.command()
@click.option("--model", default="auto", show_default=True, help="The model to check.")
@click.option("--device", type=click.Choice(get_args(Device)), default="auto", help="Where the model must run.")
@click.option("--api-url", default=None, metavar="URL", help="The endpoint to check.")
@click.option("--key-file", type=click.Path(path_type=Path), help="The key's file to check.")
@options.out
@options.talking
def check(model: str, device: Device, api_url: str | None, key_file: Path | None, out: Path, talk: Talk) -> int:
    """What works, what does not, and what to do. Sends nothing; costs nothing."""

    def say(what: str, look: Callable[[], str]) -> None:
        try:
            found, fault = look(), None
        except PhotioError as error:
            found, fault = str(error), error
            talk.codes.append(error.exit_code)
        if talk.as_json:
            talk.line({"check": what, "ok": fault is None, "found": found})
        else:
            talk.out(f"{'ok ' if fault is None else 'NO '} {what:<9} {escaped(found)}")

    say("versions", _versions)
    say("model", lambda: _model(model, device))
    say("out", lambda: _out(out))
    say("endpoint", lambda: client.endpoint(sandbox=False, api_url=api_url))
    say("key", lambda: _key(key_file))
    return talk.exit_code


def _versions() -> str:
    names = ("photio-prep", "pillow", "numpy", "rembg", "onnxruntime", "requests")
    found = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    return f"Python {platform.python_version()} on {sys.platform}, {found}"


def _model(name: str, device: Device) -> str:
    import time

    from PIL import Image

    from photio_prep.cutout.models.registry import get_model
    from photio_prep.errors import NoProduct

    folder = settings.models_folder()
    if not catalog.is_rembg(name):
        name = weights.best_installed(folder).name if name == "auto" else name
        weights.verify(catalog.by_name(name), folder)
    model = get_model(name, device=device, accepted=(name.removeprefix(catalog.PREFIX),))
    seconds = []
    for _ in range(2):  # the first loads it
        start = time.perf_counter()
        # rembg's own `predict` finds a product on every paper.
        with suppress(NoProduct):
            model(Image.new("RGB", (64, 64), "white"))
            if not catalog.is_rembg(name):
                raise ModelUnavailable("it finds a product on a blank paper", "Use another --model", subject=name)
        seconds.append(time.perf_counter() - start)
    loads = max(seconds[0] - seconds[1], 0)
    return f"{name}, whole, on {model.device}: loads in {loads:.1f} s, {seconds[1]:.2f} s a photo"


def _out(out: Path) -> str:
    from photio_prep.system import files

    made = [each for each in (out, *out.parents) if not each.exists()]
    probe = out / ".photio-check"
    files.write_whole(probe, b"")
    files.remove(probe)
    for folder in made:
        folder.rmdir()
    return f"{out} can be written"


def _key(key_file: Path | None) -> str:
    key = credentials.key(key_file)
    return "there is one" + ("" if key.usual else ", but it does not start with pt-, as Photio's keys do")


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8787, show_default=True, help="0 takes any free one.")
@click.option("--latency", type=float, default=0.0, show_default=True, help="Seconds before each answer.")
@click.option("--fault", "faults", default=None, metavar="SPEC", help="Misbehave, for instance 429:3,drop:1.")
@options.talking
def sandbox(port: int, latency: float, faults: str | None, talk: Talk) -> int:
    """A local stand-in of the Instant API over real HTTP on this machine, until Ctrl-C. Prints its URL."""
    from photio_prep.sandbox import Call, serve

    def ready(url: str) -> None:
        talk.out(url)
        talk.say(f"use it: PHOTIO_API_URL={url} PHOTIO_API_KEY=pt-sandbox photio-prep run PHOTO -d TEXT")

    def called(call: Call) -> None:
        charged = "charged" if call.charged else "not charged"
        fault = f", fault {call.fault}" if call.fault else ""
        talk.say(f"call {call.number}: {call.status or 'no answer'}, {charged}, seed {call.seed}{fault}")

    ended = serve(port, latency=latency, faults=faults, on_ready=ready, on_call=called)
    talk.say(f"{ended.calls} calls, {ended.charges} charged")
    return talk.exit_code
