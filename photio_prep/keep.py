"""A raw paid answer -> the disk, whatever happens to the disk.

Takes an answer byte by byte; gives a file. Touches the order's folder, and a folder of rescue where that fails.
Raises StorageFailed: before anything is sent where there is no room, and after an answer that had to be rescued.
"""

import contextlib
import os
import shutil
from pathlib import Path

from photio_prep import files
from photio_prep.errors import StorageFailed
from photio_prep.states import rescued
from photio_prep.wire import LONGEST_ANSWER

# An answer is about 2 MiB; with less room than this nothing is paid for.
_ROOM = 16 * 2**20


class AnswerFile:
    """Keeps a raw answer in its order's folder: opened before anything is sent, durable before anybody parses it.

    Raises:
        StorageFailed: There is no room for an answer, or no file can be opened. Nothing must be sent then.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._part = folder / "answer.part"
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
            # A new file: a pipe, a link or a device that lies in its place is taken away, never opened.
            self._part.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
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
                self._file.close()
                self._part.replace(self._folder / "answer.raw")
                files.sync_folder(self._folder)
            except OSError as error:
                self._fault = error
        if self._fault is not None:
            self._rescue()
        self.safe = True

    def _rescue(self) -> None:
        """Write the whole answer to a new file: a failed sync is never tried again on the same one."""
        whole, why = b"".join(self._chunks), self._fault
        with contextlib.suppress(OSError):
            self._file.close()
        for path in (self._folder / "answer.raw", rescued(self._folder)):
            # A folder that has vanished is not made again: without its plan nobody would look for the answer there.
            if path.parent == self._folder and not (self._folder / "order.json").exists():
                continue
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
        self.safe = (self._folder / "answer.raw").exists()
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


def bring_back(folder: Path) -> None:
    """Move a rescued answer into its order's folder."""
    path = rescued(folder)
    if path.exists() and not (folder / "answer.raw").exists():
        with files.storage(path), contextlib.suppress(FileNotFoundError):  # of two processes, one was faster
            files.write_whole(folder / "answer.raw", files.read_own(path, LONGEST_ANSWER))
            path.unlink()


def _write_all(handle: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]
