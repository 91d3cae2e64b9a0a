"""Keep the raw answer of a paid call on disk, even if the disk or the folder fails.

answer.part             in the order's folder: an answer that is being received
answer.raw              a whole answer, synced before it is parsed
attempt-N/answer.raw    a whole answer that came after the user had resolved its call as "retry"
rescued/KEY-PATH-CLAIM.raw   in the user's state folder: a whole answer whose order folder failed
"""

import contextlib
import errno
import os
import shutil
from hashlib import sha256
from pathlib import Path

import platformdirs

from photio_prep.api import wire
from photio_prep.errors import PhotioError, StorageFailed
from photio_prep.geometry import Size
from photio_prep.orders import claims, records
from photio_prep.system import files

PART, RAW = "answer.part", "answer.raw"
# An answer is about 2 MiB; with less free space than this nothing is sent.
_ROOM = 16 * 2**20


class AnswerFile:
    """Writes a raw answer to its order's folder: opened before the request is sent, durable before it is parsed.

    Raises StorageFailed if it cannot be opened or too little space is free: nothing must be sent then.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._claim = claims.read_claim(folder / claims.NAME)
        self._part = folder / PART
        self._chunks: list[bytes] = []
        self._fault: OSError | None = None
        self.safe = False
        with files.storage_errors(self._part):
            if shutil.disk_usage(folder).free < _ROOM:
                problem = f"less than {_ROOM // 2**20} MiB are free, so nothing is sent"
                raise StorageFailed(problem, "Free some space", subject=str(folder))
            # Never through a link, and never into a pipe or a device of that name.
            if self._part.is_symlink() or (self._part.exists() and not self._part.is_file()):
                raise OSError(errno.EINVAL, "not a regular file")
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
            self._file = open(os.open(self._part, flags, 0o666), "wb", buffering=0)  # noqa: SIM115  closed by commit or close

    def write(self, chunk: bytes, /) -> None:
        """Append a chunk. The answer is paid for: if the disk fails, it is kept in memory."""
        self._chunks.append(chunk)
        if self._fault is None:
            try:
                rest = memoryview(chunk)
                while rest:
                    rest = rest[os.write(self._file.fileno(), rest) :]
            except OSError as error:
                self._fault = error

    def commit(self) -> None:
        """Sync the complete answer, rename it to `answer.raw`, and sync the folder.

        Raises StorageFailed if the disk failed; `safe` says whether the answer is stored, here or in the rescue folder.
        """
        if self._fault is None:
            try:
                os.fsync(self._file.fileno())
                home = self._home()
                ours = home is not None and os.path.samestat(os.fstat(self._file.fileno()), (home / PART).lstat())
                self._file.close()
                if home is None or not ours:
                    raise FileNotFoundError(errno.ENOENT, "the file was removed while the answer was received")
                (home / PART).replace(home / RAW)
                files.sync_folder(home)
            except OSError as error:
                self._fault = error
        if self._fault is not None:
            self._rescue()
        self.safe = True

    def _home(self) -> Path | None:
        """The folder of the answer; it changes if the user resolves the call meanwhile."""
        return self._folder if self._claim is None else claims.claim_root(self._folder, self._claim)

    def _rescue(self) -> None:
        """Write the answer to a new file: a failed sync is never repeated on the same file."""
        data, why = b"".join(self._chunks), self._fault
        with contextlib.suppress(OSError):
            self._file.close()
        home = None
        # A folder that was removed is not recreated: without its order.json the answer would not be found there.
        if (self._folder / "order.json").exists():
            with contextlib.suppress(StorageFailed):
                home = self._home()
        rescue = _rescue_folder() / f"{_rescue_prefix(self._folder)}{self._claim.id if self._claim else ''}.raw"
        for path in filter(None, (home and home / RAW, rescue)):
            try:
                files.write_atomic(path, data)
            except StorageFailed:
                continue
            self.safe = True
            raise StorageFailed(
                f"the disk failed while a paid answer was written ({why}); it is safe in {path}",
                "Free some space and run again: that answer is used, without another call",
                subject=str(self._folder),
            ) from why
        # Renamed already, and only the folder sync failed: it is complete, unless the power fails now.
        self.safe = (self._folder / RAW).exists()
        raise StorageFailed(
            f"a PAID ANSWER COULD NOT BE {'SYNCED' if self.safe else 'KEPT anywhere'} ({why})",
            "Repair the disk before you continue",
            subject=str(self._folder),
        ) from why

    def close(self) -> None:
        """Close the file; a partial answer stays for support, an empty one is removed."""
        with contextlib.suppress(OSError):
            if not self._file.closed:
                self._file.close()
            if self._part.exists() and self._part.stat().st_size == 0:
                self._part.unlink()


def _rescue_folder() -> Path:
    return platformdirs.user_state_path("photio-prep", appauthor=False) / "rescued"


def _rescue_prefix(folder: Path) -> str:
    """The head of the names of an order's rescue files: its key and its folder. Its claim follows."""
    return f"{folder.resolve().name}-{sha256(os.fsencode(folder.resolve())).hexdigest()[:16]}-"


def find_rescued(folder: Path, claim: claims.Claim | None) -> Path | None:
    """The rescued answer of the order in `folder`: by its claim, which also finds that of a moved folder, or its path.

    One of the same key in another folder belongs to that folder.
    """
    root, key = _rescue_folder(), folder.resolve().name
    if not root.is_dir():
        return None
    with files.storage_errors(root):
        rescued = sorted(path for path in root.iterdir() if path.name.startswith(f"{key}-") and path.suffix == ".raw")
    by_claim = [path for path in rescued if claim and claim.id and path.stem.endswith(f"-{claim.id}")]
    return next(iter([*by_claim, *(path for path in rescued if path.name.startswith(_rescue_prefix(folder)))]), None)


def answer_path(folder: Path, claim: claims.Claim | None) -> Path | None:
    """The complete answer of an order, in its folder or rescued; None if there is none."""
    raw = folder / RAW
    return raw if raw.exists() else find_rescued(folder, claim)


def is_usable(raw: Path, folder: Path) -> bool:
    """Whether `raw` holds a complete answer with a picture of the size that the order in `folder` needs."""
    try:
        width, height = records.read_record(folder / "order.json")["canvas"]["size"]
        wire.parse_answer(files.read_nofollow(raw, wire.LONGEST_ANSWER), Size(width, height))
    except (PhotioError, OSError, KeyError, TypeError, ValueError):
        return False
    return True


def late_answer(folder: Path) -> Path | None:
    """The attempt folder whose answer arrived after the user had resolved its call as "retry", or None."""
    return next((path for path in claims.attempts(folder) if is_usable(path / RAW, folder)), None)
