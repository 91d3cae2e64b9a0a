"""The options that several verbs share, parsed into typed dataclasses."""

from collections.abc import Callable, Sequence
from copy import copy
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from photio_prep.api.request import validate_seed
from photio_prep.cli.console import Console
from photio_prep.cutout.models.devices import Device
from photio_prep.cutout.models.registry import ModelOptions
from photio_prep.errors import UsageError
from photio_prep.final.options import FinishOptions, Metadata, Product
from photio_prep.final.provenance import Provenance
from photio_prep.options import OutputOptions
from photio_prep.orders.options import PayOptions
from photio_prep.orders.revise import Wording
from photio_prep.system import object_store

Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Any], Any]

PATH = click.Path(path_type=Path)
FOLDER = click.Path(path_type=Path, file_okay=False)


class _Option(click.Option):
    """An option that shows its default, and is also taken under its `old` spelling, which nothing shows."""

    def __init__(self, *names: Any, old: str = "", **attributes: Any) -> None:  # noqa: ANN401  click's own
        attributes.setdefault("show_default", attributes.get("default") is not None)
        super().__init__(*names, **attributes)
        self._old = [old] if old else []

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:  # noqa: ANN401  a private class of click
        """Let the parser take both spellings."""
        both = copy(self)
        both.opts = [*self.opts, *self._old]
        click.Option.add_to_parser(both, parser, ctx)


def option(names: str, help_: str, *, choices: Sequence[str] = (), **attributes: Any) -> Decorator:  # noqa: ANN401
    """As `click.option`, for `names` with blanks between them; shows its default, and takes an `old` spelling."""
    if choices:
        attributes["type"] = click.Choice(choices)
    return click.option(*names.split(), cls=_Option, help=help_, **attributes)


def several(*options: Decorator) -> Callable[[Command], Command]:
    """The options as one decorator, in this order."""

    def add(command: Command) -> Command:
        for decorate in reversed(options):
            command = decorate(command)
        return command

    return add


def typed(name: str, build: Callable[..., object], *options: Decorator) -> Callable[[Command], Callable[..., Any]]:
    """The options as one decorator; the command gets what `build` makes of their values as its argument `name`."""

    @several(*options)
    def declare() -> None:
        """Collects the options, as click keeps them on a function."""

    parameters: list[click.Parameter] = declare.__click_params__  # type: ignore[attr-defined]

    def add(command: Command) -> Callable[..., Any]:
        @wraps(command)
        def parse(*args: object, **values: object) -> object:
            own = {parameter.name: values.pop(parameter.name or "") for parameter in parameters}
            return command(*args, **values, **{name: build(**own)})

        parse.__click_params__ = [*getattr(command, "__click_params__", ()), *parameters]  # type: ignore[attr-defined]
        return parse

    return add


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
)


def _check_out(_context: click.Context, _parameter: click.Parameter, out: Path) -> Path:
    object_store.check_no_orders(str(out))
    return out


upload_to = option(
    "--upload-to",
    "Put finals there too: s3://, gs:// or az:// (extra storage).",
    old="--to",
    metavar="ADDRESS",
    callback=lambda _context, _parameter, value: object_store.check_address(value),
)
out = option("-o --out", "Where everything goes.", callback=_check_out, type=FOLDER, default=Path("photio-out"))
finish = typed(
    "finish",
    FinishOptions,
    option("--format", "Format of the finals. [the photo's own]", choices=("jpg", "png", "webp")),
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
)
written = several(
    option(
        "--max-drift",
        "Exit 3 where the generator changed the product by more (1: visible); the final is written all the same.",
        type=click.FloatRange(0, 1000),
        metavar="X",
    ),
    option("--segment", "Cut the answer out, too: drift then sees what was added to the product.", is_flag=True),
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
)


def output(*options: Decorator) -> Callable[[Command], Callable[..., Any]]:
    """Those of the options of OutputOptions that a verb has."""
    return typed("output", OutputOptions, *options)
