"""Marks of one photo's finals in its order's folder: finished-, kept-, shelf- and shops-*.json."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from photio_prep.orders.folder import OrderFolder, seconds
from photio_prep.orders.origin import Origin
from photio_prep.orders.records import encode_record, find_record, timestamp
from photio_prep.system import files


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks of the photo `origin` in the order folder `folder`."""

    folder: Path
    origin: Origin

    def final(self, suffix: str = "") -> dict[str, Any] | None:
        """The mark of its final with this suffix if there is one, else of the last; None without a final."""
        mark = find_record(self._path("finished"))
        formats = (mark or {}).get("formats")
        own = formats.get(suffix) if isinstance(formats, dict) else None
        return own if isinstance(own, dict) else mark

    def mark_finished(self, path: Path, data: bytes, options: str = "", by: str = "", product: str = "") -> None:
        """Record the path, digest and size of its final, the options that it was made with, and whose `product` it has.

        `by` names the order of that final if it is another one of the same photo: newer, or chosen by the user. Marks
        of finals in other formats stay.
        """
        more = {name: value for name, value in (("by", by), ("product", product)) if value}
        mark = _file_record(path, data, made=options, **more)
        formats = {**((self.final() or {}).get("formats") or {}), path.suffix: mark}
        self._write("finished", {**mark, "formats": formats})

    @property
    def choice(self) -> dict[str, Any]:
        """When (`time`) and how (`by`: "keep" or "overwrite") the user chose its final; empty if not chosen."""
        return find_record(self._path("kept")) or {}

    def mark_chosen(self, *, by: str) -> None:
        """Record that the user chose its final."""
        self._write("kept", {"time": timestamp("microseconds"), "by": by})

    @property
    def paid_at(self) -> float:
        """Time of the order's call, in seconds since 1970; 0 if there was none."""
        return OrderFolder(self.folder).paid_at

    @property
    def claimed_since(self) -> float:
        """Time of the call, or of the user's choice if later, in seconds since 1970: the latest makes the final."""
        return max(self.paid_at, seconds(self.choice.get("time")))

    @property
    def presets(self) -> tuple[str, ...]:
        """The presets whose files are made when the user keeps this variant."""
        return tuple(map(str, (find_record(self._path("shops")) or {}).get("presets", ())))

    def mark_presets(self, presets: Iterable[str]) -> None:
        """Record the presets whose files are made when the user keeps this variant."""
        self._write("shops", {"presets": [*presets]})

    def listing(self, preset: str) -> dict[str, Any] | None:
        """The mark of its file for a preset, or None."""
        return find_record(self._path("shelf", preset))

    def mark_listed(self, preset: str, path: Path, data: bytes) -> None:
        """Record the path, digest and size of its file for a preset."""
        self._write("shelf", _file_record(path, data), preset)

    def _path(self, kind: str, *more: str) -> Path:
        return self.folder / f"{'-'.join((kind, self.origin.id, *more))}.json"

    def _write(self, kind: str, record: dict[str, Any], *more: str) -> None:
        files.write_atomic(self._path(kind, *more), encode_record(record))


def _file_record(path: Path, data: bytes, **more: str) -> dict[str, Any]:
    return {"path": str(path), "sha256": sha256(data).hexdigest(), "bytes": len(data), "time": timestamp(), **more}


def matches_record(path: Path, mark: dict[str, Any]) -> bool:
    """Whether the file at `path` has the recorded size and digest."""
    return path.stat().st_size == mark.get("bytes") and files.own_digest(path) == mark.get("sha256", "missing")
