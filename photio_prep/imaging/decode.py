"""Decode bytes of the allowed formats to an upright sRGB picture, within limits."""

from collections.abc import Callable
from typing import NamedTuple

from PIL import Image

from photio_prep.geometry import Size
from photio_prep.imaging import isolated
from photio_prep.imaging.colour import is_plain
from photio_prep.imaging.decoders import DecodeTask, decode_pixels, shrink
from photio_prep.imaging.headers import parse_header, sniff
from photio_prep.imaging.limits import DEFAULT_LIMITS, Limits, limits_for
from photio_prep.types import Credit

__all__ = ["DEFAULT_LIMITS", "DecodedPicture", "Limits", "decode_picture", "sniff"]

# Decoded in this process: most photos are one of them, their decoders are the best tested, and the decoder gets a file
# that we rebuilt with nothing but the picture.
_TRUSTED = frozenset({"JPEG", "PNG"})


class DecodedPicture(NamedTuple):
    """A decoded picture: RGB, or RGBA if the file has transparency.

    `whole` is the size of the file's picture, upright; `image` may be a smaller copy.
    """

    image: Image.Image
    format: str
    notes: tuple[str, ...]
    credit: Credit
    whole: Size


def decode_picture(
    data: bytes, limits: Limits = DEFAULT_LIMITS, frame: int | None = None, at: Callable[[Size], Size] | None = None
) -> DecodedPicture:
    """Decode a complete file: upright by its EXIF orientation, sRGB, 8 bits a channel.

    `frame`, from 0, is for a file with several. `at` maps the full size to the size to decode at; a smaller picture is
    not enlarged.

    Raises:
        PhotoRefused: Empty, not one of the known formats, damaged, cut short, several frames, or outside `limits`.
    """
    limits = limits_for(sniff(data), limits)
    name, header = parse_header(data, limits, frame)
    orientation, profile = header.tags.orientation, header.space.profile
    full_size, size = None, None
    if at is not None and name == "JPEG":  # only its decoder scales
        full_size = Size(*(header.size[::-1] if orientation > 4 else header.size))
        size = at(full_size) if at(full_size).area < full_size.area else None
    job = DecodeTask(name, header.plain, frame, header.index, header.crop, orientation, profile, size)
    odd = limits.isolate == "all" or name not in _TRUSTED or bool(header.odd) or not is_plain(profile)
    image, notes = (
        isolated.decode_isolated(job, limits) if odd and limits.isolate != "none" else decode_pixels(job, limits)
    )
    full_size = full_size or Size(*image.size)
    if at is not None:
        image = shrink(image, at(full_size))
    return DecodedPicture(image, name, header.tags.notes + header.space.notes + notes, header.tags.credit, full_size)
