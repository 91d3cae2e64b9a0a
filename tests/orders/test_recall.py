"""A photo that lies prepared is not decoded or inferred again."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from photio_prep import Order, prepare
from photio_prep.cutout import matte as matte_
from photio_prep.cutout.models import segmenter
from photio_prep.cutout.options import CutoutOptions
from photio_prep.errors import SegmenterFailed
from photio_prep.orders import store
from photio_prep.orders.folder import OrderFolder
from photio_prep.orders.recall import CACHE_DIR
from photio_prep.quality import Verdict
from tests.support.fakes import BrightMatter
from tests.support.photos import SCENE, encoded, mask, photo, saved
from tests.support.sampling import sampled

FIXTURE = Path(__file__).parents[2] / "fixtures" / "photos" / "carton.jpg"


@pytest.fixture
def composed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by one whenever a cutout is made."""
    counted: list[str] = []
    real = matte_.compose

    def counting(*args: object, **options: object) -> Image.Image:
        counted.append("made")
        return real(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(matte_, "compose", counting)
    return counted


def drawn(tmp_path: Path, name: str = "a.png", **options: Any) -> Order:
    """An order of the same photo under `name`, cut out by a mask, so that no model is needed."""
    source = saved(tmp_path / name, photo())
    return prepare(source, mask=mask(), orders=tmp_path / "orders", **{"description": SCENE, **options})


@pytest.mark.model
def test_the_real_model_looks_once_at_a_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepare(FIXTURE, description=SCENE, model="u2netp", orders=tmp_path)

    def trap(*_: object) -> None:
        raise AssertionError("inferred again")

    monkeypatch.setattr(segmenter.OnnxSegmenter, "probability", trap)
    again = prepare(FIXTURE, description=SCENE, model="u2netp", orders=tmp_path)
    other = prepare(FIXTURE, description=SCENE + " at night", model="u2netp", orders=tmp_path)
    assert (again.key, again.model, again.device) == (first.key, "u2netp", first.device)
    assert again.origin == first.origin
    assert other.key != first.key
    assert other.canvas.png == first.canvas.png
    with pytest.raises(SegmenterFailed, match="inferred again"):
        prepare(FIXTURE, description=SCENE, model="u2netp", orders=tmp_path, cutting=CutoutOptions(grow=2))


def test_the_same_command_makes_no_second_cutout(tmp_path: Path, composed: list[str]) -> None:
    first, second = drawn(tmp_path), drawn(tmp_path)
    assert first.folder == second.folder
    assert len(composed) == 1
    assert first.cutout is not None
    assert second.cutout is not None
    assert np.array_equal(np.asarray(first.cutout), np.asarray(second.cutout))


def test_other_words_get_another_order_with_all_that_belongs_to_one(tmp_path: Path, composed: list[str]) -> None:
    first = drawn(tmp_path)
    second = drawn(
        tmp_path, description="on a beach at noon, waves behind", seed=5, endpoint="https://other.example/v1"
    )
    assert len(composed) == 1
    assert second.folder is not None
    assert second.folder != first.folder
    assert (second.request.seed, second.endpoint) == (5, "https://other.example/v1")
    assert {"photo.jpg", "cutout.png"} <= {each.name for each in second.folder.iterdir()}
    kept = store.load_order(second.folder)
    assert kept.request.description == "on a beach at noon, waves behind"
    assert kept.origin.gate == first.origin.gate
    assert kept.origin.gate is not None
    assert kept.origin.gate.verdict in Verdict


def test_a_twin_under_another_name_wants_the_same_order(tmp_path: Path, composed: list[str]) -> None:
    first, twin = drawn(tmp_path, "a.png", output="a"), drawn(tmp_path, "b.png", output="b")
    assert first.folder == twin.folder
    assert len(composed) == 1
    assert first.folder is not None
    assert {each.output for each in OrderFolder(first.folder).photos()} == {"a", "b"}


def test_what_is_remarked_on_follows_the_words_and_the_name(tmp_path: Path, composed: list[str]) -> None:
    short = drawn(tmp_path, description="leather shoe")
    assert short.origin.warnings != ()
    assert drawn(tmp_path).origin.warnings == ()
    named_otherwise = drawn(tmp_path, "a.webp.jpg").origin.warnings
    assert len(composed) == 2, "a JPEG's bytes are others"
    (tmp_path / "c.jpg").write_bytes((tmp_path / "a.png").read_bytes())
    told = prepare(tmp_path / "c.jpg", description=SCENE, mask=mask(), orders=tmp_path / "orders").origin.warnings
    assert named_otherwise == ()
    assert told == ("named .jpg, but is a PNG file",)


@sampled("other", [{"size": "Square"}, {"cutting": CutoutOptions(feather=2)}, {"alpha": "ignore"}], 1)
def test_another_wish_is_made_anew(tmp_path: Path, composed: list[str], other: dict[str, Any]) -> None:
    drawn(tmp_path)
    drawn(tmp_path, **other)
    assert len(composed) == 2


def test_another_mask_is_another_wish_and_a_stream_is_read_once(tmp_path: Path, composed: list[str]) -> None:
    source = saved(tmp_path / "a.png", photo())
    first = prepare(source, mask=io.BytesIO(encoded(mask())), orders=tmp_path / "orders")
    whole = Image.new("L", mask().size, 255)
    other = prepare(source, mask=io.BytesIO(encoded(whole)), orders=tmp_path / "orders")
    assert len(composed) == 2
    assert first.canvas.png != other.canvas.png


@sampled("damage", ["note", "no note", "order", "canvas"], 2)
def test_what_is_damaged_is_made_again(tmp_path: Path, composed: list[str], damage: str) -> None:
    first = drawn(tmp_path)
    assert first.folder is not None
    note = next((tmp_path / "orders" / CACHE_DIR).iterdir())
    if damage == "note":
        note.write_text("../../elsewhere x\n")
    elif damage == "no note":
        note.unlink()
    elif damage == "order":
        note.write_text(f"{'0' * 32} {first.origin.id}\n")
    else:
        (first.folder / "canvas.png").write_bytes(b"")
    drawn(tmp_path)
    assert len(composed) == 2


def test_pictures_in_memory_and_matters_of_the_users_own_go_the_whole_way(tmp_path: Path) -> None:
    matter = BrightMatter()
    for _ in range(2):
        prepare(encoded(photo()), model=matter, orders=tmp_path)
        prepare(photo(), mask=mask(), orders=tmp_path)
    assert not (tmp_path / CACHE_DIR).exists()


def test_in_memory_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    prepare(encoded(photo()), mask=mask())
    assert list(tmp_path.iterdir()) == []
