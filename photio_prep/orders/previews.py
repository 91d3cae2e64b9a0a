"""Previews of an order, to look at.

photo.jpg   written with the order: the photo may be gone later
mask.png, overlay.png   drawn from photo.jpg and cutout.png by the verb `prepare`, else by the review page
drift.png   drawn from canvas.png and the answer by --max-drift, else by the review page, if a buyer could see the drift
"""

import os
import threading
from collections.abc import Iterable
from contextlib import nullcontext, suppress
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFont

from photio_prep.api import wire
from photio_prep.errors import PhotioError
from photio_prep.geometry import Box, Size
from photio_prep.imaging.decode import decode_picture
from photio_prep.imaging.encode import encode_clean
from photio_prep.imaging.filters import dilate
from photio_prep.imaging.limits import DEFAULT_LIMITS, Limits
from photio_prep.orders.folder import OrderFolder
from photio_prep.orders.records import CANVAS, find_record
from photio_prep.orders.store import Order, load_cutout, load_order
from photio_prep.quality import MOST_REGIONS, Area, Reason, Region, Verdict
from photio_prep.system import files
from photio_prep.system.parallel import SMALL, run_both
from photio_prep.system.text import escape_controls

PHOTO, MASK, OVERLAY, DRIFT = "photo.jpg", "mask.png", "overlay.png", "drift.png"
# Longer side of each half, and of a square of the board, in pixels.
_SIDE = 800
_SQUARE = 12
_LINE = (255, 0, 170)
# Answers of more bytes are read one at a time: 64 MiB take four times as much to parse, and the page has four threads.
_LONG_ANSWER = 8 * 2**20
_ONE_LONG = threading.Lock()
# The frames of the gate's reasons, and the height of their names.
_COLOURS = {Verdict.STOP: (200, 0, 0), Verdict.WARN: (190, 90, 0)}
_TEXT = 14


def draw_overlay(view: Image.Image, cutout: Image.Image, reasons: Iterable[Reason] = ()) -> Image.Image:
    """The photo (RGB) with the outline of the cutout (RGBA), beside the cutout on a checkerboard.

    The place of each of the gate's `reasons` is framed in the photo, with its name.
    """
    size = fit(view.size, (min(_SIDE, max(view.size)),) * 2)
    photo, cut = view.resize(size, Image.Resampling.BOX), cutout.resize(size, Image.Resampling.BOX)
    solid = np.asarray(cut.getchannel("A")) >= 128
    # One pixel outside the product and one inside: visible on light and dark, and the edge stays visible.
    photo.paste(_LINE, mask=Image.fromarray(dilate(solid, 2) & dilate(~solid, 1)))
    shown = [reason for reason in reasons if reason.area]
    for area in dict.fromkeys(reason.area for reason in shown if reason.area):
        here = [reason for reason in shown if reason.area == area]
        _draw_place(photo, area, ", ".join(reason.name.replace("_", " ") for reason in here), _COLOURS[here[0].verdict])
    return join(photo, on_checkerboard(cut))


def _draw_place(picture: Image.Image, area: Area, word: str, colour: tuple[int, int, int]) -> None:
    """Frame a part of a picture (shares of its width and height), with a word above it."""
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(_TEXT)
    left, top = round(area[0] * (picture.width - 1)), round(area[1] * (picture.height - 1))
    corner = max(round(area[2] * picture.width) - 1, left), max(round(area[3] * picture.height) - 1, top)
    pen.rectangle((left, top, *corner), outline=colour, width=2)
    word = escape_controls(word)  # of a record that may be somebody else's
    width = round(pen.textlength(word, font)) + 4
    left, top = max(min(left, picture.width - width), 0), max(top - _TEXT - 4, 0)
    pen.rectangle((left, top, left + width, top + _TEXT + 3), colour)
    pen.text((left + 2, top), word, "white", font)


def draw_drift(canvas: Image.Image, answer: Image.Image, places: Iterable[tuple[str, Area]] = ()) -> Image.Image:
    """The canvas on grey, the answer with the canvas's outline, and their difference, side by side.

    The difference is black for 0 levels and white from 48 levels on. `places` are framed in the answer, with their
    words: parts of the canvas, in shares of its width and height.
    """
    size = fit(canvas.size, (min(_SIDE, max(canvas.size)),) * 2)
    sent, received = canvas.resize(size, Image.Resampling.BOX), answer.resize(size, Image.Resampling.BOX)
    paper = Image.new("RGB", size, (128, 128, 128))
    grey = Image.composite(sent.convert("RGB"), paper, sent)
    apart = ImageChops.difference(grey, received).point([min(255, level * 255 // 48) for level in range(256)] * 3)
    apart = Image.composite(apart, paper, sent)
    alpha = np.asarray(sent.getchannel("A"))
    for picture, shape in ((received, dilate(alpha >= 12, 4)), (apart, alpha >= 128)):
        picture.paste(_LINE, mask=Image.fromarray(shape & dilate(~shape, 1)))
    for word, area in places:
        _draw_place(received, area, word, _COLOURS[Verdict.STOP])
    return join(grey, received, apart)


def fit(size: tuple[int, int], room: tuple[int, int]) -> tuple[int, int]:
    """The largest size of the same shape in `room`."""
    scale = min(room[0] / size[0], room[1] / size[1])
    return max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)


def join(*pictures: Image.Image) -> Image.Image:
    """Pictures (RGB) of one size, side by side."""
    return Image.fromarray(np.hstack([np.asarray(picture) for picture in pictures]))


def on_checkerboard(cutout: Image.Image) -> Image.Image:
    """A cutout (RGBA) on a checkerboard of two greys."""
    rows, columns = (np.arange(length) // _SQUARE % 2 for length in (cutout.height, cutout.width))
    board = Image.fromarray(np.array([190, 235], np.uint8)[rows[:, None] ^ columns]).convert("RGB")
    board.paste(cutout, (0, 0), cutout)
    return board


def read_picture(path: Path, limits: Limits = CANVAS) -> Image.Image:
    """Decode an untrusted picture; PhotoRefused if it is none or outside the limits, OSError if it cannot be opened."""
    return decode_picture(files.read_nofollow(path, min(limits.file_bytes, files.OUTPUT)), limits).image


def read_answer(folder: Path, size: Size) -> Image.Image | None:
    """The picture in the answer (RGB) of the order in `folder`; None if it has no usable one."""
    with suppress(OSError, PhotioError):
        if path := OrderFolder(folder).answer:
            with _ONE_LONG if path.stat().st_size > _LONG_ANSWER else nullcontext():
                return wire.parse_answer(files.read_nofollow(path, wire.LONGEST_ANSWER), size)
    return None


def write_photo(folder: Path, view: Image.Image) -> None:
    """Write photo.jpg, the photo (RGB) at the cutout's size, unless it exists."""
    if _is_missing(folder / PHOTO):
        files.write_atomic(folder / PHOTO, encode_clean(view, "JPEG", quality=88), durable=False)


def draw_previews(folder: Path, order: Order | None = None) -> None:
    """Draw mask.png and overlay.png of the order in `folder`, unless they exist or its pictures cannot be read.

    `order`: the same one, if it is in memory.
    """
    if not (_is_missing(folder / MASK) or _is_missing(folder / OVERLAY)):
        return
    cutout = None
    with suppress(OSError, PhotioError):
        gate, view = (order or load_order(folder)).origin.gate, read_picture(folder / PHOTO).convert("RGB")
        cutout = order.cutout if order and order.cutout else load_cutout(folder)
    if cutout is not None:
        alpha, defects = cutout.getchannel("A"), gate.defects if gate else ()
        run_both(
            lambda: _write_png(folder / OVERLAY, draw_overlay(view, cutout, defects)),
            lambda: _write_png(folder / MASK, alpha),
            worth=alpha.width * alpha.height > SMALL,
        )


def draw_drift_of(folder: Path) -> None:
    """Draw drift.png of the order in `folder`, unless it exists or its pictures cannot be read."""
    if not _is_missing(folder / DRIFT):
        return
    answer = None
    with suppress(OSError, PhotioError):
        frame = load_order(folder).placement.box
        canvas = read_picture(folder / "canvas.png").convert("RGBA")
        answer = read_answer(folder, Size(*canvas.size))
    if answer is not None:
        _write_png(folder / DRIFT, draw_drift(canvas, answer, _read_regions(folder, frame, canvas.size)))


def _read_regions(folder: Path, frame: Box, size: tuple[int, int]) -> list[tuple[str, Area]]:
    """Texts and places of the regions in drift.json, as shares of a canvas of `size`; of a damaged record a part."""
    places: list[tuple[str, Area]] = []
    with suppress(LookupError, TypeError, ValueError, ArithmeticError, PhotioError):
        record = find_record(folder / "drift.json") or {}
        for row in record["regions"][:MOST_REGIONS]:
            region = Region(str(row["kind"])[:12], (0, 0, 0, 0), min(max(0.0, float(row["amount"])), 1e4), 0)
            edges = [
                (start + min(max(0.0, float(edge) / most), 1.0) * length) / whole
                for edge, most, start, length, whole in zip(
                    row["box"], record["size"] * 2, frame[:2] * 2, frame.size * 2, size * 2, strict=True
                )
            ]
            places.append((region.text, (edges[0], edges[1], edges[2], edges[3])))
    return places


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


def _write_png(path: Path, picture: Image.Image) -> None:
    files.write_atomic(path, encode_clean(picture, "PNG", compress_level=1), durable=False)
