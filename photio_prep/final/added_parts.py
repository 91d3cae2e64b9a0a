"""An answer, cut out again -> what the generator added to the product, and what it took away.

The area that is found outside the mask that was sent measures how far a generator extends a product (Eshratifar and
others 2024, arXiv 2404.10157). A network sees no pixel's width: what is near the mask's edge says nothing here, and is
measured without one, in drift.py.
"""

import numpy as np
from PIL import Image

from photio_prep.cutout.models.segmenter import segment
from photio_prep.errors import NoProduct
from photio_prep.geometry import Box
from photio_prep.quality import Outline
from photio_prep.types import Matter


def outline(canvas: Image.Image, answer: Image.Image, box: Box, matter: Matter) -> Outline:
    """What a model finds in the answer, beside what was sent.

    Args:
        canvas: What was sent (RGBA).
        answer: What came back (RGB), of the same size.
        box: Where the photo lies on the canvas: the padding is nobody's picture.
        matter: Finds the product in an RGB picture.
    """
    from scipy.ndimage import distance_transform_edt, label

    sent = np.asarray(canvas.getchannel("A").crop(box)) >= 128
    name = str(getattr(matter, "name", type(matter).__name__))
    if not sent.any():
        return Outline(0.0, 0.0, name)
    try:
        belief = segment(matter, answer.crop(box))
    except NoProduct:
        return Outline(0.0, 1.0, name)
    # A soft network pixel on either side of an edge, and what a rim may be soft itself.
    reach = 2 * float(belief.info.get("grain", 1)) + 4
    found = np.asarray(belief.resize(sent.shape[::-1])) >= 128
    parts, _ = label(found)
    joined = np.isin(parts, np.unique(parts[sent & found])) & found
    added = joined & (distance_transform_edt(~sent) > reach)
    missing = sent if not joined.any() else sent & (distance_transform_edt(~joined) > reach)
    area = float(sent.sum())
    return Outline(round(float(added.sum()) / area, 4), round(float(missing.sum()) / area, 4), name)
