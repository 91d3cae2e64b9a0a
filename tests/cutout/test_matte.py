"""Cutouts: nothing outside the product, all of it inside, only a narrow rim between; with the real models too."""

import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy import ndimage

from photio_prep.cutout.matte import Alpha, compose, has_cutout_alpha, mask_alpha, matte
from photio_prep.cutout.models.catalog import Family
from photio_prep.cutout.models.registry import CatalogModel
from photio_prep.cutout.models.rembg_sessions import import_session
from photio_prep.cutout.models.segmenter import NETWORKS, OnnxSegmenter, normalize
from photio_prep.cutout.options import CutoutOptions
from photio_prep.errors import ModelUnavailable, NoProduct, PhotoRefused
from photio_prep.geometry import Size, place, snap
from photio_prep.intake.load import load
from photio_prep.types import Cutout, Matter, Photo
from tests.support import photos
from tests.support.fakes import BrightMatter, BrokenMatter, CountingMatter, FixedMatter
from tests.support.sampling import sampled

Bytes = NDArray[np.uint8]
FIXTURES = Path(__file__).parents[2] / "fixtures"


def box_of(photo: Photo) -> Size:
    return place(photo.size, snap(photo.size).size).box.size


def of(image: Image.Image) -> Photo:
    return Photo(image, "shoe.jpg", "0" * 64, "JPEG")


def pixels(cutout: Cutout | Image.Image) -> Bytes:
    image = cutout.image if isinstance(cutout, Cutout) else cutout
    assert image.mode == "RGBA"
    return np.asarray(image)


def keeps_the_promises(cutout: Cutout, *, soft: float) -> None:
    """No colour under alpha 0, no haze, an opaque core; at most `soft` of the picture is neither clear nor opaque."""
    found = pixels(cutout)
    alpha = found[..., 3]
    assert not found[alpha == 0].any()
    levels = set(np.unique(alpha).tolist())
    assert {0, 255} <= levels
    assert not levels & {1, 2, 3, 252, 253, 254}
    assert np.mean((alpha > 0) & (alpha < 255)) < soft


def inside(alpha: Bytes, truth: Bytes) -> float:
    """Intersection over union of what is product."""
    ours, theirs = alpha >= 128, truth >= 128
    return float((ours & theirs).sum() / (ours | theirs).sum())


# --- compose ---------------------------------------------------------------------------------------------------------

SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 12))


@given(st.data(), SHAPES)
def test_compose_keeps_colours_under_alpha_and_none_elsewhere(data: st.DataObject, shape: tuple[int, int]) -> None:
    image = data.draw(arrays.arrays(np.uint8, (*shape, 3)))
    alpha = data.draw(arrays.arrays(np.uint8, shape))
    if not (alpha >= 128).any():
        with pytest.raises(NoProduct):
            compose(image, alpha)
        return
    as_drawn = CutoutOptions(colours=False, specks=0, holes="keep")
    found = pixels(compose(image, alpha, as_drawn))
    seen = found[..., 3] > 0
    assert np.array_equal(found[seen][:, :3], image[seen])
    assert not found[~seen].any()
    # Only what no eye sees is changed: a haze goes, a core is whole.
    assert np.abs(found[..., 3].astype(int) - alpha).max() <= 3
    assert np.array_equal(found[..., 3][(alpha > 3) & (alpha < 252)], alpha[(alpha > 3) & (alpha < 252)])
    assert not np.isin(found[..., 3], [1, 2, 3, 252, 253, 254]).any()


def test_compose_does_not_touch_what_it_is_given() -> None:
    image, alpha = np.array(photos.photo()), np.full((70, 90), 2, np.uint8)
    alpha[10:40, 10:40] = 255
    before = image.copy(), alpha.copy()
    compose(image, alpha)
    assert np.array_equal(image, before[0])
    assert np.array_equal(alpha, before[1])


# --- where the product comes from ------------------------------------------------------------------------------------


def test_the_matter_finds_the_product() -> None:
    photo = of(photos.photo((400, 300)))
    cutout = matte(photo, Size(200, 150), BrightMatter())
    assert cutout.image.size == (200, 150)
    assert cutout.model == "bright"
    keeps_the_promises(cutout, soft=0.01)
    truth = np.asarray(photos.mask((400, 300)).resize((200, 150)))
    assert inside(pixels(cutout)[..., 3], truth) > 0.95


def test_the_matter_sees_no_more_than_the_canvas_shows_and_no_less_than_the_photo_has() -> None:
    counting = CountingMatter()
    matte(of(photos.photo((400, 300))), Size(200, 150), counting)
    matte(of(photos.photo((400, 300))), Size(800, 600), counting)
    assert counting.sizes == [(200, 150), (400, 300)]


def test_any_callable_will_do() -> None:
    cutout = matte(of(photos.photo()), Size(90, 70), lambda image: image.convert("L").point(lambda level: level * 2))
    assert cutout.model == "function"


@pytest.mark.parametrize("up", [Size(90, 70), Size(900, 700), Size(45, 35)])
def test_a_cutout_of_ones_own_is_reused(up: Size) -> None:
    cutout = matte(of(photos.cutout()), up, None)
    assert cutout.model == "alpha"
    assert cutout.image.size == up
    assert not pixels(cutout)[pixels(cutout)[..., 3] == 0].any()
    truth = np.asarray(photos.mask().resize(up, Image.Resampling.LANCZOS)).astype(int)
    assert np.abs(pixels(cutout)[..., 3] - truth).max() <= 3


def test_soft_edges_of_ones_own_cutout_are_kept() -> None:
    image = photos.photo((200, 100))
    image.putalpha(Image.linear_gradient("L").resize((200, 100)))
    alpha = pixels(matte(of(image), Size(200, 100), None))[..., 3]
    given_ = np.asarray(image)[..., 3]
    assert np.abs(alpha.astype(int) - given_).max() <= 3


def test_ignoring_the_alpha_asks_the_matter() -> None:
    cutout = matte(of(photos.cutout()), Size(90, 70), BrightMatter(), alpha="ignore")
    assert cutout.model == "bright"
    # The transparent ground is shown to it as white paper, so everything is bright.
    assert pixels(cutout)[..., 3].min() == 255


def test_a_glassy_photo_is_no_cutout_but_may_be_kept_as_one() -> None:
    image = photos.photo()
    image.putalpha(250)
    assert not has_cutout_alpha(image)
    assert matte(of(image), Size(90, 70), BrightMatter()).model == "bright"
    assert matte(of(image), Size(90, 70), None, alpha="keep").model == "alpha"


def test_a_few_clear_pixels_are_no_cutout() -> None:
    image = photos.photo((100, 100)).convert("RGBA")
    image.putpixel((0, 0), (0, 0, 0, 0))
    assert not has_cutout_alpha(image)
    image.paste((0, 0, 0, 0), (0, 0, 100, 2))
    assert has_cutout_alpha(image)


@pytest.mark.parametrize(("clear", "opaque", "real"), [(50, 50, True), (49, 9951, False), (9951, 49, False)])
def test_a_real_cutout_has_a_two_hundredth_of_either(clear: int, opaque: int, real: bool) -> None:
    """Of 10,000 pixels; the rest is neither clear nor opaque."""
    levels = np.full(10_000, 100, np.uint8)
    levels[:clear], levels[10_000 - opaque :] = 7, 128
    image = Image.new("RGB", (100, 100))
    image.putalpha(Image.fromarray(levels.reshape(100, 100)))
    assert has_cutout_alpha(image) is real


def test_a_clear_picture_is_nothing_to_keep() -> None:
    with pytest.raises(NoProduct, match=r"shoe\.jpg"):
        matte(of(Image.new("RGBA", (90, 70))), Size(90, 70), None, alpha="keep")


def test_there_must_be_an_alpha_to_keep() -> None:
    with pytest.raises(PhotoRefused, match=r"shoe\.jpg.*--alpha auto"):
        matte(of(photos.photo()), Size(90, 70), BrightMatter(), alpha="keep")


def test_without_any_way_the_message_says_what_to_pull() -> None:
    with pytest.raises(ModelUnavailable, match="models pull"):
        matte(of(photos.photo()), Size(90, 70), None)


@pytest.mark.parametrize("alpha", ["auto", "keep", "ignore"])
def test_a_mask_comes_before_everything(alpha: Alpha) -> None:
    mask = Image.new("L", (90, 70))
    mask.paste(255, (0, 0, 45, 70))
    cutout = matte(of(photos.cutout()), Size(90, 70), BrokenMatter(), mask=mask, alpha=alpha)
    assert cutout.model == "mask"
    assert np.array_equal(pixels(cutout)[..., 3], np.asarray(mask))


@pytest.mark.parametrize("size", [(90, 70), (45, 35), (900, 700), (91, 70), (9, 7)])
def test_a_mask_may_be_of_any_size_of_the_photos_shape(size: tuple[int, int]) -> None:
    cutout = matte(of(photos.photo()), Size(180, 140), None, mask=Image.new("L", size, 255))
    assert pixels(cutout)[..., 3].min() == 255


@pytest.mark.parametrize("size", [(70, 90), (90, 90), (100, 70), (900, 720)])
def test_a_mask_of_another_shape_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(PhotoRefused) as caught:
        matte(of(photos.photo()), Size(180, 140), None, mask=Image.new("L", size, 255))
    assert caught.value.subject == "shoe.jpg"
    assert f"{size[0]}x{size[1]}" in str(caught.value)


def test_an_empty_mask_is_nothing_to_send() -> None:
    with pytest.raises(NoProduct, match=r"shoe\.jpg"):
        matte(of(photos.photo()), Size(90, 70), None, mask=Image.new("L", (90, 70)))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_map_of_the_labels_0_and_1_is_a_mask(mode: str) -> None:
    labels = Image.new("L", (90, 70))
    labels.paste(1, (0, 0, 45, 70))
    mask = labels.convert(mode)
    if mode == "RGBA":
        mask.putalpha(labels)
    alpha = pixels(matte(of(photos.photo()), Size(90, 70), None, mask=mask))[..., 3]
    assert np.array_equal(alpha, np.asarray(labels) * 255)


def test_a_map_of_more_labels_is_refused_and_says_what_to_do() -> None:
    labels = Image.new("L", (90, 70))
    labels.paste(3, (0, 0, 45, 70))
    with pytest.raises(PhotoRefused, match=r"almost black: its values are 0 to 3.*white \(255\)"):
        matte(of(photos.photo()), Size(90, 70), None, mask=labels)


def test_a_mask_is_read_by_its_alpha_or_by_its_lightness() -> None:
    shape = photos.mask()
    assert mask_alpha(photos.cutout()).tobytes() == shape.tobytes()
    assert mask_alpha(shape).tobytes() == shape.tobytes()
    assert mask_alpha(shape.convert("RGB")).tobytes() == shape.tobytes()
    assert mask_alpha(shape.convert("RGBA")).tobytes() == shape.tobytes()


@pytest.mark.parametrize("scale", [1, 2, 0.5, 3.7])
def test_a_hard_mask_leaves_no_haze_at_any_scale(scale: float) -> None:
    photo = of(photos.photo((400, 300)))
    size = Size(round(400 * scale), round(300 * scale))
    mask = photos.mask((400, 300))
    alpha = pixels(matte(photo, size, None, mask=mask))[..., 3]
    assert not np.isin(alpha, [1, 2, 3, 252, 253, 254]).any()
    # What is farther from the mask's edge than the resampling reaches is exact.
    truth = np.asarray(mask.resize(size, Image.Resampling.NEAREST))
    reach = int(3 * max(scale, 1)) + 2
    assert not alpha[ndimage.distance_transform_edt(truth == 0) > reach].any()
    assert (alpha[ndimage.distance_transform_edt(truth == 255) > reach] == 255).all()


ROUTES: dict[str, Callable[[Photo, Size], Cutout]] = {
    "alpha": lambda photo, size: matte(photo, size, None),
    "mask": lambda photo, size: matte(photo, size, None, mask=photo.image.getchannel("A")),
    "ignored": lambda photo, size: matte(photo, size, FixedMatter(photo.image.getchannel("A")), alpha="ignore"),
}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("size", [Size(90, 70), Size(45, 35), Size(270, 210)])
def test_what_hides_under_alpha_zero_never_comes_out(route: str, size: Size) -> None:
    # A red product; under the transparent rest a green picture of somebody else.
    image = Image.new("RGBA", (90, 70), (0, 255, 0, 0))
    image.paste((255, 0, 0, 255), (30, 20, 60, 50))
    found = pixels(ROUTES[route](of(image), size)).astype(int)
    seen = found[..., 3] > 0
    # White paper shows through at the rim, green would be more green than blue.
    assert (found[seen][:, 1] - found[seen][:, 2]).max() <= 1
    assert not found[~seen].any()


# --- the real networks -----------------------------------------------------------------------------------------------


@pytest.mark.model
def test_u2netp_cuts_a_real_photo_out(coffee: Photo, u2netp: CatalogModel) -> None:
    cutout = matte(coffee, box_of(coffee), u2netp)
    assert cutout.model == "u2netp"
    assert cutout.image.size == box_of(coffee)
    keeps_the_promises(cutout, soft=0.05)
    alpha = pixels(cutout)[..., 3]
    # Cup and saucer in the middle, the table's corners empty.
    assert alpha[alpha.shape[0] // 2, alpha.shape[1] // 2] == 255
    assert not any(corner.any() for corner in (alpha[:40, :40], alpha[:40, -40:], alpha[-40:, :40]))
    assert 0.3 < np.mean(alpha == 255) < 0.6


@pytest.mark.isnet
def test_isnet_cuts_a_real_photo_out(coffee: Photo, isnet: CatalogModel) -> None:
    cutout = matte(coffee, box_of(coffee), isnet)
    assert cutout.model == "isnet-imgly"
    keeps_the_promises(cutout, soft=0.04)
    alpha = pixels(cutout)[..., 3]
    assert alpha[alpha.shape[0] // 2, alpha.shape[1] // 2] == 255
    assert 0.3 < np.mean(alpha == 255) < 0.6


@pytest.mark.isnet
def test_isnet_agrees_with_the_exact_alpha(isnet: CatalogModel) -> None:
    photo = load(FIXTURES / "photos" / "mug.jpg")
    size = box_of(photo)
    cutout = matte(photo, size, isnet)
    with Image.open(FIXTURES / "truth" / "mug.webp") as picture:
        truth = np.asarray(picture.getchannel("A").resize(size, Image.Resampling.LANCZOS))
    assert inside(pixels(cutout)[..., 3], truth) > 0.97
    keeps_the_promises(cutout, soft=0.03)


def edge_and_iou(alpha: Bytes, truth: Bytes) -> tuple[float, float]:
    """Mean error within 7 px of the truth's edge, 0 … 1, and the IoU of both cut at half: as bench/cutouts.py."""
    product = truth > 127
    outline = product & ~ndimage.binary_erosion(product, border_value=1)
    rim = ndimage.distance_transform_edt(~outline) <= 7
    error = np.abs(alpha.astype(float) - truth)[rim].mean() / 255
    return float(error), float(((alpha > 127) & product).sum() / ((alpha > 127) | product).sum())


@pytest.mark.model
@sampled(("name", "edge", "iou"), [("vase.jpg", 0.035, 0.99), ("mug.jpg", 0.06, 0.985), ("toy.jpg", 0.09, 0.91)], 1)
def test_u2netp_is_closer_to_the_truth_than_rembg_with_the_same_weights(
    name: str, edge: float, iou: float, u2netp: CatalogModel
) -> None:
    photo = load(FIXTURES / "photos" / name)
    size = box_of(photo)
    with Image.open((FIXTURES / "truth" / name).with_suffix(".webp")) as picture:
        truth = np.asarray(picture.getchannel("A").resize(size, Image.Resampling.LANCZOS))
    ours = edge_and_iou(pixels(matte(photo, size, u2netp))[..., 3], truth)
    # rembg's own session stretches and enlarges what the network says; its mask is what `remove` cuts with.
    (mask,) = u2netp._segmenter.session.predict(photo.image)
    theirs = edge_and_iou(np.asarray(mask.resize(size, Image.Resampling.LANCZOS)), truth)
    assert ours[0] < edge
    assert ours[0] < 0.6 * theirs[0]
    assert ours[1] > max(iou, theirs[1])


@pytest.mark.model
def test_the_mask_is_what_rembg_itself_would_give(coffee: Photo, u2netp: CatalogModel) -> None:
    """The same network on the same pixels: only what is made of its belief is ours."""
    ours = np.asarray(u2netp(coffee.image))
    session = u2netp._segmenter.session
    (theirs,) = session.predict(coffee.image)
    assert inside(ours, np.asarray(theirs)) > 0.98


def noise(width: int, height: int) -> Image.Image:
    random = np.random.default_rng(7)
    return Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))


EMPTY = {
    "white": lambda: Image.new("RGB", (640, 480), "white"),
    "black": lambda: Image.new("RGB", (640, 480)),
    "grey": lambda: Image.new("RGB", (640, 480), (128, 128, 128)),
    "red": lambda: Image.new("RGB", (640, 480), "red"),
    "gradient": lambda: Image.linear_gradient("L").resize((640, 480)).convert("RGB"),
    "noise": lambda: noise(1200, 900),
    "blurred noise": lambda: noise(640, 480).filter(ImageFilter.GaussianBlur(8)),
}


@pytest.mark.model
@pytest.mark.parametrize("what", EMPTY)
def test_a_picture_without_a_product_is_refused_in_silence(what: str, u2netp: CatalogModel) -> None:
    photo = of(EMPTY[what]())
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        with pytest.raises(NoProduct, match=r"shoe\.jpg: no product found") as caught:
            matte(photo, box_of(photo), u2netp)
    assert "--mask" in caught.value.fix


@pytest.mark.isnet
def test_isnet_finds_nothing_on_paper_either(isnet: CatalogModel) -> None:
    photo = of(EMPTY["white"]())
    with pytest.raises(NoProduct):
        matte(photo, box_of(photo), isnet)


def a_matter_of(belief: NDArray[np.float32]) -> Matter:
    """The way from a network's belief to an alpha, with a belief of our own."""

    class Believing(OnnxSegmenter):
        def _ask(self, image: Image.Image) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
            return belief, []

    return Believing(Path("none.onnx"), "u2net", "believing")


@pytest.mark.parametrize(
    "value", [0.0, 0.49, np.nan, -np.inf], ids=["nothing", "not sure", "not a number", "minus infinity"]
)
def test_a_constant_belief_is_no_product(value: float) -> None:
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        with pytest.raises(NoProduct):
            a_matter_of(np.full((8, 8), value, np.float32))(Image.new("RGB", (20, 20)))


def test_a_belief_is_measured_by_its_peak_and_says_that_it_is_one() -> None:
    belief = np.repeat(np.array([[0.04, 0.4, 0.72, 0.8, 0.8, 0.8]], np.float32), 6, axis=0)
    found = a_matter_of(belief)(Image.new("RGB", (6, 6)))
    assert np.asarray(found)[0].tolist() == [13, 128, 230, 255, 255, 255]
    assert found.info["grain"] == 1
    assert found.info["confidence"] > 0.7


# --- weights that are none -------------------------------------------------------------------------------------------


def test_weights_that_do_not_load_are_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes(b"no network")
    with pytest.raises(ModelUnavailable) as caught:
        OnnxSegmenter(path, "u2net", "mine")(photos.photo())
    assert str(path) in str(caught.value)


@pytest.mark.model
def test_weights_of_another_family_are_named(u2netp: CatalogModel) -> None:
    with pytest.raises(ModelUnavailable, match="--family"):
        OnnxSegmenter(u2netp._segmenter.path, "isnet", "mine")(photos.photo())


@pytest.mark.model
def test_one_session_serves_many_threads(u2netp: CatalogModel, coffee: Photo) -> None:
    fresh = OnnxSegmenter(u2netp._segmenter.path, "u2net", "fresh")
    small = coffee.image.resize((150, 100))
    found: list[tuple[int, bytes]] = []

    def cut() -> None:
        alpha = fresh(small).tobytes()
        found.append((id(fresh.session), alpha))

    threads = [threading.Thread(target=cut) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert len(set(found)) == 1


def test_a_refusal_names_the_photo_whatever_the_matter_said() -> None:
    photo = replace(of(photos.photo()), source="red shoe.jpg")
    with pytest.raises(NoProduct, match=r"red shoe\.jpg"):
        matte(photo, Size(90, 70), FixedMatter(Image.new("L", (90, 70))))


# --- the user's own rembg --------------------------------------------------------------------------------------------


def test_rembgs_sessions_are_loaded_once_and_under_a_name_of_ours() -> None:
    session = import_session("u2netp", "U2netpSession")
    assert session is import_session("u2netp", "U2netpSession")
    assert session.__module__ != "rembg.sessions.u2netp"


@pytest.mark.parametrize(("module", "name"), [("nothing", "Session"), ("u2netp", "Nothing")])
def test_a_rembg_without_that_session_is_said_to_be(module: str, name: str) -> None:
    with pytest.raises(ModelUnavailable, match=f"no session {module}.{name}"):
        import_session(module, name)


_BESIDE_REMBG = """
import sys
from PIL import Image
from photio_prep.cutout.models.registry import get_model
from photio_prep.intake.load import load
from photio_prep.cutout.matte import matte
from photio_prep.geometry import Size

photo = load(sys.argv[1])
ours = matte(photo, Size(300, 200), get_model("u2netp"))
heavy = sorted({"rembg", "numba", "pymatting", "skimage", "llvmlite"} & set(sys.modules))
assert not heavy, heavy

import rembg
from rembg.sessions.u2netp import U2netpSession

class Here(U2netpSession):
    @classmethod
    def download_models(cls, *_, **__):
        return str(get_model("u2netp")._segmenter.path)

import onnxruntime
session = Here("u2netp", onnxruntime.SessionOptions())
assert rembg.sessions.U2netpSession is U2netpSession
theirs = rembg.remove(photo.image, session=session)
assert theirs.size == photo.image.size and theirs.getchannel("A").getextrema() == (0, 255)
again = matte(photo, Size(300, 200), get_model("u2netp"))
assert again.image.tobytes() == ours.image.tobytes()
print("both work")
"""


@pytest.mark.soak
@pytest.mark.model
def test_a_later_import_of_rembg_by_the_user_still_works(coffee: Photo) -> None:
    # On a fresh install rembg's first import compiles for a minute or two; interpreted, it is the same code.
    surroundings = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-c", _BESIDE_REMBG, coffee.source]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=surroundings)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "both work"


@pytest.mark.model
@pytest.mark.parametrize("family", ["u2net", "isnet"])
@pytest.mark.parametrize("brightest", [255, 97, 1, 0])
def test_a_network_is_fed_what_rembg_would_feed_it_to_the_bit(
    u2netp: CatalogModel, family: Family, brightest: int
) -> None:
    session = u2netp._segmenter.session
    noise = np.random.default_rng(5).integers(0, brightest + 1, (90, 130, 3), dtype=np.uint8)
    network = NETWORKS[family]
    size = network.side, network.side
    theirs = next(iter(session.normalize(Image.fromarray(noise), network.mean, network.deviation, size).values()))
    ours = normalize(Image.fromarray(noise), network)
    assert ours.dtype == theirs.dtype
    assert np.array_equal(ours, theirs)
