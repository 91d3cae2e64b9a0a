"""Sizes, boxes and placements, for every size that a photo may have."""

import math
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from photio_prep.errors import UsageError
from photio_prep.geometry import SIZES, Box, Placement, Recommended, Size, box_in, list_sizes, parse_size, place, snap

SOURCES = st.builds(Size, st.integers(16, 6000), st.integers(16, 4000))
CANVASES = st.sampled_from([each.size for each in SIZES])

DOCUMENTED = {
    "Fullscreen": ("4:3", (1152, 896)),
    "Widescreen": ("16:9", (1344, 768)),
    "Ultrawide": ("21:9", (1536, 640)),
    "Mobile landscape": ("3:2", (1216, 832)),
    "Square": ("1:1", (1024, 1024)),
    "Mobile portrait": ("2:3", (832, 1216)),
    "Tall": ("9:16", (768, 1344)),
}


def test_the_table_is_photios_own() -> None:
    assert {each.tag: (each.ratio, each.size) for each in list_sizes()} == DOCUMENTED
    extra = [each.size for each in list_sizes(undocumented=True) if not each.documented]
    assert extra == [(896, 1152), (640, 1536)]


@given(SOURCES)
def test_snap_takes_the_nearest_log_ratio(source: Size) -> None:
    def distance(size: Size) -> float:
        return abs(math.log(source.width / source.height) - math.log(size.width / size.height))

    nearest = min(distance(each.size) for each in list_sizes())
    assert distance(snap(source).size) == pytest.approx(nearest, abs=1e-9)


@given(SOURCES, st.integers(1, 50))
def test_snap_looks_at_the_ratio_only(source: Size, times: int) -> None:
    assert snap(source) == snap(Size(source.width * times, source.height * times))


@given(SOURCES)
def test_snap_turns_with_the_photo_where_both_shapes_are_offered(source: Size) -> None:
    both = [each for each in SIZES if each.size[::-1] in {other.size for other in SIZES}]
    assert snap(Size(*source[::-1]), both).size == snap(source, both).size[::-1]


@pytest.mark.parametrize("each", list_sizes(), ids=str)
def test_a_recommended_size_snaps_to_itself(each: Recommended) -> None:
    assert snap(each.size) == each


@pytest.mark.parametrize(
    ("source", "tag"),
    [
        (Size(4000, 3000), "Fullscreen"),  # the labels are nominal: 4:3 is really 1.286, and 1.333 is nearest to it
        (Size(6000, 4000), "Mobile landscape"),
        (Size(1920, 1080), "Widescreen"),
        (Size(3440, 1440), "Ultrawide"),
        (Size(1080, 1920), "Tall"),
        (Size(800, 1000), "Mobile portrait"),  # 4:5 without the undocumented 896x1152
        (Size(16, 16), "Square"),
        (Size(320, 16), "Ultrawide"),
    ],
)
def test_snap_of_sizes_that_sellers_meet(source: Size, tag: str) -> None:
    assert snap(source).tag == tag


def test_four_to_five_fits_better_with_the_opt_in() -> None:
    source = Size(800, 1000)
    assert place(source, snap(source).size).used == pytest.approx(0.855, abs=1e-3)
    best = snap(source, list_sizes(undocumented=True))
    assert best.size == (896, 1152)
    assert place(source, best.size).used == pytest.approx(0.972, abs=1e-3)


def test_on_an_exact_tie_the_larger_area_wins_in_any_order() -> None:
    # 2:1 and 1:2 are exactly as far from a square; as floats, logarithms of such ratios may differ in the last bit.
    small, large = Recommended("a", "a", Size(300, 100)), Recommended("b", "b", Size(200, 600))
    assert snap(Size(777, 777), [small, large]) == snap(Size(777, 777), [large, small]) == large
    # One part in a million nearer beats any area.
    assert snap(Size(1_000_001, 1_000_000), [small, large]) == small


@pytest.mark.parametrize("each", SIZES, ids=str)
def test_every_spelling_of_a_size_is_understood(each: Recommended) -> None:
    width, height = each.size
    spellings = [each.tag, each.tag.upper(), f"  {each.tag} ", each.tag.replace(" ", "_"), each.tag.replace(" ", "-")]
    for text in [*spellings, each.ratio, f"{width}x{height}", f"{width}X{height}", f"{width}×{height}"]:
        assert parse_size(text) == each


@pytest.mark.parametrize(
    "text", ["", " ", "0", "-1", "1e3", "1000000000", "1000x1000", "1024", "1024x", "5:4", "square-ish", "\0"]
)
def test_a_size_that_is_not_offered_is_refused_with_the_choices(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_size(text)
    assert "Square 1024x1024" in str(caught.value)
    assert caught.value.problem == f"size {text[:40]!r} is not offered by the API"


@given(SOURCES, CANVASES)
@example(Size(6000, 16), Size(640, 1536))
@example(Size(16, 4000), Size(1536, 640))
@example(Size(16, 16), Size(1024, 1024))
def test_a_placement_touches_two_opposite_sides_inside_the_canvas_and_centred(source: Size, canvas: Size) -> None:
    box = place(source, canvas).box
    assert box.left >= 0
    assert box.top >= 0
    assert box.right <= canvas.width
    assert box.bottom <= canvas.height
    assert min(box.size) >= 1
    assert box.size.width == canvas.width or box.size.height == canvas.height
    # The odd pixel goes to the right and to the bottom.
    assert canvas.width - box.right - box.left in (0, 1)
    assert canvas.height - box.bottom - box.top in (0, 1)


@given(SOURCES, CANVASES)
def test_a_placement_keeps_the_ratio_to_half_a_pixel(source: Size, canvas: Size) -> None:
    box = place(source, canvas).box.size
    exact = Fraction(source.height * box.width, source.width)
    if box.width == canvas.width:
        assert abs(box.height - exact) <= Fraction(1, 2) or (box.height == 1 and exact < 1)
    else:
        exact = Fraction(source.width * canvas.height, source.height)
        assert abs(box.width - exact) <= Fraction(1, 2) or (box.width == 1 and exact < 1)


@given(SOURCES)
def test_on_its_own_canvas_a_usual_photo_keeps_its_ratio_within_two_thousandths(source: Size) -> None:
    if max(source) > 3 * min(source):
        return
    box = place(source, snap(source).size).box.size
    assert box.width / box.height == pytest.approx(source.width / source.height, rel=2e-3)


def test_half_a_pixel_is_rounded_up_not_to_even() -> None:
    # 1024 / 2048 * 1025 = 512.5 and 1024 / 2048 * 1027 = 513.5: rounding to even would give 512 and 514.
    heights = [place(Size(2048, height), Size(1024, 1024)).box.size.height for height in (1025, 1027)]
    assert heights == [513, 514]


@given(CANVASES)
def test_a_photo_of_the_canvas_size_is_not_moved(canvas: Size) -> None:
    way = place(canvas, canvas)
    assert way.box == (0, 0, *canvas)
    assert way.scale == 1
    assert way.used == 1


@given(SOURCES, CANVASES)
def test_scale_and_used_say_what_the_box_says(source: Size, canvas: Size) -> None:
    way = place(source, canvas)
    assert 0 < way.used <= 1
    assert way.used == pytest.approx(way.box.size.area / canvas.area)
    assert way.scale == pytest.approx(max(way.box.size.width / source.width, way.box.size.height / source.height))


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 40), st.integers(0, 40))
def test_box_in_keeps_the_inner_size(width: int, height: int, more_width: int, more_height: int) -> None:
    box = box_in(Size(width, height), Size(width + more_width, height + more_height))
    assert box.size == (width, height)
    assert box[:2] == (more_width // 2, more_height // 2)


def test_sizes_and_boxes_are_plain_tuples() -> None:
    assert str(Size(3, 4)) == "3x4"
    assert Size(3, 4).area == 12
    assert Box(1, 2, 4, 8).size == Size(3, 6)
    way = Placement(Size(1, 1), Size(2, 2), Box(0, 0, 2, 2))
    with pytest.raises(AttributeError):
        way.canvas = Size(3, 3)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("Sqare", "Square 1024x1024"),
        ("mobile-potrait", "Mobile portrait 832x1216"),
        ("1000x1000", "Square 1024x1024"),
        ("1920×1080", "Widescreen 1344x768"),
        ("16:8", "Widescreen 1344x768"),
    ],
)
def test_a_size_that_is_nearly_right_is_answered_with_the_one_that_was_meant(text: str, meant: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_size(text)
    assert refused.value.fix.startswith(f"Did you mean {meant}? Choose one of: ")
