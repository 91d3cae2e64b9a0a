"""Bytes -> an upright sRGB picture, by a short list of formats and within limits."""

from collections.abc import Callable
from typing import NamedTuple

from PIL import Image

from photio_prep.geometry import Size
from photio_prep.imaging import isolated
from photio_prep.imaging.colour import is_plain
from photio_prep.imaging.decoders import Job, pixels, shrunk
from photio_prep.imaging.headers import read, sniff
from photio_prep.imaging.limits import DEFAULT_LIMITS, Limits
from photio_prep.types import Credit

__all__ = ["DEFAULT_LIMITS", "Limits", "Picture", "picture", "sniff"]

# Decoded in this process: every photo is one of them, their decoders are the oldest and best tested there are, and what
# they get is a file that we wrote ourselves, of nothing but the picture.
_TRUSTED = frozenset({"JPEG", "PNG"})


class Picture(NamedTuple):
    """A decoded picture (RGB, or RGBA where the file had transparency), its format, notes, and whose it is.

    `whole` is the size of the file's picture, upright; the image may be smaller, where that was wanted.
    """

    image: Image.Image
    format: str
    notes: tuple[str, ...]
    credit: Credit
    whole: Size


def picture(
    data: bytes, limits: Limits = DEFAULT_LIMITS, frame: int | None = None, at: Callable[[Size], Size] | None = None
) -> Picture:
    """The picture in `data`: upright by its EXIF orientation, sRGB, 8 bits a channel.

    Args:
        data: A whole file.
        limits: What it may be at most, and how it is decoded.
        frame: Which frame or page of several, counted from 0. Of a file with several none is shown unasked.
        at: From the size of the whole picture, the size that is wanted of it; a smaller picture stays as it is.

    Raises:
        PhotoRefused: Empty, not one of the known formats, damaged, cut short, several frames, or outside `limits`.
    """
    name, found = read(data, limits, frame)
    whole, size = None, None
    if at is not None and name == "JPEG":  # its decoder scales; of others only the decoder knows which way is up
        whole = Size(*(found.size[::-1] if (found.orientation or 1) > 4 else found.size))
        size = at(whole) if at(whole).area < whole.area else None
    job = Job(name, found.plain, frame, found.index, found.orientation, found.profile, found.inverted, size)
    apart = limits.isolate == "all" or name not in _TRUSTED or bool(found.odd) or not is_plain(found.profile)
    image, credit, notes = isolated.pixels(job, limits) if apart and limits.isolate != "none" else pixels(job, limits)
    whole = whole or Size(*image.size)
    if at is not None:
        image = shrunk(image, at(whole))
    return Picture(image, name, found.notes + notes, found.credit if any(found.credit) else credit, whole)
