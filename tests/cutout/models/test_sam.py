"""Points and boxes: read, checked, and followed by rembg's own SAM session on real networks."""

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from photio_prep import pipeline
from photio_prep.cutout.models import catalog
from photio_prep.cutout.models import sam as pointed
from photio_prep.cutout.models.prompts import Hints
from photio_prep.errors import ModelUnavailable, NoProduct, UsageError
from photio_prep.geometry import Size
from photio_prep.orders.origin import CutoutRecord
from photio_prep.orders.store import Order
from tests.support import sam
from tests.support.commands import Command

# A red and a blue disc on a light table, in a photo that is not of SAM's shape.
PHOTO = Size(700, 900)
RED, BLUE = (200, 250), (480, 640)
RADIUS = 120


def picture() -> Image.Image:
    image = Image.new("RGB", PHOTO, (225, 220, 210))
    draw = ImageDraw.Draw(image)
    draw.circle(RED, RADIUS, fill=(190, 40, 40))
    draw.circle(BLUE, RADIUS, fill=(40, 60, 170))
    return image


@pytest.fixture(scope="session")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sam")
    encoder, decoder = (folder / row.file for row in catalog.sam_weights())
    sam.save(encoder, decoder)
    return folder


@pytest.fixture
def installed(networks: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The two networks where SAM's weights belong, pinned in place of them."""
    rows = tuple(
        replace(row, sha256=sha256((networks / row.file).read_bytes()).hexdigest(), md5=None)
        for row in catalog.sam_weights()
    )
    monkeypatch.setattr(catalog, "sam_weights", lambda: rows)
    monkeypatch.setenv("PHOTIO_MODELS", str(networks))
    pointed.load_sam.cache_clear()
    yield networks
    pointed.load_sam.cache_clear()


def alpha_of(order: Order) -> NDArray[np.uint8]:
    """At the photo's size."""
    assert order.cutout is not None
    return np.asarray(order.cutout.getchannel("A").resize(PHOTO, Image.Resampling.LANCZOS))


def share(order: Order, middle: tuple[int, int]) -> float:
    """How much of the disc there is product."""
    alpha = alpha_of(order)
    disc = Image.new("L", PHOTO)
    ImageDraw.Draw(disc).circle(middle, RADIUS, fill=255)
    return float(np.minimum(np.asarray(alpha), np.asarray(disc)).sum() / np.asarray(disc).sum())


def both(**hints: Any) -> tuple[float, float]:
    order = pipeline.prepare(picture(), **hints)
    assert order.model == "sam"
    return share(order, RED), share(order, BLUE)


def test_a_point_chooses_the_product(installed: Path) -> None:
    red, blue = both(points=[RED])
    assert red > 0.98
    assert blue < 0.01
    red, blue = both(points=[BLUE])
    assert red < 0.01
    assert blue > 0.98


def test_several_points_are_one_product(installed: Path) -> None:
    assert min(both(points=[RED, BLUE])) > 0.98


@pytest.mark.soak
def test_a_box_keeps_what_is_in_it_and_a_point_in_it_the_colour(installed: Path) -> None:
    red, blue = both(points=[RED, BLUE], box=(0, 0, 700, 420))
    assert red > 0.98
    assert blue < 0.01
    order = pipeline.prepare(picture(), box=(50, 100, 350, 400))
    rows, columns = np.nonzero(alpha_of(order) > 127)
    found = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    assert np.allclose(found, (50, 100, 350, 400), atol=5)


@pytest.mark.soak
def test_a_point_that_is_none_of_it_takes_away(installed: Path) -> None:
    """Red alone within a box that holds everything: the table and the blue disc are said to be none of it."""
    red, blue = both(points=[(*BLUE, False), (650, 50, False)], box=(0, 0, *PHOTO))
    assert red > 0.98
    assert blue < 0.01


def test_the_edge_is_the_pictures_own(installed: Path) -> None:
    """The network's mask is cut hard at a fraction of the picture's size; the cutout's rim is that of the disc."""
    order = pipeline.prepare(picture(), points=[RED])
    alpha = alpha_of(order)
    y, x = np.indices(alpha.shape)
    away = np.hypot(x - RED[0], y - RED[1]) - RADIUS
    assert (alpha[away < -4] > 250).all()
    assert (alpha[(away > 4)] < 5).all()


def test_where_nothing_is_found_the_photo_is_refused(installed: Path) -> None:
    with pytest.raises(NoProduct):
        pipeline.prepare(picture(), points=[RED], box=(600, 800, 640, 840))


@pytest.mark.soak
def test_another_point_is_another_wish(installed: Path, tmp_path: Path) -> None:
    told = {pipeline.prepare(picture(), points=[point]).origin.options for point in (RED, BLUE)}
    told |= {pipeline.prepare(picture(), points=[RED], box=(0, 0, 700, 420)).origin.options}
    assert len(told) == 3
    assert any(isinstance(each, CutoutRecord) and (200, 250, True) in each.hints.points for each in told)


@pytest.mark.parametrize(
    "wrong",
    [
        {"points": [(700, 10)]},
        {"points": [(-1, 10)]},
        {"points": [(10, 900)]},
        {"points": [(float("nan"), 10)]},
        {"points": [(1, 2, 3, 4)]},
        {"points": [(10,)]},
        {"points": [(10, 10, False)]},
        {"box": (10, 10, 10, 20)},
        {"box": (10, 10, 701, 20)},
        {"box": (10, 10, 20)},
        {"points": [RED], "model": "u2netp"},
        {"points": [RED], "mask": Image.new("L", PHOTO, 255)},
    ],
    ids=lambda wrong: " ".join(f"{name}={'picture' if name == 'mask' else value}" for name, value in wrong.items()),
)
def test_what_cannot_be_meant_is_refused_before_anything_is_loaded(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        pipeline.prepare(picture(), **wrong)
    assert caught.value.exit_code == 2


def test_the_corners_of_the_photo_are_in_it() -> None:
    hints = Hints.of([(0, 0), (699.9, 899.9)], (0, 0, *PHOTO))
    hints.check(PHOTO, "shoe.jpg")


def test_sam_needs_a_hint_and_a_hint_needs_sam(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="point or a box"):
        pipeline.prepare(picture(), model=pointed.Sam())
    monkeypatch.setenv("PHOTIO_MODELS", str(tmp_path))
    with pytest.raises(ModelUnavailable, match="models pull sam-encoder sam-decoder") as caught:
        pipeline.prepare(picture(), points=[RED], model=pointed.Sam())
    assert caught.value.exit_code == 11
    with pytest.raises(UsageError, match="--point"):
        pipeline.prepare(picture(), model="sam-encoder")


def test_damaged_weights_are_not_loaded(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for row in catalog.sam_weights():
        data = bytearray((installed / row.file).read_bytes())
        data[-1] ^= 1
        (tmp_path / row.file).write_bytes(data)
    monkeypatch.setenv("PHOTIO_MODELS", str(tmp_path))
    with pytest.raises(ModelUnavailable, match="damaged"):
        pipeline.prepare(picture(), points=[RED])


def test_the_command_line_points_too(installed: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOTIO_MODELS", str(installed))
    picture().save("discs.png")
    said = command("prepare", "discs.png", "--point", "200,250", "--not-point", "480,640")
    assert (said.code, len(said.paths)) == (0, 1)
    assert "cut out with: sam on cpu" in said.err
    with Image.open(said.paths[0] / "cutout.png") as cutout:
        alpha = np.asarray(cutout.getchannel("A").resize(PHOTO))
    assert alpha[250, 200] == 255
    assert alpha[640, 480] == 0
    other = command("prepare", "discs.png", "--box", "360,520,600,760")
    assert other.code == 0
    assert other.paths != said.paths


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--point", "200"), 2),
        (("--point", "a,b"), 2),
        (("--box", "1,2,3"), 2),
        (("--point", "800,10"), 2),
        (("--not-point", "10,10"), 2),
        (("--point", "200,250", "--model", "u2netp"), 2),
        (("--point", "200,250"), 11),
    ],
    ids=str,
)
def test_the_command_line_says_what_is_wrong(
    arguments: tuple[str, ...], code: int, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PHOTIO_MODELS", str(tmp_path))
    pointed.load_sam.cache_clear()
    picture().save("discs.png")
    said = command("prepare", "discs.png", *arguments)
    assert said.code == code
    assert not said.out
