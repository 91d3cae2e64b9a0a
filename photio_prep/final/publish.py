"""Pictures put below the output folder: the one place that says where one may go, and what it must be."""

import os
import re
from pathlib import Path

from photio_prep.errors import OutputExists, PhotoRefused, UsageError
from photio_prep.imaging.encode import SUFFIXES
from photio_prep.imaging.headers import read
from photio_prep.imaging.limits import RANGES, Limits
from photio_prep.system import files

_AGAIN = "Prepare it again: its record was not written by this version, or was changed"
_ANY = Limits(pixels=int(RANGES["pixels"][1]), side=int(RANGES["side"][1]), aspect=int(RANGES["aspect"][1]), small=1)
# Control characters, and those that turn the direction of a text around.
_STEERING = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_OUTSIDE = re.compile(r"^[A-Za-z]:[\\/]|^[\\/]|(?:^|[\\/])\.\.(?:[\\/]|$)")


def place(out: Path, name: str, ending: str) -> Path:
    """Where the picture `name` + `ending` goes: below `out`, whatever the name says.

    Args:
        out: The output folder.
        name: With slashes, without suffix.
        ending: Its last letters; their suffix is one of those that finals have.

    Raises:
        UsageError: It would lie outside, through a link too, or its name is none that we give.
    """
    target = out / f"{name}{ending}"
    if not name or _STEERING.search(name) or target.suffix not in SUFFIXES.values():
        raise UsageError(f"a picture of it would be named {name[:80]!a} + {ending!a}", _AGAIN)
    elsewhere = _OUTSIDE.search(name) or (os.name == "nt" and ":" in name)
    if elsewhere or not target.parent.resolve().is_relative_to(out.resolve()):
        raise UsageError(f"its final would lie outside {out}", _AGAIN)
    return target


def publish(out: Path, target: Path, data: bytes) -> None:
    """Write a picture at `target`, a path that `place` gave for `out`.

    Raises:
        UsageError: It leads elsewhere by now, or the bytes are no picture of its suffix.
        OutputExists: A link, a folder or a device lies there.
        StorageFailed: It cannot be written.
    """
    place(out, str(target.relative_to(out).with_suffix("")), target.suffix)
    refuse_special(target)
    if SUFFIXES.get(picture_format(data, target)) != target.suffix:
        raise UsageError(f"it is no {target.suffix} picture, so it is not written", _AGAIN, subject=str(target))
    files.write_whole(target, data)


def refuse_special(target: Path) -> None:
    """Do nothing for a place where nothing lies, or a regular file.

    Raises:
        OutputExists: A link, a folder, a pipe or a device lies there.
    """
    if target.is_symlink() or (target.exists() and not target.is_file()):
        what = "a link" if target.is_symlink() else "a folder" if target.is_dir() else "no regular file"
        found = f"{what} lies where a picture goes"
        raise OutputExists(found, "Move it away, or give another --out", subject=str(target))


def picture_format(data: bytes, target: Path) -> str:
    """The format of a whole picture, by its header.

    Raises:
        UsageError: It is none.
    """
    try:
        return read(data, _ANY)[0]
    except PhotoRefused as error:
        raise UsageError(f"no picture ({error.found}), so it is not written", _AGAIN, subject=str(target)) from None
