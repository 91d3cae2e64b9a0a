"""Run a segmenter, which may be the user's code, and validate its alpha."""

import math

from PIL import Image

from photio_prep.errors import PhotioError, SegmenterFailed
from photio_prep.types import Segmenter

_FIX = "Give it a --mask, or take another --model; the other photos go on"


def segment(matter: Segmenter, image: Image.Image) -> Image.Image:
    """Segment an RGB picture: returns alpha (L, the size of `image`).

    Raises:
        SegmenterFailed: The segmenter raised another error, or returned something else.
        PhotioError: As the segmenter raises it.
    """
    name = str(getattr(matter, "name", type(matter).__name__))
    try:
        alpha = matter(image)
        if isinstance(alpha, Image.Image):
            alpha.load()  # of a lazily opened file
    except PhotioError:
        raise
    except MemoryError as error:
        raise SegmenterFailed(f"the model {name} ran out of memory on it", _FIX) from error
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"[:300]
        raise SegmenterFailed(f"the model {name} failed on it ({reason})", _FIX) from error
    if fault := _fault(alpha, image):
        raise SegmenterFailed(
            f"the model {name} gave {fault}", "A segmenter gives a picture of mode L and of that size"
        )
    return alpha


def _fault(alpha: object, image: Image.Image) -> str:
    """Describe what is wrong with an alpha; "" if it is valid."""
    if not isinstance(alpha, Image.Image):
        return f"{type(alpha).__name__} instead of a picture"
    if alpha.mode != "L":
        return f"a picture of mode {alpha.mode} instead of L"
    if alpha.size != image.size:
        return f"an alpha of {alpha.width}x{alpha.height} for a picture of {image.width}x{image.height}"
    grain, confidence = alpha.info.get("grain", 1), alpha.info.get("confidence", 1)
    if not (_is_number(grain) and grain > 0):
        return f'{grain!r} as info["grain"], which is not a positive number of pixels'
    if confidence is not None and not (_is_number(confidence) and 0 <= confidence <= 1):
        return f'{confidence!r} as info["confidence"], which is not a number from 0 to 1'
    return ""


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
