"""SceneRequest -> the picture of an answer: the product in the described scene, with a watermark."""

import hashlib

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFont

from photio_prep.sandbox.contract import SceneRequest
from photio_prep.sandbox.redraw import PlantedChanges, add_ground, blend_product, change_outline, degrade
from photio_prep.sandbox.scenery.arrays import to_picture, to_plane
from photio_prep.sandbox.scenery.scene import SMALLEST, paint_scene
from photio_prep.sandbox.scenery.scene_parser import Scene, parse_scene
from photio_prep.sandbox.textures import paint_texture

_MARK = "SANDBOX"
# Cropping back takes up to 8.7 % from each side of a photo between two recommended sizes: the mark stays inside that.
_MARGIN = 0.09


def paint_answer(request: SceneRequest, seed: int, changes: PlantedChanges) -> Image.Image:
    """Paint the answer: RGB of the canvas's size, the same for the same description, seed and canvas."""
    scene, rng = _describe(request, seed)
    product = change_outline(request.picture, changes)
    if changes.texture:
        stage = to_plane(paint_texture(changes.texture, request.picture.size, seed))
    else:
        stage = paint_scene(scene, product, rng)
    stage = add_ground(stage, request.picture, changes)
    answer = degrade(blend_product(stage, product, scene.light.tint, changes), changes)
    return answer if min(product.size) < SMALLEST else _add_watermark(answer, product.getchannel("A"))


def paint_without_product(request: SceneRequest, seed: int) -> Image.Image:
    """Paint the same scene with the product's shadow, but without the product and the watermark."""
    scene, rng = _describe(request, seed)
    return to_picture(paint_scene(scene, request.picture, rng))


def _describe(request: SceneRequest, seed: int) -> tuple[Scene, Generator]:
    """Scene of the request, and the generator that paints it."""
    text = f"{seed}\n{request.description}\n{request.negative_prompt or ''}"
    rng = np.random.default_rng(list(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()))
    return parse_scene(request.description, rng), rng


def _add_watermark(answer: Image.Image, alpha: Image.Image) -> Image.Image:
    """Draw a small, half-transparent SANDBOX in the corner that the product covers least."""
    font = ImageFont.load_default(max(9, round(min(answer.size) / 56)))
    left, top, right, bottom = font.getbbox(_MARK)
    width, height = int(right - left), int(bottom - top)
    margin_x, margin_y = (round(side * _MARGIN) for side in answer.size)
    far_x, far_y = answer.width - margin_x - width, answer.height - margin_y - height
    if far_x < margin_x or far_y < margin_y:
        return answer
    corners = [(x, y) for y in (far_y, margin_y) for x in (far_x, margin_x)]
    x, y = min(corners, key=lambda corner: sum(alpha.crop((*corner, corner[0] + width, corner[1] + height)).tobytes()))
    mark = Image.new("L", (width + 4, height + 4), 0)
    ImageDraw.Draw(mark).text((2 - left, 2 - top), _MARK, fill=150, font=font)
    grey = answer.crop((x, y, x + width, y + height)).convert("L").resize((1, 1), Image.Resampling.BOX)
    answer.paste((30, 30, 30) if grey.tobytes()[0] > 128 else (235, 235, 235), (x - 2, y - 2), mark)
    return answer
