"""Limits of a picture, checked against its header before it is decoded."""

from dataclasses import dataclass, fields, replace
from typing import Literal

from photio_prep.errors import PhotoRefused, UsageError
from photio_prep.geometry import Size

Isolate = Literal["odd", "all", "none"]

MIB = 2**20
# Allowed values. `pixels` ends where Pillow's own check for bombs begins, `side` at the largest JPEG and GIF.
RANGES: dict[str, tuple[float, float]] = {
    "file_bytes": (1, 1024 * MIB),
    "pixels": (1, 178_000_000),
    "side": (1, 65_535),
    "aspect": (1, 65_535),
    "small": (1, 4096),
    "frames": (1, 100_000),
    "metadata": (0, 1024 * MIB),
    "profile": (0, 64 * MIB),
    "seconds": (0.1, 600),
    "memory": (512 * MIB, 64 * 1024 * MIB),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a picture; UsageError if one is out of its range.

    `pixels` and `side` are of the picture as stored; a JPEG may have twice the `pixels`. `aspect` is the long side over
    the short one; `small` is the shortest allowed side; `metadata` is all but the picture, in bytes; a colour profile
    of more than `profile` bytes is ignored. A decoder in a process of its own gets `seconds` and `memory` (bytes of
    address space, on POSIX). `isolate` chooses the decoders that get one: "odd" all but those of plain JPEG and PNG,
    "all", or "none".
    """

    file_bytes: int = 256 * MIB
    pixels: int = 64_000_000
    side: int = 16_384
    aspect: int = 20
    small: int = 16
    frames: int = 1000
    metadata: int = 16 * MIB
    profile: int = 4 * MIB
    seconds: float = 10.0
    memory: int = 3072 * MIB
    isolate: Isolate = "odd"

    def __post_init__(self) -> None:
        for field in fields(self):
            check_limit(field.name, getattr(self, field.name))


def check_limit(name: str, value: object) -> None:
    """Raise UsageError for an unknown limit, or a value out of its range."""
    if name == "isolate":
        if value not in ("odd", "all", "none"):
            raise UsageError(f"isolate = {value!r}", "Choose odd, all or none", subject="limits")
        return
    if name not in RANGES:
        known = ", ".join([*RANGES, "isolate"])
        raise UsageError(f"unknown limit {name[:40]!r}", f"Known: {known}", subject="limits")
    low, high = RANGES[name]
    kind = (int, float) if name == "seconds" else (int,)
    if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high:
        raise UsageError(f"{name} = {str(value)[:40]}", f"Give a number from {low:,g} to {high:,.0f}", subject="limits")


DEFAULT_LIMITS = Limits()


def raise_limit(name: str) -> str:
    """What a user does whose photo is beyond a limit on purpose."""
    return f"raise `{name}` under [limits] in photio.toml"


def limits_for(format_: str | None, limits: Limits) -> Limits:
    """The limits for a format: a JPEG, decoded at a fraction of its size, may have twice the pixels."""
    return replace(limits, pixels=min(2 * limits.pixels, int(RANGES["pixels"][1]))) if format_ == "JPEG" else limits


def check_size(size: Size, limits: Limits) -> None:
    """Raise PhotoRefused for a picture with too many pixels, too long, too small or too narrow."""
    check_extent(size, limits)
    if min(size) < limits.small:
        raise PhotoRefused(
            f"{size} is too small, the shorter side must have at least {limits.small} px",
            "Use a larger photo, or lower `small` under [limits] in photio.toml",
        )
    if max(size) > limits.aspect * min(size):
        raise PhotoRefused(
            f"{size} is longer than {limits.aspect}:1", f"Crop it around the product, or {raise_limit('aspect')}"
        )


def check_extent(size: Size, limits: Limits) -> None:
    """Raise PhotoRefused for a size with too many pixels or a too long side."""
    if size.area > limits.pixels:
        raise PhotoRefused(
            f"{size} is {size.area / 1e6:.0f} megapixels, the limit is {limits.pixels / 1e6:.0f}",
            f"Save it smaller, or {raise_limit('pixels')}",
        )
    if max(size) > limits.side:
        raise PhotoRefused(
            f"{size} has a side of more than {limits.side} px", f"Save it smaller, or {raise_limit('side')}"
        )


def check_metadata(size: int, limits: Limits) -> None:
    """Refuse a file with more than `limits.metadata` bytes besides its picture."""
    if size > limits.metadata:
        raise PhotoRefused(
            f"more than {limits.metadata / MIB:.1f} MiB of it is metadata (EXIF, comments, profiles)",
            f"Export it again without metadata, or {raise_limit('metadata')}",
        )
