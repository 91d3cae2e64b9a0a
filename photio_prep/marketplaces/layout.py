"""Lay out a picture for a preset: cropped or padded, scaled, never distorted."""

from collections.abc import Collection
from fractions import Fraction
from typing import NamedTuple

from PIL import Image, ImageStat

from photio_prep.geometry import Box, Size, box_in
from photio_prep.marketplaces.presets import Preset

# The largest enlargement without a note. Beyond it the file is made smaller than the preset's size, as far as the rules
# allow; a larger enlargement is noted.
ENLARGED = 1.5
# A resampled alpha below this is an overshoot of Lanczos: set to 0, so that white paper stays white.
_HAZE = 4
# Added to an enlargement to a least side, so that rounding does not miss the side by a pixel.
_MARGIN = 0.002
# Space that a crop leaves around the product, as a share of its longer side.
_AIR = 0.03


class Layout(NamedTuple):
    """A picture (RGB) as laid out, the product's share of the frame (None if unknown), and notes.

    `product` is the alpha (L) of a packshot's product.
    """

    image: Image.Image
    fill: float | None
    notes: tuple[str, ...]
    product: Image.Image | None = None


def lay_out_packshot(
    product: Image.Image, preset: Preset, cut: Collection[str] = (), *, prior_upscale: float = 1.0
) -> Layout:
    """Put the product (RGBA, cropped to its box) on pure white: exactly 255 wherever its alpha is 0.

    Its longer side gets the preset's share of the frame. It stays flush with the frame at the sides in `cut`, where the
    photo's own frame cuts it off. `prior_upscale` is its enlargement so far.
    """
    own, frame = Size(*product.size), preset.size
    scale = preset.aim * min(frame.width / own.width, frame.height / own.height)
    if {"left", "right"} <= {*cut} or {"top", "bottom"} <= {*cut}:
        scale /= preset.aim
    shrink = min(1.0, max(ENLARGED / (scale * prior_upscale), preset.least(frame)))
    frame, scale = _scale_size(frame, shrink), scale * shrink
    size = Size(*(min(side, room) for side, room in zip(_scale_size(own, scale), frame, strict=True)))
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
    notes = [*_enlargement_notes(scale * prior_upscale)]
    if cut:
        notes.append(f"the photo's own frame cuts the product off ({', '.join(cut)}); photograph all of it")
    return Layout(paper, fill, tuple(notes), alpha)


def lay_out_scene(final: Image.Image, preset: Preset, product: Box | None = None) -> Layout:
    """Lay out a final in the preset's shape and size.

    Without a rule on the ratio, the final keeps its shape. Otherwise it is cropped to the largest box of the preset's
    shape that holds all of the product, or of the nearest allowed shape that does. A product is never cut: if it fits
    into no crop, the final gets bands in the colour of its border.
    """
    frame = Size(*final.size)
    rule = preset.rule("ratio")
    keep = product or Box(0, 0, *frame)
    notes: list[str] = []
    region, shape = Box(0, 0, *frame), Fraction(*frame)
    if rule is not None:
        shape = Fraction(*preset.size)
        region = _crop_box(frame, shape, keep)
        if not _contains(region, keep):
            airy = _add_air(keep, frame)
            low, high = (0, 1000) if rule.advice else (rule.least or 0, rule.most or 1000)
            shape = min(max(shape, Fraction(airy.size.width, frame.height)), Fraction(frame.width, airy.size.height))
            shape = min(max(shape, Fraction(str(low))), Fraction(str(high)))
            region = _crop_box(frame, shape, keep)
            if _contains(region, keep):
                notes.append(f"{float(shape):.2f} wide to 1 high, since the product does not fit into {preset.size}")
    padded = not _contains(region, keep)
    if padded:
        notes.append(f"the product does not fit into a crop of {preset.size}: bands were added; prepare it with --size")
        region = Box(0, 0, *frame)
    picture = final.crop(region)
    fill = _fill_share(product, region) if product else None
    natural = _enclosing_size(region.size, shape) if padded else region.size
    target = _largest_within(shape, preset.size)
    scale = _limit_scale(target.width / natural.width, natural, preset)
    size = target if abs(scale * natural.width - target.width) < 0.5 else _scale_to_shape(natural, scale, shape)
    inner = _scale_size(region.size, scale) if padded else size
    picture = picture.resize(inner, Image.Resampling.LANCZOS) if picture.size != inner else picture
    if padded:
        ground = Image.new("RGB", size, _border_colour(final))
        ground.paste(picture, box_in(inner, size)[:2])
        picture = ground
    return Layout(picture, fill, (*notes, *_enlargement_notes(scale)))


def _add_air(product: Box, frame: Size) -> Box:
    """The product's box with some space around it, clipped to the frame."""
    air = round(_AIR * max(product.size))
    left, top, right, bottom = product
    return Box(max(left - air, 0), max(top - air, 0), min(right + air, frame.width), min(bottom + air, frame.height))


def _crop_box(frame: Size, shape: Fraction, keep: Box) -> Box:
    """The largest box of `shape` in `frame`, as close to the centre of `keep` as possible."""
    width = min(frame.width, round(frame.height * shape))
    height = min(frame.height, round(frame.width / shape))
    left = min(max((keep.left + keep.right - width) // 2, 0), frame.width - width)
    top = min(max((keep.top + keep.bottom - height) // 2, 0), frame.height - height)
    return Box(left, top, left + width, top + height)


def _contains(region: Box, keep: Box) -> bool:
    left, top = region.left <= keep.left, region.top <= keep.top
    return left and top and region.right >= keep.right and region.bottom >= keep.bottom


def _fill_share(keep: Box, region: Box) -> float:
    return max(keep.size.width / region.size.width, keep.size.height / region.size.height)


def _largest_within(shape: Fraction, room: Size) -> Size:
    """The largest size of `shape` in `room`."""
    if shape >= Fraction(*room):
        return Size(room.width, max(1, round(room.width / shape)))
    return Size(max(1, round(room.height * shape)), room.height)


def _enclosing_size(inner: Size, shape: Fraction) -> Size:
    """The smallest size of `shape` that holds `inner`."""
    return Size(max(inner.width, round(inner.height * shape)), max(inner.height, round(inner.width / shape)))


def _scale_to_shape(natural: Size, scale: float, shape: Fraction) -> Size:
    """`natural` times `scale`; the height follows from the width and the exact shape."""
    width = max(1, round(natural.width * scale))
    return Size(width, max(1, round(width / shape)))


def _limit_scale(scale: float, natural: Size, preset: Preset) -> float:
    """At most `ENLARGED`, or the enlargement that the preset's rules require."""
    return scale if scale <= ENLARGED else min(scale, max(ENLARGED, preset.least(natural) + _MARGIN))


def _scale_size(size: Size, scale: float) -> Size:
    return Size(*(max(1, round(side * scale)) for side in size))


def _enlargement_notes(scale: float) -> list[str]:
    note = f"the photo has too few pixels and was enlarged {scale:.1f} times: use a larger one"
    return [note] if scale > ENLARGED + 0.01 else []


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
    return tuple(int(channel) for channel in ImageStat.Stat(band).median)
