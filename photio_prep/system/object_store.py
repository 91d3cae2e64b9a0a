"""s3://, gs://, az:// -> photos; finals -> there. Through fsspec, with the credentials that its libraries find.

Orders never lie there: a claim is a file made by exclusive creation and synced, which is what keeps two machines from
paying for the same order, and object stores seen as folders do not promise it.
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from photio_prep.errors import OutputExists, PhotoRefused, StorageFailed, UsageError
from photio_prep.system.files import too_long

# What can be named, and the library that each needs beside fsspec. Nothing else: fsspec would open local files,
# caches, archives and chains of them (`a::b`), and a list or table of somebody else must not name those.
LIBRARIES = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs", "memory": "fsspec"}
_PIECE = 1 << 20
_CREDENTIALS = "Check its name, and the credentials that its library finds (environment, profile, or role)"


def is_remote(name: str) -> bool:
    """Whether `name` is an address in an object store that we read."""
    found = re.match(r"([a-z0-9]+)://[^\s/]", name)
    return found is not None and found[1] in LIBRARIES and "::" not in name


def refuse_orders(out: str) -> None:
    """Raise for an output folder that is an address.

    Raises:
        UsageError: It is.
    """
    if re.match(r"[A-Za-z0-9+.-]{2,}:/", out):
        raise UsageError(
            "orders cannot lie in an object store: their claims, which keep an order from being paid for twice, need a"
            " file system",
            "Give a local folder with --out, and the store with --upload-to for the finals",
            subject="--out",
        )


def checked(address: str | None) -> str | None:
    """`address`, if finals can be put there and its library is installed.

    Raises:
        UsageError: They cannot.
    """
    if address is not None:
        _store(address)
    return address


def read(address: str, limit: int) -> bytes:
    """The bytes at `address`, at most `limit`.

    Raises:
        PhotoRefused: It is not there, not open to us, or too long.
        UsageError: The store's library is not installed.
    """
    store, path = _store(address)
    data = bytearray()
    try:
        with store.open(path, "rb", block_size=_PIECE) as file:
            while len(data) <= limit and (chunk := file.read(min(_PIECE, limit + 1 - len(data)))):
                data += chunk
    except Exception as error:  # noqa: BLE001  each store has errors of its own, which may hold signatures
        raise PhotoRefused(f"it cannot be read ({type(error).__name__})", _CREDENTIALS) from None
    if len(data) > limit:
        raise too_long(len(data), limit, "")
    return bytes(data)


def listed(address: str) -> Iterator[tuple[str, str]]:
    """The address of each file below one that ends with a slash, sorted, and its name from there.

    Raises:
        PhotoRefused: It cannot be listed.
        UsageError: The store's library is not installed.
    """
    store, path = _store(address)
    try:
        found = sorted(map(str, store.find(path)))
    except Exception as error:  # noqa: BLE001
        raise PhotoRefused(f"it cannot be listed ({type(error).__name__})", _CREDENTIALS) from None
    scheme, base = address.partition("://")[0], path.strip("/")
    for each in found:
        name = each.strip("/").removeprefix(base).strip("/")
        yield f"{scheme}://{each.strip('/')}", name


def put(address: str, name: str, data: bytes, *, overwrite: bool = False) -> str:
    """Put a final below `address`; where it lies. The same bytes are never put twice.

    Raises:
        OutputExists: Something else lies there, and `overwrite` is false.
        StorageFailed: It cannot be written. The final in the output folder is whole in any case.
    """
    store, path = _store(address)
    target = f"{path.rstrip('/')}/{PurePosixPath(name).as_posix()}"
    told = f"{address.rstrip('/')}/{name}"
    try:
        there = store.exists(target)
        if there and store.size(target) == len(data) and store.cat_file(target) == data:
            return told
        if overwrite or not there:
            store.pipe_file(target, data)
            return told
    except Exception as error:  # noqa: BLE001
        fix = "Check the store, then run `photio-prep finish` with the same --upload-to: it is free"
        raise StorageFailed(f"it cannot be written ({type(error).__name__})", fix, subject=told) from None
    raise OutputExists("another file lies there already", "Give --overwrite, or another --upload-to", subject=told)


def _store(address: str) -> tuple[Any, str]:
    scheme = address.partition("://")[0]
    if not is_remote(address):
        raise UsageError("no address in an object store", f"Known: {', '.join(LIBRARIES)}", subject=address[:80])
    try:
        import fsspec

        # Nothing of an earlier listing: what is asked for is what is there now.
        store, path = fsspec.core.url_to_fs(address, use_listings_cache=False)
    except ImportError:
        fix = f'Run: pip install "photio-prep[storage]" {LIBRARIES[scheme]}'
        raise UsageError(f"{LIBRARIES[scheme]} is not installed", fix, subject=f"{scheme}://") from None
    except Exception as error:  # noqa: BLE001
        raise UsageError(
            f"the store cannot be used ({type(error).__name__})", _CREDENTIALS, subject=f"{scheme}://"
        ) from None
    return store, str(path)
