"""The options that several verbs share, parsed into typed dataclasses."""

from collections.abc import Callable
from copy import copy
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from photio_prep.api.request import validate_seed
from photio_prep.cli.console import Console
from photio_prep.cutout.models.registry import ModelOptions
from photio_prep.errors import UsageError
from photio_prep.final.options import FinishOptions
from photio_prep.options import OutputOptions
from photio_prep.orders.options import PayOptions
from photio_prep.orders.revise import Wording
from photio_prep.system import object_store

Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Any], Any]

DESCRIPTION_HELP = "The SCENE wanted, in English, in detail (not a description of the product)."


def several(*options: Decorator) -> Callable[[Command], Command]:
    """The options as one decorator, in this order."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def typed(name: str, build: Callable[..., object], *options: Decorator) -> Callable[[Command], Callable[..., Any]]:
    """The options as one decorator; the command gets what `build` makes of their values as its argument `name`."""

    @several(*options)
    def declared() -> None:
        """Collects the options, as click keeps them on a function."""

    parameters: list[click.Parameter] = declared.__click_params__  # type: ignore[attr-defined]
    own = {parameter.name for parameter in parameters}

    def add(command: Command) -> Callable[..., Any]:
        @wraps(command)
        def parsed(*args: object, **values: object) -> object:
            built = build(**{name: value for name, value in values.items() if name in own})
            others = {name: value for name, value in values.items() if name not in own}
            return command(*args, **others, **{name: built})

        parsed.__click_params__ = [*getattr(command, "__click_params__", ()), *parameters]  # type: ignore[attr-defined]
        return parsed

    return add


class Renamed(click.Option):
    """An option that is still taken under its `old` spelling, which the help and messages do not show."""

    def __init__(self, *args: Any, old: str, **attributes: Any) -> None:  # noqa: ANN401  click's own
        super().__init__(*args, **attributes)
        self._old = old

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:  # noqa: ANN401  a private class of click
        """Let the parser take both spellings."""
        both = copy(self)
        both.opts = [*self.opts, self._old]
        click.Option.add_to_parser(both, parser, ctx)


replacing = click.option(
    "--overwrite", is_flag=True, help="Replace a report, page or sheet that photio-prep did not write."
)


console_options = typed(
    "console",
    Console,
    click.option("--json", "as_json", is_flag=True, help="One JSON object a line on stdout."),
    click.option("-v", "--verbose", is_flag=True, help="Where errors came from, too."),
    click.option("-q", "--quiet", is_flag=True, help="Errors only on stderr."),
)


words = several(
    click.option("-d", "--description", default=None, metavar="TEXT", help=DESCRIPTION_HELP),
    click.option("--negative-prompt", default=None, metavar="TEXT", help="Replaces the server's default."),
    click.option("--append-negative", default=None, metavar="TEXT", help="Is added to the server's default."),
    click.option(
        "--seed",
        type=int,
        default=None,
        help="1 to 4294967296; -1 draws a fresh one each time. [drawn from the picture]",
    ),
)
model = typed(
    "model",
    ModelOptions,
    click.option("--model", default="auto", show_default=True, metavar="NAME|PATH", help="The model that cuts out."),
    click.option(
        "--family",
        type=click.Choice(["u2net", "isnet", "birefnet"]),
        help="Network family of the weights given with --model PATH.",
    ),
    click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda", "openvino", "coreml"]),
        default="auto",
        show_default=True,
        help="Device for the model. Fails if that device is not really used.",
    ),
    click.option(
        "--accept-licence",
        "accepted",
        multiple=True,
        metavar="NAME",
        help="Use this model although its licence forbids commercial use.",
    ),
    click.option(
        "--second-opinion", is_flag=True, help="Ask another installed model whether it finds the same product."
    ),
    click.option("--pull", is_flag=True, help="Fetch the model first if it is missing."),
    click.option("--offline", is_flag=True, help="Never use the network (for models)."),
)


def wording(
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


rewording = typed("wording", wording, words)
gating = click.option(
    "--gate",
    type=click.Choice(["off", "warn", "strict"]),
    default=None,
    help="off: pay in any case; warn: stop what is not worth paying for; strict: stop what is doubtful too. [warn]",
)


def _no_store(_context: click.Context, _parameter: click.Parameter, value: Path | None) -> Path | None:
    if value is not None:
        object_store.check_no_orders(str(value))
    return value


to = click.option(
    "--upload-to",
    cls=Renamed,
    old="--to",
    default=None,
    metavar="ADDRESS",
    callback=lambda _context, _parameter, value: object_store.check_address(value),
    help="Put finals there too: s3://, gs:// or az:// (extra storage).",
)
out = click.option(
    "-o",
    "--out",
    callback=_no_store,
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("photio-out"),
    show_default=True,
    help="Where everything goes.",
)
finish = typed(
    "finish",
    FinishOptions,
    click.option("--format", type=click.Choice(["jpg", "png", "webp"]), help="Format of the finals. [the photo's own]"),
    click.option(
        "--product",
        type=click.Choice(["generated", "detail", "original"]),
        default=None,
        help="Whose pixels the product has. original: the photo's; detail: the photo's detail in the answer's light;"
        " generated: the answer's. [original, or generated where the photo is gone]",
    ),
    click.option(
        "--output-size",
        default="original",
        show_default=True,
        metavar="SIZE",
        help="original, canvas, WxH of the photo's shape, or long:N.",
    ),
    click.option(
        "--originals",
        "photos",
        cls=Renamed,
        old="--photos",
        type=click.Path(path_type=Path),
        help="Where the photo lies now: its file, or a folder with it.",
    ),
)
written = several(
    click.option(
        "--max-drift",
        type=click.FloatRange(0, 1000),
        default=None,
        metavar="X",
        help="Exit 3 where the generator changed the product by more (1: visible); the final is written all the same.",
    ),
    click.option(
        "--segment", is_flag=True, help="Cut the answer out, too: drift then sees what was added to the product."
    ),
    click.option("--overwrite", is_flag=True, help="Replace files that lie where finals go."),
    click.option(
        "--metadata",
        type=click.Choice(["none", "keep-safe"]),
        default="none",
        show_default=True,
        help="Metadata of finals. keep-safe: the photo's copyright, artist and sRGB; never where, when or with what.",
    ),
)
shelf = several(
    click.option(
        "--preset",
        "presets",
        multiple=True,
        metavar="NAME",
        help="A marketplace (see `presets`): one more file, checked after it was saved. May be repeated.",
    ),
    click.option(
        "--provenance",
        type=click.Choice(["trained", "composite", "none"]),
        default="trained",
        show_default=True,
        help="What finals state of how they were made (IPTC's DigitalSourceType); see docs/guides/marketplaces.md.",
    ),
)
paying = typed(
    "pay",
    PayOptions,
    gating,
    click.option("--sandbox", is_flag=True, help="Use a local stand-in of the API: free, no key."),
    click.option("--api-url", default=None, metavar="URL", help="The full endpoint URL. [PHOTIO_API_URL or Photio's]"),
    click.option(
        "--key-file", type=click.Path(path_type=Path), help="A file (mode 0600) with the API key. [PHOTIO_API_KEY]"
    ),
    click.option("--key-stdin", is_flag=True, help="Read the API key from standard input."),
    click.option("--keyring", is_flag=True, help="Take the API key from the system's key store."),
    click.option("--max-calls", type=click.IntRange(min=0), default=None, metavar="N", help="Pay for at most N calls."),
    click.option(
        "--jobs", type=click.IntRange(1, 64), default=8, show_default=True, metavar="N", help="Calls at the same time."
    ),
    click.option(
        "--price",
        type=click.FloatRange(0, 1000),
        default=None,
        metavar="X",
        help="Price per call, for the cost estimate.",
    ),
    click.option(
        "--pay-again",
        cls=Renamed,
        old="--again",
        is_flag=True,
        help="Pay although the same was paid for as other bytes.",
    ),
    click.option("--yes", is_flag=True, help="Do not ask before more than 25 paid calls."),
)


def output(*options: Decorator) -> Callable[[Command], Callable[..., Any]]:
    """Those of the options of OutputOptions that a verb has."""
    return typed("output", OutputOptions, *options)
