"""Every way in which a TIFF stores its samples comes out as the same picture, or is refused by its name.

The truth is the array that tifffile, or a few lines of this file, wrote.
"""

from __future__ import annotations

import io
import itertools
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from photio_prep.errors import PhotoRefused
from photio_prep.imaging.decode import Limits, decode_picture
from tests.support import icc
from tests.support.photos import encoded
from tests.support.rasters import page, tiff
from tests.support.sampling import sampled

if TYPE_CHECKING:
    from numpy.typing import NDArray

HERE = Limits(isolate="none")
HEIGHT, WIDTH = 33, 50
# Photometric interpretation, colours, further samples: as tifffile names them.
KINDS: dict[str, tuple[str, int, tuple[str, ...]]] = {
    "grey": ("minisblack", 1, ()),
    "white is 0": ("miniswhite", 1, ()),
    "grey+alpha": ("minisblack", 1, ("unassalpha",)),
    "rgb": ("rgb", 3, ()),
    "rgba": ("rgb", 3, ("unassalpha",)),
    "rgb premultiplied": ("rgb", 3, ("assocalpha",)),
    "rgb+unspecified": ("rgb", 3, ("unspecified",)),
    "rgba+spot": ("rgb", 3, ("unassalpha", "unspecified")),
    "cmyk": ("separated", 4, ()),
    "cmyk+alpha": ("separated", 4, ("unassalpha",)),
}
PACKINGS = [(None, False), ("zlib", False), ("zlib", True)]
LAYOUTS = list(itertools.product("<>", ["u1", "u2", "u4", "f2", "f4"], ["contig", "separate"], PACKINGS, [None, 16]))


def ramps(channels: int) -> NDArray[np.float64]:
    """Shares from 0 to 1, in which no two rows, columns or channels are alike, and each channel has both ends."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    shares = np.stack([(x * (at + 1) + y * (7 - at)) % 256 / 255 for at in range(channels)], -1)
    shares[0, 0], shares[-1, -1] = 0, 1
    return shares


def stored(shares: NDArray[np.float64], kind: str) -> NDArray[Any]:
    """Shares as numbers of a type: all of its bits, or floats."""
    number = np.dtype(kind)
    return (shares if number.kind == "f" else np.rint(shares * float(np.iinfo(number).max))).astype(number)


def shown(shares: NDArray[np.float64], kind: str) -> NDArray[np.float64]:
    """What a screen shows of the colours, and alpha, of a kind: RGB or RGBA, 0 to 255."""
    photometric, count, extra = KINDS[kind]
    colours = shares[..., :count]
    if photometric == "miniswhite":
        colours = 1 - colours
    if count == 4:  # plain inks
        colours = (1 - colours[..., :3]) * (1 - colours[..., 3:])
    colours = np.repeat(colours, 3, -1) if count == 1 else colours
    alpha = [shares[..., count : count + 1]] if extra and extra[0].endswith("alpha") else []
    return 255 * np.concatenate([colours, *alpha], -1)


def written(shares: NDArray[np.float64], kind: str, order: str, number: str, **options: Any) -> bytes:
    photometric, count, extra = KINDS[kind]
    if extra == ("assocalpha",):
        shares = np.concatenate([shares[..., :3] * shares[..., 3:], shares[..., 3:]], -1)
    samples = stored(shares, number)
    if options["planarconfig"] == "separate":
        samples = np.moveaxis(samples, -1, 0)
    if count + len(extra) == 1:
        samples, options["planarconfig"] = samples.reshape(HEIGHT, WIDTH), None
    file = io.BytesIO()
    samples = np.ascontiguousarray(samples).astype(np.dtype(order + number))
    options |= {"extrasamples": extra or None, "byteorder": order, "metadata": None}
    tifffile.imwrite(file, samples, photometric=photometric, **options)
    return file.getvalue()


def check(data: bytes, expected: NDArray[Any], slack: float = 0.6) -> tuple[str, ...]:
    """Decode and compare with RGB or RGBA, 0 to 255; return the notes."""
    decoded = decode_picture(data, HERE)
    pixels = np.asarray(decoded.image).astype(float)
    assert pixels.shape == expected.shape
    visible = expected[..., 3:] > 0 if expected.shape[-1] == 4 else True
    assert np.abs(np.where(visible, pixels - expected, 0)).max() <= slack
    return decoded.notes


@sampled(("order", "number", "planes", "packing", "tile"), LAYOUTS, 16)
def test_every_layout_of_every_kind(order: str, number: str, planes: str, packing: Any, tile: int | None) -> None:
    for kind, (_, count, extra) in KINDS.items():
        shares = ramps(count + len(extra))
        if "premultiplied" in kind:  # of faint colours few levels are left
            shares[..., 3] = 0.5 + shares[..., 3] / 2
        if packing[1] and number.startswith("f"):
            continue  # tifffile needs a codec for it: see below
        options = {"planarconfig": planes, "compression": packing[0], "predictor": packing[1]}
        options |= {"tile": (tile, tile)} if tile else {"rowsperstrip": 10}
        data = written(shares, kind, order, number, **options)
        # Black is multiplied by 8 bits of each ink; a premultiplied colour of 8 bits is rounded twice.
        slack = {"cmyk": 1.6, "cmyk+alpha": 1.6, "rgb premultiplied": 2.1}.get(kind, 0.6)
        notes = check(data, shown(shares, kind), slack)
        assert any("transparency" in note for note in notes) == ("unspecified" in extra), kind


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6, 10, 12, 14])
@pytest.mark.parametrize("photometric", [0, 1, 2])
def test_samples_of_odd_numbers_of_bits(order: str, bits: int, photometric: int) -> None:
    """Rows of bits, the highest first, whatever the byte order."""
    count = 3 if photometric == 2 else 1
    full = 2**bits - 1
    values = np.rint(ramps(count) * full).astype(np.uint16)
    digits = (values[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    rows = np.packbits(digits.reshape(HEIGHT, -1).astype(np.uint8), axis=1)
    tags = {f"t{tag}": (3, value) for tag, value in {256: [WIDTH], 258: [bits] * count, 277: [count], 339: [1]}.items()}
    data = tiff([page(rows, order, photometric=photometric, **tags)], order)
    expected = 255.0 * values / full
    expected = 255 - expected if photometric == 0 else expected
    check(data, np.repeat(expected, 3, -1) if count == 1 else expected)
    if bits == 1 and count == 1:  # the lowest bit first
        flipped = np.packbits(np.unpackbits(rows, axis=1).reshape(HEIGHT, -1, 8)[..., ::-1].reshape(HEIGHT, -1), axis=1)
        check(
            tiff([page(flipped, order, photometric=photometric, t266=(3, [2]), **tags)], order),
            np.repeat(expected, 3, -1),
        )


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("number", ["f2", "f4", "f8"])
@pytest.mark.parametrize("count", [1, 3, 4])
def test_floats_with_their_own_predictor(order: str, number: str, count: int) -> None:
    """TIFF Technical Note 3: the bytes of a row by their order, the highest first, then differences of bytes."""
    shares = ramps(count)
    values = shares.astype(np.dtype(number).newbyteorder(">"))
    size = values.itemsize
    rows = values.reshape(HEIGHT, WIDTH * count, 1).view(np.uint8).reshape(HEIGHT, WIDTH * count, size)
    rows = rows.swapaxes(1, 2).reshape(HEIGHT, -1, count)
    rows = np.diff(rows, axis=1, prepend=np.zeros((HEIGHT, 1, count), np.uint8))
    tags, _ = page(
        values, order, t259=(3, [8]), t317=(3, [3]), t338=(3, [2] * (count == 4)) if count == 4 else (3, [0])
    )
    tags = {tag: value for tag, value in tags.items() if tag != 338 or count == 4}
    check(tiff([(tags, zlib.compress(rows.tobytes()))], order), shown(shares, {1: "grey", 3: "rgb", 4: "rgba"}[count]))


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "raw", "lzma", "zstd"])
@pytest.mark.parametrize("predictor", [1, 2])
def test_what_pillow_packs(compression: str, predictor: int) -> None:
    shares = ramps(4)
    image = Image.fromarray(np.rint(255 * shares).astype(np.uint8))
    plain = compression in ("packbits", "raw")
    options = {} if plain else {"tiffinfo": {317: predictor}}
    try:
        data = encoded(image, "TIFF", compression=compression, **options)
    except OSError:
        pytest.skip("this Pillow does not pack so")
    check(data, shown(shares, "rgba"))


@pytest.mark.parametrize("number", ["u1", "u2"])
@pytest.mark.parametrize("photometric", [8, 9])
@pytest.mark.parametrize("order", "<>")
def test_lab_of_8_and_16_bits(number: str, photometric: int, order: str) -> None:
    """CIELab has signed a and b; ICC's adds 128 and ends L of 16 bits at 0xFF00 (ICC.1:2001, annex A)."""
    lightness, a, b = np.meshgrid([40.0, 55, 70], [-16.0, 0, 16], np.arange(-24.0, 25, 8), indexing="ij")
    lab = np.stack([lightness, a, b], -1).reshape(9, 7, 3).repeat(4, 0).repeat(4, 1)
    wide = number == "u2"
    if photometric == 8:
        lightness = lab[..., :1] / 100 * (65535 if wide else 255)
        colours = np.rint(lab[..., 1:] * (256 if wide else 1)) % (65536 if wide else 256)
    else:
        lightness = lab[..., :1] / 100 * (65280 if wide else 255)
        colours = (lab[..., 1:] + 128) * (256 if wide else 1)
    values = np.rint(np.concatenate([lightness, colours], -1)).astype(number)
    decoded = np.asarray(decode_picture(tiff([page(values, order, photometric=photometric)], order), HERE).image)
    assert icc.difference(decoded, icc.curved(icc.linear_srgb(icc.lab_to_xyz(lab)))).max() <= 2


@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_numbers_beyond_their_usual_range_are_scaled_with_a_note(planes: str) -> None:
    shares = ramps(3)
    file = io.BytesIO()
    samples = (shares * 4).astype(np.float32)
    samples = np.moveaxis(samples, -1, 0) if planes == "separate" else samples
    tifffile.imwrite(file, samples, photometric="rgb", planarconfig=planes, metadata=None)
    (note,) = check(file.getvalue(), 255 * shares)
    assert "0 to 4" in note


REFUSED = {
    "24 bits": (page(np.zeros((20, 60), np.uint8), t256=(3, [20]), t258=(3, [24])), "24 bits"),
    "mixed bits": (page(np.zeros((20, 20, 3), np.uint8), t258=(3, [5, 6, 5])), "mixed bits"),
    "float Lab": (page(np.zeros((20, 20, 3), np.float32), photometric=8), "CIELab .*floating point"),
    "ITU Lab": (page(np.zeros((20, 20, 3), np.uint8), photometric=10), "ITU Lab"),
    "raw sensor": (page(np.zeros((20, 20), np.uint16), photometric=32803), "raw sensor data"),
    "JPEG 2000": (page(np.zeros((20, 20, 3), np.uint8), t259=(3, [34712])), "JPEG 2000"),
    "palette in planes": (page(np.zeros((20, 20, 2), np.uint8), photometric=3), "palette colours with 2 samples"),
    "complex": (page(np.zeros((20, 20), np.uint32), t339=(3, [6])), "grey .*mixed"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_read_right_is_refused_by_its_name(name: str) -> None:
    data, pattern = REFUSED[name]
    with pytest.raises(PhotoRefused, match=rf"a TIFF of .*{pattern}.*, which is not read\. Export it as RGB"):
        decode_picture(tiff([data]), HERE)


def test_a_layered_tiff_gives_its_flat_picture() -> None:
    """The layers (tag 37724) may be longer than the limit on metadata."""
    flat = np.rint(255 * ramps(3)).astype(np.uint8)
    layers = [0] * (17 * 2**20)
    assert check(tiff([page(flat, t37724=(7, layers))]), flat.astype(float), 0) == ()


@pytest.mark.parametrize(("tag", "kind", "values"), [(258, 11, [8, 8, 8]), (259, 2, [1, 0]), (277, 2, [3, 0])])
def test_a_senseless_entry_is_refused_and_not_guessed(tag: int, kind: int, values: list[int]) -> None:
    tags, strip = page(np.rint(255 * ramps(3)).astype(np.uint8))
    with pytest.raises(PhotoRefused, match=f"entry {tag} cannot be read"):
        decode_picture(tiff([(tags | {tag: (kind, values)}, strip)]), HERE)


def picture() -> Image.Image:
    return Image.fromarray(np.rint(255 * ramps(3)).astype(np.uint8))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palettes(order: str, bits: int) -> None:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    values = ((x + y) % 2**bits).astype(np.uint8)
    colours = np.random.default_rng(bits).integers(0, 256, (3, 2**bits))
    digits = (values[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    rows = np.packbits(digits.reshape(HEIGHT, -1), axis=1)
    more = {"t256": (3, [WIDTH]), "t258": (3, [bits]), "t320": (3, (colours * 257).ravel().tolist())}
    check(tiff([page(rows, order, photometric=3, **more)], order), colours[:, values].transpose(1, 2, 0), 0)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "YCbCr"])
def test_jpeg_in_a_tiff(mode: str) -> None:
    image = picture().convert(mode)
    check(encoded(image, "TIFF", compression="jpeg", quality=100), np.asarray(image.convert("RGB")).astype(float), 6)


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
def test_fax(compression: str) -> None:
    bits = picture().convert("1")
    check(encoded(bits, "TIFF", compression=compression), np.asarray(bits.convert("RGB")).astype(float), 0)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("packing", [1, 8])
def test_ycbcr_of_half_the_colours_is_right_or_refused(order: str, packing: int) -> None:
    y, x = np.mgrid[:32, :48] * 2.0
    smooth = Image.fromarray(np.dstack([x + 60, y + 60, x + y + 20]).astype(np.uint8))
    pixels = np.asarray(smooth.convert("YCbCr"))
    luma = pixels[..., 0].reshape(16, 2, 24, 2).swapaxes(1, 2).reshape(16, 24, 4)
    chroma = pixels.reshape(16, 2, 24, 2, 3).mean((1, 3))[..., 1:].round().astype(np.uint8)
    blocks = np.concatenate([luma, chroma], -1).tobytes()
    tags, _ = page(pixels, order, photometric=6, t530=(3, [2, 2]), t259=(3, [packing]))
    data = tiff([(tags, zlib.compress(blocks) if packing == 8 else blocks), page(pixels)], order)
    if packing == 8:
        decoded = decode_picture(data, HERE, frame=0).image
        assert np.abs(np.asarray(decoded).astype(int) - np.asarray(smooth).astype(int)).max() <= 6
    else:  # Pillow would read on into what follows
        with pytest.raises(PhotoRefused, match=r"YCbCr .*no compression"):
            decode_picture(data, HERE, frame=0)


def test_a_picture_of_many_samples_is_refused_before_it_needs_the_memory() -> None:
    data = tiff([page(np.zeros((20, 20), np.uint8), t256=(4, [10_000]), t257=(4, [5000]), t277=(3, [1000]))])
    with pytest.raises(PhotoRefused, match="more memory than the limit"):
        decode_picture(data, HERE)
