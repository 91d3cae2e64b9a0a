"""Check a file against the rules of a preset."""

import io
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from PIL import Image

from photio_prep.errors import PhotoRefused, PresetFailed
from photio_prep.final.provenance import source_type
from photio_prep.geometry import Size
from photio_prep.imaging.colour import is_srgb
from photio_prep.imaging.decode import DEFAULT_LIMITS, Limits, decode_picture
from photio_prep.imaging.encode import SANDBOX_MARK
from photio_prep.imaging.headers import MalformedImage, exif, parse_header
from photio_prep.imaging.headers.header import Header
from photio_prep.intake.names import FORMATS
from photio_prep.marketplaces import white_background
from photio_prep.marketplaces.presets import Preset, Rule


class Violation(NamedTuple):
    """One broken rule, in words for a seller; a mere note if `broken` is false."""

    rule: str
    text: str
    broken: bool = True


_UNKNOWN = Size(0, 0)


@dataclass(frozen=True, slots=True)
class ComplianceReport:
    """What a file is, and which rules it breaks. `fill` and `white` (0..1) are measured on a white background only."""

    preset: str
    faults: tuple[Violation, ...]
    format: str = ""
    size: Size = _UNKNOWN
    weight: int = 0
    fill: float | None = None
    white: float | None = None

    @property
    def broken(self) -> tuple[Violation, ...]:
        """The broken rules, without the notes."""
        return tuple(fault for fault in self.faults if fault.broken)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is worth knowing, and breaks no rule."""
        return tuple(fault.text for fault in self.faults if not fault.broken)

    def failure(self, path: Path, fix: str = "") -> PresetFailed | None:
        """The error of the file at `path` that breaks rules of its marketplace; None if it follows them."""
        problem = f"breaks the rules of {self.preset}: {'; '.join(fault.text for fault in self.broken)}"
        return PresetFailed(problem, fix, subject=str(path)) if self.broken else None

    def to_dict(self) -> dict[str, Any]:
        """A record for JSON."""
        return {
            "preset": self.preset,
            "ok": not self.broken,
            "size": list(self.size),
            "bytes": self.weight,
            "fill": self.fill,
            "faults": [fault._asdict() for fault in self.faults],
        }

    def __str__(self) -> str:
        parts = [f"{self.size} {self.format}, {self.weight:,} bytes"] if self.format else []
        if self.fill is not None:
            parts.append(f"the product fills {self.fill:.0%}")
        if self.white is not None:
            share = "the" if self.white == 1 else f"{self.white:.2%} of the"
            parts.append(f"{share} background is pure white")
        return ", ".join(parts)


def check_file(
    data: bytes,
    preset: Preset,
    *,
    name: str = "",
    generated: bool | None = None,
    fill: float | None = None,
    product: Image.Image | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> ComplianceReport:
    """Check the bytes of a file against the preset's rules, and against ours, which hold for every preset.

    `name`: of the file, for the check of its suffix; "" skips it. `generated`: whether a model painted the picture;
    None if unknown. `fill`: the product's share of the frame (0..1), where it cannot be measured on a white background.
    `product`: alpha (L) of the product on a white background, see white_background.py.
    """
    try:
        format_, header = parse_header(data, limits, 0)
        image = decode_picture(data, limits, 0).image.convert("RGB")
        mode = _read_mode(header.plain, format_)
    except PhotoRefused as error:
        return ComplianceReport(preset.name, (Violation("readable", f"it cannot be read: {error}"),), weight=len(data))
    size = Size(*image.size)
    background = preset.rule("background")
    paper = None
    if background or preset.rule("fill"):
        paper = white_background.inspect_background(image, product)
        fill = paper.fill if paper.white else fill
    faults = [*_check_form(name, format_, mode, header), *_check_metadata(data)]
    for rule in preset.rules:
        faults += _check_number(rule, size, len(data), fill)
    accepted = preset.rule("format")
    if accepted and format_ not in accepted.any:
        faults.append(Violation("format", f"it is a {format_} file; accepted: {', '.join(accepted.any)}"))
    share = None
    if paper and background:
        share = paper.share
        faults += [Violation("background", text) for text in paper.faults]
        faults += [Violation("background", text, broken=False) for text in paper.notes]
    faults += _check_generated(preset, data, generated)
    return ComplianceReport(preset.name, tuple(faults), format_, size, len(data), fill if paper else None, share)


def _read_mode(plain: bytes, format_: str) -> str:
    """The Pillow mode of a file, given without its metadata and with its header already checked."""
    if format_ in ("AVIF", "HEIC"):
        return "RGB"
    try:
        with Image.open(io.BytesIO(plain), formats=[format_]) as opened:
            return opened.mode
    except Exception as error:  # noqa: BLE001  a parser may raise anything on damaged bytes
        raise PhotoRefused(f"a damaged {format_} file ({str(error)[:80]})", "Export it again") from None


_MODES = {"CMYK": "CMYK, for printing", "L": "greyscale", "P": "with a palette", "RGBA": "with transparency"}
_MODES |= {"LA": "greyscale with transparency", "I;16": "greyscale of 16 bits", "1": "black and white only"}


def _check_form(name: str, format_: str, mode: str, header: Header) -> Iterator[Violation]:
    suffix = PurePath(name).suffix.lower()
    if suffix and (FORMATS.get(suffix) != format_ or suffix in (".jfif", ".jif", ".jpe")):
        yield Violation("suffix", f"it is named {suffix}, but is a {format_} file")
    if header.frames > 1:
        yield Violation("frames", f"it holds {header.frames} frames: save one of them")
    if mode != "RGB":
        text = _MODES.get(mode, f"of the mode {mode}")
        yield Violation("mode", f"it is {text}, not plain RGB of 8 bits")
    if header.tags.orientation != 1:
        text = f"it is stored turned (EXIF orientation {header.tags.orientation}); not every shop turns it back"
        yield Violation("turned", text)
    if not is_srgb(header.space.profile):
        yield Violation("colour", "its colour profile is not sRGB: convert it, or colours will shift")


def _check_metadata(data: bytes) -> Iterator[Violation]:
    if _has_location(data):
        yield Violation("metadata", "it says where the photo was taken (GPS)")
    if SANDBOX_MARK in data:
        yield Violation("sandbox", "it is a sandbox result, not a paid one", broken=False)


def _has_location(data: bytes) -> bool:
    """Whether EXIF or XMP anywhere in a file holds a GPS position."""
    if b"exif:GPS" in data:
        return True
    for mark in islice(re.finditer(rb"II\*\0|MM\0\*", data), _BLOCKS):
        block, little = data[mark.start() : mark.start() + _BLOCK], mark[0][:1] == b"I"
        with suppress(MalformedImage):
            start = int.from_bytes(block[4:8], "little" if little else "big")
            entries, _ = exif.read_directory(block, "<" if little else ">", start, 200)
            if any(entry.tag == _GPS for entry in entries):
                return True
    return False


_GPS, _BLOCKS, _BLOCK = 0x8825, 128, 65536


def _check_number(rule: Rule, size: Size, weight: int, fill: float | None) -> Iterator[Violation]:
    numbers = {"weight": weight, "longest": max(size), "shortest": min(size), "width": size.width, "pixels": size.area}
    value = {**numbers, "ratio": size.width / size.height, "fill": fill}.get(rule.name)
    if value is None:
        return
    # Both sides are whole pixels, so a ratio may miss its limit by half a pixel of each.
    slack = value * (0.5 / size.width + 0.5 / size.height) if rule.name == "ratio" else 0.0
    subject, unit = _WORDS[rule.name]
    if rule.least is not None and value < rule.least - slack:
        limit, broken = f"at least {unit.format(rule.least)} is required", not rule.advice
    elif rule.most is not None and value > rule.most + slack:
        limit, broken = f"at most {unit.format(rule.most)} is allowed", not rule.advice
    elif rule.good is not None and value < rule.good:
        limit, broken = f"{unit.format(rule.good)} or more is recommended", False
    else:
        return
    kind = "size" if rule.name in ("longest", "shortest", "width", "pixels") else rule.name
    yield Violation(kind, f"{subject} {unit.format(value)}; {limit}", broken)


_WORDS = {
    "weight": ("the file has", "{:,} bytes"),
    "longest": ("its longer side has", "{} px"),
    "shortest": ("its shorter side has", "{} px"),
    "width": ("its width is", "{} px"),
    "pixels": ("it has", "{:,} pixels"),
    "ratio": ("width by height is", "{:.3f}"),
    "fill": ("the product fills", "{:.0%} of the frame"),
}


def _check_generated(preset: Preset, data: bytes, generated: bool | None) -> Iterator[Violation]:
    rule, stated = preset.rule("generated"), source_type(data)
    if rule is None:
        return
    if rule.any == ("forbidden",) and (generated or stated in _GENERATED):
        yield Violation("generated", "a generated scene is not allowed here: the main picture is the product on white")
    if rule.any == ("tagged",) and generated and stated not in _GENERATED:
        text = "it is generated and does not say so (IPTC DigitalSourceType): leave --provenance at trained"
        yield Violation("generated", text)


_GENERATED = ("trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "compositeSynthetic")
