"""Scene and product -> the picture of the scene, with the product's shadow and mirror image, without the product."""

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter

from photio_prep.geometry import Box
from photio_prep.sandbox.scenery.arrays import Plane, blur, mix, resize, smoothstep, to_plane
from photio_prep.sandbox.scenery.scene_parser import Light, Scene
from photio_prep.sandbox.scenery.surfaces import GLOSS, paint_backdrop, paint_surface

SMALLEST = 32  # px; a smaller canvas gets a plain colour


def paint_scene(scene: Scene, product: Image.Image, rng: Generator) -> Plane:
    """Paint the scene around `product` (RGBA): display values of its size, shape (H, W, 3)."""
    width, height = product.size
    if min(width, height) < SMALLEST:
        return np.full((height, width, 3), scene.wall_colour, dtype=np.float32) / np.float32(255)
    box, far_edge = _product_box(product.getchannel("A"))
    stage = _paint_stage(scene, far_edge, height, width, rng)
    lit = _light_stage(scene, stage, box, far_edge, product.getchannel("A"), rng)
    mirror = to_plane(_mirror_image(product, box, GLOSS.get(scene.surface, 0.0)))
    lit = mix(lit, mirror[..., :3] ** 2, mirror[..., 3]) * np.float32(scene.light.exposure)
    over = np.clip(lit - np.float32(0.7), 0, None)  # above 0.7 ever slower towards 1, as film does
    grain = np.float32(0.0055) * rng.standard_normal((height, width, 1), dtype=np.float32)
    return np.asarray(np.sqrt(np.clip(lit, 0, 0.7) + over / (1 + over / np.float32(0.3))) + grain, dtype=np.float32)


def _paint_stage(scene: Scene, far_edge: int, height: int, width: int, rng: Generator) -> Plane:
    """Backdrop and surface in even light."""
    backdrop = paint_backdrop(scene, height, width, rng)
    if scene.surface == "paper":
        return backdrop
    softness = height * (0.02 if scene.backdrop == "sweep" else 0.006)
    stage = backdrop.copy()
    stage[far_edge:] = paint_surface(scene, height, width, far_edge, rng)
    stage[max(0, far_edge - round(softness)) : far_edge] = stage[far_edge]
    return mix(backdrop, stage, _share_of_surface(far_edge, height, max(2.0, softness)))


def _light_stage(scene: Scene, stage: Plane, box: Box, far_edge: int, alpha: Image.Image, rng: Generator) -> Plane:
    """Light the stage, with the shadows of the product."""
    width, height = alpha.size
    surface = _share_of_surface(far_edge, height, max(2.0, height * 0.01))
    brightness = _light_field(scene.light, box, height, width)
    if scene.light.window:
        panes = _window_light(scene.light, height, width, rng)
        brightness = brightness * (1 + (0.62 + 0.72 * panes - 1) * (1 - 0.75 * surface))
    shadow = _cast_shadow(alpha, box, scene.light) * (0.56 + 0.34 * scene.light.hardness)
    if scene.backdrop != "sweep":
        shadow = shadow * (0.25 + 0.75 * surface)
    if scene.backdrop in ("wall", "tiles"):  # darker towards the corner of wall and surface
        distance = far_edge - np.arange(height, dtype=np.float32)[:, None]
        brightness = brightness * (1 - 0.26 * np.exp(-np.clip(distance, 0, None) / (0.05 * height)) * (distance > 0))
    brightness = brightness * (1 - shadow) * (1 - 0.80 * _contact_shadow(alpha, box))
    tint = np.asarray(scene.light.tint, dtype=np.float32)
    return np.asarray(stage * brightness[..., None].astype(np.float32) * tint, dtype=np.float32)


def _share_of_surface(far_edge: int, height: int, softness: float) -> Plane:
    """0 on the backdrop, 1 on the surface, with `softness` rows between them; shape (H, 1)."""
    return smoothstep(np.arange(height, dtype=np.float32)[:, None], far_edge - softness / 2, far_edge + softness / 2)


def _product_box(alpha: Image.Image) -> tuple[Box, int]:
    """Return the box of the product, and the row of a far edge that puts its foot well onto the surface."""
    width, height = alpha.size
    box = Box(*(alpha.point(lambda level: 255 if level > 127 else 0).getbbox() or (0, 0, width, 3 * height // 4)))
    depth = min(max(0.24 * box.size.height, 0.10 * height), 0.26 * height)
    return box, round(min(max(box.bottom - depth, 0.34 * height), 0.80 * height, height - 8))


def _light_field(light: Light, box: Box, height: int, width: int) -> Plane:
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


def _window_light(light: Light, height: int, width: int, rng: Generator) -> Plane:
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


def _cast_shadow(alpha: Image.Image, box: Box, light: Light) -> Plane:
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


def _contact_shadow(alpha: Image.Image, box: Box) -> Plane:
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


def _mirror_image(product: Image.Image, box: Box, strength: float) -> Image.Image:
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
