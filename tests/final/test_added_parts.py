"""What a model finds in an answer: what was added, what is missing, and nothing where nothing was changed."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from photio_prep import Size
from photio_prep.api.client import InstantClient
from photio_prep.cutout.models.registry import get_model
from photio_prep.final.added_parts import find_added_parts
from photio_prep.final.drift import measure_drift
from photio_prep.geometry import Box
from photio_prep.orders.store import SANDBOX
from photio_prep.pipeline import generate, prepare
from photio_prep.quality import Drift, Outline
from photio_prep.sandbox import Sandbox
from tests.support.commands import Command
from tests.support.fakes import BrightMatter
from tests.support.photos import SCENE, saved
from tests.support.sampling import sampled

FIXTURES = Path(__file__).parents[2] / "fixtures" / "photos"
CANVAS = Size(200, 120)
BOX = Box(10, 0, 190, 120)


def canvas(left: int = 60, right: int = 140) -> Image.Image:
    """A white product on nothing, 60 px high."""
    made = Image.new("RGBA", CANVAS)
    made.paste((255, 255, 255, 255), (left, 30, right, 90))
    return made


def answer(*boxes: tuple[int, int, int, int]) -> Image.Image:
    """White boxes on black: what a bright matter finds."""
    made = Image.new("RGB", CANVAS)
    for each in boxes:
        made.paste((255, 255, 255), each)
    return made


def looked(seen: Image.Image, sent: Image.Image | None = None) -> Outline:
    return find_added_parts(sent or canvas(), seen, BOX, BrightMatter())


def test_what_came_back_as_it_was_sent() -> None:
    assert looked(answer((60, 30, 140, 90)))[:2] == (0.0, 0.0)


def test_a_rim_of_a_few_pixels_is_not_its_matter() -> None:
    assert looked(answer((56, 26, 144, 94)))[:2] == (0.0, 0.0)
    assert looked(answer((64, 34, 136, 86)))[:2] == (0.0, 0.0)


def test_an_arm_on_one_side_is_added() -> None:
    found = looked(answer((60, 30, 140, 90), (140, 50, 170, 70)))
    # 30 px of arm, of which the nearest 6 are within its error, off 20 px of height: of 80 x 60.
    assert found.added == pytest.approx(24 * 20 / 4800, abs=0.01)
    assert found.missing == 0
    assert Drift(measure_drift(canvas(), answer((60, 30, 140, 90))), found).parts["added"] > 1


def test_a_thing_beside_it_is_the_scenes() -> None:
    assert looked(answer((60, 30, 140, 90), (155, 40, 185, 80))).added == 0


def test_the_padding_is_nobodys_picture() -> None:
    seen = answer((60, 30, 140, 90), (0, 0, 10, 120), (190, 0, 200, 120))
    assert looked(seen)[:2] == (0.0, 0.0)


def test_what_is_hidden_is_missing() -> None:
    found = looked(answer((60, 30, 100, 90)))
    assert found.missing == pytest.approx(0.5 - 6 / 80, abs=0.02)
    assert looked(answer()).missing == 1.0
    assert looked(answer((20, 100, 40, 118))).missing == 1.0, "something else was found"


def test_nothing_was_sent() -> None:
    assert looked(answer((60, 30, 140, 90)), Image.new("RGBA", CANVAS))[:2] == (0.0, 0.0)


@pytest.mark.soak
@pytest.mark.model
@sampled("name", ["mug", "vase", "toy"], 1)
def test_the_real_model_sees_an_arm_and_nothing_where_nothing_is(name: str) -> None:
    matter = get_model("u2netp")
    with Sandbox() as sandbox:
        client = InstantClient("pt-sandbox", api_url=sandbox.url, endpoint=SANDBOX)
        order = prepare(FIXTURES / f"{name}.jpg", description=SCENE, model=matter, endpoint=SANDBOX)
        seen = generate(order, client=client, gate="off").image
    found = find_added_parts(order.canvas.image, seen, order.placement.box, matter)
    assert Drift(measure_drift(order.canvas.image, seen), found).score <= 1
    alpha = np.asarray(order.canvas.image.getchannel("A")) >= 128
    rows, columns = np.nonzero(alpha)
    middle, right = int(rows.mean()), int(columns[np.abs(rows - rows.mean()) < 3].max())
    colour = tuple(int(each / 3) for each in np.asarray(seen)[alpha].mean(0))
    ImageDraw.Draw(seen).ellipse((right - 40, middle - 60, right + 120, middle + 60), fill=colour)
    armed = find_added_parts(order.canvas.image, seen, order.placement.box, matter)
    judged = Drift(measure_drift(order.canvas.image, seen), armed)
    assert judged.parts["added"] > 1
    assert "added something to it" in judged.sentence


def test_the_command_line_asks_only_when_told_to(keyed: Command) -> None:
    saved(Path("a.png"))
    assert keyed("run", "a.png", "-d", SCENE, "--sandbox", "--json").facts[0]["drift"].get("outline") is None
    without = keyed("finish", "photio-out", "--json").facts[0]["drift"]
    assert "added" not in without["parts"]


@pytest.mark.soak
@pytest.mark.model
def test_the_command_line_looks_with_a_model(keyed: Command) -> None:
    keyed("run", FIXTURES / "carton.jpg", "-d", SCENE, "--sandbox", "--model", "u2netp")
    said = keyed("finish", "photio-out", "--segment", "--json")
    assert said.code == 0
    drift = said.facts[0]["drift"]
    assert drift["outline"]["model"] == "u2netp"
    assert drift["parts"]["added"] <= 1
    assert keyed("finish", "photio-out", "--segment", "--json").facts[0]["drift"] == drift


def test_segment_is_not_for_a_cluster(keyed: Command) -> None:
    saved(Path("a.png"))
    said = keyed("run", "a.png", "-d", SCENE, "--sandbox", "--engine", "ray", "--segment")
    assert (said.code, "--segment" in said.err) == (2, True)
