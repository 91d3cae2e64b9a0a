"""Redraw the product as a latent-diffusion inpainter does, by planted amounts. The default is kind: it plants nothing.

    harsh = PlantedChanges(texture="pebbles", grow=3, move=(2, -1), chroma=3, rim_blur=0.8, contact=0.5, jpeg=92)
    sandbox = Sandbox(paint=harsh.paint)                                                    # over HTTP
    redrawn = redraw(paint_texture("pebbles", canvas.size, seed=7), canvas, harsh)          # without it

`redrawn.answer` is the answer, `redrawn.scene` its scene without the product: the photo's product over it is the ideal.
"""

import io
from dataclasses import dataclass
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.random import Generator
from PIL import Image

from bench.textures import paint_texture
from photio_prep.sandbox.answer_picture import SOFTNESS, add_watermark, paint_stage, redraw_product
from photio_prep.sandbox.contract import SceneRequest
from photio_prep.sandbox.scenery.arrays import (
    Colour,
    Plane,
    fractal_noise,
    mix,
    resize,
    smoothstep,
    to_picture,
    to_plane,
)

Side = Literal["all", "left", "right", "top", "bottom"]
Box = tuple[int, int, int, int]  # left, top, width, height


@dataclass(frozen=True, slots=True)
class PlantedChanges:
    """Changes to plant in an answer, beyond the slight softness and tint that every answer has. Lengths are in px."""

    move: tuple[float, float] = (0, 0)  # right, down
    zoom: float = 0.0  # share by which the product is larger, about its middle
    warp: float = 0.0  # largest displacement of a smooth elastic warp
    grow: float = 0.0  # the outline outwards; negative: inwards. One side is moved by whole px
    grow_side: Side = "all"
    added: float = 0.0  # area of a part added at the rim, as a share of the product's
    missing: float = 0.0  # area of a part left out at the rim
    label_warp: float = 0.0  # largest displacement within the middle of the product
    label_redrawn: float = 0.0  # share of the product's box whose print is replaced by glyph-like blots
    tone: tuple[int, int, int] = (0, 0, 0)  # added to red, green and blue of the product, in levels
    gain: float = 0.0  # share by which the product is brighter
    relight: float = 0.0  # share by which it is brighter at the right and darker at the left
    blur: float = 0.0  # radius of a further Gaussian blur of the product
    rim_blur: float = 0.0  # sigma of a Gaussian blur of the outline
    halved: float = 0.0  # share of the product that is drawn in half the resolution, in patches
    wrap: float = 0.0  # share of the scene's light in the outermost pixels of the product
    contact: float = 0.0  # share of the light that a shadow takes where the product touches the ground
    reflection: float = 0.0  # share of the product's mirror image below it
    chroma: float = 0.0  # standard deviation of coloured noise in the answer, in levels
    jpeg: int = 0  # quality of a compression of the answer; 0 for none
    texture: str = ""  # scene instead of the described one (see textures.py)
    seed: int = 0  # of warp, parts, patches and noise

    def paint(self, request: SceneRequest, seed: int) -> Image.Image:
        """Paint an answer as the sandbox does, with these changes: for `Sandbox(paint=...)`."""
        product = change_outline(request.picture, self)
        stage, tint = paint_stage(request, seed, product)
        if self.texture:
            stage = to_plane(paint_texture(self.texture, request.picture.size, seed))
        stage = add_ground(stage, request.picture, self)
        return add_watermark(degrade(blend_product(stage, product, tint, self), self), product.getchannel("A"))


KIND = PlantedChanges()


class Redrawn(NamedTuple):
    """An answer, its scene without the product, and the product as it was redrawn (RGBA)."""

    answer: Image.Image
    scene: Image.Image
    product: Image.Image


def paint_without_product(request: SceneRequest, seed: int) -> Image.Image:
    """Paint the sandbox's scene with the product's shadow, but without the product and the watermark."""
    return to_picture(paint_stage(request, seed, request.picture)[0])


def redraw(scene: Image.Image, canvas: Image.Image, changes: PlantedChanges) -> Redrawn:
    """Redraw the product of `canvas` (RGBA) over a scene (RGB) of the same size."""
    ground = add_ground(to_plane(scene), canvas, changes)
    product = change_outline(canvas, changes)
    answer = degrade(blend_product(ground, product, (1, 1, 1), changes), changes)
    return Redrawn(answer, to_picture(ground), product)


def change_outline(canvas: Image.Image, changes: PlantedChanges) -> Image.Image:
    """Warp, grow and move the product on `canvas` (RGBA); add and leave out parts."""
    if changes == KIND:
        return canvas
    rng = np.random.default_rng(changes.seed)
    product = to_plane(canvas)
    product[..., :3] *= product[..., 3:]
    box = _box(product[..., 3])
    if changes.zoom or changes.warp or changes.label_warp or changes.move != (0, 0):
        product = _displace(product, box, changes, rng)
    if changes.label_redrawn:
        product = _redraw_label(product, box, changes.label_redrawn, rng)
    for area in (changes.added, -changes.missing):
        if area:
            product = _change_part(product, area, rng)
    if changes.grow:
        product = _grow(product, changes.grow, changes.grow_side)
    alpha = np.clip(product[..., 3:], 0, 1)
    return to_picture(np.concatenate([product[..., :3] / np.maximum(alpha, np.float32(1e-6)), alpha], axis=2))


def add_ground(scene: Plane, canvas: Image.Image, changes: PlantedChanges) -> Plane:
    """Add the product's contact shadow and mirror image to a scene (display values)."""
    if not changes.contact and not changes.reflection:
        return scene
    alpha = to_plane(canvas.getchannel("A"))
    left, top, width, height = _box(alpha)
    foot = top + height
    rows, columns = np.ogrid[: alpha.shape[0], : alpha.shape[1]]
    across = ((columns - left - width / 2) / (0.56 * max(width, 1))) ** 2
    shadow = np.exp(-(((rows - foot) / (0.05 * height + 2.0)) ** 2) / 2 - across**2)
    scene = np.asarray(scene * (1 - changes.contact * shadow[..., None]), dtype=np.float32)
    depth = min(height, alpha.shape[0] - foot)
    if changes.reflection and depth > 0:
        mirror = to_plane(canvas)[foot - depth : foot][::-1]
        fade = np.linspace(changes.reflection, 0, depth, dtype=np.float32)[:, None]
        scene[foot : foot + depth] = mix(scene[foot : foot + depth], mirror[..., :3], mirror[..., 3] * fade)
    return scene


def blend_product(scene: Plane, canvas: Image.Image, tint: Colour, changes: PlantedChanges) -> Plane:
    """Composite the product over `scene` (display values), softened, tinted and changed as planted."""
    alpha = to_plane(canvas.getchannel("A"))
    colour = redraw_product(canvas, tint, SOFTNESS + max(0.0, changes.blur))
    colour = light_product(colour, alpha, changes)
    if changes.halved:
        colour = _halve(colour, changes)
    if changes.wrap:
        depth = cv2.distanceTransform((alpha > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
        share = changes.wrap * np.exp(-depth / 4)
        colour = mix(colour, _blur(scene, 8), np.asarray(share, dtype=np.float32))
    if changes.rim_blur:
        alpha = _blur(alpha, changes.rim_blur)
    return mix(scene, np.clip(colour, 0, 1), alpha)


def light_product(colour: Plane, alpha: Plane, changes: PlantedChanges) -> Plane:
    """Add the planted tone to the product's colours (display values), and light them."""
    if changes.tone != (0, 0, 0):
        colour = np.clip(colour + np.asarray(changes.tone, dtype=np.float32) / np.float32(255), 0, 1)
    if changes.gain or changes.relight:
        left, _, width, _ = _box(alpha)
        ramp = np.clip((np.arange(alpha.shape[1]) - left) / max(1, width) * 2 - 1, -1, 1)[None, :, None]
        light = np.sqrt(np.clip(1 + changes.gain + changes.relight * ramp, 0, None))
        colour = np.asarray(np.clip(colour * light, 0, 1), dtype=np.float32)
    return colour


def degrade(picture: Plane, changes: PlantedChanges) -> Image.Image:
    """Add coloured noise of half the resolution, and compress; returns RGB."""
    if changes.chroma:
        rng = np.random.default_rng(changes.seed + 1)
        height, width = picture.shape[:2]
        noise = rng.standard_normal((height // 2 + 1, width // 2 + 1, 3), dtype=np.float32)
        noise = resize(noise - noise.mean(2, keepdims=True), height, width)
        picture = picture + noise * np.float32(changes.chroma / 255 / max(float(noise.std()), 1e-6))
    image = to_picture(picture)
    if changes.jpeg:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=changes.jpeg)
        image = Image.open(buffer).convert("RGB")
    return image


def _box(alpha: Plane) -> Box:
    left, top, width, height = cv2.boundingRect((alpha > 0.5).astype(np.uint8))
    return left, top, width, height


def _displace(product: Plane, box: Box, changes: PlantedChanges, rng: Generator) -> Plane:
    """Move, zoom and warp; the label warps within the middle of the box only, so that the outline stays."""
    height, width = product.shape[:2]
    left, top, box_width, box_height = box
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    middle_x, middle_y = left + box_width / 2, top + box_height / 2
    x = (columns - middle_x - changes.move[0]) / (1 + changes.zoom) + middle_x
    y = (rows - middle_y - changes.move[1]) / (1 + changes.zoom) + middle_y
    inside = _label_window(product.shape, box, 0.6)
    for amount, bumps, window in ((changes.warp, 4, 1), (changes.label_warp, 14, inside)):
        for axis in (x, y) if amount else ():
            axis += (fractal_noise(rng, height, width, bumps, bumps, 1) * 2 - 1) * np.float32(amount) * window
    x, y = np.asarray(x, dtype=np.float32), np.asarray(y, dtype=np.float32)
    moved = cv2.remap(product, x, y, cv2.INTER_CUBIC, borderValue=(0, 0, 0, 0))
    # Cubic weights overshoot: what is below 0 would be divided by an alpha of 0.
    return np.asarray(np.clip(moved, 0, 1), dtype=np.float32)


def _label_window(shape: tuple[int, ...], box: Box, share: float) -> Plane:
    """1 in the middle of the box, over `share` of its width and height; 0 outside; soft in between."""
    left, top, width, height = box
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    x, y = (columns - left - width / 2) / max(1, width), (rows - top - height / 2) / max(1, height)
    return smoothstep(share / 2 - np.maximum(np.abs(x), np.abs(y)).astype(np.float32), 0, 0.06)


def _redraw_label(product: Plane, box: Box, share: float, rng: Generator) -> Plane:
    alpha = product[..., 3:]
    colours = product[..., :3][product[..., 3] > 0.9]
    if not len(colours):
        return product
    dark, light = np.percentile(colours, 15, axis=0) * 0.8, np.clip(np.percentile(colours, 85, axis=0) + 0.15, 0, 1)
    cells = max(product.shape[:2]) / max(6.0, 0.05 * box[3])
    height, width = product.shape[:2]
    glyphs = smoothstep(fractal_noise(rng, height, width, cells, cells, 2), 0.48, 0.54)[..., None]
    window = _label_window(product.shape, box, float(np.sqrt(share)))[..., None]
    printed = np.where(glyphs > 0.5, light, dark).astype(np.float32) * alpha
    return np.concatenate([mix(product[..., :3], printed, window), alpha], axis=2)


def _change_part(product: Plane, area: float, rng: Generator) -> Plane:
    """Add an ellipse at the rim that widens the product by `area`, or cut one that narrows it (negative)."""
    solid = (product[..., 3] > 0.5).astype(np.uint8)
    pixels = abs(area) * solid.sum()
    rim = np.argwhere(solid - cv2.erode(solid, np.ones((3, 3), np.uint8)))
    margin = int(np.sqrt(pixels)) + 2  # a part must fit on the canvas
    height, width = solid.shape
    fits = (rim > margin).all(1) & (rim[:, 0] < height - margin) & (rim[:, 1] < width - margin)
    rim = rim[fits] if fits.any() else rim
    (y, x), angle = rim[int(rng.integers(len(rim)))], float(rng.uniform(0, 180))
    for radius in range(int(np.sqrt(pixels * 4 / 9)) + 1, max(height, width)):
        ellipse = np.zeros_like(solid)
        cv2.ellipse(ellipse, (int(x), int(y)), (radius, max(1, radius * 3 // 4)), angle, 0, 360, 1, -1)
        if (ellipse & (solid if area < 0 else 1 - solid)).sum() >= pixels:
            break
    part = _blur(ellipse.astype(np.float32), 0.8)
    if area < 0:
        return product * (1 - part[..., None])
    return product + _spread(product, 2.0 * radius) * (part * (1 - product[..., 3]))[..., None]


def _grow(product: Plane, pixels: float, side: Side) -> Plane:
    """Move the outline; a new rim gets the colour of the old edge."""
    alpha = product[..., 3]
    if side == "all":
        solid = (alpha > 0.5).astype(np.uint8)
        outside, inside = (cv2.distanceTransform(mask, cv2.DIST_L2, 0) for mask in (1 - solid, solid))
        edge = np.clip(pixels + 1 - np.where(solid > 0, 1 - inside, outside), 0, 1)
        changed = np.maximum(alpha, edge) if pixels > 0 else np.minimum(alpha, edge)
    else:
        reach = round(abs(pixels))
        kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.uint8)
        line = slice(0, reach + 1) if (side in ("right", "bottom")) == (pixels > 0) else slice(reach, None)
        kernel[(reach, line) if side in ("left", "right") else (line, reach)] = 1
        changed = np.asarray((cv2.dilate if pixels > 0 else cv2.erode)(alpha, kernel))
    if pixels < 0:
        return np.asarray(product * (changed / np.maximum(alpha, 1e-6))[..., None], dtype=np.float32)
    return np.asarray(product + _spread(product, pixels + 1) * (changed - alpha)[..., None], dtype=np.float32)


def _spread(product: Plane, reach: float) -> Plane:
    """Colour of the product's edge carried outwards, opaque; shape (H, W, 4)."""
    soft = _blur(product, reach)
    return np.asarray(soft / np.maximum(soft[..., 3:], np.float32(1e-4)), dtype=np.float32)


def _blur(plane: Plane, sigma: float) -> Plane:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), dtype=np.float32)


def _halve(colour: Plane, changes: PlantedChanges) -> Plane:
    height, width = colour.shape[:2]
    coarse = resize(
        np.asarray(cv2.resize(colour, (width // 2, height // 2), interpolation=cv2.INTER_AREA)), height, width
    )
    noise = fractal_noise(np.random.default_rng(changes.seed + 2), height, width, 5, 7, 2)
    limit = float(np.quantile(noise, 1 - changes.halved))
    return mix(colour, coarse, smoothstep(noise, limit - 0.02, limit + 0.02))
