"""Portable, unique names for finals below the output folder.

`Names` separates the photos of one command. `orders/output_names.py` also knows the names from earlier commands.
"""

import os
import unicodedata
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path, PurePosixPath

from photio_prep.imaging.encode import SUFFIXES, final_format
from photio_prep.system.near_name import collision_key

# The suffixes of photos, with their Pillow formats. A folder's files are chosen by them; a file that is named on the
# command line is judged by its bytes alone.
FORMATS = {
    suffix: format_
    for format_, suffixes in {
        "JPEG": ".jpg .jpeg .jfif .jif .jpe", "PNG": ".png", "WEBP": ".webp", "TIFF": ".tif .tiff", "GIF": ".gif",
        "BMP": ".bmp", "AVIF": ".avif", "HEIC": ".heic .heif",
    }.items()
    for suffix in suffixes.split()
}  # fmt: skip
# Raw files of cameras. Most begin like a TIFF, and hold a small preview that must not pass for the photo.
RAW = frozenset(
    (
        *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".gpr", ".iiq", ".kdc", ".mef"),
        *(".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw"),
        ".x3f",
    )
)
DEVELOP = "Develop raw files to JPEG or TIFF first: in your camera's software, darktable or RawTherapee"
# Common file systems allow 255 bytes a name; our own suffixes add at most this.
_LONGEST = 255 - len("~123456123456-photio-instagram-portrait.jpg")


class NamedPhoto:
    """An input that gets a name. `identity` is its real path, its URL, or the SHA-256 of its bytes.

    `path` is "" unless it is a file, `digest` is "" unless its bytes were given.
    """

    def __init__(self, source: Path | str | bytes, name: str) -> None:
        self.path = os.path.realpath(source) if isinstance(source, Path) else ""
        self.digest = sha256(source).hexdigest() if isinstance(source, bytes) else ""
        self.identity = self.path or self.digest or str(source)
        self.name = name
        digits = sha256(self.identity.encode("utf-8", "surrogateescape")).hexdigest()
        # Six digits collide for two photos of millions; then twelve.
        self.digits = digits[:6], digits[:12]


class Names:
    """Gives names for one command. A photo whose name belongs to another photo gets digits behind it.

    `format_` is that of all finals ("jpg", "png", "webp"), None each photo's own. `variants` is the number of orders
    per photo.
    """

    def __init__(self, format_: str | None = None, variants: int = 1) -> None:
        self._format, self._variants = format_, variants
        self._owners: dict[str, str] = {}
        self._taken: set[str] = set()

    def begin(self) -> None:
        """Start another pass over the same inputs. Each photo gets the same name again."""
        self._taken.clear()

    def give(self, output: str, source: Path | str | bytes, name: str) -> str:
        """Return the place of a photo's final.

        `output` is its place by the tree of the inputs, without suffix; `source` its path, its URL, or its
        bytes; `name` its name in messages and orders.
        """
        output, photo = portable_name(output), NamedPhoto(source, name)
        candidates = [*self._recorded(photo, output), output, *(f"{output}~{digits}" for digits in photo.digits)]
        base = next((candidate for candidate in candidates if self._is_free(candidate, photo)), candidates[-1])
        places = self._places(base, photo)
        self._owners |= dict.fromkeys(places, photo.identity)
        self._taken |= places
        return base

    def _recorded(self, photo: NamedPhoto, output: str) -> list[str]:  # noqa: ARG002  for orders/output_names.py
        """Return the recorded names of this photo that are `output`, or `output` with digits behind it."""
        return []

    def _is_free(self, base: str, photo: NamedPhoto) -> bool:
        """Whether no other photo has or needs a file that this photo needs under this name."""
        places = self._places(base, photo)
        return not (places & self._taken) and all(
            self._owners.get(place, photo.identity) == photo.identity for place in places
        )

    def _places(self, base: str, photo: NamedPhoto) -> set[str]:
        """Return the folded names of all files that finals of a photo named `base` may need."""
        format_ = FORMATS.get(Path(photo.name).suffix.lower())
        # Without a known suffix, the format of a photo and of its final is not known yet.
        formats = [final_format(name, self._format) for name in ([format_] if format_ else SUFFIXES)]
        numbers = range(self._variants + 1 if self._variants > 1 else 1)
        files = {f"{variant_output(base, number)}{SUFFIXES[name]}" for number in numbers for name in formats}
        # Variants have their own folder and sheet, which no two photos share, whatever their suffixes.
        return {collision_key(file) for file in files | ({variants_folder(base)} if self._variants > 1 else set())}


def variant_output(base: str, number: int) -> str:
    """Return the place of a variant's final, by that of the photo's; number 0 is the photo's own."""
    return f"{variants_folder(base)}/{number}" if number else base


def variants_folder(base: str) -> str:
    """Return the folder of the finals of a photo's variants, by the place of the photo's own."""
    return f"{base}-seeds"


def portable_name(output: str) -> str:
    """Make every part of a path a name that all systems allow: no control characters, no final dots or spaces."""
    parts: list[str] = []
    for part in PurePosixPath(output).parts:
        clean = "".join("_" if unicodedata.category(char)[0] == "C" else char for char in part).rstrip(" .") or "_"
        if len(clean.encode()) > _LONGEST:
            digits = sha256(clean.encode()).hexdigest()[:6]
            clean = f"{clean.encode()[: _LONGEST - 7].decode('utf-8', 'ignore')}~{digits}"
        parts.append(clean)
    return "/".join(parts) or "_"


def sort_by_place(sources: Sequence[Path | str | bytes], folder: Path) -> list[int]:
    """The indices of the photos of a list in `folder`, for naming: those below it first, then by the alphabet."""

    def rank(number: int) -> tuple[bool, str]:
        source = sources[number]
        below = source.relative_to(folder).parts if isinstance(source, Path) and source.is_relative_to(folder) else ".."
        return ".." in below, str(source)

    return sorted(range(len(sources)), key=rank)
