"""The harsh redraw: each amount that is planted can be measured, and the scene without the product is exact."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from bench.redraw import KIND, Redrawn, Side, redraw
from bench.textures import TEXTURES, paint_texture
from photio_prep.api.client import InstantClient
from photio_prep.sandbox import Sandbox, SceneRequest, paint_answer
from tests.sandbox.test_scene import canvas
from tests.support.photos import request

CANVAS = canvas((480, 400))
SCENE = paint_texture("plain", CANVAS.size, 1)


def redrawn(**amounts: object) -> Redrawn:
    return redraw(SCENE, CANVAS, replace(KIND, **amounts))  # type: ignore[arg-type]


def alpha(picture: Image.Image) -> npt.NDArray[np.float64]:
    return np.asarray(picture.getchannel("A"), dtype=float) / 255


def levels(picture: Image.Image) -> npt.NDArray[np.float64]:
    return np.asarray(picture.convert("RGB"), dtype=float)


CORE = alpha(CANVAS) == 1
FAR = alpha(CANVAS) == 0
AREA = alpha(CANVAS).sum()


def extent(picture: Image.Image) -> tuple[float, float, float, float]:
    """Left, top, right and bottom end of the product, in parts of a pixel: widest row and column."""
    product = alpha(picture)
    middle_row, middle_column = product[product.shape[0] // 2], product[:, product.shape[1] // 2]
    half = product.shape[1] // 2, product.shape[0] // 2
    return (
        half[0] - middle_row[: half[0]].sum(),
        half[1] - middle_column[: half[1]].sum(),
        half[0] + middle_row[half[0] :].sum(),
        half[1] + middle_column[half[1] :].sum(),
    )


def test_the_kind_redraw_changes_neither_outline_nor_scene() -> None:
    kind = redrawn()
    assert np.array_equal(alpha(kind.product), alpha(CANVAS))
    assert kind.scene.tobytes() == SCENE.tobytes()
    assert np.array_equal(levels(kind.answer)[FAR], levels(SCENE)[FAR])
    assert np.abs(levels(kind.answer) - levels(CANVAS))[CORE].mean() < 2


@pytest.mark.parametrize("grow", [-3.0, 0.5, 2.5, 6.0])
def test_growth_is_of_parts_of_a_pixel_on_all_sides(grow: float) -> None:
    moved = np.subtract(extent(redrawn(grow=grow).product), extent(CANVAS))
    assert moved == pytest.approx([-grow, -grow, grow, grow], abs=0.5)


@pytest.mark.parametrize(("side", "index"), [("left", 0), ("top", 1), ("right", 2), ("bottom", 3)])
@pytest.mark.parametrize("grow", [-5, 8])
def test_growth_on_one_side_leaves_the_others(side: Side, index: int, grow: int) -> None:
    moved = np.subtract(extent(redrawn(grow=grow, grow_side=side).product), extent(CANVAS))
    expected = [0.0] * 4
    expected[index] = grow if index > 1 else -grow
    assert moved == pytest.approx(expected, abs=0.6)


def test_moves_and_zooms_are_of_parts_of_a_pixel() -> None:
    assert np.subtract(extent(redrawn(move=(3.5, -1.25)).product), extent(CANVAS)) == pytest.approx(
        [3.5, -1.25, 3.5, -1.25], abs=0.2
    )
    assert alpha(redrawn(zoom=0.05).product).sum() == pytest.approx(AREA * 1.05**2, rel=0.01)


@pytest.mark.parametrize(("amounts", "sign"), [({"added": 0.1}, 1), ({"missing": 0.1}, -1)])
@pytest.mark.parametrize("seed", range(3))
def test_a_part_has_the_planted_area(amounts: dict[str, float], sign: int, seed: int) -> None:
    product = alpha(redrawn(**amounts, seed=seed).product)
    assert sign * (product.sum() / AREA - 1) == pytest.approx(0.1, abs=0.02)


def test_light_label_and_softness_stay_within_the_outline() -> None:
    for amounts in (
        {"gain": 0.2},
        {"relight": 0.3},
        {"blur": 2.0},
        {"label_redrawn": 0.2},
        {"halved": 0.5},
        {"wrap": 0.4},
    ):
        changed = redrawn(**amounts)
        assert np.array_equal(levels(changed.answer)[FAR], levels(SCENE)[FAR]), amounts
        assert np.abs(levels(changed.answer) - levels(redrawn().answer))[CORE].mean() > 0.2, amounts
    brighter = levels(redrawn(gain=0.2).answer)[CORE].mean() / levels(redrawn().answer)[CORE].mean()
    assert brighter == pytest.approx(1.2**0.5, abs=0.02)  # in display values


def test_shadow_and_reflection_belong_to_the_scene() -> None:
    ground = redrawn(contact=0.6, reflection=0.4)
    assert np.array_equal(levels(ground.answer)[FAR], levels(ground.scene)[FAR])
    below = round(extent(CANVAS)[3]) + 3
    assert levels(ground.scene)[below, CANVAS.width // 2].mean() < 0.7 * levels(SCENE)[below, CANVAS.width // 2].mean()


def test_noise_has_the_planted_strength_and_no_mean() -> None:
    noise = (levels(redrawn(chroma=4).answer) - levels(SCENE))[FAR]
    assert noise.std() == pytest.approx(4, abs=0.8)
    assert abs(noise.mean()) < 0.2
    assert redrawn(jpeg=80).answer.tobytes() != redrawn().answer.tobytes()


def test_the_same_seed_gives_the_same_answer() -> None:
    amounts = {"warp": 3.0, "label_warp": 3.0, "added": 0.05, "halved": 0.4, "chroma": 3.0}
    first, second, other = (redrawn(**amounts, seed=seed).answer.tobytes() for seed in (1, 1, 2))
    assert first == second != other


@pytest.mark.parametrize("name", TEXTURES)
def test_textures_differ_by_seed_and_are_rough(name: str) -> None:
    texture = paint_texture(name, (320, 240), 3)
    assert texture.size == (320, 240)
    assert texture.tobytes() != paint_texture(name, (320, 240), 4).tobytes()
    assert (levels(texture).std() > 15) == (name != "plain")


def test_planting_nothing_paints_what_the_sandbox_paints() -> None:
    sent = SceneRequest("on oak, golden evening light", CANVAS, b"")
    assert KIND.paint(sent, 5).tobytes() == paint_answer(sent, 5).tobytes()


def test_a_sandbox_redraws_harshly_where_it_is_asked_to() -> None:
    pictures = []
    for changes in (KIND, replace(KIND, texture="pebbles", grow=3)):
        with Sandbox(paint=changes.paint) as sandbox:
            pictures.append(InstantClient("pt-any-key", api_url=sandbox.url).send(request()).image)
    assert levels(pictures[1]).std() > levels(pictures[0]).std()
