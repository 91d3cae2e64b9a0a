"""The generator of scenes: what is drawn, what shapes stand on, and one tiny render where Mitsuba is installed."""

import importlib.util
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from meshes import Mesh
from PIL import Image
from scenes.recipe import FAMILIES, draw_recipe, list_recipes
from scenes.soft import PRODUCTS, build
from scenes.strands import Strands

FIXTURES = Path(__file__).parents[1] / "fixtures"
RECIPES = list_recipes(240)


def levels(code: str) -> list[int]:
    return [int(code[at : at + 2], 16) for at in (0, 2, 4)]


def test_a_family_and_a_number_say_everything() -> None:
    assert draw_recipe("fur", 3) == draw_recipe("fur", 3)
    assert len({recipe.seed for recipe in RECIPES}) == len({recipe.name for recipe in RECIPES}) == 240
    later = list_recipes(240, start=12)
    assert not {recipe.seed for recipe in RECIPES} & {recipe.seed for recipe in later}


def test_any_beginning_holds_all_families() -> None:
    assert len(FAMILIES) >= 12
    for count in (60, 240):
        held = Counter(recipe.family for recipe in list_recipes(count))
        assert set(held) == set(FAMILIES)
        assert max(held.values()) - min(held.values()) <= 1


def test_every_product_can_be_built_and_stands_on_the_ground() -> None:
    drawn = {name for family in FAMILIES.values() for name in family.products}
    assert drawn <= set(PRODUCTS)
    for name in PRODUCTS:
        bodies = [body for body, _ in build(name, np.random.default_rng(len(name)))]
        points = np.vstack([body.points for body in bodies])
        assert np.isfinite(points).all(), name
        assert points[:, 2].min() == pytest.approx(0), name
        assert 3 < np.ptp(points, axis=0).max() < 50, name
        normals = np.vstack([body.normals for body in bodies if isinstance(body, Mesh)])
        assert np.allclose(np.linalg.norm(normals, axis=1), 1, atol=0.05), name


def test_families_are_what_they_are_called() -> None:
    for recipe in RECIPES:
        family = FAMILIES[recipe.family]
        assert family.share[0] <= recipe.share <= family.share[1]
        own, ground = levels(recipe.colour), levels(recipe.ground_colour)
        if recipe.family == "white":
            assert min(own + ground) > 0.85 * 255
        if recipe.family == "black":
            assert max(own + ground) < 0.21 * 255
        if recipe.family == "alike":
            assert max(abs(a - b) for a, b in zip(own, ground, strict=True)) <= 9
        if recipe.family == "several":
            assert recipe.copies >= 2
    assert all(recipe.share > 1 for recipe in RECIPES if recipe.family == "tight")


def test_strands_are_written_as_mitsuba_reads_them(tmp_path: Path) -> None:
    strands = Strands(np.arange(18, dtype=float).reshape(2, 3, 3), np.array([0.3, 0.2, 0.1])).moved(z=1)
    strands.write(tmp_path / "hair")
    curves = (tmp_path / "hair").read_text().strip().split("\n\n")
    assert [len(curve.splitlines()) for curve in curves] == [3, 3]
    assert [float(part) for part in curves[1].splitlines()[2].split()] == [15, 16, 18, 0.1]


def rendering(out: Path, count: int) -> tuple[list[str], dict[str, str]]:
    """The command that renders scenes, and its environment; skips where they cannot be rendered."""
    if not importlib.util.find_spec("mitsuba") or not os.environ.get("DRJIT_LIBLLVM_PATH"):
        pytest.skip("rendering needs the extra [fixtures] and DRJIT_LIBLLVM_PATH")
    command = [sys.executable, "-m", "scenes", str(out), "--only", "white", "--count", str(count)]
    return command, {**os.environ, "PYTHONPATH": str(FIXTURES)}


@pytest.mark.soak
def test_a_render_has_a_photo_alpha_and_foreground_of_one_size(tmp_path: Path) -> None:
    command, environment = rendering(tmp_path, 1)
    for _ in range(2):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == f"1 scenes are in {tmp_path}\n", "the second run renders nothing again"
    photo, alpha, cutout = (
        Image.open(tmp_path / file)
        for file in ("image/white__000.jpg", "alpha/white__000.png", "foreground/white__000.webp")
    )
    assert photo.size == alpha.size == cutout.size == draw_recipe("white", 0).size
    covered = np.asarray(alpha)
    assert np.array_equal(covered, np.asarray(cutout.convert("RGBA"))[..., 3])
    assert covered.min() == 0
    assert covered.max() == 255
    assert (tmp_path / "scenes.csv").read_text().startswith("name,family,number,seed,product,material")


@pytest.mark.soak
def test_a_run_that_is_ended_says_so_and_is_taken_up_again(tmp_path: Path) -> None:
    command, environment = rendering(tmp_path, 3)
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        assert running.stderr.readline().startswith("1/3 white__000")
        running.terminate()
        assert running.stderr.read().endswith("Run it again: it goes on from there\n")
    assert running.returncode == 1
    assert len([*(tmp_path / "image").glob("*.jpg")]) < 3
