"""What a picture may be at most, checked against its header before anything is decoded."""

from dataclasses import dataclass, fields
from typing import Literal

from photio_prep.errors import PhotoRefused, UsageError
from photio_prep.geometry import Size

Isolate = Literal["odd", "all", "none"]

MIB = 2**20
# From, to. `pixels` ends where Pillow's own check for bombs begins; `side` where JPEG and GIF end.
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
    """What a picture may be at most, read from its header before anything is decoded.

    `file_bytes` is the length of the file; `pixels` and `side` are of the picture as stored; `aspect` is the long side
    over the short one; `small` is the shortest side that can still be cut out; `frames` is how many frames or pages a
    file may hold of which one is chosen; `metadata` is all that a file holds besides its picture, in bytes; a colour
    profile of more than `profile` bytes is ignored. A decoder in a process of its own gets `seconds` and `memory`
    (bytes of address space, on POSIX). `isolate` says which decoders get one: "odd" all but those of plain JPEG and
    PNG, "all", or "none".

    Raises:
        UsageError: A limit is out of its range.
    """

    file_bytes: int = 100 * MIB
    pixels: int = 50_000_000
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
        for name in (each.name for each in fields(self)):
            checked(name, getattr(self, name))


def checked(name: str, value: object) -> None:
    """Nothing, for a value that the limit `name` may have.

    Raises:
        UsageError: It is none.
    """
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


def check_size(size: Size, limits: Limits) -> None:
    """Nothing, for a picture of a size that we work on.

    Raises:
        PhotoRefused: Too many pixels, too long, too small, too narrow.
    """
    check_extent(size, limits)
    if min(size) < limits.small:
        raise PhotoRefused(
            f"{size} is too small, the shorter side must have at least {limits.small} px", "Use a larger photo"
        )
    if max(size) > limits.aspect * min(size):
        raise PhotoRefused(f"{size} is longer than {limits.aspect}:1", "Crop it around the product")


def check_extent(size: Size, limits: Limits) -> None:
    """Nothing, for a size that takes no more memory than `limits` allow.

    Raises:
        PhotoRefused: Too many pixels, or too long.
    """
    if size.area > limits.pixels:
        raise PhotoRefused(
            f"{size} is {size.area / 1e6:.0f} megapixels, the limit is {limits.pixels / 1e6:.0f}", "Save it smaller"
        )
    if max(size) > limits.side:
        raise PhotoRefused(f"{size} has a side of more than {limits.side} px", "Save it smaller")


def check_metadata(found: int, limits: Limits) -> None:
    """Nothing, for a file that holds at most `limits.metadata` bytes besides its picture.

    Raises:
        PhotoRefused: It holds more.
    """
    if found > limits.metadata:
        raise PhotoRefused(
            f"more than {limits.metadata / MIB:.1f} MiB of it is no picture (EXIF, comments, profiles)",
            "Export it again without metadata",
        )
