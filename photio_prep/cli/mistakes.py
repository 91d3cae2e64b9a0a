"""Common mistakes on the command line, and what to write instead."""

from collections.abc import Sequence
from pathlib import Path

import click

from photio_prep.errors import UsageError

_SCENE = 'The scene goes after -d: -d "on a marble table, soft morning light"'
_KEY = (
    "A key on the command line can be read by every user of this machine. Put it into PHOTIO_API_KEY, into a file of"
    " mode 0600 for --key-file, or pipe it to --key-stdin"
)
_NEGATIVE = "A value that begins with - goes after =, or after --"
_FOLDER = "The output folder goes after -o"
_ADVICE = {
    **dict.fromkeys(("--prompt", "--scene", "--text", "--background"), _SCENE),
    **dict.fromkeys(("--api-key", "--apikey", "--api_key", "--key", "--token"), _KEY),
    **dict.fromkeys(("--output", "--output-dir", "--outdir", "--out-dir"), _FOLDER),
    **dict.fromkeys(("--dry-run", "--dryrun"), "`photio-prep prepare` is the dry run: free, no network, no key"),
}


def explain(error: click.ClickException) -> click.ClickException:
    """Add what to write instead to click's error. A value is never repeated: it may be a key."""
    negative = isinstance(error, click.NoSuchOption) and error.option_name[1:2].isdigit()
    if isinstance(error, click.NoSuchOption) and (
        advice := _NEGATIVE if negative else _ADVICE.get(error.option_name.lower())
    ):
        return click.UsageError(f"No such option: {error.option_name}. {advice}", error.ctx)
    return error


def check_quoting(names: Sequence[str]) -> None:
    """Raise UsageError if several arguments are one existing name with blanks that was not quoted."""
    for start, name in enumerate(names):
        for end in range(start + 2, len(names) + 1):
            whole_name = " ".join(names[start:end])
            if not Path(name).exists() and Path(whole_name).exists():
                raise UsageError("no such file or folder", f'Quote a name with blanks: "{whole_name}"', subject=name)


def check_orders(paths: Sequence[Path]) -> None:
    """Raise UsageError if a photo, or a file of an order, is named instead of an order's folder."""
    check_quoting([str(path) for path in paths])
    for path in paths:
        if path.name == "order.json":
            raise UsageError("the file of an order", f"Name its folder: {path.parent}", subject=str(path))
        if path.is_file():
            fix = f"An order comes first: photio-prep prepare {path}, or all in one: photio-prep run {path} -d TEXT"
            raise UsageError("a file, not the folder of an order", fix, subject=str(path))
