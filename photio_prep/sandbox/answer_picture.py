"""SceneRequest -> the picture of an answer: the product in the described scene, slightly redrawn, with a watermark."""

import hashlib

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from photio_prep.sandbox.contract import SceneRequest
from photio_prep.sandbox.scenery.arrays import Colour, Plane, mix, to_picture, to_plane
from photio_prep.sandbox.scenery.scene import SMALLEST, paint_scene
from photio_prep.sandbox.scenery.scene_parser import parse_scene

_MARK = "SANDBOX"
# Cropping back takes up to 8.7 % from each side of a photo between two recommended sizes: the mark stays inside that.
_MARGIN = 0.09
SOFTNESS = 0.6  # px; a generator's decoder loses the finest detail
_TINT = 28.0 / 255  # shift of white for a tint twice as strong; the warmest light takes 4 to 5 levels off blue


def paint_answer(request: SceneRequest, seed: int) -> Image.Image:
    """Paint the answer: RGB of the canvas's size, the same for the same description, seed and canvas."""
    product = request.picture
    stage, tint = paint_stage(request, seed, product)
    answer = mix(stage, redraw_product(product, tint), to_plane(product.getchannel("A")))
    return add_watermark(to_picture(answer), product.getchannel("A"))


def paint_stage(request: SceneRequest, seed: int, product: Image.Image) -> tuple[Plane, Colour]:
    """Paint the described scene around `product` (RGBA), without it: display values, and the tint of its light."""
    text = f"{seed}\n{request.description}\n{request.negative_prompt or ''}"
    rng = np.random.default_rng(list(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()))
    scene = parse_scene(request.description, rng)
    return paint_scene(scene, product, rng), scene.light.tint


def redraw_product(product: Image.Image, tint: Colour, softness: float = SOFTNESS) -> Plane:
    """The colours (H, W, 3) of a product (RGBA) as a generator redraws them: slightly soft, in the scene's light."""
    soft = to_plane(product.convert("RGBa").filter(ImageFilter.GaussianBlur(softness)))
    # Dividing by the blurred alpha keeps the dark outside out of the blurred colour.
    colour: Plane = np.asarray(soft[..., :3] / np.maximum(soft[..., 3:], np.float32(1 / 255)), dtype=np.float32)
    shift = (np.asarray(tint, dtype=np.float32) - 1) * np.float32(_TINT) * colour
    return np.asarray(np.clip(colour + shift, 0, 1), dtype=np.float32)


def add_watermark(answer: Image.Image, alpha: Image.Image) -> Image.Image:
    """Draw a small, half-transparent SANDBOX in the corner that the product covers least; none on a tiny canvas."""
    if min(answer.size) < SMALLEST:
        return answer
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
