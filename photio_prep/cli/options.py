"""The options that several verbs share, parsed into typed dataclasses."""

import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import get_args

import click

from photio_prep.api.request import validate_seed
from photio_prep.api.spending_guard import CALLS
from photio_prep.cli.console import Console
from photio_prep.cli.parsing import PATH, Decorator, Number, option, several, typed
from photio_prep.cutout.models.catalog import Family
from photio_prep.cutout.models.registry import ModelOptions
from photio_prep.errors import UsageError
from photio_prep.final.options import DRIFT, FinishOptions, OutputOptions
from photio_prep.options import JobOptions
from photio_prep.orders.options import JOBS, PRICE, PROBABILITY, PayOptions
from photio_prep.orders.revise import Wording
from photio_prep.system import object_store

DEVICE = "Device for the model. Fails if that device is not really used."
_DEFAULT_OUT = OutputOptions().out
_FORMATS = {".jpg": "jpg", ".jpeg": "jpg", ".png": "png", ".webp": "webp"}


class _Format(click.Choice):  # type: ignore[type-arg]  # generic from click 8.2 on
    """A choice that also takes JPEG, .jpeg, .png."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name of the format."""
        return str(super().convert(_FORMATS.get(f".{value.lower().lstrip('.')}", value), param, ctx))


orders = click.argument("orders_", metavar="ORDER...", nargs=-1, required=True, type=PATH)
replacing = option("--overwrite", "Replace a report, page or sheet that photio-prep did not write.")
console_options = typed(
    "console",
    Console,
    option("--json as_json", "One JSON object a line on stdout."),
    option("-v --verbose", "Where errors came from, too."),
    option("-q --quiet", "Errors only on stderr."),
)
model = typed(
    "model",
    ModelOptions,
    option("--model", "The model that cuts out.", metavar="NAME|PATH"),
    option("--family", "Network family of the weights given with --model PATH.", type=click.Choice(get_args(Family))),
    option("--device", DEVICE),
    option("--accept-licence accepted", "Use this model although its licence forbids commercial use.", metavar="NAME"),
    option("--second-opinion", "Ask another installed model whether it finds the same product."),
    option("--pull", "Fetch the model first if it is missing."),
    option("--offline", "Never use the network (for models)."),
    group="Cutout",
)


def _build_wording(
    description: str | None, negative_prompt: str | None, append_negative: str | None, seed: int | None
) -> Wording:
    """The words of a command line; UsageError if they cannot be sent."""
    if description is not None and not description.strip():
        raise UsageError("the scene description is empty", 'Give -d "on a marble table, soft morning light"')
    if negative_prompt is not None and append_negative is not None:
        raise UsageError("--negative-prompt and --append-negative exclude each other", "Give one of them")
    if seed is not None and seed != -1:
        validate_seed(seed)
    return Wording(description, negative_prompt, append_negative, seed)


wording = typed(
    "wording",
    _build_wording,
    option("-d --description", "The SCENE wanted, in English, in detail (not a description of the product)."),
    option("--negative-prompt", "Replaces the server's default."),
    option("--append-negative", "Is added to the server's default."),
    option("--seed", "1 to 4294967296; -1 draws a fresh one each time. [drawn from the picture]"),
    group="Scene",
)


def _check_out(
    _context: click.Context, _parameter: click.Parameter, out: Path | None, *, one_file: bool
) -> Path | None:
    """Refuse an output that is not a folder; with `one_file` also take a picture's name."""
    if out is None:
        return None
    if not one_file and is_picture(out):
        raise UsageError("the name of a picture, not of a folder", "Name a folder", subject=f"--out {out}")
    object_store.check_no_orders(str(out))
    if os.path.realpath(out) == os.path.realpath(out / ".."):
        raise UsageError("the root of the file system", "Name a folder", subject=f"--out {out}")
    if str(out) == "-":
        raise UsageError("pictures are not written to standard output", "Name a folder; paths are printed", "--out -")
    if "\n" in str(out):  # paths are printed one a line
        raise UsageError("a line break in a folder's name", "Name another folder", subject=f"--out {out}")
    if os.path.lexists(out) and not (out.is_dir() or is_picture(out)):
        kind = "a file" if out.is_file() else "a device, or a link to nothing"
        raise UsageError(f"{kind}, not a folder", "Name a folder", subject=f"--out {out}")
    return out


def is_picture(out: Path) -> bool:
    """Whether an output names one final, as `-o shoe.jpg` does, and not a folder."""
    return out.suffix.lower() in _FORMATS and not out.is_dir()


def split_file(job: JobOptions) -> tuple[JobOptions, Path | None]:
    """Options with the default folder in place of a picture's name and the format of its suffix; the picture's path."""
    out, asked = job.output.out, job.finish.format
    if not is_picture(out):
        return job, None
    format_ = _FORMATS[out.suffix.lower()]
    if asked not in (None, format_):
        raise UsageError(f"--format {asked} is not that of the file", "Give one of them", f"--out {out}")
    output, finish = replace(job.output, out=_DEFAULT_OUT), replace(job.finish, format=format_)
    return replace(job, output=output, finish=finish), out


def _declare_out(help_: str, *, one_file: bool = True, default: Path | None = _DEFAULT_OUT) -> Decorator:
    return option("-o --out", help_, callback=partial(_check_out, one_file=one_file), default=default)


out = _declare_out("Where everything goes.", one_file=False)
out_or_file = _declare_out("Where everything goes; for one photo also its final, FILE.jpg.")
finish_out = _declare_out("Where finals go, or FILE.jpg. [where the orders lie]", default=None)
upload_to = option(
    "--upload-to",
    "Put finals there too: s3://, gs:// or az:// (extra storage).",
    old="--to",
    metavar="ADDRESS",
    callback=lambda _context, _parameter, value: object_store.check_address(value),
)
finish = typed(
    "finish",
    FinishOptions,
    option("--format", "Format of the finals. [the photo's own]", type=_Format(("jpg", "png", "webp"))),
    option(
        "--product",
        "Whose pixels the product has. original: the photo's; detail: the photo's detail in the answer's light;"
        " generated: the answer's. [original, or generated where the photo is gone]",
    ),
    option("--output-size", "original, canvas, WxH of the photo's shape, or long:N.", metavar="SIZE"),
    option("--originals photos", "Where the photo lies now: its file, or a folder with it.", old="--photos"),
    group="Output",
)
written = several(
    option(
        "--max-drift",
        "Exit 3 where the generator changed the product by more (1: visible); the final is written all the same.",
        type=Number(DRIFT),
        metavar="X",
    ),
    option("--segment", "", is_flag=True, hidden=True, expose_value=False),  # until 0.1: drift sees it in any case
    option("--overwrite", "Replace files that lie where finals go."),
    option(
        "--metadata",
        "Metadata of finals. keep-safe: the photo's copyright, artist and sRGB; never where, when or with what.",
    ),
)
marketplaces = several(
    option(
        "--preset presets",
        "A marketplace (see `presets`): one more file, checked after it was saved. May be repeated.",
        metavar="NAME",
    ),
    option(
        "--provenance",
        "What finals state of how they were made (IPTC's DigitalSourceType); see docs/guides/marketplaces.md.",
        default="trained",
    ),
)
gate = several(
    option(
        "--gate",
        "off: pay in any case; warn: stop what is not worth paying for; strict: stop what is doubtful too. [warn]",
        type=click.Choice(("off", "warn", "strict")),
    ),
    option(
        "--gate-at",
        "Stop where the cutout is wrong with at least this probability. [0.3]",
        type=Number(PROBABILITY),
        metavar="P",
    ),
    group="Money",
)
price = option("--price", "Price per call, for the cost estimate.", type=Number(PRICE), metavar="X")
api_url = option("--api-url", "The full endpoint URL. [PHOTIO_API_URL or Photio's]", metavar="URL")
key_file = option("--key-file", "A file (mode 0600) with the API key. [PHOTIO_API_KEY]")
paying = typed(
    "pay",
    PayOptions,
    gate,
    option("--sandbox", "Use a local stand-in of the API: free, no key."),
    api_url,
    key_file,
    option("--key-stdin", "Read the API key from standard input."),
    option("--keyring", "Take the API key from the system's key store."),
    option("--max-calls", "Pay for at most N calls.", type=Number(CALLS), metavar="N"),
    option("--jobs", "Calls at the same time.", type=Number(JOBS), metavar="N"),
    price,
    option("--pay-again", "Pay although the same was paid for as other bytes.", old="--again"),
    option("--yes", "Do not ask before more than 25 paid calls."),
    group="Money",
)
# With those of their options that a verb has.
output = partial(typed, "output", OutputOptions, group="Output")
job = partial(typed, "job", JobOptions)
