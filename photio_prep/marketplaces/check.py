"""A file and a preset -> what breaks the marketplace's rules."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import NamedTuple

from PIL import Image

from photio_prep.errors import PhotoRefused
from photio_prep.final.provenance import source_type
from photio_prep.geometry import Size
from photio_prep.imaging.colour import is_srgb
from photio_prep.imaging.decode import DEFAULT_LIMITS, Limits, picture
from photio_prep.imaging.encode import SANDBOX_MARK
from photio_prep.imaging.headers import Damaged, exif, read
from photio_prep.marketplaces import white_background
from photio_prep.marketplaces.presets import Preset, Rule


class Fault(NamedTuple):
    """One rule that a file breaks, in words for a seller; `broken` is false where it is a note only."""

    rule: str
    text: str
    broken: bool = True


_UNKNOWN = Size(0, 0)


@dataclass(frozen=True, slots=True)
class Report:
    """What a file is, and which rules it breaks. `fill` (0..1) and `white` (0..1) are known on white paper only."""

    preset: str
    faults: tuple[Fault, ...]
    format: str = ""
    size: Size = _UNKNOWN
    weight: int = 0
    fill: float | None = None
    white: float | None = None

    @property
    def broken(self) -> tuple[Fault, ...]:
        """The rules that it breaks."""
        return tuple(each for each in self.faults if each.broken)

    def __str__(self) -> str:
        told = [f"{self.size} {self.format}, {self.weight:,} bytes"] if self.format else []
        if self.fill is not None:
            told.append(f"the product fills {self.fill:.0%}")
        if self.white is not None:
            told.append("the background is pure white" if self.white == 1 else f"{self.white:.2%} of it pure white")
        return ", ".join(told)


def check(
    data: bytes,
    preset: Preset,
    *,
    name: str = "",
    generated: bool | None = None,
    fill: float | None = None,
    product: Image.Image | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Report:
    """The report on a file's bytes, by the preset's rules and by ours, which hold for all of them.

    Args:
        data: The whole file.
        preset: Whose rules.
        name: The file's name, where its suffix is to be checked.
        generated: Whether a model painted it; None where nobody knows.
        fill: The product's share of the frame, where it is known; on white paper it is measured.
        product: Where it is known to lie on white paper, see paper.py.
        limits: What a file may be at most to be looked into.
    """
    try:
        format_, facts = read(data, limits, 0)
        image = picture(data, limits, 0).image.convert("RGB")
        mode = _mode(facts.plain, format_)
    except PhotoRefused as error:
        return Report(preset.name, (Fault("readable", f"it cannot be read: {error}"),), weight=len(data))
    size = Size(*image.size)
    seen = white_background.seen(image, product) if preset.rule("background") or preset.rule("fill") else None
    fill = seen.fill if seen and seen.white else fill
    numbers = {"weight": len(data), "longest": max(size), "shortest": min(size), "width": size.width}
    measured: dict[str, float | None] = {**numbers, "pixels": size.area, "ratio": size.width / size.height}
    measured["fill"] = fill
    faults = [*_form(name, format_, mode, facts.frames, facts.orientation), *_colour(facts.profile), *_private(data)]
    for rule in preset.rules:
        if rule.name in measured:
            faults += _number(rule, measured[rule.name], size)
    faults += _format(preset, format_)
    background = preset.rule("background")
    if seen and background:
        faults += [Fault("background", text) for text in seen.faults]
        faults += [Fault("background", text, broken=False) for text in seen.notes]
    faults += _generated(preset, data, generated)
    white = seen.share if seen and background else None
    return Report(preset.name, tuple(faults), format_, size, len(data), fill if seen else None, white)


def _mode(plain: bytes, format_: str) -> str:
    """The mode that a file's pixels are stored in; its header has been read by us before, its metadata are gone."""
    if format_ in ("AVIF", "HEIC"):
        return "RGB"
    try:
        with Image.open(io.BytesIO(plain), formats=[format_]) as opened:
            return opened.mode
    except Exception as error:  # noqa: BLE001  foreign bytes, and a parser may raise anything on them
        raise PhotoRefused(f"a damaged {format_} file ({str(error)[:80]})", "Export it again") from None


_SUFFIXES = {"JPEG": (".jpg", ".jpeg"), "PNG": (".png",), "WEBP": (".webp",), "TIFF": (".tif", ".tiff")}
_SUFFIXES |= {"GIF": (".gif",), "BMP": (".bmp",), "AVIF": (".avif",), "HEIC": (".heic", ".heif")}


def _form(name: str, format_: str, mode: str, frames: int, turned: int | None) -> Iterator[Fault]:
    suffix = PurePath(name).suffix.lower()
    if suffix and suffix not in _SUFFIXES[format_]:
        yield Fault("suffix", f"it is named {suffix}, but is a {format_} file")
    if frames > 1:
        yield Fault("frames", f"it holds {frames} frames: save one of them")
    if mode != "RGB":
        said = _MODES.get(mode, f"of the mode {mode}")
        yield Fault("mode", f"it is {said}, and not plain RGB of 8 bits")
    if turned not in (None, 1):
        yield Fault("turned", f"it is stored turned (EXIF orientation {turned}), and not every shop turns it back")


_MODES = {"CMYK": "CMYK, for printing", "L": "greyscale", "P": "of a palette", "RGBA": "with transparency"}
_MODES |= {"LA": "greyscale with transparency", "I;16": "greyscale of 16 bits", "1": "black and white only"}


def _colour(profile: bytes | None) -> Iterator[Fault]:
    if not is_srgb(profile):
        yield Fault("colour", "its colour profile is not sRGB: convert it, or colours will shift")


def _private(data: bytes) -> Iterator[Fault]:
    if _tells_where(data):
        yield Fault("metadata", "it says where the photo was taken (GPS)")
    if SANDBOX_MARK in data:
        yield Fault("sandbox", "it is a try-out of the sandbox, and no paid result", broken=False)


def _tells_where(data: bytes) -> bool:
    """Whether EXIF or XMP anywhere in a file holds a place."""
    if b"exif:GPS" in data:
        return True
    for order, mark in (("<", b"II*\0"), (">", b"MM\0*")):
        at = data.find(mark)
        for _ in range(_BLOCKS):
            if at < 0:
                break
            block = data[at : at + _BLOCK]
            try:
                start = int.from_bytes(block[4:8], "little" if order == "<" else "big")
                entries, _ = exif.directory(block, order, start, 200)
                if any(each.tag == _GPS for each in entries):
                    return True
            except Damaged:
                pass
            at = data.find(mark, at + 1)
    return False


_GPS, _BLOCKS, _BLOCK = 0x8825, 64, 65536


def _number(rule: Rule, found: float | None, size: Size) -> Iterator[Fault]:
    if found is None:
        return
    # A ratio is met to the pixel: of a side that was rounded, half a pixel is not the user's fault.
    slack = found * (0.5 / size.width + 0.5 / size.height) if rule.name == "ratio" else 0.0
    what, told = _WORDS[rule.name]
    if rule.least is not None and found < rule.least - slack:
        yield Fault(_KIND.get(rule.name, rule.name), _said(what, told, found, "at least", rule.least), not rule.advice)
    elif rule.most is not None and found > rule.most + slack:
        yield Fault(_KIND.get(rule.name, rule.name), _said(what, told, found, "at most", rule.most), not rule.advice)
    elif rule.good is not None and found < rule.good:
        text = _said(what, told, found, "better", rule.good)
        yield Fault(_KIND.get(rule.name, rule.name), text, broken=False)


def _said(what: str, told: str, found: float, word: str, limit: float) -> str:
    return f"{what} {told.format(found)}, and {word} {told.format(limit)} is asked for"


_KIND = dict.fromkeys(["longest", "shortest", "width", "pixels"], "size")
_WORDS = {
    "weight": ("the file has", "{:,} bytes"),
    "longest": ("its longer side has", "{} px"),
    "shortest": ("its shorter side has", "{} px"),
    "width": ("its width is", "{} px"),
    "pixels": ("it has", "{:,} pixels"),
    "ratio": ("width by height is", "{:.3f}"),
    "fill": ("the product fills", "{:.0%} of the frame"),
}


def _format(preset: Preset, format_: str) -> Iterator[Fault]:
    rule = preset.rule("format")
    if rule and format_ not in rule.any:
        yield Fault("format", f"it is a {format_} file, and {', '.join(rule.any)} are taken")


def _generated(preset: Preset, data: bytes, generated: bool | None) -> Iterator[Fault]:
    rule, stated = preset.rule("generated"), source_type(data)
    if rule is None:
        return
    if rule.any == ("forbidden",) and (generated or stated in _GENERATED):
        yield Fault("generated", "a generated scene is not allowed here: the main picture is the product on white")
    if rule.any == ("tagged",) and generated and stated not in _GENERATED:
        text = "it is generated and does not say so (IPTC DigitalSourceType): leave --provenance at trained"
        yield Fault("generated", text)


_GENERATED = ("trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "compositeSynthetic")
