"""Requests that can be meant: seeds, prompts, addresses, and doubts about words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photio_prep.api.request import DEFAULT_NEGATIVE, build_request, description_warnings
from photio_prep.errors import UsageError
from photio_prep.geometry import Size, place
from photio_prep.system import seeds
from photio_prep.types import Canvas
from tests.support.photos import SCENE

WHOLE = place(Size(48, 32), Size(48, 32))
CANVAS = Canvas(b"\x89PNG one", WHOLE)


@pytest.mark.parametrize("seed", [1, 2, 4_294_967_295, 4_294_967_296])
def test_a_seed_that_the_api_takes(seed: int) -> None:
    assert build_request(CANVAS, SCENE, seed=seed).seed == seed


@pytest.mark.parametrize("seed", [0, -2, 4_294_967_297, 2**64, True, False, 1.0, "1", float("nan")])
def test_a_seed_that_the_api_does_not_take_is_refused_here(seed: object) -> None:
    with pytest.raises(UsageError) as caught:
        build_request(CANVAS, SCENE, seed=seed)  # type: ignore[arg-type]
    assert caught.value.problem.startswith("seed = ")
    assert "4,294,967,296" in caught.value.fix


def test_minus_one_draws_a_fresh_seed_each_time() -> None:
    drawn = {build_request(CANVAS, SCENE, seed=-1).seed for _ in range(20)}
    assert len(drawn) > 15
    assert all(1 <= seed < seeds.LAST for seed in drawn)


@given(st.binary())
def test_a_seed_of_our_own_is_drawn_from_the_canvas(png: bytes) -> None:
    canvas = Canvas(png, WHOLE)
    seed = build_request(canvas, SCENE).seed
    assert seed == build_request(Canvas(png, WHOLE), "another scene").seed == seeds.seed_from_canvas(canvas.digest)
    assert 1 <= seed <= 4_294_967_295


def test_another_canvas_draws_another_seed() -> None:
    assert len({seeds.seed_from_canvas(Canvas(bytes([each]), WHOLE).digest) for each in range(100)}) == 100


def test_the_negative_prompt_is_unset_given_or_added() -> None:
    assert build_request(CANVAS, SCENE).negative_prompt is None
    assert build_request(CANVAS, SCENE, negative_prompt="people").negative_prompt == "people"
    assert build_request(CANVAS, SCENE, negative_prompt="").negative_prompt == ""
    assert build_request(CANVAS, SCENE, append_negative="people").negative_prompt == f"{DEFAULT_NEGATIVE}, people"
    assert DEFAULT_NEGATIVE == "worst quality, low quality, illustration, 3d, 2d, painting, cartoons, sketch"


def test_both_ways_of_the_negative_prompt_are_refused() -> None:
    with pytest.raises(UsageError, match="one of them"):
        build_request(CANVAS, SCENE, negative_prompt="people", append_negative="people")


def test_the_description_is_stripped_and_may_come_later() -> None:
    assert build_request(CANVAS, f"  {SCENE}\n").description == SCENE
    assert build_request(CANVAS, " \n").description == ""


@pytest.mark.parametrize("url", ["http://a.example/x.png", "https://a.example/x.png?signed=1"])
def test_an_address_of_a_picture(url: str) -> None:
    assert build_request(CANVAS, SCENE, image_url=url).image_url == url


@pytest.mark.parametrize(
    "url",
    ["", "ftp://a/x", "file:///etc/passwd", "data:image/png;base64,AA", "//a/x", "http:///x", "https://a b/", "x"],
)
def test_what_is_no_address_of_a_picture(url: str) -> None:
    with pytest.raises(UsageError, match="image_url"):
        build_request(CANVAS, SCENE, image_url=url)


def test_the_answer_must_have_the_canvas_size() -> None:
    assert build_request(CANVAS, SCENE).size == (48, 32)


@pytest.mark.parametrize(
    "description",
    [SCENE, "on marble", "studio light", "beach", "in a café in Zürich", "a bright, airy loft with plants", ""],
)
def test_a_scene_in_english_raises_no_doubts(description: str) -> None:
    assert description_warnings(description) == []


@pytest.mark.parametrize(
    "description",
    ["на мраморном столе, мягкий утренний свет", "大理石のテーブルの上", "على طاولة رخامية", "모래 해변 위에"],
)
def test_another_script_than_latin_is_doubted(description: str) -> None:
    assert any("English" in each for each in description_warnings(description))


@pytest.mark.parametrize("description", ["sneaker", "White Sneaker", "Nike Air Max"])
def test_the_name_of_a_product_is_doubted(description: str) -> None:
    (said,) = description_warnings(description)
    assert "product name" in said
    assert description in said


@given(st.text())
def test_doubts_never_fail(description: str) -> None:
    assert all(description_warnings(description)) or not description_warnings(description)
