"""Sources of every kind: what is loaded, what is refused, and that nothing hangs."""

import io
import os
import socket
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pytest
from PIL import ExifTags, Image

from photio_prep.errors import PhotoRefused
from photio_prep.geometry import Size, box_on, place
from photio_prep.imaging.decode import Limits
from photio_prep.intake.load import Source, downscale, load
from tests.support import icc
from tests.support.photos import cutout, encoded, photo, saved

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="devices as Linux has them")
MustEnd = Callable[[Callable[[], object]], None]


def refusal(source: Source, **options: Any) -> PhotoRefused:
    """The refusal, which has three parts."""
    with pytest.raises(PhotoRefused) as caught:
        load(source, **options)
    error = caught.value
    assert error.subject
    assert error.problem
    assert error.fix
    assert str(error) == f"{error.subject}: {error.problem}. {error.fix}"
    return error


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".gif", ".bmp"])
def test_a_path_as_text_or_path(tmp_path: Path, suffix: str) -> None:
    path = saved(tmp_path / f"shoe{suffix}", photo())
    for source in (path, str(path)):
        found = load(source)
        assert found.source == str(path)
        assert found.size == (90, 70)
        assert found.digest == sha256(path.read_bytes()).hexdigest()
        assert found.image.mode == "RGB"
        assert found.notes == ()


class Dripping(io.RawIOBase):
    """Gives one byte at a time, as a slow pipe may."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._data.read(min(size, 1))


@pytest.mark.parametrize("source", [None, 7, io.StringIO("text")])
def test_what_is_no_source_of_a_photo_is_named(source: object) -> None:
    with pytest.raises(PhotoRefused, match=f"cannot be read from {type(source).__name__}.*Give a path"):
        load(cast("BinaryIO", source))


def test_bytes_and_open_files_give_the_same_photo(tmp_path: Path) -> None:
    path = saved(tmp_path / "shoe.png", photo())
    data = path.read_bytes()
    with path.open("rb") as file:
        found = [load(data), load(file), load(io.BytesIO(data)), load(cast("BinaryIO", Dripping(data)))]
    assert {each.digest for each in found} == {sha256(data).hexdigest()}
    assert [each.source for each in found] == ["bytes", str(path), "file", "file"]
    assert all(each.image.tobytes() == photo().tobytes() for each in found)


def test_a_name_of_ones_own() -> None:
    assert load(encoded(photo()), name="the red shoe").source == "the red shoe"
    assert refusal(b"", name="the red shoe").subject == "the red shoe"


def test_a_wrong_suffix_is_noted(tmp_path: Path) -> None:
    path = saved(tmp_path / "shoe.png", photo()).rename(tmp_path / "shoe.jpg")
    assert load(path).format == "PNG"
    assert load(path).notes == ("named .jpg, but is a PNG file",)


def test_html_named_png_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "download.png"
    path.write_text("<!DOCTYPE html><title>404</title>")
    error = refusal(path)
    assert "not a picture" in error.problem
    assert error.subject == str(path)


@pytest.mark.parametrize(("data", "says"), [(b"", "empty"), (b"hello", "not a picture"), (b"\x89PNG\r\n\x1a\n", "cut")])
def test_files_that_are_no_pictures(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(data)
    assert says in refusal(path).problem
    assert says in refusal(data).problem
    assert says in refusal(io.BytesIO(data)).problem


# --- limits ----------------------------------------------------------------------------------------------------------


def test_fifteen_pixels_are_too_small_and_sixteen_are_not() -> None:
    assert load(encoded(photo((16, 16)))).size == (16, 16)
    for size in ((15, 15), (15, 40), (40, 15)):
        assert "too small" in refusal(encoded(photo(size))).problem
        assert "too small" in refusal(photo(size)).problem


def test_the_limit_of_bytes_holds_at_exactly_its_value(tmp_path: Path) -> None:
    path = saved(tmp_path / "shoe.png", photo())
    data = path.read_bytes()
    for source in (path, data, lambda: io.BytesIO(data)):
        fresh = source if callable(source) else lambda same=source: same
        assert load(fresh(), limits=Limits(file_bytes=len(data))).size == (90, 70)
        assert "limit" in refusal(fresh(), limits=Limits(file_bytes=len(data) - 1)).problem


def test_an_endless_file_object_is_stopped_at_the_limit() -> None:
    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            assert size >= 0, "asked for everything"
            return b"\x89" * min(size, 1000)

    assert "limit" in refusal(cast("BinaryIO", Endless()), limits=Limits(file_bytes=10_000)).problem


def test_other_limits_reach_pictures_in_memory() -> None:
    assert "megapixels" in refusal(photo(), limits=Limits(pixels=90 * 70 - 1)).problem
    assert load(photo(), limits=Limits(pixels=90 * 70)).size == (90, 70)


# --- paths that are no files -----------------------------------------------------------------------------------------


def test_what_is_not_there(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "none.png").problem
    (tmp_path / "dangling.png").symlink_to(tmp_path / "none.png")
    assert "no such file" in refusal(tmp_path / "dangling.png").problem


@pytest.mark.parametrize("name", ["a\0b.png", "x" * 5000])
def test_names_that_cannot_be(name: str) -> None:
    assert "cannot be read" in refusal(name).problem


def test_a_loop_of_links(tmp_path: Path) -> None:
    loop = tmp_path / "loop.png"
    loop.symlink_to(loop)
    assert "cannot be read" in refusal(loop).problem


def test_a_folder_named_like_a_picture(tmp_path: Path) -> None:
    folder = tmp_path / "x.png"
    folder.mkdir()
    assert "not a regular file" in refusal(folder).problem


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no permissions as POSIX has them")
def test_i40_an_unreadable_file(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    path = saved(tmp_path / "x.png")
    path.chmod(0)
    assert "cannot be read" in refusal(path).problem


@LINUX
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/proc/self/mem", "/dev/tty"])
def test_a_device_is_refused_without_hanging(device: str, must_end: MustEnd) -> None:
    must_end(lambda: refusal(device))


@LINUX
def test_a_file_that_cannot_be_read_to_its_end(must_end: MustEnd) -> None:
    # It says that it is a regular file of no bytes, and then fails or gives text.
    must_end(lambda: refusal("/proc/self/maps"))


@LINUX
def test_a_pipe_and_a_socket_are_refused_without_hanging(tmp_path: Path, must_end: MustEnd) -> None:
    os.mkfifo(tmp_path / "fifo.png")
    must_end(lambda: refusal(tmp_path / "fifo.png"))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket.png"))
        must_end(lambda: refusal(tmp_path / "socket.png"))


# --- pictures in memory ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "I;16", "F", "LAB"])
def test_a_picture_in_memory_of_every_mode_a_file_can_hold(mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(np.full((20, 20), 32896, np.uint16))
    elif mode in "IF":
        image = Image.new(mode, (20, 20), 32896 if mode == "I" else 0.5)
    else:
        colour = {"LAB": (137, 128, 128), "CMYK": (0, 0, 0, 127), "YCbCr": (128, 128, 128)}.get(mode)
        image = Image.new(mode, (20, 20), colour) if colour else Image.new("L", (20, 20), 128).convert(mode)
    found = load(image)
    assert (found.source, found.format) == ("picture", "PNG")
    levels = np.asarray(found.image.convert("RGB")).astype(int)
    if mode != "1":
        assert np.abs(levels - 128).max() <= 1


def test_a_mode_that_no_file_holds_is_refused_with_the_way_out() -> None:
    assert "Convert it to RGB" in str(refusal(Image.new("HSV", (20, 20))))


def test_a_picture_in_memory_is_turned_by_its_exif() -> None:
    upright = photo((40, 20))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    file = encoded(upright.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif, quality=100, subsampling=0)
    with Image.open(io.BytesIO(file)) as opened:
        found = load(opened)
    assert found.size == (40, 20)
    assert found.format == "JPEG"
    assert np.abs(np.asarray(found.image).astype(int) - np.asarray(upright)).max() <= 10


@pytest.mark.parametrize("mode", ["RGB", "CMYK", "I;16"])
def test_a_tiff_opened_by_the_caller(mode: str) -> None:
    image = photo((40, 20)).convert("L").convert("CMYK") if mode == "CMYK" else photo((40, 20)).convert(mode)
    with Image.open(io.BytesIO(encoded(image, "TIFF"))) as opened:
        assert load(opened).size == (40, 20)


def test_a_picture_in_memory_with_broken_exif() -> None:
    image = photo()
    image.info["exif"] = b"Exif\0\0II*\0\x08\0\0\0\xff\xff"
    assert load(image).size == (90, 70)


def test_a_picture_opened_but_cut_short() -> None:
    with Image.open(io.BytesIO(encoded(photo((400, 300)), "JPEG")[:-500])) as opened:
        assert "cannot be read" in refusal(opened).problem


def test_transparency_in_memory_is_kept_and_the_callers_picture_left_alone() -> None:
    image = cutout()
    before = image.tobytes()
    found = load(image)
    assert found.image.mode == "RGBA"
    assert found.image.tobytes() == before == image.tobytes()
    assert found.image is not image


def test_the_same_pixels_have_the_same_digest_and_others_another() -> None:
    assert load(photo()).digest == load(photo()).digest
    assert load(photo()).digest != load(photo(shade=221)).digest


# --- no more pixels than are wanted ----------------------------------------------------------------------------------


def textured(size: tuple[int, int]) -> Image.Image:
    """Waves of several lengths in each channel: nothing that survives a shift by half a pixel unseen."""
    rows, columns = np.mgrid[: size[1], : size[0]].astype(np.float32)
    planes = [np.sin(rows / (5 + each)) + np.cos(columns / (7 + each)) for each in range(3)]
    return Image.fromarray(np.clip(128 + 50 * np.stack(planes, -1), 0, 255).astype(np.uint8))


def apart(one: Image.Image, other: Image.Image) -> float:
    """The mean difference of two pictures in levels."""
    assert one.size == other.size
    return float(np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16)).mean())


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(801, 603), (640, 480), (1003, 601)])
def test_a_jpeg_decoded_smaller_is_the_whole_one_scaled(size: tuple[int, int], orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    data = encoded(textured(size), "JPEG", quality=92, exif=exif)
    whole = load(data)
    found = load(data, at=box_on(Size(200, 200)))
    assert found.size == whole.size
    assert found.image.size == place(whole.size, Size(200, 200)).box.size
    assert apart(found.image, whole.image.resize(found.image.size, Image.Resampling.LANCZOS)) < 1
    assert (found.digest, found.format, found.notes) == (whole.digest, whole.format, whole.notes)


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGB"])
@pytest.mark.parametrize("progressive", [False, True])
def test_every_kind_of_jpeg_is_decoded_smaller(mode: str, progressive: bool) -> None:
    data = encoded(textured((900, 700)).convert(mode), "JPEG", quality=92, progressive=progressive)
    for limits in (Limits(), Limits(isolate="all")):
        found = load(data, at=box_on(Size(220, 220)), limits=limits)
        fair = load(data).image.resize(found.image.size, Image.Resampling.LANCZOS)
        assert apart(found.image, fair) < 1


def test_a_profile_is_obeyed_in_what_was_decoded_smaller() -> None:
    # Half as colourful: where colours leave sRGB, to clip and to average are not the same in either order.
    calm = Image.blend(textured((900, 700)), textured((900, 700)).convert("L").convert("RGB"), 0.5)
    profile = icc.matrix_profile("Adobe RGB (1998)", icc.ADOBE, 563 / 256)
    data = encoded(calm, "JPEG", quality=92, icc_profile=profile)
    found = load(data, at=box_on(Size(220, 220)))
    assert apart(found.image, load(data).image.resize(found.image.size, Image.Resampling.LANCZOS)) < 1
    assert apart(found.image, load(encoded(calm, "JPEG", quality=92), at=box_on(Size(220, 220))).image) > 2


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "BMP"])
def test_other_formats_come_at_the_size_that_is_wanted_too(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(textured((900, 700)), kind, **options)
    found = load(data, at=box_on(Size(220, 220)))
    assert found.size == (900, 700)
    assert apart(found.image, load(data).image.resize((220, 171), Image.Resampling.LANCZOS)) < 1


def test_a_photo_that_is_smaller_than_wanted_stays_as_it_is() -> None:
    data = encoded(textured((200, 150)), "JPEG")
    found = load(data, at=box_on(Size(1152, 896)))
    assert found.whole is None
    assert found.image.tobytes() == load(data).image.tobytes()


def test_a_picture_in_memory_and_a_photo_come_at_the_size_that_is_wanted() -> None:
    whole = load(textured((900, 700)))
    found = load(textured((900, 700)), at=box_on(Size(220, 220)))
    again = downscale(whole, box_on(Size(220, 220)))
    assert found.size == again.size == (900, 700)
    assert found.image.tobytes() == again.image.tobytes()
    assert downscale(again, box_on(Size(220, 220))) is again


def test_a_jpeg_that_is_cut_short_is_refused_at_any_size() -> None:
    data = encoded(textured((900, 700)), "JPEG", quality=92)
    refusal(data[: len(data) // 2], at=box_on(Size(220, 220)))
