"""Asked -> picture: the product standing in the scene that was described."""

import hashlib

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from photio_prep.sandbox import backdrops, light, surfaces
from photio_prep.sandbox.contract import Asked
from photio_prep.sandbox.light import Stand
from photio_prep.sandbox.noise import Plane, mixed, to_picture
from photio_prep.sandbox.product import Drift, drifted, laid_over
from photio_prep.sandbox.words import Mood, mood_of

MARK = "SANDBOX"
# Cropping back takes up to 8.7 % from each side of a photo between two recommended sizes: the mark stays inside that.
_MARGIN = 0.09
_GRAIN = np.float32(0.0055)
_SMALLEST = 32  # px; below that there is no room for a scene, nor for the mark
_NATURAL = ("grass", "moss", "sand", "snow")


def identity(asked: Asked) -> Image.Image:
    """The colours of the canvas as they were sent, whatever its alpha."""
    return asked.picture.convert("RGB")


def paint(asked: Asked, seed: int, drift: Drift) -> Image.Image:
    """The product in the scene that was described, with the planted drift and a small watermark."""
    product, mood, shown = _before(asked, seed, drift)
    answer = to_picture(laid_over(shown, product, mood.light.tint, drift))
    return answer if min(product.size) < _SMALLEST else _marked(answer, product.getchannel("A"))


def behind(asked: Asked, seed: int) -> Image.Image:
    """The same scene with the product's shadow, but without the product: what a perfect final is laid over."""
    _, _, shown = _before(asked, seed, Drift())
    return to_picture(shown)


def _before(asked: Asked, seed: int, drift: Drift) -> tuple[Image.Image, Mood, Plane]:
    """The drifted product, the mood, and the scene without the product."""
    text = f"{seed}\n{asked.description}\n{asked.negative_prompt or ''}"
    rng = np.random.default_rng(list(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()))
    mood = mood_of(asked.description, rng)
    product = drifted(asked.picture, drift)
    alpha = product.getchannel("A")
    width, height = product.size
    if min(width, height) < _SMALLEST:
        return product, mood, np.full((height, width, 3), mood.wall_colour, dtype=np.float32) / np.float32(255)
    stand = light.stand_of(alpha)
    scene = _lit(mood, stand, alpha, _stage(mood, stand, height, width, rng), rng)
    mirror = light.mirrored(product, stand, surfaces.GLOSS.get(mood.surface, 0.0))
    if mirror.getbbox() is not None:
        seen = np.asarray(mirror, dtype=np.float32) / np.float32(255)
        scene = mixed(scene, seen[..., :3] ** 2, seen[..., 3])
    shown = np.sqrt(_shouldered(scene * np.float32(mood.light.level)))
    shown += _GRAIN * rng.standard_normal((height, width, 1), dtype=np.float32)
    return product, mood, shown


def _stage(mood: Mood, stand: Stand, height: int, width: int, rng: np.random.Generator) -> Plane:
    """Backdrop and surface in even light."""
    behind = backdrops.painted(mood, height, width, stand.edge, rng)
    if mood.surface == "paper" and mood.backdrop == "sweep":
        return behind
    colour = mood.surface_colour
    texture = surfaces.flat(mood.surface, colour, rng)
    table = behind.copy()
    table[stand.edge :] = surfaces.laid(texture, height, width, stand.edge)
    softness = max(2.0, height * (0.022 if mood.surface in _NATURAL else 0.006))
    if mood.backdrop == "sweep":
        softness = height * 0.02
    top = max(0, stand.edge - round(softness))
    table[top : stand.edge] = table[stand.edge]
    return mixed(behind, table, light.edge_of(stand, height, width, softness))


def _lit(mood: Mood, stand: Stand, alpha: Image.Image, stage: Plane, rng: np.random.Generator) -> Plane:
    height, width = stage.shape[:2]
    direct = light.field(mood.light, stand, height, width)
    surface = light.edge_of(stand, height, width, max(2.0, height * 0.01))
    patches = light.fallen_through(mood.light, height, width, rng)
    if mood.light.gobo:
        direct = direct * (1 + (0.62 + 0.72 * patches - 1) * (1 - 0.75 * surface))
    shadow = light.cast_shadow(alpha, stand, mood.light) * (0.56 + 0.34 * mood.light.hard)
    contact = light.contact_shadow(alpha, stand)
    if mood.backdrop != "sweep":
        shadow = shadow * (0.25 + 0.75 * surface)
    rows = np.arange(height, dtype=np.float32)[:, None]
    corner = 0.26 * np.exp(-np.clip(stand.edge - rows, 0, None) / (0.05 * height)) * (rows < stand.edge)
    if mood.backdrop in ("plaster", "tiles", "bricks"):
        direct = direct * (1 - corner)
    brightness = direct * (1 - shadow) * (1 - 0.80 * contact)
    tint = np.asarray(mood.light.tint, dtype=np.float32)
    return np.asarray(stage * brightness[..., None] * tint, dtype=np.float32)


def _shouldered(scene: Plane) -> Plane:
    """Linear light brought into 0..1: unchanged up to 0.7, then ever slower, as film and sensors do it."""
    over = np.clip(scene - np.float32(0.7), 0, None)
    return np.asarray(np.clip(scene, 0, 0.7) + over / (1 + over / np.float32(0.3)), dtype=np.float32)


def _marked(answer: Image.Image, alpha: Image.Image) -> Image.Image:
    """A small, half-transparent SANDBOX in the corner that the product covers least."""
    width, height = answer.size
    font = ImageFont.load_default(max(9, round(min(width, height) / 56)))
    left, top, right, bottom = font.getbbox(MARK)
    wide, high = int(right - left), int(bottom - top)
    margin_x, margin_y = round(width * _MARGIN), round(height * _MARGIN)
    if wide + 2 * margin_x > width or high + 2 * margin_y > height:
        return answer
    corners = [(x, y) for y in (height - margin_y - high, margin_y) for x in (width - margin_x - wide, margin_x)]
    x, y = min(corners, key=lambda spot: sum(alpha.crop((*spot, spot[0] + wide, spot[1] + high)).tobytes()))
    overlay = Image.new("L", (wide + 4, high + 4), 0)
    ImageDraw.Draw(overlay).text((2 - left, 2 - top), MARK, fill=150, font=font)
    patch = answer.crop((x, y, x + wide, y + high)).resize((1, 1), Image.Resampling.BOX).convert("L").getpixel((0, 0))
    bright = isinstance(patch, (int, float)) and patch > 128
    answer.paste((30, 30, 30) if bright else (235, 235, 235), (x - 2, y - 2), overlay)
    return answer
