"""sizes, check, sandbox: verbs beside the way of a photo."""

import importlib.metadata
import platform
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import click

from photio_prep import catalogue, geometry, settings, weights
from photio_prep.cli import options
from photio_prep.cli.talk import Talk
from photio_prep.devices import Device
from photio_prep.errors import ModelUnavailable, PhotioError
from photio_prep.geometry import Size, place
from photio_prep.plain import escaped


@click.command()
@click.argument("what", metavar="[PHOTO|WxH]", required=False)
@options.talking
def sizes(what: str | None, **given: Any) -> int:  # noqa: ANN401
    """The recommended sizes; with a photo or a size, what it snaps to, and why."""
    talk = Talk(**given)
    source = _size(what) if what else None
    chosen = geometry.snap(source) if source else None
    for each in geometry.offered(undocumented=True):
        way = place(source, each.size) if source else None
        if talk.as_json:
            facts: dict[str, Any] = {"tag": each.tag, "ratio": each.ratio, "size": list(each.size)}
            facts["documented"] = each.documented
            if way:
                facts |= {"scale": way.scale, "used": way.used, "box": list(way.box), "chosen": each == chosen}
            talk.line(facts)
            continue
        mark = "->" if each == chosen else "  "
        told = f"  photo fills {way.used:6.1%}, scaled by {way.scale:.3f}" if way else ""
        talk.out(f"{mark} {each.tag:<26} {each.ratio:>5}  {each.size!s:>9}{told}")
    if source and chosen:
        ratio = source.width / source.height
        own = chosen.size.width / chosen.size.height
        talk.say(f"{source} has the ratio {ratio:.3f}; the nearest is {chosen.tag} with {own:.3f}")
        best = geometry.snap(source, geometry.offered(undocumented=True))
        if best != chosen:
            used = place(source, best.size).used
            talk.say(f"--size {best.size} would fit better ({used:.1%}), but Photio does not list it")
    return talk.exit_code


def _size(what: str) -> Size:
    if found := re.fullmatch(r"(\d{1,6})[x×](\d{1,6})", what):
        size = Size(int(found[1]), int(found[2]))
        if min(size) > 0:
            return size
    from photio_prep.stages.load import load

    return load(what).size


@click.command()
@click.option("--model", default="auto", show_default=True, help="The model to check.")
@click.option("--device", type=click.Choice(get_args(Device)), default="auto", help="Where the model must run.")
@click.option("--api-url", default=None, metavar="URL", help="The endpoint to check.")
@click.option("--key-file", type=click.Path(path_type=Path), help="The key's file to check.")
@options.out
@options.talking
def check(model: str, device: Device, api_url: str | None, key_file: Path | None, out: Path, **given: Any) -> int:  # noqa: ANN401
    """What works, what does not, and what to do. Sends nothing; costs nothing."""
    talk = Talk(**given)

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
    say("endpoint", lambda: options.endpoint(sandbox=False, api_url=api_url))
    say("key", lambda: _key(key_file))
    return talk.exit_code


def _versions() -> str:
    names = ("photio-prep", "pillow", "numpy", "rembg", "onnxruntime", "requests")
    found = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    return f"Python {platform.python_version()} on {sys.platform}, {found}"


def _model(name: str, device: Device) -> str:
    import time

    from PIL import Image

    from photio_prep.errors import NoProduct
    from photio_prep.matters import matter_for

    folder = settings.models_folder()
    best = weights.best_installed(folder) if name == "auto" else catalogue.by_name(name)
    weights.verify(best, folder)
    matter = matter_for(best.name, device=device, accepted=(best.name,))
    seconds = []
    for _ in range(2):  # the first loads it
        start = time.perf_counter()
        try:
            matter(Image.new("RGB", (64, 64), "white"))
            raise ModelUnavailable("it finds a product on a blank paper", "Use another --model", subject=best.name)
        except NoProduct:
            seconds.append(time.perf_counter() - start)
    loads = max(seconds[0] - seconds[1], 0)
    return f"{best.name}, whole, on {matter.device}: loads in {loads:.1f} s, {seconds[1]:.2f} s a photo"


def _out(out: Path) -> str:
    from photio_prep import files

    made = [each for each in (out, *out.parents) if not each.exists()]
    probe = out / ".photio-check"
    files.write_whole(probe, b"")
    files.remove(probe)
    for folder in made:
        folder.rmdir()
    return f"{out} can be written"


def _key(key_file: Path | None) -> str:
    key = settings.key(key_file)
    return "there is one" + ("" if key.usual else ", but it does not start with pt-, as Photio's keys do")


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8787, show_default=True, help="0 takes any free one.")
@click.option("--latency", type=float, default=0.0, show_default=True, help="Seconds before each answer.")
@click.option("--fault", "faults", default=None, metavar="SPEC", help="Misbehave, for instance 429:3,drop:1.")
@options.talking
def sandbox(port: int, latency: float, faults: str | None, **given: Any) -> int:  # noqa: ANN401
    """A local stand-in of the Instant API over real HTTP on this machine, until Ctrl-C. Prints its URL."""
    from photio_prep.sandbox import Call, serve

    talk = Talk(**given)

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
