"""Files that were made to hurt: refused with a reason, at little cost, or come out as nothing but their picture."""

from __future__ import annotations

import io
import json
import os
import random
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from photio_prep.errors import NoProduct, PhotoRefused
from photio_prep.geometry import Size
from photio_prep.imaging.decode import Limits, decode_picture
from photio_prep.intake.load import load
from photio_prep.pipeline import prepare
from photio_prep.system.files import read_input, write_atomic
from tests.support import commands, rasters
from tests.support.photos import SCENE, cutout, encoded, photo, saved
from tests.support.rasters import chunk, flat_png, gif, header, page, segment, tiff
from tests.support.sampling import sampled

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="memory and devices as Linux tells of them")
GREY = np.full((40, 60), 90, np.uint8)


def refusal(data: bytes, limits: Limits | None = None, **options: Any) -> PhotoRefused:
    """Why it is refused, in a message that also says what to do."""
    with pytest.raises(PhotoRefused) as caught:
        decode_picture(data, limits or Limits(), **options)
    error = caught.value
    assert error.problem
    assert error.fix
    assert error.exit_code == 3
    return error


# --- no picture at all -----------------------------------------------------------------------------------------------


def test_i01_an_empty_file() -> None:
    assert "empty" in refusal(b"").problem


@pytest.mark.parametrize("data", [b"\x89", b"\xff", random.Random(1).randbytes(2**20), bytes(2**20)])
def test_i02_bytes_that_are_no_picture(data: bytes) -> None:
    assert "not a picture" in refusal(data).problem


OTHERS = {
    "text": b"hello, world\n",
    "html": b"<!DOCTYPE html><html><body>404</body></html>",
    "json": b'{"status_code": 500}',
    "pdf": b"%PDF-1.7\n1 0 obj\n",
    "zip": b"PK\x03\x04" + bytes(100),
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><image href="file:///etc/passwd"/></svg>',
    "svg with an entity": b'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>',
    "svgz": b"\x1f\x8b\x08\0" + bytes(50),
    "laughs": b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><svg>&b;</svg>',
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n(%pipe%touch owned) (w) file\nshowpage\n",
    "eps of dos": b"\xc5\xd0\xd3\xc6" + struct.pack("<7I", 32, 90, 0, 0, 0, 0, 0) + b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "fits": b"SIMPLE  =                    T".ljust(2880),
    "psd": b"8BPS\0\x01" + bytes(6) + b"\0\x03\0\0\0\x40\0\0\0\x40\0\x08\0\x03" + bytes(100),
    "fli": struct.pack("<IHHHHH", 128, 0xAF11, 1, 64, 64, 8).ljust(128, b"\0"),
    "sgi": b"\x01\xda\x00\x01\x00\x02\x00\x40\x00\x40\x00\x01".ljust(600, b"\0"),
    "pcx": b"\x0a\x05\x01\x08" + struct.pack("<4H", 0, 0, 63, 63).ljust(124, b"\0"),
    "icns": b"icns\0\0\0\x10ic07\0\0\0\x08",
    "dds": b"DDS " + struct.pack("<7I", 124, 0x1007, 64, 64, 0, 0, 0).ljust(124, b"\0"),
    "blp": b"BLP2" + bytes(200),
    "wmf": b"\xd7\xcd\xc6\x9a" + bytes(60),
    "gbr": struct.pack(">5I", 28, 2, 64, 64, 4) + b"GIMP" + bytes(100),
    "jp2": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100),
    "j2k": b"\xff\x4f\xff\x51" + bytes(100),
    "tga": b"\0\0\x02" + bytes(9) + struct.pack("<4H", 64, 64, 24, 0) + bytes(64 * 64 * 3),
    "mcidas": b"\0\0\0\0\0\0\0\x04" + bytes(300),
    "ico": b"\0\0\x01\0\x01\0" + bytes(60),
    "ppm": b"P6 64 64 255\n" + bytes(64 * 64 * 3),
}


@pytest.mark.parametrize("name", OTHERS)
def test_i03_i28_i29_i30_what_is_not_on_the_list_is_refused_by_its_first_bytes(tmp_path: Path, name: str) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(OTHERS[name])
    with pytest.raises(PhotoRefused, match=r"not a picture.*JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF and HEIC are read"):
        load(path)


def alone(code: str, *arguments: str, env: dict[str, str] | None = None) -> str:
    """What a fresh interpreter prints that runs `code`."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments], capture_output=True, text=True, timeout=120, env=env
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


WITHOUT_PARSERS = """
import sys
from pathlib import Path
from photio_prep.errors import PhotoRefused
from photio_prep.intake.load import load
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        load(path)
    except PhotoRefused:
        print("refused", end=" ")
print([each for each in sys.modules if each.startswith("PIL.") and each.endswith("ImagePlugin")])
"""


def test_i28_i29_i30_no_parser_of_another_format_is_ever_loaded_nor_ghostscript_started(tmp_path: Path) -> None:
    for name, data in OTHERS.items():
        (tmp_path / f"{name}.png").write_bytes(data)
    tools = tmp_path.parent / "tools"
    tools.mkdir()
    for name in ("gs", "gswin64c", "convert"):
        (tools / name).write_text(f"#!/bin/sh\ntouch {tools}/started\n")
        (tools / name).chmod(0o755)
    out = alone(WITHOUT_PARSERS, str(tmp_path), env={**os.environ, "PATH": str(tools)})
    assert out.count("refused") == len(OTHERS)
    loaded = {each.strip("' ").split(".")[1] for each in out[out.index("[") + 1 : out.index("]")].split(",")}
    read = {"Avif", "Bmp", "Gif", "Jpeg", "Png", "Tiff", "WebP"}
    # These come along with those that are read: Pillow's own imports.
    assert loaded <= {f"{each}ImagePlugin" for each in read | {"Ppm", "Mpo"}}
    assert not (tools / "started").exists()
    assert not (Path.cwd() / "owned").exists()


# --- damaged ---------------------------------------------------------------------------------------------------------


def coloured() -> Image.Image:
    y, x = np.mgrid[:40, :60]
    return Image.fromarray(np.dstack([x * 4, y * 6, x + y]).astype(np.uint8))


def points(data: bytes) -> list[int]:
    """Where to cut: 25 places all over, and each of the last 12 bytes."""
    return sorted({round(at) for at in np.linspace(1, len(data) - 1, 25)} | set(range(len(data) - 12, len(data))))


def test_i05_a_png_that_is_cut_anywhere() -> None:
    data = encoded(coloured(), "PNG")
    inside = [10, 20, data.index(b"IDAT") + 2, data.index(b"IDAT") + 40, len(data) - 12]
    for at in points(data) + inside:
        assert refusal(data[:at]), at


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True, "subsampling": 0}])
def test_i06_a_jpeg_that_is_cut_anywhere(options: dict[str, Any]) -> None:
    data = encoded(coloured(), "JPEG", **options)
    for at in points(data):
        assert refusal(data[:at]), at


ROWS = chunk(b"IDAT", zlib.compress(bytes(20 * 21)))
END = chunk(b"IEND")
GOOD = rasters.PNG + header(20, 20, 8, 0) + ROWS + END
# What the fourteen x* files of PngSuite are about: http://www.schaik.com/pngsuite/#corrupted
CORRUPT = {
    "xs1n0g01": b"\x8aPNG\r\n\x1a\n" + GOOD[8:],
    "xs2n0g01": b"\x89XNG\r\n\x1a\n" + GOOD[8:],
    "xs4n0g01": b"\x89PNX\r\n\x1a\n" + GOOD[8:],
    "xs7n0g01": b"\x89PNG\r\n\x1a " + GOOD[8:],
    "xcrn0g04": b"\x89PNG\r\r\n\x1a\n" + GOOD[8:],
    "xlfn0g04": b"\x89PNG\n\x1a\n" + GOOD[8:],
    "xhdn0g08": rasters.PNG + header(20, 20, 8, 0)[:-4] + b"\1\2\3\4" + ROWS + END,
    "xc1n0g08": rasters.PNG + header(20, 20, 8, 1) + ROWS + END,
    "xc9n2c08": rasters.PNG + header(20, 20, 8, 9) + ROWS + END,
    "xd0n2c08": rasters.PNG + header(20, 20, 0, 2) + ROWS + END,
    "xd3n2c08": rasters.PNG + header(20, 20, 3, 2) + ROWS + END,
    "xd9n2c08": rasters.PNG + header(20, 20, 99, 2) + ROWS + END,
    "xdtn0g01": rasters.PNG + header(20, 20, 8, 0) + END,
    # The data may be whole, or not: who sends a picture that arrived damaged pays for a damaged one.
    "xcsn0g01": rasters.PNG + header(20, 20, 8, 0) + ROWS[:-4] + b"\1\2\3\4" + END,
    "palette sum": rasters.PNG + header(20, 20, 8, 3) + chunk(b"PLTE", bytes(3))[:-4] + b"\1\2\3\4" + ROWS + END,
    "zlib": rasters.PNG + header(20, 20, 8, 0) + chunk(b"IDAT", b"no zlib at all") + END,
    "half the rows": rasters.PNG + header(20, 20, 8, 0) + chunk(b"IDAT", zlib.compress(bytes(200))) + END,
}


@pytest.mark.parametrize("name", CORRUPT)
def test_i07_a_png_that_is_corrupt(name: str) -> None:
    assert decode_picture(GOOD).image.size == (20, 20)
    assert refusal(CORRUPT[name])


@pytest.mark.parametrize("size", [(2**31 - 1, 2**31 - 1), (2**32 - 1, 20), (0, 0), (0, 20), (20, 0)])
def test_i08_a_png_of_a_size_that_cannot_be(size: tuple[int, int]) -> None:
    assert refusal(rasters.PNG + header(*size) + ROWS + END)


# --- bombs -----------------------------------------------------------------------------------------------------------


def bits_png(width: int, height: int) -> bytes:
    """A PNG of one bit a pixel, all of it there."""
    row = b"\0" + bytes((width + 7) // 8)
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return rasters.PNG + header(width, height, 1, 0) + chunk(b"IDAT", packed) + END


def jpeg_of(width: int, height: int) -> bytes:
    data = bytearray(encoded(Image.new("L", (16, 16)), "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for kind, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def avif_of(width: int, height: int) -> bytes:
    data = encoded(Image.new("RGB", (64, 64)), "AVIF")
    return data.replace(struct.pack(">II", 64, 64), struct.pack(">II", width, height))


GOOD_JPEG = encoded(coloured(), "JPEG")
LONG = zlib.compress(bytes(100 * 2**20), 9)
EXTENDED = b"\x02\0\0\0" + (40).to_bytes(3, "little") + (40).to_bytes(3, "little")
BOMBS: dict[str, Callable[[], bytes]] = {
    "i09 30,000 x 30,000 of one bit": lambda: bits_png(30_000, 30_000),
    "i11 90 megapixels": lambda: bits_png(10_000, 9_000),
    "i11 144 megapixels": lambda: bits_png(12_000, 12_000),
    "i12 1 x 50,000,000": lambda: rasters.PNG + header(50_000_000, 1) + ROWS + END,
    "i08 JPEG of 65,500 x 65,500": lambda: jpeg_of(65_500, 65_500),
    "i08 GIF of 65,535 x 65,535": lambda: gif((65_535, 65_535), [(0, 0, 65_535, 65_535)]),
    "i08 WebP of 2^24 x 2^24": lambda: riff((b"VP8X", b"\0" * 4 + b"\xff" * 6), (b"VP8L", b"\x2f" + bytes(9))),
    "i08 BMP of 2^30 x 2^30": lambda: b"BM" + bytes(12) + struct.pack("<Iii", 40, 2**30, 2**30) + bytes(60),
    "i08 TIFF of 2^31 x 2^31": lambda: tiff([page(GREY, t256=(4, [2**31]), t257=(4, [2**31]))]),
    "i08 AVIF of 60,000 x 60,000": lambda: avif_of(60_000, 60_000),
    "i16 TIFF of tiles of 2^31": lambda: tiff([page(GREY, t322=(4, [2**31]), t323=(4, [2**31]))]),
    "i14 GIF of 10,000 frames": lambda: gif((64, 64), [(0, 0, 64, 64)] * 10_000),
    "i14 WebP of 10,000 frames": lambda: riff((b"VP8X", EXTENDED), *[(b"ANMF", bytes(16))] * 10_000),
    "i16 TIFF that goes round": lambda: tiff([page(GREY), page(GREY)], following=[8, 8]),
    "i16 TIFF of 65,535 pages": lambda: tiff([({256: (4, [20])}, b"")] * 65_535),
    "i16 TIFF of huge strips": lambda: tiff([page(GREY, t273=(4, [8] * 1_000_001), t279=(4, [1] * 1_000_001))]),
    "i16 TIFF of strips elsewhere": lambda: tiff([page(GREY)]).replace(
        struct.pack("<HHI", 273, 4, 1), struct.pack("<HHI", 273, 4, 2**31)
    ),
    "i18 JPEG of 17 MB of comments": lambda: GOOD_JPEG[:2] + segment(0xFE, bytes(65_000)) * 270 + GOOD_JPEG[2:],
    "i18 JPEG of empty segments": lambda: GOOD_JPEG[:2] + segment(0xFE, b"") * 200_000 + GOOD_JPEG[2:],
    "i17 PNG of a million chunks": lambda: flat_png(20, 20, chunk(b"tEXt") * 1_000_000),
    "i17 PNG of 17 MB of text": lambda: flat_png(20, 20, chunk(b"tEXt", b"a\0" + bytes(17 * 2**20))),
    "i14 GIF of tiny blocks": lambda: gif((64, 64), [(0, 0, 64, 64)], packed=b"\x02" + b"\1\1" * 2_000_000 + b"\0"),
}
# The cost of a refusal, above that of reading the file.
COSTS = """
import json, sys, time
from photio_prep.errors import PhotoRefused
from photio_prep.imaging.decode import decode_picture
def kept(what):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(what)) // 1024
data = open(sys.argv[1], "rb").read()
before, start = kept("VmRSS"), time.process_time()
try:
    decode_picture(data)
    said = "accepted"
except PhotoRefused as error:
    said = str(error)
print(json.dumps([time.process_time() - start, kept("VmHWM") - before, said]))
"""


@LINUX
@sampled("name", BOMBS, 5)
def test_i08_to_i18_a_bomb_is_refused_in_no_time_and_no_memory(tmp_path: Path, name: str) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(BOMBS[name]())
    seconds, megabytes, said = json.loads(alone(COSTS, str(path)))
    assert said != "accepted"
    assert seconds <= 0.2
    assert megabytes <= 60


@LINUX
@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP", b"eXIf"])
def test_i17_a_chunk_that_unpacks_to_100_mb_is_never_unpacked(tmp_path: Path, kind: bytes) -> None:
    head = {b"zTXt": b"Raw profile type exif\0\0", b"iTXt": b"XML:com.adobe.xmp\0\1\0\0\0", b"iCCP": b"a\0\0"}.get(
        kind, b""
    )
    path = tmp_path / "bomb.png"
    path.write_bytes(flat_png(20, 20, chunk(kind, head + LONG)))
    seconds, megabytes, said = json.loads(alone(COSTS, str(path)))
    assert said == "accepted"
    assert seconds <= 0.2
    assert megabytes <= 60


@pytest.mark.soak
@LINUX
def test_i10_fifty_megapixels_are_read_in_bounded_memory(tmp_path: Path) -> None:
    row = b"\0" + bytes([9, 8, 7, 6]) * 10_000
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(row) for _ in range(5000)) + packer.flush()
    path = tmp_path / "large.png"
    path.write_bytes(rasters.PNG + header(10_000, 5000, 8, 6) + chunk(b"IDAT", packed) + END)
    assert path.stat().st_size < 250_000
    _, megabytes, said = json.loads(alone(COSTS, str(path)))
    assert said == "accepted"
    assert megabytes <= 1500
    above = rasters.PNG + header(10_000, 6401, 8, 6) + chunk(b"IDAT", packed) + END
    assert "64 megapixels, the limit is 64" in refusal(above).problem


def test_a_limit_names_the_setting_that_lifts_it() -> None:
    narrow, metadata = encoded(Image.new("L", (600, 20)), "PNG"), encoded(coloured(), "JPEG", comment=bytes(2000))
    for name, limits, data in (
        ("pixels", Limits(pixels=1000), GOOD_JPEG),
        ("side", Limits(side=50), GOOD_JPEG),
        ("small", Limits(), encoded(Image.new("L", (15, 20)), "PNG")),
        ("aspect", Limits(), narrow),
        ("metadata", Limits(metadata=1000), metadata),
        ("frames", Limits(frames=2), gif((64, 64), [(0, 0, 64, 64)] * 3)),
    ):
        assert f"`{name}` under [limits] in photio.toml" in refusal(data, limits).fix
    with pytest.raises(PhotoRefused, match=r"`file_bytes` under \[limits\]"):
        load(GOOD_JPEG, limits=Limits(file_bytes=100))


def test_a_jpeg_of_a_large_camera_may_have_twice_the_pixels() -> None:
    """108 megapixels, from the header: it is decoded at a fraction of its size."""
    with pytest.raises(PhotoRefused, match="cut short"):
        decode_picture(jpeg_of(12_000, 9000), at=lambda size: Size(400, 300))
    assert "129 megapixels, the limit is 128" in refusal(jpeg_of(12_000, 10_750)).problem
    assert "108 megapixels, the limit is 64" in refusal(bits_png(12_000, 9000)).problem


@pytest.mark.parametrize(("size", "says"), [((16_385, 900), "side"), ((336, 16), "20:1"), ((16, 336), "20:1")])
def test_i12_too_long_or_too_narrow(size: tuple[int, int], says: str) -> None:
    assert says in refusal(bits_png(*size)).problem
    assert decode_picture(bits_png(16_384, 900)).image.size == (16_384, 900)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "AVIF"])
def test_i13_too_small(kind: str) -> None:
    for size in ((1, 1), (15, 15), (15, 16)):
        assert "too small" in refusal(encoded(Image.new("RGB", size), kind)).problem
    assert decode_picture(encoded(Image.new("RGB", (16, 16)), kind)).image.size == (16, 16)


@pytest.mark.parametrize(
    "data",
    [
        gif((64, 64), [(0, 0, 65, 64)]),
        gif((64, 64), [(1, 0, 64, 64)]),
        gif((64, 64), [(60_000, 60_000, 60_000, 60_000)]),
        gif((64, 64), [(0, 0, 0, 0)]),
        gif((0, 64), [(0, 0, 1, 1)]),
        gif((64, 64), []),
    ],
    ids=["wider", "shifted", "far away", "empty", "zero width", "no frame"],
)
def test_i15_a_gif_whose_frame_does_not_fit(data: bytes) -> None:
    assert "damaged GIF" in refusal(data).problem


def real_data() -> bytes:
    """The data of a frame of 64 x 64 in a GIF."""
    whole = encoded(Image.new("P", (64, 64)), "GIF")
    return whole[whole.index(b"\x2c") + 10 : -1]


def test_i15_a_frame_that_is_not_wanted_is_not_looked_at() -> None:
    data = gif((64, 64), [(0, 0, 64, 64), (60_000, 0, 64, 64)], packed=real_data())
    assert decode_picture(data, frame=0).image.size == (64, 64)
    assert "frame 1 does not lie within" in refusal(data, frame=1).problem


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "GIF"])
def test_i18_metadata_is_read_up_to_its_limit_and_not_a_byte_more(kind: str) -> None:
    data = {
        "PNG": flat_png(20, 20, chunk(b"tEXt", b"a\0" + bytes(1000))),
        "JPEG": GOOD_JPEG[:2] + segment(0xFE, bytes(1010)) + GOOD_JPEG[2:],
        "WEBP": riff(*webp_chunks(), (b"XMP ", bytes(1006))),
        "TIFF": tiff([page(GREY, t700=(1, [0] * 1014))]),
        "GIF": gif((64, 64), [(0, 0, 64, 64)], packed=real_data())[:-1] + blocks(1014) + b";",
    }[kind]
    assert decode_picture(data, Limits(metadata=1014)).image.size
    assert "of it is metadata" in refusal(data, Limits(metadata=1013)).problem


def blocks(length: int) -> bytes:
    """A comment of a GIF, this many bytes of it."""
    full, rest = divmod(length - 3, 255)
    return b"\x21\xfe" + (b"\xfe" + bytes(254)) * full + bytes([rest - 1]) + bytes(rest)


def webp_chunks() -> list[tuple[bytes, bytes]]:
    """The chunks of an extended WebP that says that XMP follows."""
    lossless = encoded(Image.new("RGB", (40, 40), "red"), "WEBP", lossless=True)
    (length,) = struct.unpack_from("<I", lossless, 16)
    size = (39).to_bytes(3, "little") * 2
    return [(b"VP8X", b"\x04\0\0\0" + size), (b"VP8L", lossless[20 : 20 + length])]


def test_i18_ten_megabytes_of_application_data_are_left_out() -> None:
    data = (
        GOOD_JPEG[:2] + segment(0xE5, bytes(65_000)) * 162 + segment(0xE1, b"Exif\0\0" + bytes(65_000)) + GOOD_JPEG[2:]
    )
    assert len(data) > 10 * 2**20
    found = decode_picture(data)
    assert np.array_equal(np.asarray(found.image), np.asarray(decode_picture(GOOD_JPEG).image))


def test_i19_an_orientation_that_is_no_number_or_none_of_eight_is_upright_with_a_note() -> None:
    for kind, value in (
        (3, b"\0\0\0\0"),
        (3, b"\x09\0\0\0"),
        (3, b"\xff\xff\0\0"),
        (2, b"6\0\0\0"),
        (5, b"\x08\0\0\0"),
    ):
        block = b"II*\0\x08\0\0\0\1\0\x12\x01" + struct.pack("<HI", kind, 1) + value + bytes(4)
        found = decode_picture(rasters.png(GREY, chunk(b"eXIf", block)))
        assert found.image.size == (60, 40)
        assert "taken as upright" in found.notes[0]


# --- pictures that are odd in what they show -------------------------------------------------------------------------


def test_i25_a_fully_transparent_picture_has_nothing_to_cut_out() -> None:
    with pytest.raises(NoProduct, match="no product"):
        prepare(encoded(Image.new("RGBA", (64, 64))), description=SCENE, alpha="keep")
    faint = Image.new("RGBA", (64, 64), (200, 100, 50, 1))
    with pytest.raises(NoProduct):
        prepare(encoded(faint), description=SCENE, alpha="keep")


def test_i25_a_fully_opaque_alpha_is_no_alpha() -> None:
    assert decode_picture(encoded(Image.new("RGBA", (64, 64), (1, 2, 3, 255)))).image.mode == "RGB"


@pytest.mark.model
@pytest.mark.parametrize("shade", ["black", "white", "#808080", "noise"])
def test_i27_a_picture_of_nothing_is_refused_without_noise(shade: str, u2netp: Any) -> None:
    if shade == "noise":
        image = Image.fromarray(np.random.default_rng(3).integers(0, 255, (96, 96, 3), dtype=np.uint8))
    else:
        image = Image.new("RGB", (96, 96), shade)
    with pytest.raises(NoProduct):
        prepare(encoded(image), description=SCENE, model=u2netp)


# --- polyglots, and files that change --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        encoded(cutout(), "PNG") + b"PK\x03\x04" + bytes(500) + b"CANARY",
        flat_png(64, 64, chunk(b"tEXt", b"a\0<?php CANARY"), after=b"<script>CANARY</script>"),
        GOOD_JPEG + b"<?php __HALT_COMPILER(); CANARY",
        GOOD_JPEG[:2] + segment(0xFE, b"*/=1;/*CANARY") + GOOD_JPEG[2:] + b"%PDF-1.7 CANARY",
        encoded(photo(), "GIF").replace(b"\x21\xf9", b"\x21\xfe\x06CANARY\0\x21\xf9", 1) + b"*/=1;alert(CANARY)",
    ],
    ids=["PNG and ZIP", "PNG and HTML", "JPEG and PHAR", "JPEG and PDF", "GIF and JS"],
)
def test_i32_of_a_polyglot_only_the_picture_goes_on(data: bytes) -> None:
    order = prepare(data, mask=Image.new("L", load(data).size, 255), description=SCENE)
    assert b"CANARY" not in order.canvas.png
    assert order.canvas.png.endswith(b"IEND\xaeB`\x82")


def test_i33_what_follows_the_end_is_not_carried_on() -> None:
    data = encoded(cutout()) + b"\x89PNG\r\n\x1a\n" + random.Random(2).randbytes(10 * 2**20)
    order = prepare(data, description=SCENE)
    assert order.canvas.png == prepare(encoded(cutout()), description=SCENE).canvas.png


def test_i34_a_shorter_file_over_a_longer_one_has_its_own_length(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_atomic(path, bytes(100_000))
    write_atomic(path, b"short")
    assert path.read_bytes() == b"short"


def test_i35_a_file_that_changes_while_it_is_read_gives_one_reading(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", photo((400, 300)))
    whole = path.read_bytes()
    ended = threading.Event()

    def change() -> None:
        while not ended.is_set():
            path.write_bytes(whole[: len(whole) // 2])
            path.write_bytes(whole + bytes(1000))

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(200):
            data = read_input(path, 2**20)
            try:
                found = load(data)
            except PhotoRefused:
                continue
            # What is worked on is what was hashed.
            assert found.digest == sha256(data).hexdigest()
            assert found.size == (400, 300)
    finally:
        ended.set()
        thread.join()


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="a system without O_NOFOLLOW")
def test_i36_a_file_that_becomes_a_link_is_never_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"SECRET")
    path, spare = tmp_path / "a.png", tmp_path / "spare"
    path.write_bytes(b"photo")
    ended = threading.Event()

    def swap() -> None:
        while not ended.is_set():
            spare.symlink_to(secret)
            spare.replace(path)
            spare.write_bytes(b"photo")
            spare.replace(path)

    thread = threading.Thread(target=swap)
    thread.start()
    seen = {b"photo": 0, b"refused": 0}
    try:
        for _ in range(1000):
            try:
                seen[read_input(path, 100, follow=False)] += 1
            except PhotoRefused:
                seen[b"refused"] += 1
    finally:
        ended.set()
        thread.join()
    assert sum(seen.values()) == 1000


def test_i38_a_hard_link_is_a_file_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "b.png").hardlink_to(saved(tmp_path / "a.png", photo()))
    assert load(tmp_path / "b.png").size == (90, 70)


@LINUX
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/stdin", "/proc/self/mem"])
def test_i39_a_device_is_refused_at_once(device: str, must_end: Callable[[Callable[[], object]], None]) -> None:
    def refused() -> None:
        with pytest.raises(PhotoRefused):
            load(device)

    must_end(refused)


@LINUX
def test_i39_a_pipe_and_i40_a_folder_are_refused_at_once(
    tmp_path: Path, must_end: Callable[[Callable[[], object]], None]
) -> None:
    os.mkfifo(tmp_path / "fifo.png")
    (tmp_path / "x.png").mkdir()

    def refused() -> None:
        for name in ("fifo.png", "x.png"):
            with pytest.raises(PhotoRefused, match="not a regular file"):
                load(tmp_path / name)

    must_end(refused)


# --- a batch of them -------------------------------------------------------------------------------------------------


@pytest.mark.soak
def test_a_batch_goes_on_past_every_refusal_and_says_why(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    saved(folder / "good.png")
    for name, data in {**OTHERS, **CORRUPT, "empty": b"", "bomb": bits_png(30_000, 30_000)}.items():
        (folder / f"{name}.png").write_bytes(data)
    done = commands.alone("prepare", folder, "-o", tmp_path / "out", "--json", XDG_CONFIG_HOME=str(tmp_path))
    assert done.code == 3
    lines = done.facts
    good = [line for line in lines if line["state"] == "planned"]
    refused = [line for line in lines if line["state"] == "refused"]
    assert len(good) == 1
    assert len(refused) == len(OTHERS) + len(CORRUPT) + 2
    for line in refused:
        assert line["error"]["exit_code"] == 3
        assert line["error"]["message"].startswith(line["source"])
    assert "Traceback" not in done.err


def test_exif_of_the_users_own_picture_is_read_and_not_believed() -> None:
    image = photo((40, 20))
    image.info["exif"] = b"Exif\0\0" + bytes(100)
    assert load(image).size == (40, 20)
    image.info["exif"] = None
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 8
    exif[ExifTags.Base.Artist] = "Ada"
    with Image.open(io.BytesIO(encoded(photo((40, 20)), "PNG", exif=exif))) as opened:
        found = load(opened)
    assert found.size == (20, 40)
    assert found.credit.artist == "Ada"
