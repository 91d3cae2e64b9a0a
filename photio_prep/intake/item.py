"""Item: one input photo, its name in messages, and the place of its final."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from photio_prep.errors import PhotoRefused
from photio_prep.intake.job_table import DEFAULT_ROW, RowOptions, TableJob
from photio_prep.intake.names import FORMATS

MARK = "-photio"
# The marketplaces of marketplaces/presets.toml, which this package may not import; a test keeps the two alike.
MARKETPLACES = (
    *("amazon-main", "amazon-secondary", "ebay", "etsy", "google", "instagram", "instagram-portrait", "pinterest"),
    *("shopify", "tiktok-shop", "walmart"),
)
# Stems of our own finals and of files for marketplaces (`a-photio`, `a-photio-amazon-main`).
_OWN_OUTPUT = re.compile(rf"{MARK}(-({'|'.join(MARKETPLACES)}))?$")

# Called for every photo or folder that is skipped, with the reason and whether it is skipped by design (a link) or
# because of a failure (a folder that cannot be read).
OnSkip = Callable[[PhotoRefused, bool], None]


class Item(NamedTuple):
    """One photo to work on.

    `source` is a path, a URL, or None for standard input. `name` identifies the photo in messages and orders; a URL is
    redacted there. `output` is the final's place below --out. `follow` allows a symbolic link: yes for a path that the
    user named, no for one from a folder. `job` is the row of the job table that names the photo.
    """

    source: Path | str | None
    name: str
    output: str
    follow: bool = True
    job: TableJob | None = None

    @property
    def options(self) -> RowOptions:
        """The options that this photo's row sets, in place of the command's."""
        return self.job.options if self.job else DEFAULT_ROW


def has_photo_name(path: Path) -> bool:
    """Whether a file in a folder is taken for a photo: by its suffix, and not one of our own outputs."""
    return path.suffix.lower() in FORMATS and not _OWN_OUTPUT.search(path.stem)
