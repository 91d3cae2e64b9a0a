"""Changes of the product as a generator makes them, planted in an answer for tests and demonstrations."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from photio_prep.sandbox.scenery.arrays import Colour, Plane, mix, to_plane

_SOFTNESS = 0.6  # px; a generator's decoder loses the finest detail
_TINT = 28.0 / 255  # shift of white for a tint twice as strong; the warmest light takes 4 to 5 levels off blue


@dataclass(frozen=True, slots=True)
class PlantedChanges:
    """Changes to plant in the product, beyond the slight ones that every answer has.

    `tone` is added to red, green and blue of the product in levels. `grow` widens
    the outline in pixels. `move` shifts by (right, down) pixels. `blur` is the radius of a further Gaussian blur.
    """

    tone: tuple[int, int, int] = (0, 0, 0)
    grow: int = 0
    move: tuple[int, int] = (0, 0)
    blur: float = 0.0


def change_outline(canvas: Image.Image, changes: PlantedChanges) -> Image.Image:
    """Grow and move the product on `canvas` (RGBA)."""
    if changes.grow > 0:
        canvas = _grow(canvas, changes.grow)
    if changes.move != (0, 0):
        moved = Image.new("RGBA", canvas.size, (0, 0, 0, 0))
        moved.paste(canvas, changes.move)
        canvas = moved
    return canvas


def blend_product(scene: Plane, canvas: Image.Image, tint: Colour, changes: PlantedChanges) -> Plane:
    """Composite the product over `scene` (display values), softened, tinted and changed as planted."""
    alpha = to_plane(canvas.getchannel("A"))
    premultiplied = canvas.convert("RGBa").filter(ImageFilter.GaussianBlur(_SOFTNESS + max(0.0, changes.blur)))
    soft = to_plane(premultiplied)
    # Dividing by the blurred alpha keeps the dark outside out of the blurred colour.
    colour = soft[..., :3] / np.maximum(soft[..., 3:], np.float32(1 / 255))
    tone = np.asarray(changes.tone, dtype=np.float32) / np.float32(255)
    shift = tone + (np.asarray(tint, dtype=np.float32) - 1) * np.float32(_TINT) * colour
    return mix(scene, np.clip(colour + shift, 0, 1), alpha)


def _grow(canvas: Image.Image, pixels: int) -> Image.Image:
    """Widen the outline on all sides; the new rim gets the colour of the old edge."""
    alpha = canvas.getchannel("A")
    for index in range(pixels):
        if index % 2:  # a square and a cross in turn make an octagon, which is nearly round
            alpha = alpha.filter(ImageFilter.MaxFilter(3))
        else:
            wider = alpha
            for step in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                shifted = Image.new("L", alpha.size, 0)
                shifted.paste(alpha, step)
                wider = ImageChops.lighter(wider, shifted)
            alpha = wider
    spread = canvas.convert("RGBa").filter(ImageFilter.BoxBlur(pixels + 1)).convert("RGBA")
    rim = spread.convert("RGB")
    rim.paste(canvas.convert("RGB"), (0, 0), canvas.getchannel("A"))
    rim.putalpha(alpha)
    return rim
