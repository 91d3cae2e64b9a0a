"""Write pictures below the output folder: checks of path and bytes."""

import os
import re
from pathlib import Path

from photio_prep.errors import OutputExists, PhotoRefused, UsageError
from photio_prep.imaging.encode import SUFFIXES
from photio_prep.imaging.headers import parse_header
from photio_prep.imaging.limits import RANGES, Limits
from photio_prep.system import files

_AGAIN = "Prepare it again: its record was not written by this version, or was changed"
_ANY = Limits(pixels=int(RANGES["pixels"][1]), side=int(RANGES["side"][1]), aspect=int(RANGES["aspect"][1]), small=1)
# Control characters, and those that change the direction of text.
_STEERING = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_OUTSIDE = re.compile(r"^[A-Za-z]:[\\/]|^[\\/]|(?:^|[\\/])\.\.(?:[\\/]|$)")


def output_path(out: Path, name: str, ending: str) -> Path:
    """Path of the picture `name` + `ending` below `out`; the suffix must be one of a final's.

    Raises:
        UsageError: The path leads outside of `out`, also by a link, or the name is invalid.
    """
    target = out / f"{name}{ending}"
    if not name or _STEERING.search(name) or target.suffix not in SUFFIXES.values():
        raise UsageError(f"a picture of it would be named {name[:80]!a} + {ending!a}", _AGAIN)
    elsewhere = _OUTSIDE.search(name) or (os.name == "nt" and ":" in name)
    if elsewhere or not Path(os.path.realpath(target.parent)).is_relative_to(os.path.realpath(out)):
        raise UsageError(f"its final would be outside of {out}", _AGAIN)
    return target


def publish(out: Path, target: Path, data: bytes) -> None:
    """Write a picture to `target`, a path by `place`.

    Raises:
        UsageError: The path leads elsewhere now, or the bytes are not a picture of its suffix.
        OutputExists: The path is a link, a folder or a device.
        StorageFailed: It cannot be written.
    """
    output_path(out, str(target.relative_to(out).with_suffix("")), target.suffix)
    check_output_target(target)
    if SUFFIXES.get(picture_format(data, target)) != target.suffix:
        raise UsageError(f"it is not a {target.suffix} picture, so it is not written", _AGAIN, subject=str(target))
    files.write_atomic(target, data)


def check_output_target(target: Path) -> None:
    """Raise OutputExists if the path is a link, a folder, a pipe or a device."""
    if target.is_symlink() or (target.exists() and not target.is_file()):
        kind = "a link" if target.is_symlink() else "a folder" if target.is_dir() else "a special file"
        problem = f"{kind} is where a picture goes"
        raise OutputExists(problem, "Move it away, or give another --out", subject=str(target))


def picture_format(data: bytes, target: Path) -> str:
    """Read the format of a picture from its header; UsageError if it is not a picture."""
    try:
        return parse_header(data, _ANY)[0]
    except PhotoRefused as error:
        raise UsageError(f"not a picture ({error.problem}), so not written", _AGAIN, subject=str(target)) from None
