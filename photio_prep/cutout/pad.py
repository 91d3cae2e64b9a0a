"""Place a cutout on the canvas."""

import numpy as np
from PIL import Image

from photio_prep.geometry import Placement
from photio_prep.imaging.encode import encode_png
from photio_prep.types import Canvas, Cutout


def pad(cutout: Cutout, placement: Placement) -> Canvas:
    """Scale the cutout to the placement's box on a transparent canvas; encode it as a PNG without metadata.

    RGB is 0 wherever alpha is 0.
    """
    picture = scale_cutout(cutout.image, placement)
    if picture.size == placement.canvas:
        canvas = Canvas(encode_png(picture), placement)
        vars(canvas)["image"] = picture  # so that the PNG is not decoded again
        return canvas
    padded = Image.new("RGBA", placement.canvas)
    padded.paste(picture, placement.box[:2])
    return Canvas(encode_png(padded), placement)


def scale_cutout(cutout: Image.Image, placement: Placement) -> Image.Image:
    """Scale an RGBA cutout to the placement's box, premultiplied (Lanczos)."""
    if cutout.size == placement.box.size:
        return cutout
    # Lanczos overshoots by a level or two, which would leave a haze.
    pixels = np.array(cutout.resize(placement.box.size, Image.Resampling.LANCZOS))
    pixels[pixels[..., 3] < _HAZE] = 0
    return Image.fromarray(pixels)


_HAZE = 4
