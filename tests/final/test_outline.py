"""The outline in an answer: texture is not growth, growth is not a move, a side that grew is removed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from photio_prep.final import restore
from photio_prep.final.drift import Comparison, compare
from photio_prep.final.outline import cover_of, fit_rigid
from photio_prep.imaging.filters import gaussian_blur
from photio_prep.quality import Drift
from tests.support.commands import Command
from tests.support.photos import SCENE, saved

SIZE = (420, 360)
BOX = (130, 100, 290, 260)
TEXTURES = {"smooth": 2.0, "rough": 20.0, "pebbles": 40.0}


def scene(strength: float) -> Image.Image:
    """A scene of grey grains, a few pixels wide."""
    noise = np.random.default_rng(7).normal(0, 1, (SIZE[1], SIZE[0])).astype(np.float32)
    soft = gaussian_blur(noise, 1.5)
    grey = np.clip(140 + soft / soft.std() * strength, 0, 255)
    return Image.fromarray(np.stack((grey, grey * 0.95, grey * 0.85), -1).astype(np.uint8))


def canvas(box: tuple[int, int, int, int] = BOX) -> Image.Image:
    """A red box with a pattern; its rim is as soft as a decoder draws it."""
    product = Image.new("RGBA", SIZE)
    pen = ImageDraw.Draw(product)
    pen.rectangle(box, fill=(170, 40, 50, 255))
    for at in range(145, 275, 26):
        pen.ellipse((at, at - 10, at + 18, at + 12), fill=(230, 200, 90, 255))
    return product


def answer(drawn: Image.Image, strength: float, move: tuple[int, int] = (0, 0)) -> Image.Image:
    picture = scene(strength)
    picture.paste(drawn, move, drawn)
    soft = picture.filter(ImageFilter.GaussianBlur(0.8))
    near = Image.new("L", SIZE)
    near.paste(255, (BOX[0] - 30, BOX[1] - 30, BOX[2] + 30, BOX[3] + 30))
    picture.paste(soft, (0, 0), near)
    return picture


def compared(drawn: Image.Image, strength: float, move: tuple[int, int] = (0, 0)) -> Comparison:
    comparison = compare(canvas(), answer(drawn, strength, move))
    assert comparison is not None
    return comparison


def errors(picture: Image.Image, strength: float) -> NDArray[np.float64]:
    """Mean absolute errors to the bare scene, in the 12 px right of the product."""
    part = (BOX[2] + 2, BOX[1] + 10, BOX[2] + 14, BOX[3] - 10)
    both = [np.asarray(image.crop(part), dtype=float) for image in (picture, scene(strength))]
    return np.asarray(np.abs(both[0] - both[1]).mean())


@pytest.mark.parametrize("texture", TEXTURES)
def test_texture_is_not_growth(texture: str) -> None:
    comparison = compared(canvas(), TEXTURES[texture])
    assert comparison.outline is not None
    assert (comparison.outline.moved == 0).all()
    assert not any(comparison.moved)
    assert Drift(comparison.metrics).score <= 1, comparison.metrics


def test_a_check_of_the_product_s_colour_is_not_growth() -> None:
    """One place of a scene that looks like the product, behind its edge: nothing is repaired."""
    picture = scene(10.0)
    picture.paste((168, 44, 52), (BOX[2] - 20, 150, BOX[2] + 26, 186))
    drawn = canvas()
    picture.paste(drawn, (0, 0), drawn)
    picture = picture.filter(ImageFilter.GaussianBlur(0.8))
    comparison = compare(drawn, picture)
    assert comparison is not None
    assert comparison.outline is not None
    assert (comparison.outline.moved == 0).all()
    cleared = restore.inpaint_product(picture, comparison, (1.0, 1.0))
    beside = (BOX[2] + 4, 0, *SIZE)
    assert cleared.crop(beside).tobytes() == picture.crop(beside).tobytes()


@pytest.mark.parametrize("texture", TEXTURES)
def test_the_rim_is_measured_to_parts_of_a_pixel(texture: str) -> None:
    """Sides that grew by 2, and of which one shrank by 1 px; the growth in a rough scene is less certain."""
    still, grown = (
        compared(canvas(box), TEXTURES[texture]).outline
        for box in (BOX, (BOX[0] - 2, BOX[1] - 2, BOX[2] + 2, BOX[3] - 1))
    )
    assert still is not None
    assert grown is not None
    assert np.abs(still.rim).max() < 0.15
    assert (still.soft > 0).all()
    left, below = grown.normal[:, 0] < -0.9, grown.normal[:, 1] > 0.9
    within = 0.4 if texture == "smooth" else 1.2
    assert grown.rim[left].mean() == pytest.approx(2, abs=within)
    assert grown.rim[below].mean() == pytest.approx(-1, abs=within)


@pytest.mark.parametrize("light", [1.12, 0.88])
def test_a_product_in_another_light_is_seen(light: float) -> None:
    drawn = canvas()
    alpha = drawn.getchannel("A")
    drawn = drawn.point(lambda level: level * light)
    drawn.putalpha(alpha)
    drift = Drift(compared(drawn, 10.0).metrics)
    assert drift.parts["light"] > 1
    assert ("brighter" in drift.sentence) == (light > 1)


@pytest.mark.parametrize("colour", [(6, 6, 6), (180, 4, 4)])
def test_two_levels_more_of_a_dark_colour_are_no_light(colour: tuple[int, int, int]) -> None:
    sent, received = (Image.new("RGBA", SIZE) for _ in range(2))
    sent.paste((*colour, 255), BOX)
    received.paste((*(level + 2 for level in colour), 255), BOX)
    comparison = compare(sent, answer(received, 10.0))
    assert comparison is not None
    assert Drift(comparison.metrics).parts["light"] <= 1


@pytest.mark.parametrize("texture", ["smooth", "rough"])
def test_growth_on_all_sides_is_not_a_move(texture: str) -> None:
    comparison = compared(canvas((BOX[0] - 4, BOX[1] - 4, BOX[2] + 4, BOX[3] + 4)), TEXTURES[texture])
    assert not any(comparison.moved)
    assert comparison.metrics.rim == pytest.approx(4, abs=0.7)
    assert abs(comparison.metrics.right) + abs(comparison.metrics.down) < 1
    assert "larger" in Drift(comparison.metrics).sentence


@pytest.mark.parametrize("texture", TEXTURES)
def test_a_side_that_grew_is_seen_and_removed(texture: str) -> None:
    strength = TEXTURES[texture]
    wide = canvas((BOX[0], BOX[1], BOX[2] + 10, BOX[3]))
    comparison = compared(wide, strength)
    assert comparison.metrics.side > 6
    drawn = answer(wide, strength)
    cleared = restore.inpaint_product(drawn, comparison, (1.0, 1.0))
    assert errors(cleared, strength) < 0.6 * errors(drawn, strength)
    # The other side is untouched.
    left = (0, 0, BOX[0] - 8, SIZE[1])
    assert cleared.crop(left).tobytes() == drawn.crop(left).tobytes()


def mesh(width: int, move: tuple[int, int] = (0, 0)) -> Image.Image:
    """Wires `width` px wide, 16 px apart."""
    product = Image.new("RGBA", SIZE)
    pen, half = ImageDraw.Draw(product), width // 2
    for at in range(0, 161, 16):
        across, down = BOX[0] + at + move[0], BOX[1] + at + move[1]
        pen.rectangle((across - half, BOX[1] + move[1], across + half, BOX[3] + move[1]), fill=(60, 45, 40, 255))
        pen.rectangle((BOX[0] + move[0], down - half, BOX[2] + move[0], down + half), fill=(60, 45, 40, 255))
    return product


@pytest.mark.parametrize("texture", ["smooth", "rough"])
@pytest.mark.parametrize(("width", "move", "most"), [(3, (0, 0), 1.0), (7, (0, 0), 0.8), (3, (2, -1), 0.8)])
def test_a_mesh_is_never_worse_than_pasted(texture: str, width: int, move: tuple[int, int], most: float) -> None:
    """Unchanged, grown by 2 px, and moved: errors of the scene between the wires, against those of the answer."""
    strength = TEXTURES[texture]
    drawn = answer(mesh(width, move), strength)
    comparison = compare(mesh(3), drawn)
    assert comparison is not None
    cleared = restore.inpaint_product(drawn, comparison, (1.0, 1.0))
    free = np.asarray(mesh(3).getchannel("A").crop(BOX)) == 0
    bare = np.asarray(scene(strength).crop(BOX), dtype=float)
    before, after = (np.abs(np.asarray(image.crop(BOX), dtype=float) - bare)[free].mean() for image in (drawn, cleared))
    assert after <= most * before, (before, after)


def test_arcs_of_one_side_do_not_tell_what_the_other_does() -> None:
    """Slightly different displacements on the right, where alone there is a contrast, would make 18 px on the left."""
    oval = Image.new("RGBA", SIZE)
    ImageDraw.Draw(oval).ellipse((180, 30, 240, 330), fill=(170, 40, 50, 255))
    comparison = compare(oval, answer(oval, 2.0))
    assert comparison is not None
    assert comparison.outline is not None
    right = comparison.outline.normal[:, 0]
    seen = replace(comparison.outline, error=np.where(right > 0.9, 0.2, 9).astype(np.float32))
    growth, shift, _ = fit_rigid(seen, (10 - 8 * right).astype(np.float32))
    assert abs(growth - shift) < 2
    assert growth + shift == pytest.approx(2, abs=0.5)


def test_a_button_that_grew_leaves_no_halo() -> None:
    """A product with an outline of five arcs."""
    sent, grown = Image.new("RGBA", SIZE), Image.new("RGBA", SIZE)
    for picture, radius in ((sent, 17), (grown, 22)):
        ImageDraw.Draw(picture).ellipse(
            (210 - radius, 180 - radius, 210 + radius, 180 + radius), fill=(200, 40, 30, 255)
        )
    received = answer(grown, TEXTURES["smooth"])
    comparison = compare(sent, received)
    assert comparison is not None
    ring = ImageChops.subtract(grown.getchannel("A"), sent.getchannel("A").filter(ImageFilter.MaxFilter(3)))
    bare = np.asarray(restore.inpaint_product(received, comparison, (1.0, 1.0)), dtype=int)[np.asarray(ring) > 0]
    assert (bare[:, 0] - bare[:, 1]).mean() < 25  # the button has 160, the scene 7


@pytest.mark.parametrize("texture", TEXTURES)
@pytest.mark.parametrize(("blur", "most"), [(9, 1.0), (1, 0.6)], ids=["unchanged", "hardened"])
def test_a_soft_edge_that_was_hardened_is_removed(texture: str, blur: int, most: float) -> None:
    """The error of the scene below a soft edge, against where coverage is believed to be as sent."""
    sent, redrawn = (canvas(), canvas())
    for picture, sigma in ((sent, 9), (redrawn, blur)):
        picture.paste((170, 40, 50), (0, 0, *SIZE))
        picture.putalpha(canvas().getchannel("A").filter(ImageFilter.GaussianBlur(sigma)))
    received = answer(redrawn, TEXTURES[texture])
    comparison = compare(sent, received)
    assert comparison is not None
    assert comparison.outline is not None
    cover = np.asarray(sent.getchannel("A"), dtype=float) / 255
    soft = (cover > 0.1) & (cover < 0.9)
    truth = np.asarray(redrawn.getchannel("A").filter(ImageFilter.GaussianBlur(0.8)), dtype=float)[soft] / 255
    seen = np.zeros(soft.shape)
    left, top, right, bottom = comparison.box
    seen[top:bottom, left:right] = cover_of(comparison.outline, comparison.alpha)[0]
    before, after = np.abs(cover[soft] - truth).mean(), np.abs(seen[soft] - truth).mean()
    assert after <= max(most * before, 0.02), (before, after)


@pytest.mark.parametrize("texture", TEXTURES)
def test_one_hazy_place_repairs_no_other(texture: str) -> None:
    """Its colours are not those of the edge beside it: networks give such cutouts."""
    sent = canvas()
    ImageDraw.Draw(sent).rectangle((BOX[2] + 1, 170, BOX[2] + 13, 184), fill=(250, 220, 180, 80))
    received = answer(sent, TEXTURES[texture])
    comparison = compare(sent, received)
    assert comparison is not None
    changed = np.asarray(ImageChops.difference(restore.inpaint_product(received, comparison, (1, 1)), received)).max(2)
    outside = np.asarray(sent.getchannel("A").filter(ImageFilter.MaxFilter(7))) == 0
    assert changed[outside].max() <= 2


@pytest.mark.parametrize("light", [0.45, 0.6])
def test_the_shadow_below_a_grey_product_is_not_its_growth(light: float) -> None:
    sent = canvas()
    pixels = np.asarray(sent).copy()
    pixels[..., :3] = pixels[..., :3].mean(-1, keepdims=True)
    sent = Image.fromarray(pixels)
    ground = np.asarray(scene(2.0), dtype=float)
    ground[BOX[3] : BOX[3] + 7, BOX[0] : BOX[2]] *= light
    received = Image.fromarray(gaussian_blur(ground.astype(np.float32), 1.2).astype(np.uint8))
    received.paste(sent, (0, 0), sent)
    comparison = compare(sent, received)
    assert comparison is not None
    assert Drift(comparison.metrics).score < 1
    changed = np.asarray(ImageChops.difference(restore.inpaint_product(received, comparison, (1, 1)), received)).max(2)
    assert changed[BOX[3] + 4 :].max() <= 2


@pytest.mark.parametrize("haze", [60, 110])
def test_haze_in_a_hole_is_not_growth(haze: int) -> None:
    """No scene is seen there: an imperfect cutout, as networks make them."""
    sent = canvas()
    pen = ImageDraw.Draw(sent)
    pen.rectangle((142, 112, 278, 248), fill=(120, 60, 160, haze))
    pen.rectangle((142, 170, 278, 186), fill=(170, 40, 50, 255))
    comparison = compare(sent, answer(sent, 2.0))
    assert comparison is not None
    assert comparison.outline is not None
    assert max(map(abs, comparison.outline.blurred)) < 0.5
    assert Drift(comparison.metrics).score < 0.5


def test_a_product_of_a_few_rows_is_compared() -> None:
    sent = Image.new("RGBA", (1600, 3))
    sent.paste((200, 40, 30, 255), (100, 0, 1500, 3))
    assert compare(sent, sent.convert("RGB")) is not None


def test_a_move_is_followed_where_texture_and_outline_agree() -> None:
    comparison = compared(canvas(), 20.0, (7, -5))
    assert comparison.moved == pytest.approx((7, -5), abs=0.3)
    assert comparison.outline is not None
    assert (comparison.outline.moved == 0).all()


def test_a_part_beside_the_product_is_seen() -> None:
    drawn = canvas()
    ImageDraw.Draw(drawn).ellipse((BOX[2] - 10, 150, BOX[2] + 70, 220), fill=(170, 40, 50, 255))
    assert compared(drawn, 10.0).metrics.added > 0.1


def test_a_part_that_is_missing_is_seen() -> None:
    drawn = canvas()
    drawn.paste((0, 0, 0, 0), (BOX[2] - 40, BOX[1], BOX[2] + 1, BOX[3] + 1))
    assert Drift(compared(drawn, 10.0).metrics).parts["missing"] > 1


def test_segment_is_still_taken_and_changes_nothing(keyed: Command) -> None:
    saved(Path("a.png"))
    assert keyed("run", "a.png", "-d", SCENE, "--sandbox", "--segment").code == 0
    assert "--segment" not in keyed("finish", "--help").out
