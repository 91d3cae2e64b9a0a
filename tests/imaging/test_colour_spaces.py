"""A colour space that a file names otherwise than by an ICC profile: converted as littlecms converts it, or noted.

The truth is littlecms with profiles of tests/support/icc.py, whose numbers come from a table and not from the code.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from photio_prep.imaging.decode import DecodedPicture, Limits, decode_picture
from photio_prep.intake.load import load
from tests.support import icc
from tests.support.photos import encoded
from tests.support.rasters import chunk, page, png, segment, tiff

if TYPE_CHECKING:
    from numpy.typing import NDArray

HERE = Limits(isolate="none")
EXACT: dict[str, dict[str, Any]] = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}
ADOBE = icc.matrix_profile("Adobe RGB", icc.ADOBE, 563 / 256)
P3 = icc.matrix_profile_4("Display P3", icc.P3)
XMP_NAME = b"http://ns.adobe.com/xap/1.0/\0"


def chart() -> NDArray[np.uint8]:
    """Patches of 8 pixels: colours that sRGB holds in any of the spaces, and greys."""
    levels = np.array([[r, g, b] for r in (70, 128, 180) for g in (80, 128, 190) for b in (70, 128, 180)], np.uint8)
    greys = np.linspace(0, 255, 9).astype(np.uint8)[:, None].repeat(3, 1)
    return np.concatenate([levels, greys]).reshape(6, 6, 3).repeat(8, 0).repeat(8, 1)


def shown(pixels: NDArray[np.uint8], profile: bytes) -> NDArray[np.int_]:
    """What littlecms shows of pixels in a profile."""
    out = ImageCms.profileToProfile(
        Image.fromarray(pixels),
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert out is not None
    return np.asarray(out).astype(int)


def check(decoded: DecodedPicture, profile: bytes | None, slack: int = 2) -> None:
    """The decoded chart is as littlecms shows it, without a note; without a profile it is unchanged."""
    expected = chart().astype(int) if profile is None else shown(chart(), profile)
    assert np.abs(np.asarray(decoded.image.convert("RGB")).astype(int) - expected).max() <= slack
    assert decoded.notes == ()
    # The test would notice if nothing were converted.
    assert profile is None or np.abs(expected - chart()).max() >= 10


def directory(order: str, start: int, *entries: tuple[int, int, int, bytes]) -> bytes:
    """A directory of EXIF at an offset: tag, type, number of values, value (behind it if it is longer than 4 bytes)."""
    table, behind = b"", b""
    for tag, kind, many, value in sorted(entries):
        if len(value) > 4:
            place = start + 6 + 12 * len(entries) + len(behind)
            behind += value
            value = struct.pack(order + "I", place)
        table += struct.pack(order + "HHI", tag, kind, many) + value.ljust(4, b"\0")
    return struct.pack(order + "H", len(entries)) + table + bytes(4) + behind


def details(order: str, start: int, space: int | None, index: bytes = b"") -> bytes:
    """The directories of EXIF and of interoperability, at an offset of the file."""
    entries = [(0xA001, 3, 1, struct.pack(order + "H", space))] if space is not None else []
    pointer = (0xA005, 4, 1, bytes(4))
    if index:
        place = start + len(directory(order, start, *entries, pointer))
        entries.append((0xA005, 4, 1, struct.pack(order + "I", place)))
    body = directory(order, start, *entries)
    return body + (directory(order, 0, (1, 2, 4, index + b"\0")) if index else b"")


def exif(order: str, space: int | None, index: bytes = b"", *more: tuple[int, int, int, bytes]) -> bytes:
    mark = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", 8)
    first = directory(order, 8, (0x8769, 4, 1, bytes(4)), *more)
    pointer = (0x8769, 4, 1, struct.pack(order + "I", 8 + len(first)))
    return mark + directory(order, 8, pointer, *more) + details(order, 8 + len(first), space, index)


def in_container(kind: str, order: str, space: int | None, index: bytes = b"", **options: Any) -> bytes:
    """A chart in a file whose EXIF says a colour space."""
    if kind != "TIFF":
        block = exif(order, space, index)
        prefix = b"Exif\0\0" if kind != "PNG" else b""
        return encoded(Image.fromarray(chart()), kind, exif=prefix + block, **EXACT.get(kind, {}), **options)
    length = len(tiff([page(chart(), order, t34665=(4, [0]))], order))
    return tiff([page(chart(), order, t34665=(4, [length]))], order) + details(order, length, space, index)


# --- EXIF ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG", "TIFF"])
@pytest.mark.parametrize(("space", "index"), [(65535, b"R03"), (2, b""), (2, b"R98"), (None, b"R03")])
def test_adobe_rgb_by_exif(kind: str, order: str, space: int | None, index: bytes) -> None:
    check(decode_picture(in_container(kind, order, space, index), HERE), ADOBE, 4 if kind == "JPEG" else 2)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG", "TIFF"])
@pytest.mark.parametrize(("space", "index"), [(1, b"R98"), (1, b"R03"), (None, b"R98"), (None, b"")])
def test_srgb_by_exif_changes_nothing(kind: str, space: int | None, index: bytes) -> None:
    """Programs that convert to sRGB set ColorSpace and leave the index."""
    check(decode_picture(in_container(kind, "<", space, index), HERE), None, 4 if kind == "JPEG" else 0)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG", "TIFF"])
def test_a_space_that_exif_does_not_name_is_noted(kind: str) -> None:
    decoded = decode_picture(in_container(kind, ">", 65535), HERE)
    assert decoded.notes == ("its EXIF says that it is not sRGB, but not what it is; its colours may be wrong",)
    assert np.abs(np.asarray(decoded.image).astype(int) - chart()).max() <= 4


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG"])
def test_a_profile_comes_before_exif(kind: str) -> None:
    data = in_container(kind, "<", 65535, b"R03", icc_profile=P3)
    check(decode_picture(data, HERE), P3, 4 if kind == "JPEG" else 2)


def test_exif_counts_if_the_profile_is_too_long() -> None:
    data = in_container("PNG", "<", 65535, b"R03", icc_profile=P3)
    decoded = decode_picture(data, Limits(isolate="none", profile=100))
    assert np.abs(np.asarray(decoded.image).astype(int) - shown(chart(), ADOBE)).max() <= 2
    assert "ignored" in decoded.notes[0]


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("gamma", [None, 1.8])
def test_primaries_in_exif(order: str, gamma: float | None) -> None:
    """Canon's cameras write Adobe RGB's white point and primaries beside R03; others only these."""
    points = (*(313, 1000, 329, 1000),), (*(64, 100, 33, 100, 21, 100, 71, 100, 15, 100, 6, 100),)
    numbers = [struct.pack(f"{order}{len(values)}I", *values) for values in points]
    more = [(318, 5, 2, numbers[0]), (319, 5, 6, numbers[1])]
    block = exif(order, 65535, b"", *more)
    if gamma:
        start = len(exif(order, None, b"", *more)) - len(details(order, 0, None))
        tail = directory(
            order,
            start,
            (0xA001, 3, 1, struct.pack(order + "H", 65535)),
            (0xA500, 5, 1, struct.pack(order + "II", 18, 10)),
        )
        block = block[:start] + tail
    data = encoded(Image.fromarray(chart()), "PNG", exif=block)
    check(decode_picture(data, HERE), icc.matrix_profile("", icc.ADOBE, gamma or 2.2))


@pytest.mark.parametrize("order", "<>")
def test_primaries_and_a_table_in_a_tiff(order: str) -> None:
    adobe = {"t318": (5, [313, 1000, 329, 1000]), "t319": (5, [64, 100, 33, 100, 21, 100, 71, 100, 15, 100, 6, 100])}

    def written(**tags: Any) -> bytes:
        return tiff([page(chart(), order, **tags)], order)

    check(decode_picture(written(**adobe), HERE), icc.matrix_profile("", icc.ADOBE, 2.2))
    table = np.rint(65535 * (np.arange(256) / 255) ** 1.8).astype(int).tolist()
    for tables in (table, table * 3):
        check(decode_picture(written(t301=(3, tables), **adobe), HERE), icc.matrix_profile("", icc.ADOBE, 1.8))
        check(decode_picture(written(t301=(3, tables)), HERE), icc.matrix_profile("", icc.SRGB, 1.8))
    # ImageMagick writes sRGB's own into each file.
    srgb = {"t318": (5, [3127, 10_000, 329, 1000]), "t319": (5, [64, 100, 33, 100, 3, 10, 6, 10, 15, 100, 6, 100])}
    check(decode_picture(written(**srgb), HERE), None, 0)


def test_a_picture_in_memory_keeps_the_space_of_its_exif() -> None:
    with Image.open(io.BytesIO(in_container("PNG", "<", 65535, b"R03"))) as opened:
        pixels = np.asarray(load(opened).image).astype(int)
    assert np.abs(pixels - shown(chart(), ADOBE)).max() <= 2


# --- XMP -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("packet", "profile"),
    [
        (b'<r exif:ColorSpace="2"/>', ADOBE),
        (b"<exif:ColorSpace>2</exif:ColorSpace>", ADOBE),
        (b'<r exif:ColorSpace="65535" photoshop:ICCProfile="Adobe RGB (1998)"/>', ADOBE),
        (b"<photoshop:ICCProfile>Display P3</photoshop:ICCProfile>", P3),
        (b'<r exif:ColorSpace="1"/>', None),
        (b'<r photoshop:ICCProfile="sRGB IEC61966-2.1"/>', None),
    ],
)
def test_a_space_by_xmp(packet: bytes, profile: bytes | None) -> None:
    base = encoded(Image.fromarray(chart()), "JPEG", **EXACT["JPEG"])
    check(decode_picture(base[:2] + segment(0xE1, XMP_NAME + packet) + base[2:], HERE), profile, 4)
    before = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet)
    check(decode_picture(png(chart(), before), HERE), profile)


def test_a_profile_that_xmp_only_names_is_noted() -> None:
    before = chunk(b"iTXt", b'XML:com.adobe.xmp\0\0\0\0\0<r photoshop:ICCProfile="Coated FOGRA39"/>')
    assert "'Coated FOGRA39'" in decode_picture(png(chart(), before), HERE).notes[0]


# --- PNG -------------------------------------------------------------------------------------------------------------


def gamma(value: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(value * 100_000)))


def points(*xy: float) -> bytes:
    return chunk(b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in xy)))


D65 = (0.3127, 0.3290)
ADOBE_POINTS = points(*D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
P3_POINTS = points(*D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
SRGB_POINTS = points(*D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
BY_CODES = chunk(b"cICP", bytes([12, 13, 0, 1]))
BY_PROFILE = chunk(b"iCCP", b"a\0\0" + zlib.compress(ADOBE))
SRGB = chunk(b"sRGB", b"\0")
PNGS: dict[str, tuple[list[bytes], bytes | None]] = {
    "cICP P3": ([BY_CODES], P3),
    "cICP before iCCP": ([BY_CODES, BY_PROFILE], P3),
    "cICP before iCCP, in the other order": ([BY_PROFILE, BY_CODES], P3),
    "cICP of sRGB before iCCP": ([chunk(b"cICP", bytes([1, 13, 0, 1])), BY_PROFILE], None),
    "cICP linear": ([chunk(b"cICP", bytes([1, 8, 0, 1]))], icc.matrix_profile("", icc.SRGB, 1.0)),
    "cICP gamma 2.2": ([chunk(b"cICP", bytes([12, 4, 0, 1]))], icc.matrix_profile("", icc.P3, 2.2)),
    "iCCP before sRGB": ([BY_PROFILE, SRGB], ADOBE),
    "sRGB before the numbers": ([SRGB, gamma(1), ADOBE_POINTS], None),
    "gAMA and cHRM": ([gamma(256 / 563), ADOBE_POINTS], ADOBE),
    "cHRM": ([P3_POINTS], P3),
    "gAMA linear": ([gamma(1)], icc.matrix_profile("", icc.SRGB, 1.0)),
    "gAMA of old Macintoshes": ([gamma(1 / 1.8)], icc.matrix_profile("", icc.SRGB, 1.8)),
    "gAMA of sRGB": ([gamma(0.45455)], None),
    "gAMA and cHRM of sRGB": ([gamma(0.45455), SRGB_POINTS], None),
    "numbers before EXIF": ([gamma(256 / 563), ADOBE_POINTS, chunk(b"eXIf", exif("<", 1))], ADOBE),
}


@pytest.mark.parametrize("name", PNGS)
def test_the_chunks_of_a_png(name: str) -> None:
    before, profile = PNGS[name]
    check(decode_picture(png(chart(), *before), HERE), profile)


def test_the_gamma_of_a_grey_png() -> None:
    grey = chart()[..., 0]
    pixels = np.asarray(decode_picture(png(grey, gamma(1), P3_POINTS), HERE).image).astype(int)
    expected = shown(grey[..., None].repeat(3, -1), icc.matrix_profile("", icc.SRGB, 1.0))
    assert np.abs(pixels - expected).max() <= 2


@pytest.mark.parametrize(
    ("before", "pattern"),
    [
        ([points(0, 0, 0, 0, 0, 0, 0, 0)], "make no sense"),
        ([points(0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3)], "make no sense"),
        ([gamma(0.001)], "make no sense"),
        ([chunk(b"cICP", bytes([99, 13, 0, 1]))], "code 99"),
        ([chunk(b"cICP", bytes([12, 13, 0, 0]))], "limited range"),
        ([chunk(b"cICP", bytes([9, 18, 0, 1]))], "HDR picture (HLG)"),
    ],
)
def test_numbers_that_cannot_be_followed_are_noted(before: list[bytes], pattern: str) -> None:
    (note,) = decode_picture(png(chart(), *before), HERE).notes
    assert pattern in note


# --- BMP -------------------------------------------------------------------------------------------------------------


def bmp(kind: bytes, numbers: bytes = bytes(48), profile: bytes = b"", version: int = 5) -> bytes:
    """A BMP of version 4 or 5."""
    length = {4: 108, 5: 124}[version]
    height, width = chart().shape[:2]
    rows = chart()[::-1, :, ::-1].tobytes()
    head = struct.pack("<IiiHHIIiiII", length, width, height, 1, 24, 0, len(rows), 0, 0, 0, 0) + bytes(16)
    head += kind + numbers
    if version == 5:
        head += struct.pack("<IIII", 4, length + len(rows) if profile else 0, len(profile), 0)
    return b"BM" + struct.pack("<IHHI", 14 + length + len(rows), 0, 0, 14 + length) + head + rows + profile


def endpoints(columns: icc.Columns, exponent: float) -> bytes:
    """X, Y, Z of red, green and blue as 2.30, three gammas as 16.16."""
    values = [round(value * 2**30) for key in "rgb" for value in columns[key]]
    return struct.pack("<9i3I", *values, *[round(exponent * 65536)] * 3)


XY_ADOBE: icc.Columns = {"r": (0.64, 0.33, 0.03), "g": (0.21, 0.71, 0.08), "b": (0.15, 0.06, 0.79)}


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("columns", [icc.ADOBE, XY_ADOBE], ids=["XYZ", "xyz"])
def test_a_bmp_of_calibrated_colours(version: int, columns: icc.Columns) -> None:
    data = bmp(bytes(4), endpoints(columns, 2.2), version=version)
    check(decode_picture(data, HERE), icc.matrix_profile("", icc.ADOBE, 2.2), 3)


def test_a_bmp_with_a_profile() -> None:
    check(decode_picture(bmp(b"DEBM", profile=P3), HERE), P3)


@pytest.mark.parametrize("kind", [b"BGRs", b" niW", bytes(4)])
def test_a_bmp_of_srgb(kind: bytes) -> None:
    check(decode_picture(bmp(kind), HERE), None, 0)


def test_the_profile_of_a_bmp_in_another_file_is_noted() -> None:
    assert "another file" in decode_picture(bmp(b"KNIL", profile=b"c:\\a.icc\0"), HERE).notes[0]


# --- GIF, AVIF -------------------------------------------------------------------------------------------------------


def test_a_gif_with_a_profile() -> None:
    plain = encoded(Image.fromarray(chart()).quantize(64, dither=Image.Dither.NONE), "GIF")
    at = 13 + 3 * 2 ** ((plain[10] & 7) + 1)
    blocks = b"".join(
        bytes([len(P3[start : start + 255])]) + P3[start : start + 255] for start in range(0, len(P3), 255)
    )
    data = plain[:at] + b"\x21\xff\x0bICCRGBG1012" + blocks + b"\0" + plain[at:]
    before = np.asarray(decode_picture(plain, HERE).image)
    decoded = decode_picture(data, HERE)
    assert np.abs(np.asarray(decoded.image).astype(int) - shown(before, P3)).max() <= 2
    assert decoded.notes == ()


def test_a_profile_comes_before_the_exif_of_an_avif() -> None:
    """As every iPhone writes HEIC: a profile, and ColorSpace 65535."""
    data = in_container("AVIF", "<", 65535, quality=100, subsampling="4:4:4", icc_profile=P3)
    decoded = decode_picture(data, HERE)
    assert decoded.notes == ()
    assert np.abs(np.asarray(decoded.image).astype(int) - shown(chart(), P3)).mean() <= 2


def test_lab_needs_no_space() -> None:
    lab = np.full((20, 20, 3), 100, np.uint8)
    length = len(tiff([page(lab, photometric=8, t34665=(4, [0]))]))
    data = tiff([page(lab, photometric=8, t34665=(4, [length]))]) + details("<", length, 65535)
    assert decode_picture(data, HERE).notes == ()


def test_adobe_rgb_by_the_exif_of_an_avif() -> None:
    """Its own numbers (nclx) come first; unspecified, EXIF counts."""
    data = in_container("AVIF", "<", 65535, b"R03", quality=100, subsampling="4:4:4")
    at = data.index(b"nclx") + 4
    unspecified = data[:at] + struct.pack(">HH", 2, 2) + data[at + 4 :]
    for file, profile in ((data, None), (unspecified, ADOBE)):
        pixels = np.asarray(decode_picture(file, HERE).image).astype(int)
        assert np.abs(pixels - (shown(chart(), profile) if profile else chart())).mean() <= 2
