"""The options that several verbs share, and what they mean.

Takes click's values; gives clients and budgets. Touches nothing. Raises UsageError and KeyRefused.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from photio_prep import settings, storage
from photio_prep.cli.talk import Talk
from photio_prep.errors import UsageError

Command = TypeVar("Command", bound=Callable[..., Any])

DESCRIPTION_HELP = "The SCENE wanted, in English, in detail (not a description of the product)."


def several(*options: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """The options as one decorator, in this order."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


talking = several(
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
cutting = several(
    click.option("--size", default=None, metavar="TAG|WxH", help="A recommended size (see `sizes`). [the nearest]"),
    click.option("--model", default="auto", show_default=True, metavar="NAME|PATH", help="The model that cuts out."),
    click.option(
        "--family", type=click.Choice(["u2net", "isnet", "birefnet"]), help="Of your own weights in --model PATH."
    ),
    click.option("--mask", type=click.Path(path_type=Path), help="Your own mask: white or opaque is product."),
    click.option(
        "--alpha",
        type=click.Choice(["auto", "keep", "ignore"]),
        default="auto",
        show_default=True,
        help="The photo's own transparency.",
    ),
    click.option(
        "--frame", type=click.IntRange(min=0), default=None, metavar="N", help="Of an animation or pages, from 0."
    ),
    click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda", "openvino", "coreml"]),
        default="auto",
        show_default=True,
        help="Where the model must run; one that is named and not used is an error.",
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
    click.option(
        "--refine",
        type=click.Choice(["fast", "best", "off"]),
        default="fast",
        show_default=True,
        help="How a model's belief becomes an edge; best takes many seconds.",
    ),
    click.option(
        "--holes",
        type=click.Choice(["auto", "keep", "fill"]),
        default="auto",
        show_default=True,
        help="Holes in the product: auto closes pinholes only.",
    ),
    click.option("--grow", type=float, default=0, metavar="PX", help="Move the edge outwards, in canvas pixels."),
    click.option("--shrink", type=float, default=0, metavar="PX", help="Move the edge inwards, in canvas pixels."),
    click.option("--feather", type=float, default=0, metavar="PX", help="Soften the edge, in canvas pixels."),
    click.option("--pull", is_flag=True, help="Fetch the model first if it is missing."),
    click.option("--offline", is_flag=True, help="Never use the network (for models)."),
)
gating = click.option(
    "--gate",
    type=click.Choice(["off", "warn", "strict"]),
    default=None,
    help="off: pay in any case; warn: stop what is not worth paying for; strict: stop what is doubtful too. [warn]",
)


def _no_store(_context: click.Context, _parameter: click.Parameter, value: Path | None) -> Path | None:
    if value is not None:
        storage.refuse_orders(str(value))
    return value


to = click.option(
    "--to",
    default=None,
    metavar="ADDRESS",
    callback=lambda _context, _parameter, value: storage.checked(value),
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
finals = several(
    click.option(
        "--format", "format_", type=click.Choice(["jpg", "png", "webp"]), help="Of the finals. [the photo's own]"
    ),
    click.option("--overwrite", is_flag=True, help="Replace files that lie where finals go."),
    click.option(
        "--metadata",
        type=click.Choice(["none", "keep-safe"]),
        default="none",
        show_default=True,
        help="In finals. keep-safe: the photo's copyright and artist, and sRGB; never where, when or with what.",
    ),
)
paying = several(
    click.option("--sandbox", is_flag=True, help="Use a local stand-in of the API: free, no key."),
    click.option("--api-url", default=None, metavar="URL", help="The full endpoint URL. [PHOTIO_API_URL or Photio's]"),
    click.option(
        "--key-file", type=click.Path(path_type=Path), help="A file (mode 0600) with the API key. [PHOTIO_API_KEY]"
    ),
    click.option("--key-stdin", is_flag=True, help="Read the API key from standard input."),
    click.option("--keyring", is_flag=True, help="Take the API key from the system's key store."),
    click.option("--max-calls", type=click.IntRange(min=0), default=None, metavar="N", help="Pay for at most N calls."),
    click.option(
        "--jobs", type=click.IntRange(1, 64), default=4, show_default=True, metavar="N", help="Calls at the same time."
    ),
    click.option(
        "--price", type=click.FloatRange(0, 1000), default=None, metavar="X", help="Of one call, for the quote."
    ),
    click.option("--again", is_flag=True, help="Pay although the same was paid for as other bytes."),
    click.option("--yes", is_flag=True, help="Do not ask before more than 25 paid calls."),
)


@contextmanager
def client(
    *, sandbox: bool, api_url: str | None, key_file: Path | None, key_stdin: bool, keyring: bool, talk: Talk
) -> Iterator[Any]:
    """The sender that the options name; the stand-in runs as long as it is needed."""
    from photio_prep.connection import Timeouts
    from photio_prep.stages.send import API_URL, InstantClient

    if sandbox:
        if api_url is not None:
            raise UsageError("--sandbox and --api-url exclude each other", "Give one of them")
        from photio_prep.orders import SANDBOX
        from photio_prep.sandbox import Sandbox

        with Sandbox() as stand_in:
            yield InstantClient("pt-sandbox", api_url=stand_in.url, endpoint=SANDBOX)
        return
    url = settings.api_url(api_url, API_URL)
    key = settings.key(key_file, from_stdin=key_stdin, from_keyring=keyring)
    if not key.usual:
        talk.say("warning: the key does not start with pt-, as Photio's keys do")
    yield InstantClient(
        key,
        api_url=url,
        timeouts=Timeouts(**settings.timeouts()),
        proxy=settings.proxy(),
        ca_bundle=settings.ca_bundle(),
        server_error_is_free=settings.server_error_is_free(),
    )


def endpoint(*, sandbox: bool, api_url: str | None) -> str:
    """Who would be asked, for an order's key, without a key or a network."""
    from photio_prep.orders import SANDBOX
    from photio_prep.stages.send import API_URL, checked_url

    return SANDBOX if sandbox else checked_url(settings.api_url(api_url, API_URL))
