"""The painted scenes: deterministic, of the right size, and with a product that drifts only as planned."""

import io

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from bench.redraw import PlantedChanges, change_outline
from photio_prep.sandbox.answer_picture import paint_answer
from photio_prep.sandbox.contract import SceneRequest
from photio_prep.sandbox.scenery.arrays import fractal_noise, resize, smoothstep
from photio_prep.sandbox.scenery.scene_parser import BACKDROP_WORDS, SURFACE_WORDS, Scene, parse_scene
from photio_prep.sandbox.scenery.surfaces import BACKDROPS, SURFACES
from tests.support.sampling import sampled

PLAIN = PlantedChanges()
DESCRIPTION = "on a marble table, soft morning light"


def canvas(size: tuple[int, int] = (320, 256)) -> Image.Image:
    """A bottle-like product with detail in it, standing a little below the middle."""
    large = Image.new("RGBA", (size[0] * 4, size[1] * 4), (0, 0, 0, 0))
    draw = ImageDraw.Draw(large)
    width, height = large.size
    draw.ellipse((width * 0.36, height * 0.2, width * 0.64, height * 0.8), fill=(40, 90, 170, 255))
    for line in range(6):
        y = height * (0.34 + 0.06 * line)
        draw.rectangle((width * 0.42, y, width * 0.58, y + height * 0.02), fill=(235, 235, 230, 255))
    return large.convert("RGBa").resize(size, Image.Resampling.BOX).convert("RGBA")


def scene(
    description: str = DESCRIPTION, seed: int = 7, picture: Image.Image | None = None, changes: PlantedChanges = PLAIN
) -> Image.Image:
    return changes.paint(SceneRequest(description, picture or canvas(), b""), seed)


def levels(picture: Image.Image) -> npt.NDArray[np.int64]:
    return np.asarray(picture, dtype=np.int64)


def parse(description: str, seed: int = 3) -> Scene:
    return parse_scene(description, np.random.default_rng(seed))


def core(picture: Image.Image) -> npt.NDArray[np.bool_]:
    return np.asarray(np.asarray(picture.getchannel("A")) == 255)


def test_the_same_request_gives_the_same_bytes() -> None:
    first, second = io.BytesIO(), io.BytesIO()
    scene().save(first, "PNG")
    scene().save(second, "PNG")
    assert first.getvalue() == second.getvalue()


def test_seed_description_and_negative_prompt_each_change_the_scene() -> None:
    base = SceneRequest(DESCRIPTION, canvas(), b"")
    answers = {
        paint_answer(base, 7).tobytes(),
        paint_answer(base, 8).tobytes(),
        paint_answer(SceneRequest(DESCRIPTION + " ", canvas(), b""), 7).tobytes(),
        paint_answer(SceneRequest(DESCRIPTION, canvas(), b"", "blurry"), 7).tobytes(),
    }
    assert len(answers) == 4


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.text(max_size=30),
    st.integers(1, 2**32),
    st.sampled_from(["nothing", "everything", "something"]),
)
def test_any_canvas_any_words_any_seed_gives_rgb_of_the_same_size(
    size: tuple[int, int], words: str, seed: int, product: str
) -> None:
    picture = {
        "nothing": Image.new("RGBA", size, (0, 0, 0, 0)),
        "everything": Image.new("RGBA", size, (9, 200, 9, 255)),
        "something": canvas(size),
    }[product]
    answer = scene(words, seed, picture)
    assert (answer.size, answer.mode) == (size, "RGB")


@sampled("night", ["", " at night"], 1)
@sampled("place", [*SURFACES, *BACKDROPS], 7)
def test_every_surface_and_every_backdrop_can_be_painted(place: str, night: str) -> None:
    word = (SURFACE_WORDS if place in SURFACES else BACKDROP_WORDS)[place].split()[0]
    for size in ((96, 64), (40, 130)):
        answer = levels(scene(f"{word}{night}", picture=canvas(size)))
        assert answer.std() > 3
        assert 8 < answer.mean() < 250


def test_the_product_stays_where_and_what_it_was() -> None:
    picture = canvas()
    inside = core(picture)
    difference = levels(scene(picture=picture)) - levels(picture.convert("RGB"))
    assert np.abs(difference[inside].mean(axis=0)).max() <= 4
    assert np.abs(difference[inside]).mean() < 8
    assert np.abs(difference[inside]).mean() > 0.3  # re-encoded, not copied


@pytest.mark.parametrize("words", ["golden sunset on marble", "dark slate at night", "slate in winter", "white studio"])
def test_the_tone_moves_by_a_few_levels_towards_the_light(words: str) -> None:
    picture = Image.new("RGBA", (256, 256), (0, 0, 0, 0))
    picture.paste((200, 200, 200, 255), (80, 80, 180, 200))
    shift = (levels(scene(words, picture=picture)) - 200)[90:190, 90:170].mean(axis=(0, 1))
    assert np.abs(shift).max() <= 4
    tint = parse(words).light.tint
    assert (shift[0] >= shift[2]) == (tint[0] > tint[2])


def test_planted_tone_adds_so_many_levels() -> None:
    picture = canvas()
    shifted = levels(scene(picture=picture, changes=PlantedChanges(tone=(-9, 6, 0)))) - levels(scene(picture=picture))
    assert shifted[core(picture)].mean(axis=0) == pytest.approx([-9, 6, 0], abs=0.5)
    assert not shifted[np.asarray(picture.getchannel("A")) == 0].any()


@pytest.mark.parametrize("pixels", [1, 3, 6])
def test_planted_growth_widens_the_outline_on_all_sides(pixels: int) -> None:
    picture = canvas()
    grown = change_outline(picture, PlantedChanges(grow=pixels))
    before, after = (
        each.getchannel("A").point(lambda level: 255 * (level > 127)).getbbox() for each in (picture, grown)
    )
    assert before is not None
    assert after == (before[0] - pixels, before[1] - pixels, before[2] + pixels, before[3] + pixels)
    rim = core(grown) & ~(np.asarray(picture.getchannel("A")) > 0)
    assert np.abs(levels(grown.convert("RGB"))[rim] - (40, 90, 170)).mean() < 12
    kept = core(picture)
    assert (levels(grown)[kept] == levels(picture)[kept]).all()


def test_planted_shift_moves_the_product() -> None:
    picture = canvas()
    moved = change_outline(picture, PlantedChanges(move=(2, -3)))
    assert (levels(moved)[:-3, 2:] == levels(picture)[3:, :-2]).all()


def test_planted_blur_takes_detail() -> None:
    picture = canvas()
    inside = core(picture)

    def detail(changes: PlantedChanges) -> float:
        grey = levels(scene(picture=picture, changes=changes).convert("L"))
        return float(np.abs(np.diff(grey, axis=0))[inside[1:] & inside[:-1]].mean())

    assert detail(PlantedChanges(blur=2.5)) < 0.6 * detail(PLAIN)


def test_the_product_throws_a_shadow_and_touches_the_ground() -> None:
    picture = canvas()
    nothing = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    nothing.putpixel((0, 0), (0, 0, 0, 0))
    answer = levels(scene("white studio, hard sun", picture=picture).convert("L"))
    foot = np.asarray(picture.getchannel("A")).max(axis=1).nonzero()[0].max()
    below = answer[foot + 1 : foot + 4, 145:175].mean()
    farther = answer[foot + 30 : foot + 34, 145:175].mean()
    assert below < farther - 15


def test_the_mark_lies_inside_what_cropping_back_leaves() -> None:
    picture = canvas((1024, 1024))
    answer = scene(picture=picture)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.redraw.add_watermark", lambda answer, alpha: answer)
        bare = scene(picture=picture)
    marked = np.abs(levels(answer) - levels(bare)).max(axis=2) > 0
    rows, columns = marked.nonzero()
    assert 100 < marked.sum() < 5_000
    assert rows.min() >= 0.087 * 1024
    assert rows.max() < (1 - 0.087) * 1024
    assert columns.min() >= 0.087 * 1024
    assert columns.max() < (1 - 0.087) * 1024
    assert not (marked & (np.asarray(picture.getchannel("A")) > 0)).any()


@pytest.mark.parametrize(
    ("description", "surface", "backdrop"),
    [
        ("on a marble table, soft morning light", "marble", "wall"),
        ("on a rough wooden table in a cabin, golden evening light, dark blue wall", "wood", "wall"),
        ("kitchen counter", "marble", "tiles"),
        ("concrete floor, plaster wall", "stone", "wall"),
        ("stone, mint green wall", "stone", "wall"),
        ("on slate, studio light", "stone", "sweep"),
        ("oak bench against the wall of a garden", "wood", "wall"),
        ("kitchen with a sage green wall, marble counter", "marble", "tiles"),
        ("minimal studio, pastel pink background", "paper", "sweep"),
    ],
)
def test_words_choose_surface_and_backdrop(description: str, surface: str, backdrop: str) -> None:
    for seed in range(5):
        assert (parse(description, seed).surface, parse(description, seed).backdrop) == (surface, backdrop)


def test_a_colour_belongs_to_what_follows_it() -> None:
    scene = parse("black marble, pastel pink wall")
    assert sum(scene.surface_colour) < 150
    red, green, blue = scene.wall_colour
    assert red > blue > green
    assert parse("golden hour on marble, gold veins").wall_colour != (200, 160, 84)


def test_light_follows_the_words() -> None:
    warm, cold = parse("golden sunset on a wall").light, parse("cold winter light").light
    assert warm.tint[0] / warm.tint[2] > 1.2 > 1 > cold.tint[0] / cold.tint[2]
    assert parse("light from the left").light.side == -1
    assert parse("light from the right").light.side == 1
    assert parse("dark and moody").light.exposure < parse("bright and sunny").light.exposure
    assert parse("hard sun on stone").light.hardness > parse("soft light on stone").light.hardness
    assert parse("light through a window onto a wall").light.window
    assert not parse("light through a window, studio").light.window


def test_a_description_without_a_known_word_still_varies_with_the_seed() -> None:
    assert len({(parse("xyzzy", seed).surface, parse("xyzzy", seed).wall_colour) for seed in range(30)}) > 8


def test_noise_is_in_range_and_resizing_keeps_floats() -> None:
    rng = np.random.default_rng(0)
    plane = fractal_noise(rng, 40, 60, 3, 4)
    assert (plane.shape, plane.dtype.name) == ((40, 60), "float32")
    assert (float(plane.min()), float(plane.max())) == (0, 1)
    assert resize(np.stack([plane] * 3, axis=-1), 10, 20).shape == (10, 20, 3)
    assert smoothstep(np.asarray([0, 0.5, 1], dtype=np.float32), 0, 1).tolist() == [0, 0.5, 1]
