"""The product as a generator gives it back: almost, but not quite, as it was sent."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from photio_prep.sandbox.noise import Colour, Plane, mixed, to_plane

_SOFTNESS = 0.6  # px; what a generator's decoder takes from the finest detail
_LEVELS = 28.0  # of tone shift at white, for a tint twice as strong; the warmest light takes 4 to 5 off blue


@dataclass(frozen=True, slots=True)
class Drift:
    """Changes to plant in the product, beyond the slight ones that every answer has.

    `tone` is added to red, green and blue in levels; `grow` widens the outline by so many pixels; `move` shifts by
    (right, down) pixels; `blur` is the radius in pixels of a further Gaussian blur.
    """

    tone: tuple[int, int, int] = (0, 0, 0)
    grow: int = 0
    move: tuple[int, int] = (0, 0)
    blur: float = 0.0


def drifted(canvas: Image.Image, drift: Drift) -> Image.Image:
    """`canvas` (RGBA) grown and moved as planted."""
    if drift.grow > 0:
        canvas = _grown(canvas, drift.grow)
    if drift.move != (0, 0):
        moved = Image.new("RGBA", canvas.size, (0, 0, 0, 0))
        moved.paste(canvas, drift.move)
        canvas = moved
    return canvas


def laid_over(scene: Plane, canvas: Image.Image, tint: Colour, drift: Drift) -> Plane:
    """The product over `scene`, both in display values 0..1: softened, its tone a little towards the light's."""
    alpha = to_plane(canvas.getchannel("A"))
    premultiplied = canvas.convert("RGBa").filter(ImageFilter.GaussianBlur(_SOFTNESS + max(0.0, drift.blur)))
    soft = np.asarray(premultiplied, dtype=np.float32) / np.float32(255)
    # The colour is softened inside its own outline: dividing by the blurred alpha keeps the dark outside out.
    colour = soft[..., :3] / np.maximum(soft[..., 3:], np.float32(1 / 255))
    shift = np.asarray(drift.tone, dtype=np.float32) / np.float32(255)
    shift = shift + (np.asarray(tint, dtype=np.float32) - 1) * np.float32(_LEVELS / 255) * colour
    return mixed(scene, np.clip(colour + shift, 0, 1), alpha)


def _grown(canvas: Image.Image, pixels: int) -> Image.Image:
    """The outline `pixels` wider on all sides, the colour of the old edge drawn out into the new rim."""
    alpha = canvas.getchannel("A")
    for index in range(pixels):
        if index % 2:  # a square and a cross in turn make an octagon, which is nearly round
            alpha = alpha.filter(ImageFilter.MaxFilter(3))
        else:
            wide = alpha
            for step in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                shifted = Image.new("L", alpha.size, 0)
                shifted.paste(alpha, step)
                wide = ImageChops.lighter(wide, shifted)
            alpha = wide
    spread = canvas.convert("RGBa").filter(ImageFilter.BoxBlur(pixels + 1)).convert("RGBA")
    spread.putalpha(alpha)
    rim = spread.convert("RGB")
    rim.paste(canvas.convert("RGB"), (0, 0), canvas.getchannel("A"))
    rim.putalpha(alpha)
    return rim
