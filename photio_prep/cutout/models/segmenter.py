"""What a segmenter gives, checked: the user's own code, or a network on a device that may fail on one picture."""

import math

from PIL import Image

from photio_prep.errors import PhotioError, SegmenterFailed
from photio_prep.types import Segmenter

_FIX = "Give it a --mask, or take another --model; the other photos go on"


def segment(matter: Segmenter, image: Image.Image) -> Image.Image:
    """The alpha (L, the size of `image`) that a segmenter finds in an RGB picture.

    Raises:
        SegmenterFailed: It raised, or gave something else.
        PhotioError: What it raises itself, as it is.
    """
    name = str(getattr(matter, "name", type(matter).__name__))
    try:
        alpha = matter(image)
        if isinstance(alpha, Image.Image):
            alpha.load()  # of a file, its pixels come now
    except PhotioError:
        raise
    except MemoryError as error:
        raise SegmenterFailed(f"the model {name} ran out of memory on it", _FIX) from error
    except Exception as error:
        said = f"{type(error).__name__}: {error}"[:300]
        raise SegmenterFailed(f"the model {name} failed on it ({said})", _FIX) from error
    if fault := _fault(alpha, image):
        raise SegmenterFailed(
            f"the model {name} gave {fault}", "A segmenter gives a picture of mode L and of that size"
        )
    return alpha


def _fault(alpha: object, image: Image.Image) -> str:
    """What is wrong with an alpha, or nothing."""
    if not isinstance(alpha, Image.Image):
        return f"{type(alpha).__name__} in place of a picture"
    if alpha.mode != "L":
        return f"a picture of mode {alpha.mode} in place of L"
    if alpha.size != image.size:
        return f"an alpha of {alpha.width}x{alpha.height} for a picture of {image.width}x{image.height}"
    grain, sure = alpha.info.get("grain", 1), alpha.info.get("confidence", 1)
    if not (_is_number(grain) and grain > 0):
        return f'{grain!r} as info["grain"], which is pixels'
    if sure is not None and not (_is_number(sure) and 0 <= sure <= 1):
        return f'{sure!r} as info["confidence"], which is 0 to 1'
    return ""


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
