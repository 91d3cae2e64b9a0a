"""Two-pass inference for small networks: the whole picture, then a crop around a small product."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from photio_prep.cutout.refine import transition_width
from photio_prep.imaging.filters import Floats, bounding_window, box_blur, dilate
from photio_prep.imaging.resize import resize_in_halves

Network = Callable[[Image.Image], Floats]

# Networks up to this side use two passes; with 1024 px the second pass lost as often as it won.
_FEW_PIXELS = 512
# Margin of the crop, as a share of the product's longer side; and the share of the picture from which on the second
# pass does not pay. Measured: measurements/cutouts.md.
_MARGIN = 0.1
_CLOSE_ENOUGH = 0.3
# Distance from the outline, in pixels of the first pass, within which the second pass locates the edge better.
_TRUSTED = 3.5
_SMOOTH = 2


@dataclass(frozen=True, slots=True)
class Prediction:
    """`share` (H, W), 0..1, of the picture's size; `first`, the network's output; `grain`, see `refine_alpha`.

    `second`: the box of the second pass, and the network's output about it.
    """

    share: Floats
    first: Floats
    grain: float
    second: tuple[tuple[int, int, int, int], Floats] | None = None


def predict(
    network: Network, image: Image.Image, enough: float, high: float = 0, answer: Floats | None = None
) -> Prediction:
    """Predict each pixel's probability in an RGB picture, scaled to a peak of 1.

    `enough`: minimum peak for a second pass. `high`: upward shift of the network's prediction, in its pixels, 0..1.
    `answer`: its answer to the whole picture, if it is at hand.
    """
    first = _clean(network(image) if answer is None else answer, high)
    first_fit = _fit(first, image.size)
    grain = max(image.size) / max(first.shape)
    if max(first.shape) > _FEW_PIXELS or first.max() < enough:
        return Prediction(first_fit, first, grain)
    left, top, right, bottom = box = crop_box(first, image.size, _MARGIN)
    if (right - left) * (bottom - top) > _CLOSE_ENOUGH * image.width * image.height:
        return Prediction(first_fit, first, grain)
    crop = slice(top, bottom), slice(left, right)
    coarse, reach = first_fit[crop], round(_TRUSTED * grain)
    product = coarse >= 0.5
    near = box_blur((dilate(product, reach) & dilate(~product, reach)).astype(np.float32), _SMOOTH)
    window = bounding_window(near > 0, reach)
    # Out of focus the crop has no more detail, and less context.
    defocus = transition_width(np.asarray(image.crop(box))[window], near[window] > 0)
    grain_of_crop = max(right - left, bottom - top) / max(first.shape)
    if defocus.min() == 1:
        return Prediction(first_fit, first, grain_of_crop)
    closer = _clean(network(image.crop(box)), high)
    if closer.max() < enough:
        return Prediction(first_fit, first, grain)
    fine = _fit(closer, (right - left, bottom - top))
    # Near the outline the second pass counts. Elsewhere they differ about whole parts: a part that only one of them
    # predicts usually exists.
    merged = near * fine + (1 - near) * np.maximum(coarse, fine)
    merged[window] += defocus * (coarse[window] - merged[window])
    share = first_fit.copy()
    share[crop] = merged
    return Prediction(share, first, grain_of_crop, (box, closer))


def _clean(prediction: Floats, share: float) -> Floats:
    """Clip to 0..1, and shift down by `share` of a pixel."""
    prediction = np.fmin(np.fmax(prediction, np.float32(0)), np.float32(1))  # these take the other number for a NaN
    if not share:
        return prediction
    return (1 - share) * prediction + share * np.concatenate((prediction[:1], prediction[:-1]))


def _fit(prediction: Floats, size: tuple[int, int]) -> Floats:
    small = Image.fromarray(prediction / max(float(prediction.max()), 1e-6))
    large = resize_in_halves(small, size, Image.Resampling.BICUBIC)
    return np.clip(np.asarray(large, dtype=np.float32), 0, 1)


def crop_box(prediction: np.ndarray, size: tuple[int, int], margin: float) -> tuple[int, int, int, int]:
    """Box in a picture of `size` around what a network finds (H, W), with a margin: a share of its longer side."""
    product = prediction > prediction.max() / 2
    rows, columns = bounding_window(product, 0)
    across, down = size[0] / prediction.shape[1], size[1] / prediction.shape[0]
    left, right, top, bottom = columns.start * across, columns.stop * across, rows.start * down, rows.stop * down
    margin *= max(right - left, bottom - top)
    return (
        max(0, int(left - margin)),
        max(0, int(top - margin)),
        min(size[0], int(right + margin + 1)),
        min(size[1], int(bottom + margin + 1)),
    )
