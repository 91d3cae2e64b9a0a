"""Lay out a picture for a preset: cropped or padded, scaled, never distorted."""

from collections.abc import Collection
from fractions import Fraction
from typing import NamedTuple

from PIL import Image, ImageStat

from photio_prep.geometry import Box, Size, box_in
from photio_prep.marketplaces.presets import Preset, Rule

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
    everything = Box(0, 0, *frame)
    keep = product or everything
    notes: list[str] = []
    region, shape = everything, Fraction(*frame)
    if rule is not None:
        shape = Fraction(*preset.size)
        region = _crop_box(frame, shape, keep)
        if not _contains(region, keep):
            shape = _nearest_shape(shape, keep, frame, rule)
            region = _crop_box(frame, shape, keep)
            if _contains(region, keep):
                notes.append(f"{float(shape):.2f} wide to 1 high, since the product does not fit into {preset.size}")
    padded = not _contains(region, keep)
    natural = region.size
    if padded:
        notes.append(f"the product does not fit into a crop of {preset.size}: bands were added; prepare it with --size")
        region = everything
        natural = Size(max(frame.width, round(frame.height * shape)), max(frame.height, round(frame.width / shape)))
    target = _largest_within(shape, preset.size)
    scale = target.width / natural.width
    if scale > ENLARGED:  # only as far as the preset's rules require
        scale = min(scale, max(ENLARGED, preset.least(natural) + _MARGIN))
    size = target
    if abs(scale * natural.width - target.width) >= 0.5:
        width = max(1, round(natural.width * scale))
        size = Size(width, max(1, round(width / shape)))
    inner = _scale_size(region.size, scale) if padded else size
    picture = final.crop(region)
    picture = picture.resize(inner, Image.Resampling.LANCZOS) if picture.size != inner else picture
    if padded:
        ground = Image.new("RGB", size, _border_colour(final))
        ground.paste(picture, box_in(inner, size)[:2])
        picture = ground
    fill = max(side / room for side, room in zip(keep.size, region.size, strict=True)) if product else None
    return Layout(picture, fill, (*notes, *_enlargement_notes(scale)))


def _nearest_shape(shape: Fraction, product: Box, frame: Size, rule: Rule) -> Fraction:
    """The allowed shape nearest to `shape` whose crop of `frame` holds the product and some space around it."""
    air = round(_AIR * max(product.size))
    width = min(product.right + air, frame.width) - max(product.left - air, 0)
    height = min(product.bottom + air, frame.height) - max(product.top - air, 0)
    low, high = (0, 1000) if rule.advice else (rule.least or 0, rule.most or 1000)
    shape = min(max(shape, Fraction(width, frame.height)), Fraction(frame.width, height))
    return min(max(shape, Fraction(str(low))), Fraction(str(high)))


def _crop_box(frame: Size, shape: Fraction, keep: Box) -> Box:
    """The largest box of `shape` in `frame`, as close to the centre of `keep` as possible."""
    width, height = _largest_within(shape, frame)
    left = min(max((keep.left + keep.right - width) // 2, 0), frame.width - width)
    top = min(max((keep.top + keep.bottom - height) // 2, 0), frame.height - height)
    return Box(left, top, left + width, top + height)


def _contains(region: Box, keep: Box) -> bool:
    left, top = region.left <= keep.left, region.top <= keep.top
    return left and top and region.right >= keep.right and region.bottom >= keep.bottom


def _largest_within(shape: Fraction, room: Size) -> Size:
    """The largest size of `shape` in `room`."""
    return Size(
        max(1, min(room.width, round(room.height * shape))), max(1, min(room.height, round(room.width / shape)))
    )


def _scale_size(size: Size, scale: float) -> Size:
    return Size(*(max(1, round(side * scale)) for side in size))


def _enlargement_notes(scale: float) -> list[str]:
    note = f"the photo has too few pixels and was enlarged {scale:.1f} times: use a larger one"
    return [note] if scale > ENLARGED + 0.01 else []


def _border_colour(image: Image.Image) -> tuple[int, ...]:
    """The median colour of a picture's outermost pixels; every side counts the same."""
    width, height = image.size
    band = Image.new("RGB", (256, 4))
    for row, box in enumerate(((0, 0, width, 1), (0, height - 1, width, height))):
        band.paste(image.crop(box).resize((256, 1)), (0, row))
    for row, box in enumerate(((0, 0, 1, height), (width - 1, 0, width, height)), 2):
        band.paste(image.crop(box).resize((1, 256)).transpose(Image.Transpose.ROTATE_90), (0, row))
    return tuple(int(channel) for channel in ImageStat.Stat(band).median)
