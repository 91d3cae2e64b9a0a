"""Names of finals that stay: those that the orders in the output folder record. A name, once given, stays that photo's.

Reads the orders of the output folder, and, where two photos want one name, the bytes of a photo.
"""

import os
from hashlib import sha256
from pathlib import Path

from photio_prep.errors import PhotioError
from photio_prep.imaging.encode import SUFFIXES, final_format
from photio_prep.imaging.limits import DEFAULT_LIMITS
from photio_prep.intake.names import Names, Photo, fold, variant_output, variants_folder
from photio_prep.orders import index, state
from photio_prep.orders.index import Entry, OrderIndex
from photio_prep.orders.origin import Origin
from photio_prep.system.files import read_input


class RecordedNames(Names):
    """Gives names for one command, whatever the order of the inputs, the suffix of a file or the options of the run.

    Args:
        out: The output folder, with its orders.
        format_: Of all finals ("jpg", "png", "webp"); None is each photo's own.
        variants: How many orders each photo gets.
    """

    def __init__(self, out: Path, format_: str | None = None, variants: int = 1) -> None:
        super().__init__(format_, variants)
        self._orders: OrderIndex = index.of(out / "orders")
        self._digests: dict[str, str] = {}

    def begin(self) -> None:
        """A new look at the same inputs, and at the orders that came meanwhile."""
        super().begin()
        self._orders.refresh()

    def _recorded(self, photo: Photo, output: str) -> list[str]:
        entries = self._orders.with_digits(output)
        # Its own path first: a copy of the same bytes elsewhere may have a name of its own.
        entries.sort(key=lambda entry: (entry.origin.path != photo.path, len(entry.origin.base)))
        return list(dict.fromkeys(entry.origin.base for entry in entries if self._is_of(photo, entry)))

    def _is_free(self, base: str, photo: Photo) -> bool:
        places = self._places(base, photo)
        return super()._is_free(base, photo) and not any(
            places & self._files_of(entry)
            for output in {variant_output(base, number) for number in range(self._variants + 1)}
            for entry in self._orders.with_output(output)
            if not self._is_of(photo, entry)
        )

    def _files_of(self, entry: Entry) -> set[str]:
        """The files that a recorded photo has, or will have, as names are compared."""
        origin = entry.origin
        try:
            mark = state.finished(entry.folder, origin) or {}
        except PhotioError:
            mark = {}
        suffixes = {
            SUFFIXES[final_format(origin.format)],
            Path(str(mark.get("path"))).suffix,
            *(mark.get("formats") or ()),
        }
        folder = {fold(variants_folder(origin.base))} if origin.variant else set()
        return {fold(f"{origin.place}{suffix}") for suffix in suffixes} | folder

    def _is_of(self, photo: Photo, entry: Entry) -> bool:
        """Whether a record is of this photo: the same path; or the same bytes, where that path is gone or has none."""
        origin = entry.origin
        if not photo.path:
            return origin.source == photo.name and origin.source != "-"
        if origin.path == photo.path:
            return True
        if origin.path and os.path.lexists(origin.path):
            return False
        return origin.digest == self._sha256(photo) or (not origin.path and _leads_to(origin, photo.path))

    def _sha256(self, photo: Photo) -> str:
        """Of the photo's bytes; "" where they cannot be read. Worked out only where names collide."""
        if photo.path not in self._digests:
            try:
                data = read_input(Path(photo.path), DEFAULT_LIMITS.file_bytes)
                self._digests[photo.path] = sha256(data).hexdigest()
            except PhotioError:
                return ""
        return self._digests[photo.path]


def _leads_to(origin: Origin, path: str) -> bool:
    """Whether a record without a path (of early version 0.1) was given by a name that leads there."""
    return "://" not in origin.source and origin.source != "-" and os.path.realpath(origin.source) == path
