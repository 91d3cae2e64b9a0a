"""The review page: look before you pay, look before you publish.

rows.py       order folders -> what is known of each photo, worst first
pictures.py   where their pictures lie; small ones and answers are made
build.py      rows -> one static HTML file, from template/
sheet.py      rows -> numbered contact sheets
decisions.py  what the user decided in the page, as `generate --approved` obeys it
"""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from photio_prep.errors import UsageError
from photio_prep.intake import own_files
from photio_prep.orders.store import Order
from photio_prep.review import contact_sheet, entries, html, thumbnails
from photio_prep.system import files

NAME = "review.html"


def write_review(
    orders: str | os.PathLike[str] | Iterable[Order],
    output: str | os.PathLike[str] | None = None,
    *,
    embed: bool = False,
    price: float | None = None,
    overwrite: bool = False,
) -> Path:
    """The path of a static page that shows what will be, or was, sent for each order, and what came of it.

    Small pictures for it lie in `review-files` beside it; all is made from the order folders and may be deleted.

    Args:
        orders: An output folder, its `orders` folder, one order's folder, or orders that have folders.
        output: Where the page goes; None is `review.html` in the output folder, `review-<digits>.html` for one order.
        embed: Small copies of all pictures lie in the page itself, which then is one file to send.
        price: Of one call, for the page's costs.
        overwrite: Replace a file that is no review page.

    Raises:
        UsageError: There is no order, or there are too many for one file.
        OutputExists: A file that is no review page lies there.
        StorageFailed: The page cannot be written.
    """
    named = _named(orders)
    found = entries.rows(named)
    alone = isinstance(named, Path) and found[0].folder == named
    name = f"review-{found[0].folder.name[:8]}.html" if alone else NAME
    place = Path(output) if output is not None else entries.home(found[0].folder) / name
    if place.is_dir():
        raise UsageError("a folder lies where the page would go", "Name a file with -o", subject=str(place))
    own_files.refuse_foreign(place, overwrite=overwrite)
    with tempfile.TemporaryDirectory() as nowhere:
        seen = thumbnails.pictures(found, Path(nowhere) if embed else None)
        files.write_whole(place, html.page(found, seen, place, embed=embed, price=price))
    return place


def write_contact_sheets(
    orders: str | os.PathLike[str] | Iterable[Order], output: str | os.PathLike[str], *, overwrite: bool = False
) -> list[Path]:
    """The paths of PNG files that show each photo small, with its number in the page, its name, state and flags.

    Args:
        orders: As in `review`.
        output: The first sheet; where one does not hold all, `<name>-2.png` and so on lie beside it.
        overwrite: Replace files that are no contact sheets.

    Raises:
        UsageError: There is no order.
        OutputExists: A file that is no contact sheet lies there; none is written.
        StorageFailed: They cannot be written.
    """
    found = entries.rows(_named(orders))
    return contact_sheet.sheets(found, list(thumbnails.pictures(found)), Path(output), overwrite=overwrite)


def _named(orders: str | os.PathLike[str] | Iterable[Order]) -> Path | list[Order]:
    return Path(orders) if isinstance(orders, (str, os.PathLike)) else list(orders)
