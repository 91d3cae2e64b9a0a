"""INPUT -> the photos it names: a file, a folder's tree, or standard input.

Takes what stands on the command line; gives sources with the place of their finals. Touches the disk.
Raises UsageError for an input that is none.
"""

import os
import unicodedata
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from photio_prep.errors import PhotoRefused, UsageError

# Only these are taken from a folder; a file that is named on the command line is judged by its bytes alone.
PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"})
MARK = "-photio"
_FINAL = {".jpg": "jpg", ".jpeg": "jpg", ".webp": "webp"}


class Item(NamedTuple):
    """One photo to work on: `source` as given (None is standard input), `output` the place of its final."""

    source: Path | None
    name: str
    output: str


def expand(inputs: tuple[str, ...], out: Path, format_: str | None = None) -> Iterator[Item]:
    """Each photo that `inputs` name, folders in sorted order with their tree kept; nothing of `out` itself.

    Photos whose finals would have the same name (`x/a.jpg` and `y/a.jpeg`, `A.png` and `a.png`) are kept apart: the
    later one gets a few digits of its path's digest.

    Raises:
        UsageError: An input does not exist, or is of a kind that is not read yet.
    """
    taken: set[str] = set()
    for item in _named(inputs, out):
        suffix = format_ or _FINAL.get(Path(item.name).suffix.lower(), "png")
        # Some file systems fold case and accents; a name must be another one on all of them.
        if (name := _folded(f"{item.output}.{suffix}")) in taken:
            digest = sha256(item.name.encode("utf-8", "surrogateescape")).hexdigest()
            item = item._replace(output=f"{item.output}~{digest[:6]}")
            name = _folded(f"{item.output}.{suffix}")
        taken.add(name)
        yield item


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _named(inputs: tuple[str, ...], out: Path) -> Iterator[Item]:
    for each in inputs:
        if each == "-":
            yield Item(None, "-", "stdin")
        elif "://" in each:
            raise UsageError("photos by URL are not read yet", "Download it first", subject=each[:200])
        elif not os.path.lexists(each):
            raise UsageError("no such file or folder", "Check the name", subject=each)
        elif Path(each).is_dir():
            yield from _folder(Path(each), out)
        elif Path(each).suffix.lower() in (".csv", ".jsonl"):
            raise UsageError("job tables are not read yet", "Name photos or folders", subject=each)
        else:
            yield Item(Path(each), each, Path(each).stem)


def _folder(folder: Path, out: Path) -> Iterator[Item]:
    found = 0
    ours = out.resolve()
    for parent, folders, names in os.walk(folder):
        here = Path(parent)
        if "order.json" in names:  # an order of this or an earlier run, with --out in or at the input folder
            folders.clear()
            continue
        # Our own output below the input is never input again; hidden folders are nobody's photos.
        folders[:] = sorted(each for each in folders if not each.startswith(".") and (here / each).resolve() != ours)
        for name in sorted(names):
            path = here / name
            if path.suffix.lower() in PICTURES and not name.startswith(".") and not path.stem.endswith(MARK):
                found += 1
                yield Item(path, str(path), path.relative_to(folder).with_suffix("").as_posix())
    if not found:
        raise PhotoRefused("no photos in this folder", f"Looked for {', '.join(sorted(PICTURES))}", subject=str(folder))
