"""Item: one input photo, its name in messages, the place of its final; and reading its bytes."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from photio_prep import settings
from photio_prep.errors import PhotoRefused
from photio_prep.intake.job_table import DEFAULT_ROW, RowOptions, TableJob
from photio_prep.system import object_store
from photio_prep.system.files import read_input

MARK = "-photio"

# Called for what is skipped, with the reason and whether it is skipped by design (a link, a file of another kind) or
# because of a failure (a folder that cannot be read or holds no photo).
OnSkip = Callable[[PhotoRefused, bool], None]


class Item(NamedTuple):
    """One photo to work on.

    `source` is a path, a URL, or the bytes that standard input had. `name` identifies the photo in messages and orders;
    a URL is redacted there. `output` is the final's place below --out. `follow` allows a symbolic link: yes for a path
    that the user named, no for one from a folder. `job` is the row of the job table that names the photo.
    """

    source: Path | str | bytes
    name: str
    output: str
    follow: bool = True
    job: TableJob | None = None

    @property
    def options(self) -> RowOptions:
        """The options that this photo's row sets, in place of the command's."""
        return self.job.options if self.job else DEFAULT_ROW


def read_stdin() -> Item:
    """The photo on standard input; PhotoRefused if it cannot be read."""
    try:
        data = sys.stdin.buffer.read(settings.limits().file_bytes + 1)
    except OSError as error:
        problem = f"it cannot be read ({error.strerror or error})"
        raise PhotoRefused(problem, "Pipe a photo into it", subject="-") from None
    return Item(data, "-", "stdin")


def read_item(item: Item, *, offline: bool = False) -> bytes:
    """Read the bytes of a photo. A file from a folder must not have become a link.

    Raises:
        PhotoRefused: The photo cannot be read, is too long, or must be downloaded and `offline` forbids that.
    """
    limit = settings.limits().file_bytes
    if isinstance(item.source, bytes):
        return item.source
    if isinstance(item.source, Path):
        return read_input(item.source, limit, follow=item.follow)
    if offline:
        raise PhotoRefused("it must be downloaded, and --offline forbids that", "Give a file")
    if object_store.is_remote(item.source):
        return object_store.read_object(item.source, limit)
    from photio_prep.intake.download import fetch

    return fetch(item.source, limit=limit, ca_bundle=settings.ca_bundle())
