"""Finals and products in a marketplace's shape: nothing distorted, no product cut, white exactly white."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from photio_prep.geometry import Box, Size
from photio_prep.marketplaces import layout, presets
from photio_prep.marketplaces.presets import Preset
from tests.support import photos
from tests.support.sampling import sampled


def product(size: tuple[int, int]) -> Image.Image:
    """An ellipse that touches its own box on all sides, with a soft rim."""
    big = Image.new("L", (size[0] * 2, size[1] * 2))
    ImageDraw.Draw(big).ellipse((0, 0, big.width - 1, big.height - 1), fill=255)
    image = Image.new("RGBA", size, (40, 80, 160, 255))
    image.putalpha(big.resize(size, Image.Resampling.BOX))
    return image


WHITE = [each for each in presets.all_presets() if each.white]
SCENES = [each for each in presets.all_presets() if not each.white]


@pytest.mark.parametrize("preset", WHITE, ids=lambda each: each.name)
@sampled("size", [(2400, 1200), (900, 2600), (1800, 1800)], 1)
def test_a_packshot_is_white_filled_and_undistorted(preset: Preset, size: tuple[int, int]):
    laid = layout.lay_out_packshot(product(size), preset)
    assert laid.image.size == preset.size
    assert laid.notes == ()
    pixels, alpha = np.asarray(laid.image), np.asarray(laid.product)
    assert (pixels[alpha == 0] == 255).all()
    left, top, right, bottom = laid.product.getbbox() or (0, 0, 0, 0)  # type: ignore[union-attr]
    wide, high = right - left, bottom - top
    assert laid.fill == pytest.approx(preset.aim, abs=0.001)
    assert max(wide / preset.size.width, high / preset.size.height) == pytest.approx(preset.aim, abs=0.002)
    assert wide / high == pytest.approx(size[0] / size[1], rel=0.005)
    assert abs((left + right) - preset.size.width) <= 1  # in the middle
    assert abs((top + bottom) - preset.size.height) <= 1


@pytest.mark.parametrize(
    ("cut", "flush"),
    [
        (("left",), {"left"}),
        (("bottom", "right"), {"bottom", "right"}),
        (("left", "right"), {"left", "right"}),
        (("left", "top", "right", "bottom"), {"left", "right"}),
    ],
)
def test_what_the_photo_cut_off_stays_flush(cut: tuple[str, ...], flush: set[str]):
    whole = Image.new("RGBA", (1900, 1200), (10, 20, 30, 255))
    laid = layout.lay_out_packshot(whole, presets.find_preset("walmart"), cut)
    box = laid.product.getbbox() if laid.product else None
    assert box
    ends = dict(zip(("left", "top", "right", "bottom"), zip(box, (0, 0, *laid.image.size), strict=True), strict=True))
    assert {side for side, (at, end) in ends.items() if at == end} == flush
    assert "cuts the product off" in laid.notes[0]


def test_small_products_make_smaller_files_and_beyond_the_rules_it_is_said():
    amazon, walmart = presets.find_preset("amazon-main"), presets.find_preset("walmart")
    laid = layout.lay_out_packshot(product((600, 300)), amazon)
    assert laid.image.size == (1000, 1000)  # enlarged 1.5 times: 900 of 1000 pixels
    assert laid.notes == ()
    laid = layout.lay_out_packshot(product((600, 300)), walmart)
    assert laid.image.size == (1500, 1500)  # its least
    assert laid.notes == ("the photo has too few pixels and was enlarged 2.2 times: use a larger one",)
    laid = layout.lay_out_packshot(product((600, 300)), amazon, prior_upscale=3.0)
    assert laid.image.size == (500, 500)
    assert "2.2 times" in laid.notes[0]


def picture(size: tuple[int, int]) -> Image.Image:
    """Every pixel says where it came from."""
    ramp = np.zeros((size[1], size[0], 3), np.uint8)
    ramp[..., 0] = np.linspace(0, 250, size[0])[None, :]
    ramp[..., 1] = np.linspace(0, 250, size[1])[:, None]
    return Image.fromarray(ramp)


@pytest.mark.parametrize("preset", SCENES, ids=lambda each: each.name)
@pytest.mark.parametrize("size", [(2400, 1350), (1200, 1600), (1000, 1000)])
def test_scenes_are_never_distorted_and_hold_all_of_the_product(preset: Preset, size: tuple[int, int]):
    final = picture(size)
    there = Box(round(size[0] * 0.4), round(size[1] * 0.3), round(size[0] * 0.7), round(size[1] * 0.8))
    laid = layout.lay_out_scene(final, preset, there)
    assert laid.image.width <= preset.size.width
    assert laid.image.height <= preset.size.height
    pixels = np.asarray(laid.image).astype(float)
    across = (pixels[0, -1, 0] - pixels[0, 0, 0]) / 250 * size[0] / laid.image.width  # photo pixels for one of its own
    down = (pixels[-1, 0, 1] - pixels[0, 0, 1]) / 250 * size[1] / laid.image.height
    assert across == pytest.approx(down, rel=0.03)
    assert pixels[0, 0, 0] <= 250 * 0.4 + 2
    assert pixels[0, -1, 0] >= 250 * 0.7 - 2
    assert pixels[0, 0, 1] <= 250 * 0.3 + 2
    assert pixels[-1, 0, 1] >= 250 * 0.8 - 2
    ratio = preset.rule("ratio")
    if ratio is None:
        assert laid.image.width / laid.image.height == pytest.approx(size[0] / size[1], rel=0.002)


def test_a_product_too_wide_for_the_square_gets_the_nearest_allowed_shape():
    laid = layout.lay_out_scene(picture((1600, 1000)), presets.find_preset("instagram"), Box(100, 400, 1500, 600))
    assert 1.4 < laid.image.width / laid.image.height <= 1.6
    assert "does not fit into 1080x1080" in laid.notes[0]


def test_a_product_that_fits_no_allowed_shape_gets_bands_and_is_not_cut():
    final = photos.photo((3000, 1000))
    final.paste((200, 180, 160), (0, 0, 3000, 60))
    final.paste((200, 180, 160), (0, 940, 3000, 1000))
    laid = layout.lay_out_scene(final, presets.find_preset("instagram"), Box(50, 300, 2950, 700))
    assert laid.image.width / laid.image.height == pytest.approx(1.91, abs=0.01)
    assert "bands were added" in laid.notes[0]
    assert len({laid.image.getpixel((x, 0)) for x in (0, 500, 1000)}) == 1


def test_scenes_are_enlarged_only_so_far():
    laid = layout.lay_out_scene(picture((480, 640)), presets.find_preset("etsy"), Box(100, 100, 200, 200))
    assert laid.image.size == (720, 960)
    laid = layout.lay_out_scene(picture((120, 160)), presets.find_preset("google"), Box(10, 10, 20, 20))
    assert laid.image.width >= 500  # its least
    assert "enlarged" in laid.notes[0]


def test_the_share_of_the_product_is_told():
    laid = layout.lay_out_scene(picture((1000, 1000)), presets.find_preset("google"), Box(0, 100, 500, 900))
    assert laid.fill == pytest.approx(0.8)
    assert layout.lay_out_scene(picture((1000, 1000)), presets.find_preset("google")).fill is None
    assert layout.lay_out_scene(picture((1000, 1000)), presets.find_preset("google")).image.size == Size(1500, 1500)
