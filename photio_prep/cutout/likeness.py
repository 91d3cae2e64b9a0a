"""How alike the places of a photo are to a network: whether the product is one thing, and the only such one.

A second thing that was taken along, or half of a product, is often believed in with certainty; but the features from
which the belief is made are others there.
"""

from collections.abc import Sequence

import numpy as np

from photio_prep.imaging.filters import Floats, dilate, load_opencv, percentile

# Places along a side of the photo; the share of product up to which a place is ground; and how many places from the
# product the ground is compared: a coarse feature sees what lies beside its place.
_PLACES, _GROUND, _APART = 16, 0.05, 2
# The features are measured at these parts of a network's size.
_FINE, _COARSE = 16, 64


def is_telling(shape: Sequence[object], side: int) -> bool:
    """Whether an output of this shape (batch, channels, height, width) of a network of `side` px has such features."""
    sizes = [size for size in (side // _FINE, side // _COARSE) if size % _PLACES == 0]
    return len(shape) == 4 and shape[1] != 1 and shape[2] == shape[3] in sizes


def measure_likeness(belief: Floats, features: Sequence[Floats]) -> dict[str, float]:
    """Measure how alike places are, from a network's belief (H, W) and features (C, H, W) at two scales.

    mixed: how far the product's places are from its mean (1 - cosine of the fine features). rival: how much more the
    ground, two places away from the product, is like the product than like itself (difference of the cosines of the
    coarse features), in the place of twenty where it is most. {} without features of both scales.
    """
    scales = {plane.shape[-1]: plane for plane in features}
    fine, coarse = (scales.get(belief.shape[-1] // part) for part in (_FINE, _COARSE))
    if fine is None or coarse is None:
        return {}
    product = _pool((belief > belief.max() / 2).astype(np.float32)[None])
    near = dilate((product >= _GROUND).reshape(_PLACES, _PLACES), _APART).ravel()
    ground = near if near.all() else ~near
    product = product[0]
    # A place that is partly ground says little of the product.
    mixed = 1 - float(np.average(_compare(_pool(fine), product**2), weights=product**2))
    coarse = _pool(coarse)
    nearer = _compare(coarse, product) - _compare(coarse, ground.astype(np.float32))
    return {"mixed": mixed, "rival": float(nearer.min()) if near.all() else percentile(nearer[ground], 95)}


def _pool(planes: np.ndarray) -> Floats:
    """Mean of each place: (C, H, W) to (C, places)."""
    cv2, size = load_opencv(), (_PLACES, _PLACES)
    if planes.shape[1:] == size:
        return planes.reshape(len(planes), -1)
    means = np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in planes])
    return np.asarray(means.reshape(len(planes), -1))


def _compare(features: Floats, weights: Floats) -> Floats:
    """Cosine of each place's features (C, places) with their weighted mean."""
    mean = features @ weights
    lengths = np.linalg.norm(features, axis=0) * np.linalg.norm(mean)
    return np.asarray((mean @ features) / np.maximum(lengths, 1e-6))
