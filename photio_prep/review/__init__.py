"""The static review page: photos, requests and results, to approve or reject.

entries.py        order folders -> one entry for each photo, the most urgent first
thumbnails.py     entry -> paths of its pictures; makes thumbnails and decoded answers
html.py           entries -> one static HTML file, from template/
contact_sheet.py  entries -> numbered contact sheets
decisions.py      decisions.json, which the page saves and `generate --approved` reads
"""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from photio_prep.errors import UsageError
from photio_prep.intake import own_files
from photio_prep.orders.options import PRICE
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
    """Write the static review page of orders and return its path.

    Its thumbnails go to `review-files` beside it. Everything is derived from the order folders and may be deleted.

    Args:
        orders: An output folder, its `orders` folder, one order's folder, or orders that have folders.
        output: None is `review.html` in the output folder, `review-<digits>.html` for one order.
        embed: Embed small copies of all pictures, so that the page is one file; UsageError if they are too many.
        price: Price per call.
        overwrite: Replace a file that is not a review page; else OutputExists.
    """
    if price is not None:
        PRICE.check("price", price)
    listed = entries.load_entries(orders)
    folder = listed[0].folder
    one = isinstance(orders, (str, os.PathLike)) and Path(orders) == folder
    name = f"review-{folder.name[:8]}.html" if one else NAME
    path = Path(output) if output is not None else entries.output_root(folder) / name
    if path.is_dir():
        raise UsageError("the page's path is a folder", "Name a file with -o", subject=str(path))
    own_files.check_not_foreign(path, overwrite=overwrite)
    with tempfile.TemporaryDirectory() as scratch:
        pictures = thumbnails.collect_pictures(listed, Path(scratch) if embed else None)
        files.write_atomic(path, html.render_page(listed, pictures, path, embed=embed, price=price))
    return path


def write_contact_sheets(
    orders: str | os.PathLike[str] | Iterable[Order], output: str | os.PathLike[str], *, overwrite: bool = False
) -> list[Path]:
    """Write PNG sheets with each photo's thumbnail, number in the page, name, state and flags; return their paths.

    `output` is the first sheet; further ones are `<name>-2.png` and so on beside it. See `write_review`.
    """
    listed = entries.load_entries(orders)
    return contact_sheet.write_sheets(listed, thumbnails.collect_pictures(listed), Path(output), overwrite=overwrite)
