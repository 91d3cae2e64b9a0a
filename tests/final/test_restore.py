"""The photo's own product in the generated scene: exact where it is opaque, no fringe where it is not.

Scenes are the sandbox's; the exact composite is the fixture's true colour and alpha over the very same scene.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from bench.redraw import PlantedChanges, paint_without_product
from photio_prep.api.wire import encode_request
from photio_prep.final import composite, restore
from photio_prep.final.crop import crop
from photio_prep.final.drift import _to_lab
from photio_prep.final.upsample_alpha import AlphaUpsampler
from photio_prep.intake.load import load
from photio_prep.orders.store import SANDBOX, Order
from photio_prep.pipeline import finish, prepare
from photio_prep.sandbox import contract
from photio_prep.types import Photo, Result
from tests.support.sampling import sampled

FIXTURES = Path(__file__).parents[2] / "fixtures"
NAMES = sorted(each.stem for each in (FIXTURES / "photos").iterdir())
DESCRIPTION = "on a marble table, soft morning light, a plain wall behind"
Floats = NDArray[np.float64]


@cache
def ordered(name: str) -> tuple[Photo, Image.Image, Order]:
    """A fixture's photo, its truth, and an order that was cut out by it."""
    photo = load(next((FIXTURES / "photos").glob(f"{name}.*")))
    with Image.open(FIXTURES / "truth" / f"{name}.webp") as opened:
        truth = opened.convert("RGBA")
    return photo, truth, prepare(photo, description=DESCRIPTION, mask=truth.getchannel("A"), endpoint=SANDBOX)


def painted(order: Order, changes: PlantedChanges = PlantedChanges()) -> Image.Image:  # noqa: B008
    return changes.paint(contract.read_request(encode_request(order.request), url_image=None), order.request.seed)


def pixels(image: Image.Image) -> Floats:
    return np.asarray(image, dtype=np.float64)


def edge(alpha: Floats, reach: float) -> NDArray[np.bool_]:
    solid = alpha > 0.5
    line = solid & ~ndimage.binary_erosion(solid, border_value=1)
    return np.asarray(ndimage.distance_transform_edt(~line) <= reach)


@sampled("name", sorted(NAMES, key="jar".__ne__), 1)
def test_the_core_is_the_photo_s_and_the_edge_is_nearer_to_exact_than_the_generator_s(name: str):
    photo, truth, order = ordered(name)
    asked = contract.read_request(encode_request(order.request), url_image=None)
    answer, way = painted(order), order.placement
    generated = pixels(crop(answer, way, way.source))
    bare = pixels(crop(paint_without_product(asked, order.request.seed), way, way.source))
    true = pixels(truth)
    share = true[..., 3:] / 255
    own = pixels(photo.image.convert("RGB"))
    exact = np.where(share == 1, own, true[..., :3] * share + bare * (1 - share))
    band = edge(share[..., 0], 7 / min(1, way.scale))

    final = finish(order, Result(b"", answer, way), product="original")
    assert final.proof is not None
    assert final.proof.equal == 1.0
    assert final.proof.core is not None
    assert final.proof.core > 0.5 * (share > 0.99).sum() or name == "basket"
    ours = np.abs(pixels(final.image) - exact)[band].mean()
    theirs = np.abs(generated - exact)[band].mean()
    # Of bowls, whose edge is tens of pixels wide, the two are alike.
    assert ours <= theirs * (1.02 if name == "bowls" else 1), (ours, theirs)
    # The scene and its shadow, a little way off, are the answer's to the bit.
    far = ndimage.distance_transform_edt(share[..., 0] == 0) > 7 / min(1, way.scale)
    assert np.array_equal(pixels(final.image)[far], generated[far])


@pytest.mark.soak
@sampled("name", ["carton", "bottle", "vase", "toy"], 1)
def test_detail_is_as_sharp_as_the_photo_and_as_bright_as_the_answer(name: str):
    photo, truth, order = ordered(name)
    # An answer that was re-drawn: softer, and in another light.
    answer = painted(order, PlantedChanges(blur=2.0, tone=(12, -8, -6)))
    core = ndimage.binary_erosion(np.asarray(truth.getchannel("A")) == 255, iterations=12)
    energy, colour = {}, {}
    for product in ("generated", "detail"):
        final = finish(order, Result(b"", answer, order.placement), product=product)
        down, right = np.gradient(pixels(final.image).mean(-1))
        energy[product] = (np.hypot(down, right) ** 2)[core].mean()
        colour[product] = _to_lab(pixels(final.image)[core].mean(0).astype(np.float32))
    down, right = np.gradient(pixels(photo.image.convert("RGB")).mean(-1))
    photo_s = (np.hypot(down, right) ** 2)[core].mean()
    assert energy["generated"] <= 0.6 * photo_s
    assert energy["detail"] >= 0.9 * photo_s
    assert np.linalg.norm(colour["detail"] - colour["generated"]) <= 3


@sampled("name", ["vase", "carton", "mug"], 1)
def test_a_product_that_was_moved_is_covered(name: str):
    _, _, order = ordered(name)
    final = finish(
        order, Result(b"", painted(order, PlantedChanges(move=(5, -3))), order.placement), product="original"
    )
    assert final.proof is not None
    scale = order.placement.scale
    right, down = final.proof.moved
    assert right == pytest.approx(5 / scale, abs=1)
    assert down == pytest.approx(-3 / scale, abs=1)
    assert final.proof.equal == 1.0
    assert any("moved" in note for note in final.notes)


@sampled("name", ["vase", "carton", "pump"], 1)
def test_a_product_that_grew_does_not_look_out_behind_the_photo_s(name: str):
    _, truth, order = ordered(name)
    grown = PlantedChanges(grow=5)
    asked = contract.read_request(encode_request(order.request), url_image=None)
    answer, way = painted(order, grown), order.placement
    bare = pixels(crop(paint_without_product(asked, order.request.seed), way, way.source))
    away = ndimage.distance_transform_edt(np.asarray(truth.getchannel("A")) == 0)
    ring = (away > 1.5) & (away < 5 / way.scale)
    final = finish(order, Result(b"", answer, way), product="original")
    halo = np.abs(pixels(crop(answer, way, way.source)) - bare)[ring].mean()
    left = np.abs(pixels(final.image) - bare)[ring].mean()
    assert left < 0.5 * halo, (left, halo)
    assert any("larger" in note for note in final.notes)

    assert final.proof is not None
    assert final.proof.core is not None
    regions = final.proof.replaced
    assert [region.kind for region in regions[:3]] == ["product", "edge", "rim"]
    assert regions[0].share == pytest.approx(final.proof.core / final.image.width / final.image.height, abs=1e-5)
    changed = (pixels(final.image) != pixels(crop(answer, way, way.source))).any(-1)
    margin, unexplained = round(4 / way.scale), changed.copy()
    for start, top, end, bottom in (region.box for region in regions):
        assert changed[top:bottom, start:end].any()
        unexplained[max(0, top - margin) : bottom + margin, max(0, start - margin) : end + margin] = False
    assert not unexplained.any()


@sampled(("times", "most"), [(2, 0.025), (3, 0.03), (4, 0.035)], 1)
def test_alpha_is_as_sharp_as_the_photo_after_enlarging(times: int, most: float):
    """The cutout is made at a fraction of the photo; its alpha must come back to the photo's own edges."""
    for name in ("carton", "vase", "mug", "flask"):
        photo, truth, _ = ordered(name)
        true = truth.getchannel("A")
        small = true.resize((true.width // times, true.height // times), Image.Resampling.LANCZOS)
        view = np.asarray(photo.image.convert("RGB"))
        found = AlphaUpsampler(small, true.size).refine((0, 0, *true.size), view)
        band = edge(pixels(true) / 255, 2 * times)
        wrong = np.abs(found / 255 - pixels(true) / 255)[band].mean()
        plain = np.abs(pixels(small.resize(true.size, Image.Resampling.BICUBIC)) - pixels(true))[band].mean() / 255
        assert wrong < most, name
        assert wrong < 0.6 * plain, name


@sampled("size", [(1500, 1130), (700, 500), (576, 432), (2000, 900)], 1)
def test_only_what_lies_at_an_edge_is_worked_out_and_the_rest_is_as_if_it_were(size: tuple[int, int]):
    for name in ("carton", "basket", "flask", "lamp"):
        photo, truth, _ = ordered(name)
        small = truth.getchannel("A").resize((576, 432), Image.Resampling.LANCZOS)
        view = np.asarray(photo.image.convert("RGB").resize(size))
        upsampled = AlphaUpsampler(small, size)
        whole = upsampled._refine_part((0, 0, *size), view).astype(int)
        if small.size == size:
            whole = np.asarray(small).astype(int)
        found = upsampled.refine((0, 0, *size), view)
        assert np.abs(found - whole).max() <= 4, name  # where the ends are snapped
        assert (found != whole).mean() < 0.002, name


def test_pictures_are_halved_and_doubled_as_by_pillow():
    planes = np.random.default_rng(3).random((3, 17, 30), np.float32)
    for halved, doubled, plane in zip(restore._halve(planes), restore._double(planes), planes, strict=True):
        image = Image.fromarray(plane)
        assert np.allclose(halved, np.asarray(image.reduce(2)), atol=1e-6)
        assert np.allclose(doubled, np.asarray(image.resize((60, 34), Image.Resampling.BILINEAR)), atol=1e-6)


def test_a_soft_edge_stays_soft():
    soft = Image.linear_gradient("L").resize((64, 64))
    found = AlphaUpsampler(soft, (256, 256)).refine((0, 0, 256, 256), np.zeros((256, 256, 3), np.uint8))
    plain = pixels(soft.resize((256, 256), Image.Resampling.BICUBIC))
    assert np.abs(found - plain).max() <= 5  # the ends are snapped


@pytest.mark.soak
def test_bands_of_rows_leave_no_seams(monkeypatch: pytest.MonkeyPatch):
    _, _, order = ordered("carton")
    answer = Result(b"", painted(order), order.placement)
    for product in ("original", "detail"):
        whole = finish(order, answer, product=product, output_size="long:1600").image
        with monkeypatch.context() as patch:
            patch.setattr(composite, "_BAND", 64 * 1600)
            bands = finish(order, answer, product=product, output_size="long:1600").image
        assert np.abs(pixels(whole) - pixels(bands)).max() <= 6
        assert np.abs(pixels(whole) - pixels(bands)).mean() < 0.001


@pytest.mark.soak
@sampled("product", ["generated", "detail", "original"], 1)
def test_no_edge_of_the_box_shows_where_padding_was_cropped(product: str):
    """Loud padding around the frame: not one level of it in the final's border, at any size."""
    _, _, order = ordered("vase")
    way = order.placement
    plain = painted(order)
    loud = Image.new("RGB", plain.size, (255, 0, 255))
    loud.paste(plain.crop(way.box), way.box[:2])
    for size in ("original", "canvas", "long:2000"):
        one, other = (
            finish(order, Result(b"", each, way), product=product, output_size=size).image  # type: ignore[arg-type]
            for each in (plain, loud)
        )
        assert np.array_equal(pixels(one)[:2], pixels(other)[:2])
        assert np.array_equal(pixels(one)[-2:], pixels(other)[-2:])


def test_the_product_alone_is_given_at_the_photo_s_size():
    photo, truth, order = ordered("mug")
    assert order.cutout is not None
    alone = composite.build_layer(photo.image.convert("RGB"), order.cutout.getchannel("A")).picture()
    assert (alone.mode, alone.size) == ("RGBA", photo.size)
    found = np.asarray(alone)
    assert (found[found[..., 3] == 0] == 0).all()
    solid = found[..., 3] == 255
    assert np.array_equal(found[solid][:, :3], np.asarray(photo.image)[solid])
    assert np.abs(found[..., 3] - pixels(truth.getchannel("A"))).mean() < 1
