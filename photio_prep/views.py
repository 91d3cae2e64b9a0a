"""An order's photo and cutout -> pictures to look at: photo.jpg, mask.png and overlay.png.

Takes the photo as it is seen and the cutout, at one size; gives pictures, or puts them into the order's folder.
Touches the order's folder. Raises StorageFailed.
"""

import io
import shutil
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from photio_prep import files

PHOTO, MASK, OVERLAY = "photo.jpg", "mask.png", "overlay.png"
# Longer side of each half, and of a square of the board, in pixels.
_SIDE = 800
_SQUARE = 12
_LINE = (255, 0, 170)


def overlay(view: Image.Image, cutout: Image.Image) -> Image.Image:
    """The photo (RGB) with the outline of the cutout (RGBA), and beside it the cutout on a checkerboard."""
    shrink = min(1.0, _SIDE / max(view.size))
    size = (max(round(view.width * shrink), 1), max(round(view.height * shrink), 1))
    photo, cut = view.resize(size, Image.Resampling.BOX), cutout.resize(size, Image.Resampling.BOX)
    solid = cut.getchannel("A").point([0] * 128 + [255] * 128)
    # One pixel outside the product and one inside: visible on light and on dark, and not hiding the edge.
    around = ImageChops.difference(solid.filter(ImageFilter.MaxFilter(5)), solid.filter(ImageFilter.MinFilter(3)))
    photo.paste(_LINE, mask=around)
    both = Image.new("RGB", (2 * size[0], size[1]))
    both.paste(photo, (0, 0))
    both.paste(board(size), (size[0], 0))
    both.paste(cut, (size[0], 0), cut)
    return both


def board(size: tuple[int, int]) -> Image.Image:
    """A checkerboard (RGB) of two greys."""
    rows, columns = np.ogrid[: size[1], : size[0]]
    light = (rows // _SQUARE + columns // _SQUARE) % 2
    return Image.fromarray(np.where(light, 235, 190).astype(np.uint8)).convert("RGB")


def write(folder: Path, view: Image.Image, cutout: Image.Image) -> None:
    """Put them into an order's folder, unless they lie there already: the photo at the cutout's size, and the two."""
    if not (folder / PHOTO).exists():
        files.write_whole(folder / PHOTO, _jpeg(view))
    if not (folder / MASK).exists():
        files.write_whole(folder / MASK, _png(cutout.getchannel("A")))
    if not (folder / OVERLAY).exists():
        files.write_whole(folder / OVERLAY, _png(overlay(view, cutout)))


def carry(old: Path, new: Path) -> None:
    """Copy what lies in one order's folder to that of the order in which it goes on."""
    for name in (PHOTO, MASK, OVERLAY):
        if (old / name).exists() and not (new / name).exists():
            with files.storage(new / name):
                shutil.copyfile(old / name, new / name)


def _jpeg(picture: Image.Image) -> bytes:
    holder = io.BytesIO()
    clean = picture.copy()
    clean.info = {}
    clean.save(holder, "JPEG", quality=88)
    return holder.getvalue()


def _png(picture: Image.Image) -> bytes:
    holder = io.BytesIO()
    picture.save(holder, "PNG", compress_level=1)  # for looking at: written in tens of milliseconds
    return holder.getvalue()
