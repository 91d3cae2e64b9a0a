"""The place of each photo's final below the output folder. A name, once given, stays that photo's.

Names are recorded by the orders in the output folder. A newcomer that would have the name of another photo gets six
digits behind its own, whatever the order of the inputs, the suffix of the file or the options of the run.
"""

import os
import re
import unicodedata
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path, PurePosixPath

from photio_prep import index, states
from photio_prep.encode import SUFFIXES, final_format
from photio_prep.errors import PhotioError
from photio_prep.files import read_input
from photio_prep.index import Entry, OrderIndex, fold
from photio_prep.limits import DEFAULT_LIMITS
from photio_prep.orders import Origin, variant_output

# A name may have 255 bytes on every file system we know; ours adds at most this.
_LONGEST = 255 - len("~123456123456-photio-instagram-portrait.jpg")
_BY_SUFFIX = {".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


class OutputNames:
    """Gives names for one command.

    Args:
        out: The output folder, with its orders.
        format_: Of all finals ("jpg", "png", "webp"); None is each photo's own.
        variants: How many orders each photo gets.
    """

    def __init__(self, out: Path, format_: str | None = None, variants: int = 1) -> None:
        self._orders: OrderIndex = index.of(out / "orders").refresh()
        self._format, self._variants = format_, variants
        self._owners: dict[str, str] = {}
        self._taken: set[str] = set()

    def begin(self) -> None:
        """A new look at the same inputs: each photo has the name that it was given in an earlier one."""
        self._taken.clear()

    def give(self, output: str, source: Path | str | None, name: str) -> str:
        """The place of the final of a photo.

        Args:
            output: Its place by the tree of the inputs, without suffix.
            source: Its path, its URL, or None for standard input.
            name: What messages and orders call it.
        """
        output = portable(output)
        path = os.path.realpath(source) if isinstance(source, Path) else ""
        photo = _Photo(path or str(source), path, name)
        candidates = [*self._given(photo, output), output, *(f"{output}~{digits}" for digits in photo.digits)]
        free = next(each for each in candidates if self._is_free(each, photo))
        for place in self._places(free, _format(name, self._format)):
            self._owners[place] = photo.identity
            self._taken.add(place)
        return free

    def _given(self, photo: "_Photo", output: str) -> list[str]:
        """The names that this photo has already which are `output`, or that with digits behind it."""
        entries = [entry for entry in self._orders.with_output(output) if photo.is_in(entry)]
        if not entries:
            entries = [
                *self._orders.with_source(photo.name),
                *(self._orders.with_path(photo.path) if photo.path else ()),
            ]
        shape = re.compile(re.escape(output) + "(~[0-9a-f]{6,12})?")
        bases = (entry.origin.base for entry in entries if photo.is_in(entry))
        return sorted({base for base in bases if shape.fullmatch(base)}, key=len)

    def _is_free(self, base: str, photo: "_Photo") -> bool:
        places = self._places(base, _format(photo.name, self._format))
        if any(place in self._taken or self._owners.get(place, photo.identity) != photo.identity for place in places):
            return False
        own_number = {variant_output(base, number) for number in range(self._variants + 1)}
        return not any(
            places & self._places_of(entry)
            for output in own_number
            for entry in self._orders.with_output(output)
            if not photo.is_in(entry)
        )

    def _places(self, base: str, format_: str) -> set[str]:
        """Every file that finals of a photo named `base` may need, as names are compared."""
        numbers = range(self._variants + 1) if self._variants > 1 else (0,)
        return {fold(variant_output(base, number) + SUFFIXES[format_]) for number in numbers}

    def _places_of(self, entry: Entry) -> set[str]:
        """The files that a recorded photo has, or will have."""
        origin = entry.origin
        suffixes = {SUFFIXES[final_format(origin.format, self._format)], SUFFIXES[final_format(origin.format)]}
        mark = _mark(entry)
        suffixes |= {Path(str(mark["path"])).suffix} if mark else set()
        return {fold(f"{origin.output}{suffix}") for suffix in suffixes}


class _Photo:
    """An input as names are given to it: `identity` tells it from all others, `path` is "" where it is no file."""

    def __init__(self, identity: str, path: str, name: str) -> None:
        self.identity, self.path, self.name = identity, path, name
        digits = sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()
        # Six are enough but for two photos of millions; then more.
        self.digits = digits[:6], digits[:12]
        self._digest: str | None = None

    def is_in(self, entry: Entry) -> bool:
        """Whether a record is of this photo: the same path; or the same bytes, where that path is gone or has none."""
        origin = entry.origin
        if not self.path:
            return origin.source == self.name and origin.source != "-"
        if origin.path == self.path:
            return True
        if origin.path and os.path.lexists(origin.path):
            return False
        return origin.digest == self._sha256() or (not origin.path and _is_at(origin, self.path))

    def _sha256(self) -> str:
        """Of the file's bytes; "" where it cannot be read. Worked out only where names collide."""
        if self._digest is None:
            try:
                data = read_input(Path(self.path), DEFAULT_LIMITS.file_bytes)
                self._digest = sha256(data).hexdigest()
            except PhotioError:
                self._digest = ""
        return self._digest


def _is_at(origin: Origin, path: str) -> bool:
    """Whether a record without a path (of version 0.1 before November 2026) was given by a name that leads there."""
    return "://" not in origin.source and origin.source != "-" and os.path.realpath(origin.source) == path


def _mark(entry: Entry) -> dict[str, object] | None:
    try:
        return states.finished(entry.folder, entry.origin)
    except PhotioError:
        return None


def _format(name: str, format_: str | None) -> str:
    """The Pillow format of a photo's final, as far as its name tells the photo's own."""
    return final_format(_BY_SUFFIX.get(Path(name).suffix.lower(), "PNG"), format_)


def portable(output: str) -> str:
    """`output` with every part a name that all systems can hold: nothing that steers, no dots or spaces at its end."""
    parts: list[str] = []
    for part in PurePosixPath(output).parts:
        clean = "".join("_" if unicodedata.category(each)[0] == "C" else each for each in part).rstrip(" .") or "_"
        if len(clean.encode()) > _LONGEST:
            digits = sha256(clean.encode()).hexdigest()[:6]
            clean = f"{clean.encode()[: _LONGEST - 7].decode('utf-8', 'ignore')}~{digits}"
        parts.append(clean)
    return "/".join(parts)


def by_rank(items: Iterable[tuple[Path | str | None, int]], folder: Path) -> list[int]:
    """The order in which the photos of a list in `folder` get their names, whatever the order of its lines.

    Those in the folder come first, then the alphabet. Gives their numbers.
    """

    def rank(item: tuple[Path | str | None, int]) -> tuple[bool, str]:
        source = item[0]
        below = source.relative_to(folder).parts if isinstance(source, Path) and source.is_relative_to(folder) else ".."
        return ".." in below, str(source)

    return [number for _, number in sorted(items, key=rank)]
