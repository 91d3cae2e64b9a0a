"""Read photos from s3://, gs:// and az://, and put finals there: fsspec with the credentials that its libraries find.

Orders are never stored there. A claim keeps two machines from paying for the same order by exclusive creation of a
synced file, and object stores do not promise that.
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from photio_prep.errors import OutputExists, PhotoRefused, StorageFailed, UsageError
from photio_prep.system.files import too_long_error

# Allowed schemes, and the library that each needs beside fsspec. fsspec would also open local files, caches, archives
# and chains of them (`a::b`), which a list or table from another party must not name.
LIBRARIES = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs", "memory": "fsspec"}
_PIECE = 1 << 20
_CREDENTIALS = "Check its name, and the credentials that its library finds (environment, profile, or role)"


def is_remote(name: str) -> bool:
    """Whether `name` is an address of an allowed scheme."""
    match = re.match(r"([a-z0-9]+)://[^\s/]", name)
    return match is not None and match[1] in LIBRARIES and "::" not in name


def check_no_orders(out: str) -> None:
    """Raise UsageError for an output folder in an object store."""
    if re.match(r"[A-Za-z0-9+.-]{2,}:/", out):
        raise UsageError(
            "orders cannot be put in an object store: their claims, which prevent a second payment, need a file system",
            "Give a local folder with --out, and the store with --upload-to for the finals",
            subject="--out",
        )


def check_address(address: str | None) -> str | None:
    """Return an address for finals; UsageError if its scheme is not allowed, or its library is not installed."""
    if address is not None:
        _store(address)
    return address


def read_object(address: str, limit: int) -> bytes:
    """Read at most `limit` bytes at `address`; PhotoRefused if it is missing, not readable, or longer."""
    store, path = _store(address)
    data = bytearray()
    try:
        with store.open(path, "rb", block_size=_PIECE) as file:
            while len(data) <= limit and (chunk := file.read(min(_PIECE, limit + 1 - len(data)))):
                data += chunk
    except Exception as error:  # noqa: BLE001  stores raise errors of their own, which may hold signatures
        raise PhotoRefused(f"it cannot be read ({type(error).__name__})", _CREDENTIALS) from None
    if len(data) > limit:
        raise too_long_error(len(data), limit, "")
    return bytes(data)


def list_objects(address: str) -> Iterator[tuple[str, str]]:
    """Yield the address and the relative name of each file below an address that ends with a slash, sorted."""
    store, path = _store(address)
    try:
        paths = sorted(map(str, store.find(path)))
    except Exception as error:  # noqa: BLE001
        raise PhotoRefused(f"it cannot be listed ({type(error).__name__})", _CREDENTIALS) from None
    scheme, base = address.partition("://")[0], path.strip("/")
    for file in paths:
        yield f"{scheme}://{file.strip('/')}", file.strip("/").removeprefix(base).strip("/")


def put_object(address: str, name: str, data: bytes, *, overwrite: bool = False) -> str:
    """Put a final below `address`, unless it has these bytes already; return its address.

    OutputExists if another file has that and `overwrite` is false. The final in the output folder is complete anyhow.
    """
    store, path = _store(address)
    target = f"{path.rstrip('/')}/{PurePosixPath(name).as_posix()}"
    final = f"{address.rstrip('/')}/{name}"
    try:
        exists = store.exists(target)
        if exists and store.size(target) == len(data) and store.cat_file(target) == data:
            return final
        if overwrite or not exists:
            store.pipe_file(target, data)
            return final
    except Exception as error:  # noqa: BLE001
        fix = "Check the store, then run `photio-prep finish` with the same --upload-to: it is free"
        raise StorageFailed(f"it cannot be written ({type(error).__name__})", fix, subject=final) from None
    raise OutputExists("another file exists already", "Give --overwrite, or another --upload-to", subject=final)


def _store(address: str) -> tuple[Any, str]:
    scheme = address.partition("://")[0]
    if not is_remote(address):
        raise UsageError("not an address in an object store", f"Known: {', '.join(LIBRARIES)}", subject=address[:80])
    try:
        import fsspec

        # Without the cache of earlier listings, which may be out of date.
        store, path = fsspec.core.url_to_fs(address, use_listings_cache=False)
    except ImportError:
        fix = f'Run: pip install "photio-prep[storage]" {LIBRARIES[scheme]}'
        raise UsageError(f"{LIBRARIES[scheme]} is not installed", fix, subject=f"{scheme}://") from None
    except Exception as error:  # noqa: BLE001
        raise UsageError(
            f"the store cannot be used ({type(error).__name__})", _CREDENTIALS, subject=f"{scheme}://"
        ) from None
    return store, str(path)
