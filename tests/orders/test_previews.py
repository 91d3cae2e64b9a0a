"""Two pictures to look at beside each order."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photio_prep import pipeline
from photio_prep.errors import StorageFailed
from photio_prep.orders import previews
from photio_prep.quality import Reason, Verdict
from tests.support import photos
from tests.support.commands import Command
from tests.support.fakes import BrightMatter
from tests.support.photos import revise

PINK = (255, 0, 170)


def pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("RGB"))


def test_the_outline_runs_around_the_product_and_not_through_it() -> None:
    cut = photos.cutout((400, 300))
    seen = previews.draw_overlay(cut.convert("RGB"), cut)
    assert seen.size == (800, 300)
    left = (pixels(seen)[:, :400] == PINK).all(axis=2)
    rows, columns = np.nonzero(left)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (98, 301, 73, 226)
    assert not left[80:220, 110:290].any()
    assert not left[:70].any()


def test_the_right_half_is_the_cutout_on_a_board() -> None:
    cut = photos.cutout((400, 300))
    right = pixels(previews.draw_overlay(cut.convert("RGB"), cut))[:, 400:]
    assert {tuple(each) for each in right[:60].reshape(-1, 3).tolist()} == {(190, 190, 190), (235, 235, 235)}
    assert (right[100:200, 150:250] == np.asarray(cut)[100:200, 150:250, :3]).all()


def test_the_place_of_a_reason_is_framed_and_named() -> None:
    cut = photos.cutout((400, 300))
    plain = pixels(previews.draw_overlay(Image.new("RGB", cut.size), cut))
    here, note = (0.1, 0.4, 0.2, 0.9), (0, 0, 1, 1)
    reasons = Reason("doubtful", Verdict.STOP, "x", here), Reason("cut", Verdict.WARN, "x", here)
    framed = pixels(previews.draw_overlay(Image.new("RGB", cut.size), cut, reasons))
    rows, columns = np.nonzero((framed[:, :400] != plain[:, :400]).any(axis=2))
    assert (columns.min(), rows.max()) == (40, 269)
    assert (framed[140, 40] == (200, 0, 0)).all()
    assert rows.min() < 118  # the word above it
    assert not (framed[160:260, 45:75] != plain[160:260, 45:75]).any()
    assert (framed[:, 400:] == plain[:, 400:]).all()
    nowhere = previews.draw_overlay(Image.new("RGB", cut.size), cut, (Reason("small", Verdict.STOP, "x"),))
    assert (pixels(nowhere) == plain).all()
    tiny = previews.draw_overlay(Image.new("RGB", (1, 1)), cut, (Reason("x", Verdict.WARN, "x", note),))
    assert tiny.size == (2, 1)
    # Words of records may be somebody else's.
    previews.draw_drift(cut, cut.convert("RGB"), [("a\nb\0", here)])


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (2688, 1536)])
def test_any_size_is_drawn_and_none_is_large(size: tuple[int, int]) -> None:
    seen = previews.draw_overlay(Image.new("RGB", size), Image.new("RGBA", size, (9, 9, 9, 255)))
    assert seen.width <= 1600
    assert seen.height <= 800


def test_both_are_drawn_once_from_what_the_order_keeps(tmp_path: Path) -> None:
    order = pipeline.prepare(photos.photo((900, 700)), model=BrightMatter(), orders=tmp_path)
    assert order.folder is not None
    assert not (order.folder / "overlay.png").exists()
    previews.draw_previews(order.folder)
    assert order.cutout is not None
    with Image.open(order.folder / "mask.png") as mask, Image.open(order.folder / "overlay.png") as seen:
        assert (mask.mode, mask.size) == ("L", order.cutout.size)
        assert mask.tobytes() == order.cutout.getchannel("A").tobytes()
        assert seen.mode == "RGB"
    before = (order.folder / "overlay.png").stat().st_mtime_ns
    pipeline.prepare(photos.photo((900, 700)), model=BrightMatter(), orders=tmp_path)
    previews.draw_previews(order.folder)
    assert (order.folder / "overlay.png").stat().st_mtime_ns == before


@pytest.mark.parametrize("name", ["photo.jpg", "cutout.png"])
def test_nothing_is_drawn_of_pictures_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    order = pipeline.prepare(photos.photo((90, 70)), model=BrightMatter(), orders=tmp_path)
    assert order.folder is not None
    (order.folder / name).write_bytes(b"no picture")
    previews.draw_previews(order.folder)
    assert not (order.folder / "overlay.png").exists()


def test_they_go_along_when_an_order_goes_on(tmp_path: Path) -> None:
    order = pipeline.prepare(photos.photo((900, 700)), model=BrightMatter(), orders=tmp_path)
    assert order.folder is not None
    previews.draw_previews(order.folder)
    new = revise(order, description=photos.SCENE)
    assert new.folder is not None
    assert new.folder != order.folder
    for name in ("photo.jpg", "mask.png", "overlay.png"):
        assert (new.folder / name).read_bytes() == (order.folder / name).read_bytes()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageFailed):
        previews.write_photo(tmp_path / "file", photos.photo())


def test_the_dry_run_draws_them_and_so_does_the_page(command: Command) -> None:
    photos.saved(Path("a.png"))
    (folder,) = command("prepare", "a.png", "-d", photos.SCENE).paths
    drawn = [folder / "mask.png", folder / "overlay.png"]
    for path in drawn:
        path.unlink()
    assert command("review", "photio-out").code == 0
    assert all(path.stat().st_size for path in drawn)
