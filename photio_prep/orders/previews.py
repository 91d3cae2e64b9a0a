"""Previews of an order, to look at.

photo.jpg   written with the order: the photo may be gone later
mask.png, overlay.png   drawn from photo.jpg and cutout.png by the verb `prepare`, else by the review page
drift.png   drawn from canvas.png and the answer by --max-drift, else by the review page, if a buyer could see the drift
"""

import os
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops

from photio_prep.api import wire
from photio_prep.errors import PhotioError
from photio_prep.geometry import Size
from photio_prep.imaging.decode import decode_picture
from photio_prep.imaging.encode import encode_clean
from photio_prep.imaging.filters import dilate
from photio_prep.imaging.limits import DEFAULT_LIMITS
from photio_prep.orders.folder import OrderFolder
from photio_prep.orders.record_checks import CANVAS
from photio_prep.orders.store import load_cutout
from photio_prep.system import files

PHOTO, MASK, OVERLAY, DRIFT = "photo.jpg", "mask.png", "overlay.png", "drift.png"
# Longer side of each half, and of a square of the board, in pixels.
_SIDE = 800
_SQUARE = 12
_LINE = (255, 0, 170)


def draw_overlay(view: Image.Image, cutout: Image.Image) -> Image.Image:
    """The photo (RGB) with the outline of the cutout (RGBA), beside the cutout on a checkerboard."""
    shrink = min(1.0, _SIDE / max(view.size))
    size = (max(round(view.width * shrink), 1), max(round(view.height * shrink), 1))
    photo, cut = view.resize(size, Image.Resampling.BOX), cutout.resize(size, Image.Resampling.BOX)
    solid = np.asarray(cut.getchannel("A")) >= 128
    # One pixel outside the product and one inside: visible on light and dark, and the edge stays visible.
    photo.paste(_LINE, mask=Image.fromarray(dilate(solid, 2) & dilate(~solid, 1)))
    both = Image.new("RGB", (2 * size[0], size[1]))
    both.paste(photo, (0, 0))
    both.paste(checkerboard(size), (size[0], 0))
    both.paste(cut, (size[0], 0), cut)
    return both


def draw_drift(canvas: Image.Image, answer: Image.Image) -> Image.Image:
    """The canvas on grey, the answer with the canvas's outline, and their difference, side by side.

    The difference is black for 0 levels and white from 48 levels on.
    """
    shrink = min(1.0, _SIDE / max(canvas.size))
    size = (max(round(canvas.width * shrink), 1), max(round(canvas.height * shrink), 1))
    sent, received = canvas.resize(size, Image.Resampling.BOX), answer.resize(size, Image.Resampling.BOX)
    sheet = Image.new("RGB", (3 * size[0], size[1]), (128, 128, 128))
    sheet.paste(sent, (0, 0), sent)
    grey = Image.new("RGB", size, (128, 128, 128))
    grey.paste(sent, (0, 0), sent)
    alpha = np.asarray(sent.getchannel("A"))
    solid, around = alpha >= 128, dilate(alpha >= 12, 4)
    apart = ImageChops.difference(grey, received).point([min(255, level * 255 // 48) for level in range(256)] * 3)
    sheet.paste(apart, (2 * size[0], 0), sent.getchannel("A"))
    received.paste(_LINE, mask=Image.fromarray(around & dilate(~around, 1)))
    sheet.paste(received, (size[0], 0))
    sheet.paste(_LINE, (2 * size[0], 0), Image.fromarray(solid & dilate(~solid, 1)))
    return sheet


def checkerboard(size: tuple[int, int]) -> Image.Image:
    """A checkerboard (RGB) of two greys."""
    rows, columns = np.ogrid[: size[1], : size[0]]
    light = (rows // _SQUARE + columns // _SQUARE) % 2
    return Image.fromarray(np.where(light, 235, 190).astype(np.uint8)).convert("RGB")


def write_photo(folder: Path, view: Image.Image) -> None:
    """Write photo.jpg, the photo (RGB) at the cutout's size, unless it exists."""
    if _is_missing(folder / PHOTO):
        files.write_atomic(folder / PHOTO, encode_clean(view, "JPEG", quality=88), durable=False)


def draw_previews(folder: Path) -> None:
    """Draw mask.png and overlay.png of the order in `folder`, unless they exist or its pictures cannot be read."""
    if not (_is_missing(folder / MASK) or _is_missing(folder / OVERLAY)):
        return
    try:
        cutout, data = load_cutout(folder), files.read_nofollow(folder / PHOTO, files.PICTURE)
        view = decode_picture(data, CANVAS).image.convert("RGB")
    except (OSError, PhotioError):
        return
    if cutout is not None:
        files.write_atomic(folder / MASK, encode_preview(cutout.getchannel("A")), durable=False)
        files.write_atomic(folder / OVERLAY, encode_preview(draw_overlay(view, cutout)), durable=False)


def draw_drift_of(folder: Path) -> None:
    """Draw drift.png of the order in `folder`, unless it exists or its pictures cannot be read."""
    if not _is_missing(folder / DRIFT):
        return
    try:
        canvas = decode_picture(files.read_nofollow(folder / "canvas.png", files.PICTURE), CANVAS).image
        if (path := OrderFolder(folder).answer) is None:
            return
        answer = wire.parse_answer(files.read_nofollow(path, wire.LONGEST_ANSWER), Size(*canvas.size))
    except (OSError, PhotioError):
        return
    files.write_atomic(folder / DRIFT, encode_preview(draw_drift(canvas.convert("RGBA"), answer)), durable=False)


def _is_missing(path: Path) -> bool:
    """Previews are not synced, since they can be made again: after a power cut they may be empty."""
    return not (path.exists() and path.stat().st_size)


def copy_previews(old: Path, new: Path) -> None:
    """Copy the previews and the stored photo of an order to the order that continues it."""
    for name in (PHOTO, MASK, OVERLAY):
        if not os.path.lexists(new / name) and (data := files.own_bytes(old / name, files.PICTURE)) is not None:
            files.write_atomic(new / name, data, durable=False)
    for path in old.glob("source-*.png"):  # the only copy
        if (data := files.own_bytes(path, DEFAULT_LIMITS.file_bytes)) is not None:
            files.write_once(new / path.name, data)


def encode_preview(picture: Image.Image) -> bytes:
    """Encode a preview as PNG, fast: in tens of milliseconds."""
    return encode_clean(picture, "PNG", compress_level=1)
