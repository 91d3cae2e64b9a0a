"""Area that the generator added to the product or removed from it, by segmenting the answer.

Area outside the sent mask measures how far a generator extends a product (Eshratifar and others 2024, arXiv
2404.10157). Near the mask's edge a network is not exact to a pixel; drift.py measures there without a network.
"""

import numpy as np
from PIL import Image

from photio_prep.cutout.models.segmenter import segment
from photio_prep.errors import NoProduct
from photio_prep.geometry import Box
from photio_prep.quality import Outline
from photio_prep.types import Matter


def find_added_parts(canvas: Image.Image, answer: Image.Image, box: Box, matter: Matter) -> Outline:
    """Compare the product in the answer (RGB) with the canvas's (RGBA, the same size), inside the photo's box."""
    from scipy.ndimage import distance_transform_edt, label

    sent = np.asarray(canvas.getchannel("A").crop(box)) >= 128
    name = str(getattr(matter, "name", type(matter).__name__))
    if not sent.any():
        return Outline(0.0, 0.0, name)
    try:
        alpha = segment(matter, answer.crop(box))
    except NoProduct:
        return Outline(0.0, 1.0, name)
    # A soft network pixel on either side of an edge, and a soft rim.
    reach = 2 * float(alpha.info.get("grain", 1)) + 4
    predicted = np.asarray(alpha.resize(sent.shape[::-1])) >= 128
    parts, _ = label(predicted)
    joined = np.isin(parts, np.unique(parts[sent & predicted])) & predicted
    added = joined & (distance_transform_edt(~sent) > reach)
    missing = sent if not joined.any() else sent & (distance_transform_edt(~joined) > reach)
    area = float(sent.sum())
    return Outline(round(float(added.sum()) / area, 4), round(float(missing.sum()) / area, 4), name)
