"""Result -> Final: the inverse of pad, by the same placement.

Takes a result; gives a picture of exactly the photo's size. Touches nothing, raises nothing of its own.
"""

from PIL import Image

from photio_prep.data import Final, Result


def unpad(result: Result, *, source: str = "", format_: str = "PNG") -> Final:
    """The answer cropped to the box where the photo lay, and brought back to the photo's size (Lanczos).

    Cropped first: resize(box=...) would read past the box, and the padding would bleed into the edge.
    """
    way = result.placement
    image = result.image.crop(way.box)
    if way.box.size != way.source:
        image = image.resize(way.source, Image.Resampling.LANCZOS)
    return Final(image, source, format_)
