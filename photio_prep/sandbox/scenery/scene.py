"""Scene and product -> the picture of the scene, with the product's shadow and mirror image, without the product."""

import numpy as np
from numpy.random import Generator
from PIL import Image

from photio_prep.geometry import Box
from photio_prep.sandbox.scenery import light
from photio_prep.sandbox.scenery.arrays import Plane, mix, smoothstep, to_plane
from photio_prep.sandbox.scenery.scene_parser import Scene
from photio_prep.sandbox.scenery.surfaces import GLOSS, paint_backdrop, paint_surface

SMALLEST = 32  # px; a smaller canvas gets a plain colour


def paint_scene(scene: Scene, product: Image.Image, rng: Generator) -> Plane:
    """Paint the scene around `product` (RGBA): display values of its size, shape (H, W, 3)."""
    width, height = product.size
    if min(width, height) < SMALLEST:
        return np.full((height, width, 3), scene.wall_colour, dtype=np.float32) / np.float32(255)
    box, far_edge = light.product_box(product.getchannel("A"))
    stage = _paint_stage(scene, far_edge, height, width, rng)
    lit = _light_stage(scene, stage, box, far_edge, product.getchannel("A"), rng)
    mirror = to_plane(light.mirror_image(product, box, GLOSS.get(scene.surface, 0.0)))
    lit = mix(lit, mirror[..., :3] ** 2, mirror[..., 3]) * np.float32(scene.light.exposure)
    over = np.clip(lit - np.float32(0.7), 0, None)  # above 0.7 ever slower towards 1, as film does
    grain = np.float32(0.0055) * rng.standard_normal((height, width, 1), dtype=np.float32)
    return np.asarray(np.sqrt(np.clip(lit, 0, 0.7) + over / (1 + over / np.float32(0.3))) + grain, dtype=np.float32)


def _paint_stage(scene: Scene, far_edge: int, height: int, width: int, rng: Generator) -> Plane:
    """Backdrop and surface in even light."""
    backdrop = paint_backdrop(scene, height, width, rng)
    if scene.surface == "paper":
        return backdrop
    softness = height * (0.02 if scene.surface == "grass" or scene.backdrop == "sweep" else 0.006)
    stage = backdrop.copy()
    stage[far_edge:] = paint_surface(scene, height, width, far_edge, rng)
    stage[max(0, far_edge - round(softness)) : far_edge] = stage[far_edge]
    return mix(backdrop, stage, _share_of_surface(far_edge, height, max(2.0, softness)))


def _light_stage(scene: Scene, stage: Plane, box: Box, far_edge: int, alpha: Image.Image, rng: Generator) -> Plane:
    """Light the stage, with the shadows of the product."""
    width, height = alpha.size
    surface = _share_of_surface(far_edge, height, max(2.0, height * 0.01))
    brightness = light.light_field(scene.light, box, height, width)
    if scene.light.window:
        panes = light.window_light(scene.light, height, width, rng)
        brightness = brightness * (1 + (0.62 + 0.72 * panes - 1) * (1 - 0.75 * surface))
    shadow = light.cast_shadow(alpha, box, scene.light) * (0.56 + 0.34 * scene.light.hardness)
    if scene.backdrop != "sweep":
        shadow = shadow * (0.25 + 0.75 * surface)
    if scene.backdrop in ("wall", "tiles"):  # darker towards the corner of wall and surface
        distance = far_edge - np.arange(height, dtype=np.float32)[:, None]
        brightness = brightness * (1 - 0.26 * np.exp(-np.clip(distance, 0, None) / (0.05 * height)) * (distance > 0))
    brightness = brightness * (1 - shadow) * (1 - 0.80 * light.contact_shadow(alpha, box))
    tint = np.asarray(scene.light.tint, dtype=np.float32)
    return np.asarray(stage * brightness[..., None].astype(np.float32) * tint, dtype=np.float32)


def _share_of_surface(far_edge: int, height: int, softness: float) -> Plane:
    """0 on the backdrop, 1 on the surface, with `softness` rows between them; shape (H, 1)."""
    return smoothstep(np.arange(height, dtype=np.float32)[:, None], far_edge - softness / 2, far_edge + softness / 2)
