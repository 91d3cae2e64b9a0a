"""Twenty and more broken files, each named rightly; and good ones, of which nothing is said."""

import io
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, ImageDraw
from PIL.PngImagePlugin import PngInfo

from photio_prep.final.provenance import TYPES
from photio_prep.imaging.encode import encode_picture
from photio_prep.imaging.icc_profiles import SRGB_PROFILE, space_of_codes
from photio_prep.marketplaces import presets
from photio_prep.marketplaces.check import check_file
from photio_prep.types import Credit
from tests.support import photos
from tests.support.sampling import sampled


def packshot(side: int = 2000, *, fill: float = 0.9, paper: Any = "white", shape: str = "tall") -> Image.Image:
    """A blue product with a soft rim on paper."""
    image = Image.new("RGB", (side, side), paper)
    alpha = Image.new("L", (side, side))
    tall, wide = fill * side, fill * side * 0.5
    box = ((side - wide) / 2, (side - tall) / 2, (side + wide) / 2 - 1, (side + tall) / 2 - 1)
    ImageDraw.Draw(alpha).rounded_rectangle(box, radius=side / 20, fill=255)
    image.paste((30, 60, 140), mask=alpha)
    return image


def scene(size: tuple[int, int] = (1600, 1200)) -> Image.Image:
    """No white anywhere near its border."""
    return photos.photo(size)


def jpeg(image: Image.Image, **options: Any) -> bytes:
    return photos.encoded(image, "JPEG", **{"quality": 95, "subsampling": 0, **options})


def smudged(value: int, size: int = 300) -> Image.Image:
    image = packshot()
    image.paste((value,) * 3, (60, 60, 60 + size, 60 + size))
    return image


def vignetted() -> Image.Image:
    """The paper is white at the frame and darkens towards the product, as a lit table does."""
    pixels = np.array(packshot())
    y, x = np.mgrid[-1:1:2000j, -1:1:2000j]
    shade = 255 - np.clip(12 - 14 * np.maximum(abs(x), abs(y)), 0, 12).astype(np.uint8)
    return Image.fromarray(np.minimum(pixels, shade[..., None]))


def shadowed() -> Image.Image:
    """A soft shadow that ends in the white."""
    pixels = np.array(packshot(fill=0.86)).astype(float)
    y, x = np.mgrid[0:2000, 0:2000]
    shadow = 60 * np.exp(-(((x - 1400) / 220) ** 2) - ((y - 1850) / 40) ** 2)
    return Image.fromarray(np.clip(pixels - shadow[..., None], 0, 255).astype(np.uint8))


def with_place() -> bytes:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    return jpeg(packshot(), exif=exif)


def turned() -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    return jpeg(packshot(), exif=exif)


def wide_gamut() -> bytes:
    profile, _ = space_of_codes(12, 13)
    return jpeg(packshot(), icc_profile=profile)


def png_with_place() -> bytes:
    told = PngInfo()
    told.add_itxt("XML:com.adobe.xmp", '<x:xmpmeta><rdf:Description exif:GPSLatitude="1"/></x:xmpmeta>')
    return photos.encoded(packshot(), "PNG", pnginfo=told)


def generated() -> bytes:
    return encode_picture(packshot(), "JPEG", xmp=f"<x:xmpmeta>{TYPES['trained']}</x:xmpmeta>".encode())


def animated() -> bytes:
    frames = [packshot(600), packshot(600, fill=0.8)]
    return photos.encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


# What is wrong -> the preset, the file's name, its bytes, the one rule it breaks, and what is said.
BROKEN: dict[str, tuple[str, str, Callable[[], bytes], str, str]] = {
    "too small": ("amazon-main", "a.jpg", lambda: jpeg(packshot(480)), "size", "480 px.*at least 500"),
    "too small for the shorter side": ("walmart", "a.jpg", lambda: jpeg(packshot(1400)), "size", "1400 px.*1500"),
    "too large": ("shopify", "a.jpg", lambda: jpeg(scene((5200, 3000))), "size", "5200 px.*at most 5000"),
    "too many pixels": ("shopify", "a.jpg", lambda: jpeg(scene((5000, 5001)), quality=50), "size", "pixels"),
    "too narrow for Instagram": ("instagram", "a.jpg", lambda: jpeg(scene((300, 320))), "size", "width is 300 px"),
    "too tall for Instagram": ("instagram", "a.jpg", lambda: jpeg(scene((1000, 1400))), "ratio", "0.714.*0.800"),
    "too wide for Instagram": ("instagram", "a.jpg", lambda: jpeg(scene((1440, 700))), "ratio", "2.057.*1.910"),
    "not square": ("walmart", "a.jpg", lambda: jpeg(packshot(2200).crop((0, 0, 2200, 2180))), "ratio", "1.009"),
    "too heavy": ("walmart", "a.jpg", lambda: heavy(), "weight", "at most 5,000,000 bytes"),
    "WebP for Amazon": ("amazon-main", "a.webp", lambda: photos.encoded(packshot(1600), "WEBP"), "format", "WEBP"),
    "PNG for Instagram": ("instagram", "a.png", lambda: photos.encoded(scene((1200, 1200))), "format", "PNG"),
    "a false suffix": ("amazon-main", "a.png", lambda: jpeg(packshot()), "suffix", "named .png, but is a JPEG"),
    "CMYK": ("ebay", "a.jpg", lambda: jpeg(scene().convert("CMYK")), "mode", "CMYK, for printing"),
    "greyscale": ("ebay", "a.jpg", lambda: jpeg(scene().convert("L")), "mode", "greyscale"),
    "transparent": ("ebay", "a.png", lambda: photos.encoded(photos.cutout((800, 800))), "mode", "transparency"),
    "a palette": ("ebay", "a.png", lambda: photos.encoded(scene().convert("P")), "mode", "palette"),
    "Display P3": ("amazon-main", "a.jpg", wide_gamut, "colour", "not sRGB"),
    "a broken profile": ("ebay", "a.jpg", lambda: jpeg(scene(), icc_profile=b"x" * 200), "colour", "not sRGB"),
    "stored turned": ("amazon-main", "a.jpg", turned, "turned", "orientation 6"),
    "says where": ("amazon-main", "a.jpg", with_place, "metadata", "GPS"),
    "says where, in XMP": ("amazon-main", "a.png", png_with_place, "metadata", "GPS"),
    "off-white": ("amazon-main", "a.jpg", lambda: jpeg(packshot(paper=(252, 252, 252))), "background", "252, 252, 252"),
    "one level off": ("amazon-main", "a.png", lambda: photos.encoded(packshot(paper="#fefefe")), "background", "254"),
    "grey paper": (
        "amazon-main",
        "a.jpg",
        lambda: jpeg(packshot(paper=(228, 228, 228))),
        "background",
        "not white paper",
    ),
    "a scene": ("amazon-main", "a.jpg", lambda: jpeg(scene((1600, 1600))), "background", "not white paper"),
    "a smudge": ("amazon-main", "a.jpg", lambda: jpeg(smudged(251)), "background", "not pure white"),
    "darker in the middle": ("amazon-main", "a.jpg", lambda: jpeg(vignetted()), "background", "not pure white"),
    "a shadow": ("amazon-main", "a.jpg", lambda: jpeg(shadowed()), "background", "not pure white"),
    "too much paper": ("amazon-main", "a.jpg", lambda: jpeg(packshot(fill=0.6)), "fill", "60%.*at least 85%"),
    "generated": ("amazon-main", "a.jpg", generated, "generated", "not allowed here"),
    "several frames": ("ebay", "a.gif", animated, "frames", "2 frames"),
    "cut short": ("ebay", "a.jpg", lambda: jpeg(scene())[:-3000], "readable", "cannot be read"),
    "empty": ("ebay", "a.jpg", lambda: b"", "readable", "empty"),
    "no picture": ("ebay", "a.jpg", lambda: b"%PDF-1.7 nothing to see", "readable", "a PDF"),
}


def heavy() -> bytes:
    image = packshot(2200)
    noise = np.random.default_rng(1).integers(0, 256, (1900, 1100, 3), dtype=np.uint8)
    image.paste(Image.fromarray(noise), (550, 150))
    return jpeg(image, quality=100)


@sampled("what", BROKEN, 8)
def test_a_broken_file_is_named_rightly(what: str):
    preset, name, make, rule, said = BROKEN[what]
    report = check_file(make(), presets.find_preset(preset), name=name)
    assert {each.rule for each in report.broken} <= {rule} | ALSO.get(what, set()), report.faults
    assert any(each.rule == rule and re.search(said, each.text) for each in report.broken), report.faults


# What comes along with a fault, and is none of another kind.
ALSO = {"several frames": {"mode", "size"}, "a smudge": set(), "a shadow": set(), "a scene": {"fill"}}
ALSO |= {"grey paper": {"fill"}}


def test_there_are_twenty_and_they_cover_every_kind_of_rule():
    assert len(BROKEN) >= 20
    kinds = {
        "size",
        "ratio",
        "weight",
        "format",
        "suffix",
        "mode",
        "colour",
        "turned",
        "metadata",
        "background",
        "fill",
    }
    assert {each[3] for each in BROKEN.values()} == kinds | {"generated", "frames", "readable"}


@sampled("preset", [each.name for each in presets.all_presets()], 4)
def test_a_good_file_is_let_through(preset: str):
    wanted = presets.find_preset(preset)
    image = packshot(wanted.size.width, fill=0.9) if wanted.white else scene(wanted.size)
    xmp = None if wanted.white else f"<x:xmpmeta>{TYPES['trained']}</x:xmpmeta>".encode()
    data = encode_picture(image, "JPEG", credit=Credit("Somebody", "© them"), xmp=xmp)
    report = check_file(data, wanted, name="a.jpg", generated=not wanted.white)
    assert report.faults == ()
    assert (report.format, report.size, report.weight) == ("JPEG", image.size, len(data))
    if wanted.white:
        assert report.white == 1
        assert report.fill == pytest.approx(0.9, abs=0.005)
        assert "pure white" in str(report)


def test_what_is_good_but_could_be_better_is_a_note():
    report = check_file(jpeg(packshot(1200)), presets.find_preset("amazon-main"))
    assert report.broken == ()
    assert [(each.rule, each.text) for each in report.faults] == [
        ("size", "its longer side has 1200 px; 1600 px or more is recommended")
    ]
    touching = packshot(2000, fill=1.0)
    (note,) = check_file(jpeg(touching), presets.find_preset("amazon-main")).faults
    assert (note.rule, note.broken) == ("background", False)
    assert "touches the frame (top, bottom)" in note.text


def test_a_generated_picture_has_to_say_so_where_that_is_asked_for():
    google = presets.find_preset("google")
    assert check_file(jpeg(scene()), google).broken == ()  # nobody knows
    (fault,) = check_file(jpeg(scene()), google, generated=True).broken
    assert fault.rule == "generated"
    assert "--provenance" in fault.text
    amazon = presets.find_preset("amazon-main")
    assert [each.rule for each in check_file(jpeg(packshot()), amazon, generated=True).broken] == ["generated"]


@sampled("quality", [95, 84, 70], 1)
def test_white_is_white_after_jpeg(quality: int):
    """255 stays 255: every pixel of the paper, two blocks of the JPEG away from the product."""
    data = encode_picture(packshot(), "JPEG", quality=quality)
    with Image.open(io.BytesIO(data)) as opened:
        pixels = np.asarray(opened.convert("RGB"))
    product = np.asarray(packshot()).min(axis=2) < 255
    rows, columns = np.flatnonzero(product.any(1)), np.flatnonzero(product.any(0))
    away = np.ones(product.shape, dtype=bool)
    away[rows[0] - 16 : rows[-1] + 17, columns[0] - 16 : columns[-1] + 17] = False
    assert (pixels[away] == 255).all()
    assert check_file(data, presets.find_preset("amazon-main")).white == 1


def test_paper_is_judged_exactly_where_the_product_is_known():
    """A few off-white pixels are noted only, unless it is known that they are no part of the product."""
    image = packshot()
    image.paste((250, 250, 250), (100, 100, 130, 130))
    data = photos.encoded(image)
    amazon = presets.find_preset("amazon-main")
    (note,) = check_file(data, amazon).faults
    assert (note.rule, note.broken) == ("background", False)
    known = packshot().convert("L").point([255] * 200 + [0] * 56)
    (fault,) = check_file(data, amazon, product=known).broken
    assert "900 pixels of its background" in fault.text
    elsewhere = known.copy()
    elsewhere.paste(255, (90, 90, 140, 140))
    assert check_file(data, amazon, product=elsewhere).broken == ()


def test_hostile_metadata_ends_nothing():
    """EXIF whose directories point anywhere; many marks that begin none."""
    nasty = b"Exif\0\0" + b"II*\0" + (2**31).to_bytes(4, "little") + b"MM\0*\0\0\0\x08\xff\xff" + b"II*\0" * 5000
    data = jpeg(scene(), exif=nasty[:60_000])
    report = check_file(data, presets.find_preset("ebay"))
    assert all(each.rule in ("metadata", "turned") for each in report.broken)


def test_srgb_by_any_name_is_srgb():
    for profile in (SRGB_PROFILE, ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()):
        assert check_file(jpeg(scene(), icc_profile=profile), presets.find_preset("ebay")).broken == ()
