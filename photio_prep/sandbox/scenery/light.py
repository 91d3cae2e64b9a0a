"""Light on the scene, and the shadows and the mirror image of the product: factors for linear light."""

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter

from photio_prep.geometry import Box
from photio_prep.sandbox.scenery.arrays import Plane, blur, resize, to_plane
from photio_prep.sandbox.scenery.scene_parser import Light


def product_box(alpha: Image.Image) -> tuple[Box, int]:
    """Return the box of the product, and the row of a far edge that puts its foot well onto the surface."""
    width, height = alpha.size
    box = Box(*(alpha.point(lambda level: 255 if level > 127 else 0).getbbox() or (0, 0, width, 3 * height // 4)))
    depth = min(max(0.24 * box.size.height, 0.10 * height), 0.26 * height)
    return box, round(min(max(box.bottom - depth, 0.34 * height), 0.80 * height, height - 8))


def light_field(light: Light, box: Box, height: int, width: int) -> Plane:
    """Brightness over the canvas: a pool around the product, one side lit, the corners darker."""
    rows = np.linspace(0, 1, 64, dtype=np.float32)[:, None]
    columns = np.linspace(0, 1, 64, dtype=np.float32)[None, :]
    x, y = (box.left + box.right) / 2 / width, (box.top + 0.62 * box.size.height) / height
    pool = np.exp(-(((columns - x - 0.16 * light.side) / 0.52) ** 2) - ((rows - y + 0.10) / 0.60) ** 2)
    slope = 0.24 * (0.5 + light.hardness) * (columns - 0.5) * light.side
    corners = ((columns - 0.5) ** 2 + (rows - 0.5) ** 2) * 2
    contrast = 0.30 + 0.30 * light.hardness
    brightness = ((1.10 - contrast) + contrast * 1.42 * pool + slope) * (1 - 0.22 * corners)
    return np.clip(resize(brightness.astype(np.float32), height, width), 0.08, 2.0)


def window_light(light: Light, height: int, width: int, rng: Generator) -> Plane:
    """Light on the wall that comes through a window of nine panes: 0 in shade, 1 lit."""
    picture = Image.new("L", (width // 4 + 1, height // 4 + 1), 0)
    draw, (columns, rows) = ImageDraw.Draw(picture), picture.size
    start = columns * float(rng.uniform(0.10, 0.30))
    pane_width, pane_height, slant = columns * 0.155, rows * 0.235, columns * 0.26
    for index in range(9):
        left = start + index % 3 * pane_width * 1.15
        top = rows * -0.06 + index // 3 * pane_height * 1.13
        corners = ((0, 0), (pane_width, 0), (pane_width, pane_height), (0, pane_height))
        leaning = [(left + x + slant * (top + y) / rows, top + y + 0.24 * (left + x - start)) for x, y in corners]
        draw.polygon([(x if light.side < 0 else columns - x, y) for x, y in leaning], fill=255)
    radius = min(picture.size) * 0.014 * (1.7 - light.hardness)
    return resize(blur(to_plane(picture), radius), height, width)


def cast_shadow(alpha: Image.Image, box: Box, light: Light) -> Plane:
    """Share of the direct light that the product blocks: sharp at its foot, softer farther off."""
    half = alpha.resize((max(1, alpha.width // 2), max(1, alpha.height // 2)), Image.Resampling.BOX)
    foot = (box.bottom - 0.015 * box.size.height) / 2
    lean = -light.side * (0.95 - 0.75 * light.height)
    squash = 0.16 + 0.12 * light.height
    # Output (x, y) takes its alpha from height h = (foot - y) / squash above the foot, leaned aside by h.
    data = (1.0, lean / squash, -lean * foot / squash, 0.0, 1 / squash, foot - foot / squash)
    shadow = to_plane(half.transform(half.size, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR))
    size = max(2.0, 0.5 * min(box.size.height, box.right - box.left)) * (2.0 - light.hardness)
    near, far = blur(shadow, size * 0.016), blur(shadow, size * 0.075)
    rows = np.arange(half.height, dtype=np.float32)[:, None]
    distance = np.clip((foot - rows) / max(1.0, squash * box.size.height / 2), 0, 1)
    shadow = (near + (far - near) * np.minimum(1, 1.6 * distance)) * (1 - 0.55 * distance)
    return np.clip(resize(shadow, alpha.height, alpha.width), 0, 1)


def contact_shadow(alpha: Image.Image, box: Box) -> Plane:
    """Dark, narrow line where the product touches the surface, and wider dimness around it."""
    half = to_plane(alpha.resize((max(1, alpha.width // 2), max(1, alpha.height // 2)), Image.Resampling.BOX))
    rows = np.arange(half.shape[0], dtype=np.float32)[:, None]
    solid = half > 0.5
    lowest = np.where(solid.any(axis=0), half.shape[0] - 1 - solid[::-1].argmax(axis=0), -1e6).astype(np.float32)
    lift = np.clip(box.bottom / 2 - lowest, 0, 1e4)  # of each column's lowest pixel above the foot
    touching = np.exp(-lift / max(1.5, 0.035 * box.size.height))[None, :]
    thin, thick = max(1.0, 0.006 * box.size.height), max(2.0, 0.032 * box.size.height)
    below = rows - lowest[None, :] - 0.6 * thin  # most of the line would hide behind the product itself
    line, haze = (touching * np.exp(-((below / size) ** 2)) for size in (thin, thick))
    shadow = blur(line.astype(np.float32), thin * 0.8) + 0.62 * blur(haze.astype(np.float32), thick * 0.8)
    return np.clip(resize(shadow, alpha.height, alpha.width), 0, 1)


def mirror_image(product: Image.Image, box: Box, strength: float) -> Image.Image:
    """The product (RGBA) upside down below its foot, fading and blurred."""
    image = Image.new("RGBA", product.size, (0, 0, 0, 0))
    depth = min(product.height - box.bottom, box.size.height)
    if depth < 4 or strength <= 0:
        return image
    strip = product.crop((0, box.bottom - depth, product.width, box.bottom))
    strip = strip.transpose(Image.Transpose.FLIP_TOP_BOTTOM).convert("RGBa")
    strip = strip.filter(ImageFilter.GaussianBlur(max(1.0, 0.006 * box.size.height))).convert("RGBA")
    fade = np.clip(1 - np.arange(depth, dtype=np.float32) / (0.55 * box.size.height), 0, 1)[:, None] ** 1.5 * strength
    alpha = np.asarray(strip.getchannel("A"), dtype=np.float32) * fade
    strip.putalpha(Image.fromarray((alpha + np.float32(0.5)).astype(np.uint8)))
    image.paste(strip, (0, box.bottom))
    return image
