"""Cut the product out of a photo: by mask, by the photo's own alpha, or by a segmenter."""

from dataclasses import replace
from typing import Literal

import numpy as np
from PIL import Image

from photio_prep.cutout import foreground, refine
from photio_prep.cutout import mask as parts
from photio_prep.cutout.guided import ramp
from photio_prep.cutout.looks import predict_product
from photio_prep.cutout.mend import mend_mask
from photio_prep.cutout.options import DEFAULT_CUTOUT, CutoutOptions
from photio_prep.errors import ModelUnavailable, NoProduct, PhotoRefused, SegmenterFailed
from photio_prep.geometry import Size
from photio_prep.imaging.filters import Bytes, bounding_window, load_opencv, to_levels
from photio_prep.types import Cutout, Photo, Segmenter

Alpha = Literal["auto", "keep", "ignore"]

# Unrefined: belief below the first value is background, above the second is product.
_LEVELS = (0.1, 0.9)
# An existing alpha is a cutout if at least this share of the picture is transparent, and this share opaque.
_REAL_CUTOUT = 0.005
# A mask that ends at this value, of 255, is a map of labels.
_MOST_LABELS = 15


def matte(
    photo: Photo,
    size: Size,
    matter: Segmenter | None,
    *,
    mask: Image.Image | None = None,
    alpha: Alpha = "auto",
    options: CutoutOptions = DEFAULT_CUTOUT,
) -> Cutout:
    """Cut the product out, in the photo's own frame, scaled to `size` (pixels on the canvas).

    The first that applies is used: the user's `mask` (white or opaque is product; any size of the photo's aspect
    ratio); the photo's own alpha (`auto`: if it is a real cutout, `keep`: always, `ignore`: never); the segmenter
    `matter`. Specks and pinholes are removed only from a segmenter's alpha.

    Raises:
        NoProduct: The alpha or mask is empty.
        PhotoRefused: The mask has another aspect ratio than the photo, or there is no alpha to keep.
        SegmenterFailed: The segmenter raised, or did not return an alpha of the picture.
        ModelUnavailable: A segmenter is needed and `matter` is None.
    """
    try:
        return _cutout(photo, size, matter, mask, alpha, options)
    except (NoProduct, SegmenterFailed) as error:
        error.about(photo.source)
        raise


def _cutout(
    photo: Photo, size: Size, matter: Segmenter | None, mask: Image.Image | None, alpha: Alpha, options: CutoutOptions
) -> Cutout:
    # The user's mask is changed only by options that are set explicitly.
    drawn = replace(options, specks=0, holes="keep" if options.holes == "auto" else options.holes)
    if mask is not None:
        flat = flatten(photo.image).resize(size, Image.Resampling.LANCZOS)
        fitted = _fit_mask(mask_alpha(mask), photo, size)
        return Cutout(compose(np.asarray(flat), np.asarray(fitted), drawn), "mask")
    if alpha != "ignore" and photo.image.mode == "RGBA" and (alpha == "keep" or has_cutout_alpha(photo.image)):
        image = photo.image.resize(size, Image.Resampling.LANCZOS)
        # Its colours are already the product's own.
        own = np.asarray(image)
        return Cutout(compose(own[..., :3], own[..., 3], replace(drawn, colours=False)), "alpha")
    if alpha == "keep":
        raise PhotoRefused("it has no transparency to keep", "Use --alpha auto", subject=photo.source)
    if matter is None:
        raise ModelUnavailable("a model is needed to find the product", "Run: photio-prep models pull auto")
    # The network's input has 320 or 1024 px: it loses nothing if the photo is first reduced to the canvas's scale.
    flat = flatten(photo.image)
    view = flat.resize(size, Image.Resampling.LANCZOS, reducing_gap=3) if size.area < photo.size.area else flat
    prediction = predict_product(matter, view, again=options.looks == "auto")
    view, belief = (
        image if image.size == size else image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3)
        for image in (view, prediction)
    )
    mended: dict[str, tuple[float, float, float, float]] = {}
    pixels, alpha_levels = np.asarray(view), np.asarray(belief)
    if "grain" in prediction.info:
        levels = alpha_levels.astype(np.float32) / np.float32(255)
        cell = float(prediction.info["grain"]) * size.width / prediction.width
        share = ramp(levels, *_LEVELS) if options.refine == "off" else refine.refine_alpha(pixels, levels, cell)
        alpha_levels = parts.extend_to_frame(to_levels(share))
        if options.holes != "keep":
            alpha_levels, mended = mend_mask(alpha_levels, pixels, fill=options.holes == "auto")
    sure = prediction.info.get("confidence")
    name, device = getattr(matter, "name", type(matter).__name__), getattr(matter, "device", "")
    cutout = compose(pixels, alpha_levels, options, haze=True)
    return Cutout(cutout, name, confidence=sure, device=device, prediction=prediction, mended=mended)


def compose(
    colours: Bytes, alpha: Bytes, options: CutoutOptions = DEFAULT_CUTOUT, *, haze: bool = False
) -> Image.Image:
    """Compose colours (H, W, 3) and alpha (H, W) to straight RGBA, RGB exactly 0 where alpha is 0.

    `haze`: remove faint alpha far from the product, for an alpha that a segmenter predicted.

    Raises:
        NoProduct: The alpha is empty.
    """
    levels = foreground.snap_alpha(parts.apply_mask_options(foreground.snap_alpha(alpha), options), haze=haze)
    if not (levels >= 128).any():
        raise NoProduct("no product found in it", "Use a clearer photo, another --model, or give a --mask")
    if options.colours:
        colours = foreground.estimate_foreground(colours, levels)
    cv2, window = load_opencv(), bounding_window(levels > 0, 0)
    levels, pixels = levels[window], np.zeros((*levels.shape, 4), np.uint8)
    part = cv2.cvtColor(colours[window], cv2.COLOR_RGB2RGBA)
    part[..., 3] = levels
    pixels[window] = cv2.copyTo(part, levels)
    return Image.fromarray(pixels)


def has_cutout_alpha(image: Image.Image) -> bool:
    """Whether an RGBA picture is a cutout: a part of it is transparent and a part is opaque."""
    counts = np.asarray(image.getchannel("A").histogram())
    share = counts / counts.sum()
    return bool(share[:8].sum() >= _REAL_CUTOUT and share[128:].sum() >= _REAL_CUTOUT)


def mask_alpha(mask: Image.Image) -> Image.Image:
    """Convert a user's mask to alpha (L): its alpha channel unless that is fully opaque, else its lightness.

    A map of the labels 0 and 1 counts as black and white. PhotoRefused for one of more labels, which is almost black.
    """
    has_alpha = "A" in mask.getbands() and mask.getchannel("A").getextrema() != (255, 255)
    levels = mask.getchannel("A") if has_alpha else mask.convert("L")
    most = int(np.asarray(levels).max())
    if most == 1:
        return levels.point(lambda level: 255 * level)
    if 1 < most <= _MOST_LABELS:
        raise PhotoRefused(
            f"the mask is almost black: its values are 0 to {most}",
            "Make the product white (255): of a map of labels, set the product's label to 255 and the others to 0",
        )
    return levels


def _fit_mask(alpha: Image.Image, photo: Photo, size: Size) -> Image.Image:
    aspect, photo_aspect = alpha.width / alpha.height, photo.size.width / photo.size.height
    # Half a pixel of rounding on the shorter side of either picture is allowed.
    if abs(aspect / photo_aspect - 1) > 0.5 / min(*alpha.size) + 0.5 / min(photo.size):
        raise PhotoRefused(
            f"the mask is {alpha.width}x{alpha.height}, the photo {photo.size}: another shape",
            "Give a mask made from this photo",
            subject=photo.source,
        )
    return alpha.resize(size, Image.Resampling.LANCZOS)


def flatten(image: Image.Image) -> Image.Image:
    """Flatten RGB or RGBA onto white (RGB)."""
    if image.mode == "RGB":
        return image
    paper = Image.new("RGB", image.size, "white")
    paper.paste(image, mask=image.getchannel("A"))
    return paper
