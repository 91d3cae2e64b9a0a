"""Say what a final replaced of an answer, region by region, from the pixels themselves."""

import numpy as np
from PIL import Image

from photio_prep.final.composite import Composite
from photio_prep.final.drift import Comparison
from photio_prep.imaging.filters import dilate, load_opencv, measure_parts
from photio_prep.quality import ADDED, Replaced

# Half the distance in pixels of the answer up to which changes are one region.
_NEAR = 4


def list_replaced(
    answer: Image.Image, scene: Image.Image, placed: Composite, mask: Image.Image
) -> tuple[Replaced, ...]:
    """List the regions of a final that are not the answer's.

    Args:
        answer: The photo's frame in the answer (RGB), at its own scale.
        scene: The same with the generator's product removed.
        placed: The photo's product over it.
        mask: The product's alpha (L), where it was placed, at the answer's scale.
    """
    (width, height), area = placed.image.size, placed.image.width * placed.image.height
    if not placed.core + placed.soft:
        return ()
    regions = [
        Replaced("product", round(placed.core / area, 6), placed.box),
        Replaced("edge", round(placed.soft / area, 6), placed.box),
    ]
    across, down = width / answer.width, height / answer.height
    apart = load_opencv().absdiff(np.asarray(answer), np.asarray(scene))
    beside = ((apart[..., 0] | apart[..., 1] | apart[..., 2]) > 0) & ~dilate(np.asarray(mask) > 0, 1)
    labels, parts = measure_parts(dilate(beside, _NEAR), diagonal=True)
    counts = np.bincount(labels[beside], minlength=len(parts) + 1)[1:]
    for (left, top, wide, high, _), count in zip(parts.tolist(), counts.tolist(), strict=True):
        edges = left * across, top * down, (left + wide) * across, (top + high) * down
        box = (round(edges[0]), round(edges[1]), round(edges[2]), round(edges[3]))
        regions.append(Replaced("rim", round(count / beside.size, 6), box))
    return tuple(regions)


def describe_repairs(comparison: Comparison, replaced: tuple[Replaced, ...]) -> list[str]:
    """Notes for the user about what the final does with the generator's product."""
    notes, outline = [], comparison.outline
    if any(comparison.moved):
        right, down = comparison.moved
        notes.append(f"the generator moved the product by {right:+.1f}, {down:+.1f} px; the photo's follows it")
    if outline is not None and (outline.moved > 0).any():
        grown = outline.moved > 0
        share = float(outline.length[grown].sum() / outline.length.sum())
        rims = [region for region in replaced if region.kind == "rim"]
        removed = f"{sum(region.share for region in rims):.2%} of the picture beside the photo's was filled with scene"
        notes.append(
            f"the generator's product is larger along {share:.0%} of its outline, by up to"
            f" {float(outline.moved.max()):.1f} px; {removed if rims else 'the photo covers all of it'}"
        )
    if comparison.metrics.added > ADDED:
        notes.append("the generator added something beside the product, which is still in the picture")
    return notes
