"""The photo that an order was made from: its record in the order's folder, and which of several orders it has."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from photio_prep.imaging.headers.exif import clean
from photio_prep.intake.names import portable, variant_output
from photio_prep.orders import record_checks
from photio_prep.orders.records import read as read_facts
from photio_prep.quality import Judgement
from photio_prep.system import seeds
from photio_prep.types import UNCREDITED, Credit


class Variant(NamedTuple):
    """One of several orders of a photo, each with a seed of its own: its number, and the place of the photo's final."""

    number: int
    of: str


@dataclass(frozen=True, slots=True)
class Origin:
    """The photo that an order was made from.

    `source` is the input as given; `digest` the SHA-256 of its bytes; `format` its Pillow format; `output` where its
    final belongs below the output folder, without suffix, with slashes; `options` how it was asked to be cut out, as
    `PrepareOptions.describe` writes it; `credit` whose it is, which a final may carry on; `gate` what the gate thinks
    of its cutout, None where it was not judged; `path` its absolute path, "" where it is no file; `variant` which of
    several orders of the photo this is, None for its only one; `frame` which frame or page of a file with several, None
    for the only one; `record` the digits of its files in the order's folder, where those are written already.
    """

    source: str
    digest: str
    format: str
    output: str = ""
    options: str = ""
    warnings: tuple[str, ...] = ()
    credit: Credit = UNCREDITED
    gate: Judgement | None = None
    path: str = ""
    variant: Variant | None = None
    frame: int | None = None
    record: str = field(default="", compare=False)

    @property
    def place(self) -> str:
        """Where its final belongs: `output`, or without one (in the library) the name of the photo."""
        return self.output or portable(Path(self.source).stem)

    @property
    def base(self) -> str:
        """The place of the photo's final below the output folder, of whichever variant that is made."""
        return self.variant.of if self.variant else self.place

    @property
    def identity(self) -> tuple[str, str]:
        """The photo's bytes, and how they were asked to be cut out.

        Early version 0.1 wrote lengths as 0.0 or 0, depending on who asked.
        """
        return self.digest, re.sub(r"(\d)\.0(?=,|$)", r"\1", self.options)

    @property
    def number(self) -> int:
        """Which variant it is; the photo's only order is its first."""
        return self.variant.number if self.variant else 1

    @property
    def id(self) -> str:
        """Twelve hex digits that tell the photos of one order apart."""
        if self.record:
            return self.record
        told = f"{self.source}\0{self.digest}\0{self.output}"
        return sha256(told.encode("utf-8", "surrogateescape")).hexdigest()[:12]


def file_path(source: str) -> str:
    """The absolute path of an input that is a file, without links; "" for a URL, a pipe or a picture in memory."""
    return os.path.realpath(source) if "://" not in source and os.path.isfile(source) else ""  # noqa: PTH113


def placed_as(output: str, *, variants: bool) -> dict[str, Any]:
    """The members of an `Origin` that say where the final of a photo's order belongs, by that of the photo."""
    variant = Variant(1, output) if variants else None
    return {"output": variant_output(output, 1) if variants else output, "variant": variant}


def read_origin(path: Path, facts: dict[str, Any], plan: Mapping[str, Any] | None) -> Origin:
    """The photo in a record, which lies at `path`; `plan` is what its order.json holds, where that is at hand."""
    record_checks.check_photo(facts)
    noted = facts.get("credit", {})
    return Origin(
        facts["source"],
        facts["sha256"],
        facts["format"],
        facts["output"],
        facts["options"],
        credit=Credit(**{name: clean(str(noted.get(name, ""))) for name in Credit._fields}),
        path=facts.get("path", ""),
        variant=_variant(path, facts, plan),
        frame=_frame(facts),
        record=path.stem.partition("-")[2],
    )


def _frame(facts: dict[str, Any]) -> int | None:
    """Which frame of a file with several; a record of early version 0.1 has it among the options only."""
    noted: int | None = facts.get("frame")
    old = None if "frame" in facts else re.search(r", frame (\d+)(?:,|$)", facts["options"])
    return int(old[1]) if old else noted


def _variant(path: Path, facts: dict[str, Any], plan: Mapping[str, Any] | None) -> Variant | None:
    """Which variant a photo's order is; where that is not noted (early version 0.1), by its seed and its place."""
    if "variant" in facts:
        noted = facts["variant"]
        return None if noted is None else Variant(noted["number"], noted["of"])
    if (place := re.fullmatch(r"(.+)-seeds/([0-9]{1,2})", facts["output"])) is None:
        return None
    plan = read_facts(path.parent / "order.json") if plan is None else plan
    number, base = int(place[2]), seeds.drawn(plan["canvas"]["sha256"])
    return Variant(number, place[1]) if plan["seed"] == seeds.derived(base, number) else None
