"""What can be measured of a cutout before it is paid for.

Lengths are in pixels of a picture whose longer side is 640, unless they say otherwise, so that they mean the same for
every canvas.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photio_prep.cutout.refine import around

_SIDE = 640
# A part counts from this share of the largest one: less is a speck.
_PART = 0.02
_HALF = [0] * 128 + [255] * 128
_SIDES = ("left", "right", "top", "bottom")
# How far from the outline its surroundings lie.
_RING = (7, 28)


def figures(view: Image.Image, cutout: Image.Image, scale: float) -> dict[str, float]:
    """The figures of a cutout by name.

    covers: share of the picture. extent: longer side of the product's box in pixels of the photo's file.
    reach: the same as a share of the picture's longer side. cut_left … cut_bottom: share of that edge of the picture
    where the product meets it. cut: share of the product's outline that lies on the picture's edge.
    parts: how many there are. rim: mean width of the soft edge. glass: share of the product that is half transparent
    farther than 4 px from everything else. outline: share of the outline that runs along an edge of the photo; 0.25 is
    chance. blur: sigma of the sharpest edges, in pixels of the canvas or of the photo, whichever has fewer.
    white, black: share of the product where every channel is clipped. brightest: 95th percentile of its lightness.
    scale: how many times the photo was enlarged.

    Args:
        view: The photo (RGB) at the cutout's size.
        cutout: The product (RGBA).
        scale: Pixels of the cutout for one of the photo's file.
    """
    shrink = min(1.0, _SIDE / max(cutout.size))
    size = (max(round(cutout.width * shrink), 8), max(round(cutout.height * shrink), 8))
    alpha = np.asarray(cutout.getchannel("A").resize(size, Image.Resampling.BOX))
    picture = np.asarray(view.resize(size, Image.Resampling.BOX), dtype=np.float32)
    solid = alpha >= 128
    found = {"scale": scale, "covers": float(alpha.mean() / 255)}
    if solid.any():
        found |= _place(solid, scale * shrink) | _shape(alpha, solid) | _light(picture[solid])
        found["outline"] = _outline(picture, solid)
        found["blur"] = _blur(view, cutout, scale)
    return {name: round(value, 3) for name, value in found.items()}


def _place(solid: NDArray[np.bool_], scale: float) -> dict[str, float]:
    rows, columns = np.nonzero(solid)
    extent = float(max(np.ptp(rows), np.ptp(columns)) + 1)
    meets = (solid[:, :2].any(1), solid[:, -2:].any(1), solid[:2].any(0), solid[-2:].any(0))
    on_edge = {f"cut_{side}": float(each.mean()) for side, each in zip(_SIDES, meets, strict=True)}
    edge = _edge(solid)
    frame = edge.copy()
    frame[1:-1, 1:-1] = False
    cut = float(frame.sum() / max(edge.sum(), 1))
    return {"extent": extent / scale, "reach": extent / max(solid.shape), "cut": cut, **on_edge}


def _shape(alpha: NDArray[np.uint8], solid: NDArray[np.bool_]) -> dict[str, float]:
    from scipy import ndimage

    labels, _ = ndimage.label(solid, np.ones((3, 3)))
    sizes = np.bincount(labels.ravel())[1:]
    soft = (alpha > 12) & (alpha < 243)
    deep = _eroded(soft, 4)
    return {
        "parts": float((sizes >= _PART * sizes.max()).sum()),
        "rim": float(soft.sum() / max(_edge(solid).sum(), 1)),
        "glass": float(deep.sum() / solid.sum()),
    }


def _light(product: NDArray[np.float32]) -> dict[str, float]:
    red, green, blue = product.T
    least, most = np.minimum(np.minimum(red, green), blue), np.maximum(np.maximum(red, green), blue)
    return {
        "white": float((least >= 252).mean()),
        "black": float((most <= 4).mean()),
        "brightest": float(np.percentile(most, 95)),
    }


def _edge(solid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The outermost pixels of the product; where the picture ends, it ends too."""
    return solid & ~_eroded(solid)


def _eroded(where: NDArray[np.bool_], times: int = 1) -> NDArray[np.bool_]:
    """Without its outermost pixels, as often as told; beyond the picture there is nothing."""
    for _ in range(times):
        inner = np.zeros_like(where)
        inner[1:-1, 1:-1] = where[1:-1, 1:-1] & where[:-2, 1:-1] & where[2:, 1:-1]
        inner[1:-1, 1:-1] &= where[1:-1, :-2] & where[1:-1, 2:]
        where = inner
    return where


def _dilated(where: NDArray[np.bool_], times: int) -> NDArray[np.bool_]:
    """With the pixels beside it, as often as told."""
    for _ in range(times):
        wider = where.copy()
        wider[1:] |= where[:-1]
        wider[:-1] |= where[1:]
        wider[:, 1:] |= where[:, :-1]
        wider[:, :-1] |= where[:, 1:]
        where = wider
    return where


def _outline(picture: NDArray[np.float32], solid: NDArray[np.bool_]) -> float:
    """Share of the outline near which the photo changes more than in three quarters of its surroundings.

    The outline of a product runs along an edge of the photo. That of a mask made for another photo, or of a product
    seen in noise, does not: it beats its surroundings as often as any line, a quarter of the time.
    """
    from scipy import ndimage

    line = _edge(solid)
    line[[0, -1]] = False
    line[:, [0, -1]] = False
    if line.sum() < 8:
        return 1.0
    # What lies farther away than the ring, and the filters' reach, does not count.
    window = around(line, _RING[1] + 8)
    line, picture = line[window], picture[window]
    steepest = np.zeros(line.shape, np.float32)
    for channel in range(3):
        np.maximum(steepest, ndimage.gaussian_gradient_magnitude(picture[..., channel], 1.0), out=steepest)
    steepest = ndimage.maximum_filter(steepest, 3)
    away = ndimage.distance_transform_edt(~line)
    ring = steepest[(away > _RING[0]) & (away < _RING[1])]
    if not ring.size:
        return 1.0
    # On a ground without any structure, noise of one level is no edge.
    return float((steepest[line] > max(float(np.percentile(ring, 75)), 0.5)).mean())


def _blur(view: Image.Image, cutout: Image.Image, scale: float) -> float:
    """Sigma of the Gaussian that blurs the sharpest edges in and around the product.

    The steepest slope of an edge blurred by s, seen through a Gaussian of a, goes with 1 / sqrt(s² + a²): the ratio of
    two such looks gives s, whatever the contrast; and noise, which makes the variance of the Laplacian large, is
    smoothed away before. (Zhuo and Sim, "Defocus map estimation from a single image", 2011, look through one.)
    """
    from scipy import ndimage

    alpha = cutout.getchannel("A")
    if scale > 1:
        size = (max(round(view.width / scale), 8), max(round(view.height / scale), 8))
        view, alpha = view.resize(size, Image.Resampling.BOX), alpha.resize(size, Image.Resampling.BOX)
    box = alpha.point(_HALF).getbbox()
    if box is None:
        return 0.0
    left, top, right, bottom = box
    box = (max(left - 16, 0), max(top - 16, 0), min(right + 16, view.width), min(bottom + 16, view.height))
    near = _dilated(np.asarray(alpha.crop(box)) >= 128, 8)
    light = np.asarray(view.crop(box).convert("L"), dtype=np.float32)

    def steepest(sigma: float) -> float:
        return float(np.percentile(ndimage.gaussian_gradient_magnitude(light, sigma)[near], 99))

    fine, coarse = 1.5, 3.0
    ratio = (steepest(fine) / max(steepest(coarse), 1e-6)) ** 2
    return float(np.sqrt(max(0.0, coarse**2 - ratio * fine**2) / max(ratio - 1, 0.02)))
