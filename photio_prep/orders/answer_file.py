"""Keep the raw answer of a paid call on disk, whatever happens to the disk.

answer.part             in the order's folder: an answer that is arriving
answer.raw              a whole answer, synced before it is parsed
attempt-N/answer.raw    a whole answer that came after the user had resolved its call as "retry"
rescued/KEY-PATH-CLAIM.raw   in the user's state folder: a whole answer whose own folder failed
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
from photio_prep.orders.claims import Claim
from photio_prep.system import files

PART, RAW = "answer.part", "answer.raw"
# An answer is about 2 MiB; with less room than this nothing is paid for.
_ROOM = 16 * 2**20


class AnswerFile:
    """Keeps a raw answer in its order's folder: opened before anything is sent, durable before anybody parses it.

    Raises:
        StorageFailed: There is no room for an answer, or no file can be opened. Nothing must be sent then.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._claim = claims.read(folder / claims.NAME)
        self._part = folder / PART
        self._chunks: list[bytes] = []
        self._fault: OSError | None = None
        self.safe = False
        with files.storage(self._part):
            if shutil.disk_usage(folder).free < _ROOM:
                raise StorageFailed(
                    f"less than {_ROOM // 2**20} MiB are free, so nothing is sent",
                    "Free some space",
                    subject=str(folder),
                )
            # Never through a link, and never into a pipe or a device that lies in its place.
            if self._part.is_symlink() or (self._part.exists() and not self._part.is_file()):
                raise OSError(errno.EINVAL, "no regular file")
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
            self._file = open(os.open(self._part, flags, 0o666), "wb", buffering=0)  # noqa: SIM115  closed by commit or close

    def write(self, chunk: bytes, /) -> None:
        """Append a piece; a disk that fails now must not lose an answer that is paid, so it goes on in memory."""
        self._chunks.append(chunk)
        if self._fault is None:
            try:
                _write_all(self._file.fileno(), chunk)
            except OSError as error:
                self._fault = error

    def commit(self) -> None:
        """The answer is whole: sync it, name it `answer.raw`, sync the folder.

        Raises:
            StorageFailed: The disk failed. The answer was written anew, here or in the folder of rescue.
        """
        if self._fault is None:
            try:
                os.fsync(self._file.fileno())
                home = self._home()
                ours = home is not None and os.path.samestat(os.fstat(self._file.fileno()), (home / PART).lstat())
                self._file.close()
                if home is None or not ours:
                    raise FileNotFoundError(errno.ENOENT, "the file was taken away while the answer arrived")
                (home / PART).replace(home / RAW)
                files.sync_folder(home)
            except OSError as error:
                self._fault = error
        if self._fault is not None:
            self._rescue()
        self.safe = True

    def _home(self) -> Path | None:
        """Where the answer belongs now: the user may have resolved its call meanwhile."""
        return self._folder if self._claim is None else claims.home(self._folder, self._claim)

    def _rescue(self) -> None:
        """Write the whole answer to a new file: a failed sync is never tried again on the same one."""
        whole, why = b"".join(self._chunks), self._fault
        with contextlib.suppress(OSError):
            self._file.close()
        home = None
        # A folder that has vanished is not made again: without its plan nobody would look for the answer there.
        if (self._folder / "order.json").exists():
            with contextlib.suppress(StorageFailed):
                home = self._home()
        for path in filter(None, (home and home / RAW, rescue_path(self._folder, self._claim))):
            try:
                files.write_whole(path, whole)
            except StorageFailed:
                continue
            self.safe = True
            raise StorageFailed(
                f"the disk failed while a paid answer was kept ({why}); it is safe in {path}",
                "Free some space and run again: it is finished from there without another call",
                subject=str(self._folder),
            ) from why
        # Named already, and only its folder could not be synced: it is whole, and there unless the power fails now.
        self.safe = (self._folder / RAW).exists()
        raise StorageFailed(
            f"a PAID ANSWER COULD NOT BE {'SYNCED' if self.safe else 'KEPT anywhere'} ({why})",
            "Mend the disk before you go on",
            subject=str(self._folder),
        ) from why

    def close(self) -> None:
        """Leave a partial answer for support; an empty one goes."""
        with contextlib.suppress(OSError):
            if not self._file.closed:
                self._file.close()
            if self._part.exists() and self._part.stat().st_size == 0:
                self._part.unlink()


def rescue_path(folder: Path, claim: Claim | None) -> Path:
    """Where the answer of an order goes if its own folder fails: named by its key, its folder and its claim."""
    return _rescue_folder() / f"{_rescue_prefix(folder)}{claim.id if claim else ''}.raw"


def _rescue_prefix(folder: Path) -> str:
    return f"{folder.resolve().name}-{sha256(os.fsencode(folder.resolve())).hexdigest()[:16]}-"


def find_rescued(folder: Path, claim: Claim | None) -> Path | None:
    """The rescued answer of the order in `folder`, found by its folder, or, where that was moved, by its claim.

    One of the same key in another folder belongs to that folder.
    """
    place, key = _rescue_folder(), folder.resolve().name
    if not place.is_dir():
        return None
    if claim is not None and (old := place / f"{key}.raw").exists():
        return old  # of version 0.1 before November 2026, which named it by the key alone
    with files.storage(place):
        rescued = sorted(path for path in place.iterdir() if path.name.startswith(f"{key}-") and path.suffix == ".raw")
    by_claim = [path for path in rescued if claim and claim.id and path.stem.endswith(f"-{claim.id}")]
    return next(iter([*by_claim, *(path for path in rescued if path.name.startswith(_rescue_prefix(folder)))]), None)


def answer_path(folder: Path, claim: Claim | None) -> Path | None:
    """Where the whole answer of an order lies: in its folder, or where it was rescued to; None where there is none."""
    raw = folder / RAW
    return raw if raw.exists() else find_rescued(folder, claim)


def _rescue_folder() -> Path:
    return platformdirs.user_state_path("photio-prep", appauthor=False) / "rescued"


def is_usable(raw: Path, folder: Path) -> bool:
    """Whether the file `raw` holds the whole answer that the order in `folder` asks for, with a usable picture."""
    try:
        width, height = records.read(folder / "order.json")["canvas"]["size"]
        wire.answer(files.read_own(raw, wire.LONGEST_ANSWER), Size(width, height))
    except (PhotioError, OSError, KeyError, TypeError, ValueError):
        return False
    return True


def late_answer(folder: Path) -> Path | None:
    """The attempt whose answer arrived after the user had given its call up for another one; None for none."""
    return next((path for path in claims.attempts(folder) if is_usable(path / RAW, folder)), None)


def restore(folder: Path) -> None:
    """Put an answer that was rescued, or that came late, where the order looks for it.

    A late one only where no other call has begun since: its claim comes back first, by exclusive creation.
    """
    if (folder / RAW).exists():
        return
    claim = claims.read(folder / claims.NAME)
    if (rescued := find_rescued(folder, claim)) is not None:
        with files.storage(rescued), contextlib.suppress(FileNotFoundError):  # of two processes, one was faster
            files.write_whole(folder / RAW, files.read_own(rescued, wire.LONGEST_ANSWER))
            rescued.unlink()
    elif (late := late_answer(folder)) is not None:
        earlier = files.read_own(late / claims.NAME, files.FACTS)
        with files.storage(folder), contextlib.suppress(FileNotFoundError):
            if claim is None:
                try:
                    files.write_whole(folder / claims.NAME, earlier, overwrite=False)
                except FileExistsError:
                    return
            elif claim != claims.read(late / claims.NAME):
                return
            (late / RAW).replace(folder / RAW)
            files.sync_folder(folder)
            (late / claims.NAME).unlink()


def _write_all(handle: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]
