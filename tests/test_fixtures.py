"""The rendered photos keep their promises: sizes, truths, orientations, the shapes they are here for."""

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps
from scipy import ndimage

Bytes = NDArray[np.uint8]

FIXTURES = Path(__file__).parents[1] / "fixtures"
PHOTOS = sorted((FIXTURES / "photos").iterdir())
SCENES = [photo.stem for photo in PHOTOS]
ORIENTATION, GPS = 0x0112, 0x8825


def photo(scene: str) -> Path:
    (path,) = (FIXTURES / "photos").glob(f"{scene}.*")
    return path


def truth(scene: str) -> Bytes:
    with Image.open(FIXTURES / "truth" / f"{scene}.webp") as picture:
        return np.asarray(picture)


def alpha(scene: str) -> Bytes:
    return truth(scene)[..., 3]


def pieces(mask: NDArray[np.bool_]) -> list[int]:
    """Sizes of the connected parts, largest first; crumbs under 20 pixels left out."""
    labels, count = ndimage.label(mask)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    return sorted((int(size) for size in sizes if size >= 20), reverse=True)


def holes(scene: str) -> list[int]:
    """Background parts that do not touch the frame."""
    outside = np.pad(alpha(scene) < 128, 1, constant_values=True)
    return pieces(outside)[1:]


def test_there_are_photos_and_each_scene_has_one() -> None:
    assert len(SCENES) >= 10
    assert len(set(SCENES)) == len(SCENES)


def test_each_photo_has_its_truth_and_each_truth_its_photo() -> None:
    assert sorted(path.name for path in (FIXTURES / "truth").iterdir()) == [f"{scene}.webp" for scene in sorted(SCENES)]


@pytest.mark.parametrize("scene", SCENES)
def test_truth_is_rgba_of_the_upright_size(scene: str) -> None:
    with Image.open(photo(scene)) as picture, Image.open(FIXTURES / "truth" / f"{scene}.webp") as own:
        assert own.mode == "RGBA"
        assert own.size == ImageOps.exif_transpose(picture).size


@pytest.mark.parametrize("scene", SCENES)
def test_truth_has_full_none_and_soft_alpha(scene: str) -> None:
    values = alpha(scene)
    assert values.min() == 0
    assert values.max() == 255
    assert ((values > 0) & (values < 255)).any()


@pytest.mark.parametrize("scene", SCENES)
def test_truth_has_no_colour_where_alpha_is_0(scene: str) -> None:
    picture = truth(scene)
    assert not picture[picture[..., 3] == 0].any()


@pytest.mark.parametrize("scene", SCENES)
def test_truth_fits_the_photo_as_it_is_seen(scene: str) -> None:
    """Where the product is solid, its own colour is the photo's: this fails when one of the two is turned."""
    with Image.open(photo(scene)) as picture:
        seen = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"), dtype=float)
    own = truth(scene)
    solid = own[..., 3] == 255
    assert np.abs(seen[solid] - own[solid][:, :3]).mean() < 6


@pytest.mark.parametrize("scene", SCENES)
def test_the_product_fills_a_usual_part_of_the_frame(scene: str) -> None:
    rows = np.flatnonzero((alpha(scene) > 127).any(axis=1))
    assert 0.25 <= (rows[-1] - rows[0] + 1) / len(alpha(scene)) <= 1


def test_readme_lists_every_file_and_nothing_else() -> None:
    listed = set(re.findall(r"`((?:photos|truth)/[\w.-]+|[\w-]+\.py)`", (FIXTURES / "README.md").read_text("utf-8")))
    there = {f"{folder}/{path.name}" for folder in ("photos", "truth") for path in (FIXTURES / folder).iterdir()}
    assert listed == there | {path.name for path in FIXTURES.glob("*.py")}


def test_files_are_small() -> None:
    sizes = [path.stat().st_size for path in FIXTURES.rglob("*") if path.suffix in {".jpg", ".png", ".webp"}]
    assert max(sizes) < 700_000
    assert sum(sizes) < 4 * 1024**2


def test_one_photo_is_2400_pixels_wide() -> None:
    with Image.open(photo("carton")) as picture:
        assert max(picture.size) == 2400


def test_orientations_are_as_listed() -> None:
    turned = {}
    for path in PHOTOS:
        with Image.open(path) as picture:
            number = picture.getexif().get(ORIENTATION, 1)
        if number != 1:
            turned[path.stem] = number
    assert turned == {"bottle": 6, "mug": 3}


def test_the_turned_bottle_is_stored_lying_down() -> None:
    with Image.open(photo("bottle")) as picture:
        assert picture.width > picture.height
        assert ImageOps.exif_transpose(picture).height > ImageOps.exif_transpose(picture).width


def test_formats_and_modes_are_as_listed() -> None:
    odd = {}
    for path in PHOTOS:
        with Image.open(path) as picture:
            if (picture.format, picture.mode) != ("JPEG", "RGB"):
                odd[path.name] = (picture.format, picture.mode)
    assert odd == {"basket.jpg": ("JPEG", "L"), "flask.webp": ("WEBP", "RGB"), "pump.png": ("PNG", "RGB")}


def test_one_photo_says_where_it_was_taken() -> None:
    with Image.open(photo("carton")) as picture:
        assert picture.getexif().get_ifd(GPS)


def test_one_can_see_through_the_mugs_handle() -> None:
    (hole,) = holes("mug")
    assert hole > 2000


def test_one_can_see_through_the_flasks_loop() -> None:
    assert max(holes("flask")) > 500


def test_one_can_see_through_the_whisk_and_the_basket() -> None:
    assert len(holes("whisk")) >= 5
    assert len(holes("basket")) >= 100


def test_the_lamp_is_cut_by_the_frame_and_nothing_else_is() -> None:
    cut = set()
    for scene in SCENES:
        values = alpha(scene)
        edges = {"top": values[0], "bottom": values[-1], "left": values[:, 0], "right": values[:, -1]}
        cut |= {(scene, name) for name, edge in edges.items() if edge.max() == 255}
    assert cut == {("lamp", "top"), ("lamp", "right")}


def test_the_mills_are_two_products() -> None:
    sizes = pieces(alpha("mills") > 127)
    assert len(sizes) == 2
    assert sizes[1] > sizes[0] / 2


def test_the_bowls_are_out_of_focus() -> None:
    soft = {
        scene: float(((alpha(scene) > 0) & (alpha(scene) < 255)).sum() / (alpha(scene) > 0).sum()) for scene in SCENES
    }
    assert soft["bowls"] > 0.2
    assert soft["basket"] > 0.2


def test_the_jar_is_white_on_white_and_the_pump_black_on_dark() -> None:
    for scene, low, high in (("jar", 200, 255), ("pump", 0, 70)):
        with Image.open(photo(scene)) as picture:
            grey = np.asarray(picture.convert("L"))
        product = alpha(scene) == 255
        assert low <= np.median(grey[product]) <= high
        assert low <= np.median(grey[alpha(scene) == 0]) <= high
