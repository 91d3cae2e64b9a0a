"""What may be wished of a final, and which sizes fit a photo."""

import pytest

from photio_prep.errors import UsageError
from photio_prep.final.options import FinishOptions, resolve_output_size
from photio_prep.geometry import Size, place

PHOTO, SEEN = Size(4000, 3000), Size(1152, 864)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("original", (4000, 3000)),
        ("canvas", (1152, 864)),
        ("long:2000", (2000, 1500)),
        ("2000x1500", (2000, 1500)),
        ("1001x751", (1001, 751)),
        ("1×1", (1, 1)),
        ("8000x6000", (8000, 6000)),
    ],
)
def test_a_wished_size(text: str, size: tuple[int, int]):
    assert resolve_output_size(text, PHOTO, SEEN) == size


def test_a_portrait_s_longer_side_is_its_height():
    assert resolve_output_size("long:2000", Size(3000, 4000), SEEN) == (1500, 2000)
    assert resolve_output_size("long:1", Size(30, 4000), SEEN) == (1, 1)


@pytest.mark.parametrize("text", ["2000x2000", "2000x1498", "3000x4000"])
def test_another_shape_is_refused_with_the_sizes_that_fit(text: str):
    with pytest.raises(UsageError, match="another shape") as caught:
        resolve_output_size(text, PHOTO, SEEN)
    for fitting in caught.value.fix.replace(" would fit", "").split(" or "):
        assert resolve_output_size(fitting, PHOTO, SEEN) == tuple(map(int, fitting.split("x")))
    with pytest.raises(UsageError, match="another shape"):
        FinishOptions(output_size=text).fits(place(PHOTO, Size(1152, 896)))


@pytest.mark.parametrize("text", ["", "big", "0x0", "long:0", "long:", "-1x4", "20000x20000", "long:99999", "1x1x1"])
def test_a_size_that_cannot_be_meant_is_refused_at_once(text: str):
    with pytest.raises(UsageError):
        FinishOptions(output_size=text)


def test_pixels_of_nobody_are_refused():
    with pytest.raises(UsageError, match="generated, detail, original"):
        FinishOptions(product="painted")  # type: ignore[arg-type]
