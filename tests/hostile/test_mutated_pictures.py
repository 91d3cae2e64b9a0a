"""Thousands of pictures, each hurt in its own way: a picture comes out, or a refusal with a reason, never else."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from photio_prep.errors import PhotoRefused
from photio_prep.imaging.decode import Limits, decode_picture
from tests.support import icc
from tests.support.photos import encoded
from tests.support.rasters import page, tiff
from tests.support.sampling import sampled

Y, X = np.mgrid[:32, :48]
COLOURED = Image.fromarray(np.dstack([X * 5, Y * 7, X + Y]).astype(np.uint8))
CLEAR = COLOURED.copy()
CLEAR.putalpha(Image.linear_gradient("L").resize((48, 32)))
EXIF = Image.Exif()
EXIF[0x0112], EXIF[0x013B] = 6, "Ada"
PROFILE = icc.matrix_profile("P3", icc.P3, 2.2)
GREY = np.linspace(0, 65535, 48 * 32).reshape(32, 48).astype(np.uint16)


def frames(kind: str) -> bytes:
    return encoded(COLOURED, kind, save_all=True, append_images=[COLOURED.transpose(Image.Transpose.ROTATE_180)])


SEEDS: dict[str, bytes] = {
    "JPEG": encoded(COLOURED, "JPEG", exif=EXIF, icc_profile=PROFILE),
    "progressive JPEG": encoded(COLOURED, "JPEG", progressive=True),
    "CMYK JPEG": encoded(COLOURED.convert("CMYK"), "JPEG"),
    "PNG": encoded(CLEAR, "PNG", exif=EXIF, icc_profile=PROFILE),
    "palette PNG": encoded(COLOURED.quantize(16), "PNG", transparency=bytes(range(16))),
    "deep PNG": encoded(Image.fromarray(GREY), "PNG"),
    "WEBP": encoded(CLEAR, "WEBP", exif=EXIF, icc_profile=PROFILE),
    "lossless WEBP": encoded(COLOURED, "WEBP", lossless=True),
    "animated WEBP": frames("WEBP"),
    "TIFF": encoded(CLEAR, "TIFF", compression="tiff_lzw", exif=EXIF),
    "plain TIFF": tiff([page(GREY), page(GREY >> 8)]),
    "JPEG in TIFF": encoded(COLOURED, "TIFF", compression="jpeg"),
    "GIF": encoded(COLOURED.quantize(16), "GIF"),
    "animated GIF": frames("GIF"),
    "BMP": encoded(COLOURED, "BMP"),
    "palette BMP": encoded(COLOURED.quantize(16), "BMP"),
    "AVIF": encoded(COLOURED, "AVIF", speed=10),
}
# 17 seeds x 400 = 6,800 pictures.
EXAMPLES = 400
LIMITS = replace(Limits(), pixels=1_000_000, seconds=5.0)


def flipped(data: bytearray, at: int, value: int) -> bytearray:
    data[at] ^= 1 << value % 8
    return data


def set_to(data: bytearray, at: int, value: int) -> bytearray:
    data[at] = (0, 255, 127, 128, 1, value)[value % 6]
    return data


def number(data: bytearray, at: int, value: int) -> bytearray:
    """Four bytes that count or point somewhere far, in either order."""
    data[at : at + 4] = struct.pack(
        "<I" if value % 2 else ">I", (0, 2**31 - 1, 2**32 - 1, 2**16, 7, len(data))[value % 6]
    )
    return data


def cut(data: bytearray, at: int, value: int) -> bytearray:
    del data[at : at + (len(data) if value % 4 == 0 else value)]
    return data


def doubled(data: bytearray, at: int, value: int) -> bytearray:
    data[at:at] = data[at : at + value] * (1 + value % 3)
    return data


def moved(data: bytearray, at: int, value: int) -> bytearray:
    """A piece of the file in another place: chunks out of order, tables where data must be."""
    piece = data[at : at + value + 12]
    del data[at : at + value + 12]
    data[len(data) // 2 : len(data) // 2] = piece
    return data


HURTS: list[Callable[[bytearray, int, int], bytearray]] = [flipped, set_to, number, cut, doubled, moved]


def mended(data: bytes) -> bytes:
    """A PNG with right check sums again, so that what is wrong in it is not found at the door."""
    at, out = 8, bytearray(data[:8])
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        body = data[at + 4 : at + 8 + min(length, len(data))]
        out += struct.pack(">I", max(len(body) - 4, 0)) + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + length
    return bytes(out)


def judge(data: bytes, frame: int | None) -> None:
    """A picture that can be shown, or a refusal that can be read."""
    try:
        found = decode_picture(data, LIMITS, frame)
    except PhotoRefused as error:
        said: tuple[str, ...] = (error.problem, error.fix)
    else:
        assert found.image.mode in ("RGB", "RGBA")
        assert found.image.size[0] * found.image.size[1] <= LIMITS.pixels
        said = ("a picture", *found.notes)
        assert all(each.isprintable() for each in found.credit)
    assert all(each and each.isprintable() for each in said)


@sampled("seed", SEEDS, 3)
def test_a_mutated_picture_is_a_picture_or_refused(seed: str) -> None:
    whole = SEEDS[seed]

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), database=None)
    @given(
        st.lists(
            st.tuples(st.sampled_from(HURTS), st.integers(0, len(whole)), st.integers(0, 255)), min_size=1, max_size=5
        ),
        st.booleans(),
        st.sampled_from([None, None, 0, 1]),
    )
    def hurt(hurts: list[tuple[Callable[..., bytearray], int, int]], mend: bool, frame: int | None) -> None:
        data = bytearray(whole)
        for way, at, value in hurts:
            data = way(data, min(at, max(len(data) - 1, 0)), value) if data else data
        bad = mended(bytes(data)) if mend and "PNG" in seed else bytes(data)
        start = time.monotonic()
        judge(bad, frame)
        assert time.monotonic() - start < 10 + 20  # of the processor's time 5 s; the machine may be busy

    decode_picture(whole, LIMITS, frame=0)
    hurt()
