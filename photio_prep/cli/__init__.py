"""The command line: one file per verb, printing, exit codes.

run, prepare, generate, finish, keep, status, resolve, review, models, presets, sizes, sample, check, sandbox:
    one verb each
options.py       options that several verbs share
inputs.py        photos and job tables that a command names
preparation.py   model and cutout options of the verbs that prepare
client.py        the sender that the options name
payment.py       quote, confirmation and stop of paid calls
finishing.py     options and errors of finals
outputs.py       files for marketplaces
ray.py           `run` on a cluster
reporting.py     totals and report at the end of a command
console.py       stdout and stderr
progress.py      progress bar
signals.py       stop signals in a thread
streams.py       closed standard streams
"""

import sys
from typing import TYPE_CHECKING, ClassVar

import click

from photio_prep import __version__
from photio_prep.cli.streams import open_closed
from photio_prep.errors import PhotioError

if TYPE_CHECKING:
    from photio_prep.cli.console import Console


class _Lazy(click.Group):
    """Load the file of a verb when it is called, so that --help and --version answer at once."""

    verbs: ClassVar[dict[str, tuple[str, str]]] = {
        "prepare": ("prepare", "Dry run: cut out and pad; one order per photo. Free, no network, no key."),
        "generate": ("generate", "PAYS: send orders that are not answered yet; keep the raw answers."),
        "finish": ("finish", "From kept answers: crop back and write the finals. Free, repeatable."),
        "run": ("run", "PAYS: prepare, generate and finish in a row."),
        "keep": ("keep", "Choose one of several seeds (run --seeds) as the photo's final."),
        "status": ("status", "States and spend of an output folder."),
        "resolve": ("resolve", "Say what became of an order whose outcome is unknown."),
        "review": ("review", "A static page to look at: before you pay, before you publish."),
        "models": ("models", "The models that cut out: list, pull, verify, path."),
        "presets": ("presets", "What marketplaces ask of a picture; whether a file keeps to it."),
        "sizes": ("sizes", "The recommended sizes; what a photo snaps to, and why."),
        "sample": ("sample", "Write a sample product photo, to try the other verbs with."),
        "check": ("check", "Key, model, folders, versions: what works, what does not, what to do."),
        "sandbox": ("sandbox", "A local stand-in of the Instant API over real HTTP."),
    }

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        return list(self.verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in self.verbs:
            return None
        from importlib import import_module

        command = getattr(import_module(f"photio_prep.cli.{self.verbs[cmd_name][0]}"), f"{cmd_name}_command")
        assert isinstance(command, click.Command)  # noqa: S101  for the type checker
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Verbs"):
            formatter.write_dl([(name, text) for name, (_, text) in self.verbs.items()])


@click.group(
    cls=_Lazy,
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
    open_closed()
    try:
        sys.exit(group(arguments, standalone_mode=False))
    except PhotioError as error:
        console = _console()
        console.error(error)
        sys.exit(console.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        _console().info("interrupted")
        sys.exit(130)


def _console() -> "Console":
    from photio_prep.cli.console import Console

    return Console()
