"""Photo -> the same photo framed on its product, cut out once."""

from dataclasses import dataclass, replace

from PIL import Image

from photio_prep.cutout.framing import Framing, box_of, cropped, cut_sides, in_photo
from photio_prep.cutout.matte import Alpha, mask_alpha, matte
from photio_prep.cutout.options import CutoutOptions
from photio_prep.geometry import Box, Placement, Recommended, Size, place, snap
from photio_prep.types import Cutout, Matter, Photo


@dataclass(frozen=True, slots=True)
class Reframed:
    """A photo framed on its product: what `prepare` goes on with in place of what it was given."""

    photo: Photo
    chosen: Recommended
    placement: Placement
    matter: Matter | None
    mask: Image.Image | None
    alpha: Alpha


def reframed(
    photo: Photo,
    chosen: Recommended | None,
    matter: Matter | None,
    framing: Framing,
    *,
    mask: Image.Image | None = None,
    alpha: Alpha = "auto",
    options: CutoutOptions,
) -> Reframed:
    """The photo framed on its product.

    The product is found once, in the whole photo; within the new frame only its edge is made again, from what the
    model believed, at the new scale.

    Args:
        photo: The whole photo.
        chosen: The canvas, or None for the one nearest to the product with its margin.
        matter: Finds the product.
        framing: Margin and alignment.
        mask: The user's mask of the whole photo.
        alpha: As in matte.
        options: As in matte.
    """
    once = _Once(matter) if matter else None
    cutout = found(photo, once, mask=mask, alpha=alpha, options=options)
    size, cut = Size(*cutout.image.size), cut_sides(cutout.image)
    product = in_photo(box_of(cutout.image), size, photo.size, cut)
    chosen = chosen or snap(framing.around(product, None, cut).size)
    frame = framing.around(product, chosen.size, cut)
    placement = replace(place(frame.size, chosen.size), crop=frame)
    again: Matter | None = matter
    if once is not None and once.found is not None:
        again = _Within(once, photo.size, frame)
    if mask is not None:
        mask = _mask_within(mask, photo, frame)
    return Reframed(cropped(photo, frame), chosen, placement, again, mask, "keep" if cutout.model == "alpha" else alpha)


def found(
    photo: Photo, matter: Matter | None, *, mask: Image.Image | None, alpha: Alpha, options: CutoutOptions
) -> Cutout:
    """The cutout in the photo's own frame, at the scale of the canvas that fits the photo."""
    whole = place(photo.size, snap(photo.size).size)
    return matte(photo, whole.box.size, matter, mask=mask, alpha=alpha, options=options)


def _mask_within(mask: Image.Image, photo: Photo, frame: Box) -> Image.Image:
    drawn = mask_alpha(mask).resize(photo.size, Image.Resampling.LANCZOS)
    return drawn.crop(frame)  # 0 beyond the photo


class _Once:
    """A matter that remembers what it found, and is asked once."""

    def __init__(self, matter: Matter) -> None:
        self._matter = matter
        self.found: Image.Image | None = None

    @property
    def name(self) -> str:
        return str(getattr(self._matter, "name", type(self._matter).__name__))

    @property
    def device(self) -> str:
        return str(getattr(self._matter, "device", ""))

    def __call__(self, image: Image.Image, /) -> Image.Image:
        self.found = self._matter(image)
        return self.found


class _Within:
    """What a matter found in the whole photo, within a frame of it: no network is asked again."""

    def __init__(self, once: _Once, photo: Size, frame: Box) -> None:
        self._once = once
        self._photo = photo
        self._frame = frame
        self.name = once.name
        self.device = once.device

    def __call__(self, image: Image.Image, /) -> Image.Image:
        whole = self._once.found
        assert whole is not None  # noqa: S101  it is only made with one
        photo, frame = self._photo, self._frame
        inside = Box(
            max(frame.left, 0), max(frame.top, 0), min(frame.right, photo.width), min(frame.bottom, photo.height)
        )
        across, down = image.width / frame.size.width, image.height / frame.size.height
        left, top = round((inside.left - frame.left) * across), round((inside.top - frame.top) * down)
        right, bottom = round((inside.right - frame.left) * across), round((inside.bottom - frame.top) * down)
        wide, high = whole.width / photo.width, whole.height / photo.height
        seen = (inside.left * wide, inside.top * high, inside.right * wide, inside.bottom * high)
        piece = whole.resize((right - left, bottom - top), Image.Resampling.BICUBIC, box=seen)
        alpha = Image.new("L", image.size)
        alpha.paste(piece, (left, top))
        alpha.info.update(whole.info)
        if "grain" in whole.info:
            alpha.info["grain"] = float(whole.info["grain"]) * across / wide
        return alpha
