"""Options of an order: what decides its canvas and words, where it is kept, and how it is paid for."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

from PIL import Image

from photio_prep import settings
from photio_prep.api.credentials import API_URL
from photio_prep.api.request import build_request, expand_negative, validate_seed
from photio_prep.api.spending_guard import CALLS
from photio_prep.cutout.framing import Framing
from photio_prep.cutout.matte import Alpha
from photio_prep.cutout.models.prompts import Hints
from photio_prep.cutout.models.sam import Sam
from photio_prep.cutout.options import DEFAULT_CUTOUT, CutoutOptions
from photio_prep.geometry import Recommended, Size, parse_size
from photio_prep.imaging.limits import DEFAULT_LIMITS, Limits
from photio_prep.intake.job_table import RowOptions
from photio_prep.intake.load import Source, load
from photio_prep.orders.origin import CutoutRecord
from photio_prep.orders.preflight import Preflight
from photio_prep.system.ranges import Range, check_options
from photio_prep.types import Canvas, Matter, Request

# Calls at the same time; the price of one; the probability from which the gate stops; a page of a file.
JOBS, PRICE, PROBABILITY = Range(1, 64), Range(0, 1000, whole=False), Range(0, 1, whole=False, above=True)
PAGE = Range(0, 100_000)


@dataclass(frozen=True, slots=True)
class PrepareOptions:
    """Everything that decides the canvas and the words.

    `description`: the scene wanted, in English; nothing is sent without one.
    `negative_prompt` replaces the server's default, `append_negative` is added to it.
    `seed`: 1 … 4,294,967,296; None draws one from the canvas, -1 a fresh one.
    `size`: a tag ("Square"), ratio or "WxH" of the recommended sizes; None takes the nearest.
    `model`: a name of the catalogue, "auto" for the best that is installed, or a segmenter of your own.
    `points`: of the product, in pixels of the photo: (x, y); (x, y, False) is background. For SAM.
    `box`: around the product: (left, top, right, bottom), in pixels of the photo. For SAM.
    `mask`: replaces a model: white or opaque is product.
    `alpha`: the photo's own transparency: "auto" reuses a real cutout, "keep", "ignore".
    `second`: another segmenter, which only measures whether it finds the same product.
    `frame`: frame or page of a file with several, from 0; without one such a file is refused.
    `framing`: crop the photo, and its final, to the product with this margin.
    """

    description: str = ""
    negative_prompt: str | None = None
    append_negative: str | None = None
    seed: int | None = None
    size: str | Recommended | None = None
    model: str | Matter | Sam = "auto"
    points: Iterable[tuple[float, ...]] = ()
    box: tuple[float, ...] | None = None
    mask: Source | None = None
    alpha: Alpha = "auto"
    second: Matter | None = None
    cutting: CutoutOptions = DEFAULT_CUTOUT
    frame: int | None = None
    framing: Framing | None = None
    limits: Limits = DEFAULT_LIMITS

    def __post_init__(self) -> None:
        # An iterator gives its points once, a name is looked up once.
        object.__setattr__(self, "points", tuple(self.points))
        object.__setattr__(self, "size", self.recommended)
        expand_negative(self.negative_prompt, self.append_negative)
        if self.seed is not None and self.seed != -1:
            validate_seed(self.seed)
        check_options(self, frame=PAGE)

    @property
    def recommended(self) -> Recommended | None:
        """The canvas size that the user chose; UsageError if no recommended size has this name."""
        return parse_size(self.size) if isinstance(self.size, str) else self.size

    @property
    def hints(self) -> Hints:
        """Points and box."""
        return Hints.of(self.points, self.box)

    def load_mask(self) -> Image.Image | None:
        """The picture of `mask`."""
        return None if self.mask is None else load(self.mask, limits=self.limits).image

    def request(self, canvas: Canvas) -> Request:
        """The request for `canvas` with these words and this seed."""
        return build_request(
            canvas,
            self.description,
            seed=self.seed,
            negative_prompt=self.negative_prompt,
            append_negative=self.append_negative,
        )

    def with_row(self, row: RowOptions) -> "PrepareOptions":
        """These options, but for those that a row of a job table sets. A row sets both negative prompts, or neither."""
        own = (row.negative_prompt, row.append_negative)
        negative, append = (self.negative_prompt, self.append_negative) if own == (None, None) else own
        return replace(
            self,
            description=row.description or self.description,
            negative_prompt=negative,
            append_negative=append,
            seed=self.seed if row.seed is None else row.seed,
            size=row.size or self.size,
            mask=row.mask or self.mask,
        )

    def record(self, model: str, size: Size | None, mask: str) -> CutoutRecord:
        """The options that decide the canvas; the words, the seed and the limits do not."""
        return CutoutRecord(model, self.alpha, size, mask, self.cutting, self.hints, self.framing)


@dataclass(frozen=True, slots=True)
class PayOptions:
    """Address and key of the API, budget, and what the gate stops; UsageError for a number out of its range.

    `gate`: "off", "warn" or "strict"; None takes PHOTIO_GATE or photio.toml, else "warn". `gate_at`: stop from this
    probability (0..1) of a wrong cutout on; None takes the judgement as recorded, by `quality.STOP_AT`.
    `pay_again`: pay although the same photo with the same words was paid for as other bytes. `jobs`: calls at the
    same time. `price`: of one call. `yes`: do not ask before a large batch. The key itself is never held here.
    """

    gate: str | None = None
    gate_at: float | None = None
    pay_again: bool = False
    max_calls: int | None = None
    jobs: int = 8
    price: float | None = None
    yes: bool = False
    sandbox: bool = False
    api_url: str | None = None
    key_file: Path | None = None
    key_stdin: bool = False
    keyring: bool = False

    def __post_init__(self) -> None:
        check_options(self, jobs=JOBS, gate_at=PROBABILITY, max_calls=CALLS, price=PRICE)

    @property
    def preflight(self) -> Preflight:
        """The conditions for paying; UsageError if `gate` is not a level."""
        return Preflight(settings.gate(self.gate), self.pay_again, self.gate_at)


@dataclass(frozen=True, slots=True)
class OrderPlace:
    """The place of an order, and the names of its photo; the arguments of `pipeline.prepare`."""

    endpoint: str = API_URL
    orders: str | Path | None = None
    name: str = ""
    output: str = ""
    variants: bool = False


class CutoutKeywords(TypedDict, total=False):
    """The options of `PrepareOptions` but for the description, as keyword arguments."""

    negative_prompt: str | None
    append_negative: str | None
    seed: int | None
    size: str | Recommended | None
    model: str | Matter | Sam
    points: Iterable[tuple[float, ...]]
    box: tuple[float, ...] | None
    mask: Source | None
    alpha: Alpha
    second: Matter | None
    cutting: CutoutOptions
    frame: int | None
    framing: Framing | None
    limits: Limits


class PrepareKeywords(CutoutKeywords, total=False):
    """The options of `PrepareOptions` as keyword arguments."""

    description: str


class PayKeywords(TypedDict, total=False):
    """The options of `PayOptions` that concern one order, as keyword arguments."""

    gate: str | None
    gate_at: float | None
    pay_again: bool
