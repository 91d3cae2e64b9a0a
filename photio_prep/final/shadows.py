"""The shadow below a product is the scene's own colour, only darker; it must not be taken for growth."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from photio_prep.final.outline_profiles import AROUND, AT, FAR, Profiles, smooth_loops
from photio_prep.imaging.filters import Bools, Floats

# Cosine from which an arc faces down; least light of a shadow; share of the product's misfit below which a shadow
# explains a ring.
_BELOW, _DARKEST, SHADED = 0.5, 0.3, 0.5


def find_shadows(profiles: Profiles, moved: Floats, normal: Floats, loops: list[tuple[int, int]]) -> Bools:
    """Arcs below a product that seem to have `moved` outwards, where the scene's own colour is only darker."""
    below = (moved > 0) & (normal[:, 1] > _BELOW)
    if not below.any():
        return below
    far = profiles.pixels * FAR
    scene = (far[..., None] * profiles.y).sum(1) / np.maximum(far.sum(1), 1)[:, None]
    ring = profiles.pixels * ((AT > 0) & (moved[:, None] > AT)) * below[:, None]
    misfits = misfit_of_shade(profiles.y, scene[:, None]), np.square(profiles.y - profiles.q).sum(-1)
    shadow, product = (smooth_loops((ring * misfit).sum(1, keepdims=True), loops, AROUND)[:, 0] for misfit in misfits)
    return np.asarray(below & (shadow < SHADED * product))


def misfit_of_shade(seen: NDArray[Any], scene: NDArray[Any]) -> NDArray[Any]:
    """Squared distance of colours (…, 3) from the scene's in the light of a shadow."""
    light = (seen * scene).sum(-1) / np.maximum((scene**2).sum(-1), 1)
    return np.asarray(np.square(seen - np.clip(light, _DARKEST, 1)[..., None] * scene).sum(-1))
