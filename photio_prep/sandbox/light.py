"""Light that falls on the scene, and the shadows and mirror images that the product throws into it."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter

from photio_prep.sandbox.noise import Plane, blurred, resized, step, to_plane
from photio_prep.sandbox.words import Light


@dataclass(frozen=True, slots=True)
class Stand:
    """Where the product stands: its bounds (right and bottom exclusive), and the row of the table's far edge."""

    left: int
    top: int
    right: int
    bottom: int
    edge: int

    @property
    def tall(self) -> int:
        """Height of the product."""
        return max(1, self.bottom - self.top)

    @property
    def wide(self) -> int:
        """Width of the product."""
        return max(1, self.right - self.left)


def stand_of(alpha: Image.Image) -> Stand:
    """Bounds of what is more than half opaque, and a far edge that puts its foot well onto the table."""
    width, height = alpha.size
    box = alpha.point(lambda level: 255 if level > 127 else 0).getbbox()
    if box is None:
        return Stand(width // 3, height // 3, 2 * width // 3, 3 * height // 4, round(height * 0.6))
    left, top, right, bottom = box
    behind = min(max(0.24 * (bottom - top), 0.10 * height), 0.26 * height)
    edge = min(max(bottom - behind, 0.34 * height), 0.80 * height)
    return Stand(left, top, right, bottom, round(min(edge, height - 8)) if height > 16 else height // 2)


def field(light: Light, stand: Stand, height: int, width: int) -> Plane:
    """Brightness over the whole canvas: a pool around the product, the lit side, the corners darker."""
    rows = np.linspace(0, 1, 64, dtype=np.float32)[:, None]
    columns = np.linspace(0, 1, 64, dtype=np.float32)[None, :]
    x, y = (stand.left + stand.right) / 2 / width, (stand.top + 0.62 * stand.tall) / height
    shift = 0.16 * light.side
    pool = np.exp(-(((columns - x - shift) / 0.52) ** 2) - ((rows - y + 0.10) / 0.60) ** 2)
    sided = (columns - 0.5) * light.side
    corner = ((columns - 0.5) ** 2 + (rows - 0.5) ** 2) * 2
    contrast = 0.30 + 0.30 * light.hard
    brightness = (1.10 - contrast) + contrast * 1.42 * pool + 0.24 * (0.5 + light.hard) * sided
    return np.clip(resized((brightness * (1 - 0.22 * corner)).astype(np.float32), height, width), 0.08, 2.0)


def fallen_through(light: Light, height: int, width: int, rng: Generator) -> Plane:
    """What a window or leaves leave of the light on the wall, 0..1 with 1 lit; all 1 without either."""
    if not light.gobo:
        return np.ones((1, 1), dtype=np.float32)
    small = Image.new("L", (width // 4 + 1, height // 4 + 1), 0 if light.gobo == "window" else 255)
    (_window if light.gobo == "window" else _leaves)(ImageDraw.Draw(small), small.size, light.side, rng)
    radius = min(small.size) * (0.014 if light.gobo == "window" else 0.010) * (1.7 - light.hard)
    return resized(to_plane(small.filter(ImageFilter.GaussianBlur(radius))), height, width)


def _window(draw: ImageDraw.ImageDraw, size: tuple[int, int], side: int, rng: Generator) -> None:
    width, height = size
    start = width * float(rng.uniform(0.10, 0.30))
    wide, high, slant = width * 0.155, height * 0.235, width * 0.26
    for column in range(3):
        for row in range(3):
            top = height * -0.06 + row * high * 1.13
            left = start + column * wide * 1.15
            corners = [(left, top), (left + wide, top), (left + wide, top + high), (left, top + high)]
            leaned = [(x + slant * y / height, y + 0.24 * (x - start)) for x, y in corners]
            draw.polygon([(x, y) if side < 0 else (width - x, y) for x, y in leaned], fill=255)


def _leaves(draw: ImageDraw.ImageDraw, size: tuple[int, int], side: int, rng: Generator) -> None:
    width, height = size
    for _ in range(5):
        x = width * float(rng.uniform(-0.05, 0.45))
        y = height * float(rng.uniform(-0.15, 0.25))
        angle = float(rng.uniform(0.1, 1.1))
        length = min(width, height) * float(rng.uniform(0.6, 0.95))
        for index in range(26):
            along = index / 25
            bend = angle + 0.5 * along
            stem_x, stem_y = x + np.cos(bend) * length * along, y + np.sin(bend) * length * along
            leaflet = length * 0.34 * np.sin(np.pi * min(1.0, 0.12 + 0.88 * along)) ** 0.7
            for hand in (-1, 1):
                tip = bend + hand * 0.95
                ends = (stem_x + np.cos(tip) * leaflet, stem_y + np.sin(tip) * leaflet)
                thick = length * 0.016
                points = [
                    (stem_x, stem_y),
                    ((stem_x + ends[0]) / 2 - np.sin(tip) * thick, (stem_y + ends[1]) / 2 + np.cos(tip) * thick),
                    ends,
                    ((stem_x + ends[0]) / 2 + np.sin(tip) * thick, (stem_y + ends[1]) / 2 - np.cos(tip) * thick),
                ]
                draw.polygon([(px if side < 0 else width - px, py) for px, py in points], fill=60)


def cast_shadow(alpha: Image.Image, stand: Stand, light: Light) -> Plane:
    """How much of the direct light the product keeps away, 0..1: sharp at its foot, soft farther off."""
    width, height = alpha.size
    half = alpha.resize((max(1, width // 2), max(1, height // 2)), Image.Resampling.BOX)
    foot = (stand.bottom - 0.015 * stand.tall) / 2
    lean = -light.side * (0.95 - 0.75 * light.height)
    squash = 0.16 + 0.12 * light.height
    # Output (x, y) takes its alpha from height h = (foot - y) / squash above the foot, leaned aside by h.
    data = (1.0, lean / squash, -lean * foot / squash, 0.0, 1 / squash, foot - foot / squash)
    fallen = half.transform(half.size, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)
    size = max(2.0, 0.5 * min(stand.tall, stand.wide))
    near = to_plane(fallen.filter(ImageFilter.GaussianBlur(size * 0.016 * (2.0 - light.hard))))
    far = to_plane(fallen.filter(ImageFilter.GaussianBlur(size * 0.075 * (2.0 - light.hard))))
    rows = np.arange(half.height, dtype=np.float32)[:, None]
    away = np.clip((foot - rows) / max(1.0, squash * stand.tall / 2), 0, 1)
    shadow = near + (far - near) * np.minimum(1, 1.6 * away)
    return np.clip(resized(shadow * (1 - 0.55 * away), height, width), 0, 1)


def contact_shadow(alpha: Image.Image, stand: Stand) -> Plane:
    """The dark, narrow line where the product touches the table, and the wider dimness around it, 0..1."""
    width, height = alpha.size
    half = to_plane(alpha.resize((max(1, width // 2), max(1, height // 2)), Image.Resampling.BOX))
    rows = np.arange(half.shape[0], dtype=np.float32)[:, None]
    solid = half > 0.5
    lowest = np.where(solid.any(axis=0), half.shape[0] - 1 - solid[::-1].argmax(axis=0), -1e6).astype(np.float32)
    foot = stand.bottom / 2
    touching = np.exp(-np.clip(foot - lowest, 0, 1e4) / max(1.5, 0.035 * stand.tall))[None, :]
    thin, thick = max(1.0, 0.006 * stand.tall), max(2.0, 0.032 * stand.tall)
    below = rows - lowest[None, :] - 0.6 * thin  # most of the line would hide behind the product itself
    line = touching * np.exp(-((below / thin) ** 2))
    haze = touching * np.exp(-((below / thick) ** 2))
    shadow = 1.0 * blurred(line.astype(np.float32), thin * 0.8) + 0.62 * blurred(haze.astype(np.float32), thick * 0.8)
    return np.clip(resized(shadow, height, width), 0, 1)


def mirrored(product: Image.Image, stand: Stand, strength: float) -> Image.Image:
    """The product upside down below its foot, fading and blurred, as RGBA."""
    width, height = product.size
    room = min(height - stand.bottom, stand.tall)
    image = Image.new("RGBA", product.size, (0, 0, 0, 0))
    if room < 4 or strength <= 0:
        return image
    strip = product.crop((0, stand.bottom - room, width, stand.bottom)).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    strip = strip.convert("RGBa").filter(ImageFilter.GaussianBlur(max(1.0, 0.006 * stand.tall))).convert("RGBA")
    fade = np.clip(1 - np.arange(room, dtype=np.float32) / (0.55 * stand.tall), 0, 1)[:, None] ** 1.5 * strength
    faded = np.asarray(strip.getchannel("A"), dtype=np.float32) * fade
    strip.putalpha(Image.fromarray((faded + np.float32(0.5)).astype(np.uint8)))
    image.paste(strip, (0, stand.bottom))
    return image


def edge_of(stand: Stand, height: int, width: int, softness: float) -> Plane:
    """0 on the backdrop, 1 on the surface, `softness` rows wide at the far edge; shape (H, W)."""
    rows = np.arange(height, dtype=np.float32)[:, None]
    return np.repeat(step(rows, stand.edge - softness / 2, stand.edge + softness / 2), width, axis=1)
