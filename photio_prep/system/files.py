"""Write files atomically, and read them without following links or blocking."""

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
import tomllib
import zlib
from collections.abc import Iterator
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, BinaryIO, Literal

from photio_prep.errors import PhotoRefused, StorageFailed
from photio_prep.system import processes
from photio_prep.system.near_name import suggest_name

# Suffix of a part-written file, which is never read as a result.
PART = ".part"
# Size limits of files of an order or an output, in bytes: JSON records; a canvas or a preview; a final, or a file for a
# marketplace (the largest photo that can be allowed, as RGB).
RECORD = 2**20
PICTURE = 32 * 2**20
OUTPUT = 640 * 2**20


def read_input(path: Path, limit: int, *, follow: bool = True) -> bytes:
    """Read a regular file of the user's of at most `limit` bytes, else PhotoRefused. `follow` symbolic links or not."""
    try:
        with _open_regular(path, follow=follow) as (file, size):
            if size <= limit:
                data = file.read(limit + 1)
                size = len(data)
    except FileNotFoundError:
        raise PhotoRefused("no such file", suggest_name(path), subject=str(path)) from None
    except (OSError, ValueError) as error:
        fix = "Check that it is a file, and its permissions"
        raise PhotoRefused(f"cannot be read ({_reason(error)})", fix, subject=str(path)) from None
    if size > limit:
        raise too_long_error(size, limit, str(path))
    return data


def input_digest(path: Path, limit: int) -> str:
    """SHA-256 (hex) of the bytes of `read_input`; "" if that raises."""
    with contextlib.suppress(PhotoRefused):
        return hashlib.sha256(read_input(path, limit)).hexdigest()
    return ""


def too_long_error(size: int, limit: int, subject: str) -> PhotoRefused:
    """Describe an input of `size` bytes, or more."""
    problem = f"{size / 2**20:.1f} MiB or more, the limit is {limit / 2**20:.0f} MiB"
    fix = "Save it smaller, or raise `file_bytes` under [limits] in photio.toml"
    return PhotoRefused(problem, fix, subject=subject)


def read_nofollow(path: Path, limit: int) -> bytes:
    """Read a file of an order or an output, which another program may have replaced.

    OSError if it is missing, a link, not a regular file, or longer than `limit` bytes.
    """
    with _open_regular(path, limit) as (file, size):
        data = file.read(size + 1)
        if len(data) > size:  # the file grew meanwhile
            data += file.read(limit + 1 - len(data))
    if len(data) > limit:
        raise OSError(errno.EINVAL, f"longer than {limit / 2**20:g} MiB")
    return data


def own_bytes(path: Path, limit: int) -> bytes | None:
    """The bytes of `read_nofollow`; None if that raises."""
    with contextlib.suppress(OSError, ValueError):
        return read_nofollow(path, limit)
    return None


def own_digest(path: Path) -> str:
    """SHA-256 of the bytes of `read_nofollow`; a random text that equals no digest if that raises."""
    try:
        with _open_regular(path, OUTPUT) as (file, _):
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return f"unreadable {secrets.token_hex(32)}"


def own_holds(path: Path, mark: bytes) -> bool:
    """Whether `mark` occurs in the bytes of `read_nofollow`; false if that raises."""
    before = b""
    with contextlib.suppress(OSError, ValueError), _open_regular(path, OUTPUT) as (file, _):
        while piece := file.read(2**20):
            if mark in before + piece:
                return True
            before = piece[-len(mark) :]
    return False


def own_head(path: Path, count: int) -> bytes | None:
    """The first `count` bytes of a regular file of any length; None if it cannot be read."""
    with contextlib.suppress(OSError, ValueError), _open_regular(path) as (file, _):
        return file.read(count)
    return None


@contextlib.contextmanager
def _open_regular(
    path: Path, limit: int = sys.maxsize, *, follow: bool = False
) -> Iterator[tuple[io.BufferedReader, int]]:
    """Open a regular file; yield it and its size.

    The open handle is checked: neither a pipe, a device nor a file that was swapped meanwhile hangs the reader.
    """
    flags = ("O_BINARY", "O_NONBLOCK") if follow else ("O_BINARY", "O_NONBLOCK", "O_NOFOLLOW")
    handle = os.open(path, os.O_RDONLY | sum(getattr(os, flag, 0) for flag in flags))
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "not a regular file")
    with open(handle, "rb") as file:
        if status.st_size > limit:
            raise OSError(errno.EINVAL, f"longer than {limit / 2**20:g} MiB")
        yield file, status.st_size


def write_atomic(path: Path, data: bytes, *, overwrite: bool = True, durable: bool | Literal["bytes"] = True) -> None:
    """Write `data` to `path` atomically; FileExistsError if the file exists and `overwrite` is false.

    Without `durable` the file may be empty or missing after a power cut: for data that can be made again. With "bytes"
    it may be missing until another file of its folder is written.
    """
    with storage_errors(path):
        make_folder(path.parent)
        temporary = temporary_path(path)
        try:
            with temporary.open("xb") as file:
                file.write(data)
                if durable:
                    sync(file)
            if overwrite:
                temporary.replace(path)
            else:
                link_new(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        try:
            if durable is True:
                sync_folder(path.parent)
        except OSError:
            if not overwrite:  # a claim that failed must not look like one
                path.unlink(missing_ok=True)
            raise


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, and sync their names: without that a power cut could lose their files."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    try:
        folder.mkdir()
    except FileExistsError as error:
        if not folder.is_dir():  # a file; callers take FileExistsError for a taken name
            raise NotADirectoryError(error.errno, "not a folder") from error
    sync_folder(folder.parent)


def temporary_path(path: Path) -> Path:
    """A hidden, unique name beside `path` that holds the host and the process that write it."""
    return path.with_name(f".{_host()}-{os.getpid()}-{secrets.token_hex(6)}{PART}")


def remove_stale(folder: Path) -> None:
    """Remove temporary files and folders of dead processes of this machine from `folder`."""
    with contextlib.suppress(OSError):
        for stale in folder.glob(f".{_host()}-*{PART}"):
            pid = stale.name.split("-")[1]
            if pid.isdigit() and processes.start_time(int(pid)) is None:
                shutil.rmtree(stale) if stale.is_dir() else stale.unlink()


@cache
def _host() -> str:
    """Hexadecimal digits that identify the machine, or the container, whose processes this one sees."""
    contained = f"{processes.boot_id()}{processes.namespace()}" if processes.contained() else ""
    return f"{zlib.crc32(f'{platform.node()}{contained}'.encode()):08x}"


def link_new(temporary: Path, path: Path) -> None:
    """Move a complete file to `path`; FileExistsError if the name is taken."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:
        # File systems without hard links (FAT, some network shares): reserve the name first, then replace it.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        try:
            temporary.replace(path)
        except OSError:
            path.unlink()
            raise


def write_new(path: Path, data: bytes) -> None:
    """Write and sync a file in a folder that no other process uses yet."""
    with storage_errors(path), path.open("xb") as file:
        file.write(data)
        sync(file)


def write_once(path: Path, data: bytes) -> None:
    """Write the file unless it exists."""
    with contextlib.suppress(FileExistsError):
        write_atomic(path, data, overwrite=False)


def remove(path: Path) -> None:
    """Remove the file, if it exists, and sync its folder."""
    with storage_errors(path):
        path.unlink(missing_ok=True)
        sync_folder(path.parent)


def sync(file: BinaryIO) -> None:
    """Force a file's bytes to the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Force a folder's names to the disk, on POSIX."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn OSError into StorageFailed. FileExistsError passes."""
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


@cache
def read_packaged(path: str) -> dict[str, Any]:
    """The content of a TOML file that the package carries, by its path in it. Callers do not change it."""
    return tomllib.loads(resources.files("photio_prep").joinpath(path).read_text(encoding="utf-8"))


def file_identity(file: Path) -> tuple[int, ...]:
    """Device, inode, size and times of a file, which differ for another file or other bytes in it."""
    status = file.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
