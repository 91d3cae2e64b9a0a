"""Item -> the bytes of its photo, from wherever it lies."""

import sys

from photio_prep import settings
from photio_prep.errors import PhotoRefused
from photio_prep.intake.item import Item
from photio_prep.system import object_store
from photio_prep.system.files import read_input


def read(item: Item, *, offline: bool = False) -> bytes:
    """The bytes of a photo; of one that was found in a folder only if it is no link by now.

    Raises:
        PhotoRefused: It cannot be read, is too long, or would have to be fetched and `offline` forbids that.
    """
    limit = settings.limits().file_bytes
    if item.source is None:
        try:
            return sys.stdin.buffer.read(limit + 1)
        except OSError as error:
            raise PhotoRefused(f"it cannot be read ({error.strerror or error})", "Pipe a photo into it") from None
    if isinstance(item.source, str):
        if offline:
            raise PhotoRefused("it would have to be fetched, and --offline forbids that", "Give a file")
        if object_store.is_remote(item.source):
            return object_store.read(item.source, limit)
        from photio_prep.intake.download import fetch

        return fetch(item.source, limit=limit, ca_bundle=settings.ca_bundle())
    return read_input(item.source, limit, follow=item.follow)
