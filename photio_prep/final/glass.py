"""Half transparent parts of a product: what the photo's glass takes from its background, and what it adds to it.

A photo of glass is `background * passed + added`. Its background is known: it is the photo around the product. `passed`
is at most what the mask lets through, so a white veil stays white. Measured: measurements/finals.md.
"""

from typing import NamedTuple, Self

import numpy as np
from PIL import Image

from photio_prep.final.restore import fill_from_around
from photio_prep.imaging.filters import (
    Bools,
    Bytes,
    Floats,
    dilate,
    drop_thin,
    load_opencv,
    local_maximum,
    local_minimum,
)

# Levels of alpha of a half transparent area, most change within 3 px of it, and its least radius: no soft edge is that
# even. Around it, its own edges are treated like it.
_CLEAR, _CHANGE, _RADIUS, _EDGE = (13, 247), 26, 6, 8
# Pixels beside the product that may hold some of it.
_BESIDE = 4


class Glass(NamedTuple):
    """Where pixels are glass (H, W), and the share of the background (1 is 255) and levels (H, W, 3 each)."""

    where: Bools
    passed: Bytes
    added: Bytes

    def cut(self, part: tuple[slice, slice]) -> Self:
        """The same in a part of the window."""
        return type(self)(self.where[part], self.passed[part], self.added[part])

    def lay_over(self, target: Bytes) -> None:
        """Lay the glass over a scene (H, W, 3)."""
        behind, added = target[self.where].astype(np.int32), self.added[self.where].astype(np.int32)
        mixed = self.passed[self.where] * behind + 255 * added
        target[self.where] = np.minimum((mixed + 127) // 255, 255)


class Studio(NamedTuple):
    """The background behind a product's half transparent parts, as far as it can be seen around it.

    `colours`: (RGB) at the mask's scale. `clear`: where alpha is half transparent, and not a soft edge only (L).
    """

    colours: Image.Image
    clear: Image.Image

    def split(
        self, box: tuple[int, int, int, int], size: tuple[int, int], pixels: Bytes, levels: Bytes
    ) -> Glass | None:
        """Split a box of a photo of `size`, by its pixels and alpha; None: it has no glass."""
        across, down = self.clear.width / size[0], self.clear.height / size[1]
        part, shape = (box[0] * across, box[1] * down, box[2] * across, box[3] * down), levels.shape[::-1]
        where = np.asarray(self.clear.resize(shape, Image.Resampling.NEAREST, box=part)) > 0
        where &= (levels > 0) & (levels < 255)
        if not where.any():
            return None
        behind = np.asarray(self.colours.resize(shape, Image.Resampling.BILINEAR, box=part), dtype=np.float32)
        most = (255 - levels.astype(np.float32))[..., None]
        passed = np.minimum(most, np.float32(255) * pixels / np.maximum(behind, 1))
        added = np.clip(pixels - passed * behind / 255, 0, 255)
        return Glass(where, np.rint(passed).astype(np.uint8), np.rint(added).astype(np.uint8))


def find_studio(view: Image.Image, mask: Image.Image) -> Studio | None:
    """Find the background of a photo (RGB) whose product's alpha (L) has half transparent areas; None: it has none."""
    levels = np.asarray(mask)
    clear = (levels >= _CLEAR[0]) & (levels <= _CLEAR[1])
    if not clear.any():
        return None
    change = local_maximum(levels, 3) - local_minimum(levels, 3)
    even = drop_thin(clear & (change <= _CHANGE), _RADIUS)
    if not even.any():
        return None
    pixels = np.asarray(view.resize(mask.size, Image.Resampling.BOX), dtype=np.float32)
    known = (~dilate(levels > 0, _BESIDE)).astype(np.float32)
    planes: Floats = np.stack([*(known * plane for plane in load_opencv().split(pixels)), known])
    filled = np.rint(np.clip(fill_from_around(planes), 0, 255)).astype(np.uint8)
    return Studio(Image.fromarray(np.dstack(list(filled))), Image.fromarray(dilate(even, _EDGE).view(np.uint8)))
