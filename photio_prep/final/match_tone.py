"""The tone of a scene, brought back by as much as the product's was shifted."""

import numpy as np
from PIL import Image

# More levels than this are no cast but another light: taken back only so far.
_MOST = 32


def matched(answer: Image.Image, canvas: Image.Image) -> tuple[Image.Image, tuple[int, int, int]]:
    """The answer (RGB) with the product's own tone, and by how many levels of each channel it was shifted.

    The median over the opaque product of what was sent less what came back, added to every pixel of the answer: the
    scene meets the photo's product in the light in which the generator saw both.

    Args:
        answer: RGB, of the canvas's size or shape.
        canvas: What was sent (RGBA).
    """
    seen = answer if answer.size == canvas.size else answer.resize(canvas.size, Image.Resampling.BOX)
    sent = np.asarray(canvas)
    solid = sent[..., 3] == 255
    if not solid.any():
        return answer, (0, 0, 0)
    change = np.median(sent[solid][:, :3].astype(np.int16) - np.asarray(seen)[solid], axis=0)
    shift = np.clip(np.rint(change), -_MOST, _MOST).astype(int)
    table = [min(max(level + int(each), 0), 255) for each in shift for level in range(256)]
    return answer.point(table), (int(shift[0]), int(shift[1]), int(shift[2]))
