"""Continue the generated scene below its product, and over what of it looks out beside the photo's."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photio_prep.final.drift import Comparison
from photio_prep.final.outline import SOME, cover_of
from photio_prep.final.outline_profiles import SOFT
from photio_prep.imaging.filters import Bools, Floats, bounding_window, gaussian_blur, load_opencv, local_maximum

Bytes = NDArray[np.uint8]

# Coverage of a pixel by the answer's product: from the first on it is product; up to the second the scene is unmixed
# below a soft edge; up to the third (twice that in a rough scene) it is scene beside an outline that moved.
_PRODUCT, _UNMIXED, _FAINT = 0.02, 0.8, 0.12
# Power of what is free of a pixel by which a smooth scene's unmixed colour counts: where the outline stayed, and where
# some of it moved; in a rough scene, 1.
_STEADY, _MOVING = 2, 4
# Reach of what a ring is filled from, in pixels.
_REACH = 4
_TINY = 1e-4
# Where the product is looked for: pixels per pixel of the small picture, sigma there; the scene's misfit as a share of
# the product's up to which the product is absent, and from which it is not.
_SHRINK, _AROUND, _ABSENT, _PRESENT = 4, 1.5, 0.3, 0.7


def inpaint_product(answer: Image.Image, comparison: Comparison, scale: tuple[float, float]) -> Image.Image:
    """Continue the scene of an answer (RGB) below its product, and over what of it looks out beside the photo's.

    Where the product covers a pixel only in part, the scene is unmixed; the rest is filled from around (push-pull:
    Gortler and others, "The Lumigraph", 1996), and along an outline that moved outwards from its ring's outer side
    (Telea, "An Image Inpainting Technique Based on the Fast Marching Method", 2004). Pixels beside the sent product
    stay as they are, unless its outline moved outwards somewhere, or is softer than the sent one.

    Args:
        answer: The photo's frame in the answer.
        comparison: Of the same frame, at the canvas's scale.
        scale: Pixels of the answer per pixel of the canvas, across and down.
    """
    if comparison.outline is None:
        return answer
    cover, moved, rough, ring, settled = cover_of(comparison.outline, comparison.alpha)
    nearest = comparison.outline.nearest
    beyond = comparison.product.reshape(-1, 3).take(nearest, 0)
    product = np.where((gaussian_blur(comparison.alpha, SOFT) > _PRODUCT)[..., None], comparison.product, beyond)
    left, top = (math.floor(edge * by) for edge, by in zip(comparison.box[:2], scale, strict=True))
    right, bottom = (math.ceil(edge * by) for edge, by in zip(comparison.box[2:], scale, strict=True))
    right, bottom = min(right, answer.width), min(bottom, answer.height)
    if scale != (1.0, 1.0):
        cv2 = load_opencv()
        corner = [(at + 0.5) / by - 0.5 for at, by in zip((left, top), scale, strict=True)]
        to = np.array(
            [[1 / scale[0], 0, corner[0] - comparison.box[0]], [0, 1 / scale[1], corner[1] - comparison.box[1]]]
        )
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        cover, moved, rough, ring, settled, product = (
            cv2.warpAffine(plane, to, (right - left, bottom - top), flags=flags, borderMode=cv2.BORDER_REPLICATE)
            for plane in (cover, moved, rough, ring, settled, product)
        )
    pixels = np.array(answer)
    window = pixels[top:bottom, left:right]
    trusted = _MOVING if moved.any() or any(comparison.outline.blurred) else _STEADY
    received = window.astype(np.float32)
    cover = _drop_absent(received, cover, product, settled)
    window[...] = _clear(received, cover, moved > SOME, rough, product, trusted)
    _fill_ring(window, (ring > 0.5) & (cover > _FAINT))
    return Image.fromarray(pixels)


def _fill_ring(pixels: Bytes, ring: Bools) -> None:
    """Continue what lies around a ring into it."""
    if ring.any():
        cv2, part = load_opencv(), bounding_window(ring, 4 * _REACH)
        mask = np.ascontiguousarray(ring[part]).view(np.uint8)
        pixels[part] = cv2.inpaint(np.ascontiguousarray(pixels[part]), mask, _REACH, cv2.INPAINT_TELEA)


def _clear(received: Floats, cover: Floats, moved: Bools, rough: Floats, product: Floats, trusted: int) -> Bytes:
    """Remove the product (H, W, 3) that covers the answer's pixels by `cover` (0..1)."""
    # In a smooth scene means from a little farther away are nearer to it than what can be unmixed.
    near = moved & (rough < 0.5)
    least = np.where(moved, np.where(near, _FAINT, 2 * _FAINT), _UNMIXED)
    known = np.clip(1 - np.where(near, local_maximum(cover, 1), cover) / least, 0, 1).astype(np.float32)
    part = np.flatnonzero((known > 0) & (known < 1) & ~moved)
    known.ravel()[part] **= trusted - (trusted - 1) * rough.ravel()[part]
    known[~moved & (cover < _PRODUCT)] = 1
    share = np.where(near | (known == 1), 0, cover)
    cv2, rest = load_opencv(), np.maximum(1 - share, np.float32(0.1))
    colours = cv2.split(received)
    planes = [
        np.clip((mixed - share * own) / rest, 0, 255) * known
        for mixed, own in zip(colours, cv2.split(product), strict=True)
    ]
    filled, hidden = fill_from_around(np.stack([*planes, known])), known < 1
    pairs = zip(filled, colours, strict=True)
    return np.asarray(cv2.convertScaleAbs(cv2.merge([np.where(hidden, *pair) for pair in pairs])))


def _drop_absent(received: Floats, cover: Floats, product: Floats, settled: Floats) -> Floats:
    """Coverage (H, W) without parts that the answer lacks: there the scene around explains it better.

    `settled`: 1 where coverage is not doubted.
    """
    cv2, (height, width) = load_opencv(), cover.shape
    size = -(-width // _SHRINK), -(-height // _SHRINK)
    parts = received, product, cover, settled
    seen, own, share, sure = (cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part in parts)
    free = (share < _PRODUCT).astype(np.float32)
    scene = cv2.merge(list(fill_from_around(np.stack([*(free * plane for plane in cv2.split(seen)), free]))))
    rest, doubted = seen - scene, (1 - free) * (1 - sure)
    misfits = rest, rest - share[..., None] * (own - scene)
    absent, present = (gaussian_blur(np.square(misfit).sum(-1) * doubted, _AROUND) for misfit in misfits)
    there = np.clip((absent / np.maximum(present, 1) - _ABSENT) / (_PRESENT - _ABSENT), 0, 1)
    return np.asarray(np.where(settled > 0.5, cover, cover * cv2.resize(there, (width, height))))


def fill_from_around(planes: Floats) -> Floats:
    """Fill colours from coarser levels: planes are colours times weight (3, H, W), and the weight."""
    weight = planes[3:]
    if min(weight.shape[1:]) <= 2 or (weight > 1 - _TINY).all():
        own = planes[:3] / np.maximum(weight, _TINY)
        return np.asarray(np.where(weight > _TINY, own, own.mean((1, 2), keepdims=True)), dtype=np.float32)
    height, width = weight.shape[1:]
    small = _halve(planes)
    # A partly known pixel counts as known: means use known pixels only.
    full = np.minimum(1, small[3:] * 4)
    small[:3] *= full / np.maximum(small[3:], _TINY)
    small[3:] = full
    around = _double(fill_from_around(small))[:, :height, :width]
    return np.asarray(planes[:3] + (1 - weight) * around)


def _halve(planes: Floats) -> Floats:
    """Halve the size by means of 2 x 2 pixels; at a far border of fewer."""
    cv2, (height, width) = load_opencv(), planes.shape[1:]
    even = [cv2.copyMakeBorder(plane, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE) for plane in planes]
    return np.stack([cv2.resize(plane, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for plane in even])


def _double(planes: Floats) -> Floats:
    """Double height and width, bilinear."""
    cv2 = load_opencv()
    return np.stack([cv2.resize(plane, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR) for plane in planes])
