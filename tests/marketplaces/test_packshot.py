"""The product alone: with the photo's own pixels where the very photo is still there, else as sent."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photio_prep import pipeline
from photio_prep.cutout.framing import Framing
from photio_prep.errors import StorageFailed
from photio_prep.marketplaces.packshot import extract_product, find_photo
from photio_prep.orders import store
from photio_prep.orders.store import Order, require_cutout
from tests.support import photos
from tests.support.sampling import sampled

LARGE = (3000, 2400)


def grainy(size: tuple[int, int] = LARGE) -> Image.Image:
    """Detail that no canvas can carry."""
    pixels = np.array(photos.photo(size, shade=180)).astype(int)
    grain = np.random.default_rng(3).integers(-30, 30, pixels.shape)
    return Image.fromarray(np.where(pixels > 0, np.clip(pixels + grain, 60, 255), 0).astype(np.uint8))


def prepared(root: Path, *, framing: Framing | None = None) -> Order:
    path = photos.saved(root / "a.png", grainy())
    made = pipeline.prepare(path, mask=photos.mask(LARGE), orders=root / "orders", framing=framing)
    assert made.folder
    return store.load_order(made.folder)


@pytest.mark.soak
def test_the_core_has_the_photos_own_pixels(tmp_path: Path):
    found = extract_product(prepared(tmp_path))
    assert found.original
    assert found.cut == ()
    own = grainy().crop((750, 600, 2250, 1800))
    assert abs(found.image.width - own.width) <= 4
    pixels = np.asarray(found.image)
    left, top = ((found.image.width - own.width) // 2, (found.image.height - own.height) // 2)
    middle = pixels[top + 50 : top + own.height - 50, left + 50 : left + own.width - 50]
    best = min(
        np.abs(
            middle[..., :3].astype(int)
            - np.asarray(own).astype(int)[50 + y : own.height - 50 + y, 50 + x : own.width - 50 + x]
        ).max()
        for x in (-1, 0, 1)
        for y in (-1, 0, 1)
    )
    assert best == 0  # to the bit, and not moved by more than a rounding of the box
    assert (middle[..., 3] == 255).all()


@pytest.mark.soak
def test_a_photo_that_was_framed_anew_lends_its_pixels_too(tmp_path: Path):
    order = prepared(tmp_path, framing=Framing(10))
    assert order.placement.crop
    photo = find_photo(order)
    assert photo
    assert photo.size == order.placement.source
    found = extract_product(order)
    assert found.original
    assert found.image.width == pytest.approx(1500, abs=6)


@pytest.mark.soak
@sampled("what", ["gone", "changed", "a folder"], 1)
def test_without_the_very_photo_it_has_the_canvas_resolution(tmp_path: Path, what: str):
    order = prepared(tmp_path)
    path = tmp_path / "a.png"
    path.unlink()
    if what == "changed":
        photos.saved(path, photos.photo(LARGE))
    elif what == "a folder":
        path.mkdir()
    assert find_photo(order) is None
    found = extract_product(order)
    assert not found.original
    assert found.image.width == pytest.approx(1500 * order.placement.scale, abs=4)


def test_of_a_small_photo_the_cutout_is_taken_and_how_far_it_was_enlarged(tmp_path: Path):
    path = photos.saved(tmp_path / "a.png", photos.photo((300, 200)))
    made = pipeline.prepare(path, mask=photos.mask((300, 200)), orders=tmp_path / "orders")
    found = extract_product(made)
    assert found.prior_upscale == pytest.approx(made.placement.scale, rel=0.01)
    assert found.prior_upscale > 3


@pytest.mark.soak
def test_a_damaged_cutout_is_told(tmp_path: Path):
    order = prepared(tmp_path)
    assert order.folder
    (order.folder / "cutout.png").write_bytes(b"nothing")
    with pytest.raises(StorageFailed, match=r"cutout\.png"):
        require_cutout(order)
    (order.folder / "cutout.png").unlink()
    with pytest.raises(StorageFailed):
        extract_product(order)
