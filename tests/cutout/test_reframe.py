"""prepare --frame product: the product is found once, framed anew, and finish gives back exactly that frame."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photio_prep import pipeline
from photio_prep.cutout.framing import Framing, crop_photo
from photio_prep.cutout.models.registry import CatalogModel
from photio_prep.errors import StorageFailed
from photio_prep.geometry import Box, Size, place
from photio_prep.intake.load import load
from photio_prep.orders import store
from photio_prep.orders.origin import CutoutRecord
from photio_prep.types import Result
from tests.support import photos
from tests.support.commands import Command
from tests.support.fakes import BrightMatter, BrokenMatter, CountingMatter
from tests.support.sampling import sampled

SIZE = (1600, 1200)
FIXTURES = Path(__file__).parents[2] / "fixtures"


def aside() -> Image.Image:
    """A small bright product with a printed grid, up and to the left of a large dark photo."""
    image = Image.new("RGB", SIZE, (12, 14, 16))
    pixels = np.array(image)
    y, x = np.mgrid[0:300, 0:200]
    pixels[150:450, 200:400] = (190 + 50 * np.sin(x / 9) * np.sin(y / 7))[..., None].astype(np.uint8)
    return Image.fromarray(pixels)


def test_the_product_is_found_once_and_gets_the_canvas():
    matter = CountingMatter()
    order = pipeline.prepare(aside(), model=matter, framing=Framing(8))
    assert matter.pictures == 1
    way = order.placement
    assert way.crop is not None
    assert way.crop.size == way.source
    assert place(way.source, way.canvas).box == way.box
    assert way.used > 0.995
    assert way.canvas == Size(832, 1216)  # the product is 2:3
    room = 0.08 * 300
    left, top, right, bottom = way.crop
    assert left == pytest.approx(200 - room, abs=4)
    assert right == pytest.approx(400 + room, abs=8)
    assert bottom - top >= 300 + 2 * room - 4
    alpha = np.asarray(order.canvas.image.getchannel("A"))
    scale = way.scale
    assert (alpha > 128).sum() == pytest.approx(200 * 300 * scale**2, rel=0.02)
    whole = pipeline.prepare(aside(), model=BrightMatter())
    assert (alpha > 128).sum() > 9 * (np.asarray(whole.canvas.image.getchannel("A")) > 128).sum()


def test_finish_gives_back_the_new_frame_at_the_photos_resolution():
    photo = load(photos.encoded(aside()))
    order = pipeline.prepare(photo, model=BrightMatter(), framing=Framing(12))
    way = order.placement
    assert way.crop
    shown = crop_photo(photo, way.crop).image.resize(way.box.size, Image.Resampling.LANCZOS)
    answer = Image.new("RGB", way.canvas)
    answer.paste(shown, way.box[:2])
    final = pipeline.finish(order, Result(b"", answer, way)).image
    assert final.size == way.source == way.crop.size
    own = np.asarray(crop_photo(photo, way.crop).image).astype(float)
    difference = np.abs(np.asarray(final).astype(float) - own)
    assert difference.mean() < 1
    found = np.asarray(final).min(axis=2) > 100
    there = own.min(axis=2) > 100
    assert np.flatnonzero(found.any(0))[[0, -1]].tolist() == np.flatnonzero(there.any(0))[[0, -1]].tolist()
    assert np.flatnonzero(found.any(1))[[0, -1]].tolist() == np.flatnonzero(there.any(1))[[0, -1]].tolist()


@pytest.mark.parametrize("way", ["mask", "alpha"])
def test_a_mask_and_an_alpha_are_framed_too_and_no_model_is_asked(way: str):
    drawn = Image.new("L", SIZE)
    drawn.paste(255, (200, 150, 400, 450))
    photo = aside()
    if way == "alpha":
        photo.putalpha(drawn)
    order = pipeline.prepare(
        photo, model=BrokenMatter(), mask=drawn if way == "mask" else None, framing=Framing(30, percent=False)
    )
    assert order.model == way
    crop = order.placement.crop
    assert crop
    assert crop.left <= 170
    assert crop.right >= 430
    alpha = np.asarray(order.canvas.image.getchannel("A"))
    assert (alpha > 128).sum() == pytest.approx(200 * 300 * order.placement.scale**2, rel=0.01)
    assert (np.asarray(order.canvas.image)[alpha == 0] == 0).all()


def test_a_product_that_the_photo_cuts_stays_flush_and_alignment_moves_the_rest():
    image = aside().crop((300, 0, 1600, 1200))  # the left half of it is gone
    order = pipeline.prepare(image, model=BrightMatter(), framing=Framing(8), size="Square")
    assert order.placement.crop
    assert order.placement.crop.left == 0
    top = pipeline.prepare(
        aside(), model=BrightMatter(), framing=Framing(8, align="left"), size="Square"
    ).placement.crop
    middle = pipeline.prepare(aside(), model=BrightMatter(), framing=Framing(8), size="Square").placement.crop
    assert top
    assert middle
    assert top.size == middle.size
    assert top.left > middle.left + 40


def test_the_frame_is_kept_on_disk_and_another_frame_is_another_order(tmp_path: Path):
    path = photos.saved(tmp_path / "a.png", aside())
    made = pipeline.prepare(path, model=BrightMatter(), framing=Framing(8), orders=tmp_path / "orders")
    assert made.folder
    again = store.load_order(made.folder)
    assert again.placement == made.placement
    assert isinstance(made.origin.options, CutoutRecord)
    assert made.origin.options.framing == Framing(8)
    assert again.origin.options == made.origin.options
    wider = pipeline.prepare(path, model=BrightMatter(), framing=Framing(20), orders=tmp_path / "orders")
    assert wider.key != made.key
    (photo,) = made.folder.glob("photo-*.json")
    facts = json.loads(photo.read_bytes())
    facts["placement"]["crop"][2] += 1
    photo.write_text(json.dumps(facts))
    with pytest.raises(StorageFailed, match="crop"):
        store.load_order(made.folder)


def test_without_it_the_placement_says_nothing_of_a_crop(tmp_path: Path):
    path = photos.saved(tmp_path / "a.png", aside())
    made = pipeline.prepare(path, model=BrightMatter(), orders=tmp_path / "orders")
    assert made.placement.crop is None
    assert made.folder
    (photo,) = made.folder.glob("photo-*.json")
    assert "crop" not in photo.read_text()
    assert replace(made.placement, crop=Box(0, 0, *SIZE)) != made.placement


@pytest.mark.soak
def test_on_the_command_line(command: Command):
    photos.saved(Path("a.png"), photos.cutout((1600, 900)))
    (line,) = command("prepare", "a.png", "--frame", "product", "--margin", "10%", "--size", "Square", "--json").facts
    assert line["canvas"] == [1024, 1024]
    assert line["size"][0] == line["size"][1] == pytest.approx(800 * 1.2, abs=4)
    said = command("run", "a.png", "--sandbox", "-d", "on oak", "--frame", "product", "--margin", "10%")
    with Image.open(said.paths[0]) as final:
        assert final.size[0] == pytest.approx(800 * 1.2, rel=0.1)
    for wrong in (("--margin", "8%"), ("--align", "left"), ("--frame", "product", "--margin", "wide")):
        assert command("prepare", "a.png", *wrong).code == 2
    assert command("prepare", "a.png", "--frame", "sideways").code == 2


def test_a_frame_of_an_animation_and_a_frame_around_the_product(command: Command):
    frames = [photos.cutout((400, 300), shade=shade) for shade in (120, 220)]
    Path("a.webp").write_bytes(
        photos.encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    )
    said = command("prepare", "a.webp", "--frame", "1", "--frame", "product", "--json")
    assert said.code == 0
    folder = Path(said.facts[0]["order"])
    with Image.open(io.BytesIO((folder / "canvas.png").read_bytes())) as canvas:
        assert canvas.getpixel((canvas.width // 2, canvas.height // 2))[1] > 200  # type: ignore[index]
    assert command("prepare", "a.webp", "--frame", "product").code == 3  # which of the frames?


@pytest.mark.model
@sampled("stem", ["mug", "carton"], 1)
def test_real_products_keep_their_edges_in_the_new_frame(stem: str, u2netp: CatalogModel):
    (path,) = (FIXTURES / "photos").glob(f"{stem}.*")
    order = pipeline.prepare(path, model=u2netp, framing=Framing(8))
    crop = order.placement.crop
    assert crop
    with Image.open(FIXTURES / "truth" / f"{stem}.webp") as truth:
        alpha = truth.getchannel("A").crop(crop).resize(order.placement.box.size, Image.Resampling.LANCZOS)
    ours = order.cutout.getchannel("A") if order.cutout else alpha
    real, found = np.asarray(alpha) >= 128, np.asarray(ours) >= 128
    assert (real & found).sum() / (real | found).sum() > 0.95
