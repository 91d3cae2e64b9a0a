"""Resize a picture in two halves at once."""

from PIL import Image

from photio_prep.system.parallel import SMALL, run_both

Extent = tuple[float, float, float, float]


def resize_in_halves(
    image: Image.Image,
    size: tuple[int, int],
    resampling: Image.Resampling,
    box: Extent | None = None,
    reducing_gap: float | None = None,
) -> Image.Image:
    """Resize as Pillow's `resize`; the upper and the lower half in parallel, if a core is idle.

    The filter reads rows beyond each half, so the halves meet without a seam.
    """
    left, top, right, bottom = box or (0, 0, *image.size)
    (width, height), half = size, size[1] // 2
    middle = top + (bottom - top) * half / height
    output = Image.new(image.mode, size)

    def draw(first: int, rows: int, above: float, below: float) -> None:
        if rows:
            part = image.resize((width, rows), resampling, (left, above, right, below), reducing_gap)
            output.paste(part, (0, first))

    worth = max(width * height, image.width * image.height) > SMALL
    run_both(lambda: draw(0, half, top, middle), lambda: draw(half, height - half, middle, bottom), worth=worth)
    return output
