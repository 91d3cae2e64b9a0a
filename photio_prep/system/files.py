"""Files written whole or not at all, and read once."""

import contextlib
import errno
import hashlib
import io
import os
import platform
import secrets
import shutil
import stat
import sys
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import BinaryIO

from photio_prep.errors import PhotoRefused, StorageFailed
from photio_prep.system import processes

# A part-written file ends like this; nothing that ends like this is ever read as a result.
PART = ".part"
# The most that a file of an order or an output may hold, in bytes: JSON records; a canvas or a picture to look at; a
# final, or a file for a marketplace (the largest photo that can be allowed, as RGB).
FACTS = 2**20
PICTURE = 32 * 2**20
OUTPUT = 640 * 2**20


def read_input(path: Path, limit: int, *, follow: bool = True) -> bytes:
    """The bytes of a regular file that somebody else made, read once.

    Opened without blocking and checked on the open handle, so that a pipe, a device or a file swapped meanwhile
    cannot hang or grow the reader. Without `follow`, a symbolic link put in its place meanwhile is refused.

    Raises:
        PhotoRefused: Missing, unreadable, not a regular file, or longer than `limit` bytes.
    """
    try:
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        handle = os.open(path, flags | (0 if follow else getattr(os, "O_NOFOLLOW", 0)))
    except FileNotFoundError:
        raise PhotoRefused("no such file", "Check the name", subject=str(path)) from None
    except (OSError, ValueError) as error:
        raise PhotoRefused(f"cannot be opened ({_reason(error)})", "Check its permissions", subject=str(path)) from None
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):
        os.close(handle)
        raise PhotoRefused("not a regular file", "Give a picture file or a folder", subject=str(path))
    with open(handle, "rb", closefd=True) as file:
        if found.st_size > limit:
            raise too_long(found.st_size, limit, str(path))
        try:
            data = file.read(limit + 1)
        except OSError as error:
            raise PhotoRefused(f"cannot be read ({_reason(error)})", "Copy it again", subject=str(path)) from None
    if len(data) > limit:
        raise too_long(len(data), limit, str(path))
    return data


def read_own(path: Path, limit: int) -> bytes:
    """The bytes of a file of an order or an output, which anybody may have put there in place of ours.

    Raises:
        OSError: Missing, a link, no regular file, or longer than `limit` bytes; nothing waits for a pipe or a device.
    """
    with _open_own(path, limit) as (file, size):
        data = file.read(size + 1)
        if len(data) > size:  # it grew meanwhile
            data += file.read(limit + 1 - len(data))
    if len(data) > limit:
        raise OSError(errno.EINVAL, f"longer than {limit / 2**20:g} MiB")
    return data


def own_bytes(path: Path, limit: int) -> bytes | None:
    """The bytes of `read_own`; None where that refuses."""
    try:
        return read_own(path, limit)
    except (OSError, ValueError):
        return None


def own_digest(path: Path, limit: int = OUTPUT) -> str:
    """SHA-256 of the bytes of `read_own`, a piece at a time; a text that is no digest where that refuses."""
    try:
        with _open_own(path, limit) as (file, _):
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return f"unreadable {secrets.token_hex(32)}"  # the digest of nothing that a record could name


def own_holds(path: Path, mark: bytes, limit: int = OUTPUT) -> bool:
    """Whether `mark` occurs in the bytes of `read_own`, a piece at a time; false where that refuses."""
    before = b""
    try:
        with _open_own(path, limit) as (file, _):
            while piece := file.read(2**20):
                if mark in before + piece:
                    return True
                before = piece[-len(mark) :]
    except (OSError, ValueError):
        return False
    return False


def own_head(path: Path, count: int) -> bytes | None:
    """The first `count` bytes of a regular file of any length; None where it is none."""
    with contextlib.suppress(OSError, ValueError), _open_own(path, sys.maxsize) as (file, _):
        return file.read(count)
    return None


@contextlib.contextmanager
def _open_own(path: Path, limit: int) -> Iterator[tuple[io.BufferedReader, int]]:
    flags = ("O_BINARY", "O_NOFOLLOW", "O_NONBLOCK")
    handle = os.open(path, os.O_RDONLY | sum(getattr(os, each, 0) for each in flags))
    with open(handle, "rb") as file:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            raise OSError(errno.EINVAL, "no regular file")
        if facts.st_size > limit:
            raise OSError(errno.EINVAL, f"longer than {limit / 2**20:g} MiB")
        yield file, facts.st_size


def too_long(found: int, limit: int, subject: str) -> PhotoRefused:
    """The refusal of an input of more bytes than are read."""
    return PhotoRefused(
        f"{found / 2**20:.1f} MiB or more, the limit is {limit / 2**20:.0f} MiB", "Save it smaller", subject=subject
    )


def write_whole(path: Path, data: bytes, *, overwrite: bool = True, durable: bool = True) -> None:
    """Publish `data` at `path`, durable and complete, or leave what was there.

    What is not `durable` may be empty or gone after a power cut: for what can be made again.

    Raises:
        FileExistsError: Something is there already and `overwrite` is false.
        StorageFailed: The disk is full, or the folder cannot be written.
    """
    with storage(path):
        make_folder(path.parent)
        temporary = temporary_beside(path)
        try:
            with temporary.open("xb") as file:
                file.write(data)
                if durable:
                    sync(file)
            if overwrite:
                temporary.replace(path)
            else:
                publish_new(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        try:
            if durable:
                sync_folder(path.parent)
        except OSError:
            if not overwrite:  # nothing was there, so nothing is left: a claim that failed must not look like one
                path.unlink(missing_ok=True)
            raise


def make_folder(folder: Path) -> None:
    """Make a folder where there is none, and its parents; their names are synced, or what lies in them could be lost.

    Raises:
        OSError: It cannot be made.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    try:
        folder.mkdir()
    except FileExistsError as error:
        if not folder.is_dir():  # a file where a folder should be: not the taken name that callers ask about
            raise NotADirectoryError(error.errno, "not a folder") from error
    sync_folder(folder.parent)


def temporary_beside(path: Path) -> Path:
    """A hidden name in the folder of `path` that no other writer makes, and that says whose it is."""
    return path.with_name(f".{_host()}-{os.getpid()}-{secrets.token_hex(6)}{PART}")


def sweep(folder: Path) -> None:
    """Remove what writers of this machine that died left half-written in `folder`."""
    with contextlib.suppress(OSError):
        for found in folder.glob(f".{_host()}-*{PART}"):
            pid = found.name.split("-")[1]
            if pid.isdigit() and processes.started(int(pid)) is None:
                shutil.rmtree(found) if found.is_dir() else found.unlink()


@cache
def _host() -> str:
    """Digits that tell the processes that this one sees from those of other machines and containers."""
    contained = f"{processes.boot()}{processes.namespace()}" if processes.contained() else ""
    return f"{zlib.crc32(f'{platform.node()}{contained}'.encode()):08x}"


def publish_new(temporary: Path, path: Path) -> None:
    """Give a complete file its name, unless the name is taken.

    Raises:
        FileExistsError: Something is there already.
    """
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:
        # File systems without hard links (FAT, some network shares): the name is reserved first, then replaced.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        try:
            temporary.replace(path)
        except OSError:
            path.unlink()
            raise


def write_new(path: Path, data: bytes) -> None:
    """Write a file in a folder that nobody else sees yet, synced."""
    with storage(path), path.open("xb") as file:
        file.write(data)
        sync(file)


def create_same(path: Path, data: bytes) -> None:
    """Write `data` at `path` once: nothing happens where the same name was written before."""
    try:
        write_whole(path, data, overwrite=False)
    except FileExistsError:
        return


def remove(path: Path) -> None:
    """Take `path` away, durable; nothing happens where nothing is."""
    with storage(path):
        path.unlink(missing_ok=True)
        sync_folder(path.parent)


def remove_quietly(path: Path) -> None:
    """Take away what may be made again; nothing happens where that cannot be."""
    with contextlib.suppress(OSError):
        path.unlink()


def sync(file: BinaryIO) -> None:
    """Force a file's bytes to the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Force a folder's names to the disk, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def storage(path: Path) -> Iterator[None]:
    """Turn what the system says about the disk into StorageFailed; FileExistsError passes."""
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        full = error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG)
        fix = "Free some space" if full else "Check the path and its permissions, or choose another folder"
        raise StorageFailed(f"cannot be written ({_reason(error)})", fix, subject=str(path)) from error


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def identity(file: Path) -> tuple[int, ...]:
    """Which file it is, and when it was written: another one, or other bytes in it, have another identity.

    Raises:
        OSError: It cannot be looked at.
    """
    facts = file.stat()
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns
