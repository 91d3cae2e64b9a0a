"""Reframe a photo on its product with one run of the segmenter."""

from dataclasses import dataclass, replace

from PIL import Image

from photio_prep.cutout.framing import Framing, box_in_photo, box_of, crop_photo, cut_sides
from photio_prep.cutout.gate_model import frame_belief
from photio_prep.cutout.matte import Alpha, mask_alpha, matte
from photio_prep.cutout.options import CutoutOptions
from photio_prep.geometry import Box, Placement, Recommended, Size, place, snap
from photio_prep.types import Cutout, Matter, Photo


@dataclass(frozen=True, slots=True)
class Reframed:
    """A photo framed on its product, with the inputs of `matte` for the new frame."""

    photo: Photo
    chosen: Recommended
    placement: Placement
    matter: Matter | None
    mask: Image.Image | None
    alpha: Alpha


def reframe(
    photo: Photo,
    chosen: Recommended | None,
    matter: Matter | None,
    framing: Framing,
    *,
    mask: Image.Image | None = None,
    alpha: Alpha = "auto",
    options: CutoutOptions,
) -> Reframed:
    """Frame the photo on its product, with the arguments of `matte`.

    The segmenter looks at the whole photo only. In the new frame its prediction is only refined again, at the new
    scale. `chosen` None: the canvas nearest to the product with its margin.
    """
    cutout = find_product(photo, matter, mask=mask, alpha=alpha, options=options)
    size, cut = Size(*cutout.image.size), cut_sides(cutout.image)
    product = box_in_photo(box_of(cutout.image), size, photo.size, cut)
    chosen = chosen or snap(framing.around(product, None, cut).size)
    frame = framing.around(product, chosen.size, cut)
    placement = replace(place(frame.size, chosen.size), crop=frame)
    segmenter: Matter | None = matter
    if cutout.prediction is not None:
        segmenter = _CroppedPrediction(cutout, cutout.prediction, photo.size, frame)
    if mask is not None:
        mask = _mask_within(mask, photo, frame)
    return Reframed(
        crop_photo(photo, frame), chosen, placement, segmenter, mask, "keep" if cutout.model == "alpha" else alpha
    )


def find_product(
    photo: Photo, matter: Matter | None, *, mask: Image.Image | None, alpha: Alpha, options: CutoutOptions
) -> Cutout:
    """Cut out the whole photo, at the scale of the canvas that fits it."""
    placement = place(photo.size, snap(photo.size).size)
    return matte(photo, placement.box.size, matter, mask=mask, alpha=alpha, options=options)


def _mask_within(mask: Image.Image, photo: Photo, frame: Box) -> Image.Image:
    drawn = mask_alpha(mask).resize(photo.size, Image.Resampling.LANCZOS)
    return drawn.crop(frame)  # 0 beyond the photo


class _CroppedPrediction:
    """A segmenter that returns the prediction of a cutout of the whole photo, cropped to a frame."""

    def __init__(self, cutout: Cutout, prediction: Image.Image, photo: Size, frame: Box) -> None:
        self._prediction = prediction
        self._photo = photo
        self._frame = frame
        self.name = cutout.model
        self.device = cutout.device

    def __call__(self, image: Image.Image, /) -> Image.Image:
        prediction, photo, frame = self._prediction, self._photo, self._frame
        inside = Box(
            max(frame.left, 0), max(frame.top, 0), min(frame.right, photo.width), min(frame.bottom, photo.height)
        )
        across, down = image.width / frame.size.width, image.height / frame.size.height
        left, top = round((inside.left - frame.left) * across), round((inside.top - frame.top) * down)
        right, bottom = round((inside.right - frame.left) * across), round((inside.bottom - frame.top) * down)

        def frame_piece(whole: Image.Image) -> Image.Image:
            scale_x, scale_y = whole.width / photo.width, whole.height / photo.height
            box = (inside.left * scale_x, inside.top * scale_y, inside.right * scale_x, inside.bottom * scale_y)
            piece = whole.resize((right - left, bottom - top), Image.Resampling.BICUBIC, box=box)
            framed = Image.new("L", image.size)
            framed.paste(piece, (left, top))
            return framed

        alpha = frame_piece(prediction)
        alpha.info.update(prediction.info)
        if "grain" in prediction.info:
            alpha.info["grain"] = float(prediction.info["grain"]) * across * photo.width / prediction.width
        if "belief" in prediction.info:
            box = alpha.info.pop("box", None)
            alpha.info["belief"] = frame_piece(frame_belief(prediction.info["belief"], box, prediction.size))
        return alpha
