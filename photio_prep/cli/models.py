"""models list|pull|verify|path: list, download and verify segmentation models."""

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING

import click

from photio_prep.cli import options
from photio_prep.cli.console import Console
from photio_prep.cli.parsing import option
from photio_prep.cutout.models import catalog, weights
from photio_prep.errors import ModelUnavailable, PhotioError
from photio_prep.settings import models_folder

if TYPE_CHECKING:
    from photio_prep.cutout.models.rembg_models import RembgModel, VerifiedFile


@click.group("models")
def models_command() -> None:
    """The models that cut out: names, licences, and paths of their weights."""


@models_command.command("list")
@options.console_options
def list_(console: Console) -> int:
    """The catalogue, best first; what is installed, and what --model auto takes."""
    folder = models_folder()
    try:
        auto = weights.best_installed(folder).name
    except ModelUnavailable:
        auto = ""
    for row in (*catalog.catalog(), *catalog.sam_weights()):
        installed = weights.is_installed(row, folder)
        shown = {name: getattr(row, name) for name in ("family", "licence", "commercial", "input", "size")}
        record = {"model": row.name, **shown, "installed": installed, "auto": row.name == auto}
        commercial = {True: "yes", False: "NO", None: "not stated"}[row.commercial]
        size = f"{row.size / 2**20:.0f} MiB" if row.size else "?"
        mark = "installed, auto" if row.name == auto else "installed" if installed else ""
        text = f"{row.name:<22} {size:>8}  {row.input:>4} px  commercial use: {commercial:<11} {row.licence}  {mark}"
        console.show(text, record)
    console.info("also: rembg:NAME, any other session of rembg; its licence is unknown: ask its authors")
    if not auto:
        console.info("no model is installed: run `photio-prep models pull auto`")
    return console.exit_code


@models_command.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@option("--accept-licence accepted", "Fetch NAME although its licence forbids commercial use.", metavar="NAME")
@option("--offline", "Never use the network.")
@options.console_options
def pull(names: tuple[str, ...], accepted: tuple[str, ...], offline: bool, console: Console) -> int:
    """Fetch weights and check them; `auto` fetches the best that can be reached. Prints their paths."""
    for name in names:
        console.out(str(pull_weights(name, console, offline=offline, accepted=accepted)))
    return console.exit_code


@models_command.command()
@click.argument("names", metavar="[NAME...]", nargs=-1)
@options.console_options
def verify(names: tuple[str, ...], console: Console) -> int:
    """Compare installed weights with their pinned SHA-256, byte by byte. Prints the paths of the good ones."""
    folder = models_folder()
    rows = (*catalog.catalog(), *catalog.sam_weights())
    chosen = names or [row.name for row in rows if weights.is_installed(row, folder)]
    for name in chosen:
        try:
            if catalog.is_rembg(name):
                path = _warn_unverified(name, _open_rembg(name).file, console)
            else:
                path = weights.verify_weights(catalog.find_weights(name), folder)
            console.out(str(path))
        except PhotioError as error:
            console.error(error)
    if not chosen:
        console.error(ModelUnavailable("no model is installed", "Run: photio-prep models pull auto"))
    return console.exit_code


@models_command.command()
@click.argument("name", required=False)
def path(name: str | None) -> int:
    """The path of the weights' folder, or of one model's file."""
    folder = models_folder()
    if name and catalog.is_rembg(name):
        click.echo(_open_rembg(name).target)
    else:
        click.echo(weights.weights_path(catalog.find_weights(name), folder) if name else folder)
    return 0


def _open_rembg(name: str, accepted: tuple[str, ...] | None = None) -> "RembgModel":
    """The model `rembg:NAME`; to look at its file needs no accepted licence (None)."""
    from photio_prep.cutout.models.rembg_models import open_rembg

    return open_rembg(name, accepted=(name.partition(":")[2],) if accepted is None else accepted)


def _warn_unverified(name: str, file: "VerifiedFile", console: Console) -> Path:
    """Return the path of the weights; warn where rembg has no hash to compare with."""
    if not file.checked:
        console.info(f"warning: {name}: rembg has no hash for this model, so its weights were not verified")
    return file.path


def pull_weights(name: str, console: Console, *, offline: bool, accepted: tuple[str, ...] = ()) -> Path:
    """Return the path of a model's weights, downloaded with a progress bar if missing."""
    if catalog.is_rembg(name):
        # rembg's download prints its own progress on stderr.
        with redirect_stderr(io.StringIO()) if console.quiet else nullcontext():
            model = _open_rembg(name, accepted)
            if not offline and not model.installed:
                console.info(f"rembg fetches the weights of {name} into {model.target.parent}")
            file = model.pull(offline=offline)
        show_licence(name, console)
        return _warn_unverified(name, file, console)
    folder = models_folder()
    with _bar(console) as progress:
        if name != "auto":
            row, allowed = catalog.find_weights(name), name in accepted
            return weights.pull_weights(row, folder, offline=offline, accept_licence=allowed, progress=progress)

        def report_skip(error: ModelUnavailable) -> None:
            console.info(f"note: {error.subject} is not available: {error.problem}")

        best = weights.pull_best(folder, offline=offline, progress=progress, on_skip=report_skip)
    console.info(f"model auto: {best.name} ({best.licence})")
    return weights.weights_path(best, folder)


def show_licence(name: str, console: Console) -> None:
    """Print the licence of a `rembg:NAME`; the catalogue has those of other models."""
    if catalog.is_rembg(name):
        from photio_prep.cutout.models.rembg_models import licence

        console.info(f"note: licence of {name}: {licence(name)}")


@contextmanager
def _bar(console: Console) -> Iterator[Callable[[int, int | None], None]]:
    from tqdm import tqdm

    quiet = console.quiet or None  # None: also where standard error is not a terminal
    with tqdm(unit="B", unit_scale=True, desc="weights", file=sys.stderr, leave=False, disable=quiet) as bar:

        def progress(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield progress
