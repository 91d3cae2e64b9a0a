"""The options that several verbs share, and what they mean."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from photio_prep.cutout.framing import Framing
from photio_prep.errors import UsageError
from photio_prep.system import object_store

Command = TypeVar("Command", bound=Callable[..., Any])

DESCRIPTION_HELP = "The SCENE wanted, in English, in detail (not a description of the product)."


def several(*options: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """The options as one decorator, in this order."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


replacing = click.option(
    "--overwrite", is_flag=True, help="Replace a report, page or sheet that photio-prep did not write."
)


def frame_option(text: str) -> int | str:
    """A frame's number from 0, or "photo" or "product"."""
    if text in ("photo", "product"):
        return text
    if not text.isdecimal():
        raise click.BadParameter(f"{text!r} is neither a number from 0 nor photo nor product")
    return int(text)


def framed(cutting: dict[str, Any]) -> dict[str, Any]:
    """What --frame, --margin and --align mean to `prepare`; they are taken out of `cutting`.

    Raises:
        UsageError: A margin that cannot be meant, or that has no product to go around.
    """
    frames, margin, align = (cutting.pop(name) for name in ("frames", "margin", "align"))
    numbers = [each for each in frames if isinstance(each, int)]
    anew = [each for each in frames if isinstance(each, str)][-1:] == ["product"]
    if not anew and (margin or align):
        raise UsageError("a margin or an alignment needs a product to go around", "Give --frame product, too")
    framing = Framing.of(margin or "8%", align or "center") if anew else None
    return {"frame": numbers[-1] if numbers else None, "framing": framing}


talking = several(
    click.option("--json", "as_json", is_flag=True, help="One JSON object a line on stdout."),
    click.option("-v", "--verbose", is_flag=True, help="Where errors came from, too."),
    click.option("-q", "--quiet", is_flag=True, help="Errors only on stderr."),
)


def numbers(count: int) -> Callable[[str], tuple[float, ...]]:
    """What reads so many numbers with commas between them."""

    def read(text: str) -> tuple[float, ...]:
        try:
            found = tuple(float(each) for each in text.split(","))
        except ValueError:
            found = ()
        if len(found) != count:
            raise click.BadParameter(f"{text!r} is not {count} numbers with commas between them")
        return found

    return read


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
    click.option(
        "--model", default="auto", show_default=True, metavar="NAME|rembg:NAME|PATH", help="The model that cuts out."
    ),
    click.option(
        "--family", type=click.Choice(["u2net", "isnet", "birefnet"]), help="Of your own weights in --model PATH."
    ),
    click.option(
        "--point",
        "points",
        type=numbers(2),
        multiple=True,
        metavar="X,Y",
        help="The product is here, in pixels of the photo (needs SAM's weights). May be given again.",
    ),
    click.option(
        "--not-point", "others", type=numbers(2), multiple=True, metavar="X,Y", help="Here is none of the product."
    ),
    click.option(
        "--box",
        type=numbers(4),
        default=None,
        metavar="LEFT,TOP,RIGHT,BOTTOM",
        help="The product is in here, in pixels of the photo (needs SAM's weights).",
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
        "--frame",
        "frames",
        type=frame_option,
        multiple=True,
        metavar="N|product",
        help="N: of an animation or pages, from 0. product: frame the photo anew on its product.",
    ),
    click.option("--margin", default=None, metavar="N%|Npx", help="Around the product, with --frame product. [8%]"),
    click.option(
        "--align",
        type=click.Choice(["center", "left", "right", "top", "bottom"]),
        default=None,
        help="Where the product lies, with --frame product. [center]",
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
        type=click.Choice(["fast", "off"]),
        default="fast",
        show_default=True,
        help="How a model's belief becomes an edge.",
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
        object_store.refuse_orders(str(value))
    return value


to = click.option(
    "--to",
    default=None,
    metavar="ADDRESS",
    callback=lambda _context, _parameter, value: object_store.checked(value),
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
        "--photos", type=click.Path(path_type=Path), help="Where the photo lies now: its file, or a folder with it."
    ),
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
        help="In finals. keep-safe: the photo's copyright and artist, and sRGB; never where, when or with what.",
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
        "--jobs", type=click.IntRange(1, 64), default=8, show_default=True, metavar="N", help="Calls at the same time."
    ),
    click.option(
        "--price", type=click.FloatRange(0, 1000), default=None, metavar="X", help="Of one call, for the quote."
    ),
    click.option("--again", is_flag=True, help="Pay although the same was paid for as other bytes."),
    click.option("--yes", is_flag=True, help="Do not ask before more than 25 paid calls."),
)
