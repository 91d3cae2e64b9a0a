"""Read the bytes of an Item from disk, standard input, a URL or an object store."""

import sys

from photio_prep import settings
from photio_prep.errors import PhotoRefused
from photio_prep.intake.item import Item
from photio_prep.system import object_store
from photio_prep.system.files import read_input


def read_item(item: Item, *, offline: bool = False) -> bytes:
    """Read the bytes of a photo. A file from a folder must not have become a link.

    Raises:
        PhotoRefused: The photo cannot be read, is too long, or must be downloaded and `offline` forbids that.
    """
    limit = settings.limits().file_bytes
    if item.source is None:
        try:
            return sys.stdin.buffer.read(limit + 1)
        except OSError as error:
            raise PhotoRefused(f"it cannot be read ({error.strerror or error})", "Pipe a photo into it") from None
    if isinstance(item.source, str):
        if offline:
            raise PhotoRefused("it must be downloaded, and --offline forbids that", "Give a file")
        if object_store.is_remote(item.source):
            return object_store.read_object(item.source, limit)
        from photio_prep.intake.download import fetch

        return fetch(item.source, limit=limit, ca_bundle=settings.ca_bundle())
    return read_input(item.source, limit, follow=item.follow)
