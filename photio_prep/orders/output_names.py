"""Output names that are stable: a photo keeps the name that an order of the output folder records for it.

Reads the orders of the output folder and, where two photos collide, the bytes of a photo.
"""

import os
from functools import cache, partial
from pathlib import Path

from photio_prep.errors import PhotioError
from photio_prep.imaging.encode import SUFFIXES, final_format
from photio_prep.imaging.limits import DEFAULT_LIMITS
from photio_prep.intake.names import NamedPhoto, Names, variant_output, variants_folder
from photio_prep.orders import index
from photio_prep.system.files import input_digest
from photio_prep.system.near_name import collision_key


class RecordedNames(Names):
    """Assigns output names for one command, independent of input order, file suffixes and options.

    `format_`: of all finals ("jpg", "png", "webp"); None keeps that of each photo. `variants`: orders per photo.
    """

    def __init__(self, out: Path, format_: str | None = None, variants: int = 1) -> None:
        super().__init__(format_, variants)
        self._orders = index.index_of(out / "orders")
        # Only called for names that collide.
        self._digest = cache(partial(input_digest, limit=DEFAULT_LIMITS.file_bytes))

    def begin(self) -> None:
        """Start over with the same inputs, and read the orders added since."""
        super().begin()
        self._orders.refresh()
        self._digest.cache_clear()

    def _recorded(self, photo: NamedPhoto, output: str) -> list[str]:
        entries = self._orders.find("undistinguished", output)
        # Its own path first: a copy of the same bytes elsewhere may have another name.
        entries.sort(key=lambda entry: (entry.origin.path != photo.path, len(entry.origin.base)))
        return list(dict.fromkeys(entry.origin.base for entry in entries if self._is_of(photo, entry)))

    def _is_free(self, base: str, photo: NamedPhoto) -> bool:
        places = self._places(base, photo)
        return super()._is_free(base, photo) and not any(
            places & self._files_of(entry)
            for output in {variant_output(base, number) for number in range(self._variants + 1)}
            for entry in self._orders.find("output", output)
            if not self._is_of(photo, entry)
        )

    def _files_of(self, entry: index.IndexEntry) -> set[str]:
        """The folded names of the files that a recorded photo has or will have."""
        origin = entry.origin
        try:
            mark = entry.final() or {}
        except PhotioError:
            mark = {}
        suffixes = {SUFFIXES[final_format(origin.format)], Path(str(mark.get("path"))).suffix}
        suffixes |= {*(mark.get("formats") or ())}
        folder = {collision_key(variants_folder(origin.base))} if origin.variant else set()
        return {collision_key(f"{origin.place}{suffix}") for suffix in suffixes} | folder

    def _is_of(self, photo: NamedPhoto, entry: index.IndexEntry) -> bool:
        """Whether a record is of this photo: the same path, or the same bytes if the recorded path is gone or empty."""
        origin = entry.origin
        if photo.digest:
            return not origin.path and origin.digest == photo.digest
        if not photo.path:
            return origin.source == photo.name
        if origin.path == photo.path:
            return True
        if origin.path and os.path.lexists(origin.path):
            return False
        # Records of early version 0.1 have no path.
        named = not origin.path and "://" not in origin.source and origin.source != "-"
        return origin.digest == self._digest(Path(photo.path)) or (
            named and os.path.realpath(origin.source) == photo.path
        )
