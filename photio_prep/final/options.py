"""Options of a final: whose pixels its product has, its size, its format, where it goes."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict

from photio_prep.errors import UsageError
from photio_prep.geometry import Placement, Size, parse_pixels
from photio_prep.imaging.limits import DEFAULT_LIMITS, Limits
from photio_prep.system.near_name import suggest_name
from photio_prep.system.ranges import Range, check_options

Metadata = Literal["none", "keep-safe"]
Product = Literal["generated", "detail", "original"]
Provenance = Literal["trained", "composite", "none"]

# The largest final: eight times as many pixels as a 12 MP photo has.
_MOST = 100_000_000
DRIFT = Range(0, 1000, whole=False)


@dataclass(frozen=True, slots=True)
class FinishOptions:
    """How an answer becomes a final.

    `product`: whose pixels the product has. "generated": the answer's. "original": the photo's own. "detail": the
    photo's fine detail in the light of the answer. None is "original" where the photo can be found again, else
    "generated", with a warning.
    `output_size`: "original" (the photo's), "canvas" (no pixel more than the answer has), "WxH" of the photo's shape,
    or "long:N" for a longer side of N pixels.
    `format`: "jpg", "png" or "webp"; None is the photo's own format.
    `photos`: the photo's file, or a folder in which it is looked for.
    `limits`: what the photo may be at most.
    """

    product: Product | None = None
    output_size: str = "original"
    format: str | None = None
    photos: str | Path | None = None
    limits: Limits = DEFAULT_LIMITS

    def __post_init__(self) -> None:
        check_options(self)
        if self.photos is not None and not Path(self.photos).exists():
            raise UsageError("no such file or folder of photos", suggest_name(Path(self.photos)), str(self.photos))
        parse_output_size(self.output_size)

    def fits(self, placement: Placement) -> None:
        """Raise UsageError if the output size has another shape than the photo."""
        resolve_output_size(self.output_size, placement.source, placement.box.size)

    def __str__(self) -> str:
        """The two options that decide the pixels of a final, as its record holds them."""
        return f"product {self.product or 'auto'}, size {self.output_size}"


def parse_output_size(text: str) -> Size | int | None:
    """Parse `--output-size`: a size, the length of the longer side, or None for "original" and "canvas"."""
    if text in ("original", "canvas"):
        return None
    long = re.fullmatch(r"long:([1-9][0-9]{0,5})", text)
    size = parse_pixels(f"{long[1]}x1" if long else text)
    if size is None:
        raise UsageError(f"output size {text[:40]!r} is not one", "Give original, canvas, WxH or long:N")
    if size.area > _MOST or (long and size.width**2 > 20 * _MOST):
        raise UsageError(f"output size {text}: too large", f"Give 1 to {_MOST:,} pixels in all")
    return size.width if long else size


def resolve_output_size(text: str, photo: Size, frame: Size) -> Size:
    """Size of the final, from the output size, the photo's size and the size of its frame in the answer.

    Raises:
        UsageError: The size has another shape than the photo; the message names the sizes that would fit.
    """
    size = parse_output_size(text)
    if size is None:
        return photo if text == "original" else frame
    width, height = (size, size) if isinstance(size, int) else size
    fitting = (
        Size(width, max(1, (2 * photo.height * width + photo.width) // (2 * photo.width))),
        Size(max(1, (2 * photo.width * height + photo.height) // (2 * photo.height)), height),
    )
    if isinstance(size, int):
        return fitting[photo.width < photo.height]
    if size not in fitting:
        choices = " or ".join(dict.fromkeys(map(str, fitting)))
        raise UsageError(
            f"output size {size} has another shape than the photo ({photo}), and a final is never stretched or cut",
            f"{choices} would fit",
        )
    return size


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """Where files go, whether they replace others, and what they state.

    `upload_to`: folder of an object store for copies. `metadata`: "keep-safe" keeps the photo's copyright and artist.
    `max_drift`: exit 3 above it.
    """

    out: Path = Path("photio-out")
    overwrite: bool = False
    metadata: Metadata = "none"
    provenance: Provenance = "none"
    presets: tuple[str, ...] = ()
    upload_to: str | None = None
    max_drift: float | None = None

    def __post_init__(self) -> None:
        check_options(self, max_drift=DRIFT)


DEFAULT_FINISH, DEFAULT_OUTPUT = FinishOptions(), OutputOptions()


class FinishKeywords(TypedDict, total=False):
    """The options of `FinishOptions` as keyword arguments."""

    product: Product | None
    output_size: str
    format: str | None
    photos: str | Path | None
    limits: Limits
