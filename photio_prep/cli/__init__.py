"""The command line: one file per verb, printing, exit codes.

run, prepare, generate, review, models, presets, sizes, check: one verb each
finish.py        finish, keep
status.py        status, resolve
trial.py         sample, sandbox
parsing.py       typed, grouped and renamed options of click
options.py       options that several verbs share
inputs.py        photos and job tables that a command names
preparation.py   options of a cutout; from photos to orders
mistakes.py      common mistakes, and what to write instead
payment.py       client, quote and stop of paid calls
finals.py        finals and files for marketplaces
ray.py           `run` on a cluster
reporting.py     totals and report at the end of a command
console.py       stdout and stderr
progress.py      progress bar
signals.py       stop signals in a thread; closed standard streams
"""

import atexit
import gc
import sys
from importlib import import_module
from types import ModuleType
from typing import ClassVar

import click

from photio_prep import __version__
from photio_prep.cli.signals import open_closed_streams
from photio_prep.errors import PhotioError, of_photo


class _Verbs(click.Group):
    """Loads the file of a verb when it is called, so that --help and --version answer at once."""

    verbs: ClassVar[dict[str, str]] = {
        "prepare": "Dry run: cut out and pad; one order per photo. Free, no network, no key.",
        "generate": "PAYS: send orders that are not answered yet; keep the raw answers.",
        "finish": "From kept answers: crop back and write the finals. Free, repeatable.",
        "run": "PAYS: prepare, generate and finish in a row.",
        "keep": "Choose one of several seeds (run --seeds) as the photo's final.",
        "status": "States and spend of an output folder.",
        "resolve": "Say what became of an order whose outcome is unknown.",
        "review": "A static page to look at: before you pay, before you publish.",
        "models": "The models that cut out: list, pull, verify, path.",
        "presets": "What marketplaces ask of a picture; whether a file keeps to it.",
        "sizes": "The recommended sizes; what a photo snaps to, and why.",
        "sample": "Write a sample product photo, to try the other verbs with.",
        "check": "Key, model, folders, versions: what works, what does not, what to do.",
        "sandbox": "A local stand-in of the Instant API over real HTTP.",
    }
    # Verbs that live in the file of another.
    files: ClassVar[dict[str, str]] = {"keep": "finish", "resolve": "status", "sample": "trial", "sandbox": "trial"}

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        return list(self.verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in self.verbs:
            return None
        from photio_prep.system.environment import limit_matrix_threads
        from photio_prep.system.parallel import limit_malloc_arenas

        limit_malloc_arenas()  # before the first thread has one
        limit_matrix_threads()
        command = getattr(_load_module(self.files.get(cmd_name, cmd_name)), f"{cmd_name}_command")
        assert isinstance(command, click.Command)  # noqa: S101  for the type checker
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Verbs"):
            formatter.write_dl([*self.verbs.items()])


def _load_module(name: str) -> ModuleType:
    """Import the file of a verb. The collector does not look for cycles in what is imported, now or at the exit."""
    path = f"photio_prep.cli.{name}"
    if path in sys.modules:
        return sys.modules[path]
    gc.disable()
    try:
        module = import_module(path)
    finally:
        gc.enable()
    gc.freeze()
    atexit.register(gc.freeze)
    return module


@click.group(
    cls=_Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 all done, 2 usage, 3 photos refused, 4 outcome unknown, 5 key, 6 budget, 7 storage, 8 in use,"
    " 9 API not reached, 10 paid but unusable, 11 model.",
)
@click.version_option(__version__, prog_name="photio-prep")
def group() -> None:
    """From a raw product photo to a finished picture of the same size, in a generated scene.

    The background is removed and the picture padded to a recommended size on this machine; only then is the paid
    Photio Instant API called. `prepare` and everything with --sandbox are free.
    """


def main(arguments: list[str] | None = None) -> None:
    """Run one command and leave with its exit code."""
    open_closed_streams()
    try:
        sys.exit(group(arguments, standalone_mode=False))
    except (PhotioError, OSError, click.ClickException, click.Abort, KeyboardInterrupt) as error:
        sys.exit(_print_failure(error))


def _print_failure(error: BaseException) -> int:
    """Print why a command ended early; return its exit code."""
    if isinstance(error, click.ClickException):
        from photio_prep.cli.mistakes import explain

        explain(error).show()
        return 2
    from photio_prep.cli.console import Console

    console = Console()
    if isinstance(error, OSError):
        if not error.filename:
            raise error
        error = of_photo(error)
    if isinstance(error, PhotioError):
        console.error(error)
        return console.exit_code
    console.info("interrupted")
    return 130
