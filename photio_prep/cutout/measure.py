"""Figures of a cutout for the gate.

Lengths are in pixels of a picture whose longer side is 640 unless stated otherwise, so they are comparable between
canvases.
"""

import numpy as np
from PIL import Image

from photio_prep.cutout.mend import find_lines
from photio_prep.imaging.filters import (
    Bools,
    Bytes,
    Floats,
    Window,
    bounding_window,
    distance_to,
    erode,
    gradient_magnitude,
    local_maximum,
    measure_parts,
    percentile,
)

SIDE = 640
# A part counts from this share of the largest one.
PART = 0.02
_HALF = [0] * 128 + [255] * 128
_SIDES = ("left", "right", "top", "bottom")
# Distances from the outline between which its surroundings are measured; with the reach of the filters.
_RING = (7, 28)
_AROUND = _RING[1] + 8


def measure_cutout(view: Image.Image, cutout: Image.Image, scale: float) -> dict[str, float]:
    """Measure a cutout (RGBA) on `view`, the photo (RGB) at its size; `scale`: its pixels for one of the photo's file.

    covers: share of the picture. extent: longer side of the product's box in pixels of the photo's file.
    reach: the same as a share of the picture's longer side. cut_left … cut_bottom: share of that edge of the picture
    where the product meets it. cut: share of the product's outline that lies on the picture's edge.
    parts: their number. rim: mean width of the soft edge. glass: share of the product that is half transparent
    farther than 4 px from everything else. line: share that is thin straight lines from the frame.
    outline: share of the outline that runs along an edge of the photo; 0.25 is chance.
    blur: sigma of the sharpest edges, in pixels of the canvas or of the photo, whichever has fewer.
    white, black: share of the product where every channel is clipped. brightest: 95th percentile of its lightness.
    """
    shrink = min(1.0, SIDE / max(cutout.size))
    size = (max(round(cutout.width * shrink), 8), max(round(cutout.height * shrink), 8))
    mask = cutout.getchannel("A")
    alpha = np.asarray(mask.resize(size, Image.Resampling.BOX))
    solid = alpha >= 128
    values = {"scale": scale, "covers": float(alpha.mean() / 255)}
    if solid.any():
        values |= _measure_position(solid, scale * shrink) | _measure_shape(alpha, solid)
        window = bounding_window(solid, _AROUND)
        picture, solid = _resize_part(view, size, window), solid[window]
        values |= _measure_exposure(picture.reshape(-1, 3).take(np.flatnonzero(solid), 0))
        line, edges = find_edges(picture, solid)
        values["outline"] = float(edges[line].mean()) if line.any() else 1.0
        values["blur"] = _measure_blur(view, mask, scale)
    return {name: round(value, 3) for name, value in values.items()}


def _resize_part(view: Image.Image, size: tuple[int, int], window: Window) -> Floats:
    """The part of `view`, resized to `size`, that lies in the window."""
    rows, columns = (range(*edge.indices(side)) for edge, side in zip(window, size[::-1], strict=True))
    across, down = view.width / size[0], view.height / size[1]
    box = columns.start * across, rows.start * down, columns.stop * across, rows.stop * down
    part = view.resize((len(columns), len(rows)), Image.Resampling.BOX, box)
    return np.asarray(part, dtype=np.float32)


def _measure_position(solid: Bools, scale: float) -> dict[str, float]:
    rows, columns = bounding_window(solid, 0)
    extent = float(max(rows.stop - rows.start, columns.stop - columns.start))
    meets = (solid[:, :2].any(1), solid[:, -2:].any(1), solid[:2].any(0), solid[-2:].any(0))
    on_edge = {f"cut_{side}": float(line.mean()) for side, line in zip(_SIDES, meets, strict=True)}
    edge = outer_pixels(solid)
    frame = edge.copy()
    frame[1:-1, 1:-1] = False
    cut = _count(frame) / max(_count(edge), 1)
    return {"extent": extent / scale, "reach": extent / max(solid.shape), "cut": cut, **on_edge}


def _measure_shape(alpha: Bytes, solid: Bools) -> dict[str, float]:
    sizes, area = measure_parts(solid, diagonal=True)[1][:, 4], _count(solid)
    soft = (alpha > 12) & (alpha < 243)
    return {
        "parts": float(_count(sizes >= PART * sizes.max())),
        "rim": _count(soft) / max(_count(outer_pixels(solid)), 1),
        "glass": _count(erode(soft, 4)) / area,
        "line": _count(np.logical_or(*find_lines(solid))) / area,
    }


def _count(where: Bools) -> int:
    return int(np.count_nonzero(where))


def _measure_exposure(product: Floats) -> dict[str, float]:
    red, green, blue = product.T
    least, most = np.minimum(np.minimum(red, green), blue), np.maximum(np.maximum(red, green), blue)
    return {
        "white": float((least >= 252).mean()),
        "black": float((most <= 4).mean()),
        "brightest": percentile(most, 95),
    }


def outer_pixels(solid: Bools) -> Bools:
    """Outermost pixels of the product, those at the frame included."""
    return solid & ~erode(solid, 1)


def find_edges(picture: Floats, solid: Bools) -> tuple[Bools, Bools]:
    """Find the outline within the picture's frame, and where the photo (H, W, 3) has an edge.

    An edge: its gradient exceeds that of three quarters of the outline's surroundings. The outline of a product runs
    along an edge. That of another photo's mask, or of a product detected in noise, reaches only chance: a quarter.
    """
    line, edges = outer_pixels(solid), np.ones_like(solid)
    line[[0, -1]] = False
    line[:, [0, -1]] = False
    if line.sum() < 8:
        return line, edges
    window = bounding_window(line, _AROUND)
    near, picture = line[window], picture[window]
    steepest = np.zeros(near.shape, np.float32)
    for channel in range(3):
        np.maximum(steepest, gradient_magnitude(picture[..., channel], 1.0), out=steepest)
    steepest = local_maximum(steepest, 1)
    distance = distance_to(near)
    ring = steepest[(distance > _RING[0]) & (distance < _RING[1])]
    if ring.size:
        # On a background without structure, noise of one level is not an edge.
        edges[window] = steepest > max(percentile(ring, 75), 0.5)
    return line, edges


def _measure_blur(view: Image.Image, alpha: Image.Image, scale: float) -> float:
    """Sigma of the Gaussian that blurs the sharpest edges in and around the product.

    The steepest slope of an edge blurred by s, filtered with a Gaussian of a, is proportional to 1 / sqrt(s² + a²).
    The ratio for two values of a gives s, independent of the contrast, and without the noise that makes the variance of
    the Laplacian large. (Zhuo and Sim, "Defocus map estimation from a single image", 2011, filter once.)
    """
    if scale > 1:
        size = (max(round(view.width / scale), 8), max(round(view.height / scale), 8))
        view, alpha = view.resize(size, Image.Resampling.BOX), alpha.resize(size, Image.Resampling.BOX)
    box = alpha.point(_HALF).getbbox()
    if box is None:
        return 0.0
    left, top, right, bottom = box
    box = (max(left - 16, 0), max(top - 16, 0), min(right + 16, view.width), min(bottom + 16, view.height))
    near = ~erode(np.asarray(alpha.crop(box)) < 128, 8, beyond=True)
    light = np.asarray(view.crop(box).convert("L"), dtype=np.float32)

    def steepest(sigma: float) -> float:
        return percentile(gradient_magnitude(light, sigma)[near], 99)

    fine, coarse = 1.5, 3.0
    ratio = (steepest(fine) / max(steepest(coarse), 1e-6)) ** 2
    return float(np.sqrt(max(0.0, coarse**2 - ratio * fine**2) / max(ratio - 1, 0.02)))
