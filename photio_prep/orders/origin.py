"""The photo that an order was made from, how it was cut out, and its record in the order's folder."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from photio_prep.cutout.framing import Framing
from photio_prep.cutout.models.prompts import Hints
from photio_prep.cutout.options import CutoutOptions
from photio_prep.errors import UsageError
from photio_prep.geometry import Size
from photio_prep.imaging.headers.exif import clean_exif
from photio_prep.intake.names import portable_name, variant_output
from photio_prep.orders.records import check_photo, read_record
from photio_prep.quality import Judgement
from photio_prep.system import seeds
from photio_prep.types import UNCREDITED, Credit


class Variant(NamedTuple):
    """One of several orders of a photo, each with its own seed: its number, and the photo's output name."""

    number: int
    of: str


@dataclass(frozen=True, slots=True)
class CutoutRecord:
    """The options that decide a canvas.

    `model` as the user asked for it: "auto" stays the same when a better model is installed. `mask`: digest of its
    pixels, or "none".
    """

    model: str
    alpha: str
    size: Size | None
    mask: str
    cutting: CutoutOptions
    hints: Hints
    framing: Framing | None

    def describe(self, frame: int | None) -> str:
        """As text, as in records of version 0.1 before December 2026; equal for equal options."""
        parts = [f"model {self.model}", f"alpha {self.alpha}", f"size {self.size}", f"mask {self.mask}"]
        parts += [str(self.cutting), *([f"pointed {self.hints}"] if self.hints else [])]
        parts += [] if frame is None else [f"frame {frame}"]
        return ", ".join([*parts, *([f"framing {self.framing}"] if self.framing else [])])


@dataclass(frozen=True, slots=True)
class Origin:
    """The photo that an order was made from.

    `source` is the input as the user named it; `digest` the SHA-256 of its bytes; `format` its Pillow format; `output`
    the path of its final below the output folder, with slashes, without suffix; `options` how it was cut out, a text in
    early records; `gate` the gate's judgement, None if not judged; `path` its absolute path, "" if it is not a file;
    `variant` None for the only order of a photo; `frame` the frame or page of a file with several, None for the only
    one; `record` the digits in the names of its records, "" until they are written.
    """

    source: str
    digest: str
    format: str
    output: str = ""
    options: CutoutRecord | str = ""
    warnings: tuple[str, ...] = ()
    credit: Credit = UNCREDITED
    gate: Judgement | None = None
    path: str = ""
    variant: Variant | None = None
    frame: int | None = None
    record: str = field(default="", compare=False)

    @property
    def place(self) -> str:
        """The output name of its final: `output`, or the photo's name if that is empty (library)."""
        return self.output or portable_name(Path(self.source).stem)

    @property
    def base(self) -> str:
        """The output name of the photo's final, the same for all variants."""
        return self.variant.of if self.variant else self.place

    @property
    def identity(self) -> tuple[str, str]:
        """The photo's bytes, and how they were asked to be cut out."""
        options = self.options
        return self.digest, options if isinstance(options, str) else options.describe(self.frame)

    @property
    def number(self) -> int:
        """The number of its variant; 1 for the only order of a photo."""
        return self.variant.number if self.variant else 1

    @property
    def id(self) -> str:
        """Twelve hex digits that identify a photo within its order."""
        if self.record:
            return self.record
        identity = f"{self.source}\0{self.digest}\0{self.output}"
        return sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[:12]


def file_path(source: str) -> str:
    """The absolute path of an input file, links resolved; "" for a URL, a pipe or a picture in memory."""
    return os.path.realpath(source) if "://" not in source and os.path.isfile(source) else ""  # noqa: PTH113


def placed_as(output: str, *, variants: bool) -> dict[str, Any]:
    """The fields `output` and `variant` of an `Origin`, for the output name of its photo."""
    variant = Variant(1, output) if variants else None
    return {"output": variant_output(output, 1) if variants else output, "variant": variant}


def read_origin(path: Path, record: dict[str, Any], plan: Mapping[str, Any] | None) -> Origin:
    """Parse a photo's record, read from `path`; `plan` is the content of its order.json, if already read."""
    check_photo(record)
    credit, options = record.get("credit", {}), record["options"]
    return Origin(
        record["source"],
        record["sha256"],
        record["format"],
        record["output"],
        options if isinstance(options, str) else _read_options(options),
        credit=Credit(**{name: clean_exif(str(credit.get(name, ""))) for name in Credit._fields}),
        path=record.get("path", ""),
        variant=_read_variant(path, record, plan),
        frame=record.get("frame"),
        record=path.stem.partition("-")[2],
    )


def _read_options(record: dict[str, Any]) -> CutoutRecord:
    """Parse the options of a photo's record. Options added by later versions are ignored."""
    cutting, hints, framing = record["cutting"], record["hints"], record["framing"]
    try:
        return CutoutRecord(
            str(record["model"]),
            str(record["alpha"]),
            Size(*record["size"]),
            str(record["mask"]),
            CutoutOptions(**{part.name: cutting[part.name] for part in fields(CutoutOptions) if part.name in cutting}),
            Hints.of(hints["points"], hints["box"]),
            None if framing is None else Framing(framing["margin"], framing["percent"], framing["align"]),
        )
    except UsageError as error:
        raise ValueError(error.problem) from None


def _read_variant(path: Path, record: dict[str, Any], plan: Mapping[str, Any] | None) -> Variant | None:
    """The variant in a record; records of early version 0.1 have none, and their seed and output name decide."""
    if "variant" in record:
        variant = record["variant"]
        return None if variant is None else Variant(variant["number"], variant["of"])
    if (match := re.fullmatch(r"(.+)-seeds/([0-9]{1,2})", record["output"])) is None:
        return None
    plan = read_record(path.parent / "order.json") if plan is None else plan
    number, base = int(match[2]), seeds.seed_from_canvas(plan["canvas"]["sha256"])
    return Variant(number, match[1]) if plan["seed"] == seeds.derive_seed(base, number) else None
