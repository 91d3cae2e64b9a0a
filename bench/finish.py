"""`finish` of a large photo, from the kept answer to the written files, beside the least that any finish does."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from PIL import Image

from bench.measure import Row, paired
from bench.photo import FIXTURES, enlarged, in_turn
from photio_prep.api.client import InstantClient
from photio_prep.cutout.models.registry import get_model
from photio_prep.final.options import OutputOptions
from photio_prep.final.writer import place_final
from photio_prep.imaging.encode import encode_picture
from photio_prep.pipeline import generate, prepare
from photio_prep.sandbox import Sandbox


def least(photo: Path) -> None:
    """Decode the photo, and encode a JPEG of its size."""
    with Image.open(photo) as opened:
        encode_picture(opened.convert("RGB"), "JPEG")


def rows(sizes: list[int], model: str, folder: Path, runs: int) -> Iterator[Row]:
    """Each pair is another fixture, which the sandbox answers."""
    out, options = folder / "finish", OutputOptions(overwrite=True)
    for size in sizes:
        photos = [enlarged(size, folder, each) for each in (FIXTURES[0], *FIXTURES)]
        with Sandbox() as sandbox:
            client = InstantClient("pt-bench-finish", api_url=sandbox.url)
            words = partial(prepare, description="on oak", model=get_model(model), endpoint=sandbox.url, orders=out)
            orders = {photo: words(photo, output=photo.stem) for photo in photos}
            for order in orders.values():
                generate(order, client=client, gate="off")
        finishing = in_turn(photos, lambda photo, orders=orders: place_final(orders[photo], out, output=options))
        yield paired(f"{size} MP: finish / decode and encode", finishing, in_turn(photos, least), runs)
