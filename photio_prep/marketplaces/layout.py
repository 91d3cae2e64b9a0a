"""A picture and a preset -> the picture as the marketplace wants it: cropped or padded, scaled, never distorted."""

from collections.abc import Collection
from fractions import Fraction
from typing import NamedTuple

from PIL import Image, ImageStat

from photio_prep.geometry import Box, Size, box_in
from photio_prep.marketplaces.presets import Preset

# A photo is enlarged so many times without a word. Beyond, the file is made smaller than the preset's size, as far as
# its rules allow, and what has to be enlarged further is said.
ENLARGED = 1.5
# Below this a resampled alpha is an overshoot of Lanczos, and white paper has to stay white.
_HAZE = 4
# What is enlarged to a least side is enlarged by so much more: rounding must not miss it by a pixel.
_ROUGHLY = 0.002
# Air that a crop leaves around the product, as a share of its longer side.
_AIR = 0.03


class Laid(NamedTuple):
    """A picture laid out: RGB, the product's share of the frame (None: not known), and notes.

    `product` is the alpha (L) of a packshot.
    """

    image: Image.Image
    fill: float | None
    notes: tuple[str, ...]
    product: Image.Image | None = None


def packshot(product: Image.Image, preset: Preset, cut: Collection[str] = (), *, already: float = 1.0) -> Laid:
    """The product (RGBA, nothing but its own box) on pure white: exactly 255 wherever its alpha is 0.

    Its longer side gets the preset's share of the frame. At the sides in `cut`, where the photo's own frame cut it off,
    it stays flush with the frame: a cut must not hang in the air. `already` is how many times it has been enlarged.
    """
    own, frame = Size(*product.size), preset.size
    scale = preset.aim * min(frame.width / own.width, frame.height / own.height)
    if {"left", "right"} <= {*cut} or {"top", "bottom"} <= {*cut}:
        scale /= preset.aim
    shrink = min(1.0, max(ENLARGED / (scale * already), preset.least(frame)))
    frame, scale = _times(frame, shrink), scale * shrink
    size = Size(*(min(side, room) for side, room in zip(_times(own, scale), frame, strict=True)))
    scaled = product.resize(size, Image.Resampling.LANCZOS)
    scaled.putalpha(scaled.getchannel("A").point([0] * _HAZE + list(range(_HAZE, 256))))
    left, top, *_ = box_in(size, frame)
    for low, high, axis in (("left", "right", 0), ("top", "bottom", 1)):
        if (low in cut) != (high in cut):
            flush = 0 if low in cut else frame[axis] - size[axis]
            left, top = (flush, top) if axis == 0 else (left, flush)
    paper = Image.new("RGB", frame, "white")
    paper.paste(scaled, (left, top), scaled)
    alpha = Image.new("L", frame)
    alpha.paste(scaled.getchannel("A"), (left, top))
    fill = max(size.width / frame.width, size.height / frame.height)
    notes = [*_enlarged(scale * already)]
    if cut:
        notes.append(f"the photo's own frame cuts the product off ({', '.join(cut)}); photograph all of it")
    return Laid(paper, fill, tuple(notes), alpha)


def scene(final: Image.Image, preset: Preset, product: Box | None = None) -> Laid:
    """A final in the preset's shape and size.

    Where the marketplace takes any shape, the final keeps its own. Where it does not, the largest crop of the wanted
    shape that holds all of the product is taken, or of the nearest allowed shape that does; a product that fits into
    none is not cut: the final gets bands of its own border's colour.
    """
    whole = Size(*final.size)
    rule = preset.rule("ratio")
    keep = product or Box(0, 0, *whole)
    notes: list[str] = []
    region, shape = Box(0, 0, *whole), Fraction(*whole)
    if rule is not None:
        shape = Fraction(*preset.size)
        region = _crop(whole, shape, keep)
        if not _holds(region, keep):
            airy = _aired(keep, whole)
            low, high = (0, 1000) if rule.advice else (rule.least or 0, rule.most or 1000)
            shape = min(max(shape, Fraction(airy.size.width, whole.height)), Fraction(whole.width, airy.size.height))
            shape = min(max(shape, Fraction(str(low))), Fraction(str(high)))
            region = _crop(whole, shape, keep)
            if _holds(region, keep):
                notes.append(f"{float(shape):.2f} wide to 1 high, since the product does not fit into {preset.size}")
    padded = not _holds(region, keep)
    if padded:
        notes.append(f"the product does not fit into a crop of {preset.size}: bands were added; prepare it with --size")
        region = Box(0, 0, *whole)
    picture = final.crop(region)
    filled = _share(product, region) if product else None
    natural = _around(region.size, shape) if padded else region.size
    wanted = _within(shape, preset.size)
    scale = _scale(wanted.width / natural.width, natural, preset)
    size = wanted if abs(scale * natural.width - wanted.width) < 0.5 else _shaped(natural, scale, shape)
    inner = _times(region.size, scale) if padded else size
    picture = picture.resize(inner, Image.Resampling.LANCZOS) if picture.size != inner else picture
    if padded:
        ground = Image.new("RGB", size, _border_colour(final))
        ground.paste(picture, box_in(inner, size)[:2])
        picture = ground
    return Laid(picture, filled, (*notes, *_enlarged(scale)))


def _aired(product: Box, whole: Size) -> Box:
    """The product's box with a little air around it, as far as there is any."""
    air = round(_AIR * max(product.size))
    left, top, right, bottom = product
    return Box(max(left - air, 0), max(top - air, 0), min(right + air, whole.width), min(bottom + air, whole.height))


def _crop(whole: Size, shape: Fraction, keep: Box) -> Box:
    """The largest box of `shape` in `whole`, as near to the middle of `keep` as it can be."""
    width = min(whole.width, round(whole.height * shape))
    height = min(whole.height, round(whole.width / shape))
    left = min(max((keep.left + keep.right - width) // 2, 0), whole.width - width)
    top = min(max((keep.top + keep.bottom - height) // 2, 0), whole.height - height)
    return Box(left, top, left + width, top + height)


def _holds(region: Box, keep: Box) -> bool:
    left, top = region.left <= keep.left, region.top <= keep.top
    return left and top and region.right >= keep.right and region.bottom >= keep.bottom


def _share(keep: Box, region: Box) -> float:
    return max(keep.size.width / region.size.width, keep.size.height / region.size.height)


def _within(shape: Fraction, room: Size) -> Size:
    """The largest size of `shape` in `room`."""
    if shape >= Fraction(*room):
        return Size(room.width, max(1, round(room.width / shape)))
    return Size(max(1, round(room.height * shape)), room.height)


def _around(inner: Size, shape: Fraction) -> Size:
    """The smallest size of `shape` around `inner`."""
    return Size(max(inner.width, round(inner.height * shape)), max(inner.height, round(inner.width / shape)))


def _shaped(natural: Size, scale: float, shape: Fraction) -> Size:
    """`natural` times `scale`, and so many pixels high that the shape is kept to the pixel."""
    width = max(1, round(natural.width * scale))
    return Size(width, max(1, round(width / shape)))


def _scale(wanted: float, natural: Size, preset: Preset) -> float:
    if wanted <= ENLARGED:
        return wanted
    return min(wanted, max(ENLARGED, preset.least(natural) + _ROUGHLY))


def _times(size: Size, scale: float) -> Size:
    return Size(*(max(1, round(side * scale)) for side in size))


def _enlarged(scale: float) -> list[str]:
    many = f"the photo has too few pixels and was enlarged {scale:.1f} times: use a larger one"
    return [many] if scale > ENLARGED + 0.01 else []


def _border_colour(image: Image.Image) -> tuple[int, ...]:
    """The median colour of a picture's outermost pixels."""
    strips = [
        image.crop((0, 0, image.width, 1)).resize((256, 1)),
        image.crop((0, image.height - 1, image.width, image.height)).resize((256, 1)),
        image.crop((0, 0, 1, image.height)).resize((1, 256)).transpose(Image.Transpose.ROTATE_90),
        image.crop((image.width - 1, 0, image.width, image.height))
        .resize((1, 256))
        .transpose(Image.Transpose.ROTATE_90),
    ]
    band = Image.new("RGB", (256, len(strips)))
    for row, strip in enumerate(strips):
        band.paste(strip, (0, row))
    return tuple(int(each) for each in ImageStat.Stat(band).median)
