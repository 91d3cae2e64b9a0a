"""The place of each photo's final below the output folder, as a name that every system can hold.

`Names` keeps the photos of one command apart; recorded.py knows the names that earlier commands gave, too.
"""

import os
import unicodedata
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path, PurePosixPath

from photio_prep.imaging.encode import SUFFIXES, final_format

# A name may have 255 bytes on every file system we know; ours adds at most this.
_LONGEST = 255 - len("~123456123456-photio-instagram-portrait.jpg")
_BY_SUFFIX = {".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


class Photo:
    """An input as names are given to it: `identity` tells it from all others, `path` is "" where it is no file."""

    def __init__(self, source: Path | str | None, name: str) -> None:
        self.path = os.path.realpath(source) if isinstance(source, Path) else ""
        self.identity = self.path or str(source)
        self.name = name
        digits = sha256(self.identity.encode("utf-8", "surrogateescape")).hexdigest()
        # Six are enough but for two photos of millions; then more.
        self.digits = digits[:6], digits[:12]


class Names:
    """Gives names for one command: a newcomer that would have the name of another photo gets digits behind its own.

    Args:
        format_: Of all finals ("jpg", "png", "webp"); None is each photo's own.
        variants: How many orders each photo gets.
    """

    def __init__(self, format_: str | None = None, variants: int = 1) -> None:
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
        output, photo = portable(output), Photo(source, name)
        candidates = [*self._recorded(photo, output), output, *(f"{output}~{digits}" for digits in photo.digits)]
        base = next((candidate for candidate in candidates if self._is_free(candidate, photo)), candidates[-1])
        for place in self._places(base, photo):
            self._owners[place] = photo.identity
            self._taken.add(place)
        return base

    def _recorded(self, photo: Photo, output: str) -> list[str]:  # noqa: ARG002  recorded.py answers it
        """The names that this photo has already which are `output`, or that with digits behind it."""
        return []

    def _is_free(self, base: str, photo: Photo) -> bool:
        """Whether no other photo has, or may get, a file that this one would need under this name."""
        places = self._places(base, photo)
        return not (places & self._taken) and all(
            self._owners.get(each, photo.identity) == photo.identity for each in places
        )

    def _places(self, base: str, photo: Photo) -> set[str]:
        """Every file that finals of a photo named `base` may need, as names are compared."""
        suffix = SUFFIXES[final_format(_BY_SUFFIX.get(Path(photo.name).suffix.lower(), "PNG"), self._format)]
        if self._variants == 1:
            return {fold(base + suffix)}
        # Variants have a folder and a sheet of their own: no two photos share one, whatever their suffixes.
        files = {fold(variant_output(base, number) + suffix) for number in range(self._variants + 1)}
        return files | {fold(variants_folder(base))}


def variant_output(base: str, number: int) -> str:
    """The place of a variant's final, by that of the photo's; number 0 is the photo's own."""
    return f"{variants_folder(base)}/{number}" if number else base


def variants_folder(base: str) -> str:
    """The folder of the finals of a photo's variants, by the place of the photo's own."""
    return f"{base}-seeds"


def fold(output: str) -> str:
    """A name as the least discerning file system compares it: case and accents folded."""
    return unicodedata.normalize("NFC", output).casefold()


def portable(output: str) -> str:
    """`output` with every part a name that all systems can hold: nothing that steers, no dots or spaces at its end."""
    parts: list[str] = []
    for part in PurePosixPath(output).parts:
        clean = "".join("_" if unicodedata.category(each)[0] == "C" else each for each in part).rstrip(" .") or "_"
        if len(clean.encode()) > _LONGEST:
            digits = sha256(clean.encode()).hexdigest()[:6]
            clean = f"{clean.encode()[: _LONGEST - 7].decode('utf-8', 'ignore')}~{digits}"
        parts.append(clean)
    return "/".join(parts) or "_"


def by_rank(items: Iterable[tuple[Path | str | None, int]], folder: Path) -> list[int]:
    """The order in which the photos of a list in `folder` get their names, whatever the order of its lines.

    Those in the folder come first, then the alphabet. Gives their numbers.
    """

    def rank(item: tuple[Path | str | None, int]) -> tuple[bool, str]:
        source = item[0]
        below = source.relative_to(folder).parts if isinstance(source, Path) and source.is_relative_to(folder) else ".."
        return ".." in below, str(source)

    return [number for _, number in sorted(items, key=rank)]
