"""The options that several verbs share, parsed into typed dataclasses."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from photio_prep.api.request import validate_seed
from photio_prep.cli.console import Console
from photio_prep.cli.parsing import Command, Decorator, option, several, typed
from photio_prep.cutout.models.devices import Device
from photio_prep.cutout.models.registry import ModelOptions
from photio_prep.errors import UsageError
from photio_prep.final.options import FinishOptions, Metadata, Product
from photio_prep.final.provenance import Provenance
from photio_prep.options import OutputOptions
from photio_prep.orders.options import PayOptions
from photio_prep.orders.revise import Wording
from photio_prep.system import object_store

PATH = click.Path(path_type=Path)
_FORMATS = {".jpg": "jpg", ".jpeg": "jpg", ".png": "png", ".webp": "webp"}


if TYPE_CHECKING:
    _Choice = click.Choice[str]
else:  # generic from click 8.2 on
    _Choice = click.Choice


class _Format(_Choice):
    """A choice that also takes JPEG, .jpeg, .png."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name of the format."""
        return super().convert(_FORMATS.get(f".{value.lower().lstrip('.')}", value), param, ctx)


replacing = option("--overwrite", "Replace a report, page or sheet that photio-prep did not write.", is_flag=True)
console_options = typed(
    "console",
    Console,
    option("--json as_json", "One JSON object a line on stdout.", is_flag=True),
    option("-v --verbose", "Where errors came from, too.", is_flag=True),
    option("-q --quiet", "Errors only on stderr.", is_flag=True),
)
words = several(
    option("-d --description", "The SCENE wanted, in English, in detail (not a description of the product)."),
    option("--negative-prompt", "Replaces the server's default."),
    option("--append-negative", "Is added to the server's default."),
    option("--seed", "1 to 4294967296; -1 draws a fresh one each time. [drawn from the picture]", type=int),
    group="Scene",
)
device = option(
    "--device",
    "Device for the model. Fails if that device is not really used.",
    choices=get_args(Device),
    default="auto",
)
model = typed(
    "model",
    ModelOptions,
    option("--model", "The model that cuts out.", default="auto", metavar="NAME|PATH"),
    option(
        "--family", "Network family of the weights given with --model PATH.", choices=("u2net", "isnet", "birefnet")
    ),
    device,
    option(
        "--accept-licence accepted",
        "Use this model although its licence forbids commercial use.",
        multiple=True,
        metavar="NAME",
    ),
    option("--second-opinion", "Ask another installed model whether it finds the same product.", is_flag=True),
    option("--pull", "Fetch the model first if it is missing.", is_flag=True),
    option("--offline", "Never use the network (for models).", is_flag=True),
    group="Cutout",
)


def build_wording(
    *, description: str | None, negative_prompt: str | None, append_negative: str | None, seed: int | None
) -> Wording:
    """The words of a command line.

    Raises:
        UsageError: They cannot be sent.
    """
    if description is not None and not description.strip():
        raise UsageError("the scene description is empty", 'Give -d "on a marble table, soft morning light"')
    if negative_prompt is not None and append_negative is not None:
        raise UsageError("--negative-prompt and --append-negative exclude each other", "Give one of them")
    if seed not in (None, -1):
        validate_seed(seed)
    return Wording(description, negative_prompt, append_negative, seed)


rewording = typed("wording", build_wording, words)
gating = option(
    "--gate",
    "off: pay in any case; warn: stop what is not worth paying for; strict: stop what is doubtful too. [warn]",
    choices=("off", "warn", "strict"),
    group="Money",
)

gate_at = option(
    "--gate-at",
    "Stop where the cutout is wrong with at least this probability. [0.5]",
    type=click.FloatRange(0, 1, min_open=True),
    metavar="P",
    group="Money",
)


def _check_out(_context: click.Context, _parameter: click.Parameter, out: Path | None) -> Path | None:
    """Refuse an output that is not a folder; `run` and `finish` also take a picture's name."""
    if out is None:
        return None
    object_store.check_no_orders(str(out))
    if str(out) == "-":
        raise UsageError("pictures are not written to standard output", "Name a folder; paths are printed", "--out -")
    if out.is_file() and not is_picture(out):
        raise UsageError("a file, not a folder", "Name a folder", subject=f"--out {out}")
    return out


def _check_folder(context: click.Context, parameter: click.Parameter, out: Path) -> Path:
    if is_picture(out):
        raise UsageError("the name of a picture, not of a folder", "Name a folder", subject=f"--out {out}")
    _check_out(context, parameter, out)
    return out


def is_picture(out: Path) -> bool:
    """Whether an output names one final, as `-o shoe.jpg` does, and not a folder."""
    return out.suffix.lower() in _FORMATS and not out.is_dir()


def split_file(output: OutputOptions, finish: FinishOptions) -> tuple[OutputOptions, FinishOptions, Path | None]:
    """Options with the default folder in place of a picture's name, the format of its suffix, and the picture's path.

    Raises:
        UsageError: --format is another one.
    """
    if not is_picture(output.out):
        return output, finish, None
    format_ = _FORMATS[output.out.suffix.lower()]
    if finish.format not in (None, format_):
        raise UsageError(f"--format {finish.format} is not that of the file", "Give one of them", f"--out {output.out}")
    return replace(output, out=_DEFAULT_OUT), replace(finish, format=format_), output.out


upload_to = option(
    "--upload-to",
    "Put finals there too: s3://, gs:// or az:// (extra storage).",
    old="--to",
    metavar="ADDRESS",
    callback=lambda _context, _parameter, value: object_store.check_address(value),
)
_DEFAULT_OUT = OutputOptions().out
out = option("-o --out", "Where everything goes.", callback=_check_folder, type=PATH, default=_DEFAULT_OUT)
out_or_file = option(
    "-o --out",
    "Where everything goes; for one photo also its final, FILE.jpg.",
    callback=_check_out,
    type=PATH,
    default=_DEFAULT_OUT,
)
finish_out = option("-o --out", "Where finals go, or FILE.jpg. [where the orders lie]", callback=_check_out, type=PATH)
finish = typed(
    "finish",
    FinishOptions,
    option("--format", "Format of the finals. [the photo's own]", type=_Format(("jpg", "png", "webp"))),
    option(
        "--product",
        "Whose pixels the product has. original: the photo's; detail: the photo's detail in the answer's light;"
        " generated: the answer's. [original, or generated where the photo is gone]",
        choices=get_args(Product),
    ),
    option(
        "--output-size", "original, canvas, WxH of the photo's shape, or long:N.", default="original", metavar="SIZE"
    ),
    option("--originals photos", "Where the photo lies now: its file, or a folder with it.", old="--photos", type=PATH),
    group="Output",
)
written = several(
    option(
        "--max-drift",
        "Exit 3 where the generator changed the product by more (1: visible); the final is written all the same.",
        type=click.FloatRange(0, 1000),
        metavar="X",
    ),
    option("--segment", "", is_flag=True, hidden=True, expose_value=False),  # until 0.1: drift sees it in any case
    option("--overwrite", "Replace files that lie where finals go.", is_flag=True),
    option(
        "--metadata",
        "Metadata of finals. keep-safe: the photo's copyright, artist and sRGB; never where, when or with what.",
        choices=get_args(Metadata),
        default="none",
    ),
)
marketplaces = several(
    option(
        "--preset presets",
        "A marketplace (see `presets`): one more file, checked after it was saved. May be repeated.",
        multiple=True,
        metavar="NAME",
    ),
    option(
        "--provenance",
        "What finals state of how they were made (IPTC's DigitalSourceType); see docs/guides/marketplaces.md.",
        choices=get_args(Provenance),
        default="trained",
    ),
)
price = option("--price", "Price per call, for the cost estimate.", type=click.FloatRange(0, 1000), metavar="X")
api_url = option("--api-url", "The full endpoint URL. [PHOTIO_API_URL or Photio's]", metavar="URL")
key_file = option("--key-file", "A file (mode 0600) with the API key. [PHOTIO_API_KEY]", type=PATH)
paying = typed(
    "pay",
    PayOptions,
    gating,
    gate_at,
    option("--sandbox", "Use a local stand-in of the API: free, no key.", is_flag=True),
    api_url,
    key_file,
    option("--key-stdin", "Read the API key from standard input.", is_flag=True),
    option("--keyring", "Take the API key from the system's key store.", is_flag=True),
    option("--max-calls", "Pay for at most N calls.", type=click.IntRange(min=0), metavar="N"),
    option("--jobs", "Calls at the same time.", type=click.IntRange(1, 64), default=8, metavar="N"),
    price,
    option("--pay-again", "Pay although the same was paid for as other bytes.", old="--again", is_flag=True),
    option("--yes", "Do not ask before more than 25 paid calls.", is_flag=True),
    group="Money",
)


def output(*options: Decorator) -> Callable[[Command], Callable[..., Any]]:
    """Those of the options of OutputOptions that a verb has."""
    return typed("output", OutputOptions, *options, group="Output")
