"""Limits of a picture, checked against its header before it is decoded."""

from dataclasses import dataclass, replace
from typing import Literal

from photio_prep.errors import PhotoRefused
from photio_prep.geometry import Size
from photio_prep.system.ranges import Range, check_options

Isolate = Literal["odd", "all", "none"]

MIB = 2**20
# Allowed values. `pixels` ends where Pillow's own check for bombs begins, `side` at the largest JPEG and GIF.
RANGES = {
    "file_bytes": Range(1, 1024 * MIB),
    "pixels": Range(1, 178_000_000),
    "side": Range(1, 65_535),
    "aspect": Range(1, 65_535),
    "small": Range(1, 4096),
    "frames": Range(1, 100_000),
    "metadata": Range(0, 1024 * MIB),
    "profile": Range(0, 64 * MIB),
    "seconds": Range(0.1, 600, whole=False),
    "memory": Range(512 * MIB, 64 * 1024 * MIB),
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
        check_options(self, "limits", **RANGES)


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
